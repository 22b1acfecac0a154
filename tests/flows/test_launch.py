"""The steps of starting a study, each in this process without a server."""

import gc
import os
from types import SimpleNamespace

import pytest
from prefect.states import Completed, Failed

from flows import launch
from flows.configuration.load import load_config
from flows.configuration.runner_config import RunnerConfig
from flows.configuration.study_config import SECTIONS
from models.specs import ConfigError
from tasks.execution import worker_processes
from tasks.execution.invocations import InvocationLog
from tasks.system.disk_errors import DiskError
from tasks.system.folders import report_path
from tests.tasks.execution.sessions import Recorder

CONFIG = load_config("smoke")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """What a launch sets in the environment is set for one test only."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    os.environ.pop("PREFECT_API_URL", None)


@pytest.fixture
def steps(monkeypatch):
    """Replaces every part of a launch by one that records its name and whether gc is enabled."""
    done = []

    def replace(name, result=None):
        def step(*_, **__):
            done.append((name, gc.isenabled()))
            return result

        monkeypatch.setattr(launch, name, step)

    server = SimpleNamespace(wait=lambda: done.append(("server.wait", gc.isenabled())))
    replace("_start_embedded_server", server)
    replace("_run", Completed(message="43 done"))
    for name in ("_prepare", "stop_on_signals", "restore_signals", "_choose_flow", "_warm_up"):
        replace(name)
    monkeypatch.setattr(launch, "gc", SimpleNamespace(disable=gc.disable, freeze=lambda: None))
    yield done
    gc.enable()


def test_a_launch_does_its_steps_in_order(steps, capsys):
    launch.launch(CONFIG, SECTIONS, [])
    names = [name for name, _ in steps if name != "_warm_up"]
    assert names == [
        "_prepare",
        "stop_on_signals",
        "_start_embedded_server",
        "_choose_flow",
        "server.wait",
        "_run",
        "restore_signals",
    ]
    assert dict(steps)["_start_embedded_server"]
    assert not dict(steps)["_choose_flow"], "garbage is collected while Prefect is imported"
    assert capsys.readouterr().out.splitlines() == [
        "study smoke",
        "43 done; compare the runs with: study ui",
    ]


def test_a_failed_run_exits_with_1_and_says_how_to_continue(steps, monkeypatch, capsys):
    report_path("smoke").parent.mkdir(parents=True)
    report_path("smoke").touch()
    failed = Failed(message="1 of 43 failed: train[x]: NaN")
    monkeypatch.setattr(launch, "_run", lambda _: failed)
    with pytest.raises(SystemExit) as ended:
        launch.launch(CONFIG, SECTIONS, [])
    assert ended.value.code == 1
    said = capsys.readouterr()
    assert said.err == "study: 1 of 43 failed: train[x]: NaN\n"
    assert f"report: {report_path('smoke')}" in said.out
    assert "study rerun smoke" in said.out


def raise_disk_error(*_):
    raise DiskError("/results: its disk is full; free space there")


def failed_by_disk(*_):
    try:
        raise_disk_error()
    except DiskError as error:
        return Failed(message=f"Flow run encountered an exception: {error!r}", data=error)


@pytest.mark.parametrize("step", ["_prepare", "_start_embedded_server", "_run"])
@pytest.mark.parametrize("end", [raise_disk_error, failed_by_disk])
def test_a_full_disk_is_one_line_and_exit_code_1(steps, monkeypatch, capsys, step, end):
    InvocationLog("smoke", {}, []).end("COMPLETED", "an earlier run")
    monkeypatch.setattr(launch, step, end if step == "_run" else raise_disk_error)
    with pytest.raises(SystemExit) as ended:
        launch.launch(CONFIG, SECTIONS, [])
    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        "study: /results: its disk is full; free space there, then start it again\n"
    )


def test_a_run_that_a_full_disk_ended_later_is_gone_on_with(steps, monkeypatch, capsys):
    InvocationLog("smoke", {}, []).end("FAILED", "of an earlier run")

    def run(_):
        InvocationLog("smoke", {}, []).end("FAILED", "its disk is full")
        raise_disk_error()

    monkeypatch.setattr(launch, "_run", run)
    with pytest.raises(SystemExit):
        launch.launch(CONFIG, SECTIONS, [])
    assert capsys.readouterr().err.endswith("then run what is missing with: study rerun smoke\n")


def test_a_part_of_a_study_is_named():
    assert launch._title(CONFIG, SECTIONS) == "study smoke"
    assert launch._title(CONFIG, ("theory",)) == "study smoke: theory"
    address = "tcp://10.0.0.1:8786"
    on_dask = CONFIG.model_copy(update={"runner": RunnerConfig(kind="dask", address=address)})
    assert launch._title(on_dask, SECTIONS) == f"study smoke on the Dask cluster {address}"


def test_one_section_runs_its_flow_and_several_run_the_study(monkeypatch):
    from flows import study

    flows = Recorder()

    def flow(call):
        return SimpleNamespace(with_options=lambda flow_run_name: call)

    monkeypatch.setattr(study, "study", flow(flows.study))
    monkeypatch.setattr(study, "SECTION_FLOWS", {"theory": flow(flows.theory)})
    launch._choose_flow(CONFIG, ("theory",), ["pca[x]"])()
    launch._choose_flow(CONFIG, ("theory", "transfer"), [])()
    assert flows.calls == [
        ("theory", CONFIG, ["pca[x]"], True),
        ("study", CONFIG, ["theory", "transfer"], [], True),
    ]


def test_a_prefect_server_that_is_named_is_used(monkeypatch):
    monkeypatch.setattr(launch, "EmbeddedPrefect", lambda: SimpleNamespace(address="http://here"))
    os.environ["PREFECT_API_URL"] = "http://elsewhere/api"
    assert launch._start_embedded_server() is None
    del os.environ["PREFECT_API_URL"]
    assert launch._start_embedded_server().address == "http://here"
    assert os.environ["PREFECT_API_URL"] == "http://here"


def test_a_missing_gpu_is_refused_before_anything_starts(monkeypatch):
    monkeypatch.setattr(launch, "has_gpu", lambda: False)
    with pytest.raises(ConfigError, match=r"runner\.device: 'cuda'"):
        launch._prepare(RunnerConfig(device="cuda"))


def test_scheduled_runs_use_the_same_folders_and_send_heartbeats(monkeypatch, home):
    monkeypatch.setattr(launch, "_prepare", lambda config: None)
    monkeypatch.chdir(home.parent)
    os.environ["STUDY_HOME"] = home.name
    launch.prepare_scheduled_runs(CONFIG)
    assert os.environ["STUDY_HOME"] == str(home)
    assert os.environ["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] == launch.HEARTBEAT_SECONDS


@pytest.mark.parametrize(("action", "started"), [("run", 1), ("cached", 0)])
def test_workers_start_early_if_a_task_will_run(monkeypatch, action, started):
    workers = []
    monkeypatch.setattr(worker_processes, "prestart_workers", workers.append)
    monkeypatch.setattr(
        "flows.plan.make_plan",
        lambda *_: SimpleNamespace(tasks=[SimpleNamespace(action=a) for a in ("cached", action)]),
    )
    launch._warm_up(CONFIG, SECTIONS)
    assert len(workers) == started


def test_a_warm_up_that_fails_says_nothing(monkeypatch):
    def refuse(*_):
        raise ConfigError("no images")

    monkeypatch.setattr("flows.plan.make_plan", refuse)
    launch._warm_up(CONFIG, SECTIONS)
