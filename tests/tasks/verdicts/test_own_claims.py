"""A study's own claims, judged on made measurements whose answer is known."""

import math

import numpy as np
import pytest
from pandas import DataFrame

from tasks.analysis.tables import Tables
from tasks.verdicts.claim import Claim, with_shipped, without_shipped, written_study
from tasks.verdicts.claims import claims_of, judge_claims
from tests.tasks.verdicts.made_rows import study_config

NAMES = {"small": {}, "wide": {}}
CONFIG = study_config(
    architectures=NAMES,
    architecture="small",
    objectives={"plain": {}, "vae": {}},
    objective="plain",
    depths=[],
    depth_latent_dim=3,
    measures={"smoothness": "mine.py:smoothness"},
    transfer={
        "scenarios": ["head_only", "fine_tune", "from_scratch"],
        "label_budgets": [10, 100],
        "depth": None,
        "latent_dim": 3,
        "latent_dims": None,
    },
)
SEEDS = 3


def noise(*names):
    """By which the values of each seed depart from their mean: other numbers for other names."""
    place = sum(map(ord, "".join(map(str, names))))
    return [0.004 * math.sin(2 * seed + 3 * place * place) for seed in range(SEEDS)]


def model(architecture="small", objective="plain", latent_dim=3, **measured):
    """One autoencoder for each seed; the measured values depart from the given by noise."""
    return [
        {
            "architecture": architecture,
            "depth": 0,
            "objective": objective,
            "latent_dim": latent_dim,
            "seed": seed,
        }
        | {name: value if name == "n_parameters" else value * (1 + one)}
        for seed, one in enumerate(noise(architecture, objective, latent_dim))
        for name, value in measured.items()
    ]


def classifier(scenario, label_budget, accuracy, departures=None):
    return [
        {
            "scenario": scenario,
            "trained": "head" if scenario == "head_only" else "head_and_encoder",
            "architecture": "small",
            "latent_dim": 3,
            "label_budget": label_budget,
            "seed": seed,
            "test_accuracy": accuracy + one,
        }
        for seed, one in enumerate(departures or noise(scenario, label_budget))
    ]


def verdict(models=(), classifiers=(), config=CONFIG, n_train=0, **claim):
    listed = [{"name": "own", **claim}]
    transfer = DataFrame(classifiers) if classifiers else DataFrame(columns=["scenario", "seed"])
    tables = Tables(
        DataFrame(models),
        transfer,
        DataFrame(),
        DataFrame(),
        DataFrame(),
        config | {"claims": listed},
        n_train,
    )
    (found,) = judge_claims(tables)
    return found


MODELS = [
    *model("small", "plain", 3, final_test_loss=0.04),
    *model("wide", "plain", 3, final_test_loss=0.02),
    *model("small", "vae", 3, final_test_loss=0.0402),
    *model("small", "plain", 2, final_test_loss=0.06),
    *model("small", "plain", 4, final_test_loss=0.01),
    *model("wide", "vae", 4, final_test_loss=9.0),  # of no comparison
]


