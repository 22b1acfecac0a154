import html
import json
import math
import re
from itertools import product

import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from tasks.analysis.realism_gate import MEASURES
from tasks.analysis.summaries import summaries
from tasks.analysis.tables import make_tables
from tasks.reporting.report import (
    provenance_summary,
    reference_losses,
    write_report,
)
from tasks.verdicts.wording import anchors
from tests.tasks.reporting.conftest import CONFIG
from tests.tasks.verdicts.made_rows import OURS


def write(folder, groups, failures=(), left_out=None):
    folder.mkdir()
    found = write_report(folder, CONFIG, groups, list(failures), left_out or {}, "study run made")
    return found, (folder / "index.html").read_text(encoding="utf-8")


def test_the_page_shows_verdicts_numbers_and_pictures(tmp_path, groups):
    found, page = write(tmp_path / "report", groups)
    outcomes = {verdict["name"]: verdict["outcome"] for verdict in found["verdicts"]}
    assert outcomes["larger_latent_lower_test_loss"] == "confirmed"
    assert outcomes["deeper_fewer_parameters"] == "confirmed"
    assert outcomes["larger_latent_sharper_interpolation"] == "not measured"
    for name, outcome in outcomes.items():
        row = page[page.index(f'<tr id="{anchors([name])[name]}">') :]
        assert re.search(r'class="word outcome [^"]*">.*?</span>([^<]*)<', row)[1] == outcome
    loss = 0.1 * (1 + 1.003) / 2
    assert found["metrics"]["test_loss/depth_2/latent_003"] == pytest.approx(loss)
    assert f"<b>{loss:.4f} <small>" in page
    assert "2 classes" in page
    assert "<pre>study run made</pre>" in page
    sources = re.findall(r'<img src="(\S+?)[,"]', page)
    assert len(sources) > 10
    assert all(source.startswith("data:image/") for source in sources)


def test_the_page_shows_every_reading_with_the_interval_that_decides(tmp_path, groups):
    found, page = write(tmp_path / "report", groups)
    assert f"<b>{found['summary']}.</b>" in page
    assert found["summary"].startswith("2 seeds: ")
    made = next(one for one in found["verdicts"] if one["name"] == "fine_tuning_beats_frozen")
    row = page[page.index('<tr id="claim-fine-tuning-beats-frozen">') :].partition("</tr>")[0]
    low, high = made["every_step"]["interval"]
    assert f"+21&thinsp;points <small>[{low:+.3g}, {high:+.3g}]</small>" in row
    assert "margin 0.5 points" in row
    tested = sum(one["outcome"] in ("confirmed", "undecided") for one in found["verdicts"])
    assert f"{tested} claims are tested" in page
    ours = sum(one["source"] == "ours" for one in found["verdicts"])
    assert page.count("(ours, not the written study") == ours == len(OURS)


def test_every_finding_of_the_page_is_linked_to_what_shows_it(tmp_path, groups):
    found, page = write(tmp_path / "report", groups)
    assert 3 <= len(found["findings"]) <= 7
    listed = page[page.index('<ul class="findings">') :].partition("</ul>")[0]
    items = listed.split("<li>")[1:]
    for item, finding in zip(items, found["findings"], strict=True):
        assert finding["sentence"] in html.unescape(item)
        assert f'href="#{finding["anchor"]}"' in item
        assert page.count(f' id="{finding["anchor"]}"') == 1
    assert page.index('<ul class="findings">') < page.index('<h2 id="verdicts">')


def test_a_verdict_has_a_plot_and_unmeasured_claims_are_folded(tmp_path, groups):
    found, page = write(tmp_path / "report", groups)
    table = page[page.index('<table class="verdicts">') :].partition("</table>")[0]
    shown = [v for v in found["verdicts"] if v["outcome"] not in ("not measured", "not measurable")]
    assert table.count('<svg class="plot"') == len(shown) > 5
    others = len(found["verdicts"]) - len(shown)
    assert f"<summary>{others} claims are not measured or not measurable</summary>" in page


