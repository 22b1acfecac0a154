"""The session: what the tasks of one invocation share (workers, display, tracker, record)."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tasks.artifacts.worker import Event
from tasks.cache.entry import Entry
from tasks.cache.identity import Identity
from tasks.cache.step import Inputs, Step
from tasks.code.code_digest import snapshot_code
from tasks.execution.invocations import InvocationLog
from tasks.execution.progress import Display, log_nothing, new_display
from tasks.execution.seed_stacks import SeedStacks
from tasks.execution.workers import Workers
from tasks.own_code.own_code import OwnCode
from tasks.tracking.run_plan import RunPlan
from tasks.tracking.tracker import Tracker


class TaskDisplay(Protocol):
    """What a task shows to the person who started the study."""

    def begin(self, name: str) -> None:
        """A task starts computing."""

    def epoch(self, name: str, event: Event) -> None:
        """A task reports an epoch."""

    def warn(self, text: str) -> None:
        """A task warns."""


class TaskTracker(Protocol):
    """What a task logs to MLflow."""

    def begin(self, plan: RunPlan) -> None:
        """A computation starts."""

    def log_epoch(self, plan: RunPlan, event: Event) -> None:
        """Log the losses of one epoch."""

    def log_entry(self, plan: RunPlan, entry: Entry) -> None:
        """Log the parameters, metrics and files of an entry."""

    def fail(self, plan: RunPlan, status: str) -> None:
        """A computation failed."""


class TaskLog(Protocol):
    """What a task adds to the record of its invocation."""

    def task(self, name: str, **fields: object) -> None:
        """Add to the record of one task."""


class TaskContext(Protocol):
    """What a task carries to a worker of a cluster, to open a session of its own there."""

    def __hash__(self) -> int:
        """Each context has a Prefect task of its own in a cache."""

    def session(self, step: Step, code: dict[str, str]) -> AbstractContextManager[None]:
        """A session for one task on this worker."""


class TaskCall(NamedTuple):
    """The arguments of ``perform``, kept so that a lost entry can be computed again."""

    step: Step
    identity: Identity
    inputs: Inputs


@dataclass
class Session:
    """What the tasks of one invocation share.

    ``forced`` names the tasks to compute although they are in the store, ``computed`` those that
    were computed. ``task_calls`` holds the call of every task so far, by the key of its entry.
    ``own_codes`` is the user's code that tasks may run, by digest; its files are on this machine if
    ``has_own_files``.
    """

    workers: Workers
    display: TaskDisplay
    tracker: TaskTracker
    log: TaskLog
    forced: set[str]
    stacks: SeedStacks
    computed: set[str] = field(default_factory=set)
    task_calls: dict[str, TaskCall] = field(default_factory=dict)
    own_codes: Mapping[str, OwnCode] = field(default_factory=dict)
    has_own_files: bool = True


@dataclass
class InvocationSession(Session):
    """The session in the process that runs the invocation."""

    if TYPE_CHECKING:  # the same attributes, which have more methods here
        workers: "InvocationWorkers"
        display: Display
        tracker: Tracker
        log: InvocationLog


class InvocationWorkers(Workers, Protocol):
    """Workers as used by the process that runs the invocation."""

    @property
    def dask_context(self) -> TaskContext | None:
        """What tasks on a cluster need of the invocation; None for workers on this machine."""

    def listen(self, session: InvocationSession) -> None:
        """Pass messages from tasks on other machines to the session."""

    def stop(self) -> None:
        """Stop running computations."""


_running: InvocationSession | None = None
session_of_task: ContextVar[Session | None] = ContextVar("session_of_task", default=None)


def current_session() -> Session:
    """The session of the running flow or task. Raises RuntimeError outside a study flow."""
    session = session_of_task.get() or _running
    if session is None:
        raise RuntimeError("tasks run inside a study flow; start one with 'study run'")
    return session


@contextmanager
def task_session(session: Session) -> Iterator[None]:
    """Use this session in this thread: that of one task for an invocation on another machine."""
    token = session_of_task.set(session)
    try:
        yield
    finally:
        session_of_task.reset(token)


def stop_workers() -> InvocationSession | None:
    """Stop the workers of the running session, if there is one, and return the session."""
    if _running is not None:
        _running.workers.stop()
    return _running


@contextmanager
def open_session(
    workers: InvocationWorkers,
    tracker: Tracker,
    log: InvocationLog,
    forced: set[str],
    stack_size: int = 1,
    log_line: Callable[[int, str], None] = log_nothing,
    own_codes: Mapping[str, OwnCode] | None = None,
) -> Iterator[InvocationSession]:
    """Open the session of one invocation. Its workers are stopped at the end, also after an error.

    ``stack_size`` is the number of models that differ only in their seed and are trained together.
    ``log_line`` is called with what the display shows, as a level and a line. ``own_codes`` is the
    user's code that tasks may run, by digest.
    """
    global _running
    snapshot_code()  # before any worker starts, so that workers run the code that is in the keys
    with new_display(log_line) as display:
        stacks = SeedStacks(stack_size)
        _running = InvocationSession(
            workers, display, tracker, log, forced, stacks, own_codes=own_codes or {}
        )
        workers.listen(_running)
        try:
            yield _running
        finally:
            workers.stop()
            _running = None
