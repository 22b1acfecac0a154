import functools
import json
import re
from pathlib import Path

import pytest

from tasks.cache import store
from tasks.cache.entry import Entry, files_in
from tasks.reporting.page import PAGE
from tasks.tracking.client import (
    DESCRIPTION_TAG,
    INVOCATION_TAG,
    KIND_TAG,
    find_run,
    search_everywhere,
)
from tasks.tracking.descriptions import verdict_table
from tasks.tracking.run_plan import RunPlan
from tasks.tracking.views import epochs_of_view
from tasks.tracking.writer import Writer, verdict_metrics, verdict_tags

PARAMETERS = {"name": "made", "training": {"epochs": 3}}
START = {
    "do": "start_study",
    "at": 1000,
    "parameters": PARAMETERS,
    "source": {"mlflow.user": "me"},
    "title": "made, 5 seeds, 30 Nov 14:05 UTC",
}
PLAN = RunPlan("model", "0a", "train[x]", {"depth": 2, "latent_dim": 3}, None, {"latent_dim": 3})
VERDICT = {
    "name": "larger",
    "claim": "Larger is better.",
    "outcome": "refuted",
    "reason": "",
    "trend": {
        "outcome": "refuted",
        "decisive": {"label": "per step", "change": 0.5, "low": 0.2, "p_value": None, "n": 3},
        "interval": [0.1, 0.9],
    },
    "every_step": {
        "outcome": "undecided",
        "decisive": {"label": "a to b", "change": 0.4, "low": None, "n": 3},
        "interval": None,
    },
    "reachable": None,
}
NOT_MEASURED = {"outcome": "not measured", "decisive": None, "interval": None}


def publish(task, key, result, **files):
    with store.workspace(task, key) as folder:
        for name, text in files.items():
            (folder / name.replace("_", ".")).write_text(text)
        entry = Entry(
            task=task,
            key=key,
            name=f"{task}[x]",
            inputs={},
            code={},
            result=result,
            files=files_in(folder),
            seconds=1,
            provenance={"commit": "c"},
        )
        store.publish(folder, entry)
    return entry


@pytest.fixture
def writer(client):
    return Writer("made", "invocation", lambda reference: store.load(*reference))


@pytest.fixture
def model(writer):
    """A trained autoencoder in the store."""
    metrics = {"final_train_loss": 0.3, "final_test_loss": 0.2}
    history = [{"epoch": 1, "train_loss": 0.5, "test_loss": 0.4, "learning_rate": 0.1}]
    parameters = {"n_parameters": 9}
    return publish(
        "train", "0a", {"history": history, "metrics": metrics, "parameters": parameters}
    )


def log_model(writer, model):
    log = {"do": "log_entry", "at": 2000, "plan": PLAN._asdict(), "entry": ["train", "0a"]}
    writer.apply(log | {"fingerprint": model.fingerprint})


def read_artifact(client, run_id, name):
    return Path(client.download_artifacts(run_id, name)).read_text(encoding="utf-8")


def parent_of(client):
    (run,) = search_everywhere(client, f"tags.`{INVOCATION_TAG}` = 'invocation'")
    return run


def test_a_repeated_start_opens_one_parent_run(client, writer):
    writer.apply(START)
    again = Writer("made", "invocation", lambda reference: None)
    again.apply(START)
    parent = parent_of(client)
    assert again.parent_id == writer.parent_id == parent.info.run_id
    assert parent.info.run_name == "made, 5 seeds, 30 Nov 14:05 UTC"
    assert parent.data.tags["mlflow.user"] == "me"
    assert parent.data.params == {"name": "made", "training": '{"epochs": 3}'}
    tags = client.get_experiment(parent.info.experiment_id).tags
    assert "mlflow.sharedViewState.models" in tags


def test_a_run_without_a_title_has_the_name_of_its_invocation(client, writer):
    earlier = {name: value for name, value in START.items() if name != "title"}
    writer.apply(earlier)  # as versions before 0.2 left it in a spool
    assert parent_of(client).info.run_name == "made invocation"


