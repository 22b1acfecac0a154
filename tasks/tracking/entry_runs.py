"""MLflow's runs of store entries: one per trained model, classifier, walk and theory section.

A run is found again by the key of the store entry that it shows, so no entry is ever logged twice.
"""

import json
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, RunTag
from mlflow.tracking import MlflowClient

from tasks.cache.entry import Entry
from tasks.system.locks import entry_lock, mlflow_lock
from tasks.tracking.client import (
    COMMIT,
    ENTRY,
    KEY,
    KIND,
    NOTE,
    STUDY,
    TASK,
    TRAINED_BY,
    fullest,
    keyed_runs,
    search_everywhere,
)
from tasks.tracking.descriptions import NOTES, run_name
from tasks.tracking.logged_models import DESCRIPTION, delete_models, log_model, show_metrics
from tasks.tracking.run_plan import RunPlan

SORTED = ("depth", "latent_dim")  # metrics as well: MLflow sorts parameters as text
SHOWN = {".png", ".svg", ".csv", ".json", ".safetensors", ".html"}
EPOCH_IMAGE = re.compile(r"(?P<series>.+)-epoch-(?P<epoch>\d+)\.png")
CURVES = ("train_loss", "test_loss", "learning_rate")
BATCH = 900  # points; MLflow takes 1,000 values at once


def as_parameters(values: dict[str, Any]) -> list[Param]:
    """MLflow's parameters are text."""
    return [Param(k, v if isinstance(v, str) else json.dumps(v)) for k, v in values.items()]


def log_datasets(client: MlflowClient, run_id: str, datasets: list[dict[str, Any]]) -> None:
    """Name the datasets of a run. Two processes must not do that for a new dataset at once."""
    inputs = [
        DatasetInput(
            Dataset(
                name=one["name"],
                digest=one["sha256"][:36],
                source_type="local",
                source=json.dumps({"sha256": one["sha256"]}),
                profile=json.dumps({key: one[key] for key in ("n_train", "n_test", "n_classes")}),
            ),
            [InputTag("mlflow.data.context", "training")],
        )
        for one in datasets
    ]
    with mlflow_lock():
        client.log_inputs(run_id, inputs)


