import pytest

from flows.configuration.load import load_config
from flows.configuration.study_config import SECTIONS
from flows.configuration.titles import dated, run_title

CHANGED = {
    "training.epochs": 2,
    "seeds": [0],
    "training.batch_size": 8,
    "training.optimizer": "sgd",
    "margins.relative": 1,
}


@pytest.mark.parametrize(
    ("changes", "sections", "title"),
    [
        ({}, SECTIONS, "digits, 5 seeds"),
        ({"training.epochs": 2}, SECTIONS, "digits, 5 seeds, epochs 2"),
        ({"runner.device": "cpu"}, SECTIONS, "digits, 5 seeds"),
        ({"latent_dims": [5, 10]}, SECTIONS, "digits, 5 seeds, latent dims 5, 10"),
        ({}, ("theory",), "digits, 5 seeds, theory"),
        ({}, ("latent_sweep", "theory"), "digits, 5 seeds, latent sweep and theory"),
        ({}, SECTIONS[:3], "digits, 5 seeds, 3 sections"),
    ],
)
def test_a_title_says_what_differs_from_the_shipped_study(changes, sections, title):
    assert run_title(load_config("digits", changes), sections) == title


def test_many_changes_are_counted():
    title = run_title(load_config("digits", CHANGED), SECTIONS)
    assert title.startswith("digits, 1 seed, ")
    assert title.endswith("1 more settings")
    assert title.count(",") == 5


def test_a_study_of_ones_own_has_its_name_and_its_seeds():
    own = load_config("digits", {"training.epochs": 2}).model_copy(update={"name": "mine"})
    assert run_title(own, SECTIONS) == "mine, 5 seeds"


def test_the_date_is_in_utc():
    assert dated("digits", 1_796_047_500) == "digits, 30 Nov 14:05 UTC"
