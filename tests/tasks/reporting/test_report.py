import json
import math
import re

import pandas as pd
import pytest
import torch
from torch.nn.functional import cross_entropy

from tasks.analysis.summaries import summaries
from tasks.analysis.tables import make_tables
from tasks.reporting.report import (
    provenance_summary,
    reference_losses,
    walk_rows,
    write_report,
)
from tests.tasks.reporting.conftest import CONFIG


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
        row = page[page.index(f'<tr id="{name}">') :]
        assert re.search(r'class="word outcome [^"]*">([^<]*)<', row)[1] == outcome
    loss = 0.1 * (1 + 1.003) / 2
    assert found["metrics"]["test_loss/depth_2/latent_003"] == pytest.approx(loss)
    assert f"<b>{loss:.4f} <small>" in page
    assert "2 classes" in page
    assert "<pre>study run made</pre>" in page
    sources = re.findall(r'<img src="(\S+?)[,"]', page)
    assert len(sources) > 10
    assert all(source.startswith("data:image/") for source in sources)


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


def test_walks_are_one_row_per_pair_with_its_labels(groups):
    walks = [
        groups["train"][0].model_copy(
            update={
                "result": {
                    "parameters": {"from": 0, "to": to, "latent_dim": 2, "seed": 0},
                    "metrics": {"sharpness": to / 10},
                }
            }
        )
        for to in (1, 2)
    ]
    found = make_tables(groups | {"interpolate": walks}, CONFIG).interpolation
    assert found.sharpness.tolist() == [pytest.approx(0.15)]
    assert not {"from", "to"} & set(found)
    rows = walk_rows({"interpolate": walks})
    assert rows[["from", "to"]].to_numpy().tolist() == [[0, 1], [0, 2]]


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