def test_the_run_of_a_study_is_found_by_its_name_in_status(client):
    title = {"title": "made, 5 seeds"}
    invocation = "20261130-140500-000000Z-made-0a0b"
    Writer("made", invocation, lambda reference: None).apply(START | title)
    (run,) = search_everywhere(client, f"tags.`{INVOCATION_TAG}` = '{invocation}'")
    for name in ("made, 5 seeds", "20261130-140500", "made 20261130-140500"):
        assert find_run(client, name).info.run_id == run.info.run_id


def test_what_a_person_reads_comes_before_what_a_program_needs(client, writer):
    writer.apply(START)
    own = [tag for tag in parent_of(client).data.tags if not tag.startswith("mlflow.")]
    assert own == ["verdicts", "study.name", "study.kind", "study.invocation"]
    tags = list(verdict_tags([VERDICT, VERDICT | {"name": "other"}]))
    assert tags[:3] == ["verdict.larger", "verdict.other", "verdict.larger.trend"]


def test_the_description_of_an_experiment_begins_with_words(client, writer):
    parameters = PARAMETERS | {
        "seeds": [0, 1],
        "latent_dims": [5, 10],
        "dataset": {"name": "mnist"},
    }
    writer.apply(START | {"parameters": parameters})
    text = client.get_experiment(writer.experiment_id).tags[DESCRIPTION_TAG]
    assert text.startswith("Autoencoders on mnist, 2 seeds, latent sizes 5, 10. **Views:** [")


def test_a_malformed_view_of_the_experiment_is_repaired_by_the_next_run(client, writer):
    view = "mlflow.sharedViewState.models"
    client.set_experiment_tag(writer.experiment_id, view, "no JSON")
    Writer("made", "another", lambda reference: None).apply(START)
    assert epochs_of_view(client.get_experiment(writer.experiment_id).tags[view]) == 3


def test_an_experiment_that_was_deleted_is_restored(client, writer):
    client.delete_experiment(writer.experiment_id)
    again = Writer("made", "another", lambda reference: None)
    assert again.experiment_id == writer.experiment_id
    assert client.get_experiment(writer.experiment_id).lifecycle_stage == "active"


def test_an_entry_with_another_content_is_not_logged(client, writer, model):
    log_model(writer, model.model_copy(update={"result": {}}))
    assert search_everywhere(client, f"tags.`{KIND_TAG}` = 'model'") == []
    log_model(writer, model)
    (run,) = search_everywhere(client, f"tags.`{KIND_TAG}` = 'model'")
    assert run.info.status == "FINISHED"
    assert run.data.metrics["final_test_loss"] == 0.2


