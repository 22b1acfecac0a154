"""MLflow's own application, opening on the study's views: ``mlflow server --app-name study``.

MLflow's page keeps its state in the browser: which of its modes it opens in, and which columns a
table has. This application gives a browser without that state an initial one: the mode for model
training instead of generative AI, and for each study's experiment the view of its autoencoders.
"""

import json
from pathlib import Path

from mlflow import MlflowException
from mlflow.entities import ViewType
from mlflow.server import app as pages
from mlflow.server.fastapi_app import app
from mlflow.server.handlers import _get_tracking_store

from tasks.tracking.views import VIEW_TAG_PREFIX, VIEWS, epochs_of_view

__all__ = ["app"]
INITIAL_STATE = {
    "mlflow.workflowType_v1": json.dumps("machine_learning"),
    "mlflow.assistant.panelOpen_v1": "false",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
}
EXPERIMENT_KEY = "MLflowLocalStorage-1.1-ExperimentPage-{}-ReactComponentState"
SET_STATE_SCRIPT = (
    "<script>for (const [key, value] of Object.entries({values})) "
    "if (localStorage.getItem(key) === null) localStorage.setItem(key, value);</script>"
)


def initial_browser_state() -> dict[str, str]:
    """What a new browser gets into its local storage, by key.

    Anyone can write an experiment's tags, so of a view's tag only a number is used: MLflow's page
    does not check the state that it finds. Without a database the page says so itself.
    """
    found = dict(INITIAL_STATE)
    try:
        experiments = _get_tracking_store().search_experiments(ViewType.ACTIVE_ONLY)
    except MlflowException:
        return found
    for experiment in experiments:
        epochs = epochs_of_view(experiment.tags.get(f"{VIEW_TAG_PREFIX}models", ""))
        if epochs is not None:
            key = EXPERIMENT_KEY.format(json.dumps([experiment.experiment_id]))
            found[key] = json.dumps(VIEWS["models"].state(epochs))
    return found


def start_page() -> str:
    """MLflow's start page with a script that sets the initial state where there is none."""
    page = Path(str(pages.static_folder), "index.html").read_text(encoding="utf-8")
    values = json.dumps(initial_browser_state()).replace("<", "\\u003c")
    return page.replace("<script", SET_STATE_SCRIPT.replace("{values}", values) + "<script", 1)


pages.view_functions["serve"] = start_page
