"""MLflow's own application, opening on the study's views: ``mlflow server --app-name study``.

MLflow keeps in the browser which of its modes a page opens in, and which columns a table has. This
gives a browser that has no such memory a start: the pages of model training rather than those of
generative AI, and for each study's experiment the view of its autoencoders.
"""

import json
from pathlib import Path

from mlflow.entities import ViewType
from mlflow.server import app as pages
from mlflow.server.fastapi_app import app
from mlflow.server.handlers import _get_tracking_store

from tasks.tracking.views import PREFIX

__all__ = ["app"]
START = {
    "mlflow.workflowType_v1": json.dumps("machine_learning"),
    "mlflow.assistant.panelOpen_v1": "false",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true",
}
STATE = "MLflowLocalStorage-1.1-ExperimentPage-{}-ReactComponentState"
REMEMBER = (
    "<script>for (const [key, value] of Object.entries({values})) "
    "if (localStorage.getItem(key) === null) localStorage.setItem(key, value);</script>"
)


def memory() -> dict[str, str]:
    """What a new browser is to remember, by key."""
    found = dict(START)
    for experiment in _get_tracking_store().search_experiments(ViewType.ACTIVE_ONLY):
        view = experiment.tags.get(f"{PREFIX}models")
        if view is not None:
            key = STATE.format(json.dumps([experiment.experiment_id]))
            found[key] = json.loads(view)["state"]
    return found


def start_page() -> str:
    """MLflow's start page with a memory for browsers that have none."""
    page = Path(str(pages.static_folder), "index.html").read_text(encoding="utf-8")
    values = json.dumps(memory()).replace("<", "\\u003c")
    return page.replace("<script", REMEMBER.replace("{values}", values) + "<script", 1)


pages.view_functions["serve"] = start_page
