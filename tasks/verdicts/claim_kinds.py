"""Kinds of claims, and how each is judged from measurements."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from pydantic import Field

from models.measures.glossary import measured_by
from models.specs import Value, largest_budget
from tasks.analysis.realism_gate import MEASURES as REALISM_MEASURES
from tasks.verdicts.comparisons import (
    Comparison,
    Unit,
    compare,
    compare_neighbours,
    compare_trend,
    page_p_value,
    unit_for,
    values_by_level,
)
from tasks.verdicts.known_spreads import KnownSpread, known_spread
from tasks.verdicts.verdict import Reading, Source, Verdict

if TYPE_CHECKING:
    from pandas import DataFrame


LARGER, SMALLER = 1, -1
LABELS = {"latent_dim": "d = {}", "depth": "depth {}"}
# a margin in the quantity's unit, or the name of the setting that holds it
Margin = float | Literal["relative", "accuracy"]


class Margins(Value):
    """How large a change must be to matter. Smaller ones are called equivalent.

    Quantities that are neither relative nor an accuracy have margins of their own.
    """

    relative: float = Field(
        2.0, gt=0, le=50, description="Of losses and other relative quantities, in per cent."
    )
    accuracy: float = Field(0.5, gt=0, le=50, description="Of accuracies, in percentage points.")


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What every claim of a study is judged by: its margins, and its name."""

    margins: Margins = field(default_factory=Margins)
    study: str = ""

    def margin(self, margin: Margin) -> float:
        """The margin itself, or the one that the study sets."""
        return margin if isinstance(margin, float) else float(getattr(self.margins, margin))

    def spread(self, claim: str) -> KnownSpread:
        """The known spread of a claim's changes, with None where it is not known."""
        return known_spread(self.study, claim) or KnownSpread(None, None)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim that a quantity changes in one direction, which ``sign`` gives."""

    name: str
    claim: str
    quantity: str
    sign: int
    unit: Unit = "%"
    margin: Margin = "relative"
    source: Source = "written study"

    @property
    def section(self) -> str:
        """The section of the study that measures the quantity."""
        return "transfer"

    def verdict(
        self,
        basis: Basis,
        comparisons: Sequence[Comparison],
        trend: Comparison | None = None,
        **more: object,
    ) -> Verdict:
        """The verdict that follows from the comparisons and, where there is one, from the trend."""
        spread, margin = basis.spread(self.name), basis.margin(self.margin)

        def reading(found: Sequence[Comparison], known: float | None) -> Reading:
            return Reading(
                sign=self.sign,
                unit=self.unit,
                margin=margin,
                comparisons=tuple(found),
                known_spread=known,
            )

        return Verdict.model_validate(
            {
                "name": self.name,
                "claim": self.claim,
                "source": self.source,
                "quantity": self.quantity,
                "section": self.section,
                "trend": None if trend is None else reading([trend], spread.trend),
                "every_step": reading(comparisons, spread.step),
                **more,
            }
        )


@dataclass(frozen=True, kw_only=True)
class TrendClaim(Claim):
    """A claim that a quantity changes in one direction from each latent size or depth to the next.

    ``column`` holds the quantity and ``along`` what it is compared along. ``reachable_column``
    holds the quantity over those pixels that every architecture can draw. An ``exact`` quantity is
    a count that is the same for every seed. ``gated_by`` names the measure whose controls decide
    whether the claim can be judged, if it is not the column. ``if_zero`` says why nothing can be
    compared if a value is zero.
    """

    along: Literal["latent_dim", "depth"]
    column: str
    reachable_column: str = ""
    exact: bool = False
    gated_by: str = ""
    if_zero: str = ""

    @property
    def section(self) -> str:
        """The section of the study that measures the quantity."""
        return section_of(self.along, self.column)

    @property
    def measure(self) -> str:
        """The measure whose controls decide whether the claim can be judged."""
        return self.gated_by or self.column

    def judge(self, rows: "DataFrame", basis: Basis, not_measurable: str = "") -> Verdict:
        """The verdict that follows from ``rows``, one row per model with its ``seed``."""
        found = self._judge_column(rows, basis, self.column, not_measurable)
        if self.reachable_column not in rows:
            return found
        other = self._judge_column(rows, basis, self.reachable_column, not_measurable)
        return found.model_copy(update={"reachable": other})

    def _judge_column(
        self, rows: "DataFrame", basis: Basis, column: str, not_measurable: str
    ) -> Verdict:
        table = values_by_level(rows, self.along, column)
        if table is None:
            return self.verdict(basis, ())
        label, unit = LABELS[self.along], unit_for(table, self.unit)
        steps = [self._counted(one) for one in compare_neighbours(table, label, unit)]
        if self.exact:  # a count has no spread: its trend says less than its steps
            return self.verdict(basis, steps)
        trend = compare_trend(table, label, unit) if len(steps) > 1 else None
        page, failures = page_p_value(table, self.sign), failures_of(rows, self.along)
        zero = self.if_zero if (table == 0).to_numpy().any() else ""
        why = not_measurable or failures.not_measurable or zero
        return self.verdict(
            basis, steps, trend, page_p_value=page, not_measurable=why, note=failures.note
        )

    def _counted(self, one: Comparison) -> Comparison:
        return one.model_copy(update={"exact": True}) if self.exact and one.n else one


def section_of(along: str, column: str) -> str:
    """The section of a study that measures this column of its tables along this axis."""
    if along == "depth":
        return "depth_sweep"
    if column.startswith(tuple(REALISM_MEASURES)):
        return "interpolation"
    if column in {one.name for one in measured_by("correlate")}:
        return "decorrelation"
    return "transfer" if column == "test_accuracy" else "latent_sweep"


class FailedTrainings(NamedTuple):
    """What trainings that are no better than the mean image mean for a verdict; empty without any.

    They are results of their recipe, so they are compared. But two levels without any other say
    nothing of the networks.
    """

    not_measurable: str = ""
    note: str = ""


def failures_of(rows: "DataFrame", along: str) -> FailedTrainings:
    """The failures in the column ``failed`` of one row per training, if it is there."""
    if "failed" not in rows:
        return FailedTrainings()
    by_level = rows.dropna(subset=["failed"]).groupby(along).failed.agg(["sum", "size"])
    failed = {LABELS[along].format(level): pair for level, *pair in by_level.itertuples()}
    none_left = [level for level, (number, size) in failed.items() if number == size]
    if len(none_left) > 1:
        return FailedTrainings(f"all trainings failed at {', '.join(none_left)}")
    counted = [f"{number} of {n} at {level}" for level, (number, n) in failed.items() if number]
    return FailedTrainings(note=f"failed trainings: {', '.join(counted)}" if counted else "")


@dataclass(frozen=True, kw_only=True)
class FineTuningClaim(Claim):
    """A claim that fine-tuned classifiers beat those on a frozen encoder.

    It is about the largest label budget only, or about ``every_budget`` where there are several.
    """

    every_budget: bool

    def judge(self, classifiers: "DataFrame", basis: Basis) -> Verdict:
        """The verdict that follows from a row per classifier.

        Its columns are scenario, label_budget, seed and test_accuracy.
        """
        wanted = classifiers[classifiers.scenario.isin(["head_only", "fine_tune"])]
        if self.every_budget and wanted.label_budget.nunique() < 2:  # it would be the other claim
            return self.verdict(basis, ())
        if len(wanted) and not self.every_budget:
            wanted = wanted[wanted.label_budget == largest_budget(list(wanted.label_budget))]
        found = []
        for budget, rows in wanted.groupby("label_budget", sort=False):
            table = rows.pivot(index="seed", columns="scenario", values="test_accuracy")
            table = table.reindex(columns=["head_only", "fine_tune"])
            label = f"{budget} labels: frozen to fine-tuned"
            columns = table.head_only, table.fine_tune
            found.append(compare(label, *columns, self.unit, paired=True))  # on one encoder
        return self.verdict(basis, found)


@dataclass(frozen=True, kw_only=True)
class FewerParametersClaim(Claim):
    """A claim that depth 3 has fewer parameters than depth 2, and a lower test loss."""

    @property
    def section(self) -> str:
        """The section of the study that measures the quantity."""
        return "depth_sweep"

    def judge(self, depth_sweep: "DataFrame", basis: Basis) -> Verdict:
        """The verdict that follows from one row per model with its depth and ``seed``."""
        found = self._judge_loss(depth_sweep, basis, "final_test_loss")
        if "reachable_test_loss" not in depth_sweep:
            return found
        other = self._judge_loss(depth_sweep, basis, "reachable_test_loss")
        return found.model_copy(update={"reachable": other})

    def _judge_loss(self, rows: "DataFrame", basis: Basis, loss: str) -> Verdict:
        rows = rows[rows.depth.isin([2, 3])]
        found: list[Comparison] = []
        for column, label in (("n_parameters", "parameters"), (loss, "test loss")):
            table = values_by_level(rows, "depth", column)
            if table is None or table.shape[1] < 2:
                return self.verdict(basis, ())
            name = f"{label}, depth 2 to depth 3"
            (one,) = compare_neighbours(table, "depth {}", self.unit)
            exact = column == "n_parameters" and one.n > 0
            found.append(one.model_copy(update={"label": name, "exact": exact}))
        return self.verdict(basis, found, **failures_of(rows, "depth")._asdict())