@pytest.mark.parametrize(
    ("claim", "outcome", "labels"),
    [
        (
            {"along": "architecture", "order": ["small", "wide"], "expect": "decreasing"},
            "confirmed",
            ["small to wide"],
        ),
        (
            {"along": "architecture", "order": ["wide", "small"], "expect": "decreasing"},
            "refuted",
            ["wide to small"],
        ),
        (
            {"along": "objective", "order": ["plain", "vae"], "expect": "decreasing"},
            "equivalent",
            ["plain to vae"],
        ),
        ({"along": "objective", "expect": "equal"}, "confirmed", ["plain to vae"]),
        ({"along": "objective", "expect": "equal", "margin": 0.1}, "undecided", ["plain to vae"]),
        ({"along": "architecture", "expect": "equal"}, "refuted", ["small to wide"]),
        (
            {"along": "latent_dim", "expect": "decreasing"},
            "confirmed",
            ["d = 2 to d = 3", "d = 3 to d = 4"],
        ),
        (
            {"along": "latent_dim", "order": [2, 4], "expect": "decreasing"},
            "confirmed",
            ["d = 2 to d = 4"],
        ),
        ({"expect": {"below": 0.05}}, "confirmed", ["all against 0.05"]),
        ({"expect": {"below": 0.03}}, "refuted", ["all against 0.03"]),
        ({"expect": {"above": 0.03}}, "confirmed", ["all against 0.03"]),
        ({"expect": {"below": 0.04}}, "equivalent", ["all against 0.04"]),
        (
            {"expect": {"below": 0.05}, "where": {"architecture": "wide"}},
            "confirmed",
            ["all against 0.05"],
        ),
        (
            {"along": "latent_dim", "expect": {"below": 0.05}},
            "refuted",
            ["d = 2 against 0.05", "d = 3 against 0.05", "d = 4 against 0.05"],
        ),
        ({"expect": {"below": 1.0}, "where": {"latent_dim": 9}}, "not measured", []),
    ],
)
def test_a_claim_about_autoencoders(claim, outcome, labels):
    found = verdict(MODELS, quantity="test_loss", **claim)
    assert found.outcome == outcome
    assert [one.label for one in found.every_step.comparisons] == labels


def test_a_count_may_be_equal_or_not():
    models = [*model("small", n_parameters=100), *model("wide", n_parameters=130)]
    claim = {"quantity": "n_parameters", "along": "architecture"}
    assert verdict(models, **claim, expect="equal").outcome == "refuted"
    assert verdict(models, **claim, expect="equal", margin=31).outcome == "confirmed"
    one_seed = [row for row in models if row["seed"] == 0]
    assert verdict(one_seed, **claim, expect="equal").outcome == "refuted"


def test_a_measure_of_one_s_own_is_a_difference_without_a_margin():
    models = [*model("small", smoothness=0.5), *model("wide", smoothness=0.6)]
    claim = {"quantity": "smoothness", "along": "architecture", "order": ["small", "wide"]}
    found = verdict(models, **claim, expect="increasing")
    assert (found.outcome, found.every_step.unit, found.every_step.margin) == ("confirmed", "", 0)
    assert verdict(models, **claim, expect="increasing", margin=1).every_step.margin == 1


def test_all_quantities_of_a_claim_must_change():
    models = [
        {**loss, "n_parameters": count}
        for name, mean, count in (("small", 0.04, 100), ("wide", 0.02, 200))
        for loss in model(name, final_test_loss=mean)
    ]
    claim = {"along": "architecture", "order": ["small", "wide"], "expect": "decreasing"}
    both = verdict(models, quantity=["n_parameters", "test_loss"], **claim)
    assert both.outcome == "refuted"
    assert [one.label for one in both.every_step.comparisons] == [
        "parameters, small to wide",
        "test loss, small to wide",
    ]
    assert verdict(models, quantity="test_loss", **claim).outcome == "confirmed"


CLASSIFIERS = [
    *classifier("head_only", 10, 0.60),
    *classifier("fine_tune", 10, 0.55),
    *classifier("head_only", 100, 0.70),
    *classifier("fine_tune", 100, 0.80),
    *classifier("from_scratch", 100, 0.80),
]
SCENARIOS = {"along": "scenario", "order": ["head_only", "fine_tune"], "expect": "increasing"}


@pytest.mark.parametrize(
    ("claim", "outcome"),
    [
        (SCENARIOS, "confirmed"),  # with the largest number of labels
        (SCENARIOS | {"where": {"label_budget": 100}}, "confirmed"),
        (SCENARIOS | {"where": {"label_budget": 10}}, "refuted"),
        (SCENARIOS | {"for_each": "label_budget"}, "refuted"),
        (
            {"along": "label_budget", "where": {"scenario": "head_only"}, "expect": "increasing"},
            "confirmed",
        ),
    ],
)
def test_a_claim_about_classifiers(claim, outcome):
    assert verdict(classifiers=CLASSIFIERS, quantity="test_accuracy", **claim).outcome == outcome


