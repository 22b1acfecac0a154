"""Real servers for tests and benchmarks."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress

from distributed import Client

START_SECONDS = 120


def free_port():
    """A port of the loopback address that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def start(command, question, environment):
    """Start a server and wait until it answers at the address ``question``; its process."""
    process = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(question, timeout=2).close()
            return process
        except OSError:
            time.sleep(0.2)
    end(process)
    raise RuntimeError(f"{' '.join(command)} did not start")


def end(process, number=signal.SIGKILL):
    """End a server with everything that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
    process.wait(timeout=20)


def start_prefect(home):
    """A Prefect server with its files below a folder: its process and its API's address."""
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    variables = {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    command = [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)]
    return start(command, f"{api}/health", os.environ | variables), api


class TrackingServer:
    """An MLflow server on a database of its own, used while it is up and also when it is not.

    ``MLFLOW_TRACKING_URI`` names it from the start to the end of the ``with`` block.
    """

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        self._command = [
            *(sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"),
            *("--backend-store-uri", f"sqlite:///{folder / 'server.db'}"),
            *("--artifacts-destination", str(folder / "server-artifacts")),
        ]
        self._process = None

    def __enter__(self):
        os.environ["MLFLOW_TRACKING_URI"] = self.address
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        del os.environ["MLFLOW_TRACKING_URI"]

    def start(self):
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self._process = start(self._command, f"{self.address}/health", environment)

    def stop(self):
        """End it at once, as a kill does."""
        if self._process is not None:
            end(self._process)
            self._process = None


class DaskCluster:
    """A scheduler and worker processes of one thread each, with these variables."""

    def __init__(self, workers, **variables):
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self._count, self._variables = workers, variables
        self.workers = []

    def __enter__(self):
        port = self.address.rpartition(":")[2]
        self._scheduler = self._start("scheduler", "--port", port, "--no-dashboard")
        for _ in range(self._count):
            self.add()
        with Client(self.address, timeout=START_SECONDS) as client:
            if self._count:
                client.wait_for_workers(self._count, timeout=START_SECONDS)
        return self

    def __exit__(self, *_):
        for process in [*self.workers, self._scheduler]:
            end(process)

    @property
    def settings(self):
        """What sends a study here."""
        return ["--set", "runner.kind=dask", "--set", f"runner.address={self.address}"]

    def add(self, **variables):
        """One more worker, with variables of its own; its process."""
        options = ("--nworkers", "1", "--nthreads", "1", "--no-nanny", "--no-dashboard")
        self.workers.append(self._start("worker", self.address, *options, **variables))
        return self.workers[-1]

    def _start(self, *arguments, **variables):
        ours = ("PREFECT_", "STUDY_")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            cwd="/",  # else the project's code would come from here before all else
            env=inherited | self._variables | variables,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
