"""Shows one invocation in MLflow, an operation at a time.

Any operation may be tried again, in this process or another, and shows nothing twice: runs are
found by their tags, and points that are logged again carry the same time, which MLflow drops.
"""

import time
from collections.abc import Callable
from typing import Any

from mlflow.entities import Metric, RunTag

from tasks.cache.entry import Entry
from tasks.reporting.page import PAGE, fill_page
from tasks.system.locks import mlflow_lock
from tasks.tracking.client import (
    INVOCATION,
    KIND,
    NOTE,
    STUDY,
    close_open_runs,
    connect,
    fullest,
    search_everywhere,
    tracking,
)
from tasks.tracking.config import artifact_root, mlflow_config, page_address, tracking_uri
from tasks.tracking.descriptions import study_note
from tasks.tracking.entry_runs import EntryRuns, as_parameters, log_datasets
from tasks.tracking.run_plan import RunPlan, describe
from tasks.tracking.spool import Operation
from tasks.tracking.views import experiment_tags

FindEntry = Callable[[list[str]], Entry | None]


class Writer:
    """The runs of one invocation of a study. ``find_entry`` gives an entry by task and key."""

    def __init__(self, study: str, invocation: str, find_entry: FindEntry):
        with tracking():
            self.client = connect()
            self.study, self.invocation, self.find_entry = study, invocation, find_entry
            self.experiment_id, self._tags = self._experiment()
            self.runs = EntryRuns(self.client, self.experiment_id, study)
            self.runs.parent_id = self._parent()
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
        """The parent run of the invocation, once it is open."""
        return self.runs.parent_id

    def apply(self, operation: Operation) -> None:
        """Carry out one operation, its name in ``do``, with its arguments.

        Raises TrackingError if MLflow does not take it, KeyError if there is no such operation.
        """
        carry_out = self._operations[operation["do"]]
        arguments = {name: value for name, value in operation.items() if name != "do"}
        if "plan" in arguments:
            arguments["plan"] = RunPlan(**arguments["plan"])
        with tracking():
            carry_out(**arguments)

    def addresses(self, keys: set[str]) -> dict[str, str]:
        """Where MLflow shows the runs of entries with these keys, and the parent run as ``""``."""
        with tracking():
            runs = {key: self.runs.find(key) for key in keys}
        ids = {key: run.info.run_id for key, run in runs.items() if run}
        if self.parent_id:
            ids[""] = self.parent_id
        page = f"{page_address()}/#/experiments/{self.experiment_id}/runs"
        return {key: f"{page}/{run_id}" for key, run_id in ids.items()}

    def _experiment(self) -> tuple[str, dict[str, str]]:
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
        return found.experiment_id, found.tags

    def _parent(self) -> str | None:
        """The parent run, if it was opened already."""
        found = search_everywhere(self.client, f"tags.`{INVOCATION}` = '{self.invocation}'")
        parent = fullest(self.client, found)
        return parent.info.run_id if parent else None

    def start_study(self, parameters: dict[str, Any], source: dict[str, str], at: int) -> None:
        """Open the parent run of this invocation; ``source`` are tags of every new run."""
        epochs = parameters["training"]["epochs"]
        for name, value in experiment_tags(self.experiment_id, epochs).items():
            if self._tags.get(name) != value:
                self.client.set_experiment_tag(self.experiment_id, name, value)
        self.runs.source = source
        parent = self.parent_id
        if parent is None:
            tags = {KIND: "study", STUDY: self.study, INVOCATION: self.invocation, **source}
            name = f"{self.study} {clock(at)}"
            run = self.client.create_run(self.experiment_id, at, tags=tags, run_name=name)
            parent = self.runs.parent_id = run.info.run_id
        self.client.log_batch(parent, params=as_parameters(parameters))

    def log_entry(self, plan: RunPlan, entry: list[str], fingerprint: str, at: int) -> None:
        """An entry is there; one that is gone again is not shown."""
        if not self.runs.shows(plan, fingerprint):
            found = self.find_entry(entry)
            if found is not None and found.fingerprint == fingerprint:
                self.runs.log_entry(plan, found, at)

    def log_summary(
        self, report: list[str], groups: dict[str, list[list[str]]], note: str, at: int
    ) -> None:
        """Everything on the parent run that the report and the models of an invocation give."""
        page = self.find_entry(report)
        parent = self.parent_id
        if page is None or parent is None:
            return
        self.client.log_artifacts(parent, str(page.folder))
        self.client.log_text(parent, fill_page(page, self.addresses, note), PAGE)
        verdicts = page.result["verdicts"]
        numbers = page.result["metrics"] | verdict_numbers(verdicts)
        self.client.log_batch(parent, [Metric(k, v, at, 0) for k, v in numbers.items()])
        names = groups.get("train", []) + groups.get("reported_encoder", [])
        models = [entry for entry in map(self.find_entry, names) if entry is not None]
        runs = [self.runs.find(entry.key) for entry in models]
        ids = [run.info.run_id if run else None for run in runs]
        self._log_models(parent, models, ids)
        tags = {f"verdict.{one['name']}": one["outcome"] for one in verdicts}
        tags[NOTE] = study_note(verdicts, zip(models, ids, strict=True))
        self.client.log_batch(parent, tags=[RunTag(k, v) for k, v in tags.items()])
        datasets = filter(None, map(self.find_entry, groups.get("data", [])))
        log_datasets(self.client, parent, [describe(entry) for entry in datasets])

    def _log_models(self, parent: str, models: list[Entry], ids: list[str | None]) -> None:
        """A table of every model that the study used, cached ones too."""
        if "models.json" in {file.path for file in self.client.list_artifacts(parent)}:
            return  # a table that is logged again grows
        used = {
            "model": [entry.name for entry in models],
            "run_id": [run_id or "" for run_id in ids],
            "final_test_loss": [entry.result["metrics"]["final_test_loss"] for entry in models],
        }
        self.client.log_table(parent, used, "models.json")

    def finish_study(
        self, status: str, metrics: dict[str, float], tags: dict[str, str], at: int
    ) -> None:
        """Close the parent run with its counts."""
        assert self.parent_id is not None
        self.client.log_batch(
            self.parent_id,
            metrics=[Metric(name, float(value), at, 0) for name, value in metrics.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )
        self.client.set_terminated(self.parent_id, status, end_time=at)

    def close(self, at: int | None = None) -> None:
        """The process of the invocation ended: what it left open was killed."""
        close_open_runs(self.client, self.invocation)


def watch_system(run_id: str) -> Any:
    """Log this machine's load and memory to a run until ``finish()``."""
    import mlflow
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    mlflow.set_tracking_uri(tracking_uri())
    monitor = SystemMetricsMonitor(run_id)
    monitor.start()
    return monitor


def clock(milliseconds: int) -> str:
    """Local date and time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(milliseconds / 1000))


def verdict_numbers(verdicts: list[dict[str, Any]]) -> dict[str, float]:
    """What was measured for every claim, by the comparison that speaks least for it."""
    found = {}
    for verdict in verdicts:
        weakest = verdict["weakest"] or {}
        for name in ("change", "low", "high", "effect_size", "p_value", "n"):
            if weakest.get(name) is not None:
                found[f"verdict/{verdict['name']}/{name}"] = float(weakest[name])
    return found
