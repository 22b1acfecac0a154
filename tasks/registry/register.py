"""Register the best models of a study's dataset, under names and aliases."""

import json
import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from mlflow import MlflowClient
from mlflow.entities import LoggedModel, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from models.messages import in_one_line
from tasks.artifacts.saved_model import RefusedModelError
from tasks.registry.load import load_logged_files
from tasks.system.folders import STUDY_NAME
from tasks.system.locks import mlflow_lock
from tasks.tracking.client import (
    KIND_TAG,
    REFUSAL_CODES,
    STUDY_TAG,
    known_addresses,
    search_everywhere,
)
from tasks.tracking.config import mlflow_config
from tasks.tracking.logged_models import models_of

BEST = "best"
VERSIONS_TAG = "mlflow.modelVersions"


class RegisteredModel(NamedTuple):
    """A registered model: name, version and alias, and its run's name and value of the metric."""

    name: str
    version: str
    alias: str
    run: str
    metric: str
    value: float


class Registration(NamedTuple):
    """What was registered, and for each model that was not, why, in one line."""

    registered: list[RegisteredModel]
    refused: list[str]


def register_best(client: MlflowClient, study: str) -> Registration:
    """Register the best models of every latent size, and the best of all, of a study's dataset.

    All finished runs on the same images count, whichever study logged them. Autoencoders are
    compared by validation loss if the dataset has images for validation. Otherwise they are
    compared by test loss, and classifiers by test accuracy: then the best is chosen on the test
    set, so its value is optimistic. Names are ``PREFIX-STUDY-PART``, aliases ``d20`` for latent
    size 20, and ``best``. A model is refused if its files are missing, or not those of
    ``save_model``, or if MLflow does not take it; runs without a latent size do not count.
    Raises LookupError if there is nothing to register.
    """
    finished = "attributes.status = 'FINISHED'"
    digest = _dataset_digest(client, study)
    same = f"{finished} AND params.dataset_sha256 LIKE '{digest}%'"
    models = search_everywhere(client, f"{same} AND tags.`{KIND_TAG}` = 'model'")
    classifiers = search_everywhere(client, f"{same} AND tags.`{KIND_TAG}` = 'transfer'")
    validated = any("final_validation_loss" in run.data.metrics for run in models)
    loss = "final_validation_loss" if validated else "final_test_loss"
    found = [
        *_best(client, models, loss, higher_is_better=False),
        *_best(client, classifiers, "test_accuracy", higher_is_better=True),
    ]
    if not found:
        raise LookupError(f"the runs of {study!r} have no models; run it again to log them")
    registered, refused = [], _why_refused(client, found)
    for one in found:
        if one.model.model_id in refused:
            continue
        try:
            registered.append(_register(client, study, one))
        except MlflowException as error:
            if error.error_code not in REFUSAL_CODES:
                raise
            refused[one.model.model_id] = in_one_line(f"{one.label}: {error}")
    return Registration(registered, [*refused.values()])


def _dataset_digest(client: MlflowClient, study: str) -> str:
    """The start of the SHA-256 of a study's newest dataset. Raises LookupError without one."""
    # MLflow's search conditions have no escapes: neither part may hold a quote
    if re.fullmatch(STUDY_NAME, study):
        of_study = f"tags.`{STUDY_TAG}` = '{study}' AND tags.`{KIND_TAG}` = 'study'"
        for run in search_everywhere(client, of_study):
            for one in run.inputs.dataset_inputs if run.inputs else []:
                if re.fullmatch("[0-9a-f]{36}", one.dataset.digest):
                    return str(one.dataset.digest)
    raise LookupError(f"no study {study!r} with a dataset is in MLflow")


class _Candidate(NamedTuple):
    """A logged model that is the best under this alias, by its run's value of this metric."""

    model: LoggedModel
    alias: str
    run: Run
    metric: str

    @property
    def label(self) -> str:
        """The model and its run, for messages."""
        return f"{self.model.name} of {self.run.info.run_name}"


def _best(
    client: MlflowClient, runs: list[Run], metric: str, *, higher_is_better: bool
) -> Iterator[_Candidate]:
    """The models of the best run of each latent size, and of the best run of all."""
    sign = -1 if higher_is_better else 1
    usable = [run for run in runs if math.isfinite(run.data.metrics.get(metric, math.nan))]
    usable = [run for run in usable if models_of(run) and _latent_size(run)]
    usable.sort(key=lambda run: sign * run.data.metrics[metric])
    best: dict[str, Run] = {}
    for run in usable:
        best.setdefault(f"d{_latent_size(run)}", run)
        best.setdefault(BEST, run)
    for alias, run in best.items():
        of_run = f"source_run_id = '{run.info.run_id}'"
        for model in client.search_logged_models([run.info.experiment_id], of_run):
            yield _Candidate(model, alias, run, metric)


def _latent_size(run: Run) -> str | None:
    """The latent size that a run has as a parameter, None if it has none or no number."""
    found = run.data.params.get("latent_dim", "")
    return found if re.fullmatch("[0-9]{1,9}", found) else None


def _why_refused(client: MlflowClient, found: list[_Candidate]) -> dict[str, str]:
    """Why models are not registered, by their ids; each model is checked once."""
    addresses = known_addresses(client)
    models = {one.model.model_id: one for one in found}
    refused = {}
    for model_id, one in models.items():
        try:
            load_logged_files(one.label, one.model.artifact_location or "", addresses)
        except RefusedModelError as error:
            refused[model_id] = str(error)
    return refused


def _register(client: MlflowClient, study: str, best: _Candidate) -> RegisteredModel:
    name = "-".join((mlflow_config().registered_model, study, best.model.name))
    version = register_model(client, name, best.model, best.alias)
    run, value = str(best.run.info.run_name), best.run.data.metrics[best.metric]
    return RegisteredModel(name, str(version.version), best.alias, run, best.metric, value)


def register_model(client: MlflowClient, name: str, model: LoggedModel, alias: str) -> ModelVersion:
    """Register a logged model under a name, and point an alias at its version.

    The version is created once, however often this is called. If MLflow refuses it, no name without
    a version is left.
    """
    with mlflow_lock():
        try:
            client.create_registered_model(name)
            is_new = True
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            is_new = False
        of_run = client.search_model_versions(f"run_id = '{model.source_run_id}'")
        wanted = (name, model.artifact_location)  # a name may hold a quote
        registered = next((one for one in of_run if (one.name, one.source) == wanted), None)
        try:
            registered = registered or client.create_model_version(
                name,
                source=model.artifact_location,
                run_id=model.source_run_id,
                model_id=model.model_id,
                await_creation_for=0,
            )
        except MlflowException:
            if is_new:
                client.delete_registered_model(name)
            raise
        _link_version(client, model, registered)
        client.set_registered_model_alias(name, alias, str(registered.version))
    return registered


def _link_version(client: MlflowClient, model: LoggedModel, registered: ModelVersion) -> None:
    """Add a version to those that the logged model's page shows; a server does it by itself."""
    link = {"name": registered.name, "version": int(registered.version)}
    known = _versions_in(client.get_logged_model(model.model_id).tags.get(VERSIONS_TAG, "[]"))
    if link not in known:
        client.set_logged_model_tags(model.model_id, {VERSIONS_TAG: json.dumps([*known, link])})


def _versions_in(tag: str) -> list[dict[str, object]]:
    """The versions in a logged model's tag; none if it is not understood: anyone can set it."""
    try:
        found = json.loads(tag)
        return [{"name": str(one["name"]), "version": int(one["version"])} for one in found]
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError):
        return []
