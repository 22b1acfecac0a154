"""Which measures of realism may decide anything on a dataset: those that pass controls."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

Values = Sequence[float | None]  # of each judge, or a single one
ImageSets = Mapping[str, Mapping[str, Values]]  # by set of images and measure

LOWER, HIGHER = -1, 1  # which values are those of more real images
MEASURES = {
    "kid": LOWER,
    "precision": HIGHER,
    "recall": HIGHER,
    "confidence": HIGHER,
    "sharpness_distance": LOWER,
    "nearest_distance": LOWER,
}
DESTROYED = ("shuffled", "noise", "mean", "black", "checkerboard")
# pairs of sets; the images of the first are surely more real than those of the second
ORDERS = (
    ("real", "reconstructed"),
    ("reconstructed", "pixel_mix"),
    ("real", "blur"),
    *(("pixel_mix", name) for name in DESTROYED),
)


class WrongOrder(NamedTuple):
    """Two sets of images that some judges order wrongly, or cannot order for want of a value."""

    better: str
    worse: str
    wrong: int
    undefined: int
    judges: int


class GateResult(NamedTuple):
    """Whether a measure passes, its mean over judges and models by set, and its wrong orders.

    A mean is None where a value is not defined.
    """

    passes: bool
    values: dict[str, float | None]
    failures: tuple[WrongOrder, ...]


def gate(rows: Sequence[ImageSets]) -> dict[str, GateResult]:
    """Test every measure on the sets of images of all models, one row each.

    A measure passes if it orders real > reconstructed > pixel mix > shuffled pixels, noise, the
    mean image, black, a checkerboard, and real > blurred. Latent walks lie between reconstructions
    and noise, so a measure that fails to order these cannot order walks. Every judge must agree,
    because a measure that depends on the judge measures the judge; models are averaged, because
    they are what the measure compares. Without rows no measure passes.
    """
    return {measure: _test(rows, measure, sign) for measure, sign in MEASURES.items()}


def _test(rows: Sequence[ImageSets], measure: str, sign: int) -> GateResult:
    names = dict.fromkeys(name for row in rows for name in row)
    by_judge = {name: _means_over_models(rows, name, measure) for name in names}
    failures = []
    for better, worse in ORDERS:
        pairs = list(zip(by_judge.get(better, ()), by_judge.get(worse, ()), strict=False))
        differences = [sign * (x - y) for x, y in pairs if x is not None and y is not None]
        wrong = sum(difference <= 0 for difference in differences)
        undefined = len(pairs) - len(differences)
        if wrong or undefined or not pairs:
            failures.append(WrongOrder(better, worse, wrong, undefined, len(pairs)))
    values = {name: mean_of_all(found) for name, found in by_judge.items()}
    return GateResult(not failures, values, tuple(failures))


def _means_over_models(rows: Sequence[ImageSets], name: str, measure: str) -> Values:
    """The mean of a measure over models, for each judge."""
    by_model = [row[name][measure] for row in rows if name in row]
    return [mean_of_all(values) for values in zip(*by_model, strict=True)]


def mean_of_all(values: Values) -> float | None:
    """The mean of at least one value, None if one of them is not defined."""
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None