class EntryRuns:
    """The runs that show entries. New ones go into one experiment, below one parent run."""

    def __init__(self, client: MlflowClient, experiment_id: str, study: str):
        self.client, self.experiment_id, self.study = client, experiment_id, study
        self.parent_id: str | None = None
        self.source: dict[str, str] = {}
        found: dict[str, list[Run]] = {}
        for run in keyed_runs(client):
            found.setdefault(run.data.tags[KEY], []).append(run)
        self._runs = {key: one for key, runs in found.items() if (one := fullest(client, runs))}
        self._logged: dict[str, set[int]] = {}  # epochs in MLflow, by key

    def find(self, key: str) -> Run | None:
        """The live run that shows the store entry with this key, in any experiment."""
        known = self._runs.get(key)
        if known is None:
            known = fullest(self.client, search_everywhere(self.client, f"tags.`{KEY}` = '{key}'"))
            if known is not None:
                self._runs[key] = known
        return known

    def shows(self, plan: RunPlan, fingerprint: str) -> bool:
        """Whether a run is known to show this outcome of an entry, in full."""
        run = self._runs.get(plan.key)
        # only the last step of showing leaves the run as finished
        return run is not None and run.info.status == "FINISHED" and fingerprint in _shown(run)

    def begin(self, plan: RunPlan, at: int) -> None:
        """A computation starts: its run is open, and belongs to this invocation."""
        run_id = self._open(plan, at).info.run_id
        self._logged[plan.key] = self._epochs_of(run_id)
        if plan.kind and self.client.get_run(run_id).info.status != "FINISHED":
            if self.parent_id:
                self.client.set_tag(run_id, TRAINED_BY, self.parent_id)
            self.client.update_run(run_id, status="RUNNING")

    def log_epoch(self, plan: RunPlan, event: dict[str, Any], at: int) -> None:
        """One epoch's losses, once even if the epoch is trained again after a failure."""
        run_id = self._open(plan, at).info.run_id
        self._log_curves(plan, run_id, [event], at)

    def log_entry(self, plan: RunPlan, entry: Entry, at: int) -> None:
        """Everything an entry shows: parameters, metrics, curves, files; once only."""
        if not plan.kind and self.find(plan.key) is None:
            return  # what it adds to is not shown
        with entry_lock():
            self._log_once(plan, entry, at)

    def _log_once(self, plan: RunPlan, entry: Entry, at: int) -> None:
        started = at - int(1000 * entry.seconds)
        run = self._runs[plan.key] = self.client.get_run(self._open(plan, started).info.run_id)
        mark = f"{ENTRY}.{entry.task}"
        shown = run.data.tags.get(mark)
        if shown not in (None, entry.fingerprint) and plan.kind:  # computed again, another outcome
            delete_models(self.client, run)
            self.client.delete_run(run.info.run_id)
            del self._runs[plan.key]
            self._logged[plan.key] = set()
            self._show(plan, self._open(plan, started), entry, at)
        elif shown != entry.fingerprint:
            self._show(plan, run, entry, at)
        elif plan.kind and run.info.status != "FINISHED":
            self._finish(plan, at)

    def fail(self, plan: RunPlan, status: str, at: int) -> None:
        """Close the run of a computation that failed, unless it shows an earlier outcome."""
        run = self.find(plan.key)
        if run is not None and plan.kind and not _shown(run):
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
        tags = {KIND: plan.kind, KEY: plan.key, STUDY: self.study, TASK: plan.name, **self.source}
        if self.parent_id:
            tags[TRAINED_BY] = self.parent_id
        name = run_name(plan.identity, plan.name)
        return self.client.create_run(self.experiment_id, at, tags=tags, run_name=name)

    def _epochs_of(self, run_id: str) -> set[int]:
        history = self.client.get_metric_history(run_id, CURVES[0])
        return {metric.step for metric in history}

    def _log_curves(
        self, plan: RunPlan, run_id: str, events: list[dict[str, Any]], at: int
    ) -> None:
        """The epochs that MLflow does not have yet, each with all its values."""
        if plan.key not in self._logged:
            self._logged[plan.key] = self._epochs_of(run_id)
        logged = self._logged[plan.key]
        new = [event for event in events if event["epoch"] not in logged]
        some = BATCH // len(CURVES)
        for first in range(0, len(new), some):
            part = new[first : first + some]
            metrics = [
                Metric(name, float(event[name]), at, event["epoch"])
                for event in part
                for name in CURVES
            ]
            self.client.log_batch(run_id, metrics)
            logged.update(event["epoch"] for event in part)

    def _show(self, plan: RunPlan, run: Run, entry: Entry, at: int) -> None:
        """Files, curves and numbers; the mark that all of it is there comes last."""
        run_id = run.info.run_id
        history = entry.result.get("history", [])
        if history:
            self._log_curves(plan, run_id, history, at)
        self._log_files(run, entry)
        numbers = {k: v for k, v in entry.result.get("metrics", {}).items() if v is not None}
        numbers |= {name: plan.parameters[name] for name in SORTED if name in plan.parameters}
        shown = run.data.metrics  # by another entry
        tags = {f"{ENTRY}.{entry.task}": entry.fingerprint, COMMIT: entry.provenance["commit"]}
        self.client.log_batch(
            run_id,
            metrics=[Metric(k, float(v), at, 0) for k, v in numbers.items() if shown.get(k) != v],
            params=as_parameters(entry.result.get("parameters", {})),
            tags=[RunTag(name, str(value)) for name, value in tags.items()],
        )
        self._finish(plan, at)

    def _finish(self, plan: RunPlan, at: int) -> None:
        """Describe the run by what it shows by now, and close it if the entry is its own."""
        run_id = self._runs[plan.key].info.run_id
        data = self.client.get_run(run_id).data
        note = NOTES.get(data.tags[KIND])
        if note is not None:
            self.client.set_tag(run_id, NOTE, note(run_id, data.params, data.metrics))
        if plan.kind:
            self.client.set_terminated(run_id, "FINISHED", end_time=at)
        self._runs[plan.key] = self.client.get_run(run_id)

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
            self._log_series(run, series)

    def _log_series(self, run: Run, series: list[tuple[Path, str, int]]) -> None:
        """Like MLflow's ``log_image``, but with names that are the same when it is tried again."""
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


def _shown(run: Run) -> set[str]:
    """Fingerprints of the entries that a run shows."""
    return {value for tag, value in run.data.tags.items() if tag.startswith(f"{ENTRY}.")}
