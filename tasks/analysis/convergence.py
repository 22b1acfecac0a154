"""How soon networks of different depths reach the same loss."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from tasks.cache.canonical import JsonObject
from tasks.cache.entry import Entry


class Curve(NamedTuple):
    """The test loss of one training with its initial weights and after every epoch."""

    depth: int
    seed: int
    losses: list[float]
    updates_per_epoch: int
    flops_per_update: float


def curve_of(entry: Entry, n_train: int) -> Curve:
    """The learning curve of an entry of step ``train`` with so many training images."""
    result, recipe = entry.result, entry.result["recipe"]
    after = [epoch["test_loss"] for epoch in result["history"]]
    flops = result["parameters"]["flops_per_image"] * n_train
    updates = math.ceil(n_train / recipe["batch_size"])
    return Curve(
        entry.identity["depth"],
        recipe["seed"],
        [result["metrics"]["initial_test_loss"], *after],
        updates,
        flops / updates,
    )


def convergence_rows(curves: Sequence[Curve]) -> list[JsonObject]:
    """Updates and arithmetic until the common loss, and the area under the log loss, of each curve.

    The common loss is the lowest that all curves reach. A network that ends on a bad plateau gains
    nothing by reaching it early.
    """
    from models.measures.learning_curves import area_under_log_loss, epochs_to_loss

    if not curves:
        return []
    common = max(min(curve.losses) for curve in curves)
    rows = []
    for curve in sorted(curves):
        updates = epochs_to_loss(curve.losses, common) * curve.updates_per_epoch
        rows.append(
            {
                "depth": curve.depth,
                "seed": curve.seed,
                "common_loss": common,
                "updates_to_common_loss": updates,
                "flops_to_common_loss": updates * curve.flops_per_update,
                "area_under_log_loss": area_under_log_loss(curve.losses),
            }
        )
    return rows
