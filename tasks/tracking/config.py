"""``mlflow.yaml``: where runs are logged and shown."""

import os
from pathlib import Path

from pydantic import Field, ValidationError, field_validator

from models.specs import ConfigError, Value
from tasks.system.addresses import readable, without_credentials
from tasks.system.folders import study_home
from tasks.system.running_servers import running_servers
from tasks.system.validation import dotted_key, plain_message
from tasks.system.yaml_files import read_yaml

PROJECT = Path(__file__).resolve().parents[2]


class UiConfig(Value):
    """Where ``study ui`` shows MLflow."""

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
    def _stays_inside(cls, prefix: str) -> str:
        if ".." in prefix or set("%?#\\") & set(prefix):
            raise ValueError(f"{prefix!r} names a folder; leave out '..', '%', '?', '#' and '\\'")
        return prefix


def mlflow_config() -> MlflowConfig:
    """``mlflow.yaml`` of the current folder, otherwise the project's, otherwise the defaults.

    MLFLOW_TRACKING_URI wins over it. Raises ConfigError for unknown keys and bad values.
    """
    config = _read()
    uri = os.environ.get("MLFLOW_TRACKING_URI") or config.tracking_uri
    if uri and uri.startswith("http") and not readable(uri):
        raise ConfigError(
            "MLFLOW_TRACKING_URI, or tracking_uri in mlflow.yaml, is no address like "
            "http://host:5000; write '/', '?', '#' and '@' in a password as %2F, %3F, %23 and %40"
        )
    return config.model_copy(update={"tracking_uri": uri})


def _read() -> MlflowConfig:
    for folder in (Path.cwd(), PROJECT):
        path = folder / "mlflow.yaml"
        if path.is_file():
            try:
                return MlflowConfig.model_validate(read_yaml(path, "file") or {})
            except ValidationError as error:
                first = error.errors()[0]
                key = dotted_key(first)
                raise ConfigError(f"{path}: {key}: {plain_message(first)}") from None
    return MlflowConfig()


def tracking_uri() -> str:
    """Where runs are logged: the environment, then ``mlflow.yaml``, then STUDY_HOME."""
    return mlflow_config().tracking_uri or f"sqlite:///{study_home() / 'mlflow.db'}"


def artifact_root() -> str | None:
    """Where artifacts of a local database go; None leaves it to a tracking server."""
    if not tracking_uri().startswith("sqlite:"):
        return mlflow_config().artifact_root
    return mlflow_config().artifact_root or (study_home() / "mlartifacts").as_uri()


def http_address(host: str, port: int) -> str:
    """Where a browser finds a server that listens on this host and port."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def page_address() -> str:
    """Where a browser finds MLflow: the tracking server, or what ``study ui`` starts."""
    uri, page = tracking_uri(), mlflow_config().ui
    if uri.startswith("http"):
        return without_credentials(uri).rstrip("/")
    return running_servers().get("MLflow") or http_address(page.host, page.port)
