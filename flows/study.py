"""The study as Prefect flows: one root flow, and one flow per section."""

from prefect import Flow, flow
from prefect.client.schemas.objects import State
from prefect.runtime import deployment

from flows.configuration.own_code import allowed_digests, own_codes, read_own_code
from flows.configuration.study_config import SECTIONS, Section, StudyConfig
from flows.configuration.titles import run_title
from flows.invocation import Asked, open_run, run_invocation
from flows.lifecycle.run_page import end_skipped_tasks, name_scheduled_run, show_results
from flows.prefect_graph import PrefectGraph, reason
from flows.sections import check_dataset, study_parameters, submit_report, submit_sections
from tasks.analysis.blind_edge import warning_of_entries
from tasks.cache.canonical import JsonObject
from tasks.cache.entry import Entry
from tasks.execution.publish_report import publish_report
from tasks.steps.report import report
from tasks.verdicts.findings import sentences


def run_sections(config: StudyConfig, sections: tuple[Section, ...], force: list[str]) -> State:
    """Run these sections, write the report, close the parent run; Failed names what failed.

    Raises DiskError if nothing can be written; what was finished before is kept.
    """
    with open_run() as log_line:
        config = read_own_code(config, allowed_digests() if deployment.id else None)
        title = run_title(config, sections)
        name_scheduled_run(title)

        def work(graph: PrefectGraph) -> list[str]:
            _submit(graph, config, sections)
            return _report(graph, config, sections)

        asked = Asked(
            config.name,
            config.model_dump(mode="json"),
            sections,
            study_parameters(config, sections),
            config.runner,
            force,
            own_codes(config),
            last=report,
            title=title,
        )
        return run_invocation(asked, work, log_line)


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
    findings: list[str] = []
    if page.state.is_completed():
        session, entry = graph.session, page.result().entry
        verdicts, summary = entry.result["verdicts"], entry.result["summary"]
        for line in entry.result.get("warnings", []):  # earlier versions wrote none
            session.display.print_line(f"warning: {line}")
        findings = sentences(entry.result.get("findings", []))
        for sentence in findings:
            session.display.print_line(f"finding: {sentence}")
        session.display.print_line(f"verdicts: {summary}")
        publish_report(config.name, entry, groups, session.tracker, session.computed)
    else:
        failures.append(f"report[{config.name}]: {reason(page.state)}")
    _show_on_prefects_page(graph, config.name, failures, summary, verdicts, groups, findings)
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
    findings: list[str],
) -> None:
    end_skipped_tasks(graph.skipped)
    models = groups.get("train", []) + groups.get("reported_encoder", [])
    addresses = graph.session.tracker.addresses({entry.key for entry in models})
    show_results(study, failures, summary, verdicts, models, addresses, findings)


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
representation = section_flow("representation")
transfer_learning = section_flow("transfer")
theory_exercises = section_flow("theory")

SECTION_FLOWS = {
    "latent_sweep": latent_sweep,
    "depth_sweep": depth_sweep,
    "objective_sweep": objective_sweep,
    "interpolation": interpolation,
    "decorrelation": decorrelation,
    "representation": representation,
    "transfer": transfer_learning,
    "theory": theory_exercises,
}
