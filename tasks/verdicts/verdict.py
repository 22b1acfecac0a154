"""A claim as comparisons over seeds, and the verdict that follows from them.

docs/verdicts.md explains the rules, and how often they are wrong.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from pydantic import computed_field

from models.measures.glossary import Unit
from models.specs import Value
from tasks.analysis.intervals import CONFIDENCE
from tasks.verdicts.comparisons import Comparison, Interval
from tasks.verdicts.seeds_needed import MOST_SEEDS, seeds_to_decide

Outcome = Literal[
    "confirmed", "refuted", "equivalent", "undecided", "not measured", "not measurable"
]
DECIDED = ("confirmed", "refuted", "equivalent")
# two one-sided tests at 5 % are one interval with this confidence
EQUIVALENCE_CONFIDENCE = 2 * CONFIDENCE - 1


class Reading(Value):
    """The statement that a quantity changes in one direction in each of some comparisons.

    ``sign`` is the direction: 1 if it rises, -1 if it falls, 0 if it stays the same. ``margin`` has
    the unit of the quantity. ``known_spread`` bounds the standard deviation of a change in other
    studies. It stands in for that of a single seed.
    """

    sign: int
    unit: Unit
    margin: float
    comparisons: tuple[Comparison, ...]
    known_spread: float | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def outcome(self) -> Outcome:
        """What the comparisons say of the statement. It is

        - confirmed if every 95 % interval is on the statement's side of zero. This is an
          intersection-union test (Berger 1982), so it needs no correction for their number;
        - refuted if an interval is on the other side of zero even after Bonferroni correction for
          the number of comparisons. An exact count also refutes it by not changing;
        - equivalent if every 90 % interval is within the margin: two one-sided tests (Schuirmann
          1987), and again an intersection-union test;
        - undecided otherwise. A single seed decides nothing but an exact count;
        - not measured if no comparison has a seed.

        A statement that nothing changes is confirmed by what makes others equivalent, and refuted
        if a corrected interval is beyond the margin.
        """
        if not any(one.n for one in self.comparisons):
            return "not measured"
        if not self.sign and all(map(self._is_small, self.comparisons)):
            return "confirmed"
        if self.sign and all(one.side(CONFIDENCE) == self.sign for one in self.comparisons):
            return "confirmed"
        if any(map(self._refutes, self.comparisons)):
            return "refuted"
        is_small = self.sign and all(map(self._is_small, self.comparisons))
        return "equivalent" if is_small else "undecided"

    @property
    def corrected_confidence(self) -> float:
        """That of the intervals that can refute, after Bonferroni correction.

        Exact counts are no random comparisons.
        """
        return 1 - (1 - CONFIDENCE) / max(1, sum(not one.exact for one in self.comparisons))

    def _refutes(self, one: Comparison) -> bool:
        if not self.sign:
            ends = one.interval(self.corrected_confidence) or (0.0, 0.0)
            beyond = min(map(abs, ends)) > self._margin_of(one)
            return beyond and one.side(self.corrected_confidence) != 0
        side = one.side(self.corrected_confidence)
        return side == -self.sign or (one.exact and side == 0)

    def _margin_of(self, one: Comparison) -> float:
        return self.margin if one.unit == self.unit else 0.0

    def _is_small(self, one: Comparison) -> bool:
        return one.within(self._margin_of(one), EQUIVALENCE_CONFIDENCE)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def decisive(self) -> Comparison | None:
        """The comparison that decides.

        Of a refuted statement it is the surest of those that refute it, of an equivalent one that
        with the largest change, otherwise the one that supports it least.
        """
        if self.outcome == "refuted":
            return min(filter(self._refutes, self.comparisons), key=_p_value_and_size)
        if self.outcome == "equivalent" or not self.sign:
            return max(self.comparisons, key=_farthest_end, default=None)
        return min(self.comparisons, key=self._support, default=None)

    def _support(self, one: Comparison) -> tuple[float, int, float]:
        """Orders comparisons by the smallest change in the statement's direction."""
        ends = one.interval(CONFIDENCE)
        least = -math.inf if ends is None else min(self.sign * end for end in ends)
        return least, min(one.n, 1), self.sign * one.change

    @computed_field  # type: ignore[prop-decorator]
    @property
    def confidence(self) -> float:
        """That of the interval that decides, from which a reader can see the outcome.

        Undecided statements have the 95 % interval. If that excludes the statement, they have the
        corrected one, which does not.
        """
        if self.outcome == "equivalent" or (not self.sign and self.outcome == "confirmed"):
            return EQUIVALENCE_CONFIDENCE
        if not self.sign:
            return self.corrected_confidence
        one = self.decisive
        contradicts = one is not None and one.side(CONFIDENCE) == -self.sign
        return self.corrected_confidence if contradicts else CONFIDENCE

    @computed_field  # type: ignore[prop-decorator]
    @property
    def interval(self) -> Interval | None:
        """The interval that decides, in the unit of the comparison; None if there is none."""
        return None if self.decisive is None else self.decisive.interval(self.confidence)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def below_margin(self) -> bool:
        """Whether the decisive change is sure to be smaller than the margin."""
        one = self.decisive
        return one is not None and not one.exact and self._is_small(one)

    @property
    def refuted_by_more_than_the_margin(self) -> bool:
        """Whether a comparison is sure to go the other way by more than the margin."""
        return any(
            max(self.sign * end for end in ends) < -self._margin_of(one)
            for one in self.comparisons
            if (ends := one.interval(self.corrected_confidence)) is not None
        )

    @computed_field  # type: ignore[prop-decorator]
    @property
    def reason(self) -> str:
        """Why it is undecided, or that a sure change is below the margin; empty otherwise."""
        if self.sign and self.outcome in ("confirmed", "refuted") and self.below_margin:
            return f"smaller than the margin of {with_unit(self.margin, self.unit)}"
        one = self.decisive
        if self.outcome != "undecided" or one is None:
            return ""
        if one.n < 2:
            return "one seed" if one.n else f"no seed for {one.label}"
        if one.rising and one.falling:
            return "seeds disagree"
        one_sign = one.rising or one.falling
        return "too few seeds: all changes have one sign" if one_sign else "too few seeds"

    @computed_field  # type: ignore[prop-decorator]
    @property
    def seeds_needed(self) -> int | None:
        """About how many seeds would decide it with a probability of 80 %.

        None if it is decided, or if nothing is known of the spread; ``MOST_SEEDS + 1`` if more.
        """
        if self.outcome != "undecided":
            return None
        margins = [self._margin_of(one) for one in self.comparisons]
        return seeds_to_decide(self.comparisons, self.sign, margins, self.known_spread)


