import pytest

from flows.commands.register import register
from flows.commands.rerun import latest_invocation, rerun
from flows.commands.status import status
from flows.configuration.load import load_config
from flows.configuration.study_config import SECTIONS
from flows.plan import make_plan
from models.specs import ConfigError
from tasks.execution.invocations import InvocationLog
from tasks.system import json_lines

CONFIG = load_config("smoke")


def run_before(study, *sections):
    config = CONFIG.model_copy(update={"name": study})
    InvocationLog(study, config.model_dump(mode="json"), list(sections)).end("FAILED", "")
    return config


@pytest.mark.parametrize(("study", "words"), [(None, "no study has run"), ("x", "no study 'x'")])
def test_there_must_be_an_invocation_to_repeat(study, words):
    with pytest.raises(ConfigError, match=words):
        latest_invocation(study)


def test_the_latest_invocation_has_its_settings_and_sections():
    first = run_before("first", "transfer", "depth_sweep")
    second = run_before("second", "theory")
    assert latest_invocation(None) == (second, ("theory",))
    assert latest_invocation("first") == (first, ("depth_sweep", "transfer"))


def test_a_study_is_repeated_listed_and_registered_by_its_file(monkeypatch, tmp_path, capsys):
    path = tmp_path / "file.yaml"
    path.write_text("name: mine\n")
    mine = run_before("mine", "theory")
    run_before("other", "theory")
    launched = []
    monkeypatch.setattr("flows.launch.launch", lambda *given: launched.append(given[:2]))
    rerun(str(path))
    assert launched == [(mine, ("theory",))]
    status(str(path))
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[:2]] == [
        "study",
        "mine",
    ]
    with pytest.raises(ConfigError, match="no study 'mine' with a dataset is in MLflow"):
        register(str(path))


def test_patterns_choose_tasks():
    def chosen(*patterns):
        return make_plan(CONFIG, SECTIONS).matching(patterns)

    model = "train[depth=2, latent_dim=2, seed=0]"
    assert chosen() == []
    assert chosen(model) == [model]
    larger = "train[depth=2, latent_dim=5, seed=0]"
    as_reported = "train[depth=2, latent_dim=5, seed=0, recipe=as_reported]"
    assert chosen("train[depth=2, *]") == [larger, as_reported, model]
    assert chosen("train[depth=2, latent_dim=?, seed=0]") == [larger, model]
    assert chosen("pca*", "data[digits]", "pca*") == ["pca[digits]", "data[digits]"]
    with pytest.raises(
        ConfigError, match=r"'train\[depth=7\*': no such task in this study; there are train"
    ):
        chosen("train[depth=7*")


def test_a_rerun_launches_the_latest_invocation_and_forces_the_chosen_tasks(monkeypatch):
    launched = []
    monkeypatch.setattr(
        "flows.launch.launch", lambda config, sections, force: launched.append((sections, force))
    )
    run_before("smoke", "theory")
    rerun()
    rerun("smoke", task=["theory*"])
    assert launched == [(("theory",), []), (("theory",), ["theory[exercises]"])]


def record_of(study, home):
    (record,) = (home / "invocations").glob(f"*-{study}-*.jsonl")
    return record


def test_settings_and_sections_of_another_version_are_refused_in_one_line(home):
    run_before("smoke", "theory")
    json_lines.append(record_of("smoke", home), {"sections": ["dreams"]})
    with pytest.raises(ConfigError, match=r"^run \d{8}-\d{6}: section 'dreams' is of another ver"):
        latest_invocation(None)
    config = {"name": "smoke", "depths": [9]}
    json_lines.append(record_of("smoke", home), {"sections": ["theory"], "config": config})
    with pytest.raises(ConfigError, match=r"^run [^\n]*: depths\.0: 9 is[^\n]*study run smoke$"):
        latest_invocation(None)


@pytest.mark.parametrize("content", ['{"format": 99}', "7"])
def test_an_older_run_does_not_take_the_place_of_a_latest_one_that_cannot_be_read(home, content):
    run_before("other", "theory")
    run_before("smoke", "theory")
    record_of("smoke", home).write_text(content)
    with pytest.raises(ConfigError, match=r"^the latest run: /[^\n]*-smoke-[^\n]*study run$"):
        latest_invocation(None)
    assert latest_invocation("other")[1] == ("theory",)
