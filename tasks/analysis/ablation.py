"""Why the written study's transfer failed: classifiers with each of its choices changed in turn."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tasks.analysis import published_results
from tasks.analysis.intervals import Estimate, estimate
from tasks.analysis.reproduction import of_both
from tasks.analysis.summaries import CLASSIFIER_COLUMNS, means_over_seeds
from tasks.analysis.tables import Row

if TYPE_CHECKING:
    from pandas import DataFrame, Series

OUTPUTS = ("softmax", "logits")
RECIPE = ["labels", "optimizer", "learning_rate", "trained"]  # what both outputs of a row share
FACTORS = {
    "learning_rate": "learning rate",
    "optimizer": "optimizer",
    "output": "output",
    "trained": "trained part",
}
RESPONSES = {"final_test_loss": "test loss", "test_accuracy": "test accuracy"}
INTERACTIONS = "interactions"
UPDATE = ["optimizer", "learning_rate"]  # what decides how large an update is


class GradientRatio(NamedTuple):
    """The norm of the first gradient with softmax, divided by that without, over seeds."""

    ratio: Estimate
    smallest: float
    largest: float


class Shares(NamedTuple):
    """Which share of a quantity's variance each factor explains, as estimates over seeds.

    ``largest`` is the name of the factor with the largest mean share, interactions aside;
    ``n_agree`` is the number of seeds in which it has the largest. ``of_update`` is the share of
    optimizer and learning rate together: their own and that of their interaction.
    """

    quantity: str
    shares: dict[str, Estimate]
    largest: str
    largest_share: Estimate
    n_agree: int
    of_update: Estimate

    @property
    def interactions_explain_more(self) -> bool:
        """Whether what factors do only together explains more than any factor alone."""
        return self.shares[INTERACTIONS].mean > self.largest_share.mean


class Ablation(NamedTuple):
    """What the page shows of the ablation.

    ``reported`` has the printed train and test loss by trained part, if there are any to compare
    with; ``reproducing`` has the classifiers that reproduce both, or are near both if there is a
    single seed.
    """

    recipes: list[Row]
    reproducing: list[Row]
    reported: dict[str, tuple[float, float]]
    shares: list[Shares]
    gradient_ratio: GradientRatio | None


def summarize_ablation(rows: "DataFrame") -> Ablation | None:
    """The summary of the classifiers of the ablation, one row each; None without any."""
    if not len(rows):
        return None
    recipes = compare_outputs(rows)
    cells = [
        {name: row[name] for name in RECIPE} | {"output": output} | row[output]
        for row in recipes
        for output in OUTPUTS
        if row[output]
    ]
    aligned = rows[rows.labels == "aligned"]
    found = [variance_shares(aligned, response) for response in RESPONSES]
    reproduces = "near, one seed" if rows.seed.nunique() == 1 else "reproduced"
    return Ablation(
        recipes,
        [cell for cell in cells if cell["reproduction"] == reproduces],
        _printed_losses() if any(cell["reproduction"] for cell in cells) else {},
        [one for one in found if one],
        gradient_ratio(aligned),
    )


def _printed_losses() -> dict[str, tuple[float, float]]:
    train, test = published_results.TRANSFER_TRAIN_LOSS, published_results.TRANSFER_TEST_LOSS
    return {part: (train[part], test[part]) for part in train}


def compare_outputs(rows: "DataFrame") -> list[Row]:
    """Softmax and logits side by side, one row per labels, optimizer, learning rate, trained part.

    ``softmax`` and ``logits`` hold the means over seeds, or None. Their ``reproduction`` is about
    both published losses. ``gain`` is the Estimate of the change of the test accuracy from softmax
    to logits, paired by seed, or None.
    """
    ordered = rows.sort_values(RECIPE, key=_sgd_first)
    found = []
    for values, chosen in ordered.groupby(RECIPE, sort=False):
        row: Row = dict(zip(RECIPE, values, strict=True))
        for output in OUTPUTS:
            means = means_over_seeds(
                chosen[chosen.output == output], ["output"], CLASSIFIER_COLUMNS
            )
            row[output] = means[0] if means else None
            for mean in means:
                parts = (mean.get(f"{part}_reproduction") for part in ("train", "test"))
                mean["reproduction"] = of_both(*parts)
        accuracy = chosen.pivot(index="seed", columns="output", values="test_accuracy")
        accuracy = accuracy.reindex(columns=list(OUTPUTS))
        gains = (accuracy.logits - accuracy.softmax).dropna()
        row["gain"] = estimate(gains) if len(gains) else None
        found.append(row)
    return found


def _sgd_first(column: "Series") -> "Series":
    """Sort keys: SGD, which the written study is inferred to have used, before Adam."""
    return column != "sgd" if column.name == "optimizer" else column


def gradient_ratio(rows: "DataFrame") -> GradientRatio | None:
    """Norm of the first gradient with softmax by that without; None if no pair was measured.

    Before the first update a seed's weights are the same for every optimizer and learning rate, so
    a seed counts once.
    """
    keys = ["seed", *RECIPE, "output"]
    if "first_gradient_norm" not in rows or not len(rows):
        return None
    norms = rows.set_index(keys).first_gradient_norm.unstack("output")
    norms = norms.reindex(columns=list(OUTPUTS)).dropna()
    ratios = (norms.softmax / norms.logits).groupby("seed").mean()
    if not len(ratios):
        return None
    return GradientRatio(estimate(ratios), float(ratios.min()), float(ratios.max()))


def variance_shares(rows: "DataFrame", response: str) -> Shares | None:
    """Each factor's share of the variance of a column, seed by seed, then over seeds.

    Only seeds that have every combination of the factors' levels count; None if there is none.
    """
    levels = math.prod(rows[factor].nunique() for factor in FACTORS)
    complete = [cells for _, cells in rows.groupby("seed") if len(cells) == levels]
    varied = [cells for cells in complete if cells[response].nunique() > 1]
    if not varied:
        return None
    found = [main_effects(cells, list(FACTORS), response) for cells in varied]
    of_update = estimate(explained_share(cells, UPDATE, response) for cells in varied)
    means = {name: estimate(one[name] for one in found) for name in [*FACTORS, INTERACTIONS]}
    largest = max(FACTORS, key=lambda name: means[name].mean)
    agree = sum(max(FACTORS, key=lambda name: one[name]) == largest for one in found)
    return Shares(RESPONSES[response], means, FACTORS[largest], means[largest], agree, of_update)


def main_effects(cells: "DataFrame", factors: Sequence[str], response: str) -> dict[str, float]:
    """The share of the variance of ``response`` that each factor explains alone; the rest.

    ``cells`` has one row for every combination of the factors' levels, with different values. What
    no factor explains alone is due to interactions.
    """
    found = {factor: explained_share(cells, [factor], response) for factor in factors}
    return found | {INTERACTIONS: 1 - sum(found.values())}


def explained_share(cells: "DataFrame", factors: Sequence[str], response: str) -> float:
    """The share of the variance of ``response`` that these factors explain together.

    It is the sum of squares of the means of their combinations about the grand mean, divided by the
    total sum of squares (Fisher 1935). The values must differ.
    """
    values = cells[response]
    means = cells.groupby(list(factors))[response].transform("mean")
    between, total = (float(((one - values.mean()) ** 2).sum()) for one in (means, values))
    return between / total
