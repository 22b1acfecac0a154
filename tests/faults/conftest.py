"""Real processes, a real Prefect server, real SQLite: a study that is hurt, and one that is not."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from tasks.cache import store
from tasks.execution.invocations import invocations
from tasks.tracking.client import connect, search_everywhere
from tests.faults.logged import logged
from tests.servers import TrackingServer, end, postgresql, start_prefect

PYTHON = sys.executable
# One worker process starts sooner than two, and computes the same as each of two.
ALONE = ["--set", "runner.width=1", "--set", "runner.threads=1"]
# One training of the smoke study, and what it needs.
SHORT = ["run", "smoke", "--section", "depth_sweep", "--set", "depths=[2]", *ALONE]
SHORT_TRAINING = "train[depth=2, latent_dim=5, seed=0]"
DONE = re.compile(r"\] (\w+\[.*\]) done$", re.MULTILINE)


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)


class Study:
    """The command in a folder of its own. STUDY_HOME follows, so that the store can be read."""

    def __init__(self, home, variables, monkeypatch, folder=None):
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
        self.variables = inherited | variables
        self.folder = folder
        self.prefix = []  # what starts the command, as in ``nice study run``
        self._monkeypatch = monkeypatch
        self.move(home)

    def move(self, home):
        self.home = home
        self.variables["STUDY_HOME"] = str(home)
        self._monkeypatch.setenv("STUDY_HOME", str(home))

    def start(self, *arguments, **variables):
        return subprocess.Popen(
            [*self.prefix, PYTHON, "-m", "flows.commands.main", *arguments],
            env=self.variables | variables,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments, code=0, **variables):
        """Run to the end and return what was printed; ``code`` is the exit status to expect."""
        process = self.start(*arguments, **variables)
        process.stdout_text, process.stderr_text = process.communicate(timeout=300)
        said = process.stdout_text + process.stderr_text
        assert process.returncode == code, said
        assert "Traceback" not in said
        return process

    def killed_at(self, moment, *arguments):
        """Run until the process kills itself at a fail point."""
        return self.run(*arguments, code=-signal.SIGKILL, STUDY_FAILPOINT_KILL=moment)

    def plan(self, *arguments):
        """The plan by name of task."""
        said = self.run("plan", *arguments, "--json").stdout_text
        return {task["name"]: task for task in json.loads(said)["tasks"]}

    def latest(self):
        return next(invocations())

    def fingerprints(self):
        """What the tasks of the latest invocation came out as, weights and numbers.

        The report is left out, for it shows seconds.
        """
        found = {}
        for name, record in self.latest().tasks.items():
            entry, damaged = store.inspect(record.task, record.key)
            assert entry is not None, (name, damaged)
            if record.task != "report":
                found[name] = entry.fingerprint
        return found

    def assert_same_results(self, expected):
        """The short study came out as the whole one, but for ``reach``, which covers all depths."""
        found = {k: v for k, v in self.fingerprints().items() if not k.startswith("reach[")}
        assert found.items() <= expected.items()

    def runs(self):
        """The MLflow runs of models, classifiers and walks."""
        return search_everywhere(connect(), "tags.`study.key` LIKE '%'")

    def assert_logged_once(self):
        """One finished run per trained thing, each epoch in it once."""
        runs, client = self.runs(), connect()
        keys = [run.data.tags["study.key"] for run in runs]
        assert len(keys) == len(set(keys))
        for run in runs:
            assert run.info.status == "FINISHED", run.info.run_name
            steps = [m.step for m in client.get_metric_history(run.info.run_id, "train_loss")]
            assert len(steps) == len(set(steps))


def executed(process):
    """Names of the tasks that were computed."""
    return DONE.findall(process.stdout_text)


def kill_group(process):
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Address of a Prefect server."""
    process, api = start_prefect(tmp_path_factory.mktemp("prefect"))
    yield api
    end(process, signal.SIGTERM)


@pytest.fixture(scope="session")
def shared(tmp_path_factory, worker_id):
    """A folder that all processes of this test run share."""
    base = tmp_path_factory.getbasetemp()
    return base if worker_id == "master" else base.parent


@pytest.fixture(scope="session")
def undisturbed(shared, server):
    """A home in which nothing ever went wrong, and the empty database it began with."""
    home, empty = shared / "undisturbed", shared / "empty"
    variables = {"STUDY_HOME": str(home), "PREFECT_API_URL": server}
    with FileLock(shared / "undisturbed.lock"), pytest.MonkeyPatch.context() as patch:
        if not home.exists():
            patch.setenv("STUDY_HOME", str(empty))
            connect()
            shutil.copytree(empty, home)
            Study(home, variables, patch).run("run", "smoke")
    return home


@pytest.fixture
def study(tmp_path, undisturbed, server, monkeypatch):
    """The command in a new home."""
    home = tmp_path / "results"
    shutil.copytree(undisturbed.parent / "empty", home)
    return Study(home, {"PREFECT_API_URL": server}, monkeypatch)


@pytest.fixture
def alone(study):
    """The command in a new home, with a Prefect server of its own for every study."""
    del study.variables["PREFECT_API_URL"]
    return study


@pytest.fixture
def finished(study, undisturbed):
    """The command in a home where the smoke study is done."""
    shutil.rmtree(study.home)
    shutil.copytree(undisturbed, study.home)
    with pytest.warns(UserWarning, match="STUDY_HOME was"):  # the artifacts are those of the copy
        connect()
    return study


@pytest.fixture
def expected(undisturbed, study, monkeypatch):
    """Fingerprints of the undisturbed smoke study."""
    with monkeypatch.context() as patch:
        patch.setenv("STUDY_HOME", str(undisturbed))
        return study.fingerprints()


@pytest.fixture(scope="session")
def reference(undisturbed):
    """What MLflow holds of the undisturbed study."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("STUDY_HOME", str(undisturbed))
        return logged()


@pytest.fixture
def servers_on_postgresql(tmp_path, study):
    """MLflow and Prefect on PostgreSQL, which the command uses; that of MLflow."""
    with postgresql("mlflow", "prefect") as address:
        prefect, api = start_prefect(tmp_path / "p", f"postgresql+asyncpg://{address}/prefect")
        try:
            with TrackingServer(tmp_path / "m", f"postgresql://{address}/mlflow") as tracking:
                variables = {"PREFECT_API_URL": api, "MLFLOW_TRACKING_URI": tracking.address}
                study.variables |= variables
                yield tracking
        finally:
            end(prefect, signal.SIGTERM)
