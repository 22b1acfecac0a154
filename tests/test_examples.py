"""The examples that readers copy: they are understood, and their networks can be trained."""

from pathlib import Path

import pytest

from flows.configuration.check_networks import check_networks
from flows.configuration.load import load_config

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@pytest.mark.parametrize("study", sorted(EXAMPLES.glob("*/*.yaml")), ids=lambda path: path.name)
@pytest.mark.parametrize("image_shape", [(1, 28, 28), (3, 32, 32), (3, 48, 32)])
def test_the_networks_of_an_example_take_images_of_any_shape(study, image_shape):
    config = load_config(str(study))
    assert config.architectures
    assert check_networks(config, image_shape) == []
