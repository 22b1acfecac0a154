"""Trained networks as MLflow models: saved by a worker, logged to a run, registered, loaded.

They are torch.export programs. Loading one runs nothing that its files hold, see
``tasks.artifacts.saved_model``.
"""

import json
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import numpy as np
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric, Run
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import Schema, TensorSpec

from models.exported.schema import in_one_line
from models.specs import ConfigError
from tasks.artifacts.saved_model import (
    RefusedModelError,
    SavedModel,
    load_saved_folder,
    load_saved_model,
)
from tasks.system.addresses import without_credentials
from tasks.system.files import read_regular_file
from tasks.system.folders import study_home
from tasks.system.locks import mlflow_lock
from tasks.tracking.config import artifact_root, tracking_uri

if TYPE_CHECKING:
    from torch import nn

MODEL_FILE = "MLmodel"  # in every folder with a saved model
DIGEST_TAG, VERSIONS_TAG = "study.digest", "mlflow.modelVersions"
REQUIREMENTS = ("mlflow", "numpy", "torch")
UNKNOWN_CODES = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
OBJECT_STORES = {"s3", "gs", "abfs", "abfss", "wasbs"}
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


def log_model(client: MlflowClient, run: Run, folder: Path, digest: str) -> LoggedModel:
    """Log a saved model to a run, under the folder's name, once only.

    ``digest`` identifies the content. A model of that name with another digest is deleted.
    """
    info, name = run.info, folder.name
    of_name = f"source_run_id = '{info.run_id}' AND name = '{name}'"
    model = None
    for found in client.search_logged_models([info.experiment_id], of_name):
        if model is None and found.tags.get(DIGEST_TAG) == digest:
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


def register_model(client: MlflowClient, name: str, model: LoggedModel, alias: str) -> ModelVersion:
    """Register a logged model under a name, and point an alias at its version.

    The version is created once, however often this is called.
    """
    with mlflow_lock():
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        same = client.search_model_versions(f"name = '{name}' AND run_id = '{model.source_run_id}'")
        registered = next((one for one in same if one.source == model.artifact_location), None)
        registered = registered or client.create_model_version(
            name,
            source=model.artifact_location,
            run_id=model.source_run_id,
            model_id=model.model_id,
            await_creation_for=0,
        )
        _link_version(client, model, registered)
        client.set_registered_model_alias(name, alias, str(registered.version))
    return registered


def _link_version(client: MlflowClient, model: LoggedModel, registered: ModelVersion) -> None:
    """Add a version to those that the logged model's page shows; a server does it by itself."""
    link = {"name": registered.name, "version": int(registered.version)}
    known = json.loads(client.get_logged_model(model.model_id).tags.get(VERSIONS_TAG, "[]"))
    if (link["name"], link["version"]) not in {(k["name"], int(k["version"])) for k in known}:
        client.set_logged_model_tags(model.model_id, {VERSIONS_TAG: json.dumps([*known, link])})


def delete_models(client: MlflowClient, run: Run) -> None:
    """Delete the logged models of a run, and their registered versions with their aliases."""
    for registered in client.search_model_versions(f"run_id = '{run.info.run_id}'"):
        client.delete_model_version(registered.name, str(registered.version))
    for model_id in models_of(run):
        client.delete_logged_model(model_id)


def load_model(name: str) -> SavedModel:
    """A registered model by ``NAME@ALIAS`` or ``NAME/VERSION``, checked and loaded.

    Its ``predict`` takes and returns float32 arrays. Nothing of its files is run: they are read as
    data. Raises ConfigError if there is no such model, or its files are not those that
    ``save_model`` writes.
    """
    client = MlflowClient(tracking_uri())
    registered, at, alias = name.removeprefix("models:/").partition("@")
    if not at:
        registered, _, number = registered.partition("/")
    try:
        if at:
            number = client.get_model_version_by_alias(registered, alias).version
        location = client.get_model_version_download_uri(registered, str(number))
    except MlflowException as error:
        if error.error_code not in UNKNOWN_CODES:
            raise
        raise ConfigError(
            f"no model {name!r} in MLflow; `study register` makes them, as NAME@ALIAS"
        ) from None
    return load_logged_files(name, location)


