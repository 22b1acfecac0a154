import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from types import SimpleNamespace

import httpx
import pytest
from prefect.schedules import Interval
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL

from flows import scheduled_runs
from flows.configuration.load import load_config
from flows.configuration.study_config import SECTIONS
from flows.lifecycle.interrupts import SIGNALS
from flows.scheduled_runs import (
    StudyRunner,
    _run_when_due,
    _serve,
    _use_started_server,
    _wait_for_server,
    make_schedule,
    run_on_schedule,
)
from flows.servers.child_servers import ChildServer
from models.specs import ConfigError
from tasks.system.running_servers import running_servers

CONFIG = load_config("smoke")


@pytest.fixture(autouse=True)
def own_process(monkeypatch):
    """What a scheduled run sets in its process is set for one test only."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    os.environ.pop("PREFECT_API_URL", None)
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("cron", "interval", "timezone"),
    [("61 * * * *", None, "UTC"), ("* * * * *", 5, "UTC"), ("* * * * *", None, "Nowhere/City")],
)
def test_what_is_no_schedule_is_refused(cron, interval, timezone):
    with pytest.raises(ConfigError, match=r"cron|timezone"):
        make_schedule(cron, interval, timezone)


def test_a_schedule_is_a_cron_line_or_an_interval_in_a_timezone():
    by_cron = make_schedule("0 2 * * *", None, "Europe/Berlin")
    assert (by_cron.cron, by_cron.timezone) == ("0 2 * * *", "Europe/Berlin")
    assert make_schedule(None, 60, "UTC").interval == timedelta(seconds=60)
    assert make_schedule(None, None, "UTC") is None


def server(code=None):
    """A server that ended with this code, or runs."""
    return ChildServer("Prefect", "http://127.0.0.1:1", SimpleNamespace(poll=lambda: code))


def test_runs_use_the_server_that_was_started_and_its_password():
    os.environ["PREFECT_SERVER_API_AUTH_STRING"] = "me:secret"
    with _use_started_server([server()]):
        assert PREFECT_API_URL.value() == "http://127.0.0.1:1/api"
        assert PREFECT_API_AUTH_STRING.value() == "me:secret"
    assert os.environ["PREFECT_API_URL"] == "http://127.0.0.1:1/api"
    assert os.environ["PREFECT_API_AUTH_STRING"] == "me:secret"


def test_without_a_started_server_nothing_is_set():
    with _use_started_server([]):
        assert "PREFECT_API_URL" not in os.environ


def serve_with(monkeypatch, error=None):
    """Runs ``_run_when_due`` with a runner that ends like this; what it was given."""
    given = []

    class Runner(scheduled_runs.StudyRunner):
        name = "fake"

        def __init__(self, **options):
            given.append(options)

        def add_deployment(self, deployment):
            given.append(deployment)

        async def start(self):
            if error is not None:
                raise error

    monkeypatch.setattr(scheduled_runs, "StudyRunner", Runner)
    return given


def test_the_deployment_is_the_study_one_run_at_a_time(monkeypatch):
    given = serve_with(monkeypatch)
    with pytest.raises(SystemExit) as ended:  # as after Ctrl-C
        _run_when_due(CONFIG, ("theory",), Interval(60))
    assert ended.value.code == 0
    options, deployment = given
    assert deployment.name == "smoke"
    assert deployment.parameters["config"] == CONFIG.model_dump(mode="json")
    assert deployment.parameters["sections"] == ["theory"]
    assert deployment.concurrency_limit == 1
    assert deployment.concurrency_options.collision_strategy == "ENQUEUE"
    assert options["pause_on_shutdown"] is False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_stops_the_runner_and_others_do_not_disturb_that(monkeypatch, number):
    async def start(runner):
        for one in (number, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), one)
        await asyncio.wait_for(stopped.wait(), timeout=10)

    async def astop(runner):
        await asyncio.sleep(0.1)
        stops.append(runner)
        stopped.set()

    stopped, stops = asyncio.Event(), []
    monkeypatch.setattr(scheduled_runs.Runner, "start", start)
    monkeypatch.setattr(scheduled_runs.Runner, "astop", astop)
    asyncio.run(_serve(StudyRunner(name="study")))
    assert len(stops) == 1


def test_a_server_that_no_longer_answers_ends_the_runs_with_the_reason(monkeypatch):
    inner = httpx.ConnectError("connection refused")
    serve_with(monkeypatch, ExceptionGroup("loops", [ExceptionGroup("one", [inner])]))
    assert _run_when_due(CONFIG, SECTIONS, None) is inner


def test_a_server_elsewhere_is_waited_for(monkeypatch, capsys):
    os.environ["PREFECT_API_URL"] = "http://me:secret@host/api"
    answers = iter(["refused", "refused", ""])
    asked = []
    monkeypatch.setattr(scheduled_runs, "POLL_SECONDS", 0)
    monkeypatch.setattr(
        scheduled_runs, "why_unreachable", lambda url: asked.append(url) or next(answers)
    )
    _wait_for_server([], httpx.ConnectError("connection\nrefused"))
    assert asked == ["http://host/api/health"] * 3
    said = capsys.readouterr().err
    assert said.startswith("study: Prefect at http://host/api: connection refused; trying again")
    assert said.count("\n") == 1


def test_a_started_server_that_ended_ends_the_schedule(monkeypatch, capsys):
    os.environ["PREFECT_API_URL"] = "http://127.0.0.1:1/api"
    monkeypatch.setattr(scheduled_runs, "POLL_SECONDS", 0)
    with pytest.raises(SystemExit) as ended:
        _wait_for_server([server(code=1)], RuntimeError("gone"))
    assert ended.value.code == 1
    assert "ended by itself" in capsys.readouterr().err


@pytest.fixture
def started(monkeypatch):
    """A process in place of the server that a schedule starts."""
    sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
    process = subprocess.Popen(sleep, start_new_session=True)
    found = ChildServer("Prefect", "http://127.0.0.1:1", process)
    for name, result in {
        "start_prefect": found,
        "wait_for_answer": None,
        "close_crashed_invocations": None,
        "create_or_replace": None,
        "automations": [],
    }.items():
        monkeypatch.setattr(scheduled_runs, name, lambda *_, result=result: result)
    yield found
    process.kill()
    process.wait()


def test_a_started_server_is_known_while_it_runs_and_stopped_at_the_end(started, monkeypatch):
    known = []

    def end(*_):
        known.append(running_servers())
        sys.exit(0)

    monkeypatch.setattr(scheduled_runs, "_run_when_due", end)
    with pytest.raises(SystemExit):
        run_on_schedule(CONFIG, SECTIONS, None, None)
    assert known == [{"Prefect": "http://127.0.0.1:1"}]
    assert running_servers() == {}
    assert started.process.poll() is not None
