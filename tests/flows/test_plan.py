import subprocess
import sys

import pytest

from flows.configuration.load import load_config
from flows.configuration.study_config import SECTIONS
from flows.plan import PlanGraph, _changes, _with_entries, code_changes, make_plan
from tasks.cache import store
from tasks.cache.entry import Entry, files_in
from tasks.cache.provenance import releases_in_keys
from tasks.code import code_digest
from tasks.execution.invocations import InvocationLog
from tasks.steps.report import report
from tasks.steps.theory import theory
from tests.conftest import SMOKE_TASKS


@pytest.fixture
def config():
    return load_config("smoke")


def test_without_a_store_everything_would_run_in_the_order_of_the_diagram(config):
    found = make_plan(config, SECTIONS)
    plan = found.tasks
    assert len(plan) == SMOKE_TASKS
    assert all(task.action == "run" for task in plan)
    assert plan[0].reasons == ["never run"]
    by_name = {task.name: task for task in plan}
    model = by_name["evaluate[depth=1, latent_dim=5, seed=0]"]
    assert "upstream train[depth=1, latent_dim=5, seed=0] will run" in model.reasons
    assert plan[-1].name == "report[smoke]"
    assert (found.seconds, found.without_estimate) == (0, SMOKE_TASKS)


def test_planning_needs_neither_prefect_nor_mlflow_nor_torch():
    check = (
        "import sys; from flows.plan import make_plan; "
        "from flows.configuration.load import load_config; "
        "from flows.configuration.study_config import SECTIONS; "
        "make_plan(load_config('smoke'), SECTIONS); "
        "assert not {'prefect', 'mlflow', 'torch', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


def test_changed_code_is_named_by_file_and_definition():
    decoder, fit_pca = "models.networks.autoencoder:Decoder", "models.measures.pca:fit_pca"
    before = {decoder: "1", fit_pca: "1", "tasks.steps.pca:": "1"}
    after = {decoder: "2", "models.measures.pca:PCA": "1", "tasks.steps.pca:": "2"}
    assert list(code_changes(before, after)) == [
        "models/networks/autoencoder.py changed: Decoder",
        "models/measures/pca.py changed: fit_pca, PCA",
        "tasks/steps/pca.py changed",
    ]
    template = {"tasks/reporting/templates/report.html.j2:": "1"}
    named = "tasks/reporting/templates/report.html.j2 changed"
    assert list(code_changes(template, {})) == [named]
    package = {"tasks.tracking:": "1"}
    assert list(code_changes(package, {})) == ["tasks/tracking/__init__.py changed"]


def test_code_that_moved_is_one_reason():
    before = {"models.autoencoder:Decoder": "1", "models.metrics:fit_pca": "1"}
    before |= {"tasks/templates/report.html.j2:": "1", "models.specs:Value": "1"}
    moved = "the project's code moved to other files (models/autoencoder.py and 2 more are gone)"
    assert list(code_changes(before, {"models.specs:Value": "2"})) == [moved]


def finish(key, code, inputs=(), torch="2.15.0"):
    """An entry of the theory step, and the record of a run that computed it."""
    described = {"task": "theory", "key": key, "name": "theory[exercises]", "inputs": dict(inputs)}
    described["code_format"] = code_digest.FORMAT
    described["provenance"] = {"versions": {"torch": torch}}
    with store.locked("theory", key), store.workspace("theory", key) as folder:
        (folder / "numbers.json").write_text("{}")
        files = files_in(folder)
        entry = Entry(code=code, result={}, files=files, seconds=1, **described)
        store.publish(folder, entry)
    log = InvocationLog("smoke", {}, ["theory"])
    log.task(entry.name, task="theory", key=key, outcome="done")
    log.end("COMPLETED", "")
    return entry


def test_the_report_of_one_section_says_that_it_shows_another_section():
    graph = PlanGraph("smoke")
    for subject in ("one", "two", "three"):
        graph.submit(theory, {"subject": subject})
        made = finish(subject, {})
        described = made.model_dump() | {"result": {"subject": subject}}
        graph.nodes[-1].entry = Entry.model_validate(described)
    one, two, three = graph.nodes

    def reasons(sections, nodes, command="study run smoke", failures=()):
        given = {
            "config": {"seeds": [0], "sections": sections},
            "groups": {"theory": nodes},
            "command": command,
            "failures": list(failures),
        }
        before = {
            "config": {"seeds": [0], "sections": list(SECTIONS)},
            "groups": {"theory": [one.entry.fingerprint, two.entry.fingerprint]},
            "command": "study run smoke --section theory",
            "failures": [],
        }
        last = one.entry.model_copy(update={"inputs": before, "code": report.code})
        return _changes(report, _with_entries(given), last, given)

    assert reasons(["theory"], [one]) == ["it shows theory, the last one all sections"]
    assert reasons(list(SECTIONS), [one, two, three]) == ["theory[three] changed"]
    assert reasons(list(SECTIONS), [one, two]) == []  # the text of the command alone
    assert reasons(list(SECTIONS), [one, two], failures=["x"]) == ['failures [] -> ["x"]']


def test_damage_is_the_only_reason_where_nothing_changed(config):
    finish("earlier", {"models.specs:Value": "of another version"})
    entry = finish(theory.key({}), theory.code)
    assert make_plan(config, ("theory",)).tasks[0].action == "cached"
    entry.path("numbers.json").write_text("[]")
    assert make_plan(config, ("theory",)).tasks[0].reasons == ["store entry damaged: numbers.json"]


def test_another_release_in_the_key_is_the_reason(monkeypatch):
    before = {"versions": {"torch": "1.13"}}
    finish(theory.key(before), theory.code, before)
    config = load_config("smoke", ["versions_in_key=true"])
    release = releases_in_keys()["torch"]
    planned = make_plan(config, ("theory",))
    assert planned.tasks[0].reasons == [f'versions.torch "1.13" -> "{release}"']
    assert planned.notes == []


def test_a_plan_says_which_results_come_from_several_releases(config, monkeypatch):
    graph = PlanGraph("smoke")
    for subject in ("one", "two"):
        graph.submit(theory, {"subject": subject}, versions={"torch": subject})
    graph.nodes[0].entry = finish("earlier", {}, torch="1.13.1")
    (note,) = graph.plan().notes
    assert note.startswith("theory: 1 with torch 1.13, 1 with torch ")


def test_code_that_was_compared_in_another_way_is_not_called_changed(config, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(code_digest, "FORMAT", code_digest.FORMAT - 1)
        finish("earlier", theory.code | {"models.specs:Value": "in another way"})
    (reason,) = make_plan(config, ("theory",)).tasks[0].reasons
    assert reason == "this version compares code in another way"
