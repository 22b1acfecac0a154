"""Runs that show store entries: one per autoencoder, classifier, interpolation and theory section.

A run is found by the key of the store entry that it shows, so an entry is never logged twice.
"""

import json
import re
import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag

from tasks.artifacts.saved_model import MODEL_FILE
from tasks.cache.canonical import JsonObject
from tasks.cache.entry import Entry
from tasks.system.locks import mlflow_entry_lock, mlflow_lock
from tasks.tracking.client import (
    COMMIT_TAG,
    DESCRIPTION_TAG,
    ENTRY_TAG,
    KEY_TAG,
    KIND_TAG,
    PARENT_TAG,
    STUDY_TAG,
    TASK_TAG,
    keep_most_complete,
    search_everywhere,
)
from tasks.tracking.config import KnownAddresses
from tasks.tracking.descriptions import DESCRIPTIONS, difference_text, run_name
from tasks.tracking.logged_models import delete_models, log_metrics, log_model
from tasks.tracking.run_plan import DATASET_FIELDS, RunPlan

# parameters that are logged as metrics too: MLflow sorts parameters as text
SORTABLE_PARAMETERS = ("depth", "latent_dim")
LOGGED_SUFFIXES = {".png", ".svg", ".csv", ".json", ".safetensors", ".html", ".txt"}
EPOCH_IMAGE = re.compile(r"(?P<series>.+)-epoch-(?P<epoch>\d+)\.png")
FIRST_EPOCH_METRIC = "train_loss"
NO_METRICS = {"epoch", "epochs", "parts", "member"}  # of the data of an epoch
PROFILE = [name for name in DATASET_FIELDS if name not in {"name", "sha256"}]
RUNS_READ_AT_START = 300
METRICS_PER_REQUEST = 900  # MLflow takes up to 1,000 values in one request


def as_parameters(values: JsonObject) -> list[Param]:
    """Values as MLflow's parameters, which are text: JSON, except that strings stay as they are."""
    return [Param(k, v if isinstance(v, str) else json.dumps(v)) for k, v in values.items()]


def log_datasets(client: MlflowClient, run_id: str, datasets: list[JsonObject]) -> None:
    """Log the datasets of a run, each as ``describe_dataset`` gives it.

    Trap: two processes must not log the same new dataset at once, hence the lock.
    """
    inputs = [
        DatasetInput(
            Dataset(
                name=one["name"],
                digest=one["sha256"][:36],
                source_type="local",
                source=json.dumps({"sha256": one["sha256"]}),
                profile=json.dumps({key: one[key] for key in PROFILE if key in one}),
            ),
            [InputTag("mlflow.data.context", "training")],
        )
        for one in datasets
    ]
    with mlflow_lock():
        client.log_inputs(run_id, inputs)