def test_names_of_settings_are_words(tmp_path, groups):
    _, page = write(tmp_path / "report", groups)
    seen = page.partition("The whole configuration")[0]
    text = as_text(re.sub(r"data:[^\"]*|<style>.*?</style>", "", seen, flags=re.S))
    assert not re.findall(r"head_only|fine_tune|latent_dim|trained=|\w+=\w+,", text)
    assert "frozen encoder" in text


def test_the_page_counts_failed_trainings(tmp_path, groups):
    models = groups["train"]
    metrics = models[0].result["metrics"] | {"final_test_loss": 0.3}  # the mean image: 0.25
    failed = models[0].model_copy(update={"result": models[0].result | {"metrics": metrics}})
    _, page = write(tmp_path / "report", groups | {"train": [failed, *models[1:]]})
    depth = page[page.index('<h2 id="depth_sweep">') :]
    assert (
        "<tr><td>depth 1</td><td>1 of 2</td>\n    <td>9&thinsp;% to 91&thinsp;%</td></tr>" in depth
    )
    assert "<tr><td>depth 2</td><td>0 of 2</td>" in depth
    assert "Without any failure, 2 seeds still\nallow a probability of 66&thinsp;%." in depth
    _, unknown = write(tmp_path / "without", groups | {"pca": []})
    assert "A training failed" not in unknown


def test_a_network_whose_pixels_are_not_known_has_no_numbers(tmp_path, groups):
    first = groups["reach"][0]
    networks = [first.result["networks"][0] | {"unknown": "no <gradient>"}]
    result = first.result | {"networks": [*networks, first.result["networks"][1]]}
    reach = [first.model_copy(update={"result": result})]
    found, page = write(tmp_path / "report", groups | {"reach": reach})
    unknown, known = rows_of(page, '<h2 id="reach">')
    assert unknown[:4] == ["depth 1", "\u2013", "\u2013", "not known: no <gradient>"]
    assert known[:3] == ["depth 2", "159", "159"]
    sentence = "Which pixels depth 1 sees and can change is not known: no <gradient>."
    assert sentence in found["facts"]


def test_every_model_of_a_row_is_linked_by_its_key(tmp_path, groups):
    _, page = write(tmp_path / "report", groups)
    keys = set(re.findall(r'href="run:(\w+)"', page))
    assert keys == {entry.key for entry in groups["train"] + groups["transfer"]}


def test_tables_and_verdicts_are_written_beside_the_page(tmp_path, groups):
    found, _ = write(tmp_path / "report", groups)
    models = pd.read_csv(tmp_path / "report" / "models.csv")
    assert len(models) == len(groups["train"])
    assert {"depth", "latent_dim", "seed", "final_test_loss", "dead_units"} <= set(models)
    assert "key" not in models
    assert len(pd.read_csv(tmp_path / "report" / "transfer.csv")) == len(groups["transfer"])
    written = json.loads((tmp_path / "report" / "verdicts.json").read_text())
    assert written == found["verdicts"]


@pytest.fixture
def measured(groups):
    """The groups with the realism of every model of depth 2; only the kernel distance passes."""
    known = {"real": 0, "reconstructed": 1, "pixel_mix": 3, "blur": 2, "shuffled": 4}
    known |= {"noise": 5, "mean": 6, "black": 7, "checkerboard": 8}

    def realism(seed, latent_dim):
        walk = 2.5 - 0.1 * latent_dim + 0.02 * seed
        images = {
            name: {
                measure: [value, value + 0.5] if measure == "kid" else [0.25]
                for measure in MEASURES
            }
            for name, value in {"walk": walk, **known}.items()
        }
        result = {"latent_dim": latent_dim, "seed": seed, "images": images}
        return groups["train"][0].model_copy(update={"result": result})

    walks = [realism(seed, size) for size in (2, 3) for seed in (0, 1)]
    return groups | {"realism": walks}


