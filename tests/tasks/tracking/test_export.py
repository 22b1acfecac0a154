import json
import sqlite3
from contextlib import closing

import pandas as pd
import pytest

from models.specs import ConfigError
from tasks.tracking.client import KIND_TAG, TASK_TAG, TrackingError
from tasks.tracking.export import MAIN_FILES, export_run


@pytest.fixture
def run_id(client, home, tmp_path):
    """A run with parameters, tags, metrics and files."""
    experiment = client.create_experiment("made", (home / "artifacts").as_uri())
    tags = {TASK_TAG: "train[x]", "mlflow.source.name": "study"}
    run_id = client.create_run(experiment, tags=tags, run_name="d=5").info.run_id
    client.log_param(run_id, "depth", 2)
    for epoch, loss in ((1, 0.5), (2, 0.25)):
        client.log_metric(run_id, "test_loss", loss, timestamp=1000 * epoch, step=epoch)
    for name in ("weights.safetensors", "spec.json", "map.png", "curve.svg"):
        (tmp_path / name).write_text(name)
        client.log_artifact(run_id, str(tmp_path / name))
    client.log_artifact(run_id, str(tmp_path / "map.png"), "images")
    return run_id


def test_a_run_becomes_plain_files(run_id, tmp_path):
    folder = tmp_path / "exported"
    written = export_run("train[x]", folder)
    assert {path.relative_to(folder).as_posix() for path in written} == {
        "run.json",
        "metrics.csv",
        "metrics.parquet",
        "weights.safetensors",
        "spec.json",
        "figures/map.png",
        "figures/curve.svg",
    }
    assert all(path.is_file() for path in written)
    assert (folder / "weights.safetensors").read_text() == "weights.safetensors"
    assert json.loads((folder / "run.json").read_text()) == {
        "run_id": run_id,
        "name": "d=5",
        "status": "RUNNING",
        "parameters": {"depth": "2"},
        "tags": {TASK_TAG: "train[x]"},
    }


def test_metrics_are_one_row_per_value(run_id, tmp_path):
    export_run(run_id, tmp_path / "exported")
    found = pd.read_parquet(tmp_path / "exported" / "metrics.parquet")
    assert found[["metric", "step", "value"]].to_numpy().tolist() == [
        ["test_loss", 1, 0.5],
        ["test_loss", 2, 0.25],
    ]
    assert found.time.astype(str).tolist() == [
        "1970-01-01 00:00:01+00:00",
        "1970-01-01 00:00:02+00:00",
    ]
    as_text = pd.read_csv(tmp_path / "exported" / "metrics.csv")
    assert as_text.value.tolist() == [0.5, 0.25]


def test_a_run_is_found_by_the_start_of_its_id_or_its_name(run_id, tmp_path):
    for number, wanted in enumerate((run_id[:6], "d=5")):
        export_run(wanted, tmp_path / str(number))
        assert json.loads((tmp_path / str(number) / "run.json").read_text())["run_id"] == run_id
    for unknown in (run_id[:5], "d=50"):
        with pytest.raises(LookupError, match=unknown):
            export_run(unknown, tmp_path / "none")


def test_a_link_in_the_folder_is_replaced_and_not_followed(run_id, tmp_path):
    folder, elsewhere = tmp_path / "exported", tmp_path / "precious"
    folder.mkdir()
    elsewhere.write_text("mine")
    (folder / "run.json").symlink_to(elsewhere)
    export_run(run_id, folder)
    assert elsewhere.read_text() == "mine"
    assert not (folder / "run.json").is_symlink()


def test_a_file_in_place_of_the_folder_is_one_line(run_id, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"--to '.*file'.*name a folder"):
        export_run(run_id, tmp_path / "file")


@pytest.mark.parametrize("kind", [*MAIN_FILES])
def test_a_finished_run_without_its_files_is_an_error_and_writes_nothing(
    client, home, tmp_path, kind
):
    experiment = client.create_experiment("made", (home / "mlartifacts" / "made").as_uri())
    run = client.create_run(experiment, tags={KIND_TAG: kind}, run_name="d=5").info
    where = f"{home}/mlartifacts/made/{run.run_id}/artifacts"
    client.log_text(run.run_id, "other", "other.json")
    export_run("d=5", tmp_path / "running")  # it may get its files yet
    client.set_terminated(run.run_id)
    with pytest.raises(TrackingError, match=f"'d=5' has no {MAIN_FILES[kind]} in file://{where};"):
        export_run("d=5", tmp_path / "exported")
    assert not (tmp_path / "exported").exists()
    client.log_text(run.run_id, "main", MAIN_FILES[kind])
    assert tmp_path / "exported" / MAIN_FILES[kind] in export_run("d=5", tmp_path / "exported")


@pytest.mark.parametrize("outside", ["file:///etc", "http://elsewhere/api", "/etc", "ftp://a/b"])
def test_a_run_whose_files_are_elsewhere_is_not_read(run_id, home, tmp_path, outside):
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        database.execute("UPDATE runs SET artifact_uri = ?", [outside])
    said = rf"^the run '{run_id}' has its files at '{outside}', which is neither in STUDY_HOME"
    with pytest.raises(TrackingError, match=said):
        export_run(run_id, tmp_path / "exported")
    assert not (tmp_path / "exported").exists()
