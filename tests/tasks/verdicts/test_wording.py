import pytest

from tasks.analysis.intervals import Estimate
from tasks.verdicts.comparisons import Comparison
from tasks.verdicts.verdict import Reading, Verdict
from tasks.verdicts.wording import (
    anchors,
    change_sentence,
    in_words,
    rounded,
    seeds_in_words,
    value_text,
)


def compared(label, change, half, unit="points", n=5, **more):
    """A comparison whose 95 % interval is the change plus or minus about ``half``."""
    scale = 100 if unit == "points" else 1
    error = half / scale / 2.776  # Student's t with four degrees of freedom
    spread = {"spread": 2 * error, "standard_error": error, "degrees": 4} if n > 1 else {}
    levels = tuple(label.removeprefix("per step, ").split(" to "))
    found = {"label": label, "levels": levels, "mean": change / scale, **spread}
    return Comparison(unit=unit, n=n, **(found | more))


def judged(steps, trend=None, sign=1, unit="points", margin=0.5, quantity="test accuracy"):
    def reading(comparisons):
        return Reading(sign=sign, unit=unit, margin=margin, comparisons=tuple(comparisons))

    return Verdict(
        name="claim",
        claim="It rises.",
        source="ours",
        quantity=quantity,
        trend=reading([trend]) if trend else None,
        every_step=reading(steps),
    )


LEVELS = "d = 5 to d = 40"
STEPS = [compared("d = 5 to d = 20", 8, 2), compared("d = 20 to d = 40", 4, 2)]


@pytest.mark.parametrize(
    ("verdict", "outcome", "sentence"),
    [
        (
            judged([compared("frozen to fine-tuned", 3, 1)]),
            "confirmed",
            "Going from frozen to fine-tuned raises the test accuracy by 3 points [2, 4], "
            "five seeds.",
        ),
        (
            judged([compared("frozen to fine-tuned", -1, 0.2, condition="all labels")]),
            "refuted",
            "With all labels, going from frozen to fine-tuned lowers the test accuracy by "
            "1.0 points [0.8, 1.2], five seeds.",
        ),
        (
            judged(STEPS, compared(f"per step, {LEVELS}", 6, 1)),
            "confirmed",
            "Each step from latent size 5 to 40 raises the test accuracy by 6 points [5, 7] on "
            "average, five seeds.",
        ),
        (
            judged([compared(LEVELS, 0.1, 0.25)]),
            "equivalent",
            "Going from latent size 5 to 40 changes the test accuracy by between -0.092 and "
            "+0.292 points (90 % interval), which is within the margin of 0.5 points, five seeds.",
        ),
        (
            judged([compared(LEVELS, 1, 3)]),
            "undecided",
            "Going from latent size 5 to 40 changes the test accuracy by +1 point [-2, 4], "
            "five seeds.",
        ),
        (
            judged([compared(LEVELS, -1.25, 0, n=1)]),
            "undecided",
            "Going from latent size 5 to 40 changes the test accuracy by -1.25 points, one seed.",
        ),
        (
            judged([compared("depth 1 to depth 2", 50, 0, "", exact=True)], quantity="parameters"),
            "confirmed",
            "Going from depth 1 to 2 raises the parameters by 50, an exact count.",
        ),
        (
            judged(
                [compared("depth 2 to depth 3", -3, 1, "", quantity="test loss")],
                sign=-1,
                unit="",
                quantity="parameters, test MSE",
            ),
            "confirmed",
            "Going from depth 2 to 3 lowers the test loss by 3 [2, 4], five seeds.",
        ),
    ],
)
def test_a_sentence_has_the_numbers_that_decide_and_no_more(verdict, outcome, sentence):
    assert verdict.outcome == outcome
    assert change_sentence(verdict) == sentence


@pytest.mark.parametrize(
    ("level", "said"),
    [
        (
            "d = 20",
            "The test accuracy at latent size 20 differs from 0.9 by -3 points [-4, -2], five",
        ),
        ("all", "The test accuracy differs from 0.9 by -3 points [-4, -2], five seeds."),
    ],
)
def test_a_bound_is_named(level, said):
    one = compared("", -3, 1, levels=(level,), bound=0.9)
    assert change_sentence(judged([one], sign=-1)).startswith(said)


def test_an_interval_of_another_confidence_is_named():
    steps = [compared(f"depth {n} to depth {n + 1}", -6, 1) for n in range(1, 6)]
    sentence = change_sentence(judged(steps))
    assert "lowers the test accuracy by 6 points [4, 8] (99 % interval), five seeds" in sentence


@pytest.mark.parametrize(
    ("mean", "ends", "text"),
    [
        (47.2, (44.1, 50.3), ("47", "[44, 50]")),
        (47.24, (47.04, 47.44), ("47.2", "[47.0, 47.4]")),
        (1.5, (0.02, 2.98), ("1.50", "[0.02, 2.98]")),  # an end that is not zero
        (0.001234, (0.00121, 0.00126), ("0.00123", "[0.00121, 0.00126]")),
        (2.0, None, ("2", "")),
        (2.0, (2.0, 2.0), ("2", "")),
    ],
)
def test_numbers_are_rounded_to_what_the_interval_leaves_certain(mean, ends, text):
    assert rounded(mean, ends) == text


def test_a_mean_is_shown_with_half_the_width_of_its_interval():
    assert value_text(Estimate(0.01234, 0.01204, 0.01264, 5)) == "0.0123 \u00b1 0.0003"
    assert value_text(Estimate(0.951, 0.947, 0.955, 5), "%") == "95.1 \u00b1 0.4 %"
    assert value_text(Estimate(0.951, None, None, 1), "%") == "95.1 %"


def test_every_claim_has_an_anchor_of_its_own_whatever_its_name_is():
    found = anchors(["deeper_lower_loss", "Deeper: lower loss!", "\u4e2d\u6587", "\u6587", "a<b"])
    assert list(found.values()) == [
        "claim-deeper-lower-loss",
        "claim-deeper-lower-loss-2",
        "claim-3",
        "claim-4",
        "claim-a-b",
    ]


def test_numbers_of_seeds_and_short_names_are_words():
    assert [seeds_in_words(n) for n in (1, 5, 20)] == ["one seed", "five seeds", "20 seeds"]
    assert in_words("test MSE, d = 5 to d = 10") == "test loss, latent size 5 to latent size 10"