def test_the_page_shows_walks_beside_images_of_which_it_is_known_how_real_they_are(
    tmp_path, measured
):
    _, page = write(tmp_path / "report", measured)
    section = page[page.index('id="interpolation"') : page.index('id="decorrelation"')]
    rows = {
        cells[0]: [re.sub(r" <small>.*", "", cell) for cell in cells[1:]]
        for row in re.findall(r"<tr>(.*?)</tr>", section, re.S)
        if (cells := re.findall(r"<td[^>]*>(.*?)</td>", row, re.S))
    }
    assert rows["latent walk, d = 2"][0] == "2.56"  # mean over judges and seeds
    assert rows["latent walk, d = 3"][0] == "2.46"
    assert rows["walk minus ends, d = 3"][0] == "1.21"
    assert rows["standard deviation over judges, d = 2"] == ["0.354", *["&ndash;"] * 5]
    assert rows["pixels mixed"][0] == "3.25"
    assert rows["passes"] == ["<b>yes</b>", *["<b>no</b>"] * 5]
    assert "Precision does not pass: real test images not above ends, reconstructed;" in section
    assert "not measurable" not in section
    table = pd.read_csv(tmp_path / "report" / "interpolation.csv")
    assert table[["latent_dim", "seed"]].to_numpy().tolist() == [[2, 0], [2, 1], [3, 0], [3, 1]]


def test_the_page_says_that_nothing_passed(tmp_path, measured):
    for entry in measured["realism"]:
        del entry.result["images"]["real"]
    _, page = write(tmp_path / "report", measured)
    assert "How real interpolations are is not measurable here: no measure passes." in page
    start = '<tr id="claim-larger-latent-more-realistic-kid">'
    row = page[page.index(start) :].partition("</tr>")[0]
    assert "not measurable" in row
    assert "does not count" in page[page.index('<h2 id="method">') :]
    assert not any(f">{outcome}<" in row for outcome in ("confirmed", "refuted", "undecided"))
    assert "real test images not above ends, reconstructed (too few images);" in page


def test_a_label_budget_above_the_number_of_images_is_all_of_them_once(tmp_path, groups):
    of_all = [
        entry for entry in groups["transfer"] if entry.result["spec"]["label_budget"] == "all"
    ]
    more = [
        entry.model_copy(
            update={
                "result": entry.result | {"spec": entry.result["spec"] | {"label_budget": 9}},
                "key": f"9{entry.key}",
            }
        )
        for entry in of_all
    ]
    transfer = CONFIG["transfer"]
    config = CONFIG | {"transfer": transfer | {"label_budgets": [4, 9, "all"]}}
    expected = make_tables(groups, CONFIG)
    found = make_tables(groups | {"transfer": groups["transfer"] + more}, config)
    assert summaries(found) == summaries(expected)
    assert (found.too_large_budgets, expected.too_large_budgets) == ([9], [])
    alone = CONFIG | {"transfer": transfer | {"label_budgets": [4, 9]}}
    others = [entry for entry in groups["transfer"] if entry not in of_all]
    kept = make_tables(groups | {"transfer": others + more}, alone)
    assert kept.scenarios.label_budget.tolist() == expected.scenarios.label_budget.tolist()
    (tmp_path / "report").mkdir()
    write_report(tmp_path / "report", config, groups, [], {}, "study run made")
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "There are 8 training images, so 9 labels are all of them." in page


def as_text(markup):
    """Markup without tags, and with one space between words."""
    return " ".join(html.unescape(re.sub("<[^>]+>", "", markup)).split())


def rows_of(page, heading):
    """The cells of every row of the first table after a heading, as texts."""
    table = page[page.index(heading) :].partition("<tbody>")[2].partition("</tbody>")[0]
    rows = table.split("</tr>")[:-1]
    return [[as_text(cell) for cell in re.findall("<td[^>]*>(.*?)</td>", row)] for row in rows]


