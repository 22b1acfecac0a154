"""What one invocation shares among its tasks: workers, display, tracker, its record."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tasks.cache.code_digest import read_code
from tasks.cache.entry import Entry
from tasks.cache.identity import Identity
from tasks.cache.step import Step
from tasks.execution.invocations import InvocationLog
from tasks.execution.progress import Display
from tasks.execution.seed_stacks import SeedStacks
from tasks.execution.workers import Event, Workers
from tasks.tracking.run_plan import RunPlan
from tasks.tracking.tracker import Tracker


class TaskDisplay(Protocol):
    """What a task tells the person who started the study."""

    def begin(self, name: str) -> None:
        """A task starts computing."""

    def epoch(self, name: str, event: Event) -> None:
        """A task reports an epoch."""

    def warn(self, text: str) -> None:
        """A warning of a task."""


class TaskTracker(Protocol):
    """What a task logs to MLflow."""

    def begin(self, plan: RunPlan) -> None:
        """A computation starts."""

    def log_epoch(self, plan: RunPlan, event: Event) -> None:
        """One epoch's losses."""

    def log_entry(self, plan: RunPlan, entry: Entry) -> None:
        """Everything that an entry shows."""

    def fail(self, plan: RunPlan, status: str) -> None:
        """A computation failed."""


class TaskLog(Protocol):
    """What a task adds to the record of its invocation."""

    def task(self, name: str, **fields: Any) -> None:
        """Add to the record of one task."""


class Performed(NamedTuple):
    """How a task of this invocation is computed again."""

    step: Step
    identity: Identity
    inputs: dict[str, Any]


@dataclass
class Session:
    """What the tasks of one invocation share.

    ``forced`` names the tasks to compute though they are in the store, ``computed`` those that were
    computed; ``performed`` says how to compute an entry again, by its key.
    """

    workers: Workers
    display: TaskDisplay
    tracker: TaskTracker
    log: TaskLog
    forced: set[str]
    stacks: SeedStacks
    computed: set[str] = field(default_factory=set)
    performed: dict[str, Performed] = field(default_factory=dict)


@dataclass
class InvocationSession(Session):
    """The session in the process that runs the invocation."""

    if TYPE_CHECKING:  # the same attributes with all that they can do
        workers: "InvocationWorkers"
        display: Display
        tracker: Tracker
        log: InvocationLog


class InvocationWorkers(Workers, Protocol):
    """Workers as the process sees them that runs the invocation."""

    @property
    def dask_context(self) -> Any:
        """What tasks on a cluster need to know of the invocation; None for workers here."""

    def listen(self, session: InvocationSession) -> None:
        """Pass on to the session what tasks elsewhere tell."""

    def stop(self) -> None:
        """Stop running computations."""


_current: InvocationSession | None = None
of_task: ContextVar[Session | None] = ContextVar("of_task", default=None)


def current_session() -> Session:
    """The session of the running flow or task. Raises RuntimeError outside a study flow."""
    session = of_task.get() or _current
    if session is None:
        raise RuntimeError("tasks run inside a study flow; start one with 'study run'")
    return session


@contextmanager
def task_session(session: Session) -> Iterator[None]:
    """In here, in this thread, the session is that of one task for an invocation elsewhere."""
    token = of_task.set(session)
    try:
        yield
    finally:
        of_task.reset(token)


def interrupt() -> InvocationSession | None:
    """Kill the workers of the running session, if there is one, and return it."""
    if _current is not None:
        _current.workers.stop()
    return _current


@contextmanager
def open_session(
    workers: InvocationWorkers,
    tracker: Tracker,
    log: InvocationLog,
    forced: set[str],
    stack: int = 1,
) -> Iterator[InvocationSession]:
    """A session for one invocation; the workers are stopped at its end, whatever happens.

    ``stack`` is how many models that differ in their seed only are trained together.
    """
    global _current
    read_code()  # before any worker starts, so that no worker runs other code than the keys say
    with Display() as display:
        _current = InvocationSession(workers, display, tracker, log, forced, SeedStacks(stack))
        workers.listen(_current)
        try:
            yield _current
        finally:
            workers.stop()
            _current = None
