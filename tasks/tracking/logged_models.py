"""Trained networks as MLflow models: saved by a worker, logged to a run, deleted with it.

They are torch.export programs. ``tasks.registry`` registers and loads them.
"""

import shutil
import tempfile
import time
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric, Run
from mlflow.models import Model, ModelSignature
from mlflow.types import Schema, TensorSpec

from tasks.artifacts.saved_model import MODEL_FILE
from tasks.tracking.config import KnownAddresses

if TYPE_CHECKING:
    from torch import nn

DIGEST_TAG = "study.digest"
REQUIREMENTS = ("mlflow", "numpy", "torch")
MODEL_METRICS = ("final_train_loss", "final_test_loss", "test_accuracy")


def save_model(
    module: "nn.Module", folder: Path, inputs: tuple[int, ...], outputs: tuple[int, ...]
) -> None:
    """Write a network as an MLflow model for batches of any size.

    The model maps float32 (n, *inputs) to float32 (n, *outputs). It has a signature, an example and
    pinned requirements. The module is in evaluation mode afterwards.
    """
    import torch.fx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow warns about its own type hints
        import mlflow.pyfunc.model
        import mlflow.pytorch

    torch.fx.config.do_not_emit_stack_traces = True  # they contain paths of this machine
    float32 = np.dtype("float32")
    # without its own id and time the same network gives the same bytes
    model = Model(model_uuid=None, utc_time_created="1970-01-01 00:00:00")
    mlflow.pytorch.save_model(
        module.eval(),
        str(folder),
        mlflow_model=model,
        serialization_format="pt2",
        signature=ModelSignature(
            Schema([TensorSpec(float32, (-1, *inputs))]),
            Schema([TensorSpec(float32, (-1, *outputs))]),
        ),
        input_example=np.zeros((2, *inputs), float32),  # a batch of one would fix the batch size
        pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in REQUIREMENTS],
    )
    # without it ``mlflow.pyfunc`` cannot load the model on a machine with a GPU
    model.flavors["python_function"]["config"]["device"] = "cpu"
    model.save(str(folder / MODEL_FILE))


def log_model(
    client: MlflowClient, run: Run, folder: Path, digest: str, addresses: KnownAddresses
) -> LoggedModel:
    """Log a saved model to a run, under the folder's name, once only.

    ``digest`` identifies the content. A model of that name with another digest, or whose files are
    not at one of the ``addresses``, is deleted.
    """
    info, name = run.info, folder.name
    of_name = f"source_run_id = '{info.run_id}' AND name = '{name}'"
    model = None
    for found in client.search_logged_models([info.experiment_id], of_name):
        is_known = addresses.include(found.artifact_location, any_bucket=True)
        if model is None and is_known and found.tags.get(DIGEST_TAG) == digest:
            model = found
        else:  # of an earlier result, or a duplicate by a server that did not answer in time
            client.delete_logged_model(found.model_id)
    model = model or client.create_logged_model(
        info.experiment_id,
        name,
        source_run_id=info.run_id,
        tags={DIGEST_TAG: digest},
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
        described.save(str(copy / MODEL_FILE))
        client.log_model_artifacts(model.model_id, str(copy))
    if model.model_id not in models_of(client.get_run(info.run_id)):
        client.log_outputs(info.run_id, [LoggedModelOutput(model.model_id, step=0)])
    return client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def log_metrics(client: MlflowClient, run_id: str, models: Sequence[LoggedModel]) -> None:
    """Log a run's final metrics to its models, whose pages then show them.

    Each point keeps its value, time and step, so MLflow adds no point to the run's own curves.
    """
    points = []
    for name in MODEL_METRICS:
        points += client.get_metric_history(run_id, name)[-1:]
    metrics = [
        Metric(p.key, p.value, p.timestamp, p.step, model_id=model.model_id, run_id=run_id)
        for p in points
        for model in models
    ]
    client.log_batch(run_id, metrics)


def models_of(run: Run) -> list[str]:
    """The ids of the models that were logged to a run."""
    outputs = run.outputs.model_outputs if run.outputs else []
    return [output.model_id for output in outputs]


def delete_models(client: MlflowClient, run: Run) -> None:
    """Delete the logged models of a run, and their registered versions with their aliases."""
    for registered in client.search_model_versions(f"run_id = '{run.info.run_id}'"):
        client.delete_model_version(registered.name, str(registered.version))
    for model_id in models_of(run):
        client.delete_logged_model(model_id)
