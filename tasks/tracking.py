"""MLflow: one run per trained model or classifier, one parent run per invocation of a study.

Everything is logged from the orchestrating process, in batches, with explicit run ids. A run is
found again by the key of the store entry that it shows, so no entry is ever logged twice.
"""

import json
import logging
import os
import sqlite3
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from filelock import FileLock
from pydantic import Field, ValidationError

from models.specs import ConfigError, Value
from tasks.home import study_home
from tasks.store import Entry

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
logging.getLogger("alembic").setLevel(logging.ERROR)

from mlflow.entities import (  # noqa: E402  (the settings above must come first)
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Param,
    Run,
    RunTag,
)
from mlflow.tracking import MlflowClient  # noqa: E402

KIND, KEY, STUDY, ENTRY = "study.kind", "study.key", "study.name", "study.entry"
# Not MLflow's own nesting: a model serves many invocations, and nested runs hide in the table.
TRAINED_BY, NOTE = "study.trained_by", "mlflow.note.content"


class UiConfig(Value):
    """Where ``study ui`` shows MLflow."""

    host: str = "127.0.0.1"
    port: int = Field(5000, ge=1, le=65_535)


class MlflowConfig(Value):
    """The content of ``mlflow.yaml``."""

    tracking_uri: str | None = None
    experiment_prefix: str = ""
    artifact_root: str | None = None
    registered_model: str = "latent-study"
    ui: UiConfig = UiConfig()


def mlflow_config() -> MlflowConfig:
    """``mlflow.yaml`` of the current folder, else the project's, else the defaults.

    Raises ConfigError for unknown keys and bad values.
    """
    for folder in (Path.cwd(), Path(__file__).resolve().parent.parent):
        path = folder / "mlflow.yaml"
        if path.is_file():
            try:
                return MlflowConfig.model_validate(yaml.safe_load(path.read_text("utf-8")) or {})
            except ValidationError as error:
                first = error.errors()[0]
                key = ".".join(str(part) for part in first["loc"])
                raise ConfigError(f"{path}: {key}: {first['msg']}") from None
            except yaml.YAMLError as error:
                raise ConfigError(f"{path}: {' '.join(str(error).split())}") from None
    return MlflowConfig()


def tracking_uri() -> str:
    """Where runs are logged: the environment, then ``mlflow.yaml``, then STUDY_HOME."""
    configured = os.environ.get("MLFLOW_TRACKING_URI") or mlflow_config().tracking_uri
    return configured or f"sqlite:///{study_home() / 'mlflow.db'}"


def artifact_root() -> str | None:
    """Where artifacts of a local database go; None leaves it to a tracking server."""
    if not tracking_uri().startswith("sqlite:"):
        return mlflow_config().artifact_root
    return mlflow_config().artifact_root or (study_home() / "mlartifacts").as_uri()


class RunPlan(NamedTuple):
    """Which MLflow run an entry is shown in, and the parameters known before computing."""

    kind: str
    key: str
    name: str
    parameters: dict[str, Any]
    dataset: Entry | None

    @classmethod
    def of(
        cls, kind: str | None, logs_to: str | None, key: str, name: str, inputs: dict[str, Any]
    ) -> "RunPlan | None":
        """The plan for a task with these inputs, None if the task has no run."""
        if logs_to is not None:
            target = inputs[logs_to]
            return cls("", target.key, target.name, {}, None)
        if kind is None:
            return None
        dataset = inputs.get("dataset")
        parameters: dict[str, Any] = {}
        if isinstance(dataset, Entry):
            parameters["dataset"] = dataset.result["name"]
            parameters["dataset_sha256"] = dataset.result["sha256"]
        for value in inputs.values():
            if isinstance(value, Value):
                parameters.update(value.model_dump(mode="json"))
        return cls(kind, key, name, parameters, dataset)


def _metric(name: str, value: float, step: int = 0) -> Metric:
    return Metric(name, float(value), int(time.time() * 1000), step)


def _parameters(values: dict[str, Any]) -> list[Param]:
    return [Param(k, v if isinstance(v, str) else json.dumps(v)) for k, v in values.items()]


