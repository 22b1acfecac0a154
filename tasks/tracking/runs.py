"""MLflow: one run per trained model or classifier, one parent run per invocation of a study.

Everything is logged from the orchestrating process, in batches, with explicit run ids. A run is
found again by the key of the store entry that it shows, so no entry is ever logged twice.
"""

import getpass
import json
import re
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag

from tasks.home import study_home
from tasks.mlflow_config import artifact_root, mlflow_config, page_address, tracking_uri
from tasks.provenance import provenance
from tasks.report import PAGE
from tasks.run_plan import RunPlan
from tasks.store import Entry
from tasks.tracking.client import (
    COMMIT,
    ENTRY,
    INVOCATION,
    KEY,
    KIND,
    NOTE,
    STUDY,
    TASK,
    TRAINED_BY,
    TrackingError,
    close_open_runs,
    connect,
    keyed_runs,
    search_everywhere,
    tracking,
)
from tasks.tracking.models import DESCRIPTION, delete_models, log_model, show_metrics
from tasks.tracking.notes import NOTES, run_name, study_note
from tasks.tracking.views import experiment_tags

SORTED = ("depth", "latent_dim")  # metrics as well: MLflow sorts parameters as text
SHOWN = {".png", ".svg", ".csv", ".json", ".safetensors", ".html"}
EPOCH_IMAGE = re.compile(r"(?P<series>.+)-epoch-(?P<epoch>\d+)\.png")


def _metric(name: str, value: float, step: int = 0) -> Metric:
    return Metric(name, float(value), int(time.time() * 1000), step)


def _parameters(values: dict[str, Any]) -> list[Param]:
    return [Param(k, v if isinstance(v, str) else json.dumps(v)) for k, v in values.items()]


