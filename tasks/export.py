"""A run of MLflow as plain files: weights, spec, metrics, figures."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.tracking.client import connect, find_run

FIGURES = {".png", ".svg"}


def export_run(wanted: str, folder: Path) -> list[Path]:
    """Write everything of a run into a folder; what was written.

    ``run.json`` holds parameters and tags, ``metrics.csv`` and ``metrics.parquet`` one row per
    value and step, ``figures/`` the pictures; weights, specs and tables keep their names.
    Raises LookupError if there is no such run.
    """
    import pandas as pd

    client = connect()
    run = find_run(client, wanted)
    folder.mkdir(parents=True, exist_ok=True)
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
    with tempfile.TemporaryDirectory() as temporary:
        for file in client.list_artifacts(run.info.run_id):
            if not file.is_dir:
                source = Path(client.download_artifacts(run.info.run_id, file.path, temporary))
                inside = folder / "figures" if source.suffix in FIGURES else folder
                inside.mkdir(exist_ok=True)
                shutil.copy(source, inside / source.name)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _values(client: Any, run: Any) -> Iterator[tuple[str, int, float, int]]:
    """Metric, step, value and time in milliseconds of all that a run logged."""
    for name in sorted(run.data.metrics):
        for metric in client.get_metric_history(run.info.run_id, name):
            yield name, metric.step, metric.value, metric.timestamp
