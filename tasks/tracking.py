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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock
from sqlalchemy.exc import SQLAlchemyError

from tasks.home import study_home
from tasks.mlflow_config import artifact_root, mlflow_config, page_address, tracking_uri
from tasks.run_plan import RunPlan
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
from mlflow.exceptions import MlflowException  # noqa: E402
from mlflow.tracking import MlflowClient  # noqa: E402

KIND, KEY, STUDY, ENTRY = "study.kind", "study.key", "study.name", "study.entry"
INVOCATION = "study.invocation"
# Not MLflow's own nesting: a model serves many invocations, and nested runs hide in the table.
TRAINED_BY, COMMIT, NOTE = "study.trained_by", "study.commit", "mlflow.note.content"


class TrackingError(ConnectionError):
    """MLflow did not take what was logged; trying again later may help."""


@contextmanager
def _tracking() -> Iterator[None]:
    """What MLflow and its database raise, as one error with one line."""
    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        first = str(error).strip().splitlines()[0]
        raise TrackingError(f"MLflow did not take what was logged: {first}") from error


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
        self._runs = {run.data.tags[KEY]: run for run in _keyed_runs(self.client)}
        self._logged: dict[str, set[int]] = {}  # epochs in MLflow, by key
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

    def start_study(self, parameters: dict[str, Any]) -> str:
        """Open the parent run of this invocation and return its id."""
        tags = {KIND: "study", STUDY: self.study, INVOCATION: self.invocation}
        run = self.client.create_run(
            self.experiment_id, run_name=time.strftime(f"{self.study} %Y-%m-%d %H:%M:%S"), tags=tags
        )
        self.parent_id = run.info.run_id
        self.client.log_batch(self.parent_id, params=_parameters(parameters))
        return self.parent_id

    def run_address(self, run_id: str | None) -> str:
        """Where MLflow shows a run of this experiment: its server, or that of ``study ui``."""
        run = f"#/experiments/{self.experiment_id}/runs/{run_id}"
        return f"{page_address()}/{run}"

    def log_summary(self, report: Entry, page: Path, groups: dict[str, list[Entry]]) -> None:
        """Show the report's files and numbers, and every model used, on the parent run."""
        assert self.parent_id is not None
        self.client.log_artifacts(self.parent_id, str(report.folder))
        self.client.log_artifact(self.parent_id, str(page))  # with the links filled in
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
        self._log_datasets(self.parent_id, groups.get("data", []))

    def _log_datasets(self, run_id: str, datasets: list[Entry]) -> None:
        """Name the datasets of a run. Two processes must not do that for a new dataset at once."""
        with FileLock(study_home() / "mlflow.lock"):
            self.client.log_inputs(run_id, [_dataset_input(entry) for entry in datasets])

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
        tags = {KIND: plan.kind, KEY: plan.key, STUDY: self.study}
        if self.parent_id:
            tags[TRAINED_BY] = self.parent_id
        return self.client.create_run(self.experiment_id, run_name=plan.name, tags=tags)

    def begin(self, plan: RunPlan) -> None:
        """A computation starts: its run is open, and belongs to this invocation."""
        with _tracking():
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
            with suppress(TrackingError), _tracking():
                run_id = self._runs[plan.key].info.run_id
                self.client.log_batch(run_id, metrics=_epoch_metrics(event))
                self._logged[plan.key].add(event["epoch"])

    def log_entry(self, plan: RunPlan, entry: Entry) -> None:
        """Everything an entry shows: parameters, metrics, curves, files; once only.

        Raises TrackingError if MLflow does not take it.
        """
        with _tracking():
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
        for name in entry.files:
            if Path(name).suffix in {".png", ".csv", ".json", ".safetensors", ".html"}:
                self.client.log_artifact(run_id, str(entry.path(name)))
        tags = {f"{ENTRY}.{entry.task}": entry.fingerprint, COMMIT: entry.provenance["commit"]}
        self.client.log_batch(
            run_id,
            metrics=curves + metrics,
            params=_parameters(entry.result.get("parameters", {})),
            tags=[RunTag(name, str(value)) for name, value in tags.items()],
        )
        run.data.tags.update(tags)
        if plan.kind:
            self.client.set_terminated(run_id, "FINISHED")

    def fail(self, plan: RunPlan, status: str = "FAILED") -> None:
        """Close the run of a computation that failed, unless it shows an earlier outcome."""
        run = self._runs.get(plan.key)
        if run is None or not plan.kind:
            return
        if not any(tag.startswith(f"{ENTRY}.") for tag in run.data.tags):
            with suppress(TrackingError), _tracking():
                self.client.set_terminated(run.info.run_id, status)

    def interrupt(self) -> None:
        """Close every run of this invocation that is still open as KILLED."""
        close_open_runs(self.client, self.invocation)


def close_open_runs(client: MlflowClient, invocation: str) -> None:
    """Mark the parent run of an invocation that ended, and the runs it was filling, as KILLED."""
    with _tracking():
        for parent in search_everywhere(client, f"tags.`{INVOCATION}` = '{invocation}'"):
            of_parent = f"tags.`{TRAINED_BY}` = '{parent.info.run_id}'"
            for run in [*search_everywhere(client, of_parent), parent]:
                if run.info.status == "RUNNING":
                    client.set_terminated(run.info.run_id, "KILLED")


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


def _keyed_runs(client: MlflowClient) -> list[Run]:
    """Every run that shows a store entry."""
    return search_everywhere(client, f"tags.`{KEY}` LIKE '%'")


def delete_runs(client: MlflowClient, keys: set[str]) -> int:
    """Delete the runs that show these store entries, and the models logged to them; how many.

    They are out of sight at once; ``mlflow gc`` frees the space.
    """
    runs = [run for run in _keyed_runs(client) if run.data.tags[KEY] in keys]
    for run in runs:
        for output in run.outputs.model_outputs if run.outputs else []:
            client.delete_logged_model(output.model_id)
        client.delete_run(run.info.run_id)
    return len(runs)
