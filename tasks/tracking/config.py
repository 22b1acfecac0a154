"""``mlflow.yaml``: the addresses and names under which MLflow keeps and shows runs."""

import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator

from models.messages import dotted_key, plain_message
from models.specs import ConfigError, Value
from tasks.system.addresses import (
    is_same_store,
    is_served_by,
    is_valid_address,
    without_credentials,
)
from tasks.system.folders import study_home
from tasks.system.running_servers import running_servers
from tasks.system.yaml_files import read_yaml

PROJECT = Path(__file__).resolve().parents[2]
SQLITE = "sqlite:///"
DATABASES = ("sqlite:", "postgresql", "mysql", "mssql")  # of MLflow, as addresses begin
OBJECT_STORES = {"s3", "gs", "abfs", "abfss", "wasbs"}
ARTIFACTS = "mlartifacts"  # the folder in STUDY_HOME


class UiConfig(Value):
    """The host and port on which ``study ui`` starts the MLflow server."""

    host: str = "127.0.0.1"
    port: int = Field(5000, ge=1, le=65_535)


class MlflowConfig(Value):
    """The content of ``mlflow.yaml``."""

    tracking_uri: str | None = None
    experiment_prefix: str = ""
    artifact_root: str | None = None
    registered_model: str = "latent-study"
    system_metrics: bool = False
    ui: UiConfig = UiConfig()

    @field_validator("experiment_prefix")
    @classmethod
    def _is_part_of_a_folder_name(cls, prefix: str) -> str:
        if ".." in prefix or set("%?#\\") & set(prefix):
            raise ValueError(
                f"{prefix!r} becomes part of a folder's name; leave out '..', '%', '?', '#', '\\'"
            )
        return prefix


def mlflow_config() -> MlflowConfig:
    """``mlflow.yaml`` of the current folder, otherwise the project's, otherwise the defaults.

    The environment variable MLFLOW_TRACKING_URI replaces its ``tracking_uri``. Raises ConfigError
    for unknown keys and bad values.
    """
    config = _read_config()
    uri = os.environ.get("MLFLOW_TRACKING_URI") or config.tracking_uri
    if uri and uri.startswith("http") and not is_valid_address(uri):
        raise ConfigError(
            "MLFLOW_TRACKING_URI, or tracking_uri in mlflow.yaml, is not an address like "
            "http://host:5000; write '/', '?', '#' and '@' in a password as %2F, %3F, %23 and %40"
        )
    return config.model_copy(update={"tracking_uri": uri})


def _read_config() -> MlflowConfig:
    for folder in (Path.cwd(), PROJECT):
        path = folder / "mlflow.yaml"
        if os.path.lexists(path):  # a folder or a broken link of this name is refused
            try:
                return MlflowConfig.model_validate(read_yaml(path, "file") or {})
            except ValidationError as error:
                first = error.errors()[0]
                place = ": ".join(part for part in (str(path), dotted_key(first)) if part)
                raise ConfigError(f"{place}: {plain_message(first)}") from None
    return MlflowConfig()


def tracking_uri() -> str:
    """The address of the tracking store or server that runs are logged to.

    MLFLOW_TRACKING_URI wins over ``mlflow.yaml``; the default is a database in STUDY_HOME.
    """
    return mlflow_config().tracking_uri or f"sqlite:///{study_home() / 'mlflow.db'}"


def artifact_root() -> str | None:
    """The address of the folder for new experiments' artifacts; None if the server decides."""
    is_database = tracking_uri().startswith(DATABASES)  # used without a server
    own = (study_home() / ARTIFACTS).as_uri() if is_database else None
    return mlflow_config().artifact_root or own


def http_address(host: str, port: int) -> str:
    """The address of a server on this host and port; an IPv6 host gets its brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def page_address() -> str:
    """The address of MLflow's page, without credentials.

    It is the tracking server's. Without one it is that of the server that ``study ui`` started, or
    would start.
    """
    uri, page = tracking_uri(), mlflow_config().ui
    if uri.startswith("http"):
        return without_credentials(uri).rstrip("/")
    return running_servers().get("MLflow") or http_address(page.host, page.port)


class KnownAddresses(NamedTuple):
    """Where artifacts of runs may be: whoever can log to MLflow can write another address there.

    MLflow reads and overwrites files at any path, and sends the server's password to any host.
    """

    folders: list[Path]
    artifact_root: str
    server: str

    def include(self, address: str, *, any_bucket: bool = False) -> bool:
        """Whether an address is one of these; with ``any_bucket`` also one of an object store."""
        path = resolved_path(address)
        if path is not None:
            return any(path.is_relative_to(folder) for folder in self.folders)
        if address.startswith("file:"):
            return False
        return (
            (any_bucket and address.partition(":")[0] in OBJECT_STORES)
            or is_same_store(address, self.artifact_root)
            or is_served_by(address, self.server)
        )


def path_of(address: str) -> Path | None:
    """The path on this machine that an address names, as MLflow reads it; None if it names none."""
    import mlflow

    if address.startswith("file:"):
        is_here = urlsplit(address).netloc in {"", "localhost"}
    else:  # a path, in which MLflow replaces %20, too
        is_here = not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", address)
    return Path(mlflow.utils.file_utils.local_file_uri_to_path(address)) if is_here else None


def resolved_path(address: str) -> Path | None:
    """The path of an address without links; None if there can be none."""
    try:
        path = path_of(address)
        return path.resolve() if path is not None else None
    except (OSError, RuntimeError, ValueError):  # RuntimeError: links in a circle
        return None
