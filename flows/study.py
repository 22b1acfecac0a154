"""The study as Prefect flows: one root flow, and one flow per section."""

import gc
import re
from asyncio import CancelledError
from threading import Event
from typing import Any

from prefect import flow
from prefect.futures import PrefectFuture
from prefect.runtime import flow_run
from prefect.states import Completed, Crashed, Failed, State
from prefect.task_runners import TaskRunner

from flows.config import SECTIONS, Section, StudyConfig
from flows.recovery import close_crashed_invocations
from flows.runners import engines
from flows.sections import described, submit_report, submit_sections
from tasks.door import Held, as_task, hold
from tasks.invocations import InvocationLog
from tasks.publish import publish_report
from tasks.report import report
from tasks.session import Session, open_session
from tasks.step import Step
from tasks.store import Entry
from tasks.tracking.tracker import Tracker

TELLING_SECONDS = 10.0
OUTCOMES = {"Cached": "cached", "NotReady": "skipped"}
SELF_EXPLAINING = (
    "CodeChangedError",
    "DatasetError",
    "DivergedError",
    "WorkerDiedError",
)


class LiveGraph:
    """The tasks of one invocation as Prefect runs them."""

    def __init__(self, session: Session, runner: TaskRunner[Any]):
        self.session, self.runner = session, runner
        self.futures: dict[str, PrefectFuture[Held]] = {}
        self.groups: dict[str, list[str]] = {}
        self._told: dict[str, Event] = {}

    def submit(
        self, step: Step, label: str, group: str | None = None, **inputs: Any
    ) -> PrefectFuture[Held]:
        """Submit one task to Prefect; the display and the record follow it."""
        name = f"{step.name}[{label}]"
        self.session.stacks.add(step, name, inputs)
        task = as_task(step, self.session.workers.errand).with_options(task_run_name=name)
        future = self.runner.submit(task, parameters=hold(inputs))
        self.futures[name] = future
        self.session.display.expect(len(self.futures) + (step is not report))
        self.groups.setdefault(group or step.name, []).append(name)
        self._told[name] = Event()
        future.add_done_callback(lambda done: self._tell(name, done))
        return future

    def _tell(self, name: str, future: PrefectFuture[Held]) -> None:
        try:
            state = final_state(future)
        except CancelledError:  # the study ends for another reason, and tells it
            return
        completed = state.is_completed()
        outcome = OUTCOMES.get(str(state.name), "done" if completed else "failed")
        why = "" if completed else reason(state)
        if outcome == "done":
            self.session.computed.add(name)
        if completed or not self.session.workers.stopped:  # else it was interrupted
            self.session.log.task(name, outcome=outcome, reason=why)
        self.session.display.end(name, outcome, why)
        self._told[name].set()

    def settle(self) -> None:
        """Wait until every task is over, and the display and the record know."""
        for name, future in self.futures.items():
            future.wait()
            self._told[name].wait(TELLING_SECONDS)

    def wait(self) -> tuple[dict[str, list[Entry]], list[str]]:
        """Wait for every task; the entries by kind of task, and what failed and why."""
        self.settle()
        states = {name: final_state(future) for name, future in self.futures.items()}
        groups: dict[str, list[Entry]] = {}
        for kind, names in self.groups.items():
            done = [self.futures[name] for name in names if states[name].is_completed()]
            groups[kind] = [future.result().entry for future in done]
        missing = {name: state for name, state in states.items() if not state.is_completed()}
        failed = {name: state for name, state in missing.items() if state.name != "NotReady"}
        failures = [f"{name}: {reason(state)}" for name, state in failed.items()]
        if len(missing) > len(failed):
            failures.append(f"{len(missing) - len(failed)} tasks that need what failed did not run")
        return groups, failures


def final_state(future: PrefectFuture[Held]) -> State:
    """How a task ended, also if no worker could tell."""
    future.wait()
    state = future.state
    error = None if state.is_final() else future.wrapped_future.exception()  # type: ignore[attr-defined]
    if error is None:
        return state
    if isinstance(error, ModuleNotFoundError):
        error = f"{error} on a Dask worker; install latent-study there"
    return Crashed(message=f"no worker could finish it: {error}")


