"""Outcomes from made comparisons whose answer is known."""

import json
import math

import pytest
from pandas import Series
from scipy import stats

from tasks.verdicts.comparisons import Comparison, compare
from tasks.verdicts.verdict import Reading, Verdict, counts, seeds_text, summary_line, with_unit


def interval(low, high, **fields):
    """A comparison of four seeds with this 95 % interval."""
    half = (high - low) / 2
    error = half / float(stats.t.ppf(0.975, 3))
    found = {"mean": (low + high) / 2, "spread": 2 * error, "standard_error": error, "degrees": 3}
    return Comparison(label="", n=4, **found | fields)


def reading(*comparisons, sign=1, **fields):
    return Reading(
        **{"sign": sign, "unit": "", "margin": 0.05, "comparisons": comparisons} | fields
    )


def mirrored(one):
    return one.model_copy(update={"mean": -one.mean, "rising": one.falling, "falling": one.rising})


SUPPORT = interval(0.1, 0.3)
OPEN = interval(-0.1, 0.3)
AGAINST = interval(-0.3, -0.03)  # p = 0.03
SURELY_AGAINST = interval(-0.3, -0.2)
TINY = interval(0.01, 0.03)
NOTHING = interval(-0.03, 0.04)
NOT_COMPARED = Comparison(label="", n=0)
ONE_SEED = Comparison(label="", n=1, mean=0.2)
EXACT = Comparison(label="", n=1, mean=0.2, exact=True)


@pytest.mark.parametrize(
    ("comparisons", "outcome"),
    [
        ([SUPPORT], "confirmed"),
        ([SUPPORT, TINY], "confirmed"),
        ([SUPPORT, OPEN], "undecided"),
        ([SUPPORT, NOT_COMPARED], "undecided"),
        ([SUPPORT, ONE_SEED], "undecided"),
        ([AGAINST], "refuted"),
        ([SUPPORT, AGAINST], "undecided"),  # p = 0.03 > 0.05 / 2
        ([SUPPORT, SUPPORT, SURELY_AGAINST], "refuted"),
        ([NOTHING], "equivalent"),
        ([NOTHING, NOTHING, TINY], "equivalent"),
        ([NOTHING, OPEN], "undecided"),
        ([NOTHING, SURELY_AGAINST], "refuted"),
        ([interval(0.0, 0.4)], "undecided"),  # an end at zero is not beside it
        ([EXACT, SUPPORT], "confirmed"),
        ([mirrored(EXACT), SUPPORT], "refuted"),
        ([EXACT, EXACT.model_copy(update={"mean": 0.0})], "refuted"),  # as many is not more
        ([ONE_SEED], "undecided"),
        ([NOT_COMPARED], "not measured"),
        ([], "not measured"),
    ],
)
def test_the_outcome_follows_from_all_comparisons(comparisons, outcome):
    assert reading(*comparisons).outcome == outcome
    assert reading(*map(mirrored, comparisons), sign=-1).outcome == outcome


@pytest.mark.parametrize(
    ("comparisons", "decisive", "confidence"),
    [
        ([SUPPORT, TINY], TINY, 0.95),
        ([SURELY_AGAINST, AGAINST, SUPPORT], SURELY_AGAINST, 1 - 0.05 / 3),
        ([NOTHING, interval(-0.04, 0.02)], interval(-0.04, 0.02), 0.9),
        ([SUPPORT, OPEN, ONE_SEED], ONE_SEED, 0.95),
        ([SUPPORT, OPEN], OPEN, 0.95),
        ([SUPPORT, AGAINST], AGAINST, 0.975),  # the 95 % interval would seem to refute it
        ([SUPPORT, NOT_COMPARED, ONE_SEED], NOT_COMPARED, 0.95),
    ],
)
def test_the_decisive_comparison_is_shown_with_the_interval_that_decides(
    comparisons, decisive, confidence
):
    found = reading(*comparisons)
    assert found.decisive == decisive
    assert found.confidence == pytest.approx(confidence)
    assert found.interval == decisive.interval(found.confidence)


def read_off(low, high, confidence, margin, sign):
    """The outcome that a reader sees in an interval."""
    if min(sign * low, sign * high) > 0 and confidence == 0.95:
        return "confirmed"
    if max(sign * low, sign * high) < 0:
        return "refuted"
    within = -margin <= low and high <= margin
    return "equivalent" if within and confidence == pytest.approx(0.9) else "undecided"


@pytest.mark.parametrize("mean", [-0.3, -0.12, -0.08, -0.02, 0.0, 0.02, 0.08, 0.12, 0.3])
@pytest.mark.parametrize("half", [0.01, 0.05, 0.1, 0.3])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_outcome_can_be_read_off_the_printed_interval(mean, half, sign):
    other = interval(0.2, 0.3) if sign > 0 else interval(-0.3, -0.2)
    for comparisons in (
        [interval(mean - half, mean + half)],
        [interval(mean - half, mean + half), other],
    ):
        found = reading(*comparisons, sign=sign)
        low, high = (float(f"{end:.3g}") for end in found.interval)
        assert read_off(low, high, found.confidence, found.margin, sign) == found.outcome


