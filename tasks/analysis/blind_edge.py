"""The pixels that networks cannot see or change, and how much of a loss they hold, in words."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.analysis.intervals import Estimate, estimate
from tasks.cache.canonical import JsonObject, canonical_text
from tasks.cache.entry import Entry
from tasks.cache.identity import architecture_label, in_metric_name

if TYPE_CHECKING:
    from pandas import DataFrame


LARGEST_SHARE = 0.05  # of a test loss in pixels that a network cannot change, without a warning


def reached_networks(reached: Iterable[Entry], trained: Iterable[Entry]) -> list[JsonObject]:
    """What step ``reach`` found for each architecture, with its ``label``.

    Entries of step ``train`` say which name an architecture has in the study. One that none of
    them has is left out.
    """
    labels = {
        canonical_text(entry.result["spec"]["architecture"]): architecture_label(entry.identity)
        for entry in trained
    }
    return [
        one | {"label": labels[canonical_text(architecture)]}
        for entry in reached
        for architecture, one in zip(
            entry.inputs["architectures"], entry.result["networks"], strict=True
        )
        if canonical_text(architecture) in labels
    ]


def reach_metrics(found: Iterable[JsonObject]) -> dict[str, float]:
    """The numbers of each architecture of ``reached_networks``, by their names in MLflow."""
    names = {"unreachable_pixels": "unreachable_pixels", "floor": "unreachable_loss_floor"}
    return {
        f"{name}/{in_metric_name(one['label'])}": float(one[key])
        for one in found
        for key, name in names.items()
    }


def reach_sentences(found: Iterable[JsonObject]) -> list[str]:
    """One sentence for each architecture that ``reached_networks`` found."""
    return [_sentence(one) for one in found]


def _sentence(one: JsonObject) -> str:
    pixels, name = one["unreachable_pixels"], one["label"]
    label = name[0].upper() + name[1:] if name.startswith("depth ") else name
    if one["unknown"]:
        return f"Which pixels {name} sees and can change is not known: {one['unknown']}."
    if not pixels and not one["unseen_pixels"]:
        return f"{label} sees and can change every pixel."
    place = f" ({one['place']})"
    return (
        f"{label} does not see {one['unseen_pixels']} and cannot change {pixels} of "
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


def edge_losses(models: "DataFrame") -> dict[str, EdgeLoss]:
    """What was measured in the pixels that not all networks reach, by label of the architecture.

    ``models`` has one row per autoencoder, all of one latent size.
    """
    wanted = ["final_test_loss", "reachable_test_loss"]
    if not set(wanted) <= set(models.columns):
        return {}
    known = models.dropna(subset=wanted)
    known = known[known.final_test_loss > 0]
    found = {}
    for label in dict.fromkeys(known.architecture):
        rows = known[known.architecture == label]
        losses = rows.final_test_loss - rows.reachable_test_loss
        found[label] = EdgeLoss(estimate(losses), estimate(losses / rows.final_test_loss))
    return found


def edge_warning(models: Iterable[Mapping[Any, Any]]) -> str:
    """One line if pixels that a network cannot change hold too much of its test loss, else empty.

    ``models`` has one row per autoencoder; one without its losses counts for nothing.
    """
    shares = [(_share(row), row["architecture"], row["latent_dim"]) for row in models]
    above = [found for found in shares if found[0] > LARGEST_SHARE]
    if not above:
        return ""
    share, label, latent_dim = max(above)
    named = " and ".join(sorted({found[1] for found in above}))
    return (
        f"pixels that networks of {named} cannot change hold up to {100 * share:.0f} % of a "
        f"test loss ({label}, d = {latent_dim}); every reconstruction has the same constants "
        "there; compare models by the loss over reachable pixels, or choose networks that "
        "reach all"
    )


def _share(row: Mapping[Any, Any]) -> float:
    """The share of the test loss that is out of reach, 0 if it was not measured."""
    part, whole = row.get("unreachable_test_loss"), row.get("final_test_loss")
    return part / whole if part and whole else 0.0


def warning_of_entries(evaluated: Iterable[Entry], trained: Iterable[Entry]) -> str:
    """``edge_warning`` from entries of the steps ``evaluate`` and ``train``."""
    specs = {entry.fingerprint: entry.identity for entry in trained}
    return edge_warning(
        {
            **specs[entry.inputs["model"]],
            **entry.result["metrics"],
            "architecture": architecture_label(specs[entry.inputs["model"]]),
        }
        for entry in evaluated
        if entry.inputs["model"] in specs
    )
