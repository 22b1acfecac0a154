import shutil
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.entities import LoggedModelOutput
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache

from tasks.tracking.client import connect

ODD = "with space ünï 日本 #1 100% a%20b &;$'\"\\ [*] ~ a@b:c\nline"


@pytest.fixture
def go_to(monkeypatch):
    """Makes a folder STUDY_HOME, as for a new process."""

    def go(home):
        monkeypatch.setenv("STUDY_HOME", str(home))
        _artifact_repos_cache.clear()  # a process keeps the addresses of runs that it has used

    return go


@pytest.fixture
def make_run(client, home, tmp_path):
    """Makes a finished run with a file, a logged model and a registered version; its id."""

    def make(root=None, study="made"):
        location = f"{root or (home / 'mlartifacts').as_uri()}/{study}"
        experiment = client.create_experiment(study, location)
        run_id = client.create_run(experiment).info.run_id
        (tmp_path / "weights").write_text(run_id)
        client.log_artifact(run_id, str(tmp_path / "weights"))
        model = client.create_logged_model(experiment, "encoder", source_run_id=run_id)
        client.log_model_artifact(model.model_id, str(tmp_path / "weights"))
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        client.create_registered_model(study)
        client.create_model_version(study, source=model.artifact_location, run_id=run_id)
        client.set_tag(run_id, "note", f'see <a href="{location}/page.html">it</a>')
        client.set_terminated(run_id)
        return run_id

    return make


def texts(home):
    """Every text of MLflow's database, from all tables."""
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):
                yield from (value for value in row if isinstance(value, str))


def named(home, root):
    """The texts of a home's database that name this root, as an address or a path."""
    return [text for text in texts(home) if root.as_uri() in text or f"{root}/" in text]


