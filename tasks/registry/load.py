"""Load a registered or logged model, wherever MLflow keeps its files. They are read as data.

An address in MLflow's database is not trusted: anyone who can log to it can write one.
"""

import re
import tempfile
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

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
from tasks.tracking.client import connect
from tasks.tracking.config import artifact_root, tracking_uri

UNKNOWN_CODES = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}
OBJECT_STORES = {"s3", "gs", "abfs", "abfss", "wasbs"}


def load_model(name: str) -> SavedModel:
    """A registered model by ``NAME@ALIAS`` or ``NAME/VERSION``, checked and loaded.

    Its ``predict`` takes and returns float32 arrays. Nothing of its files is run: they are read as
    data. Raises ConfigError if there is no such model, or its files are not those that
    ``save_model`` writes.
    """
    client = connect()
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
