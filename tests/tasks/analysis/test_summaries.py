import pytest
from pandas import DataFrame

from tasks.analysis.summaries import headline_metrics, means_over_seeds, summaries
from tasks.analysis.tables import CLASSIFIER_CHOICES, MODEL_CHOICES, Tables

MODELS = DataFrame(
    [(2, 5, 0, 0.4, 0.5, "k0"), (2, 5, 1, 0.6, 0.7, "k1"), (2, 20, 0, 0.1, 0.2, "k2")],
    columns=["depth", "latent_dim", "seed", "final_train_loss", "final_test_loss", "key"],
).assign(architecture="depth 2", objective="mse", n_parameters=9)


def classifier(scenario, latent_dim, seed, test_accuracy, budget="all"):
    return {
        "scenario": scenario,
        "trained": "head",
        "output": "logits",
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "labels": "aligned",
        "label_budget": budget,
        "architecture": "depth 2",
        "latent_dim": latent_dim,
        "objective": "mse",
        "seed": seed,
        "test_accuracy": test_accuracy,
    }


CLASSIFIERS = DataFrame(
    [
        classifier("fine_tune", 20, 0, 0.9),
        classifier("head_only", 20, 0, 0.8),
        classifier("head_only", 20, 1, 0.6),
        classifier("head_only", 5, 0, 0.5),
        classifier("head_only", 20, 0, 0.3, budget=10),
    ]
)


def tables(models=MODELS, classifiers=CLASSIFIERS):
    config = {
        "latent_dims": [5, 20],
        "depths": [1, 2],
        "depth_latent_dim": 5,
        "transfer": {
            "scenarios": ["head_only", "fine_tune"],
            "label_budgets": [10, "all"],
            "depth": 2,
            "latent_dim": 20,
            "latent_dims": None,
        },
    }
    return Tables(models, classifiers, DataFrame(), DataFrame(), models[:0], config, n_train=100)


def test_a_row_holds_means_and_the_run_of_every_seed():
    columns = ["final_test_loss", "dead_units"]
    small, large = means_over_seeds(MODELS, ["depth", "latent_dim"], columns)
    assert (small["depth"], small["latent_dim"]) == (2, 5)
    assert small["final_test_loss"].mean == pytest.approx(0.6)
    assert small["final_test_loss"].n == 2
    assert small["runs"] == [(0, "k0"), (1, "k1")]
    assert small["dead_units"] is None  # was not measured
    assert large["final_test_loss"] == (0.2, None, None, 1)
    assert means_over_seeds(MODELS[:0], ["depth"], columns) == []


def test_a_seed_without_the_value_does_not_count():
    rows = MODELS.assign(dead_units=[1.0, None, None])
    small, large = means_over_seeds(rows, ["latent_dim"], ["dead_units"])
    assert small["dead_units"] == (1.0, None, None, 1)
    assert large["dead_units"] is None


def test_headline_metrics_have_means_intervals_and_seeds():
    found = headline_metrics(tables())
    name = "test_loss/depth_2/latent_005"
    assert found[name] == pytest.approx(0.6)
    assert found[f"{name}/seed_1"] == 0.7
    assert found[f"{name}/ci95_low"] + found[f"{name}/ci95_high"] == pytest.approx(1.2)
    assert found["train_loss/depth_2/latent_020"] == 0.1
    assert "train_loss/depth_2/latent_020/ci95_low" not in found  # of a single seed
    assert found["test_accuracy/head_only/head/all"] == pytest.approx(0.7)
    assert found["test_accuracy/head_only/head/10"] == 0.3
    assert found["test_accuracy/frozen/latent_005"] == 0.5
    assert not any("fine_tune" in name and "seed_1" in name for name in found)


def test_each_table_has_its_own_models():
    found = summaries(tables())
    assert [row["latent_dim"] for row in found["latent"]] == [5, 20]
    assert [(row["architecture"], row["latent_dim"]) for row in found["depth"]] == [("depth 2", 5)]
    order = [(row["scenario"], row["label_budget"]) for row in found["transfer"]]
    assert order == [("head_only", 10), ("head_only", "all"), ("fine_tune", "all")]
    assert {row["latent_dim"] for row in found["frozen"]} == {5, 20}
    assert found["interpolation"] == []


def test_a_study_without_results_has_empty_tables():
    models = DataFrame(columns=[*MODEL_CHOICES, "depth", "seed"])
    found = tables(models, DataFrame(columns=[*CLASSIFIER_CHOICES, "seed"]))
    assert set(map(len, summaries(found).values())) == {0}
    assert headline_metrics(found) == {}
