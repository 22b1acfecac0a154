"""The writer carries out the operations of one invocation in MLflow.

An operation may be repeated, in this process or another, and logs nothing twice: runs are found by
their tags, and a repeated metric has the same time and value as before, so MLflow drops it.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import mlflow
from mlflow.entities import Metric, RunTag

from tasks.cache.canonical import JsonObject
from tasks.cache.entry import Entry
from tasks.reporting.page import PAGE, PageNote, fill_page
from tasks.system.invocation_names import to_the_second
from tasks.system.locks import mlflow_lock
from tasks.tracking.client import (
    DESCRIPTION_TAG,
    INVOCATION_TAG,
    KIND_TAG,
    STUDY_TAG,
    check_address,
    close_open_runs,
    connect,
    keep_most_complete,
    known_addresses,
    search_everywhere,
    tracking_errors,
)
from tasks.tracking.config import artifact_root, mlflow_config, page_address, tracking_uri
from tasks.tracking.descriptions import experiment_text, study_description
from tasks.tracking.entry_runs import EntryRuns, as_parameters, log_datasets
from tasks.tracking.run_plan import RunPlan, describe_dataset
from tasks.tracking.spool import Operation
from tasks.tracking.views import experiment_tags
from tasks.verdicts.findings import sentences
from tasks.verdicts.verdict_data import readings_of

if TYPE_CHECKING:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

VERDICTS_TAG = "verdicts"  # how many claims are decided, in one line
FindEntry = Callable[[list[str]], Entry | None]


class Writer:
    """The runs of one invocation of a study.

    ``find_entry`` gives the entry with this task and key, None if it is no longer stored. Creating
    a writer, ``apply`` and ``addresses`` raise TrackingError if MLflow fails.
    """

    def __init__(self, study: str, invocation: str, find_entry: FindEntry):
        with tracking_errors():
            self.client = connect()
            self.study, self.invocation, self.find_entry = study, invocation, find_entry
            self._addresses = known_addresses(self.client)
            self.experiment_id, self._tags = self._open_experiment()
            self.runs = EntryRuns(self.client, self.experiment_id, study, self._addresses)
            self.runs.parent_id = self._find_parent()
        self._operations: dict[str, Callable[..., None]] = {
            "start_study": self.start_study,
            "begin": self.runs.begin,
            "log_epoch": self.runs.log_epoch,
            "log_entry": self.log_entry,
            "fail": self.runs.fail,
            "log_summary": self.log_summary,
            "finish_study": self.finish_study,
            "close": self.close,
        }

    @property
    def parent_id(self) -> str | None:
        """The id of the invocation's parent run once it is open."""
        return self.runs.parent_id

    def apply(self, operation: Operation) -> None:
        """Carry out one operation: the one named in ``do``, with the other items as arguments.

        Raises LookupError if there is no such operation, and TypeError for other arguments than it
        has: a newer version may have written it.
        """
        carry_out = self._operations.get(operation["do"])
        if carry_out is None:
            raise LookupError("there is no such operation")
        arguments = {name: value for name, value in operation.items() if name != "do"}
        if "plan" in arguments:
            arguments["plan"] = RunPlan(**arguments["plan"])
        with tracking_errors():
            carry_out(**arguments)

    def addresses(self, keys: set[str]) -> dict[str, str]:
        """The addresses of the runs of entries by their keys, and of the parent run as ``""``."""
        with tracking_errors():
            runs = {key: self.runs.find(key) for key in keys}
        ids = {key: run.info.run_id for key, run in runs.items() if run}
        if self.parent_id:
            ids[""] = self.parent_id
        page = f"{page_address()}/#/experiments/{self.experiment_id}/runs"
        return {key: f"{page}/{run_id}" for key, run_id in ids.items()}

    def _open_experiment(self) -> tuple[str, dict[str, str]]:
        """Id and tags of the study's experiment, which is created or restored if necessary."""
        name = mlflow_config().experiment_prefix + self.study
        with mlflow_lock():
            found = self.client.get_experiment_by_name(name)
            if found is None:
                root = artifact_root()
                location = f"{root}/{name}" if root else None
                identifier = self.client.create_experiment(name, artifact_location=location)
                found = self.client.get_experiment(identifier)
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        check_address(self._addresses, f"the experiment {name!r}", found.artifact_location)
        return found.experiment_id, found.tags

    def _find_parent(self) -> str | None:
        """The id of the parent run if it was opened already."""
        found = search_everywhere(self.client, f"tags.`{INVOCATION_TAG}` = '{self.invocation}'")
        parent = keep_most_complete(self.client, found)
        if parent:
            check_address(self._addresses, "the run of this invocation", parent.info.artifact_uri)
        return parent.info.run_id if parent else None

    def start_study(
        self, parameters: JsonObject, source: dict[str, str], at: int, title: str = ""
    ) -> None:
        """Open the parent run of this invocation.

        ``source`` holds tags of every new run, ``title`` is the name of the parent run. ``at`` is
        the time in milliseconds, here and below.
        """
        training = parameters.get("training")  # a pipeline that is no study has other views
        about = experiment_text(parameters) if training else ""
        tags = experiment_tags(self.experiment_id, training["epochs"], about) if training else {}
        for name, value in tags.items():
            if self._tags.get(name) != value:
                self.client.set_experiment_tag(self.experiment_id, name, value)
        self.runs.source_tags = source
        parent = self.parent_id
        if parent is None:
            # MLflow's page shows tags in this order: first what a person reads
            tags = {VERDICTS_TAG: "none yet"} if training else {}
            tags |= {STUDY_TAG: self.study, KIND_TAG: "study", INVOCATION_TAG: self.invocation}
            name = title or f"{self.study} {to_the_second(self.invocation)}"
            run = self.client.create_run(self.experiment_id, at, tags=tags | source, run_name=name)
            parent = self.runs.parent_id = run.info.run_id
        self.client.log_batch(parent, params=as_parameters(parameters))

    def log_entry(self, plan: RunPlan, entry: list[str], fingerprint: str, at: int) -> None:
        """Log an entry, unless it is no longer stored or has another content by now."""
        if not self.runs.shows(plan, fingerprint):
            found = self.find_entry(entry)
            if found is not None and found.fingerprint == fingerprint:
                self.runs.log_entry(plan, found, at)

    def log_summary(
        self, report: list[str], groups: dict[str, list[list[str]]], note: PageNote | str, at: int
    ) -> None:
        """Log the report's files and metrics, and a table of all models, to the parent run."""
        page = self.find_entry(report)
        parent = self.parent_id
        if page is None or parent is None:
            return
        self.client.log_text(parent, fill_page(page, self.addresses, note), PAGE)
        for name in page.files:
            if name != PAGE:  # as stored, the page's places for addresses are empty
                self.client.log_artifact(parent, str(page.path(name)))
        verdicts = page.result["verdicts"]
        numbers = page.result["metrics"] | verdict_metrics(verdicts)
        self.client.log_batch(parent, [Metric(k, v, at, 0) for k, v in numbers.items()])
        references = groups.get("train", []) + groups.get("reported_encoder", [])
        models = [entry for entry in map(self.find_entry, references) if entry is not None]
        runs = [self.runs.find(entry.key) for entry in models]
        ids = [run.info.run_id if run else None for run in runs]
        self._log_models(parent, models, ids)
        summary, findings = page.result["summary"], sentences(page.result.get("findings", []))
        tags = {VERDICTS_TAG: summary} | verdict_tags(verdicts)
        tags[DESCRIPTION_TAG] = study_description(
            summary,
            verdicts,
            findings,
            zip(models, ids, strict=True),
            page.result.get("facts", []),
        )
        self.client.log_batch(parent, tags=[RunTag(k, v) for k, v in tags.items()])
        datasets = filter(None, map(self.find_entry, groups.get("data", [])))
        log_datasets(self.client, parent, [describe_dataset(entry) for entry in datasets])

    def _log_models(self, parent: str, models: list[Entry], ids: list[str | None]) -> None:
        """Log a table of every model that the study used, including cached ones."""
        if "models.json" in {file.path for file in self.client.list_artifacts(parent)}:
            return  # MLflow would append the rows again
        used = {
            "model": [entry.name for entry in models],
            "run_id": [run_id or "" for run_id in ids],
            "final_test_loss": [entry.result["metrics"]["final_test_loss"] for entry in models],
        }
        self.client.log_table(parent, used, "models.json")

    def finish_study(
        self, status: str, metrics: dict[str, float], tags: dict[str, str], at: int
    ) -> None:
        """Close the parent run with these metrics and tags."""
        assert self.parent_id is not None
        self.client.log_batch(
            self.parent_id,
            metrics=[Metric(name, float(value), at, 0) for name, value in metrics.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )
        self.client.set_terminated(self.parent_id, status, end_time=at)

    def close(self, at: int | None = None) -> None:
        """Mark the open runs of the invocation, whose process ended, as KILLED."""
        close_open_runs(self.client, self.invocation)


def start_system_monitor(run_id: str) -> "SystemMetricsMonitor":
    """Log this machine's load and memory to a run until the monitor's ``finish()``."""
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    mlflow.set_tracking_uri(tracking_uri())
    monitor = SystemMetricsMonitor(run_id)
    monitor.start()
    return monitor


def verdict_tags(verdicts: Iterable[JsonObject]) -> dict[str, str]:
    """The outcome of every claim as ``verdict.<claim>``, and after these that of its readings.

    Those are ``verdict.<claim>.trend`` and ``verdict.<claim>.every_step``, with ``.reachable``
    before the reading for reachable pixels. Those of a claim that is not measurable do not count.
    """
    verdicts = list(verdicts)
    found = {f"verdict.{verdict['name']}": str(verdict["outcome"]) for verdict in verdicts}
    for verdict in verdicts:
        if verdict["outcome"] == "not measurable":
            continue
        for place, reading in readings_of(verdict):
            found[f"verdict.{'.'.join(place)}"] = str(reading["outcome"])
    return found


def verdict_metrics(verdicts: Iterable[JsonObject]) -> dict[str, float]:
    """The numbers of the comparison that decides each reading of a claim.

    Their names are ``verdict/<claim>/<reading>/<number>``; ``low`` and ``high`` are the ends of the
    interval that decides.
    """
    found = {}
    for verdict in verdicts:
        for place, reading in readings_of(verdict):
            numbers = dict(reading["decisive"] or {})
            numbers["low"], numbers["high"] = reading["interval"] or (None, None)
            for name in ("change", "low", "high", "effect_size", "p_value", "n"):
                if numbers.get(name) is not None:
                    found["/".join(("verdict", *place, name))] = float(numbers[name])
    return found