class Verdict(Value):
    """A claim, its readings, and the outcome.

    ``trend`` is the claim read as one trend over all levels, None where it has no three levels.
    ``every_step`` reads it literally: every comparison goes its way. ``page_p_value`` is that of
    Page's test of the trend, which decides nothing. ``reachable`` is the verdict on the same claim
    over those pixels that every architecture can draw. A claim that this study cannot decide has
    the reason in ``not_measurable``. ``note`` is what a reader must know beside the outcome.
    ``section`` is the section of the study that measured it, empty if that is not known.
    """

    name: str
    claim: str
    source: str
    quantity: str
    trend: Reading | None = None
    every_step: Reading
    page_p_value: float | None = None
    reachable: "Verdict | None" = None
    not_measurable: str = ""
    note: str = ""
    section: str = ""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def outcome(self) -> Outcome:
        """What the readings say together. It is

        - confirmed or refuted as the trend is, and confirmed if every step is;
        - equivalent if every step is: values that fall and rise again have no trend, but they are
          not equivalent;
        - refuted if the trend is below the margin, and a step goes the other way by more;
        - undecided otherwise, if anything was measured.
        """
        literal = self.every_step.outcome
        if self.not_measurable and literal != "not measured":
            return "not measurable"
        if self.headline is not self.every_step or self.trend is None or literal != "refuted":
            return self.headline.outcome
        beyond = not self._lacks_trend and self.every_step.refuted_by_more_than_the_margin
        return "refuted" if beyond else "undecided"

    @property
    def _lacks_trend(self) -> bool:
        return self.trend is not None and self.trend.outcome == "not measured"

    @property
    def headline(self) -> Reading:
        """The reading that decides: every step if that is confirmed, otherwise the trend.

        Where there is no trend, or none above the margin, it is every step.
        """
        literal = self.every_step
        if self.trend is None or self.trend.outcome in ("not measured", "equivalent"):
            return literal
        return literal if literal.outcome == "confirmed" else self.trend

    @property
    def readings(self) -> list["NamedReading"]:
        """Every reading of the claim that was measured, those of reachable pixels last."""
        several = len(self.every_step.comparisons) > 1
        name = ("every step" if self.trend else "all of them") if several else ""
        found = [NamedReading(name, self.every_step, None)]
        if self.trend is not None:
            found.insert(0, NamedReading("trend", self.trend, self.page_p_value))
        if self.reachable is not None:
            found += [
                one._replace(name=f"{one.name}, reachable pixels".removeprefix(", "))
                for one in self.reachable.readings
            ]
        return [one for one in found if one.reading.outcome != "not measured"]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def reason(self) -> str:
        """What the outcome alone does not say; empty if there is nothing."""
        if self.outcome == "not measurable":
            return self.not_measurable
        why = [self._trend_note, self.headline.reason, self.edge_note]
        if self.outcome == "undecided" and self.trend is not None:
            if self._lacks_trend:
                why = ["a level has no seed"]
            elif self.trend.outcome == "equivalent":
                why = ["no trend above the margin, but not every step is below it"]
        return "; ".join(filter(None, [*why, self.note if self.outcome != "not measured" else ""]))

    @property
    def _trend_note(self) -> str:
        """That the trend confirms a claim which some step does not; empty otherwise."""
        literal = self.every_step.outcome
        if self.outcome != "confirmed" or literal == "confirmed":
            return ""
        return "as a trend, not at every step" if literal == "refuted" else "as a trend"

    @computed_field  # type: ignore[prop-decorator]
    @property
    def seeds_needed(self) -> int | None:
        """About how many seeds would decide the claim; see ``Reading``."""
        return self.headline.seeds_needed if self.outcome == "undecided" else None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def edge_artefact(self) -> bool:
        """Whether the claim, or every step of it, is confirmed on exactly one set of pixels."""
        return bool(self.edge_note)

    @property
    def edge_note(self) -> str:
        """What the difference between all and reachable pixels means; empty if there is none."""
        other = self.reachable
        if other is None or other.outcome == "not measured":
            return ""
        pairs = {
            "": (self.outcome, other.outcome),
            "every step is ": (self.every_step.outcome, other.every_step.outcome),
        }
        for subject, (of_all, of_reachable) in pairs.items():
            if of_all == "confirmed" != of_reachable:
                sure = "" if of_reachable in DECIDED else "perhaps "
                return f"{subject}confirmed on all pixels only: {sure}an artefact of the edge"
            if of_all != "confirmed" == of_reachable:
                return f"{subject}confirmed on reachable pixels only: the edge hides it"
        return ""


