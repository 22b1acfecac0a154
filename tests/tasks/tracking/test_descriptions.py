import html

from tasks.cache.entry import Entry
from tasks.tracking.descriptions import (
    as_text,
    classifier_description,
    difference_text,
    model_description,
    run_name,
    study_description,
)

PARAMETERS = {"architecture": "depth 2", "latent_dim": "20", "n_parameters": "12345"}


def test_a_name_is_the_identity_with_short_keys():
    assert (
        run_name({"depth": 2, "latent_dim": 20, "seed": 0}, "train[x]") == "depth=2, d=20, seed=0"
    )
    classifier = {"scenario": "head_only", "trained": "head", "label_budget": 100}
    assert run_name(classifier, "transfer[x]") == "head_only, head, labels=100"
    assert run_name({}, "train[x]") == "train[x]"  # of a version before 0.2


def test_a_model_shows_reconstructions_only_when_it_is_evaluated():
    trained = model_description("id", PARAMETERS, {"final_test_loss": 0.02345})
    assert trained.startswith("**Test MSE 0.0234**: autoencoder of depth 2, latent size 20, 12345")
    assert "![" not in trained
    metrics = {"final_test_loss": 0.02, "pca_test_loss": 0.03}
    evaluated = model_description("id", PARAMETERS, metrics)
    assert evaluated.startswith("**Test MSE 0.0200** (linear limit 0.0300)")
    picture = "![originals above reconstructions](get-artifact?path=thumbnail.png&run_uuid=id)"
    assert evaluated.endswith(picture)


def test_a_classifier_starts_with_its_accuracy():
    parameters = {"scenario": "fine_tune", "trained": "head_and_encoder", "label_budget": "all"}
    found = classifier_description("id", parameters, {"test_accuracy": 0.98765})
    assert found.startswith("**Test accuracy 98.8 %**: fine tune, head and encoder trained on all")
    assert "path=confusion.png&run_uuid=id" in found


def test_a_study_lists_verdicts_and_models_with_and_without_a_run():
    made = Entry(
        task="train",
        key="k",
        name="train[x]",
        identity={"latent_dim": 5},
        inputs={},
        code={},
        result={"metrics": {"final_test_loss": 0.5}},
        files={},
        seconds=1,
        provenance={},
    )
    literal = {"outcome": "undecided"}
    one = {"claim": "Larger is better.", "outcome": "refuted", "every_step": literal, "reason": "!"}
    verdicts = [one | {"trend": {"outcome": "refuted"}}, one | {"trend": None}]
    models = [(made, "id"), (made, None)]
    found = study_description("3 seeds: all of it", verdicts, ["It <falls>."], models, ["Depth 1."])
    lines = found.splitlines()
    assert lines[:3] == ["- It &#60;falls&#62;.", "", "3 seeds: all of it."]
    assert "| Larger is better. | **refuted** | undecided | &#33; |" in lines
    assert "| Larger is better. | **refuted** |  | &#33; |" in lines
    assert "- Depth 1." in lines
    with_run, without = lines[-2:]
    assert with_run.startswith("| d=5 | 0.50000 | ![reconstructions](")
    assert without == "| d=5 | 0.50000 |  |"


def test_texts_of_results_are_no_markup():
    text = "<img src=x onerror=go()> [a](http://host) ![](x) `b` | **c**\n# d"
    shown = as_text(text)
    assert not set("<>[]!`|*\n") & set(shown)
    assert html.unescape(shown) == text
    literal = {"outcome": text}
    verdicts = [
        {
            "claim": text,
            "outcome": text,
            "trend": {"outcome": ""},
            "every_step": literal,
            "reason": text,
        }
    ]
    lines = study_description(text, verdicts, [text], [], [text]).splitlines()
    assert lines[2] == f"{shown}."
    assert lines[6] == f"| {shown} | **{shown}** | {shown} | {shown} |"
    assert lines.count(f"- {shown}") == 2
    parameters = {"scenario": text, "trained": "head", "label_budget": "all"}
    found = classifier_description("id", parameters, {"test_accuracy": 1.0})
    assert shown.replace("_", " ") in found


def test_a_name_says_what_differs_and_not_everything():
    changed = {name: "1" for name in "abcde"}
    assert difference_text(changed, changed | {"b": "2"}, "0123456789") == " (b=1)"
    assert difference_text(changed, {}, "0123456789") == " (a=1, b=1, c=1 and 2 more)"
    assert difference_text(changed, changed, "0123456789") == " (012345)"