class Tracker:
    """Logs one invocation of a study to MLflow."""

    def __init__(self, study: str, invocation: str):
        self.client = connect()
        self.study = study
        self.invocation = invocation
        self.experiment_id = self._experiment(mlflow_config().experiment_prefix + study)
        self.parent_id: str | None = None
        self._runs = {run.data.tags[KEY]: run for run in keyed_runs(self.client)}
        self._logged: dict[str, set[int]] = {}  # epochs in MLflow, by key
        self._lock = threading.Lock()
        self._monitor: Any = None

    def _experiment(self, name: str) -> str:
        with FileLock(study_home() / "mlflow.lock"):
            found = self.client.get_experiment_by_name(name)
            if found is None:
                root = artifact_root()
                location = f"{root}/{name}" if root else None
                identifier = self.client.create_experiment(name, artifact_location=location)
                found = self.client.get_experiment(identifier)
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        self._shown_tags = found.tags
        return found.experiment_id

    def start_study(self, parameters: dict[str, Any]) -> str:
        """Open the parent run of this invocation and return its id."""
        epochs = parameters["training"]["epochs"]
        for name, value in experiment_tags(self.experiment_id, epochs).items():
            if self._shown_tags.get(name) != value:
                self.client.set_experiment_tag(self.experiment_id, name, value)
        tags = {KIND: "study", STUDY: self.study, INVOCATION: self.invocation, **_source()}
        run = self.client.create_run(
            self.experiment_id, run_name=time.strftime(f"{self.study} %Y-%m-%d %H:%M:%S"), tags=tags
        )
        self.parent_id = run.info.run_id
        self.client.log_batch(self.parent_id, params=_parameters(parameters))
        if mlflow_config().system_metrics:
            self._monitor = watch_system(self.parent_id)
        return self.parent_id

    def run_address(self, run_id: str | None) -> str:
        """Where MLflow shows a run of this experiment: its server, or that of ``study ui``."""
        run = f"#/experiments/{self.experiment_id}/runs/{run_id}"
        return f"{page_address()}/{run}"

    def log_summary(self, report: Entry, page: str, groups: dict[str, list[Entry]]) -> None:
        """Show the report's files and numbers, and every model used, on the parent run."""
        assert self.parent_id is not None
        self.client.log_artifacts(self.parent_id, str(report.folder))
        self.client.log_text(self.parent_id, page, PAGE)  # with the links filled in
        numbers = report.result["metrics"] | verdict_numbers(report.result["verdicts"])
        self.client.log_batch(self.parent_id, [_metric(k, v) for k, v in numbers.items()])
        models = groups.get("train", []) + groups.get("reported_encoder", [])
        runs = [(entry, self.find(entry.key)) for entry in models]
        used = {
            "model": [entry.name for entry, _ in runs],
            "run_id": [run.info.run_id if run else "" for _, run in runs],
            "final_test_loss": [entry.result["metrics"]["final_test_loss"] for entry, _ in runs],
        }
        self.client.log_table(self.parent_id, used, "models.json")
        verdicts = report.result["verdicts"]
        shown = [(entry, run.info.run_id if run else None) for entry, run in runs]
        tags = {f"verdict.{one['name']}": one["outcome"] for one in verdicts}
        tags[NOTE] = study_note(verdicts, shown)
        self.client.log_batch(self.parent_id, tags=[RunTag(k, v) for k, v in tags.items()])
        if groups.get("data"):
            self._log_datasets(self.parent_id, groups["data"])

    def _log_datasets(self, run_id: str, datasets: list[Entry]) -> None:
        """Name the datasets of a run. Two processes must not do that for a new dataset at once."""
        with FileLock(study_home() / "mlflow.lock"):
            self.client.log_inputs(run_id, [_dataset_input(entry) for entry in datasets])

    def finish_study(self, status: str, metrics: dict[str, float], tags: dict[str, str]) -> None:
        """Close the parent run with its counts."""
        assert self.parent_id is not None
        if self._monitor is not None:
            self._monitor.finish()
        self.client.log_batch(
            self.parent_id,
            metrics=[_metric(name, value) for name, value in metrics.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )
        self.client.set_terminated(self.parent_id, status)

    def find(self, key: str) -> Run | None:
        """The live run that shows the store entry with this key, in any experiment."""
        known = self._runs.get(key)
        if known is not None:
            return known
        return next(iter(search_everywhere(self.client, f"tags.`{KEY}` = '{key}'")), None)

    def _open(self, plan: RunPlan) -> Run:
        """The run of this plan, created if there is none yet."""
        with self._lock:
            run = self.find(plan.key)
            if run is None:
                with FileLock(study_home() / "mlflow.lock"):
                    run = self.find(plan.key) or self._create(plan)
            run_id = run.info.run_id
            if plan.parameters.keys() - run.data.params.keys():
                self.client.log_batch(run_id, params=_parameters(plan.parameters))
                if plan.dataset is not None:
                    self._log_datasets(run_id, [plan.dataset])
                run = self.client.get_run(run_id)
            self._runs[plan.key] = run
            return run

    def _create(self, plan: RunPlan) -> Run:
        tags = {KIND: plan.kind, KEY: plan.key, STUDY: self.study, TASK: plan.name, **_source()}
        if self.parent_id:
            tags[TRAINED_BY] = self.parent_id
        return self.client.create_run(self.experiment_id, run_name=run_name(plan.name), tags=tags)

    def begin(self, plan: RunPlan) -> None:
        """A computation starts: its run is open, and belongs to this invocation."""
        with tracking():
            run_id = self._open(plan).info.run_id
            self._logged[plan.key] = self._epochs_of(run_id)
            if plan.kind and self.client.get_run(run_id).info.status != "FINISHED":
                if self.parent_id:
                    self.client.set_tag(run_id, TRAINED_BY, self.parent_id)
                self.client.update_run(run_id, status="RUNNING")

    def _epochs_of(self, run_id: str) -> set[int]:
        history = self.client.get_metric_history(run_id, "train_loss")
        return {metric.step for metric in history}

    def log_epoch(self, plan: RunPlan, event: dict[str, Any]) -> None:
        """One epoch's losses, once even if the epoch is trained again after a failure.

        What cannot be logged now is logged with the entry; no training waits for it.
        """
        if event["epoch"] not in self._logged[plan.key]:
            with suppress(TrackingError), tracking():
                run_id = self._runs[plan.key].info.run_id
                self.client.log_batch(run_id, metrics=_epoch_metrics(event))
                self._logged[plan.key].add(event["epoch"])

    def log_entry(self, plan: RunPlan, entry: Entry) -> None:
        """Everything an entry shows: parameters, metrics, curves, files; once only.

        Raises TrackingError if MLflow does not take it.
        """
        with tracking():
            run = self._open(plan)
            mark = f"{ENTRY}.{entry.task}"
            if run.data.tags.get(mark) != entry.fingerprint or run.info.status != "FINISHED":
                run = self._runs[plan.key] = self.client.get_run(run.info.run_id)
            shown = run.data.tags.get(mark)
            if shown == entry.fingerprint:
                if plan.kind and run.info.status != "FINISHED":
                    self.client.set_terminated(run.info.run_id, "FINISHED")
                return
            if shown is not None and plan.kind:  # computed again with another outcome
                delete_models(self.client, run)
                self.client.delete_run(run.info.run_id)
                del self._runs[plan.key]
                run = self._open(plan)
                self._logged[plan.key] = set()
            self._show(plan, run, entry)

    def _show(self, plan: RunPlan, run: Run, entry: Entry) -> None:
        run_id = run.info.run_id
        history = entry.result.get("history", [])
        if history and plan.key not in self._logged:
            self._logged[plan.key] = self._epochs_of(run_id)
        curves = [
            metric
            for event in history
            if event["epoch"] not in self._logged[plan.key]
            for metric in _epoch_metrics(event)
        ]
        finite = {k: v for k, v in entry.result.get("metrics", {}).items() if v is not None}
        metrics = [_metric(name, value) for name, value in finite.items()]
        self._log_files(run, entry)
        tags = {f"{ENTRY}.{entry.task}": entry.fingerprint, COMMIT: entry.provenance["commit"]}
        metrics += [_metric(n, plan.parameters[n]) for n in SORTED if n in plan.parameters]
        self.client.log_batch(
            run_id,
            metrics=curves + metrics,
            params=_parameters(entry.result.get("parameters", {})),
            tags=[RunTag(name, str(value)) for name, value in tags.items()],
        )
        run.data.tags.update(tags)
        self._describe(run_id)
        if plan.kind:
            self.client.set_terminated(run_id, "FINISHED")

    def _describe(self, run_id: str) -> None:
        with self._lock:  # several steps log to a run
            data = self.client.get_run(run_id).data
            note = NOTES.get(data.tags[KIND])
            if note is not None:
                self.client.set_tag(run_id, NOTE, note(run_id, data.params, data.metrics))

    def _log_files(self, run: Run, entry: Entry) -> None:
        """Pictures by epoch as a series, folders as models, all else as it is."""
        run_id, models, series = run.info.run_id, [], []
        for name in entry.files:
            path = entry.path(name)
            if path.name == DESCRIPTION:
                models.append(log_model(self.client, run, path.parent, entry.fingerprint))
            elif found := EPOCH_IMAGE.fullmatch(name):
                series.append((path, found["series"], int(found["epoch"])))
            elif "/" not in name and path.suffix in SHOWN:
                self.client.log_artifact(run_id, str(path))
        if models:
            show_metrics(self.client, run_id, models)
        if series:
            self._log_series(run_id, series)

    def _log_series(self, run_id: str, series: list[tuple[Path, str, int]]) -> None:
        from PIL import Image

        logged = " ".join(file.path for file in self.client.list_artifacts(run_id, "images"))
        for path, name, epoch in series:
            if f"{name}%step%{epoch}%" in logged:
                continue
            with Image.open(path) as image:
                self.client.log_image(run_id, image, key=name, step=epoch, synchronous=True)

    def fail(self, plan: RunPlan, status: str = "FAILED") -> None:
        """Close the run of a computation that failed, unless it shows an earlier outcome."""
        run = self._runs.get(plan.key)
        if run is None or not plan.kind:
            return
        if not any(tag.startswith(f"{ENTRY}.") for tag in run.data.tags):
            with suppress(TrackingError), tracking():
                self.client.set_terminated(run.info.run_id, status)

    def interrupt(self) -> None:
        """Close every run of this invocation that is still open as KILLED."""
        close_open_runs(self.client, self.invocation)


def _source() -> dict[str, str]:
    """What MLflow shows as source, version and user of a run."""
    found = {"mlflow.source.name": "study", "mlflow.source.type": "LOCAL"}
    commit = provenance()["commit"]
    if commit:
        found["mlflow.source.git.commit"] = commit.removesuffix("-dirty")
    with suppress(OSError, KeyError):  # a container may have no user
        found["mlflow.user"] = getpass.getuser()
    return found


def verdict_numbers(verdicts: list[dict[str, Any]]) -> dict[str, float]:
    """What was measured for every claim, by the comparison that speaks least for it."""
    found = {}
    for verdict in verdicts:
        weakest = verdict["weakest"] or {}
        for name in ("change", "low", "high", "effect_size", "p_value", "n"):
            if weakest.get(name) is not None:
                found[f"verdict/{verdict['name']}/{name}"] = weakest[name]
    return found


def watch_system(run_id: str) -> Any:
    """Log this machine's load and memory to a run until ``finish()``."""
    import mlflow
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    mlflow.set_tracking_uri(tracking_uri())
    monitor = SystemMetricsMonitor(run_id)
    monitor.start()
    return monitor


def _epoch_metrics(event: dict[str, Any]) -> list[Metric]:
    names = ("train_loss", "test_loss", "learning_rate")
    return [_metric(name, event[name], event["epoch"]) for name in names]


def _dataset_input(dataset: Entry) -> DatasetInput:
    result = dataset.result
    described = Dataset(
        name=result["name"],
        digest=result["sha256"][:36],
        source_type="local",
        source=json.dumps({"sha256": result["sha256"]}),
        profile=json.dumps({key: result[key] for key in ("n_train", "n_test", "n_classes")}),
    )
    return DatasetInput(described, [InputTag("mlflow.data.context", "training")])
