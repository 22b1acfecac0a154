"""A run of MLflow as plain files: weights, spec, metrics, figures."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.specs import ConfigError
from tasks.tracking.client import connect, find_run, tracking

FIGURES = {".png", ".svg"}


def export_run(wanted: str, folder: Path) -> list[Path]:
    """Write everything of a run into a folder; what was written.

    ``run.json`` holds parameters and tags, ``metrics.csv`` and ``metrics.parquet`` one row per
    value and step, ``figures/`` the pictures; weights, specs and tables keep their names.
    Raises LookupError if there is no such run, ConfigError for a folder that cannot be written.
    """
    with tempfile.TemporaryDirectory() as temporary:
        gathered, downloaded = Path(temporary) / "gathered", Path(temporary) / "downloaded"
        (gathered / "figures").mkdir(parents=True)
        downloaded.mkdir()
        with tracking("cannot be read"):
            client = connect()
            run = find_run(client, wanted)
            _write_values(client, run, gathered)
            for file in client.list_artifacts(run.info.run_id):
                if not file.is_dir:
                    path = client.download_artifacts(run.info.run_id, file.path, str(downloaded))
                    source = Path(path)
                    inside = gathered / "figures" if source.suffix in FIGURES else gathered
                    source.replace(inside / source.name)
        try:
            return [_place(path, folder / path.relative_to(gathered)) for path in _files(gathered)]
        except OSError as error:
            raise ConfigError(f"--to {str(folder)!r}: {error.strerror}; name a folder") from None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _place(file: Path, target: Path) -> Path:
    """Move a file to its place; a link there is replaced, not followed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    return Path(shutil.move(file, target))


def _write_values(client: Any, run: Any, folder: Path) -> None:
    import pandas as pd

    described = {
        "run_id": run.info.run_id,
        "name": run.info.run_name,
        "status": run.info.status,
        "parameters": run.data.params,
        "tags": {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")},
    }
    (folder / "run.json").write_text(json.dumps(described, indent=1), encoding="utf-8")
    table = pd.DataFrame(_values(client, run), columns=["metric", "step", "value", "time"])
    table["time"] = pd.to_datetime(table.time, unit="ms", utc=True)
    table.to_csv(folder / "metrics.csv", index=False)
    table.to_parquet(folder / "metrics.parquet", index=False)


def _values(client: Any, run: Any) -> Iterator[tuple[str, int, float, int]]:
    """Metric, step, value and time in milliseconds of all that a run logged."""
    for name in sorted(run.data.metrics):
        for metric in client.get_metric_history(run.info.run_id, name):
            yield name, metric.step, metric.value, metric.timestamp
