"""The written study's conclusions as checks: change, interval over seeds, verdict.

A claim like "a larger latent gives a lower loss" is a chain of comparisons, one for each step from
a size to the next, and every seed gives each of them one value. The claim is confirmed if all
intervals lie on its side. That needs no correction for their number, for all must hold (an
intersection-union test, Berger 1982). It is refuted if one lies on the other side though the chance
of error is divided by their number, for any may do it (Bonferroni). Else it is undecided.
"""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from pydantic import computed_field

from models.specs import Value
from tasks.intervals import CONFIDENCE, estimate

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Outcome = Literal["confirmed", "refuted", "undecided", "not measured"]
LARGER, SMALLER = 1, -1


class Comparison(Value):
    """How a quantity changes from one choice to another: the mean over n seeds, its 95 % interval.

    A relative change is one in per cent, by the mean logarithm of the ratio. ``effect_size`` is
    Cohen's d of the paired changes: their mean in their standard deviations; ``p_value`` that of
    Student's paired t test; equal changes have neither. A single seed has no interval; an exact
    count needs none.
    """

    label: str
    change: float
    low: float | None = None
    high: float | None = None
    unit: Literal["", "%"] = ""
    n: int
    effect_size: float | None = None
    p_value: float | None = None
    exact: bool = False

    def side(self, sign: int) -> Literal["for", "against", "open"]:
        """On which side of no change the interval lies, seen from a claim of that sign."""
        if self.low is None or self.high is None or (self.low == self.high and not self.exact):
            return "open"
        low, high = sorted((sign * self.low, sign * self.high))
        if low > 0:
            return "for"
        return "against" if high < 0 else "open"

    def least(self, sign: int) -> float:
        """The least that the interval leaves for a claim of that sign; nothing known is nothing."""
        ends = [self.change] if self.low is None or self.high is None else [self.low, self.high]
        return min(sign * end for end in ends) if self.n else -math.inf


