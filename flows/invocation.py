"""One run of cached steps as a Prefect flow run: its record, its parent run in MLflow, its session.

``flows/study.py`` runs studies in it, ``flows/pipeline.py`` any other steps.
"""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.configuration.runner_config import RunnerConfig
from flows.configuration.titles import dated
from flows.lifecycle.automations import watch_this_run
from flows.lifecycle.due_runs import cancel_due_runs
from flows.lifecycle.interrupts import stopped_by_signals
from flows.lifecycle.recovery import close_crashed_invocations, close_forgotten_runs
from flows.lifecycle.run_page import Log, run_log
from flows.lifecycle.shown_progress import shown_progress
from flows.lifecycle.task_runners import open_runners
from flows.prefect_graph import PrefectGraph
from tasks.cache.canonical import JsonObject
from tasks.cache.step import Step
from tasks.execution.invocations import InvocationLog
from tasks.execution.session import open_session
from tasks.own_code.own_code import OwnCode
from tasks.system.disk_errors import DiskError, disk_errors
from tasks.system.invocation_names import begun
from tasks.tracking.tracker import Tracker

Work = Callable[[PrefectGraph], Sequence[str]]  # submits tasks, waits; returns what failed and why


@dataclass(frozen=True)
class Asked:
    """What one run is asked to do.

    ``config`` and ``sections`` go into the record of the run, ``parameters`` to its parent run in
    MLflow. ``force`` names tasks to compute although they are in the store. ``own_codes`` is the
    user's code that tasks may run, by digest. ``last`` is the step that is submitted when all
    others have ended, if there is one. Without ``uses_torch`` workers start faster. ``title`` is
    what people call the run, by default its name.
    """

    name: str
    config: JsonObject
    sections: Sequence[str]
    parameters: JsonObject
    runner: RunnerConfig
    force: Sequence[str] = ()
    own_codes: Mapping[str, OwnCode] = field(default_factory=dict)
    last: Step | None = None
    uses_torch: bool = True
    title: str = ""


@contextmanager
def open_run() -> Iterator[Log]:
    """Open and close a run, inside a flow: signals end it, and others that died are closed.

    Yields a function that adds a line to the log of the flow run. Raises DiskError if nothing can
    be written; what was finished before is kept.
    """
    with stopped_by_signals(), disk_errors(), run_log() as log_line:
        close_crashed_invocations()
        close_forgotten_runs()
        watch_this_run()
        cancel_due_runs()
        yield log_line
        cancel_due_runs()


def run_invocation(asked: Asked, work: Work, log_line: Log) -> State:
    """Do the work, close the parent run and the record. Failed names what failed."""
    log = InvocationLog(asked.name, asked.config, list(asked.sections))
    log.note(flow_run_id=flow_run.id)
    # a retry of the flow run computes what is missing, and not again what was forced
    forced = set(asked.force) if flow_run.run_count == 1 else set()
    with _parent_run(log, asked) as tracker:
        gc.freeze()  # no collection searches what was imported
        with (
            _open_graph(asked, log, tracker, forced, log_line) as graph,
            shown_progress(asked.name, graph.session.display.per_cent),
        ):
            failures = work(graph)
        return _close(graph, log, tracker, failures)


@contextmanager
def _parent_run(log: InvocationLog, asked: Asked) -> Iterator[Tracker]:
    """Open the parent run in MLflow. An exception closes it and the record, and is raised again."""
    tracker: Tracker | None = None
    try:
        tracker = Tracker(asked.name, log.id)
        with disk_errors():
            title = dated(asked.title or asked.name, begun(Path(log.id)) / 1_000_000)
            tracker.start_study(asked.parameters, title)
            yield tracker
    except DiskError as error:
        with suppress(OSError):
            log.end("FAILED", str(error))
        if tracker is not None:
            tracker.interrupt()
        raise
    except Exception as error:
        log.end("FAILED", str(error))
        if tracker is not None:
            tracker.finish_study("FAILED", {}, {"study.failures": str(error)})
        raise
    except BaseException:  # an interrupt; Prefect turns SIGTERM into an exception
        if tracker is not None:
            tracker.interrupt()
        log.end("CANCELLED", "interrupted")
        raise


@contextmanager
def _open_graph(
    asked: Asked, log: InvocationLog, tracker: Tracker, forced: set[str], log_line: Log
) -> Iterator[PrefectGraph]:
    """Open a graph whose tasks run where the runner says, in a session of their own."""
    runner, own = asked.runner, asked.own_codes
    with (
        open_runners(runner, log.id, forced, own, asked.uses_torch) as (runners, workers),
        open_session(workers, tracker, log, forced, runner.stack_size, log_line, own) as session,
    ):
        yield PrefectGraph(session, runners, asked.last)


def _close(
    graph: PrefectGraph, log: InvocationLog, tracker: Tracker, failures: Sequence[str]
) -> State:
    """Close the parent run and the record. Returns the state of the flow run."""
    counts = graph.session.display.counts
    summary = ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n)
    if failures:
        summary = f"{counts['failed']} of {len(graph.futures)} failed: {'; '.join(failures)}"
    tracker.finish_study(
        "FAILED" if failures else "FINISHED",
        metrics={f"tasks_{outcome}": n for outcome, n in counts.items()},
        tags={"study.failures": summary if failures else ""},
    )
    log.note(mlflow_run_id=tracker.parent_id)
    log.end("FAILED" if failures else "COMPLETED", summary)
    return Failed(message=summary) if failures else Completed(message=summary)