def ablated(entry, key, seed, output, rate, loss, labels="aligned", budget="all"):
    """A classifier of the ablation, trained on MNIST."""
    spec = entry.result["spec"] | {"scenario": "ablation", "trained": "head", "optimizer": "sgd"}
    spec |= {"output": output, "learning_rate": rate, "seed": seed, "labels": labels}
    result = entry.result | {"spec": spec | {"label_budget": budget}, "dataset": "mnist"}
    gradient = 0.08 if output == "softmax" else 1.0
    metrics = {"final_train_loss": loss, "final_test_loss": loss, "test_accuracy": 1 - loss / 4}
    result["metrics"] = metrics | {"first_gradient_norm": gradient}
    return entry.model_copy(update={"result": result, "key": f"ab{key}"})


def ablation_page(folder, groups, seeds, mnist=True):
    losses = {("softmax", 1e-3): 2.3031, ("softmax", 0.1): 1.9, ("logits", 1e-3): 2.2}
    losses |= {("logits", 0.1): 0.3}
    cells = [(*cell, "aligned", loss) for cell, loss in losses.items()]
    cells.append(("logits", 1e-3, "shuffled", 2.3))
    made = [
        ablated(groups["transfer"][0], n, seed, output, rate, loss + 1e-4 * seed, labels)
        for n, (seed, (output, rate, labels, loss)) in enumerate(product(seeds, cells))
    ]
    if not mnist:
        made = [e.model_copy(update={"result": e.result | {"dataset": "made"}}) for e in made]
    transfer = CONFIG["transfer"] | {"scenarios": ["head_only", "ablation"]}
    config = CONFIG | {"transfer": transfer, "seeds": seeds}
    folder.mkdir()
    others = [one for one in groups["transfer"] if one.result["spec"]["seed"] in seeds]
    write_report(folder, config, groups | {"transfer": others + made}, [], {}, "study run made")
    return (folder / "index.html").read_text(encoding="utf-8")


def test_the_ablation_shows_outputs_side_by_side_and_what_reproduces(tmp_path, groups):
    page = ablation_page(tmp_path / "report", groups, [0, 1])
    rows = rows_of(page, "What made it fail")
    assert [row[:4] for row in rows] == [
        ["aligned", "sgd", "0.001", "classifier only"],
        ["aligned", "sgd", "0.1", "classifier only"],
        ["shuffled", "sgd", "0.001", "classifier only"],
    ]
    assert [(row[6], row[9]) for row in rows] == [
        ("reproduced", "not reproduced"),
        ("not reproduced", "not reproduced"),
        ("\u2013", "not reproduced"),
    ]
    assert rows[1][10].startswith("40.0")  # 0.925 - 0.525, in percentage points
    said = as_text(page)
    assert "These reproduce both losses: softmax, sgd, 0.001, head." in said
    assert "Alone, the learning rate explains the most of the variance of the test loss: " in said
    assert "the largest share in 2 of 2 seeds; interactions" not in said
    assert "with K = 2 classes by 0.500." in said
    assert "the first update: 0.080 \u00b1 0.000 over seeds, from 0.080 to 0.080." in said


def test_one_seed_reproduces_nothing_and_may_be_near(tmp_path, groups):
    said = as_text(ablation_page(tmp_path / "report", groups, [0]))
    assert "These are near both losses: softmax, sgd, 0.001, head." in said
    assert "explains the most of the variance of the test accuracy" in said
    assert "Optimizer and learning rate together explain" in said
    assert "no number can be called reproduced" in said


def test_another_dataset_is_not_compared_with_printed_losses(tmp_path, groups):
    page = ablation_page(tmp_path / "report", groups, [0, 1], mnist=False)
    assert [len(row) for row in rows_of(page, "What made it fail")] == [9, 9, 9]
    assert "both losses" not in as_text(page)