def test_a_sure_change_below_the_margin_keeps_its_outcome_and_is_called_small():
    found = reading(TINY)
    assert (found.outcome, found.reason) == ("confirmed", "smaller than the margin of 0.05")
    against = reading(mirrored(TINY), unit="", margin=0.05)
    assert (against.outcome, against.below_margin) == ("refuted", True)
    assert reading(SUPPORT).reason == ""


def test_the_margin_is_that_of_the_unit():
    made = interval(-0.01, 0.01, unit="%")  # from -1.0 to 1.0 %
    assert reading(made, unit="%", margin=2.0).outcome == "equivalent"
    assert reading(made, unit="%", margin=0.5).outcome == "undecided"
    without_ratio = interval(-0.01, 0.01)  # of values with a zero
    assert reading(without_ratio, unit="%", margin=2.0).outcome == "undecided"


@pytest.mark.parametrize(
    ("comparison", "reason"),
    [
        (ONE_SEED, "one seed"),
        (Comparison(label="d = 1 to d = 5", n=0), "no seed for d = 1 to d = 5"),
        (interval(-0.1, 0.3, rising=4), "too few seeds: all changes have one sign"),
        (OPEN, "too few seeds"),  # no seed has both levels
        (interval(-0.1, 0.3, rising=3, falling=1), "seeds disagree"),
    ],
)
def test_an_undecided_claim_says_why(comparison, reason):
    assert reading(SUPPORT, comparison).reason == reason


def test_ten_equal_changes_decide():
    before = Series([0.1 * seed for seed in range(1, 11)])
    rises = compare("", before, before + 0.01, "points")
    assert reading(rises, unit="points", margin=0.5).outcome == "confirmed"
    assert reading(rises, unit="points", margin=0.5, sign=-1).outcome == "refuted"
    same = compare("", before, before, "points")
    assert reading(same, unit="points", margin=0.5).outcome == "equivalent"
    few = compare("", before[:3], before[:3], "points")
    assert reading(few, unit="points", margin=0.5).outcome == "undecided"


def verdict(trend, *steps, **fields):
    """A claim that a quantity rises, with a comparison for its trend, or None."""
    return Verdict(
        **{
            "name": "x",
            "claim": "",
            "source": "ours",
            "quantity": "",
            "trend": trend and reading(trend),
            "every_step": reading(*steps),
        }
        | fields
    )


@pytest.mark.parametrize(
    ("trend", "steps", "outcome", "headline"),
    [
        (SUPPORT, [SUPPORT, SUPPORT], "confirmed", "every_step"),
        (SUPPORT, [SUPPORT, OPEN], "confirmed", "trend"),
        (SUPPORT, [SUPPORT, SURELY_AGAINST], "confirmed", "trend"),
        (SURELY_AGAINST, [SUPPORT, SURELY_AGAINST], "refuted", "trend"),
        (NOTHING, [OPEN, OPEN], "undecided", "every_step"),
        (NOTHING, [NOTHING, TINY], "equivalent", "every_step"),
        (NOTHING, [SUPPORT, SURELY_AGAINST], "refuted", "every_step"),  # it rises and falls
        (NOTHING, [OPEN, mirrored(TINY)], "undecided", "every_step"),  # against, but hardly
        (OPEN, [SUPPORT, SURELY_AGAINST], "undecided", "trend"),
        (NOT_COMPARED, [SUPPORT, NOT_COMPARED], "undecided", "every_step"),
        (NOT_COMPARED, [SURELY_AGAINST, NOT_COMPARED], "undecided", "every_step"),
        (NOT_COMPARED, [NOT_COMPARED, NOT_COMPARED], "not measured", "every_step"),
        (None, [SUPPORT], "confirmed", "every_step"),
        (None, [SURELY_AGAINST, SUPPORT], "refuted", "every_step"),
        (None, [], "not measured", "every_step"),
    ],
)
def test_a_claim_has_the_outcome_of_every_step_if_confirmed_or_of_its_trend(
    trend, steps, outcome, headline
):
    found = verdict(trend, *steps)
    assert found.outcome == outcome
    assert found.headline == getattr(found, headline)


def test_a_trend_without_a_complete_seed_says_so():
    assert verdict(NOT_COMPARED, SUPPORT, NOT_COMPARED).reason == "a level has no seed"


def test_a_trend_below_the_margin_says_that_the_steps_leave_it_open():
    expected = "no trend above the margin, but not every step is below it"
    assert verdict(NOTHING, OPEN, mirrored(TINY)).reason == expected
    assert verdict(NOTHING, NOTHING, TINY).reason == ""


def test_a_claim_that_cannot_be_decided_says_why():
    found = verdict(SUPPORT, SUPPORT, SUPPORT, not_measurable="it fails its controls")
    assert (found.outcome, found.reason) == ("not measurable", "it fails its controls")
    assert verdict(None, not_measurable="it fails its controls").outcome == "not measured"


