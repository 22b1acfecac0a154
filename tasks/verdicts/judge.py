"""The verdict on one claim, from the rows of its models."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from models.measures.glossary import Measure, Unit
from tasks.analysis.tables import Tables
from tasks.verdicts.claim import Claim, Level, Margins
from tasks.verdicts.comparisons import (
    Comparison,
    compare,
    compare_neighbours,
    compare_trend,
    page_p_value,
    unit_for,
    values_by_level,
)
from tasks.verdicts.known_spreads import KnownSpread, known_spread
from tasks.verdicts.selection import (
    OF_ENCODER,
    Selection,
    level_label,
    on_one_encoder,
    section_of,
    select,
)
from tasks.verdicts.verdict import Reading, Verdict

if TYPE_CHECKING:
    from pandas import DataFrame, Series

FAILED_GATE = "it does not order the controls on this dataset"
NO_GATE = "its controls were not measured"
LINEAR_LATENT = (
    "with a linear latent layer every invertible linear map of the latent does as well, "
    "so nothing determines how correlated its coordinates are, or how many of them are used"
)


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What every claim of a study is judged by: its margins, and its name."""

    margins: Margins = field(default_factory=Margins)
    study: str = ""

    def margin(self, claim: Claim, measure: Measure) -> float:
        """The smallest change that matters: the claim's, or that of the quantity."""
        if claim.margin is not None:
            return claim.margin
        found = measure.margin
        return getattr(self.margins, found) if isinstance(found, str) else float(found)

    def spread(self, claim: str) -> KnownSpread:
        """The known spread of a claim's changes, with None where it is not known."""
        return known_spread(self.study, claim) or KnownSpread(None, None)


def judge(claim: Claim, tables: Tables, basis: Basis) -> Verdict:
    """The verdict that follows from a study's tables; its quantities must be known."""
    selection = select(claim, tables.config, tables.n_train)
    found = _Judge(claim, selection, basis, tables)
    verdict = found.verdict([one.name for one in selection.measures])
    reachable = [one.reachable or one.name for one in selection.measures]
    table = getattr(tables, selection.table)
    has_reachable = any(one.reachable in table for one in selection.measures if one.reachable)
    if not has_reachable:
        return verdict
    return verdict.model_copy(update={"reachable": found.verdict(reachable)})


class FailedTrainings(NamedTuple):
    """What trainings that are no better than the mean image mean for a verdict; empty without any.

    They are results of their recipe, so they are compared. But two levels without any other say
    nothing of the networks.
    """

    not_measurable: str = ""
    note: str = ""


class _Part(NamedTuple):
    """One quantity of one group: a row per seed and a column per level, None if not measured."""

    condition: str
    quantity: str
    measure: Measure
    values: "DataFrame | None"

    @property
    def prefix(self) -> str:
        """What a label says before the levels: ``100 labels: ``, ``test loss, ``."""
        condition = f"{self.condition}: " if self.condition else ""
        return f"{condition}{self.quantity}, " if self.quantity else condition

    @property
    def has_zero(self) -> bool:
        return self.values is not None and bool((self.values == 0).to_numpy().any())


def _against(bound: float, label: str, values: "Series", unit: Unit) -> Comparison:
    """The values of one level, a number per seed, beside a number that has no spread."""
    from pandas import Series

    same = Series(bound, index=values.index)
    found = compare(f"{label} against {bound:g}", same, values, unit, paired=True)
    return found.model_copy(update={"levels": (label,), "bound": bound})


def _unmeasured(labels: Sequence[str]) -> "DataFrame":
    from pandas import DataFrame

    return DataFrame(columns=list(labels), dtype=float)


