"""One run of MLflow as plain files: weights, spec, metrics, figures."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from models.specs import ConfigError
from tasks.artifacts.exported_latents import find_latents, write_latents
from tasks.system.addresses import without_credentials
from tasks.tracking.client import (
    ENTRY_TAG,
    KIND_TAG,
    TrackingError,
    check_address,
    client_to_read,
    find_run,
    known_addresses,
    tracking_errors,
)

FIGURE_SUFFIXES = {".png", ".svg"}
# A file that every finished run of a kind has.
MAIN_FILES = {
    "model": "weights.safetensors",
    "transfer": "weights.safetensors",
    "interpolation": "walks.safetensors",
    "study": "index.html",
}


def export_run(wanted: str, folder: Path, latents: bool = False) -> list[Path]:
    """Write a run, found by its id or name, into a folder. Returns the paths of the files.

    ``run.json`` holds parameters and tags, ``metrics.csv`` and ``metrics.parquet`` one row per
    value and step, ``figures/`` the pictures; weights, specs and tables keep their names. With
    ``latents`` those of an autoencoder are written too, from the store of this machine.
    Raises LookupError if there is no such run, ConfigError for a folder that cannot be written,
    TrackingError if MLflow cannot be read or has lost the files of the run.
    """
    with tempfile.TemporaryDirectory() as temporary:
        gathered, downloaded = Path(temporary) / "gathered", Path(temporary) / "downloaded"
        (gathered / "figures").mkdir(parents=True)
        downloaded.mkdir()
        with tracking_errors("cannot be read"), client_to_read() as client:
            run = find_run(client, wanted)
            check_address(known_addresses(client), f"the run {wanted!r}", run.info.artifact_uri)
            if latents:
                write_latents(find_latents(_model_of(run)), gathered)
            _write_values(client, run, gathered)
            files = client.list_artifacts(run.info.run_id)
            _require_main_file(run, {file.path for file in files})
            for file in files:
                if not file.is_dir:
                    path = client.download_artifacts(run.info.run_id, file.path, str(downloaded))
                    source = Path(path)
                    is_figure = source.suffix in FIGURE_SUFFIXES
                    source.replace((gathered / "figures" if is_figure else gathered) / source.name)
        try:
            return [_move(path, folder / path.relative_to(gathered)) for path in _files(gathered)]
        except OSError as error:
            raise ConfigError(f"--to {str(folder)!r}: {error.strerror}; name a folder") from None


def _model_of(run: Run) -> str:
    """The fingerprint of the autoencoder that a run shows. Raises ConfigError for another run."""
    fingerprint: str | None = run.data.tags.get(f"{ENTRY_TAG}.train")
    if fingerprint is None:
        raise ConfigError(
            f"--latents: the run {run.info.run_name!r} is of no trained autoencoder; name one of "
            "the view Autoencoders in MLflow"
        )
    return fingerprint


def _require_main_file(run: Run, names: set[str]) -> None:
    """Raise TrackingError if a finished run lacks the file that every run of its kind has."""
    wanted = MAIN_FILES.get(run.data.tags.get(KIND_TAG, ""))
    if run.info.status == "FINISHED" and wanted is not None and wanted not in names:
        raise TrackingError(
            f"the run {run.info.run_name!r} has no {wanted} in "
            f"{without_credentials(run.info.artifact_uri)}; put it back, or delete the run on "
            "MLflow's page: the next run of its study logs it again"
        )


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _move(file: Path, target: Path) -> Path:
    """Move a file; a link at the target is replaced, not followed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    return Path(shutil.move(file, target))


def _write_values(client: MlflowClient, run: Run, folder: Path) -> None:
    """Write ``run.json`` and the tables of metrics."""
    import pandas as pd

    described = {
        "run_id": run.info.run_id,
        "name": run.info.run_name,
        "status": run.info.status,
        "parameters": run.data.params,
        "tags": {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")},
    }
    (folder / "run.json").write_text(json.dumps(described, indent=1), encoding="utf-8")
    table = pd.DataFrame(_metric_rows(client, run), columns=["metric", "step", "value", "time"])
    table["time"] = pd.to_datetime(table.time, unit="ms", utc=True)
    table.to_csv(folder / "metrics.csv", index=False)
    table.to_parquet(folder / "metrics.parquet", index=False)


def _metric_rows(client: MlflowClient, run: Run) -> Iterator[tuple[str, int, float, int]]:
    """Metric, step, value and time in milliseconds of everything that a run logged."""
    for name in sorted(run.data.metrics):
        for metric in client.get_metric_history(run.info.run_id, name):
            yield name, metric.step, metric.value, metric.timestamp
