"""A study's own claims as settings: what is accepted, what is refused, and what is said."""

import re

import pytest
from jsonschema import validate

from flows.configuration.load import command_of, load_config
from flows.configuration.study_config import SECTIONS, StudyConfig
from models.specs import ConfigError
from tasks.verdicts.claim import written_study

STUDY = {
    "name": "own",
    "dataset": {"name": "digits"},
    "latent_dims": [4, 16],
    "architectures": {
        "small": {"encoder": "conv", "decoder": "conv", "options": {"width": 4}},
        "wide": {"encoder": "conv", "decoder": "conv", "options": {"width": 8}},
    },
    "objectives": {"plain": {"name": "mse"}, "vae": {"name": "vae"}},
    "transfer": {"scenarios": ["head_only", "fine_tune"], "label_budgets": [100, "all"]},
}
GOOD = {
    "name": "wider is better",
    "quantity": "test_loss",
    "along": "architecture",
    "order": ["small", "wide"],
    "expect": "decreasing",
}


def load(*claims):
    return load_config(STUDY | {"claims": list(claims)})


@pytest.mark.parametrize(
    "claim",
    [
        GOOD,
        {"quantity": "test_loss", "along": "latent_dim", "expect": "decreasing"},
        {"quantity": "test_loss", "where": {"latent_dim": 4}, "expect": {"below": 1}},
        {"quantity": "test_loss", "along": "objective", "expect": "equal"},
        {
            "quantity": ["n_parameters", "train_loss"],
            **{k: GOOD[k] for k in ("along", "order", "expect")},
        },
        {
            "quantity": "test_accuracy",
            "along": "scenario",
            "order": ["head_only", "fine_tune"],
            "for_each": "label_budget",
            "expect": "increasing",
        },
        {
            "quantity": "test_accuracy",
            "along": "label_budget",
            "where": {"scenario": "head_only"},
            "expect": "increasing",
        },
    ],
)
def test_a_claim_that_can_be_judged_is_accepted(claim):
    config = load({"name": "a", **claim})
    assert len(config.claims) == 1
    assert StudyConfig.model_validate(config.model_dump(mode="json")).claims == config.claims


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"quantity": "tset_loss"},
            "(wider is better): quantity: there is no 'tset_loss'; did you mean 'test_loss'?",
        ),
        (
            {"quantity": ["test_loss", "test_accuracy"]},
            "are not measured of the same models in one unit",
        ),
        ({"order": []}, "claims.0: order: it is missing, and architecture has no order of its own"),
        ({"order": ["small"]}, "order: list different levels, at least two"),
        (
            {"order": ["small", "huge"]},
            "order: no such model has architecture huge; those that fit have small, wide",
        ),
        ({"along": None}, "claims.0: along: it is missing; give one of latent_dim, depth"),
        ({"along": None, "expect": {"below": 1}}, "order: it is for the levels of along"),
        ({"along": "size"}, "claims.0.along: 'size' is not allowed"),
        ({"along": "depth", "order": []}, "along: there is no depth to compare; no model fits"),
        (
            {"along": "scenario"},
            "along: test_loss is not compared along scenario; choose from latent_dim",
        ),
        (
            {"where": {"architecture": "small"}},
            "where.architecture: it leaves a single architecture",
        ),
        (
            {"where": {"objective": "vea"}},
            "where.objective: no such model has objective vea; those that fit have plain",
        ),
        (
            {"where": {"latent_dim": 4}},
            "order: no such model has architecture wide; those that fit have small",
        ),
        ({"where": {"objectve": "vae"}}, "claims.0.where.objectve: 'objectve' is not allowed"),
        ({"where": {"objective": ["vae"]}}, "should be one value, like 20 or plain"),
        ({"for_each": "architecture"}, "for_each: along is architecture too"),
        ({"expect": "bigger"}, "should be increasing, decreasing, equal, {below: 0.01} or"),
        ({"expect": {"below": "x"}}, "should be increasing, decreasing, equal, {below: 0.01} or"),
        ({"expect": {"below": 1, "above": 0}}, "should be increasing, decreasing, equal"),
        (
            {"quantity": "dead_units", "expect": "equal"},
            "margin: it is missing; give the largest change of dead_units",
        ),
        ({"margin": 0}, "claims.0.margin: 0 is not allowed"),
        ({"qantity": "test_loss"}, "claims.0.qantity: unknown key; did you mean 'quantity'?"),
        ({"name": ""}, "claims.0.name: '' is not allowed"),
        ({"name": "loss < 1"}, "claims.0.name: 'loss < 1' is not allowed: should have letters"),
        ({"name": "../x"}, "claims.0.name: '../x' is not allowed: should have letters"),
    ],
)
def test_a_claim_that_cannot_be_judged_is_refused_in_one_line(change, said):
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        load(GOOD | change)
    assert "\n" not in str(caught.value)


def test_classifiers_must_be_told_apart():
    claim = {
        "name": "a",
        "quantity": "test_accuracy",
        "along": "label_budget",
        "expect": "increasing",
    }
    said = "where: several models of a seed fit; choose one of scenario: head_only, fine_tune"
    with pytest.raises(ConfigError, match=said):
        load(claim)


def test_all_wrong_claims_are_named():
    with pytest.raises(ConfigError) as caught:
        load(GOOD, {**GOOD, "name": "b", "quantity": "x"}, {**GOOD, "order": ["wide", "small"]})
    first, second = str(caught.value).splitlines()
    assert first.startswith("claims.1 (b): quantity: there is no 'x'")
    assert (
        second
        == "claims.2 (wider is better): name: another claim has it too; give each claim its own"
    )


@pytest.mark.parametrize("claims", ["written", 3, None, [1]])
def test_claims_are_a_list_or_a_name(claims):
    with pytest.raises(ConfigError, match=r"^claims(\.0)?: "):
        load_config(STUDY | {"claims": claims})


def test_the_default_is_a_name_in_records_and_commands():
    assert load_config("smoke").claims == written_study()
    assert load_config("smoke").model_dump(mode="json")["claims"] == "written-study"
    assert command_of(load_config("smoke"), SECTIONS) == "study run smoke"
    both = load("written-study", GOOD)
    assert len(both.claims) == len(written_study()) + 1
    assert both.model_dump(mode="json")["claims"][0] == "written-study"
    assert load_config(STUDY | {"claims": []}).claims == ()


@pytest.mark.parametrize("study", ["smoke", "digits", "mnist", "mnist-as-reported"])
def test_claims_of_the_written_study_need_no_section(study):
    assert (
        load_config(study, {"depths": [], "transfer.label_budgets": [10]}).claims == written_study()
    )


@pytest.mark.parametrize("claims", ["written-study", [], ["written-study", GOOD], [GOOD]])
def test_a_form_of_the_study_takes_what_a_record_has(claims):
    config = load_config(STUDY | {"claims": claims})
    validate(config.model_dump(mode="json"), StudyConfig.model_json_schema())
    asked = STUDY | {"claims": claims}  # as somebody writes it: a quantity is a text
    validate(asked, StudyConfig.model_json_schema())