@pytest.mark.parametrize(
    ("all_pixels", "reachable", "note"),
    [
        (SUPPORT, SUPPORT, ""),
        (OPEN, SURELY_AGAINST, ""),
        (SUPPORT, NOT_COMPARED, ""),
        (SUPPORT, NOTHING, "confirmed on all pixels only: an artefact of the edge"),
        (SUPPORT, OPEN, "confirmed on all pixels only: perhaps an artefact of the edge"),
        (OPEN, SUPPORT, "confirmed on reachable pixels only: the edge hides it"),
    ],
)
def test_what_only_one_set_of_pixels_confirms_is_named(all_pixels, reachable, note):
    found = verdict(None, all_pixels, reachable=verdict(None, reachable))
    assert found.edge_artefact == bool(note)
    assert found.edge_note == note
    assert found.reason.endswith(note)


@pytest.mark.parametrize(
    ("steps", "note"),
    [
        ([SUPPORT, SURELY_AGAINST], "as a trend, not at every step"),
        ([SUPPORT, OPEN], "as a trend"),
        ([SUPPORT, SUPPORT], ""),
    ],
)
def test_a_claim_that_only_its_trend_confirms_says_so(steps, note):
    found = verdict(SUPPORT, *steps)
    assert (found.outcome, found.reason) == ("confirmed", note)


def test_readings_are_named_and_those_not_measured_left_out():
    other = verdict(SUPPORT, SUPPORT, OPEN, page_p_value=0.02)
    found = verdict(OPEN, SUPPORT, OPEN, page_p_value=0.01, reachable=other)
    assert [(one.name, one.page_p_value) for one in found.readings] == [
        ("trend", 0.01),
        ("every step", None),
        ("trend, reachable pixels", 0.02),
        ("every step, reachable pixels", None),
    ]
    assert [one.name for one in verdict(None, SUPPORT, OPEN).readings] == ["all of them"]
    pair = verdict(None, SUPPORT, reachable=verdict(None, SUPPORT))
    assert [one.name for one in pair.readings] == ["", "reachable pixels"]
    assert verdict(None).readings == []


def test_a_verdict_is_json_without_infinite_numbers():
    found = verdict(OPEN, ONE_SEED, NOT_COMPARED, SURELY_AGAINST).model_dump(mode="json")
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text)["every_step"]["outcome"] == "refuted"
    assert {"outcome", "reason", "seeds_needed", "edge_artefact"} <= found.keys()


def test_the_summary_names_the_claim_that_needs_the_fewest_seeds():
    near = verdict(None, interval(-0.05, 0.5, rising=4))
    far = verdict(None, interval(-0.4, 0.5, rising=3, falling=1))
    assert 4 < near.seeds_needed < far.seeds_needed
    decided = [verdict(None, SUPPORT), verdict(None, NOTHING), verdict(None, SURELY_AGAINST)]
    ignored = [verdict(None), verdict(None, SUPPORT, not_measurable="no")]
    made = [*decided, far, near, *ignored]
    assert counts(made) == (3, 5)
    more = near.seeds_needed - 4
    expected = f"4 seeds: 3 of 5 claims decided; about {more} more seeds would decide the next"
    assert summary_line(made, 4) == expected
    assert summary_line([near], near.seeds_needed - 1).endswith(
        "about 1 more seed would decide the next"
    )
    assert summary_line([*decided, *ignored], 4) == "4 seeds: 3 of 3 claims decided"
    assert summary_line(ignored, 1) == "1 seed: no claim was tested"


def test_a_single_seed_needs_at_least_two_more_unless_the_spread_is_known():
    single = verdict(None, ONE_SEED)
    text = summary_line([single], 1)
    assert text == "1 seed: 0 of 1 claims decided; at least 3 seeds are needed for the others"
    known = single.model_copy(update={"every_step": reading(ONE_SEED, known_spread=0.1)})
    assert "; about 4 more seeds would decide the next" in summary_line([known], 1)
    hopeless = single.model_copy(update={"every_step": reading(ONE_SEED, known_spread=1e4)})
    assert summary_line([hopeless], 1).endswith("; more than 1,000 seeds would decide the next")
    missing = verdict(None, SUPPORT, NOT_COMPARED)
    assert summary_line([missing], 3).endswith("; more seeds are needed for the others")


def test_numbers_have_their_unit():
    assert with_unit(2.0, "%") == "2 %"
    assert with_unit(0.5, "points") == "0.5 points"
    assert with_unit(1.0, "points") == "1 point"
    assert with_unit(0.01, "") == "0.01"


def test_a_number_of_seeds_is_about_right():
    assert seeds_text(1000) == "about 1,000 seeds"
    assert seeds_text(1001) == "more than 1,000 seeds"
    assert math.isfinite(reading(interval(-1, 1.1, rising=3, falling=1)).seeds_needed)