def test_classifiers_are_compared_seed_by_seed_on_one_encoder_only():
    wide = (-0.2, 0.2, 0.0)  # the seeds differ by more than the scenarios
    shifted = [0.01 + one for one in (-0.2, 0.199, 0.001)]
    made = [
        *classifier("head_only", 100, 0.5, wide),
        *classifier("fine_tune", 100, 0.5, shifted),
        *classifier("from_scratch", 100, 0.5, shifted),
    ]
    claim = {"quantity": "test_accuracy", "along": "scenario", "expect": "increasing"}
    assert (
        verdict(classifiers=made, order=["head_only", "fine_tune"], **claim).outcome == "confirmed"
    )
    assert (
        verdict(classifiers=made, order=["head_only", "from_scratch"], **claim).outcome
        == "undecided"
    )


def test_a_budget_of_all_images_is_called_all():
    made = [
        {**row, "label_budget": "all"} if row["label_budget"] == 100 else row for row in CLASSIFIERS
    ]
    claim = SCENARIOS | {"quantity": "test_accuracy", "where": {"label_budget": 100}}
    assert verdict(classifiers=made, n_train=80, **claim).outcome == "confirmed"


def test_what_is_called_equal_is_rarely_further_apart_than_the_margin():
    generator, margin, confirmed, n_studies = np.random.default_rng(0), 0.02, 0, 300
    for _ in range(n_studies):
        values = {"small": 1.0, "wide": 1.0 + margin}
        models = [
            {**row, "smoothness": mean + 0.005 * generator.normal()}
            for name, mean in values.items()
            for row in model(name, smoothness=0)
        ]
        claim = {"quantity": "smoothness", "along": "architecture", "margin": margin}
        confirmed += verdict(models, **claim, expect="equal").outcome == "confirmed"
    assert confirmed / n_studies < 0.05 + 0.03  # two standard errors above the level


def test_how_many_seeds_would_decide_that_nothing_changes():
    near = [*model("small", smoothness=1.0), *model("wide", smoothness=1.001)]
    claim = {"quantity": "smoothness", "along": "architecture", "expect": "equal"}
    found = verdict(near, margin=0.006, **claim)
    assert found.outcome == "undecided"
    assert 4 <= found.seeds_needed < 50
    beyond = verdict(near, margin=0.0005, **claim)
    assert beyond.seeds_needed > found.seeds_needed


def test_a_claim_is_written_as_a_sentence():
    asked = {"quantity": "test_loss", "along": "architecture", "order": ["small", "wide"]}
    found = Claim(name="a", **asked, expect="decreasing", where={"objective": "vae"})
    assert found.sentence == (
        "The test loss falls along the architecture (small, wide); objective vae."
    )
    bound = Claim(name="b", quantity="knn_accuracy", expect={"above": 0.9}, along="latent_dim")
    assert bound.sentence == "The knn accuracy is above 0.9 at every latent dim."
    given = Claim(name="c", claim="So it is.", quantity="test_loss", expect={"below": 1})
    assert given.sentence == "So it is."


def test_the_written_study_is_one_name_among_the_claims():
    own = Claim(name="a", quantity="test_loss", expect={"below": 0.1})
    shipped = written_study()
    assert len(shipped) == 22
    for listed, text in (
        (shipped, "written-study"),
        (
            (own, *shipped),
            [{"name": "a", "quantity": ["test_loss"], "expect": {"below": 0.1}}, "written-study"],
        ),
        ((), []),
    ):
        data = without_shipped(listed)
        assert [one if isinstance(one, str) else {**one} for one in data] == list(
            text
        ) or data == text
        restored = [
            Claim.model_validate(one) if isinstance(one, dict) else one
            for one in with_shipped(data)
        ]
        assert tuple(restored) == tuple(listed)


def test_results_of_versions_without_claims_have_those_of_the_written_study():
    assert claims_of(study_config()) == list(written_study())
