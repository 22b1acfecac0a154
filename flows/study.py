"""The study as Prefect flows: one root flow, and one flow per section."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from prefect import Flow, flow
from prefect.client.schemas.objects import State
from prefect.runtime import deployment, flow_run
from prefect.states import Completed, Failed

from flows.configuration.own_code import allowed_digests, own_codes, read_own_code
from flows.configuration.study_config import SECTIONS, Section, StudyConfig
from flows.lifecycle.automations import watch_this_run
from flows.lifecycle.due_runs import cancel_due_runs
from flows.lifecycle.interrupts import stopped_by_signals
from flows.lifecycle.recovery import close_crashed_invocations, close_forgotten_runs
from flows.lifecycle.run_page import Log, end_skipped_tasks, run_log, show_results
from flows.lifecycle.task_runners import open_runners
from flows.prefect_graph import PrefectGraph, reason
from flows.sections import check_dataset, study_parameters, submit_report, submit_sections
from tasks.analysis.blind_edge import warning_of_entries
from tasks.cache.canonical import JsonObject
from tasks.cache.entry import Entry
from tasks.execution.invocations import InvocationLog
from tasks.execution.publish_report import publish_report
from tasks.execution.session import open_session
from tasks.system.disk_errors import DiskError, disk_errors
from tasks.tracking.tracker import Tracker


def run_sections(config: StudyConfig, sections: tuple[Section, ...], force: list[str]) -> State:
    """Run these sections, write the report, close the parent run; Failed names what failed.

    Raises DiskError if nothing can be written; what was finished before is kept.
    """
    with stopped_by_signals(), disk_errors(), run_log() as log_line:
        close_crashed_invocations()
        close_forgotten_runs()
        watch_this_run()
        cancel_due_runs()
        state = _run_invocation(config, sections, force, log_line)
        cancel_due_runs()
        return state


def _run_invocation(
    config: StudyConfig, sections: tuple[Section, ...], force: list[str], log_line: Log
) -> State:
    config = read_own_code(config, allowed_digests() if deployment.id else None)
    log = InvocationLog(config.name, config.model_dump(mode="json"), list(sections))
    log.note(flow_run_id=flow_run.id)
    # a retry of the flow run computes what is missing, and not again what was forced
    forced = set(force) if flow_run.run_count == 1 else set()
    with _parent_run(log, config, sections) as tracker:
        gc.freeze()  # no collection searches what was imported
        with _open_graph(config, log, tracker, forced, log_line) as graph:
            _submit(graph, config, sections)
            failures = _report(graph, config, sections)
        return _close(graph, log, tracker, failures)


@contextmanager
def _parent_run(
    log: InvocationLog, config: StudyConfig, sections: tuple[Section, ...]
) -> Iterator[Tracker]:
    """Open the parent run in MLflow. An exception closes it and the record, and is raised again."""
    tracker: Tracker | None = None
    try:
        tracker = Tracker(config.name, log.id)
        with disk_errors():
            tracker.start_study(study_parameters(config, sections))
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
    config: StudyConfig, log: InvocationLog, tracker: Tracker, forced: set[str], log_line: Log
) -> Iterator[PrefectGraph]:
    """Open a graph whose tasks run where the study says, in a session of their own."""
    stack_size, own = config.runner.stack_size, own_codes(config)
    with (
        open_runners(config.runner, log.id, forced, own) as (runners, workers),
        open_session(workers, tracker, log, forced, stack_size, log_line, own) as session,
    ):
        yield PrefectGraph(session, runners)


def _submit(graph: PrefectGraph, config: StudyConfig, sections: tuple[Section, ...]) -> None:
    try:
        for note in check_dataset(config, sections):
            graph.session.display.print_line(f"note: {note}")
        submit_sections(graph, config, sections)
    finally:  # otherwise tasks that wait for it keep the process from ending
        graph.session.stacks.mark_all_submitted()


def _report(graph: PrefectGraph, config: StudyConfig, sections: tuple[Section, ...]) -> list[str]:
    """Wait for every task, write and publish the report. Returns what failed and why."""
    groups, failures = graph.wait_for_entries()
    warning = warning_of_entries(groups.get("evaluate", []), groups.get("train", []))
    if warning:
        graph.session.display.print_line(f"warning: {warning}")
    for line in not_packaged(groups.get("package", [])):
        graph.session.display.print_line(f"note: {line}")
    page = submit_report(graph, config, sections, groups, failures)
    graph.wait_until_recorded()
    verdicts, summary = [], ""
    if page.state.is_completed():
        session, entry = graph.session, page.result().entry
        verdicts, summary = entry.result["verdicts"], entry.result["summary"]
        session.display.print_line(f"verdicts: {summary}")
        publish_report(config.name, entry, groups, session.tracker, session.computed)
    else:
        failures.append(f"report[{config.name}]: {reason(page.state)}")
    _show_on_prefects_page(graph, config.name, failures, summary, verdicts, groups)
    return failures


def not_packaged(packages: list[Entry]) -> list[str]:
    """One line for each network that could not be exported as an MLflow model."""
    return [
        f"{entry.name}: {part} is not packaged: {why}"
        for entry in packages
        for part, why in entry.result.get("not_packaged", {}).items()
    ]


def _show_on_prefects_page(
    graph: PrefectGraph,
    study: str,
    failures: list[str],
    summary: str,
    verdicts: list[JsonObject],
    groups: dict[str, list[Entry]],
) -> None:
    end_skipped_tasks(graph.skipped)
    models = groups.get("train", []) + groups.get("reported_encoder", [])
    addresses = graph.session.tracker.addresses({entry.key for entry in models})
    show_results(study, failures, summary, verdicts, models, addresses)


def _close(graph: PrefectGraph, log: InvocationLog, tracker: Tracker, failures: list[str]) -> State:
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
    log.end("FAILED" if failures else "COMPLETED", summary)
    return Failed(message=summary) if failures else Completed(message=summary)


@flow(name="study", persist_result=False)
def study(
    config: StudyConfig,
    sections: list[Section] = list(SECTIONS),  # noqa: B006
    force: list[str] = [],  # noqa: B006
) -> State:
    """The whole study: data, training, evaluation, interpolation, correlation, transfer, theory.

    Args:
        config: The study; settings that are not given have their defaults.
        sections: The sections to run, with the trainings that they need.
        force: Names of task runs to compute again although they are in the store.
    """
    return run_sections(config, tuple(sections), force)


def section_flow(section: Section) -> Flow[..., State]:
    """The flow of one section. It reuses trained models and trains the others that it needs."""

    @flow(name=section.replace("_", "-"), persist_result=False)
    def one_section(config: StudyConfig, force: list[str] = []) -> State:  # noqa: B006
        """One section of a study, with the trainings that it needs.

        Args:
            config: The study; settings that are not given have their defaults.
            force: Names of task runs to compute again although they are in the store.
        """
        return run_sections(config, (section,), force)

    return one_section


latent_sweep = section_flow("latent_sweep")
depth_sweep = section_flow("depth_sweep")
objective_sweep = section_flow("objective_sweep")
interpolation = section_flow("interpolation")
decorrelation = section_flow("decorrelation")
transfer_learning = section_flow("transfer")
theory_exercises = section_flow("theory")

SECTION_FLOWS = {
    "latent_sweep": latent_sweep,
    "depth_sweep": depth_sweep,
    "objective_sweep": objective_sweep,
    "interpolation": interpolation,
    "decorrelation": decorrelation,
    "transfer": transfer_learning,
    "theory": theory_exercises,
}