@pytest.mark.filterwarnings("ignore:.*select_dtypes")  # MLflow with pandas 3
def test_the_summary_is_on_the_parent_run_with_links_to_its_models(client, writer, model):
    writer.apply(START)
    log_model(writer, model)
    result = {
        "metrics": {"test_loss/x": 0.2},
        "verdicts": [VERDICT],
        "summary": "3 seeds",
        "findings": [{"sentence": "Depth 1 is <blind>.", "kind": "measured", "anchor": "reach"}],
    }
    page = '<!-- invocation --><a href="run:0a">0</a>'
    publish("report", "0b", result, models_csv="depth\n2\n", index_html=page)
    summary = {
        "do": "log_summary",
        "at": 3000,
        "report": ["report", "0b"],
        "groups": {"train": [["train", "0a"], ["train", "gone"]]},
        "note": {"invocation": "<i>", "written": "today", "tasks": 1, "computed": []},
    }
    writer.apply(summary)
    writer.apply(summary)  # tried again though the first attempt was logged
    parent = parent_of(client)
    assert parent.data.metrics == {
        "test_loss/x": 0.2,
        "verdict/larger/trend/change": 0.5,
        "verdict/larger/trend/low": 0.1,
        "verdict/larger/trend/high": 0.9,
        "verdict/larger/trend/n": 3,
        "verdict/larger/every_step/change": 0.4,
        "verdict/larger/every_step/n": 3,
    }
    assert parent.data.tags["verdict.larger"] == "refuted"
    assert parent.data.tags["verdict.larger.every_step"] == "undecided"
    assert parent.data.tags["verdicts"] == "3 seeds"
    assert parent.data.tags[DESCRIPTION_TAG].startswith("- Depth 1 is &#60;blind&#62;.\n\n3 seeds.")
    assert "| Larger is better. | **refuted** | undecided |" in parent.data.tags[DESCRIPTION_TAG]
    files = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert files >= {PAGE, "models.csv", "models.json"}
    read = functools.partial(read_artifact, client, parent.info.run_id)
    (run,) = search_everywhere(client, f"tags.`{KIND_TAG}` = 'model'")
    table = json.loads(read("models.json"))
    assert table["columns"] == ["model", "run_id", "final_test_loss"]
    assert table["data"] == [["train[x]", run.info.run_id, 0.2]]
    text = read(PAGE)
    assert "by the run &lt;i&gt;: 1 of 1 tasks came from the cache.</p>" in text
    assert re.findall(r'/runs/(\w+)"', text) == [parent.info.run_id, run.info.run_id]


def test_the_parent_run_ends_with_counts_and_status(client, writer):
    writer.apply(START)
    finish = {"do": "finish_study", "at": 9000, "status": "FAILED"}
    writer.apply(finish | {"metrics": {"tasks_done": 3}, "tags": {"study.failures": "x"}})
    parent = parent_of(client)
    assert (parent.info.status, parent.info.end_time) == ("FAILED", 9000)
    assert parent.data.metrics == {"tasks_done": 3}
    assert parent.data.tags["study.failures"] == "x"


def test_a_close_kills_what_is_open(client, writer):
    writer.apply(START)
    writer.apply({"do": "begin", "at": 2000, "plan": PLAN._asdict()})
    writer.apply({"do": "close"})
    statuses = {run.data.tags[KIND_TAG]: run.info.status for run in search_everywhere(client, "")}
    assert statuses == {"study": "KILLED", "model": "KILLED"}


def test_an_unknown_operation_is_a_programming_error(writer):
    with pytest.raises(LookupError, match="there is no such operation"):
        writer.apply({"do": "shout"})
    with pytest.raises(TypeError, match="volume"):
        writer.apply({"do": "close", "volume": 3})


def test_an_address_names_server_experiment_and_run(writer, model):
    writer.apply(START)
    log_model(writer, model)
    found = writer.addresses({"0a", "unknown"})
    assert found.keys() == {"0a", ""}
    page = rf"http://127\.0\.0\.1:5000/#/experiments/{writer.experiment_id}/runs/\w{{32}}"
    assert re.fullmatch(page, found["0a"])
    assert found[""].endswith(writer.parent_id)


def test_verdicts_without_a_comparison_have_no_metrics():
    made = VERDICT | {"trend": None, "every_step": NOT_MEASURED, "outcome": "not measured"}
    assert verdict_metrics([made]) == {}
    assert verdict_tags([made]) == {"verdict.larger": "not measured"}


def test_reachable_pixels_have_numbers_and_tags_of_their_own():
    made = VERDICT | {"reachable": VERDICT | {"trend": None}}
    found = verdict_metrics([made])
    assert found["verdict/larger/reachable/every_step/change"] == 0.4
    assert "verdict/larger/reachable/trend/change" not in found
    assert verdict_tags([made])["verdict.larger.reachable.every_step"] == "undecided"


def test_readings_of_what_is_not_measurable_have_no_tags():
    made = VERDICT | {"outcome": "not measurable", "reason": "why"}
    assert verdict_tags([made]) == {"verdict.larger": "not measurable"}
    assert verdict_table("1 seed", [made])[-1].endswith("| **not measurable** |  | why |")