def test_printed_losses_are_marked_and_counted(tmp_path, groups, monkeypatch):
    data = groups["data"][0]
    mnist = data.model_copy(update={"result": data.result | {"name": "mnist"}})
    models = []
    for n, (seed, (size, loss)) in enumerate(product([0, 1], [(5, 0.0441), (10, 0.02)])):
        result = groups["train"][-1].result | {"recipe": {"seed": seed}}
        result["metrics"] = {"final_train_loss": 0.01, "final_test_loss": loss + 1e-4 * seed}
        models.append(
            groups["train"][-1].model_copy(
                update={
                    "result": result,
                    "identity": {"depth": 2, "latent_dim": size, "seed": seed},
                    "key": f"{n}",
                }
            )
        )
    monkeypatch.setattr("tasks.reporting.figures.draw_figures", lambda *given: None)
    config = CONFIG | {"latent_dims": [5, 10], "sections": ["latent_sweep"]}
    (tmp_path / "report").mkdir()
    found = {"data": [mnist], "train": models, "reported_encoder": models[:1]}
    write_report(tmp_path / "report", config, found, [], {}, "study")
    assert "simplest recipe" not in (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    found["reported_encoder"] = models
    write_report(tmp_path / "report", config, found, [], {}, "study")
    page = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    rows = rows_of(page, '<h2 id="latent_sweep">')
    assert [row[6] for row in rows] == ["0.044 reproduced", "0.038 not reproduced"]
    assert [row[3] for row in rows] == ["0.044 not reproduced", "0.040 not reproduced"]
    rows = rows_of(page, "<h3>The simplest recipe that may have been used")
    assert [row[3] for row in rows] == ["0.044 reproduced", "0.038 not reproduced"]
    said = as_text(page)
    assert "1 of 2 reported test losses lie within the interval in which a new seed" in said
    assert "names no optimizer, learning rate, batch size or number of epochs" in said


def test_a_report_of_failures_only_says_what_is_missing(tmp_path):
    failures = ["data: <no file>"]
    reasons = {"transfer": "the dataset has no labels"}
    found, page = write(tmp_path / "report", {}, failures, reasons)
    assert "<li>data: &lt;no file&gt;</li>" in page
    assert "Section transfer is left out: the dataset has no labels." in page
    assert page.count("No model of this section was trained.") == 2
    assert 'id="transfer"' not in page
    assert {verdict["outcome"] for verdict in found["verdicts"]} == {"not measured"}
    assert found["metrics"] == {}


def test_no_double_softmax_scores_below_the_reference(groups):
    data = groups["data"][0].model_copy(update={"result": {"n_classes": 10}})
    found = reference_losses({"data": [data]})
    sure = torch.eye(10)[:1].double()  # a softmax that is certain of the true class
    label = torch.tensor([0])
    assert found["least_softmax_loss"] == pytest.approx(cross_entropy(sure, label).item())
    assert found["chance_loss"] == pytest.approx(math.log(10))
    assert reference_losses({})["chance_loss"] == 0


def test_provenance_names_each_machine_once_and_adds_up_seconds(groups):
    other = groups["train"][0].provenance | {"processor": "", "commit": None}
    slow = groups["train"][0].model_copy(update={"provenance": other, "seconds": 10.0})
    found = provenance_summary({"train": [*groups["train"], slow], "theory": []})
    assert found["machines"] == "a processor, a system; unknown processor, a system"
    assert found["commits"] == "c0ffee"
    assert found["versions"] == {"torch": "2"}
    more = slow.model_copy(update={"provenance": other | {"versions": {"numpy": "2.3"}}})
    versions = provenance_summary({"train": [slow, more]})["versions"]
    assert versions == {"torch": "2; unknown", "numpy": "unknown; 2.3"}
    assert found["seconds"] == {"train": (7, 6 * 1.5 + 10, 10.0)}
