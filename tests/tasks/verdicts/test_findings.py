import pytest

from tasks.analysis.intervals import Estimate
from tasks.verdicts.findings import make_findings, sentences
from tasks.verdicts.verdict import Verdict
from tests.tasks.verdicts.test_wording import compared, judged

CONFIG = {
    "seeds": [0, 1, 2, 3, 4],
    "sections": ["latent_sweep", "depth_sweep", "transfer", "interpolation"],
}
LEVELS = "d = 5 to d = 40"


def claim(name, section, *comparisons, **more) -> Verdict:
    made = judged(comparisons, **{"quantity": "a distance"} | more)
    words = {"name": name, "claim": f"{name} rises.", "section": section}
    return made.model_copy(update=words)


def found(*verdicts, rows=None, config=CONFIG, **more):
    return make_findings(verdicts, rows or {}, config, command="study run made", **more)


def losses(*pairs, n=5):
    """Rows of the table of latent sizes: pairs of a size and its test loss."""
    half = 0.001 if n > 1 else None
    return [
        {
            "latent_dim": size,
            "final_test_loss": Estimate(
                loss, *((loss - half, loss + half) if half else (None, None)), n
            ),
        }
        for size, loss in pairs
    ]


STRONG = claim("strong", "latent_sweep", compared(LEVELS, 9, 1))
WEAK = claim("weak", "latent_sweep", compared(LEVELS, 2, 1))
REFUTED = claim("worse", "transfer", compared(LEVELS, -5, 1))
SAME = claim("same", "interpolation", compared(LEVELS, 0.1, 0.2))
OPEN = claim("open", "transfer", compared(LEVELS, 1, 2))
WIDE = claim("wide", "transfer", compared(LEVELS, 0.5, 5))
COUNT = claim("count", "depth_sweep", compared("depth 1 to depth 2", 5, 0, "", exact=True))
ONE = claim("one", "latent_sweep", compared(LEVELS, 3, 0, n=1))
UNMEASURED = claim("nothing", "depth_sweep")
BLOCKED = SAME.model_copy(update={"name": "blocked", "not_measurable": "no order"})


def test_each_section_gives_its_claim_with_the_largest_effect():
    kinds = [(one.kind, one.anchor) for one in found(WEAK, STRONG, REFUTED, SAME)]
    assert kinds == [
        ("confirmed", "claim-strong"),
        ("refuted", "claim-worse"),
        ("equivalent", "claim-same"),
        ("next", "claim-worse"),
    ]


def test_a_refuted_claim_is_quoted_with_the_change_that_refutes_it():
    first = found(REFUTED)[0]
    assert first.sentence == (
        "Going from latent size 5 to 40 lowers the a distance by 5 points [4, 6], five seeds. "
        "This is against the claim: \u201cworse rises\u201d."
    )


def test_a_claim_on_a_loss_goes_before_one_with_a_larger_effect():
    loss = claim("loss", "latent_sweep", compared(LEVELS, 2, 1), quantity="test loss")
    assert found(STRONG, loss)[0].anchor == "claim-loss"


def test_an_undecided_claim_says_how_many_seeds_would_decide_it():
    by_kind = {one.kind: one for one in found(WIDE, OPEN, STRONG)}
    assert by_kind["undecided"].anchor == "claim-open"
    needed = OPEN.seeds_needed
    assert f"About {needed} seeds would decide it." in by_kind["undecided"].sentence
    assert by_kind["next"].sentence == (
        f"About {needed - 5} more seeds would decide the next claim. 1 more claim is undecided."
    )


def test_a_claim_that_no_number_of_seeds_decides_is_said_to_be_open():
    never = claim("never", "transfer", compared(LEVELS, 0.5, 500))
    assert "More seeds will hardly decide what is open" in found(never)[-1].sentence


def test_without_an_open_claim_more_seeds_are_not_asked_for():
    assert found(STRONG)[-1].sentence == (
        "No claim is open: more seeds would only make the intervals narrower."
    )
    assert "claims that are refuted" in found(REFUTED)[-1].sentence


def test_one_seed_has_no_interval_and_the_next_step_is_a_command():
    config = CONFIG | {"seeds": [3]}
    rows = {"latent": losses((5, 0.02), (10, 0.01), n=1)}
    made = found(ONE, COUNT, rows=rows, config=config)
    assert [one.kind for one in made] == ["warning", "measured", "confirmed", "next"]
    assert "One seed (seed 3): no loss and no accuracy here has an interval" in made[0].sentence
    assert made[1].sentence == (
        "Of 2 latent sizes, 10 has the lowest test loss: 0.01; 5 follows with 0.02."
    )
    assert made[1].sure == "one seed: no interval"
    assert made[-1].sentence.endswith("study run made --set seeds=[3,4,5,6,7]")
    assert not any("[" in one.sentence for one in made[:-1])


