"""The study as Prefect flows: one root flow, and one flow per section."""

import gc
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from flows.configuration.study_config import SECTIONS, Section, StudyConfig
from flows.lifecycle.recovery import close_crashed_invocations
from flows.lifecycle.task_runners import open_runner
from flows.prefect_graph import PrefectGraph, reason
from flows.sections import described, submit_report, submit_sections
from tasks.execution.invocations import InvocationLog
from tasks.execution.publish_report import publish_report
from tasks.execution.session import open_session
from tasks.tracking.tracker import Tracker


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
            open_runner(config.runner, log.id, forced) as (runner, workers),
            open_session(workers, tracker, log, forced, stack) as session,
        ):
            graph = PrefectGraph(session, runner)
            try:
                submit_sections(graph, config, sections)
            finally:  # otherwise tasks that wait for it keep the process from ending
                session.stacks.close()
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


def finish(graph: PrefectGraph, config: StudyConfig, sections: tuple[Section, ...]) -> list[str]:
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
