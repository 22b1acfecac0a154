import re
import shlex
import time

import pytest

from flows.configuration.load import (
    SHIPPED,
    command_of,
    is_as_shipped,
    load_config,
    name_of_study,
    recorded_config,
    shipped_studies,
)
from flows.configuration.study_config import SECTIONS
from models.specs import ConfigError


@pytest.mark.parametrize("name", ["digits", "mnist", "mnist-as-reported", "smoke"])
def test_shipped_studies_are_valid(name):
    assert name in shipped_studies()
    assert load_config(name).name == name


MISTAKES = {
    "training.epoch=3": ["training.epoch", "unknown key", "'epochs'"],
    "training.epochs=0": ["training.epochs", "0", "greater than or equal to 1"],
    "training.epochs=true": ["training.epochs", "True", "integer"],
    "training.learning_rate=-1": ["training.learning_rate", "-1", "greater than 0"],
    "training.optimizer=lion": ["training.optimizer", "'lion'", "'adam', 'adamw' or 'sgd'"],
    "dataset.name=cifar": ["dataset.name", "'cifar'", "'mnist'"],
    "dataset.name=folder": ["dataset.path", "None"],
    "latent_dims=[0]": ["latent_dims.0", "0", "greater than or equal to 1"],
    "latent_dims=5": ["latent_dims", "5", "list"],
    "depths=[4]": ["depths.0", "4", "less than or equal to 3"],
    "seeds=[]": ["seeds: [] is not allowed: should list at least 1 value, like [1, 2]"],
    "transfer.label_budgets=[]": ["should list at least 1 value, like [100, all]"],
    "transfer.scenarios=head_only": ["'head_only'", "should be a list, like [head_only, fine"],
    "interpolation.pairs=7": ["should be a list, like [[3, 5], [4, 9]]"],
    "interpolation.pairs=[3]": ["pairs.0: 3", "should be a pair; write pairs like [[3, 5], [4"],
    "interpolation.pairs=[[]]": ["interpolation.pairs.0: []", "should be a pair, like [3, 5]"],
    "interpolation.pairs=[[1,2,3]]": ["pairs.0: [1, 2, 3]", "should be a pair, like [3, 5]"],
    "interpolation.pairs=[[1.5,no]]": [
        "interpolation.pairs.0.0: 1.5 is not allowed: should be a class: a whole number from 0 to "
        "999,999, or a name in quotes, like '1.5', of at most 255 characters"
    ],
    "interpolation.pairs=[[yes,null]]": ["pairs.0.1: None", "whole number", "a name in quotes"],
    "interpolation.pairs=[[-1,2]]": ["pairs.0.0: -1", "a whole number from 0", "a name in quotes"],
    "seeds=[0,0]": ["seeds", "0", "twice"],
    "runner.kind=dask": ["runner.kind: 'dask' with runner.address: None", "scheduler"],
    "runner.address=tcp://host": ["runner.address", "tcp://host"],
    "name=../x": ["name", "'../x'", "letters, digits"],
    "transfer.label_budgets=[0]": ["transfer.label_budgets", "0", "all"],
    "interpolation.pairs=[[1]]": ["interpolation.pairs.0", "[1]"],
    "transfer.ablation_learning_rates=[]": ["should list at least 1 value, like [1, 2]"],
    "transfer.ablation_learning_rates=[0.1,0]": ["learning_rates.1: 0", "greater than 0"],
    "transfer.ablation_learning_rates=[0.1,0.1]": ["0.1 is listed twice"],
    "runner.device=tpu": ["runner.device", "'tpu'", "'auto', 'cpu' or 'cuda'"],
    "runner.stack=0": ["runner.stack", "0", "greater than or equal to 1"],
    "margins.relative=0": ["margins.relative", "0", "greater than 0"],
    "margins.accuracy=60": ["margins.accuracy", "60", "less than or equal to 50"],
    "margins.loss=1": ["margins.loss: unknown key", "relative, accuracy"],
    "training=3": ["training", "3", "keys"],
}


@pytest.mark.parametrize(("override", "words"), MISTAKES.items())
def test_mistakes_are_one_line_with_key_value_and_range(override, words):
    with pytest.raises(ConfigError) as caught:
        load_config("smoke", [override])
    lines = str(caught.value).splitlines()
    assert len(lines) == 1, lines
    for word in words:
        assert word in lines[0]


def test_a_shipped_study_may_have_other_seeds_and_workers():
    assert is_as_shipped(load_config("digits", ["seeds=[7]", "runner.width=1"]))
    assert not is_as_shipped(load_config("digits", ["training.epochs=1"]))
    assert not is_as_shipped(load_config("digits", ["name=mine"]))


def test_an_error_about_two_keys_names_only_these():
    with pytest.raises(ConfigError, match=r"^runner\.kind: 'dask' with runner\.address: None; "):
        load_config("smoke", ["runner.kind=dask"])


@pytest.mark.parametrize("override", ["training.epochs", "=3", "a..b=1", "training.epochs=[1"])
def test_malformed_overrides_are_refused(override):
    with pytest.raises(ConfigError, match="--set"):
        load_config("smoke", [override])


def test_overrides_change_nested_values():
    overrides = ["training.epochs=7", "seeds=[0, 1]", "dataset.train_limit=null"]
    config = load_config("smoke", [*overrides, "training.learning_rate=1e-3"])
    assert config.training.learning_rate == 0.001
    assert config.training.epochs == 7
    assert config.seeds == (0, 1)
    assert config.dataset.train_limit is None


