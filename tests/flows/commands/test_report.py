import time
import webbrowser

import pytest

from flows.commands.report import _compared_study, _find_invocation, compare_reports, report
from flows.configuration.load import load_config
from flows.past_runs import _group
from models.specs import ConfigError
from tasks.cache import store
from tasks.cache.entry import Entry
from tasks.execution.invocations import InvocationLog
from tasks.system import json_lines
from tasks.system.folders import report_path

CONFIG = load_config("smoke")


def trained(key, recipe):
    """An autoencoder in the store that was trained with this recipe."""
    nothing = {"inputs": {}, "code": {}, "files": {}, "provenance": {}}
    result = {"recipe": recipe.model_dump(mode="json")}
    made = Entry(task="train", key=key, name=f"train[{key}]", result=result, seconds=1.0, **nothing)
    with store.workspace("train", key) as folder:
        store.publish(folder, made)
    return made


def run(*keys, outcome="done", end=True):
    """An invocation of the study that trained these keys; its id."""
    log = InvocationLog("smoke", CONFIG.model_dump(mode="json"), [])
    for key in keys:
        log.task(f"train[{key}]", task="train", key=key, outcome=outcome)
    if end:
        log.end("COMPLETED", "")
    return log.id


def test_the_path_of_a_report_is_printed_and_opened_on_request(capsys, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    with pytest.raises(SystemExit) as ended:
        report("smoke")
    assert ended.value.code == 1
    assert capsys.readouterr().err.endswith("make it with: study run smoke\n")
    page = report_path("smoke")
    page.parent.mkdir(parents=True)
    page.touch()
    report("smoke")
    assert opened == []
    report("smoke", show=True)
    assert capsys.readouterr().out == f"{page}\n{page}\n"
    assert opened == [page.as_uri()]


def test_a_study_that_ran_here_is_named_as_in_study_status_or_by_its_file(capsys, tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("name: mine\n")
    with pytest.raises(ConfigError, match="no study 'mine' has run here"):
        report("mine")
    InvocationLog("mine", {}, []).end("FAILED", "")
    for given, command in (("mine", "study rerun mine"), (str(path), f"study run {path}")):
        with pytest.raises(SystemExit):
            report(given)
        assert capsys.readouterr().err.endswith(f"make it with: {command}\n")
    report_path("mine").parent.mkdir(parents=True)
    report_path("mine").touch()
    report("mine")
    report(str(path))
    assert capsys.readouterr().out == f"{report_path('mine')}\n" * 2


def test_studies_are_compared_by_their_files(tmp_path):
    path = tmp_path / "file.yaml"
    path.write_text("name: mine\n")
    with pytest.raises(ConfigError, match="'mine': no study or run has this name"):
        compare_reports(str(path), "smoke")


def test_a_study_is_its_newest_invocation_that_trained_and_ended():
    oldest = run("a")
    run()  # nothing was trained
    run("b", end=False)
    found = _find_invocation("smoke")
    assert list(found.tasks) == ["train[a]"]
    assert _find_invocation(oldest).id == oldest
    assert _find_invocation(oldest[: len("20260102-030405-000000")]).id == oldest


def test_an_unknown_name_and_a_store_without_models_are_refused():
    run("gone")
    with pytest.raises(ConfigError, match="'nothing': no study or run has this name"):
        compare_reports("nothing", "smoke")
    with pytest.raises(ConfigError, match="smoke: the store has none of its trained models"):
        compare_reports("smoke", "smoke")


def test_an_encoder_trained_as_reported_is_no_model_of_the_study():
    reported = trained("r", CONFIG.reported_recipe(0))
    own = trained("o", CONFIG.recipe(0))
    assert _group(reported, CONFIG) == "reported_encoder"
    assert _group(own, CONFIG) == "train"
    run("r", "o")
    compared = _compared_study("smoke")
    assert compared.groups == {"reported_encoder": [reported], "train": [own]}


def test_the_start_of_an_id_names_a_run_unless_several_have_it(monkeypatch):
    seconds = iter([1_796_040_000, 1_796_040_000, 1_796_040_001])
    monkeypatch.setattr(time, "time_ns", lambda: next(seconds) * 10**9)
    first, second, third = run(), run(), run()
    assert _find_invocation("20261130-120001").id == third
    with pytest.raises(ConfigError) as caught:
        _find_invocation("20261130-120000")
    assert str(caught.value) == (
        f"'20261130-120000': several runs have this name: {second}, {first}"
    )
    with pytest.raises(ConfigError, match="'': no study or run has this name"):
        _find_invocation("")


def test_a_run_of_another_version_is_refused_in_one_line(home):
    name = run("a")
    (record,) = (home / "invocations").glob("*.jsonl")
    json_lines.append(record, {"config": {"name": "smoke", "momentum": 0.9}})
    with pytest.raises(ConfigError) as caught:
        compare_reports(name, "smoke")
    assert str(caught.value) == (
        f"run {name[:15]}: its settings are of another version of this project: momentum: unknown "
        "key; allowed here: name, dataset, latent_dims, depths, depth_latent_dim, architectures, "
        "architecture, objectives, objective, seeds, training, interpolation, "
        "representation, measures, transfer, claims, margins, runner, versions_in_key; "
        "start again with: study run smoke"
    )
    json_lines.append(record, {"format": 99})
    with pytest.raises(ConfigError, match=r"the record /.*jsonl was written by a newer version"):
        compare_reports(name, name)


def test_a_model_with_a_recipe_of_another_version_is_refused_in_one_line():
    made = trained("o", CONFIG.recipe(0))
    other = made.model_copy(update={"result": {"recipe": made.result["recipe"] | {"momentum": 1}}})
    for entry in (other, made.model_copy(update={"result": {}})):
        with pytest.raises(ConfigError, match=r"^train\[o\]: its recipe is of another version"):
            _group(entry, CONFIG)