class Verdict(Value):
    """A claim, what was measured for it, and what follows."""

    name: str
    claim: str
    quantity: str
    sign: int
    comparisons: tuple[Comparison, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def outcome(self) -> Outcome:
        """What the intervals say; one seed decides nothing."""
        if not any(comparison.n for comparison in self.comparisons):
            return "not measured"
        limit = (1 - CONFIDENCE) / len(self.comparisons)
        sides = {comparison.side(self.sign) for comparison in self.comparisons}
        for one in self.comparisons:
            certain = one.exact or (one.p_value is not None and one.p_value < limit)
            if certain and one.side(self.sign) == "against":
                return "refuted"
        return "confirmed" if sides == {"for"} else "undecided"

    @computed_field  # type: ignore[prop-decorator]
    @property
    def weakest(self) -> Comparison | None:
        """The comparison that speaks least for the claim: by the near end of its interval."""
        return min(self.comparisons, key=lambda one: one.least(self.sign), default=None)


def compare(label: str, before: "Series", after: "Series", relative: bool) -> Comparison:
    """Compare two columns of values by seed; seeds that lack either are left out."""
    import numpy as np
    from scipy import stats

    changes = (after / before).map(math.log) if relative else after - before
    changes = changes.dropna()
    if not len(changes):
        return Comparison(label=label, change=0, n=0)
    found = estimate(changes)
    alike = np.allclose(changes, found.mean, rtol=1e-9, atol=1e-12)  # equal, up to rounding
    spread = 0.0 if alike else float(np.std(changes, ddof=1))
    p_value = float(stats.ttest_1samp(changes, 0).pvalue) if spread else None
    ends = (found.low, found.high) if spread or found.n == 1 else (found.mean, found.mean)
    change, low, high = (
        100 * math.expm1(value) if relative and value is not None else value
        for value in (found.mean, *ends)
    )
    assert change is not None
    return Comparison(
        label=label,
        change=change,
        low=low,
        high=high,
        unit="%" if relative else "",
        n=found.n,
        effect_size=found.mean / spread if spread else None,
        p_value=p_value,
    )


def steps(
    rows: "DataFrame", along: str, quantity: str, name: Callable[[object], str], relative: bool
) -> tuple[Comparison, ...]:
    """Compare each value of a column with the next one, seed by seed.

    ``rows`` hold one model each, with its seed. A step that no seed has on both sides stays open.
    """
    if quantity not in rows or rows[quantity].isna().all():
        return ()
    table = rows.pivot_table(index="seed", columns=along, values=quantity, dropna=False)
    return tuple(
        compare(f"{name(before)} to {name(after)}", table[before], table[after], relative)
        for before, after in pairwise(sorted(table.columns.tolist()))
    )


def latent(size: object) -> str:
    """How comparisons name a latent size."""
    return f"d = {size}"


def depth(layers: object) -> str:
    """How comparisons name a depth."""
    return f"depth {layers}"


def reconstruction_verdicts(latent_sweep: "DataFrame", depth_sweep: "DataFrame") -> list[Verdict]:
    """Claims 1 and 2: what latent size and depth do to the loss."""
    return [
        Verdict(
            name="larger_latent_lower_train_loss",
            claim="A larger latent gives a lower train loss.",
            quantity="train MSE",
            sign=SMALLER,
            comparisons=steps(latent_sweep, "latent_dim", "final_train_loss", latent, True),
        ),
        Verdict(
            name="larger_latent_lower_test_loss",
            claim="A larger latent gives a lower test loss.",
            quantity="test MSE",
            sign=SMALLER,
            comparisons=steps(latent_sweep, "latent_dim", "final_test_loss", latent, True),
        ),
        Verdict(
            name="deeper_lower_loss",
            claim="A deeper network reaches a lower final loss.",
            quantity="test MSE",
            sign=SMALLER,
            comparisons=steps(depth_sweep, "depth", "final_test_loss", depth, True),
        ),
        Verdict(
            name="deeper_faster_convergence",
            claim="A deeper network converges faster.",
            quantity="epochs until the test loss is within 10 % of its last",
            sign=SMALLER,
            comparisons=steps(depth_sweep, "depth", "epochs_to_converge", depth, False),
        ),
        Verdict(
            name="deeper_fewer_parameters",
            claim="A deeper network has fewer parameters.",
            quantity="parameters",
            sign=SMALLER,
            comparisons=tuple(
                one.model_copy(update={"low": one.change, "high": one.change, "exact": True})
                for one in steps(depth_sweep, "depth", "n_parameters", depth, True)
            ),
        ),
    ]


def interpolation_verdicts(walks: "DataFrame") -> list[Verdict]:
    """Claim 3: sharper and more realistic images; ``walks`` holds one row per model."""
    sharper = steps(walks, "latent_dim", "sharpness", latent, True)
    likely = steps(walks, "latent_dim", "confidence", latent, False)
    near = steps(walks, "latent_dim", "nearest_distance", latent, True)
    return [
        Verdict(
            name="larger_latent_sharper_interpolation",
            claim="A larger latent gives sharper interpolations.",
            quantity="gradient energy between the ends, relative to real images",
            sign=LARGER,
            comparisons=sharper,
        ),
        Verdict(
            name="larger_latent_more_recognizable_interpolation",
            claim="A larger latent gives more realistic interpolations, to a classifier.",
            quantity="confidence of a classifier between the ends",
            sign=LARGER,
            comparisons=likely,
        ),
        Verdict(
            name="larger_latent_interpolation_nearer_real_images",
            claim="A larger latent gives more realistic interpolations, by the nearest real image.",
            quantity="distance to the nearest training image",
            sign=SMALLER,
            comparisons=near,
        ),
    ]


def correlation_verdicts(latent_sweep: "DataFrame") -> list[Verdict]:
    """Claim 4, once as the written study computed it and once over live pairs."""
    pairs = latent_sweep[latent_sweep.latent_dim > 1]  # a single coordinate has none
    ways = {"nan_as_zero": "NaN of dead units as 0, as reported", "live": "pairs of live units"}
    return [
        Verdict(
            name=f"larger_latent_less_correlated_{way}",
            claim=f"A larger latent gives less correlated coordinates ({meaning}).",
            quantity="mean |Pearson correlation|",
            sign=SMALLER,
            comparisons=steps(pairs, "latent_dim", f"mean_abs_correlation_{way}", latent, False),
        )
        for way, meaning in ways.items()
    ]


def transfer_verdicts(classifiers: "DataFrame", frozen: "DataFrame") -> list[Verdict]:
    """Claims 5 and 6. ``frozen`` holds classifiers on frozen encoders of several latent sizes."""
    pairs = []
    wanted = classifiers[classifiers.scenario.isin(["head_only", "fine_tune"])]
    for budget, rows in wanted.groupby("label_budget", sort=False):
        table = rows.pivot(index="seed", columns="scenario", values="test_accuracy")
        table = table.reindex(columns=["head_only", "fine_tune"])
        label = f"{budget} labels: frozen to fine-tuned"
        pairs.append(compare(label, table.head_only, table.fine_tune, False))
    return [
        Verdict(
            name="fine_tuning_beats_frozen",
            claim="Fine-tuning beats a frozen encoder.",
            quantity="test accuracy",
            sign=LARGER,
            comparisons=tuple(pairs),
        ),
        Verdict(
            name="larger_latent_better_frozen_feature",
            claim="A larger latent is a better frozen feature for the classifier.",
            quantity="test accuracy",
            sign=LARGER,
            comparisons=steps(frozen, "latent_dim", "test_accuracy", latent, False),
        ),
    ]
