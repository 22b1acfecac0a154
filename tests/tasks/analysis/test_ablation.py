from itertools import product
from typing import NamedTuple

import pytest
from pandas import DataFrame, concat

from tasks.analysis.ablation import (
    compare_outputs,
    gradient_ratio,
    main_effects,
    summarize_ablation,
    variance_shares,
)

RATES, PARTS, OUTPUTS, OPTIMIZERS = (
    [0.001, 0.1],
    ["head", "head_and_encoder"],
    ["logits", "softmax"],
    ["adam", "sgd"],
)
FACTORS = ["output", "optimizer", "learning_rate", "trained"]


class Cell(NamedTuple):
    output: str
    optimizer: str
    learning_rate: float
    trained: str
    seed: int

    @property
    def softmax(self):
        return float(self.output == "softmax")

    @property
    def slow(self):
        return float(self.learning_rate < 0.01)

    @property
    def sgd(self):
        return float(self.optimizer == "sgd")


def table(loss, seeds=(0, 1), labels="aligned"):
    """One row per cell and seed, with the loss of the cell."""
    cells = [Cell(*one) for one in product(OUTPUTS, OPTIMIZERS, RATES, PARTS, seeds)]
    rows = [
        {
            **cell._asdict(),
            "labels": labels,
            "final_train_loss": loss(cell),
            "final_test_loss": loss(cell),
            "test_accuracy": 1 - loss(cell) / 3,
            "first_gradient_norm": 0.08 + 0.02 * cell.seed if cell.softmax else 1.0,
            "key": "k",
        }
        for cell in cells
    ]
    return DataFrame(rows)


def test_shares_of_a_table_with_known_answer():
    # the sum of squares of a factor of two levels grows with the square of their difference
    cells = table(lambda cell: 3 * cell.slow + cell.sgd, seeds=[0])
    assert main_effects(cells, FACTORS, "final_test_loss") == pytest.approx(
        {"output": 0, "optimizer": 0.1, "learning_rate": 0.9, "trained": 0, "interactions": 0}
    )


def test_what_matters_only_together_is_an_interaction():
    cells = table(lambda cell: float(cell.slow == cell.softmax), seeds=[0])
    assert main_effects(cells, FACTORS, "final_test_loss") == pytest.approx(
        dict.fromkeys(FACTORS, 0) | {"interactions": 1}
    )
    shares = variance_shares(cells, "final_test_loss")
    assert shares.interactions_explain_more
    equal = table(lambda cell: 2.3, seeds=[0])
    assert variance_shares(equal, "final_test_loss") is None


def test_optimizer_and_rate_are_also_taken_together():
    def loss(cell):
        return float(cell.slow == cell.sgd) + 0.5 * cell.softmax

    found = variance_shares(table(loss), "final_test_loss")
    assert found.shares["optimizer"].mean == found.shares["learning_rate"].mean == 0
    assert found.of_update.mean == pytest.approx(0.8)
    assert found.of_update.n == 2


KNOWN = {
    "learning rate": lambda cell: 2 * cell.slow + cell.softmax,
    "output": lambda cell: cell.slow + 2 * cell.softmax,
    "optimizer": lambda cell: 2 * cell.sgd + cell.slow,
    "trained part": lambda cell: 2 * (cell.trained == "head") + cell.slow,
}


@pytest.mark.parametrize(("largest", "loss"), KNOWN.items(), ids=KNOWN)
def test_the_factor_with_the_largest_share_is_named(largest, loss):
    found = variance_shares(table(loss), "final_test_loss")
    assert (found.largest, found.n_agree, found.quantity) == (largest, 2, "test loss")
    assert found.largest_share.mean == pytest.approx(0.8)
    assert not found.interactions_explain_more
    assert variance_shares(table(loss), "test_accuracy").largest == largest


