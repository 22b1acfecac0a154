"""MLflow's own application, opening on the study's views: ``mlflow server --app-name study``.

MLflow's page keeps its state in the browser: which of its modes it opens in, and which columns a
table has. This application gives a browser without that state an initial one: the mode for model
training instead of generative AI, and for each study's experiment the view of its autoencoders.
"""

import json
from pathlib import Path

from mlflow.entities import ViewType
from mlflow.server import app as pages
from mlflow.server.fastapi_app import app
from mlflow.server.handlers import _get_tracking_store

from tasks.tracking.views import VIEW_TAG_PREFIX

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
    """What a new browser gets into its local storage, by key."""
    found = dict(INITIAL_STATE)
    for experiment in _get_tracking_store().search_experiments(ViewType.ACTIVE_ONLY):
        view = experiment.tags.get(f"{VIEW_TAG_PREFIX}models")
        if view is not None:
            key = EXPERIMENT_KEY.format(json.dumps([experiment.experiment_id]))
            found[key] = json.loads(view)["state"]
    return found


def start_page() -> str:
    """MLflow's start page with a script that sets the initial state where there is none."""
    page = Path(str(pages.static_folder), "index.html").read_text(encoding="utf-8")
    values = json.dumps(initial_browser_state()).replace("<", "\\u003c")
    return page.replace("<script", SET_STATE_SCRIPT.replace("{values}", values) + "<script", 1)


pages.view_functions["serve"] = start_page
