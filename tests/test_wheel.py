"""The wheel, installed elsewhere without git and a checkout: every command works."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
import urllib.request
from contextlib import ExitStack, suppress
from types import SimpleNamespace

import pytest

from tasks.system.polling import wait_until
from tests.conftest import SMOKE_TASKS
from tests.servers import asked, end, fetched
from tests.sources import PACKAGES, ROOT, copy_sources

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The project as a wheel."""
    source = tmp_path_factory.mktemp("source")
    copy_sources(source)
    build = ["-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "made", "."]
    subprocess.run([sys.executable, *build], cwd=source, check=True)
    (made,) = (source / "made").glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """An environment with the wheel; it finds all other packages in the environment of the tests.

    Its ``run`` and ``start`` start programs in an empty folder.
    """
    environment = tmp_path_factory.mktemp("an environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    install = ["-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run([sys.executable, *install], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    place = tmp_path_factory.mktemp("an empty place")
    ours = ("STUDY_", "PREFECT_", "MLFLOW_", "PYTHONPATH")
    variables = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    variables |= {"PATH": f"{environment / 'bin'}:{os.environ['PATH']}", "COLUMNS": "200"}

    def start(*program, **more):
        return subprocess.Popen(
            program,
            cwd=place,
            env=variables | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(*program, **more):
        process = start(*program, **more)
        said, errors = process.communicate(timeout=400)
        assert process.returncode == 0, said + errors
        return said

    share = environment / "share" / "latent-study"
    return SimpleNamespace(run=run, start=start, packages=packages, place=place, share=share)


@pytest.fixture(scope="module")
def finished(installed):
    """The environment after the smoke study, and what that said."""
    return SimpleNamespace(**vars(installed), said=installed.run("study", "run", "smoke"))


def test_modules_and_their_files_come_from_the_wheel(installed):
    code = "import flows, models, tasks; print(*flows.__path__, *models.__path__, *tasks.__path__)"
    paths = installed.run("python", "-c", code).strip()
    assert paths == " ".join(str(installed.packages / name) for name in PACKAGES)
    code = "from tasks.cache.provenance import provenance; print(provenance()['commit'])"
    assert installed.run("python", "-c", code) == "None\n"
    for name in ("prefect.yaml", "mlflow.yaml"):
        assert (installed.share / name).read_text() == (ROOT / name).read_text()


def test_commands(finished):
    assert "Usage: study" in finished.run("study", "--help")
    assert re.search(f"{SMOKE_TASKS} done", finished.said)
    tasks = json.loads(finished.run("study", "plan", "smoke", "--check", "--json"))["tasks"]
    assert {task["action"] for task in tasks} == {"cached"}
    page = finished.place / "results" / "reports" / "smoke" / "index.html"
    assert str(page) in finished.run("study", "report", "smoke")
    assert page.stat().st_size > 10_000
    assert "smoke" in finished.run("study", "status")
    assert "weights" in finished.run("study", "export", "depth=2, d=5, seed=0", "--to", "out")
    assert "best" in finished.run("study", "register", "smoke")
    assert [path.name for path in finished.place.iterdir() if path.name != "out"] == ["results"]


def first_line(process, pattern):
    """The first match in the lines that a process prints."""
    for line in process.stdout:
        if found := re.search(pattern, line):
            return found[1]
    raise AssertionError(process.communicate())


def stop(process):
    """End a program and what it started."""
    end(process, signal.SIGINT)
    process.communicate()


@pytest.fixture(scope="module")
def taken_ports():
    """The usual ports are in use, so that servers do not meet those of other tests there."""
    with ExitStack() as sockets:
        for port in (4200, 5000):
            with suppress(OSError):  # another program uses it
                sockets.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


@pytest.fixture(scope="module")
def api(installed, taken_ports):
    """The address of the API of the server that ``study serve`` starts."""
    serving = installed.start("study", "serve", "smoke", "--interval", "36000")
    yield first_line(serving, r"^Prefect: (\S+)") + "/api"
    stop(serving)


def names(api, what):
    """The names of all deployments or automations."""
    return {one["name"] for one in asked(f"{api}/{what}/filter")}


def test_a_schedule(api):
    assert wait_until(lambda: "smoke" in names(api, "deployments"), 120)
    assert names(api, "automations")


def test_deployments_for_a_work_pool(api, installed):
    prefect = ["python", "-m", "prefect", "--no-prompt"]
    variables = {"PREFECT_API_URL": api, "PREFECT_HOME": str(installed.share / "prefect")}
    installed.run(*prefect, "work-pool", "create", "latent-study", "--type", "process", **variables)
    deployments = str(installed.share / "prefect.yaml")
    installed.run(*prefect, "deploy", "--prefect-file", deployments, "--all", **variables)
    assert {"mnist", "digits", "mnist-as-reported"} <= names(api, "deployments")
    before = asked(f"{api}/automations/filter")
    automations = str(installed.share / "automations.yaml")
    installed.run(*prefect, "automation", "create", "--from-file", automations, **variables)
    assert len(asked(f"{api}/automations/filter")) == len(before) + 1

    (theory,) = [
        one["id"]
        for one in asked(f"{api}/deployments/filter")
        if one["entrypoint"] == "flows.study.theory_exercises"
    ]
    run = asked(f"{api}/deployments/{theory}/create_flow_run")
    worker = ["worker", "start", "--pool", "latent-study", "--run-once"]
    installed.run(*prefect, *worker, **variables)
    assert fetched(f"{api}/flow_runs/{run['id']}")["state"]["name"] == "Completed"


def test_the_pages(api, installed):
    pages = installed.start("study", "ui", PREFECT_API_URL=api)
    try:
        address = first_line(pages, r"^MLflow: (\S+)")
        with urllib.request.urlopen(address) as answer:
            assert "localStorage.setItem" in answer.read().decode()  # of this project's application
    finally:
        stop(pages)
