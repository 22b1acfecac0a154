"""Verdicts in words: the numbers of a comparison as a sentence, and the anchor of its evidence."""

import math
import re
from collections.abc import Iterable, Sequence

from models.measures.glossary import Unit
from tasks.analysis.intervals import Estimate
from tasks.verdicts.comparisons import Comparison, Interval
from tasks.verdicts.verdict import Reading, Verdict, with_unit

NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
IN_WORDS = {"d = ": "latent size ", " MSE": " loss"}  # short names of tables, in a sentence
MOST_DIGITS = 6


def anchors(names: Iterable[str]) -> dict[str, str]:
    """The anchor of each claim on the page, by its name, which may be any text."""
    found: dict[str, str] = {}
    for name in names:
        words = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
        anchor = f"claim-{words}" if words else f"claim-{len(found) + 1}"
        taken = list(found.values())
        found[name] = f"{anchor}-{len(found) + 1}" if anchor in taken else anchor
    return found


def seeds_in_words(n: int) -> str:
    """A number of seeds, such as "five seeds"."""
    return f"{NUMBERS[n] if n < len(NUMBERS) else n} seed{'' if n == 1 else 's'}"


def in_words(text: str) -> str:
    """A label or a quantity without the short names of tables."""
    for short, words in IN_WORDS.items():
        text = text.replace(short, words)
    return text


def rounded(mean: float, ends: Interval | None) -> tuple[str, str]:
    """A number and its interval as text, rounded to what the interval leaves certain.

    An end that is not zero is not printed as zero. Without an interval there are three digits.
    """
    if ends is None or ends[0] == ends[1]:
        return f"{mean:.3g}", ""
    half = (ends[1] - ends[0]) / 2
    digits = min(max(0, -math.floor(math.log10(half))), MOST_DIGITS)
    while digits < MOST_DIGITS and any(end and not round(end, digits) for end in ends):
        digits += 1
    low, high = (f"{end:.{digits}f}" for end in ends)
    return f"{mean:.{digits}f}", f"[{low}, {high}]"


def value_text(estimate: Estimate, unit: Unit = "") -> str:
    """A mean with half the width of its interval, if it has one; shares are in per cent."""
    scale = 100 if unit == "%" else 1
    margin = estimate.margin
    mean = scale * estimate.mean
    if margin is None:
        return f"{mean:.3g} {unit}".strip()
    scaled = scale * margin
    text, _ = rounded(mean, (mean - scaled, mean + scaled))
    digits = len(text.partition(".")[2])
    return f"{text} \u00b1 {scaled:.{digits}f} {unit}".strip()


def change_sentence(verdict: Verdict) -> str:
    """What the comparison found that a reader should see first: direction, size, interval, seeds.

    That of a trend if the trend is what decides, or if it agrees with every step.
    """
    reading = shown_reading(verdict)
    one = reading.decisive
    assert one is not None, "a claim that was measured has a comparison"
    if one.bound is not None:
        return _bound_sentence(verdict, reading, one)
    quantity, subject = _subject(verdict, reading, one)
    if reading.outcome == "equivalent":
        return f"{subject} changes the {quantity} by {_bounds(reading)}, {_seeds(one)}."
    if verdict.outcome not in ("confirmed", "refuted"):
        mean, interval = rounded(one.change, reading.interval)
        size = f"{'+' if one.change > 0 else ''}{mean}"
        return f"{subject} changes the {quantity} by {_size(size, one, interval)}, {_seeds(one)}."
    ends = reading.interval
    sizes = (abs(ends[0]), abs(ends[1])) if ends else None
    mean, interval = rounded(abs(one.change), (min(sizes), max(sizes)) if sizes else None)
    per_cent = f"{100 * reading.confidence:.3g}"
    if interval and per_cent != "95":
        interval = f"{interval} ({per_cent} % interval)"
    verb = "raises" if one.change > 0 else "lowers"
    if not one.change:
        return f"{subject} does not change the {quantity}."
    average = " on average" if reading is verdict.trend else ""
    return (
        f"{subject} {verb} the {quantity} by {_size(mean, one, interval)}{average}, {_seeds(one)}."
    )


def _bound_sentence(verdict: Verdict, reading: Reading, one: Comparison) -> str:
    """How far a quantity is from the bound of the claim."""
    (level,) = one.levels
    at = "" if level == "all" else f" at {in_words(level)}"
    mean, interval = rounded(one.change, reading.interval)
    size = _size(f"{'+' if one.change > 0 else ''}{mean}", one, interval)
    quantity = one.quantity or verdict.quantity
    return f"The {in_words(quantity)}{at} differs from {one.bound:g} by {size}, {_seeds(one)}."


def shown_reading(verdict: Verdict) -> Reading:
    """The reading that a sentence and a plot show: the trend if its outcome is the claim's."""
    trend = verdict.trend
    if trend is not None and trend.outcome == verdict.outcome:
        return trend
    return verdict.headline


def _subject(verdict: Verdict, reading: Reading, one: Comparison) -> tuple[str, str]:
    """The quantity, and what changes it."""
    subject = f"{'Each step' if reading is verdict.trend else 'Going'} from {_between(one.levels)}"
    if one.condition:
        subject = f"With {in_words(one.condition)}, {subject[0].lower()}{subject[1:]}"
    return in_words(one.quantity or verdict.quantity), subject


def _between(levels: Sequence[str]) -> str:
    """Two levels in words; what both begin with is said once."""
    before, after = map(in_words, levels)
    start, _, _ = before.rpartition(" ")
    return f"{before} to {after.removeprefix(f'{start} ') if start else after}"


def _size(text: str, one: Comparison, interval: str) -> str:
    unit = "point" if one.unit == "points" and text.lstrip("+-") == "1" else one.unit
    return " ".join(filter(None, [text, unit, interval]))


def _bounds(reading: Reading) -> str:
    low, high = reading.interval or (0.0, 0.0)
    unit = f" {reading.unit}" if reading.unit else ""
    return (
        f"between {low:+.3g} and {high:+.3g}{unit} (90 % interval), which is within the margin of "
        f"{with_unit(reading.margin, reading.unit)}"
    )


def _seeds(one: Comparison) -> str:
    return "an exact count" if one.exact else seeds_in_words(one.n)
