import json
import warnings
from types import SimpleNamespace

import pytest
from mlflow.exceptions import MlflowException

from tasks.tracking.views import VIEWS, experiment_tags

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the libraries of MLflow's server
    from tasks.tracking import app

TAG = "mlflow.sharedViewState.models"
OURS = experiment_tags("1", epochs=5)
CHARTS = "compareRunCharts"


@pytest.fixture
def store(monkeypatch):
    """A tracking store with one good experiment; its list can get others."""
    experiments = [SimpleNamespace(experiment_id="1", tags=OURS)]
    found = SimpleNamespace(experiments=experiments)
    found.search_experiments = lambda _: found.experiments
    monkeypatch.setattr(app, "_get_tracking_store", lambda: found)
    return found


def view(state):
    return json.dumps({"name": "x", "state": state})


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "no JSON",
        "[" * 100_000,
        "3",
        "{}",
        view(None),
        view(3),
        view("no JSON"),
        view("[]"),
        view(json.dumps({CHARTS: 3})),
        view(json.dumps({CHARTS: []})),
        view(json.dumps({CHARTS: [{"step": "x"}]})),
        view(json.dumps({CHARTS: [{"step": [1]}]})),
        view(json.dumps({CHARTS: [{"step": 1}, {"step": 2}]})),
    ],
)
def test_a_malformed_tag_of_one_experiment_leaves_the_page_to_the_others(store, tag):
    store.experiments.append(SimpleNamespace(experiment_id="2", tags={TAG: tag}))
    state = app.initial_browser_state()
    of_views = [key for key in state if "ExperimentPage" in key]
    assert of_views == [app.EXPERIMENT_KEY.format('["1"]')]
    assert json.loads(state[of_views[0]]) == VIEWS["models"].state(5)
    assert "<script>for (const [key, value]" in app.start_page()


def test_of_a_tag_that_was_written_by_hand_only_the_number_of_epochs_is_used(store):
    state = json.dumps({CHARTS: [{"step": 7, "type": "</script>"}], "selectedColumns": 3})
    store.experiments = [SimpleNamespace(experiment_id="2", tags={TAG: view(state)})]
    found = app.initial_browser_state()[app.EXPERIMENT_KEY.format('["2"]')]
    assert json.loads(found) == VIEWS["models"].state(7)


def test_without_a_database_the_page_opens_and_says_itself_what_is_wrong(store):
    def fail(_):
        raise MlflowException("the database is locked")

    store.search_experiments = fail
    assert app.initial_browser_state() == app.INITIAL_STATE