def load_logged_files(name: str, location: str) -> SavedModel:
    """The model whose files are at this address in the artifact store, checked and loaded.

    ``name`` is for messages. Raises RefusedModelError if the files are missing or not those that
    ``save_model`` writes, and before any request if the address is neither in a folder of
    STUDY_HOME or of an experiment, nor on the tracking server, nor in the configured artifact root.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

    if (path := _local_path(location)) is not None:
        if not _is_in_a_known_folder(path):
            raise _refused(name, location, "is in no folder of STUDY_HOME or of an experiment")
        return load_saved_folder(name, path)
    if not _is_known_store(location):
        raise _refused(name, location, "is not on the tracking server or in its artifact_root")
    try:
        store = get_artifact_repository(location, tracking_uri=tracking_uri())
        listed = [one for folder in (None, "data") for one in store.list_artifacts(folder)]
        sizes = {one.path: one.file_size or 0 for one in listed if one.path != "data"}
    except (MlflowException, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise _refused(name, location, f"cannot be listed ({error})") from None
    with tempfile.TemporaryDirectory() as temporary:

        def read(file: str, limit: int) -> bytes:
            if isinstance(store, HttpArtifactRepository):
                return _fetch(store.artifact_uri, file, limit)
            return read_regular_file(Path(store.download_artifacts(file, temporary)), limit)

        return load_saved_model(name, sizes, read)


def _refused(name: str, location: str, why: str) -> RefusedModelError:
    address = in_one_line(without_credentials(location), 100)
    return RefusedModelError(
        f"{name} is not loaded: its address {address!r} {without_credentials(why)}"
    )


def _local_path(location: str) -> Path | None:
    """The path that an address names on this machine, None if it is elsewhere."""
    from mlflow.utils.file_utils import local_file_uri_to_path

    if location.startswith("file:"):
        is_here = urlsplit(location).netloc in {"", "localhost"}
        return Path(local_file_uri_to_path(location)) if is_here else None
    return None if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", location) else Path(location)


def _is_in_a_known_folder(path: Path) -> bool:
    """Whether a path is below STUDY_HOME, or where MLflow keeps the artifacts of experiments."""
    path = path.resolve()
    if path.is_relative_to(study_home().resolve()):
        return True
    experiments = MlflowClient(tracking_uri()).search_experiments()
    locations = {artifact_root(), *(one.artifact_location for one in experiments)} - {None, ""}
    roots = [_local_path(str(location)) for location in locations]
    return any(root and path.is_relative_to(root.resolve()) for root in roots)


def _is_known_store(location: str) -> bool:
    """Whether an address is on the tracking server, or in the store of the artifact root.

    MLflow sends the tracking server's password to whatever HTTP address a model has.
    """
    if not re.match(r"[a-z][a-z0-9-]*:", location) or not location.isprintable():
        return False
    parts, server = urlsplit(location), urlsplit(tracking_uri())
    if not re.fullmatch(r"[A-Za-z0-9.:@\[\]_-]*", parts.netloc):
        return False  # programs differ in what they take for the host
    if parts.scheme in OBJECT_STORES:
        root = urlsplit(artifact_root() or "")
        return (parts.scheme, parts.netloc) == (root.scheme, root.netloc)
    is_served = parts.scheme in {"mlflow-artifacts", "http", "https"} and "@" not in parts.netloc
    if not is_served or not server.scheme.startswith("http"):
        return False
    proxied = parts.scheme == "mlflow-artifacts"
    scheme = server.scheme if proxied else parts.scheme
    ours = _origin(scheme, parts) == _origin(server.scheme, server)
    return ours or (proxied and not parts.netloc)


def _origin(scheme: str, parts: SplitResult) -> tuple[str, str | None, int | None]:
    try:
        port = parts.port
    except ValueError:
        port = -1
    return scheme, parts.hostname, port or {"http": 80, "https": 443}.get(scheme)


def _fetch(address: str, file: str, limit: int) -> bytes:
    """A file of an artifact server. OSError if it has more bytes, whatever the server said."""
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    content = bytearray()
    with http_request(get_default_host_creds(address), f"/{file}", "GET", stream=True) as response:
        response.raise_for_status()
        for part in response.iter_content(2**20):
            content += part
            if len(content) > limit:
                raise OSError(f"{file} has more than {limit:,} bytes")
    return bytes(content)
