import json

import pytest

from tasks.tracking.views import VIEWS, experiment_tags, view_address


def state_of(tags, name):
    return json.loads(json.loads(tags[f"mlflow.sharedViewState.{name}"])["state"])


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_json_whose_charts_belong_to_its_sections(name):
    state = state_of(experiment_tags("7", epochs=5), name)
    sections = [section["uuid"] for section in state["compareRunSections"]]
    assert {chart["metricSectionId"] for chart in state["compareRunCharts"]} <= set(sections)
    ids = [chart["uuid"] for chart in state["compareRunCharts"]]
    assert len(set(ids)) == len(ids)
    assert set(VIEWS[name].columns) < set(state["columnOrder"])
    assert state["searchFilter"] == f"tags.`study.kind` = '{VIEWS[name].kind}'"


def test_pictures_start_at_the_last_epoch_in_a_wide_section():
    state = state_of(experiment_tags("7", epochs=5), "models")
    (images,) = [chart for chart in state["compareRunCharts"] if chart["type"] == "IMAGE"]
    assert images["step"] == 5
    columns = {section["uuid"]: section.get("columns") for section in state["compareRunSections"]}
    assert columns[images["metricSectionId"]] == 1
    assert columns["Learning curves"] == 2


def test_automatic_charts_are_folded():
    last = state_of(experiment_tags("7", epochs=5), "models")["compareRunSections"][-1]
    assert (last["name"], last["display"]) == ("Model metrics", False)


def test_the_description_links_to_every_view_and_its_charts():
    tags = experiment_tags("7", epochs=5)
    description = tags["mlflow.note.content"]
    for name, view in VIEWS.items():
        assert f"[{view.title}]({view_address('7', name)})" in description
        assert f"([charts]({view_address('7', name, charts=True)}))" in description
        assert json.loads(tags[f"mlflow.sharedViewState.{name}"])["name"] == view.title
    assert view_address("7", "models", charts=True) == (
        "#/experiments/7/runs?workflowType=machine_learning"
        "&viewStateShareKey=models&compareRunsMode=CHART"
    )
