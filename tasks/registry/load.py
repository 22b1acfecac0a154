"""Load a registered or logged model, wherever MLflow keeps its files. They are read as data.

An address in MLflow's database is not trusted: anyone who can log to it can write one.
"""

import tempfile
from pathlib import Path

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from models.messages import in_one_line
from models.specs import ConfigError
from tasks.artifacts.saved_model import (
    RefusedModelError,
    SavedModel,
    load_saved_folder,
    load_saved_model,
)
from tasks.system.addresses import without_credentials
from tasks.system.files import read_regular_file
from tasks.tracking.client import client_to_read, known_addresses
from tasks.tracking.config import KnownAddresses, path_of, tracking_uri

UNKNOWN_CODES = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}


def load_model(name: str) -> SavedModel:
    """A registered model by ``NAME@ALIAS`` or ``NAME/VERSION``, checked and loaded.

    Its ``predict`` takes and returns float32 arrays. Nothing of its files is run: they are read as
    data. Raises ConfigError if there is no such model, or its files are not those that
    ``save_model`` writes.
    """
    with client_to_read() as client:
        return load_logged_files(name, _location(client, name), known_addresses(client))


def _location(client: MlflowClient, name: str) -> str:
    """The address of a registered model's files. Raises ConfigError if there is no such model."""
    unknown = ConfigError(
        f"no model {name!r} in MLflow; `study register` makes them, as NAME@ALIAS"
    )
    registered, at, alias = name.removeprefix("models:/").partition("@")
    if not at:
        registered, _, number = registered.partition("/")
        is_number = number.isascii() and number.isdecimal() and len(number) <= 10
        if not is_number or int(number) >= 2**31:  # MLflow looks for no others in its database
            raise unknown
    try:
        if at:
            number = client.get_model_version_by_alias(registered, alias).version
        return str(client.get_model_version_download_uri(registered, str(number)))
    except MlflowException as error:
        if error.error_code not in UNKNOWN_CODES:
            raise
        raise unknown from None


def load_logged_files(
    name: str, location: str, addresses: KnownAddresses | None = None
) -> SavedModel:
    """The model whose files are at this address in the artifact store, checked and loaded.

    ``name`` is for messages. Raises RefusedModelError if the files are missing or not those that
    ``save_model`` writes, and before any request if the address is not one of
    ``addresses``, by default those that are known now.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
    from mlflow.store.artifact.http_artifact_repo import HttpArtifactRepository

    if addresses is None:
        addresses = known_addresses(MlflowClient(tracking_uri()))
    if not addresses.include(location):
        where = "STUDY_HOME, in a folder of an experiment, on the tracking server, in artifact_root"
        raise _refused(name, location, f"is in none of these: {where}")
    if (path := path_of(location)) is not None:
        return load_saved_folder(name, path)
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
