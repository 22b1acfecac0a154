import pytest

from tasks.reporting.words import identity_words, setting_name, setting_text, value_name


def test_an_identity_is_said_in_words():
    identity = {"scenario": "head_only", "trained": "head", "label_budget": 100, "seed": 0}
    assert identity_words(identity) == "frozen encoder, classifier only, 100 labels"
    assert identity_words({"depth": 2, "latent_dim": 20}) == "depth 2, latent size 20"
    assert identity_words({"pair": ["a_b", "c"], "latent_dim": 5}) == "a b to c, latent size 5"


def test_a_value_that_has_no_words_of_its_own_loses_its_underscores():
    assert value_name("as_reported", "scenario") == "as reported"
    assert value_name("my_scenario", "scenario") == "my scenario"
    assert value_name("head_only") == "head only"


def test_a_setting_has_its_parts_in_its_name():
    assert setting_name("training.batch_size") == "training: batch size"
    assert setting_name("latent_dim") == "latent size"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        (True, "yes"),
        ([0, 1, 2], "0, 1, 2"),
        ([], "none"),
        (0.5, "0.5"),
        ("relu", "relu"),
        ([[3, 5]], "[[3, 5]]"),
        ({"a": "b" * 300}, '{"a": "' + "b" * 190 + "..."),
    ],
)
def test_the_value_of_a_setting_is_no_json_where_it_need_not_be(value, text):
    assert setting_text(value) == text