def test_an_exact_count_is_a_finding_only_where_its_section_has_no_other():
    rows = [
        {"architecture": name, "final_test_loss": Estimate(loss, loss - 0.001, loss + 0.001, 5)}
        for name, loss in (("wide", 0.02), ("small", 0.03))
    ]
    made = found(COUNT, STRONG, rows={"depth": rows})
    assert [one.anchor for one in made[:2]] == ["claim-strong", "depth_sweep"]
    assert made[1].sentence == (
        "Of 2 networks, wide has the lowest test loss: 0.020 \u00b1 0.001; "
        "small follows with 0.030 \u00b1 0.001."
    )
    assert found(COUNT)[0].anchor == "claim-count"


def test_what_cannot_be_decided_is_no_finding():
    assert found(UNMEASURED, BLOCKED) == []
    assert [one.kind for one in found(UNMEASURED, BLOCKED, STRONG)] == ["confirmed", "next"]


def test_failed_trainings_come_first_and_the_edge_and_pca_after_the_claims():
    made = found(
        STRONG,
        OPEN,
        warnings=["3 of 9 autoencoders are no better than the mean image"],
        linear_limit=["On all pixels it is below PCA's at d = 5.", "On the reachable pixels too."],
        edge="pixels hold 34 % of a test loss (depth 2, d = 40); the rest is cut",
    )
    assert [one.kind for one in made] == [
        "warning",
        "confirmed",
        "warning",
        "measured",
        "undecided",
        "next",
    ]
    assert made[0].sentence.startswith("3 of 9 autoencoders")
    assert made[2].sentence == (
        "Pixels hold 34 % of a test loss (depth 2, latent size 40): compare models by their loss "
        "over reachable pixels."
    )
    assert made[3].sentence == "On all pixels it is below PCA's at latent size 5."


def test_nothing_is_linked_to_a_section_that_the_study_lacks():
    config = CONFIG | {"sections": ["depth_sweep"]}
    given = {"warnings": ["3 failed"], "linear_limit": ["On all pixels."], "config": config}
    made = found(claim("deep", "depth_sweep", compared(LEVELS, 5, 1)), **given)
    assert [one.anchor for one in made] == ["depth_sweep", "claim-deep", "claim-deep"]


def test_there_are_at_most_seven_and_the_last_says_what_to_do():
    sections = ["latent_sweep", "depth_sweep", "interpolation", "decorrelation", "a", "b", "c"]
    many = [claim(f"claim {one}", one, compared(LEVELS, 5, 1)) for one in sections]
    made = found(*many, OPEN, linear_limit=["On all pixels."], warnings=["3 failed"])
    assert len(made) == 7
    assert [one.kind for one in made[-2:]] == ["undecided", "next"]


def test_exercises_of_theory_are_a_finding_alone_or_if_one_fails():
    config = {"seeds": [0], "sections": ["theory"]}
    alone = found(config=config, checks=[True, True])
    assert [one.sentence for one in alone] == ["2 of 2 exercises of the theory hold."]
    assert [one.kind for one in found(STRONG, checks=[True, False])] == [
        "confirmed",
        "warning",
        "next",
    ]


def test_a_classifier_is_named_in_words():
    rows = [
        {"scenario": name, "label_budget": "all", "test_accuracy": Estimate(value, None, None, 1)}
        for name, value in (("head_only", 0.9), ("fine_tune", 0.95), ("as_reported", 0.99))
    ]
    made = found(rows={"transfer": rows}, config=CONFIG | {"seeds": [0]})
    assert made[1].sentence == (
        "Of 2 classifiers, fine-tuning with all labels has the highest test accuracy: 95 %; "
        "a frozen encoder with all labels follows with 90 %."
    )


def test_a_probe_is_shown_with_its_controls():
    def probed(size, accuracy, untrained):
        values = {"": accuracy, "untrained_": untrained, "pixel_": 0.97}
        return {"architecture": "depth 2", "latent_dim": size} | {
            f"{name}linear_probe_accuracy": Estimate(one, one - 0.01, one + 0.01, 5)
            for name, one in values.items()
        }

    made = {"representation": [probed(5, 0.7, 0.5), probed(20, 0.9, 0.8)]}
    (finding,) = [one for one in found(rows=made) if one.anchor == "representation"]
    assert finding.sentence == (
        "A linear probe finds the class of 90 ± 1 % of the test images from the latents of "
        "depth 2, latent size 20; 80 ± 1 % from the untrained encoder, 97 ± 1 % from the pixels."
    )


def test_claims_of_unknown_sections_are_told_apart_by_their_quantities():
    first, second = (
        claim(name, "", compared(LEVELS, 5, 1), quantity=quantity)
        for name, quantity in (("a", "height"), ("b", "width"))
    )
    assert [one.anchor for one in found(first, second)[:2]] == ["claim-a", "claim-b"]


@pytest.mark.parametrize("stored", [["A sentence."], [{"sentence": "A sentence.", "kind": "x"}]])
def test_sentences_of_earlier_versions_are_read_too(stored):
    assert sentences(stored) == ["A sentence."]