@dataclass(frozen=True)
class _Judge:
    """Judges one claim, on columns of the table that its quantities are in."""

    claim: Claim
    selection: Selection
    basis: Basis
    tables: Tables

    def verdict(self, columns: Sequence[str]) -> Verdict:
        """The verdict on these columns, one for each quantity."""
        claim = self.claim
        if self._lacks_levels:
            return self._verdict(())
        parts = [
            _Part(
                self._condition(group),
                measure.in_words if len(self.selection.measures) > 1 else "",
                measure,
                self._values(group, column),
            )
            for group in self.selection.groups
            for measure, column in zip(self.selection.measures, columns, strict=True)
        ]
        measured = {one.measure for one in parts if one.values is not None}
        comparisons = [one for part in parts for one in self._compare(part)]
        if len(measured) < len(self.selection.measures):
            return self._verdict(())
        trend, page, values = None, None, parts[0].values
        # a count has no spread: its trend says less than its steps
        has_trend = claim.sign and not claim.bound and not parts[0].measure.exact
        if has_trend and len(parts) == 1 and len(comparisons) > 1 and values is not None:
            trend = compare_trend(values, unit_for(values, self._unit))
            page = page_p_value(values, claim.sign)
        failures = self._failures()
        zeros = [one.measure.if_zero for one in parts if one.has_zero and one.measure.if_zero]
        why = self._not_measurable or failures.not_measurable or "".join(zeros[:1])
        return self._verdict(
            comparisons, trend, page_p_value=page, not_measurable=why, note=failures.note
        )

    @property
    def _unit(self) -> Unit:
        return self.selection.measures[0].compared_in

    @property
    def _lacks_levels(self) -> bool:
        """Whether there are too few levels, or groups, to compare."""
        fewest = 1 if self.claim.bound else 2
        too_few_groups = self.claim.for_each is not None and len(self.selection.groups) < 2
        return len(self.selection.levels) < fewest or too_few_groups

    def _rows(self, group: Level | None) -> "DataFrame":
        table: DataFrame = getattr(self.tables, self.selection.table)
        return self.selection.rows(table, self.claim, group)

    def _values(self, group: Level | None, column: str) -> "DataFrame | None":
        """A row per seed and a column per level, named in words; None if nothing was measured."""
        rows, along = self._rows(group), self.claim.along or "all"
        if self.claim.along is None:
            rows = rows.assign(all="all")
        if along not in rows or not len(rows):
            return None
        rows = rows[rows[along].isin(self.selection.levels)]
        found = values_by_level(rows, along, column, self.selection.levels)
        return None if found is None else found.set_axis(self._labels, axis="columns")

    @property
    def _labels(self) -> list[str]:
        return [level_label(self.claim.along, level) for level in self.selection.levels]

    def _compare(self, part: "_Part") -> list[Comparison]:
        """Each level with the next, or with the claim's bound; without seeds if not measured."""
        bound, paired = self.claim.bound, on_one_encoder(self.claim, self.selection)
        values = part.values
        if values is None:
            values = _unmeasured(self._labels)
        unit = unit_for(values, self._unit)
        if bound is None:
            found = list(compare_neighbours(values, unit, paired or None))
        else:
            found = [_against(bound.value, label, values[label], unit) for label in values.columns]
        return [
            one.model_copy(
                update={
                    "label": f"{part.prefix}{one.label}",
                    "exact": part.measure.exact and one.n > 0,
                    "quantity": part.quantity,
                    "condition": part.condition,
                }
            )
            for one in found
        ]

    def _condition(self, group: Level | None) -> str:
        """What the compared models have in common besides what the claim's table is about."""
        budget = self.selection.fixed.get("label_budget")
        if self.claim.for_each is not None:
            return level_label(self.claim.for_each, group)
        if budget is not None and self.claim.along not in OF_ENCODER:
            return level_label("label_budget", budget)
        return ""

    @property
    def _not_measurable(self) -> str:
        """Why the quantity can decide nothing in this study; empty if it can."""
        linear = self.tables.config["training"]["latent_activation"] == "linear"
        for one in self.selection.measures:
            if one.of_coordinates and linear:
                return LINEAR_LATENT
            if one.gate:
                passes = self.tables.interpolation_gate.get(one.gate)
                if not passes:
                    return NO_GATE if passes is None else FAILED_GATE
        return ""

    def _failures(self) -> FailedTrainings:
        """The failures in the column ``failed`` of one row per training, if it is there."""
        along = self.claim.along
        rows = self._rows(self.selection.groups[0])
        only_counts = all(one.exact for one in self.selection.measures)  # whatever was trained
        if along is None or only_counts or "failed" not in rows:
            return FailedTrainings()
        rows = rows[rows[along].isin(self.selection.levels)].dropna(subset=["failed"])
        by_level = {
            level_label(along, level): (int(found.failed.sum()), len(found))
            for level in self.selection.levels
            if len(found := rows[rows[along] == level])
        }
        none_left = [label for label, (number, size) in by_level.items() if number == size]
        if len(none_left) > 1:
            return FailedTrainings(f"all trainings failed at {', '.join(none_left)}")
        counted = [
            f"{number} of {n} at {label}" for label, (number, n) in by_level.items() if number
        ]
        return FailedTrainings(note=f"failed trainings: {', '.join(counted)}" if counted else "")

    def _verdict(
        self,
        comparisons: Sequence[Comparison],
        trend: Comparison | None = None,
        **more: object,
    ) -> Verdict:
        """The verdict that follows from the comparisons and, where there is one, from the trend."""
        claim, measures = self.claim, self.selection.measures
        spread = self.basis.spread(claim.name)
        margin = max(self.basis.margin(claim, one) for one in measures)

        def reading(found: Sequence[Comparison], known: float | None) -> Reading:
            return Reading(
                sign=claim.sign,
                unit=self._unit,
                margin=margin,
                comparisons=tuple(found),
                known_spread=known,
            )

        return Verdict.model_validate(
            {
                "name": claim.name,
                "claim": claim.sentence,
                "source": claim.source,
                "quantity": " and ".join(one.in_words for one in measures),
                "section": section_of(claim, self.selection),
                "trend": None if trend is None else reading([trend], spread.trend),
                "every_step": reading(comparisons, spread.step),
                **more,
            }
        )
