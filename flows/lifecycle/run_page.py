"""What Prefect's page shows of a run beside its states: log lines, and its results at the end."""

import logging
import re
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from uuid import UUID

from httpx import HTTPStatusError
from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import FailedRun, ObjectNotFound
from prefect.logging import get_run_logger
from prefect.runtime import deployment, flow_run
from prefect.states import Cancelled

from flows.configuration.titles import dated
from tasks.cache.canonical import JsonObject
from tasks.cache.entry import Entry
from tasks.reporting.page import PAGE
from tasks.system.polling import wait_until
from tasks.system.user_warnings import one_line
from tasks.tracking.descriptions import as_text, finding_list, verdict_table

Log = Callable[[int, str], None]  # a level of the module logging, and a line

RECORD_SECONDS = 5.0  # for Prefect's server to store the end of a task
MODELS_SHOWN = 100


@contextmanager
def run_log() -> Iterator[Log]:
    """Adds lines to the logs of the flow run, from any thread; warnings are added, too."""
    logging.raiseExceptions = False  # a line that the server does not take is not printed
    logger = get_run_logger()
    logging.getLogger("prefect.flow_runs").addFilter(without_failed_run)
    show = warnings.showwarning

    def show_and_log(message: Warning | str, *rest: object) -> None:
        show(message, *rest)  # type: ignore[arg-type]
        logger.warning(one_line(str(message)))

    warnings.showwarning = show_and_log  # type: ignore[assignment]
    try:
        yield logger.log
    finally:
        warnings.showwarning = show


def without_failed_run(record: logging.LogRecord) -> bool:
    """Drops Prefect's traceback of a failed run, whose state and lines say what failed."""
    return not (record.exc_info and isinstance(record.exc_info[1], FailedRun))


@contextmanager
def only_warns() -> Iterator[None]:
    """Warns of an error instead of raising it: what the page lacks must not fail a study."""
    try:
        yield
    except Exception as error:
        why = one_line(str(error)) or type(error).__name__
        if isinstance(error, HTTPStatusError):  # Prefect's text holds its address and a link
            why = f"error {error.response.status_code}"
        warnings.warn(f"Prefect's page does not show all of this run: {why}", stacklevel=2)


def name_scheduled_run(title: str) -> None:
    """Give a run that Prefect scheduled, and named by chance, the title that others have."""
    if deployment.id:
        with only_warns(), get_client(sync_client=True) as client:
            client.update_flow_run(UUID(flow_run.id), name=dated(title, time.time()))


def end_skipped_tasks(skipped: Mapping[UUID, tuple[str, str]]) -> None:
    """Give an end and a name to task runs that did not run: name and reason by id.

    Prefect leaves them in a state that is no end, and draws a bar for them that grows for ever.
    """
    if not skipped:
        return
    with only_warns(), get_client(sync_client=True) as client:
        for identifier, (name, why) in skipped.items():
            state: State = Cancelled(name="Skipped", message=why)
            if wait_until(partial(_set_state, client, identifier, state), RECORD_SECONDS):
                client.set_task_run_name(identifier, name)


def _set_state(client: SyncPrefectClient, identifier: UUID, state: State) -> bool:
    """Returns False if the server does not know the task run yet."""
    try:
        client.set_task_run_state(identifier, state, force=True)
    except ObjectNotFound:
        return False
    return True


def show_results(
    study: str,
    failures: list[str],
    summary: str,
    verdicts: list[JsonObject],
    models: list[Entry],
    addresses: Mapping[str, str],
    findings: Sequence[str] = (),
) -> None:
    """Create the artifacts of a run: its results as text, and a link to the report in MLflow.

    ``addresses`` are those of MLflow runs by key, that of the parent run under ``""``.
    """
    with only_warns():
        create_markdown_artifact(
            results_markdown(study, failures, summary, verdicts, models, addresses, findings),
            key=artifact_key(study, "results"),
            description=f"Results of the study {as_text(study)}",
        )
        if summary and "" in addresses:  # there is a report
            create_link_artifact(
                f"{addresses['']}/artifacts/{PAGE}",
                link_text=f"Report of {study}",
                key=artifact_key(study, "report"),
                description=f"The report page of the study {as_text(study)} in MLflow",
            )


def artifact_key(study: str, what: str) -> str:
    """A key that Prefect takes: small letters, digits and dashes."""
    return f"{re.sub('[^a-z0-9]+', '-', study.lower()).strip('-')}-{what}"


def results_markdown(
    study: str,
    failures: list[str],
    summary: str,
    verdicts: list[JsonObject],
    models: list[Entry],
    addresses: Mapping[str, str],
    findings: Sequence[str] = (),
) -> str:
    """The text of the artifact; ``summary`` is that of the verdicts."""
    lines = [f"# Study {as_text(study)}", ""]
    if failures:
        lines += ["## What failed", "", *(f"- {_verbatim(failure)}" for failure in failures), ""]
    parent = addresses.get("")
    if parent:
        lines += [f"[Report]({parent}/artifacts/{PAGE}) and [run]({parent}) in MLflow", ""]
    if findings:
        lines += ["## Findings", "", *finding_list(findings)]
    if verdicts:
        lines += ["## Verdicts", "", *verdict_table(summary, verdicts), ""]
    if models:
        by_loss = sorted(models, key=_test_loss)
        lines += ["## Autoencoders", "", "| model | test MSE | |", "|---|---|---|"]
        for entry in by_loss[:MODELS_SHOWN]:
            link = f"[MLflow]({addresses[entry.key]})" if entry.key in addresses else ""
            lines.append(f"| {_verbatim(entry.name)} | {_test_loss(entry):.5f} | {link} |")
        if len(by_loss) > MODELS_SHOWN:
            lines.append(f"| and {len(by_loss) - MODELS_SHOWN} more | | |")
    return "\n".join(lines)


def _verbatim(text: str) -> str:
    """A text in markdown that shows as it is, also in a table: it may be somebody else's."""
    return f"`{re.sub(r'[`|]', '?', one_line(text))}`"


def _test_loss(entry: Entry) -> float:
    return float(entry.result["metrics"]["final_test_loss"])