def test_seeds_are_decomposed_one_by_one():
    def loss(cell):
        return (4 if cell.seed else 1) * cell.softmax + 2 * cell.slow

    found = variance_shares(table(loss), "final_test_loss")
    assert found.shares["output"].mean == pytest.approx((0.2 + 0.8) / 2)
    assert found.shares["output"].n == 2
    assert found.n_agree == 1
    lacking = table(loss).drop(index=0)  # a classifier of seed 0 failed
    assert variance_shares(lacking, "final_test_loss").shares["output"].n == 1
    assert variance_shares(table(loss, [0]).drop(index=0), "final_test_loss") is None


def test_outputs_are_compared_with_all_else_equal_and_paired_by_seed():
    def loss(cell):
        return 0.1 * cell.seed + (2.3 if cell.softmax else 0.2 + 1.5 * cell.sgd)

    rows = table(loss)
    lost = rows.query("output == 'logits' and optimizer == 'adam' and learning_rate < 0.01")
    found = compare_outputs(rows.drop(index=lost.index))
    recipes = [(row["optimizer"], row["learning_rate"], row["trained"]) for row in found]
    assert recipes == list(product(["sgd", "adam"], RATES, PARTS))
    by_recipe = dict(zip(recipes, found, strict=True))
    same = by_recipe["sgd", 0.001, "head"]
    assert same["softmax"]["final_test_loss"].mean == pytest.approx(2.35)
    assert same["logits"]["final_test_loss"].mean == pytest.approx(1.75)
    assert same["gain"].mean == pytest.approx(0.2)
    assert same["gain"].margin == pytest.approx(0, abs=1e-12)  # the spread over seeds cancels
    missing = by_recipe["adam", 0.001, "head"]
    assert missing["logits"] is missing["gain"] is None


def test_shuffled_labels_have_rows_of_their_own_and_no_part_in_the_shares():
    shuffled = table(lambda cell: 2.3 * cell.sgd, labels="shuffled")
    rows = concat([table(lambda cell: cell.softmax), shuffled], ignore_index=True)
    found = summarize_ablation(rows)
    assert [row["labels"] for row in found.recipes] == ["aligned"] * 8 + ["shuffled"] * 8
    assert found.shares[0].shares["output"].mean == pytest.approx(1)
    assert found.reported == {}
    assert summarize_ablation(rows[:0]) is None


def test_a_classifier_reproduces_if_both_losses_do():
    def loss(cell):
        return 2.303 + 0.0001 * cell.seed if cell.softmax and cell.sgd and cell.slow else 1.0

    rows = table(loss, [0, 1, 2]).assign(reported_train_loss=2.303, reported_test_loss=2.304)
    found = summarize_ablation(rows)
    assert found.reported == {"head": (2.303, 2.304), "head_and_encoder": (2.3, 2.3)}
    named = [tuple(cell[factor] for factor in FACTORS) for cell in found.reproducing]
    assert named == [("softmax", "sgd", 0.001, part) for part in PARTS]
    far = summarize_ablation(rows.assign(reported_train_loss=2.4))
    assert far.reported
    assert far.reproducing == []


def test_one_of_several_seeds_reproduces_nothing_by_being_near():
    rows = table(lambda cell: 2.3031 if cell.trained == "head" else 1.0)
    rows = rows.assign(reported_train_loss=2.303, reported_test_loss=2.303)
    lost = (rows.output == "softmax") & (rows.seed == 1)  # they diverged
    reproducing = summarize_ablation(rows[~lost]).reproducing
    assert {cell["output"] for cell in reproducing} == {"logits"}
    one_seed = summarize_ablation(rows[rows.seed == 0]).reproducing
    assert {cell["reproduction"] for cell in one_seed} == {"near, one seed"}


def test_the_ratio_of_first_gradients_has_one_value_per_seed():
    rows = table(lambda cell: 1.0)
    ratio, smallest, largest = gradient_ratio(rows)
    assert ratio.mean == pytest.approx(0.09)
    assert ratio.n == 2
    assert (smallest, largest) == pytest.approx((0.08, 0.1))
    assert gradient_ratio(rows[rows.output == "logits"]) is None
