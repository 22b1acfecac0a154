import pytest

from flows.configuration.load import chosen_sections
from flows.configuration.study_config import SECTIONS
from models.specs import ConfigError


def test_sections_are_in_the_order_of_the_diagram():
    assert chosen_sections(None) == chosen_sections([]) == SECTIONS
    assert chosen_sections(["theory", "latent_sweep", "theory"]) == ("latent_sweep", "theory")


def test_an_unknown_section_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"--section 'sweep': choose from latent_sweep, .*theory"):
        chosen_sections(["theory", "sweep"])