class NamedReading(NamedTuple):
    """A reading, what it is called on a page, and the p of Page's test if it is a trend."""

    name: str
    reading: Reading
    page_p_value: float | None


def with_unit(value: float, unit: Unit) -> str:
    """A number with its unit as text, like "2 %" or "0.5 points"."""
    return f"{value:.3g} {'point' if unit == 'points' and value == 1 else unit}".strip()


def seeds_text(needed: int) -> str:
    """A number of seeds as text."""
    return f"more than {MOST_SEEDS:,} seeds" if needed > MOST_SEEDS else f"about {needed:,} seeds"


def counts(verdicts: Sequence[Verdict]) -> tuple[int, int]:
    """How many claims are decided, and how many were tested."""
    outcomes = [verdict.outcome for verdict in verdicts]
    decided = sum(outcome in DECIDED for outcome in outcomes)
    return decided, decided + outcomes.count("undecided")


def summary_line(verdicts: Sequence[Verdict], n_seeds: int) -> str:
    """How many claims a study decided, and how many seeds would decide the next one."""
    decided, tested = counts(verdicts)
    seeds = f"{n_seeds:,} seed{'' if n_seeds == 1 else 's'}"
    if not tested:
        return f"{seeds}: no claim was tested"
    text = f"{seeds}: {decided} of {tested} claims decided"
    if decided == tested:
        return text
    needed = [verdict.seeds_needed for verdict in verdicts if verdict.outcome == "undecided"]
    fewest = min((n for n in needed if n is not None), default=None)
    if fewest is None:
        return f"{text}; {'at least 3' if n_seeds == 1 else 'more'} seeds are needed for the others"
    if fewest > MOST_SEEDS:
        return f"{text}; {seeds_text(fewest)} would decide the next"
    more = max(1, fewest - n_seeds)
    return f"{text}; about {more:,} more seed{'' if more == 1 else 's'} would decide the next"


def _p_value_and_size(one: Comparison) -> tuple[float, float]:
    return one.p_value or 0.0, -abs(one.change)


def _farthest_end(one: Comparison) -> float:
    ends = one.interval(EQUIVALENCE_CONFIDENCE) or (0.0,)
    return max(map(abs, ends))