class EntryRuns:
    """The runs that show entries. New ones are created in one experiment.

    ``parent_id`` is the id of the invocation's parent run once that is open; ``source_tags`` are
    tags of every new run.
    """

    def __init__(
        self, client: MlflowClient, experiment_id: str, study: str, addresses: KnownAddresses
    ):
        self.client, self.experiment_id, self.study = client, experiment_id, study
        self._addresses = addresses
        self.parent_id: str | None = None
        self.source_tags: dict[str, str] = {}
        self._runs: dict[str, Run] = {}  # by key; others are searched for when they are needed
        self._read_newest()
        self._logged_epochs: dict[str, set[int]] = {}  # by key

    def _read_newest(self) -> None:
        """Read the newest runs of the experiment in one request, however many there are.

        A study most often shows these again. To read every run of a team's server takes minutes.
        """
        newest = self.client.search_runs(
            [self.experiment_id],
            f"tags.`{KEY_TAG}` LIKE '%'",
            max_results=RUNS_READ_AT_START,
            order_by=["start_time DESC"],
        )
        by_key: dict[str, list[Run]] = {}
        for run in self._usable(newest):
            by_key.setdefault(run.data.tags[KEY_TAG], []).append(run)
        kept = {key: keep_most_complete(self.client, runs) for key, runs in by_key.items()}
        self._runs = {key: run for key, run in kept.items() if run}

    def find(self, key: str) -> Run | None:
        """The run that shows the store entry with this key, in any experiment, if there is one."""
        known = self._runs.get(key)
        if known is None:
            found = search_everywhere(self.client, f"tags.`{KEY_TAG}` = '{key}'")
            known = keep_most_complete(self.client, self._usable(found))
            if known is not None:
                self._runs[key] = known
        return known

    def _usable(self, runs: Iterable[Run]) -> list[Run]:
        """The runs whose files may be written here; somebody else chose the address of others."""
        include = partial(self._addresses.include, any_bucket=True)
        return [run for run in runs if include(run.info.artifact_uri or "")]

    def shows(self, plan: RunPlan, fingerprint: str) -> bool:
        """Whether a run shows the entry with this fingerprint completely."""
        run = self.find(plan.key)
        if run is None or run.info.status != "FINISHED":  # which is logged last
            return False
        return fingerprint in _fingerprints(run)

    def begin(self, plan: RunPlan, at: int) -> None:
        """Open the run of a computation that starts, below this invocation's parent run.

        ``at`` is the time in milliseconds, here and in all methods below.
        """
        run_id = self._open(plan, at).info.run_id
        self._logged_epochs[plan.key] = self._epochs_of(run_id)
        if plan.kind and self.client.get_run(run_id).info.status != "FINISHED":
            if self.parent_id:
                self.client.set_tag(run_id, PARENT_TAG, self.parent_id)
            self.client.update_run(run_id, status="RUNNING")

    def log_epoch(self, plan: RunPlan, event: JsonObject, at: int) -> None:
        """Log the metrics of one epoch, once even if it is trained again after a failure."""
        run_id = self._open(plan, at).info.run_id
        self._log_epochs(plan, run_id, [event], at)

    def log_entry(self, plan: RunPlan, entry: Entry, at: int) -> None:
        """Log an entry's parameters, metrics, epochs and files, once only."""
        if not plan.kind and self.find(plan.key) is None:
            return  # the entry that it adds its results to has no run
        with mlflow_entry_lock():
            self._log_once(plan, entry, at)

    def _log_once(self, plan: RunPlan, entry: Entry, at: int) -> None:
        started = at - int(1000 * entry.seconds)
        run = self._runs[plan.key] = self.client.get_run(self._open(plan, started).info.run_id)
        logged = run.data.tags.get(f"{ENTRY_TAG}.{entry.task}")
        if logged not in (None, entry.fingerprint) and plan.kind:  # the same key, another result
            delete_models(self.client, run)
            self.client.delete_run(run.info.run_id)
            del self._runs[plan.key]
            self._logged_epochs[plan.key] = set()
            self._log_all(plan, self._open(plan, started), entry, at)
        elif logged != entry.fingerprint:
            self._log_all(plan, run, entry, at)
        elif plan.kind and run.info.status != "FINISHED":
            self._finish(plan, at)

    def fail(self, plan: RunPlan, status: str, at: int) -> None:
        """Close the run of a computation that failed, unless the run shows an entry already."""
        run = self.find(plan.key)
        if run is not None and plan.kind and not _fingerprints(run):
            self.client.set_terminated(run.info.run_id, status, end_time=at)

    def _open(self, plan: RunPlan, at: int) -> Run:
        """The run of this plan, created if there is none yet."""
        run = self._runs.get(plan.key)
        if run is None:
            with mlflow_lock():
                run = self.find(plan.key) or self._create(plan, at)
        run_id = run.info.run_id
        if plan.parameters.keys() - run.data.params.keys():
            self.client.log_batch(run_id, params=as_parameters(plan.parameters))
            if plan.dataset is not None:
                log_datasets(self.client, run_id, [plan.dataset])
            run = self.client.get_run(run_id)
        self._runs[plan.key] = run
        return run

    def _create(self, plan: RunPlan, at: int) -> Run:
        tags = {KIND_TAG: plan.kind, KEY_TAG: plan.key, STUDY_TAG: self.study, TASK_TAG: plan.name}
        tags |= self.source_tags
        if self.parent_id:
            tags[PARENT_TAG] = self.parent_id
        name = run_name(plan.identity, plan.name) + self._difference(plan)
        return self.client.create_run(self.experiment_id, at, tags=tags, run_name=name)

    def _difference(self, plan: RunPlan) -> str:
        """What distinguishes this run from the newest of the same task with another key, if any."""
        if "'" in plan.name:  # MLflow cannot search for it
            return ""
        same_task = f"tags.`{TASK_TAG}` = '{plan.name}'"
        found = self.client.search_runs(
            [self.experiment_id], same_task, max_results=1, order_by=["start_time DESC"]
        )
        if not found:
            return ""
        parameters = {one.key: one.value for one in as_parameters(plan.parameters)}
        return difference_text(parameters, found[0].data.params, plan.key)

    def _epochs_of(self, run_id: str) -> set[int]:
        """The epochs whose metrics are logged; those of an epoch are logged in one request."""
        history = self.client.get_metric_history(run_id, FIRST_EPOCH_METRIC)
        return {metric.step for metric in history}

    def _log_epochs(self, plan: RunPlan, run_id: str, epochs: list[JsonObject], at: int) -> None:
        """Log the metrics of the epochs that MLflow does not have yet."""
        if plan.key not in self._logged_epochs:
            self._logged_epochs[plan.key] = self._epochs_of(run_id)
        logged = self._logged_epochs[plan.key]
        new = [epoch for epoch in epochs if epoch["epoch"] not in logged]
        size = METRICS_PER_REQUEST // max((len(epoch_metrics(one)) for one in new), default=1)
        for first in range(0, len(new), size):
            part = new[first : first + size]
            metrics = [
                Metric(name, value, at, int(epoch["epoch"]))
                for epoch in part
                for name, value in epoch_metrics(epoch).items()
            ]
            self.client.log_batch(run_id, metrics)
            logged.update(int(epoch["epoch"]) for epoch in part)

    def _log_all(self, plan: RunPlan, run: Run, entry: Entry, at: int) -> None:
        """Log epochs, files and metrics; last the tag that says that the entry is complete."""
        run_id = run.info.run_id
        history = entry.result.get("history", [])
        if history:
            self._log_epochs(plan, run_id, history, at)
        self._log_files(run, entry)
        numbers = {k: v for k, v in entry.result.get("metrics", {}).items() if v is not None}
        sortable = [name for name in SORTABLE_PARAMETERS if name in plan.parameters]
        numbers |= {name: plan.parameters[name] for name in sortable}
        logged = run.data.metrics  # by another entry
        commit = entry.provenance["commit"]
        tags = {f"{ENTRY_TAG}.{entry.task}": entry.fingerprint, COMMIT_TAG: commit}
        self.client.log_batch(
            run_id,
            metrics=[Metric(k, float(v), at, 0) for k, v in numbers.items() if logged.get(k) != v],
            params=as_parameters(entry.result.get("parameters", {})),
            tags=[RunTag(name, str(value)) for name, value in tags.items()],
        )
        self._finish(plan, at)

    def _finish(self, plan: RunPlan, at: int) -> None:
        """Update the run's description, and close the run if the entry is its own."""
        run_id = self._runs[plan.key].info.run_id
        data = self.client.get_run(run_id).data
        describe = DESCRIPTIONS.get(data.tags[KIND_TAG])
        if describe is not None:
            description = describe(run_id, data.params, data.metrics)
            self.client.set_tag(run_id, DESCRIPTION_TAG, description)
        if plan.kind:
            self.client.set_terminated(run_id, "FINISHED", end_time=at)
        self._runs[plan.key] = self.client.get_run(run_id)

    def _log_files(self, run: Run, entry: Entry) -> None:
        """Log the images of epochs as a series, folders as models, other files as artifacts."""
        run_id, models, series = run.info.run_id, [], []
        for name in entry.files:
            path = entry.path(name)
            if path.name == MODEL_FILE:
                models.append(
                    log_model(self.client, run, path.parent, entry.fingerprint, self._addresses)
                )
            elif found := EPOCH_IMAGE.fullmatch(name):
                series.append((path, found["series"], int(found["epoch"])))
            elif "/" not in name and path.suffix in LOGGED_SUFFIXES:
                self.client.log_artifact(run_id, str(path))
        if models:
            log_metrics(self.client, run_id, models)
        if series:
            self._log_series(run, series)

    def _log_series(self, run: Run, series: list[tuple[Path, str, int]]) -> None:
        """Log images by epoch as MLflow's ``log_image`` does, but with reproducible file names.

        So a second attempt replaces the files of the first.
        """
        from mlflow.tracking.multimedia import compress_image_size
        from PIL import Image

        unique = f"timestamp+{run.info.start_time}+{UUID(run.info.run_id)}"
        with TemporaryDirectory() as folder:
            for path, name, epoch in series:
                copy = f"{folder}/{name}+step+{epoch}+{unique}"
                shutil.copy(path, f"{copy}.png")
                with Image.open(path) as image:
                    compress_image_size(image).save(f"{copy}+compressed.webp")
            self.client.log_artifacts(run.info.run_id, folder, "images")
        self.client.set_tag(run.info.run_id, "mlflow.loggedImages", True)


def epoch_metrics(epoch: JsonObject) -> dict[str, float]:
    """The numbers of an epoch by their names in MLflow, with the parts of its objective."""
    values = {name: value for name, value in epoch.items() if name not in NO_METRICS}
    return {name: float(value) for name, value in values.items() if value is not None} | {
        name: float(value) for name, value in (epoch.get("parts") or {}).items()
    }


def _fingerprints(run: Run) -> set[str]:
    """Fingerprints of the entries that a run shows completely."""
    return {value for tag, value in run.data.tags.items() if tag.startswith(f"{ENTRY_TAG}.")}
