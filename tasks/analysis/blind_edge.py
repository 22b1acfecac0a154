"""The pixels that networks cannot see or change, and how much of a loss they hold, in words."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.analysis.intervals import Estimate, estimate
from tasks.cache.canonical import JsonObject
from tasks.cache.entry import Entry

if TYPE_CHECKING:
    from pandas import DataFrame


LARGEST_SHARE = 0.05  # of a test loss in pixels that a network cannot change, without a warning


def reach_metrics(found: Iterable[JsonObject]) -> dict[str, float]:
    """The numbers of each depth of the result of step ``reach``, by their names in MLflow."""
    names = {"unreachable_pixels": "unreachable_pixels", "floor": "unreachable_loss_floor"}
    return {
        f"{name}/depth_{one['depth']}": float(one[key])
        for one in found
        for key, name in names.items()
    }


def reach_sentences(found: Iterable[JsonObject]) -> list[str]:
    """One sentence for each depth of the result of step ``reach``."""
    return [_sentence(one) for one in found]


def _sentence(one: JsonObject) -> str:
    depth, pixels = one["depth"], one["unreachable_pixels"]
    if not pixels and not one["unseen_pixels"]:
        return f"Depth {depth} sees and can change every pixel."
    place = f" ({one['place']})"
    return (
        f"Depth {depth} does not see {one['unseen_pixels']} and cannot change {pixels} of "
        f"{one['pixels']:,} pixels{place}. It gives them {_counted(one['constants'], 'constant')}. "
        f"Those that fit the training images best leave a test loss of {one['floor']:.4f} there; "
        f"these pixels hold {100 * one['variance_share']:.1f} % of the variance of the test images."
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class EdgeLoss(NamedTuple):
    """The test loss in the pixels that not all networks reach, and its share, over seeds."""

    loss: Estimate
    share: Estimate


def edge_losses(models: "DataFrame") -> dict[int, EdgeLoss]:
    """What was measured in the pixels that not all networks of the study reach, by depth.

    ``models`` has one row per autoencoder, all of one latent size.
    """
    wanted = ["final_test_loss", "reachable_test_loss"]
    if not set(wanted) <= set(models.columns):
        return {}
    known = models.dropna(subset=wanted)
    known = known[known.final_test_loss > 0]
    found = {}
    for depth in sorted(set(known.depth)):
        rows = known[known.depth == depth]
        losses = rows.final_test_loss - rows.reachable_test_loss
        found[int(depth)] = EdgeLoss(estimate(losses), estimate(losses / rows.final_test_loss))
    return found


def edge_warning(models: Iterable[Mapping[Any, Any]]) -> str:
    """One line if pixels that a network cannot change hold too much of its test loss, else empty.

    ``models`` has one row per autoencoder; one without its losses counts for nothing.
    """
    shares = [(_share(row), row["depth"], row["latent_dim"]) for row in models]
    above = [found for found in shares if found[0] > LARGEST_SHARE]
    if not above:
        return ""
    share, depth, latent_dim = max(above)
    named = " and ".join(map(str, sorted({found[1] for found in above})))
    return (
        f"pixels that networks of depth {named} cannot change hold up to {100 * share:.0f} % of a "
        f"test loss (depth {depth}, d = {latent_dim}); every reconstruction has the same constants "
        "there; compare models by the loss over reachable pixels, or choose a depth that reaches "
        "all"
    )


def _share(row: Mapping[Any, Any]) -> float:
    """The share of the test loss that is out of reach, 0 if it was not measured."""
    part, whole = row.get("unreachable_test_loss"), row.get("final_test_loss")
    return part / whole if part and whole else 0.0


def warning_of_entries(evaluated: Iterable[Entry], trained: Iterable[Entry]) -> str:
    """``edge_warning`` from entries of the steps ``evaluate`` and ``train``."""
    specs = {entry.fingerprint: entry.identity for entry in trained}
    return edge_warning(
        {**specs[entry.inputs["model"]], **entry.result["metrics"]}
        for entry in evaluated
        if entry.inputs["model"] in specs
    )