class Tracker:
    """Logs one invocation of a study to MLflow."""

    def __init__(self, study: str):
        self.client = connect()
        self.study = study
        self.experiment_id = self._experiment(mlflow_config().experiment_prefix + study)
        self.parent_id: str | None = None
        self._runs = self._known_runs()
        self._logged: dict[str, set[int]] = {}  # epochs in MLflow, by key, of the runs opened here
        self._lock = threading.Lock()

    def _experiment(self, name: str) -> str:
        with FileLock(study_home() / "mlflow.lock"):
            found = self.client.get_experiment_by_name(name)
            if found is None:
                root = artifact_root()
                location = f"{root}/{name}" if root else None
                return self.client.create_experiment(name, artifact_location=location)
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return found.experiment_id

    def _known_runs(self) -> dict[str, Run]:
        """Every run that shows a store entry, by the entry's key, in one sweep."""
        found = search_everywhere(self.client, f"tags.`{KEY}` LIKE '%'")
        return {run.data.tags[KEY]: run for run in found}

    def shows(self, plan: RunPlan, task: str, key: str) -> bool:
        """Whether the run of this plan shows the entry already."""
        run = self._runs.get(plan.key)
        return run is not None and run.data.tags.get(f"{ENTRY}.{task}") == key

    def start_study(self, parameters: dict[str, Any]) -> str:
        """Open the parent run of this invocation and return its id."""
        tags = {KIND: "study", STUDY: self.study}
        run = self.client.create_run(
            self.experiment_id, run_name=time.strftime(f"{self.study} %Y-%m-%d %H:%M:%S"), tags=tags
        )
        self.parent_id = run.info.run_id
        self.client.log_batch(self.parent_id, params=_parameters(parameters))
        return self.parent_id

    def log_summary(self, report: Entry, groups: dict[str, list[Entry]]) -> None:
        """Show the report's files and numbers, and every model used, on the parent run."""
        assert self.parent_id is not None
        self.client.log_artifacts(self.parent_id, str(report.folder))
        numbers = report.result["metrics"]
        self.client.log_batch(self.parent_id, [_metric(k, v) for k, v in numbers.items()])
        models = groups.get("train", []) + groups.get("reported_encoder", [])
        runs = [(entry, self.find(entry.key)) for entry in models]
        used = {
            "model": [entry.name for entry, _ in runs],
            "run_id": [run.info.run_id if run else "" for _, run in runs],
            "final_test_loss": [entry.result["metrics"]["final_test_loss"] for entry, _ in runs],
        }
        self.client.log_table(self.parent_id, used, "models.json")
        lines = ["| model | test loss |", "|---|---|"]
        for name, loss in zip(used["model"], used["final_test_loss"], strict=True):
            lines.append(f"| {name} | {loss:.5f} |")
        self.client.set_tag(self.parent_id, NOTE, "\n".join(lines))
        datasets = [_dataset_input(entry) for entry in groups.get("data", [])]
        self.client.log_inputs(self.parent_id, datasets)

    def finish_study(self, status: str, metrics: dict[str, float], tags: dict[str, str]) -> None:
        """Close the parent run with its counts."""
        assert self.parent_id is not None
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

    def open(self, plan: RunPlan) -> Run:
        """The run of this plan, created if there is none yet."""
        with self._lock:
            run = self.find(plan.key)
            if run is None:
                tags = {KIND: plan.kind, KEY: plan.key, STUDY: self.study}
                if self.parent_id:
                    tags[TRAINED_BY] = self.parent_id
                run = self.client.create_run(self.experiment_id, run_name=plan.name, tags=tags)
                self.client.log_batch(run.info.run_id, params=_parameters(plan.parameters))
                if plan.dataset is not None:
                    self.client.log_inputs(run.info.run_id, [_dataset_input(plan.dataset)])
            elif run.info.status in {"FAILED", "KILLED"} and plan.kind:
                self.client.update_run(run.info.run_id, status="RUNNING")
            self._runs[plan.key] = run
            if plan.key not in self._logged:
                history = self.client.get_metric_history(run.info.run_id, "train_loss")
                self._logged[plan.key] = {metric.step for metric in history}
            return run

    def log_epoch(self, plan: RunPlan, event: dict[str, Any]) -> None:
        """One epoch's losses, once even if the epoch is trained again after a failure."""
        if event["epoch"] not in self._logged[plan.key]:
            self.client.log_batch(self._runs[plan.key].info.run_id, metrics=_epoch_metrics(event))
            self._logged[plan.key].add(event["epoch"])

    def log_entry(self, plan: RunPlan, entry: Entry) -> None:
        """Everything an entry shows: parameters, metrics, curves, files; once only."""
        run = self.open(plan)
        run_id, mark = run.info.run_id, f"{ENTRY}.{entry.task}"
        if run.data.tags.get(mark) == entry.key:
            return
        curves = [
            metric
            for event in entry.result.get("history", [])
            if event["epoch"] not in self._logged[plan.key]
            for metric in _epoch_metrics(event)
        ]
        finite = {k: v for k, v in entry.result.get("metrics", {}).items() if v is not None}
        metrics = [_metric(name, value) for name, value in finite.items()]
        for name in entry.files:
            if Path(name).suffix in {".png", ".csv", ".json", ".safetensors", ".html"}:
                self.client.log_artifact(run_id, str(entry.path(name)))
        self.client.log_batch(
            run_id,
            metrics=curves + metrics,
            params=_parameters(entry.result.get("parameters", {})),
            tags=[RunTag(mark, entry.key), RunTag("study.commit", str(entry.provenance["commit"]))],
        )
        if plan.kind:
            self.client.set_terminated(run_id, "FINISHED")
        run.data.tags[mark] = entry.key

    def fail(self, plan: RunPlan, status: str = "FAILED") -> None:
        """Close the run of a computation that failed."""
        run = self._runs.get(plan.key)
        if run is not None and plan.kind:
            self.client.set_terminated(run.info.run_id, status)

    def interrupt(self) -> None:
        """Close every run of this invocation that is still open as KILLED."""
        for run in [self._runs[key] for key in list(self._logged)]:
            if self.client.get_run(run.info.run_id).info.status == "RUNNING":
                self.client.set_terminated(run.info.run_id, "KILLED")
        if self.parent_id:
            self.client.set_terminated(self.parent_id, "KILLED")


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


def connect() -> MlflowClient:
    """A client of the tracking store; a local database is created once, in WAL mode."""
    home, uri = study_home(), tracking_uri()
    home.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(uri)
    if uri.startswith("sqlite:///"):
        with FileLock(home / "mlflow.lock"):
            client.search_experiments(max_results=1)
            with sqlite3.connect(uri.removeprefix("sqlite:///")) as database:
                database.execute("PRAGMA journal_mode=WAL")
            database.close()
    return client


def search_everywhere(client: MlflowClient, condition: str) -> list[Run]:
    """Runs of all experiments that meet an MLflow search condition, newest first."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    search = partial(client.search_runs, experiments, condition, order_by=["start_time DESC"])
    page = search()
    found = list(page)
    while page.token:
        page = search(page_token=page.token)
        found += page
    return found


def study_runs(client: MlflowClient, study: str | None = None) -> list[Run]:
    """Parent runs, newest first, of one study or of all."""
    found = search_everywhere(client, f"tags.`{KIND}` = 'study'")
    return [run for run in found if study in (None, run.data.tags[STUDY])]
