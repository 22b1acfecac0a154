"""Real servers for tests."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

START_SECONDS = 90


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class TrackingServer:
    """An MLflow server on a database of its own, used while it is up and also when it is not.

    ``MLFLOW_TRACKING_URI`` names it from the start to the end of the ``with`` block.
    """

    def __init__(self, folder, store=None):
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.store = store or f"sqlite:///{folder / 'server.db'}"
        self.artifacts = folder / "server-artifacts"
        folder.mkdir(parents=True, exist_ok=True)
        self._process = None

    def __enter__(self):
        os.environ["MLFLOW_TRACKING_URI"] = self.address
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        del os.environ["MLFLOW_TRACKING_URI"]

    def start(self):
        arguments = ["--backend-store-uri", self.store, "--artifacts-destination"]
        arguments += [str(self.artifacts), "--port", str(self.port), "--workers", "1"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", *arguments],
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.address}/health", timeout=2).close()
                return
            except OSError:
                time.sleep(0.2)
        raise TimeoutError(f"no answer from {self.address}")

    def stop(self):
        """End it at once, with everything that it started."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
