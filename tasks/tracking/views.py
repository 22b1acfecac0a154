"""How MLflow's pages show a study: saved views of the runs table with their charts, and notes.

A view is an experiment's tag ``mlflow.sharedViewState.<name>`` with the state of the page as JSON,
in the form of MLflow 3.17; the page offers it under Views and at ``?viewStateShareKey=<name>``.
"""

import json
from typing import Any, NamedTuple

PREFIX = "mlflow.sharedViewState."
CARD = {"runsCountToCompare": 10, "deleted": False, "isGenerated": False}
# MLflow puts automatic charts into the section of this name; folded it is out of the way.
AUTOMATIC = {"uuid": "automatic", "name": "Model metrics", "display": False, "isGenerated": True}


class View(NamedTuple):
    """A choice of runs, their columns, their order and their charts."""

    title: str
    kind: str
    columns: list[str]
    order_by: str
    ascending: bool
    sections: dict[str, list[dict[str, Any]]]

    def tag(self, epochs: int) -> str:
        """The value of the experiment's tag; images are those of the last epoch."""
        record = {"name": self.title, "createdAt": 0, "updatedAt": 0}
        return json.dumps(record | {"state": json.dumps(self.state(epochs))})

    def state(self, epochs: int) -> dict[str, Any]:
        """The page's state."""
        sections = [_section(title, cards) for title, cards in self.sections.items()]
        cards = [
            CARD | {"step": epochs} | card | {"uuid": f"{title}-{index}", "metricSectionId": title}
            for title, cards in self.sections.items()
            for index, card in enumerate(cards)
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
            "columnWidths": {"attributes.`Run Name`": 280, "runDateAndNestInfo": 120},
            "runsHiddenMode": "SHOW_ALL",
            "hideEmptyCharts": True,
            "isAccordionReordered": True,
            "compareRunSections": [*sections, AUTOMATIC],
            "compareRunCharts": cards,
        }


def _section(title: str, cards: list[dict[str, Any]]) -> dict[str, Any]:
    """A heading of the chart page; images need the whole width."""
    wide = any(card["type"] == "IMAGE" for card in cards)
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


def _parameters(*names: str) -> list[str]:
    return [f"params.`{name}`" for name in names]


def _metrics(*names: str) -> list[str]:
    return [f"metrics.`{name}`" for name in names]


def _curves(*names: str) -> dict[str, Any]:
    """Metrics by epoch, the runs over each other."""
    return {
        "type": "LINE",
        "metricKey": names[0],
        "selectedMetricKeys": list(names),
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


def _scatter(x: str, y: str) -> dict[str, Any]:
    axes = {"xaxis": {"key": x, "type": "METRIC"}, "yaxis": {"key": y, "type": "METRIC"}}
    return {"type": "SCATTER", **axes}


VIEWS = {
    "models": View(
        title="Autoencoders",
        kind="model",
        columns=[
            *_parameters("depth", "latent_dim", "seed", "n_parameters"),
            *_metrics("final_train_loss", "final_test_loss", "pca_test_loss", "dead_units"),
            *_metrics("mean_abs_correlation_live"),
            *_parameters("dataset", "epochs", "learning_rate", "schedule"),
            "attributes.`Version`",
        ],
        order_by="metrics.`latent_dim`",
        ascending=True,
        sections={
            "Learning curves": [_curves("test_loss"), _curves("train_loss")],
            "Latent size": [
                _scatter("latent_dim", "final_test_loss"),
                _scatter("latent_dim", "dead_units"),
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
            *_parameters("scenario", "trained", "label_budget", "latent_dim", "depth", "seed"),
            *_metrics("test_accuracy", "final_test_loss", "last_gradient_norm"),
            *_parameters("output", "optimizer", "epochs"),
        ],
        order_by="metrics.`test_accuracy`",
        ascending=False,
        sections={
            "Learning curves": [_curves("test_loss"), _curves("train_loss")],
            "Latent size": [_scatter("latent_dim", "test_accuracy")],
        },
    ),
}


def view_address(experiment_id: str, name: str, charts: bool = False) -> str:
    """The part of an address behind MLflow's own that opens a view."""
    mode = "&compareRunsMode=CHART" if charts else ""
    page = f"#/experiments/{experiment_id}/runs?workflowType=machine_learning"
    return f"{page}&viewStateShareKey={name}{mode}"


def experiment_tags(experiment_id: str, epochs: int) -> dict[str, str]:
    """The views of a study's experiment, and a note that links to them.

    Pictures by epoch start with the last, ``epochs``.
    """
    links = [
        f"[{view.title}]({view_address(experiment_id, name)}) "
        f"([charts]({view_address(experiment_id, name, charts=True)}))"
        for name, view in VIEWS.items()
    ]
    note = f"**Views:** {', '.join(links)}"
    return {"mlflow.note.content": note} | {
        PREFIX + name: view.tag(epochs) for name, view in VIEWS.items()
    }
