"""Saved views of MLflow's runs table with their columns and charts, and links to them.

A view is an experiment's tag ``mlflow.sharedViewState.<name>`` with the state of the page as JSON,
in the format of MLflow 3.17. The page offers it under Views and at ``?viewStateShareKey=<name>``.
"""

import json
from typing import NamedTuple

from models.measures.glossary import MEASURES
from tasks.cache.canonical import JsonObject

VIEW_TAG_PREFIX = "mlflow.sharedViewState."
CHART_DEFAULTS = {"runsCountToCompare": 10, "deleted": False, "isGenerated": False}
# MLflow adds a chart of every metric to the section of this name; the view folds that section.
AUTOMATIC_CHARTS = {
    "uuid": "automatic",
    "name": "Model metrics",
    "display": False,
    "isGenerated": True,
}


class View(NamedTuple):
    """The runs of one ``study.kind`` as a table with columns and an order, and their charts.

    ``sections`` maps headings of the chart page to the charts below them.
    """

    title: str
    kind: str
    columns: list[str]
    order_by: str
    ascending: bool
    sections: dict[str, list[JsonObject]]

    def tag(self, epochs: int) -> str:
        """The value of the experiment's tag; pictures by epoch start at ``epochs``, the last."""
        record = {"name": self.title, "createdAt": 0, "updatedAt": 0}
        return json.dumps(record | {"state": json.dumps(self.state(epochs))})

    def state(self, epochs: int) -> JsonObject:
        """The state of MLflow's page for this view."""
        sections = [_section(title, charts) for title, charts in self.sections.items()]
        defaults = CHART_DEFAULTS | {"step": epochs}
        charts = [
            defaults | chart | {"uuid": f"{title}-{index}", "metricSectionId": title}
            for title, charts in self.sections.items()
            for index, chart in enumerate(charts)
        ]
        return {
            "searchFilter": f"tags.`study.kind` = '{self.kind}'",
            "orderByKey": self.order_by,
            "orderByAsc": self.ascending,
            "startTime": "ALL",
            "lifecycleFilter": "Active",
            "datasetsFilter": [],
            "modelVersionFilter": "All Runs",
            "selectedColumns": self.columns,
            "columnOrder": ["attributes.`Run Name`", "runDateAndNestInfo", *self.columns],
            "columnWidths": {"attributes.`Run Name`": 340, "runDateAndNestInfo": 120},
            "runsHiddenMode": "SHOW_ALL",
            "hideEmptyCharts": True,
            "isAccordionReordered": True,
            "compareRunSections": [*sections, AUTOMATIC_CHARTS],
            "compareRunCharts": charts,
        }


def _section(title: str, charts: list[JsonObject]) -> JsonObject:
    """A section of the chart page; images need the whole width."""
    wide = any(chart["type"] == "IMAGE" for chart in charts)
    return {
        "uuid": title,
        "name": title,
        "display": True,
        "isReordered": True,
        "deleted": False,
        "isGenerated": False,
        "columns": 1 if wide else 2,
        "cardHeight": 640 if wide else 420,
    }


def _parameter_columns(*names: str) -> list[str]:
    return [f"params.`{name}`" for name in names]


def _metric_columns(*names: str) -> list[str]:
    return [f"metrics.`{name}`" for name in names]


def _line_chart(metric: str) -> JsonObject:
    """A metric by epoch, one line per run."""
    return {
        "type": "LINE",
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "lineSmoothness": 0,
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "range": {},
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
    }


def _scatter_chart(x: str, y: str) -> JsonObject:
    """One metric by another, one point per run."""
    axes = {"xaxis": {"key": x, "type": "METRIC"}, "yaxis": {"key": y, "type": "METRIC"}}
    return {"type": "SCATTER", **axes}


VIEWS = {
    "models": View(
        title="Autoencoders",
        kind="model",
        columns=[
            *_parameter_columns("architecture", "latent_dim", "objective", "seed", "n_parameters"),
            *_metric_columns(*(one.name for one in MEASURES if one.in_view)),
            *_parameter_columns("dataset", "epochs", "learning_rate", "schedule"),
            "attributes.`Version`",
        ],
        order_by="metrics.`latent_dim`",
        ascending=True,
        sections={
            "Learning curves": [_line_chart("test_loss"), _line_chart("train_loss")],
            "Latent size": [
                _scatter_chart("latent_dim", "final_test_loss"),
                _scatter_chart("latent_dim", "dead_units"),
            ],
            "Reconstructions by epoch": [
                {
                    "type": "IMAGE",
                    "imageKeys": ["reconstructions"],
                    "showRunParams": False,
                }
            ],
        },
    ),
    "classifiers": View(
        title="Classifiers",
        kind="transfer",
        columns=[
            *_parameter_columns(
                "scenario", "trained", "label_budget", "latent_dim", "architecture", "seed"
            ),
            *_metric_columns("test_accuracy", "final_test_loss", "last_gradient_norm"),
            *_parameter_columns("output", "optimizer", "learning_rate", "labels", "epochs"),
        ],
        order_by="metrics.`test_accuracy`",
        ascending=False,
        sections={
            "Learning curves": [_line_chart("test_loss"), _line_chart("train_loss")],
            "Latent size": [_scatter_chart("latent_dim", "test_accuracy")],
        },
    ),
}


def epochs_of_view(tag: str) -> int | None:
    """The ``epochs`` that the tag of a view was made with; None if it is not one of ours."""
    try:
        charts = json.loads(json.loads(tag)["state"])["compareRunCharts"]
        (step,) = {chart["step"] for chart in charts}
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return step if type(step) is int and step >= 0 else None


def view_address(experiment_id: str, name: str, charts: bool = False) -> str:
    """The address of a view, relative to MLflow's page; with ``charts`` that of its charts."""
    mode = "&compareRunsMode=CHART" if charts else ""
    page = f"#/experiments/{experiment_id}/runs?workflowType=machine_learning"
    return f"{page}&viewStateShareKey={name}{mode}"


def experiment_tags(experiment_id: str, epochs: int, about: str = "") -> dict[str, str]:
    """The tags of a study's experiment: its views, and a description that links to them.

    Pictures by epoch start at ``epochs``, the last. The description starts with the text ``about``,
    because MLflow's list of experiments shows the start of it, and no links.
    """
    links = [
        f"[{view.title}]({view_address(experiment_id, name)}) "
        f"([charts]({view_address(experiment_id, name, charts=True)}))"
        for name, view in VIEWS.items()
    ]
    views = {VIEW_TAG_PREFIX + name: view.tag(epochs) for name, view in VIEWS.items()}
    text = f"{about} **Views:** {', '.join(links)}".strip()
    return {"mlflow.note.content": text} | views