def test_a_users_file_is_read_and_mistakes_in_it_are_explained(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("latent_dims: [3]\ndepths: []\n")
    assert load_config(str(path)).name == "mine"
    assert load_config(str(path)).depth_sweep == []
    path.write_text("latent_dims: [3\n")
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(str(path))
    path.write_text("- 3\n")
    with pytest.raises(ConfigError, match="must hold keys and values"):
        load_config(str(path))
    path.write_text("")
    with pytest.raises(ConfigError, match=r"must hold keys and values, it is empty$"):
        load_config(str(path))
    path.write_text("seeds: [0]\nseeds: [1]\n")
    with pytest.raises(ConfigError, match=r'the key "seeds" is given twice, line 2, column 1$'):
        load_config(str(path))
    path.write_bytes(b"name: caf\xe9\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml': save it as utf-8 \(.* at byte 9\)$"):
        load_config(str(path))
    with pytest.raises(ConfigError, match="cannot read"):
        load_config(str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigError, match="no study named 'mnits'; did you mean 'mnist'"):
        load_config("mnits")


@pytest.mark.parametrize("name", ["digits", "Digits", "mnist-as-reported"])
def test_a_file_has_no_name_of_a_shipped_study(tmp_path, name):
    path = tmp_path / f"{name}.yaml"
    path.write_text("seeds: [3]\n")
    message = rf"^name: '{name}' is a shipped study, .* choose another name, like 'my-{name}'$"
    with pytest.raises(ConfigError, match=message):
        load_config(str(path))
    other = tmp_path / "other.yaml"
    other.write_text(f"name: {name}\n")
    with pytest.raises(ConfigError, match=message):
        load_config(str(other))
    with pytest.raises(ConfigError, match=message):
        load_config("smoke", [f"name={name}"])
    assert load_config(str(path), ["name=mine"]).name == "mine"
    assert load_config("digits", ["name=mine"]).name == "mine"
    assert load_config(str(SHIPPED / "digits.yaml")) == load_config("digits")


def test_a_study_is_named_by_its_name_or_its_file(tmp_path):
    path = tmp_path / "file.yml"
    path.write_text("name: mine\n")
    assert name_of_study(str(path)) == "mine"
    assert name_of_study("ran-here") == "ran-here"
    assert name_of_study("gone.yaml") == "gone.yaml"


def test_a_command_names_what_differs_from_the_shipped_study(tmp_path):
    overrides = ["seeds=[0,1]", "training.epochs=2", "runner.width=1"]
    command = command_of(load_config("mnist", overrides), ("theory",))
    assert shlex.split(command)[:3] == ["study", "run", "mnist"]
    arguments = shlex.split(command)[3:]
    assert arguments[-2:] == ["--section", "theory"]
    again = load_config("mnist", [a for a in arguments[:-2] if a != "--set"])
    assert again == load_config("mnist", overrides[:2])
    assert command_of(load_config("digits"), SECTIONS) == "study run digits"
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\n")
    assert command_of(load_config(str(path)), SECTIONS) == "study run mine.yaml"


def test_a_relative_path_starts_at_the_study_file(tmp_path, monkeypatch):
    path = tmp_path / "studies" / "mine.yaml"
    path.parent.mkdir()
    path.write_text("dataset: {name: folder, path: ../images}")
    monkeypatch.chdir("/")
    assert load_config(str(path)).dataset.path == str(tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    override = ["dataset.path=here"]
    assert load_config(str(path), override).dataset.path == str(tmp_path / "here")


def test_many_mistakes_are_cut_and_take_no_time(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(f"latent_dims: [{'wrong, ' * 4_000}]")
    started = time.process_time()
    with pytest.raises(ConfigError) as caught:
        load_config(str(path))
    assert time.process_time() - started < 5
    assert len(str(caught.value).splitlines()) == 21
    assert str(caught.value).endswith("\nand 3980 more")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("seeds=" + "[" * 5_000, "more than 30 levels"),
        ("training.epochs=&a [*a]", "the anchor 'a' is inside itself"),
        ("name=" + "x" * 50_000, "should be letters, digits"),
        ("training" + ".a" * 2_000 + "=1", "training.a: unknown key"),
        ("depths=[" + "[" * 20 + "]" * 20 + "]", "depths.0: "),
        ("y" * 50_000 + "=1", "unknown key"),
        (r'dataset={name: folder, path: "a\0b"}', "NUL"),
    ],
)
def test_an_override_of_any_size_is_refused_in_one_short_line(override, words):
    with pytest.raises(ConfigError, match=words) as caught:
        load_config("smoke", [override])
    assert re.fullmatch(r"[^\n]{1,400}", str(caught.value))  # it may list the keys of a study


def test_an_unknown_key_that_is_no_word_is_named(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("training: {my key: 1}")
    with pytest.raises(ConfigError, match=r"^training\.'my key': unknown key; allowed here: epoch"):
        load_config(str(path))


def test_settings_of_another_version_are_one_line_with_the_run_and_what_to_do():
    config = load_config("smoke").model_dump(mode="json")
    assert recorded_config(config, "R", "smoke") == load_config("smoke")
    config["training"]["momentum"] = 0.9
    config["depths"] = [7]
    message = (
        r"^run R: its settings are of another version of this project: depths\.0: 7 is not "
        r"allowed: [^\n]* \(and 1 more\); start again with: study run smoke$"
    )
    with pytest.raises(ConfigError, match=message):
        recorded_config(config, "R", "smoke")
    nameless = load_config("smoke").model_dump(mode="json", exclude={"name"})
    with pytest.raises(ConfigError, match=r"of this project: name is missing; start again with"):
        recorded_config(nameless, "R", "smoke")
