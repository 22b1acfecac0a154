import os

import pytest

from models.specs import ConfigError
from tasks.system.folders import (
    check_report_folder,
    default_folders,
    folder_variables,
    report_path,
    shared_store_address,
    study_data,
    study_home,
)


@pytest.fixture
def unset(tmp_path, monkeypatch):
    """A current folder, and no folder variable in the environment."""
    for variable in ("STUDY_HOME", "STUDY_DATA", "STUDY_STORE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_folders_have_defaults_below_the_current_folder(unset):
    assert study_home() == unset / "results"
    assert study_data() == unset / "data"
    assert shared_store_address() == ""
    assert report_path("digits") == unset / "results" / "reports" / "digits" / "index.html"


def test_the_environment_wins_over_default_folders_and_only_inside_with(unset, monkeypatch):
    given = {"STUDY_HOME": "/a", "STUDY_DATA": "/b", "STUDY_STORE": "s3://c"}
    monkeypatch.setenv("STUDY_DATA", "own")
    with default_folders(given):
        assert folder_variables() == given | {"STUDY_DATA": str(unset / "own")}
    assert study_home() == unset / "results"
    with pytest.raises(ZeroDivisionError), default_folders(given):
        raise ZeroDivisionError
    assert study_home() == unset / "results"


def test_a_shared_store_is_an_absolute_folder_or_an_address(unset, monkeypatch):
    for value, address in {"team": str(unset / "team"), "s3://bucket/x": "s3://bucket/x"}.items():
        monkeypatch.setenv("STUDY_STORE", value)
        assert shared_store_address() == address


@pytest.mark.parametrize("name", ["what?", os.fsdecode(b"caf\xe9")])
def test_a_home_that_no_database_address_can_contain_is_refused(unset, monkeypatch, name):
    monkeypatch.setenv("STUDY_HOME", name)
    with pytest.raises(ConfigError, match=r"^STUDY_HOME: '.*' contains .*; choose another folder$"):
        study_home()
    monkeypatch.setenv("STUDY_HOME", "café")
    assert study_home() == unset / "café"


def test_a_name_that_differs_from_another_only_in_case_is_refused(home):
    check_report_folder("Mnist")
    (home / "reports" / "mnist").mkdir(parents=True)
    check_report_folder("mnist")
    check_report_folder("mnist-2")
    with pytest.raises(ConfigError, match=r"^name: 'Mnist' differs only in case from 'mnist'"):
        check_report_folder("Mnist")
    (home / "reports" / "Mnist").mkdir()  # both were made before this was refused
    check_report_folder("Mnist")
    check_report_folder("mnist")
