"""Trained networks as MLflow models: written by a worker, logged to a run, registered, loaded.

They are torch.export programs, so that loading one runs no pickle.
"""

import json
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec

from tasks.system.locks import mlflow_lock
from tasks.tracking.config import tracking_uri

if TYPE_CHECKING:
    from torch import nn


DESCRIPTION = "MLmodel"
DIGEST, VERSIONS = "study.digest", "mlflow.modelVersions"
REQUIREMENTS = ("mlflow", "numpy", "torch")
SHOWN_METRICS = ("final_train_loss", "final_test_loss", "test_accuracy")


def save_model(
    module: "nn.Module", folder: Path, inputs: tuple[int, ...], outputs: tuple[int, ...]
) -> None:
    """Write a network as an MLflow model for batches of any size.

    It takes float32 (n, *inputs) and gives float32 (n, *outputs), with signature, example and
    pinned requirements. The module is left in evaluation mode.
    """
    import torch.fx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns of its own type hints
        import mlflow.pyfunc.model
        import mlflow.pytorch

    torch.fx.config.do_not_emit_stack_traces = True  # they hold paths of this machine
    kind = np.dtype("float32")
    # without an id and a time of its own a model has the same bytes each time
    model = Model(model_uuid=None, utc_time_created="1970-01-01 00:00:00")
    mlflow.pytorch.save_model(
        module.eval(),
        str(folder),
        mlflow_model=model,
        serialization_format="pt2",
        signature=ModelSignature(
            Schema([TensorSpec(kind, (-1, *inputs))]), Schema([TensorSpec(kind, (-1, *outputs))])
        ),
        input_example=np.zeros((2, *inputs), kind),  # a batch of one would fix the size
        pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in REQUIREMENTS],
    )
    # without this a model does not load as a plain function where there is a GPU
    model.flavors["python_function"]["config"]["device"] = "cpu"
    model.save(str(folder / DESCRIPTION))


def log_model(client: MlflowClient, run: Run, folder: Path, digest: str) -> LoggedModel:
    """Show a saved model as one of a run, by the folder's name, once only."""
    info, name = run.info, folder.name
    of_name = f"source_run_id = '{info.run_id}' AND name = '{name}'"
    model = None
    for found in client.search_logged_models([info.experiment_id], of_name):
        if model is None and found.tags.get(DIGEST) == digest:
            model = found
        else:  # of an earlier outcome, or made by a server that did not answer in time
            client.delete_logged_model(found.model_id)
    model = model or client.create_logged_model(
        info.experiment_id,
        name,
        source_run_id=info.run_id,
        tags={DIGEST: digest},
        params=dict(run.data.params),
        model_type="pytorch",
    )
    if model.status == LoggedModelStatus.READY:
        return model
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(shutil.copytree(folder, Path(temporary) / "model"))
        described = Model.load(str(copy))
        described.run_id, described.model_id = info.run_id, model.model_id
        described.model_uuid, described.artifact_path = model.model_id, model.artifact_location
        described.utc_time_created = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        described.save(str(copy / DESCRIPTION))
        client.log_model_artifacts(model.model_id, str(copy))
    if model.model_id not in models_of(client.get_run(info.run_id)):
        client.log_outputs(info.run_id, [LoggedModelOutput(model.model_id, step=0)])
    return client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def show_metrics(client: MlflowClient, run_id: str, models: Sequence[LoggedModel]) -> None:
    """Show a run's results on its models' pages.

    Each point is logged again as it is, so that no curve of the run gains one.
    """
    points = []
    for name in SHOWN_METRICS:
        points += client.get_metric_history(run_id, name)[-1:]
    metrics = [
        Metric(p.key, p.value, p.timestamp, p.step, model_id=model.model_id, run_id=run_id)
        for p in points
        for model in models
    ]
    client.log_batch(run_id, metrics)


def models_of(run: Run) -> list[str]:
    """Ids of the models that were logged to a run."""
    outputs = run.outputs.model_outputs if run.outputs else []
    return [output.model_id for output in outputs]


def register_model(client: MlflowClient, name: str, model: LoggedModel, alias: str) -> ModelVersion:
    """Point an alias of a registered model at this logged model; a version of it is made once."""
    with mlflow_lock():
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        same = client.search_model_versions(f"name = '{name}' AND run_id = '{model.source_run_id}'")
        found = next((one for one in same if one.source == model.artifact_location), None)
        found = found or client.create_model_version(
            name,
            source=model.artifact_location,
            run_id=model.source_run_id,
            model_id=model.model_id,
            await_creation_for=0,
        )
        _link(client, model, found)
        client.set_registered_model_alias(name, alias, str(found.version))
    return found


def _link(client: MlflowClient, model: LoggedModel, found: ModelVersion) -> None:
    """Have the logged model's page name its version; a server does so by itself."""
    link = {"name": found.name, "version": int(found.version)}
    known = json.loads(client.get_logged_model(model.model_id).tags.get(VERSIONS, "[]"))
    if (link["name"], link["version"]) not in {(k["name"], int(k["version"])) for k in known}:
        client.set_logged_model_tags(model.model_id, {VERSIONS: json.dumps([*known, link])})


def delete_models(client: MlflowClient, run: Run) -> None:
    """Delete the models of a run, and the registered versions and aliases that point at them."""
    for found in client.search_model_versions(f"run_id = '{run.info.run_id}'"):
        client.delete_model_version(found.name, str(found.version))
    for model_id in models_of(run):
        client.delete_logged_model(model_id)


def load_model(name: str) -> Any:
    """A registered model, ``NAME@ALIAS``, as MLflow's function of arrays: ``predict(inputs)``.

    Loading runs no pickle. Raises mlflow.exceptions.MlflowException if there is no such model.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow
        import mlflow.pyfunc

    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    mlflow.set_tracking_uri(tracking_uri())
    return mlflow.pyfunc.load_model(f"models:/{name}")