def reason(state: State) -> str:
    """Why a task did not complete, in one line."""
    text = (state.message or state.name or "").strip().splitlines()[0]
    text = re.sub(r"^(Task|Flow) run encountered an exception:? ", "", text)
    return re.sub(f"^({'|'.join(SELF_EXPLAINING)}): ", "", text)


def run_sections(config: StudyConfig, sections: tuple[Section, ...], force: list[str]) -> State:
    """Run these sections, write the report, close the parent run; Failed names what failed."""
    close_crashed_invocations()
    log = InvocationLog(config.name, config.model_dump(mode="json"), list(sections))
    log.note(flow_run_id=flow_run.id)
    tracker: Tracker | None = None
    # a retry of the flow run computes again what is missing, not what was forced and is there
    forced = set(force) if flow_run.run_count == 1 else set()
    try:
        tracker = Tracker(config.name, log.id)
        tracker.start_study(described(config, sections))
        gc.freeze()  # what was imported stays
        stack = config.runner.models_at_once
        with (
            engines(config.runner, log.id, forced) as (runner, workers),
            open_session(workers, tracker, log, forced, stack) as session,
        ):
            graph = LiveGraph(session, runner)
            try:
                submit_sections(graph, config, sections)
            finally:  # or tasks that wait for it hold the process up
                session.stacks.complete()
            failures = finish(graph, config, sections)
    except Exception as error:
        log.end("FAILED", str(error))
        if tracker is not None:
            tracker.finish_study("FAILED", {}, {"study.failures": str(error)})
        raise
    except BaseException:  # Prefect turns SIGTERM into an exception
        if tracker is not None:
            tracker.interrupt()
        log.end("CANCELLED", "interrupted")
        raise
    counts = session.display.counts
    summary = ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n)
    if failures:
        summary = f"{counts['failed']} of {len(graph.futures)} failed: {'; '.join(failures)}"
    tracker.finish_study(
        "FAILED" if failures else "FINISHED",
        metrics={f"tasks_{outcome}": n for outcome, n in counts.items()},
        tags={"study.failures": summary if failures else ""},
    )
    log.end("FAILED" if failures else "COMPLETED", summary)
    return Failed(message=summary) if failures else Completed(message=summary)


def finish(graph: LiveGraph, config: StudyConfig, sections: tuple[Section, ...]) -> list[str]:
    """Wait for every task, write and publish the report; what failed and why."""
    groups, failures = graph.wait()
    page = submit_report(graph, config, sections, groups, failures)
    graph.settle()
    if page.state.is_completed():
        session = graph.session
        publish_report(config.name, page.result().entry, groups, session.tracker, session.computed)
    else:
        failures.append(f"report[{config.name}]: {reason(page.state)}")
    return failures


@flow(name="study", persist_result=False)
def study(
    config: StudyConfig,
    sections: list[Section] = list(SECTIONS),  # noqa: B006
    force: list[str] = [],  # noqa: B006
) -> State:
    """Everything: data, training, evaluation, walks, correlation, transfer, theory, report.

    Args:
        config: The study; what is not given has its default.
        sections: What to do of it, with the trainings that this needs.
        force: Task runs to compute again though they are in the store, by name.
    """
    return run_sections(config, tuple(sections), force)


def section_flow(section: Section) -> Any:
    """A flow of one section; it reuses what is trained and trains what it needs."""

    @flow(name=section.replace("_", "-"), persist_result=False)
    def one_section(config: StudyConfig, force: list[str] = []) -> State:  # noqa: B006
        """One section of a study, with the trainings that it needs.

        Args:
            config: The study; what is not given has its default.
            force: Task runs to compute again though they are in the store, by name.
        """
        return run_sections(config, (section,), force)

    return one_section


latent_sweep = section_flow("latent_sweep")
depth_sweep = section_flow("depth_sweep")
interpolation = section_flow("interpolation")
decorrelation = section_flow("decorrelation")
transfer_learning = section_flow("transfer")
theory_exercises = section_flow("theory")

SECTION_FLOWS = {
    "latent_sweep": latent_sweep,
    "depth_sweep": depth_sweep,
    "interpolation": interpolation,
    "decorrelation": decorrelation,
    "transfer": transfer_learning,
    "theory": theory_exercises,
}