def weights(client, run_id, study="made"):
    """What the files of a run, of its model and of its version hold."""
    version = client.get_model_version(study, "1")
    model = client.get_run(run_id).outputs.model_outputs[0].model_id
    addresses = [
        client.get_run(run_id).info.artifact_uri,
        client.get_logged_model(model).artifact_location,
        client.get_model_version_download_uri(study, "1"),
        version.source,
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow.artifacts
    return {
        Path(mlflow.artifacts.download_artifacts(f"{address}/weights")).read_text()
        for address in addresses
    }


def copy_database(home, other):
    """Copy MLflow's database alone, with what is not yet in its main file."""
    other.mkdir(exist_ok=True)
    for path in home.glob("mlflow.db*"):
        shutil.copy(path, other)


def assert_nothing_changes(home):
    """Connecting again says nothing and rewrites nothing; a warning is an error."""
    before = list(texts(home))
    assert any("mlartifacts" in text for text in before)
    connect()
    assert list(texts(home)) == before


@pytest.mark.parametrize("name", ["new", ODD, "results"])
def test_a_moved_home_names_its_artifacts_where_they_are(make_run, home, go_to, tmp_path, name):
    run_id = make_run()
    assert named(home, home / "mlartifacts")
    moved = tmp_path / "elsewhere" / name
    moved.parent.mkdir()
    home.rename(moved)
    go_to(moved)
    with pytest.warns(UserWarning, match=f"STUDY_HOME was {home} and is") as said:
        client = connect()
    assert len(said) == 1
    assert weights(client, run_id) == {run_id}
    assert named(moved, home / "mlartifacts") == []
    assert_nothing_changes(moved)
    client.log_text(run_id, "more", "more.txt")
    assert not home.exists()


def test_only_whole_addresses_in_a_text_are_changed(make_run, home, go_to, tmp_path):
    run_id = make_run()
    client = connect()
    root = (home / "mlartifacts").as_uri()
    client.set_tag(run_id, "note", f'see <a href="{root}/made/page.html">it</a>, not {root}-2/made')
    home.rename(tmp_path / "new")
    go_to(tmp_path / "new")
    with pytest.warns(UserWarning, match="STUDY_HOME was"):
        client = connect()
    new = (tmp_path / "new" / "mlartifacts").as_uri()
    note = f'see <a href="{new}/made/page.html">it</a>, not {root}-2/made'
    assert client.get_run(run_id).data.tags["note"] == note


def test_a_copy_names_its_own_artifacts_and_the_original_keeps_its_own(
    make_run, home, go_to, tmp_path
):
    run_id = make_run()
    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    before = list(texts(home))
    go_to(copy)
    with pytest.warns(UserWarning, match="STUDY_HOME was"):
        client = connect()
    client.log_text(run_id, "of the copy", "copy.txt")
    shutil.rmtree(copy / "mlartifacts" / "made" / run_id)  # the original's files are not touched
    go_to(home)
    client = connect()
    assert list(texts(home)) == before
    assert weights(client, run_id) == {run_id}
    assert [file.path for file in client.list_artifacts(run_id)] == ["weights"]


def test_two_names_of_one_home_change_nothing(make_run, home, go_to, tmp_path):
    make_run()
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    for name in (link / "results", home, link / "results"):
        go_to(name)
        assert_nothing_changes(home)


def test_a_home_whose_link_is_gone_is_found_by_its_own_name(home, go_to, tmp_path, make_run):
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    run_id = make_run(root=(link / "results" / "mlartifacts").as_uri())
    link.unlink()
    with pytest.warns(UserWarning, match=f"STUDY_HOME was {link / 'results'} and is {home}"):
        client = connect()
    assert weights(client, run_id) == {run_id}


def test_a_configured_root_elsewhere_stays(make_run, home, go_to, tmp_path, monkeypatch):
    root = (tmp_path / "storage" / "mlartifacts").as_uri()
    run_id = make_run(root=root)
    kept = make_run(study="kept")
    home.rename(tmp_path / "new")
    go_to(tmp_path / "new")
    monkeypatch.chdir(tmp_path)
    Path("mlflow.yaml").write_text(f"artifact_root: {root}\n")
    with pytest.warns(UserWarning, match="STUDY_HOME was"):
        client = connect()
    assert weights(client, run_id) == {run_id}
    assert weights(client, kept, "kept") == {kept}
    Path("mlflow.yaml").unlink()  # no longer configured: its artifacts are still only there
    assert_nothing_changes(tmp_path / "new")


def test_an_experiment_in_a_configured_root_may_have_no_artifacts_yet(
    client, home, tmp_path, monkeypatch
):
    root = (tmp_path / "storage" / "mlartifacts").as_uri()
    monkeypatch.chdir(tmp_path)
    Path("mlflow.yaml").write_text(f"artifact_root: {root}\n")
    client.create_experiment("made", f"{root}/made")
    assert_nothing_changes(home)


@pytest.mark.parametrize("address", ["file:///a%00b/mlartifacts/x", "file://[bad/mlartifacts/x"])
def test_an_address_that_no_folder_can_have_is_left_alone(client, home, address):
    client.create_experiment("made", (home / "mlartifacts" / "made").as_uri())
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        database.execute("UPDATE experiments SET artifact_location = ?", [address])
    assert_nothing_changes(home)


def test_nothing_is_rewritten_to_where_no_artifacts_are(make_run, home, go_to, tmp_path):
    make_run()
    copy_database(home, tmp_path / "new")
    go_to(tmp_path / "new")
    assert_nothing_changes(tmp_path / "new")
    shutil.rmtree(home)
    assert_nothing_changes(tmp_path / "new")


def test_what_only_the_old_folder_has_is_still_found_there(make_run, home, go_to, tmp_path, client):
    run_id = make_run()
    shutil.copytree(home, tmp_path / "new")
    experiment = client.get_experiment_by_name("made").experiment_id
    later = client.create_run(experiment).info.run_id  # logged to the old folder after the copy
    client.log_text(later, "later", "later.txt")
    copy_database(home, tmp_path / "new")
    go_to(tmp_path / "new")
    with pytest.warns(UserWarning, match="STUDY_HOME was"):
        client = connect()
    assert Path(client.download_artifacts(later, "later.txt")).read_text() == "later"
    new = (tmp_path / "new" / "mlartifacts").as_uri()
    assert client.get_run(run_id).info.artifact_uri.startswith(new)
    assert_nothing_changes(tmp_path / "new")


def test_a_home_without_any_artifacts_does_not_go_back_to_its_old_folder(
    client, home, go_to, tmp_path
):
    experiment = client.create_experiment("made", f"{(home / 'mlartifacts').as_uri()}/made")
    run_id = client.create_run(experiment).info.run_id
    home.rename(tmp_path / "new")
    go_to(tmp_path / "new")
    with pytest.warns(UserWarning, match="STUDY_HOME was"):
        client = connect()
    client.log_text(run_id, "text", "file.txt")
    assert (tmp_path / "new" / "mlartifacts" / "made" / run_id).is_dir()
    assert not home.exists()


def test_a_database_that_is_not_in_the_home_is_left_alone(
    make_run, home, go_to, tmp_path, monkeypatch
):
    make_run()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home}/mlflow.db")
    shutil.copytree(home, tmp_path / "new")
    go_to(tmp_path / "new")
    assert_nothing_changes(home)
