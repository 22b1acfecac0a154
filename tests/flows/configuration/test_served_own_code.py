"""A served or deployed run runs only the code with which its study was served."""

import pytest

from flows.configuration.load import load_config
from flows.configuration.own_code import own_digests, read_own_code, served_digests
from models.specs import ConfigError
from tasks.own_code.registry import OWN_CODES

NETS = """
import pathlib
from torch import nn

def encoder(image_shape, outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(image_shape[1] * image_shape[2], outputs))

def decoder(image_shape, latent_dim):
    return nn.Sequential(nn.Linear(latent_dim, 784), nn.Unflatten(1, image_shape), nn.Sigmoid())
"""
STUDY = """
name: own
dataset: {name: digits}
architectures:
  mine: {encoder: nets.py:encoder, decoder: nets.py:decoder}
"""


@pytest.fixture
def served(tmp_path):
    """The parameters of a served study's runs, and the digests that its server passes on."""
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "study.yaml").write_text(STUDY)
    config = load_config(str(tmp_path / "study.yaml"))
    return config, served_digests(config)


def append(folder, text):
    (folder / "nets.py").write_text(NETS + text)


def test_what_was_served_is_accepted_also_with_a_comment(served, tmp_path):
    config, allowed = served
    append(tmp_path, "# a comment\n")
    assert read_own_code(config, allowed) == config
    assert own_digests(config) != allowed


def test_an_edited_file_is_refused_even_where_nothing_uses_the_edit(served, tmp_path):
    config, allowed = served
    mark = tmp_path / "ran"
    append(tmp_path, f"\nclass Unused:\n    made = pathlib.Path({str(mark)!r}).touch()\n")
    with pytest.raises(
        ConfigError, match=r"^architectures.mine.encoder: .*nets.py:encoder is not c"
    ):
        read_own_code(config, allowed)
    assert not mark.exists()


def test_a_file_that_a_form_names_is_not_run(served, tmp_path):
    config, allowed = served
    mark = tmp_path / "ran"
    other = tmp_path / "other.py"
    other.write_text(f"open({str(mark)!r}, 'w')\ndef encoder(s, n): pass\n")
    before = set(OWN_CODES.codes)
    asked = config.architectures["mine"].model_copy(
        update={"encoder": f"{other}:encoder", "code": None}
    )
    named = config.model_copy(update={"architectures": {"mine": asked}})
    with pytest.raises(ConfigError, match="is not code that this study was served or deployed"):
        read_own_code(named, allowed)
    assert not mark.exists()
    assert set(OWN_CODES.codes) == before
