"""Runs the tasks of one invocation with Prefect."""

import re
import warnings
from asyncio import CancelledError
from threading import Event
from uuid import UUID

from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.states import Crashed

from flows.lifecycle.task_runners import Runners
from tasks.cache.entry import Entry
from tasks.cache.identity import Identity, task_name
from tasks.cache.step import Step
from tasks.execution.prefect_task import OpaqueEntry, prefect_task, wrap_entries
from tasks.execution.session import InvocationSession
from tasks.system.disk_errors import DiskError, disk_errors

RECORD_SECONDS = 10.0  # for the display and the record to show that a task ended
OUTCOME_OF_STATE = {"Cached": "cached", "NotReady": "skipped"}  # other states are done or failed
UPSTREAM = re.compile(r"Upstream task run '([0-9a-f-]{36})' did not reach a 'COMPLETED' state\.?")
CLEAR_ERRORS = (  # their messages are clear without the name of the class
    "CodeChangedError",
    "ConfigError",
    "DatasetError",
    "DiskError",
    "DivergedError",
    "UnusableEntryError",
    "WorkerDiedError",
)


class PrefectGraph:
    """Submits tasks to Prefect; the display and the record show how each ends."""

    def __init__(self, session: InvocationSession, runners: Runners, last: Step | None = None):
        self.session, self.runners = session, runners
        self._last = last  # the step that is submitted after all others, which the total counts
        self.futures: dict[str, PrefectFuture[OpaqueEntry]] = {}
        self.groups: dict[str, list[str]] = {}
        self.skipped: dict[UUID, tuple[str, str]] = {}  # name and reason by id of the task run
        self._names: dict[UUID, str] = {}
        self._finished: dict[str, Event] = {}
        self._disk_error: DiskError | None = None  # the first, for which everything else is stopped
        self._is_recorded = True  # whether the record has the end of every task

    def submit(
        self, step: Step, identity: Identity, group: str | None = None, **inputs: object
    ) -> PrefectFuture[OpaqueEntry]:
        """Submit one task. Its inputs may hold futures of upstream tasks."""
        name = task_name(step.name, identity)
        self.session.stacks.add(step, identity, inputs)
        context = self.session.workers.dask_context if step.shared else None
        runner = self.runners.shared if step.shared else self.runners.here
        task = prefect_task(step, context)
        future: PrefectFuture[OpaqueEntry] = runner.submit(
            task.with_options(task_run_name=name),
            parameters={"inputs": wrap_entries(inputs), "identity": identity},
        )
        self.futures[name] = future
        self._names[future.task_run_id] = name
        follows = self._last is not None and step is not self._last
        self.session.display.set_total(len(self.futures) + follows)
        self.groups.setdefault(group or step.name, []).append(name)
        if group is not None:
            self.session.log.task(name, group=group)
        self._finished[name] = Event()
        future.add_done_callback(lambda done: self._on_finished(name, done))
        return future

    def _on_finished(self, name: str, future: PrefectFuture[OpaqueEntry]) -> None:
        """Show and record how a task ended. An error in this affects no other task."""
        try:
            with disk_errors():
                self._show_and_record(name, future)
        except CancelledError:  # the study ends with another error, which it reports
            pass
        except DiskError as error:
            self._stop(error)
        except Exception as error:
            if self._is_recorded:  # the same error for every task is said once
                self._is_recorded = False
                why = f"{type(error).__name__}: {error}"
                warnings.warn(f"{name}: its end is not in the record ({why})", stacklevel=2)
        finally:
            self._finished[name].set()

    def _show_and_record(self, name: str, future: PrefectFuture[OpaqueEntry]) -> None:
        state = final_state(future)
        completed = state.is_completed()
        stopped = self.session.workers.stopped and not completed  # by an interrupt or a full disk
        error = state.result(raise_on_failure=False) if state.is_failed() else None
        if isinstance(error, DiskError):
            self._stop(error)
        if stopped and self._disk_error is None:  # it was interrupted
            return
        outcome = OUTCOME_OF_STATE.get(str(state.name), "done" if completed else "failed")
        why = "" if completed else self._reason(state)
        if outcome == "done":
            self.session.computed.add(name)
            for note in future.result().entry.result.get("notes", []):
                self.session.display.print_line(f"{name}: {note}")
        elif outcome == "skipped":
            self.skipped[future.task_run_id] = (name, why)
        try:
            if not stopped:
                self.session.log.task(name, outcome=outcome, reason=why)
        finally:
            self.session.display.end(name, "skipped" if stopped else outcome, why)

    def _stop(self, error: DiskError) -> None:
        """End every task soon: none can be stored."""
        if self._disk_error is None:
            self._disk_error = error
            self.session.workers.stop()

    def _reason(self, state: State) -> str:
        """Why a task did not complete; it names the tasks that Prefect gives by their ids."""

        def name(found: re.Match[str]) -> str:
            return f"{self._names.get(UUID(found[1]), found[1])} did not complete"

        return UPSTREAM.sub(name, reason(state))

    def wait_until_recorded(self) -> None:
        """Wait until every task has ended, and the display and the record show it.

        Raises DiskError if one of them could not be stored because nothing can be written.
        """
        for name, future in self.futures.items():
            future.wait()
            self._finished[name].wait(RECORD_SECONDS)
        if self._disk_error is not None:
            raise self._disk_error

    def wait_for_entries(self) -> tuple[dict[str, list[Entry]], list[str]]:
        """Wait for every task. Returns the entries by group, and what failed and why.

        Raises DiskError as ``wait_until_recorded``.
        """
        self.wait_until_recorded()
        states = {name: final_state(future) for name, future in self.futures.items()}
        groups: dict[str, list[Entry]] = {}
        for group, names in self.groups.items():
            done = [self.futures[name] for name in names if states[name].is_completed()]
            groups[group] = [future.result().entry for future in done]
        missing = {name: state for name, state in states.items() if not state.is_completed()}
        failed = {name: state for name, state in missing.items() if state.name != "NotReady"}
        failures = [f"{name}: {self._reason(state)}" for name, state in failed.items()]
        if len(missing) > len(failed):
            failures.append(f"{len(missing) - len(failed)} tasks that depend on them did not run")
        return groups, failures


def final_state(future: PrefectFuture[OpaqueEntry]) -> State:
    """The state in which a task ended; Crashed if no worker reported one."""
    future.wait()
    state = future.state
    error = None if state.is_final() else future.wrapped_future.exception()  # type: ignore[attr-defined]
    if error is None:
        return state
    if isinstance(error, ModuleNotFoundError):
        error = f"{error} on a Dask worker; install latent-study there"
    return Crashed(message=f"no worker reported how it ended: {error}")


def reason(state: State) -> str:
    """Why a task did not complete, in one line."""
    text = (state.message or state.name or "").strip().splitlines()[0]
    text = re.sub(r"^(Task|Flow) run encountered an exception:? ", "", text)
    return re.sub(f"^({'|'.join(CLEAR_ERRORS)}): ", "", text)
