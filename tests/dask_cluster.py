"""A real Dask cluster for tests and benchmarks."""

import os
import subprocess
import sys

from distributed import Client

from tests.servers import START_SECONDS, end, free_port


class DaskCluster:
    """A scheduler and worker processes of one thread each, with these variables."""

    def __init__(self, workers, **variables):
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self._count, self._variables = workers, variables
        self.workers = []

    def __enter__(self):
        port = self.address.rpartition(":")[2]
        self._scheduler = self._start("scheduler", "--port", port, "--no-dashboard")
        try:
            for _ in range(self._count):
                self.add()
            with Client(self.address, timeout=START_SECONDS) as client:
                if self._count:
                    client.wait_for_workers(self._count, timeout=START_SECONDS)
        except BaseException:
            self.__exit__()
            raise
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
