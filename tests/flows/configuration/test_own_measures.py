"""Measures of a study's own: named in its file, read and tried before a run, noted by digest."""

import pytest
import torch

from flows.configuration.checks.networks import check_measures
from flows.configuration.load import load_config
from flows.configuration.own_code import (
    forget_digests,
    own_digests,
    read_own_code,
    served_digests,
)
from models.specs import ConfigError
from tasks.own_code.measure import call_measure

MEASURES = """
import torch

def smoothness(images, reconstructions, latents, labels):
    return (reconstructions[..., 1:] - reconstructions[..., :-1]).abs().mean()

def per_class(images, reconstructions, latents, labels):
    return 0.0 if labels is None else float(labels.max())

def lost(images, reconstructions, latents, labels):
    return torch.tensor(float("nan"))

def drawn(images, reconstructions, latents, labels):
    return torch.rand(())

def broken(images, reconstructions, latents, labels):
    return images.no_such_method()

def words(images, reconstructions, latents, labels):
    return "smooth"
"""
STUDY = """
name: own
dataset: {name: digits}
latent_dims: [2, 5]
measures:
  smoothness: my_measures.py:smoothness
"""
IMAGES = torch.zeros(4, 1, 2, 2)
LABELS = torch.tensor([0, 1, 2, 0])


@pytest.fixture
def load(tmp_path):
    (tmp_path / "my_measures.py").write_text(MEASURES)
    (tmp_path / "study.yaml").write_text(STUDY)
    return lambda *overrides: load_config(str(tmp_path / "study.yaml"), list(overrides))


def named(load, tmp_path, function):
    return load(f"measures={{mine: {tmp_path / 'my_measures.py'}:{function}}}")


def test_a_measure_is_noted_by_the_code_that_it_reaches(load, tmp_path):
    config = load()
    digest = config.measures["smoothness"].code
    assert own_digests(config) == [digest]
    file = tmp_path / "my_measures.py"
    file.write_text(MEASURES.replace('"smooth"', '"rough"') + "# a comment\n")
    assert load().measures["smoothness"].code == digest
    file.write_text(MEASURES.replace("abs()", "square()"))
    assert load().measures["smoothness"].code != digest


def test_a_served_study_refuses_other_code(load, tmp_path):
    config = load()
    allowed = served_digests(config)
    assert read_own_code(config, allowed) == config
    assert forget_digests(config).measures["smoothness"].code is None
    (tmp_path / "my_measures.py").write_text(MEASURES.replace("abs()", "square()"))
    with pytest.raises(ConfigError, match=r"^measures.smoothness.name: .* is not code that"):
        read_own_code(forget_digests(config), allowed)
    with pytest.raises(ConfigError, match="not the code that was served"):
        read_own_code(config, allowed)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("measures={psnr: my.py:f}", "measures.psnr: a measure or a column has this name; choose"),
        ("measures={seed: my.py:f}", "measures.seed: a measure or a column has this name; choose"),
        ("measures={test_loss: my.py:f}", "measures.test_loss: a measure or a column has this"),
        ("measures={walk_kid: my.py:f}", "measures.walk_kid: a measure or a column has this name"),
        ("measures={n_parameters: my.py:f}", "measures.n_parameters: a measure or a column has"),
        ("measures={mine: my.py}", "my.py names no function; write FILE.py:FUNCTION"),
        ("measures={mine: missing.py:f}", "missing.py: no such file"),
        ("measures={}", "measures: "),
    ],
)
def test_mistakes_are_one_line(load, override, message):
    with pytest.raises(ConfigError) as found:
        load(override)
    assert message in str(found.value)
    assert "\n" not in str(found.value)


def test_measures_are_tried_before_a_run(load, tmp_path):
    check_measures(load(), (1, 28, 28), 10)
    check_measures(load("measures=null"), (1, 28, 28), 10)
    for function, message in (
        ("broken", r"measures.mine: .*my_measures.py:broken: .*no_such_method"),
        ("words", r"measures.mine: .*:words returned a str; return a number"),
    ):
        with pytest.raises(ConfigError, match=message):
            check_measures(named(load, tmp_path, function), (1, 28, 28), 10)


def test_values_are_numbers_and_repeat(load, tmp_path):
    def call(function, seed=0, labels=LABELS):
        code = named(load, tmp_path, function).measures["mine"].code
        return call_measure(code, IMAGES, IMAGES, torch.zeros(4, 2), labels, seed)

    assert call("smoothness") == 0
    assert call("per_class") == 2
    assert call("per_class", labels=None) == 0
    assert call("lost") is None
    assert call("drawn") == call("drawn") != call("drawn", seed=1)
