"""A Prefect server for one command, on a socket that the command opened, and no longer than it.

Prefect can start one by itself, but only once all of Prefect is imported, and a kill -9 of the
command leaves that one behind.
"""

import atexit
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request

from models.specs import ConfigError
from tasks.system.polling import wait_until

ERROR_LINE = re.compile(r"^[\w.]+(?:Error|Exception): .*", re.MULTILINE)
START_SECONDS = 120
STOP_SECONDS = 5


class EmbeddedPrefect:
    """Starts at once, in a process of its own; ``address`` is where its API will answer.

    Raises ConfigError where a machine cannot even reach itself.
    """

    def __init__(self) -> None:
        # a file and no pipe, which would fill and block it; it goes with this object
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        self._answered = False
        with socket.create_server(("127.0.0.1", 0)) as listening:
            try:
                socket.create_connection(listening.getsockname()).close()
            except OSError as error:
                raise ConfigError(
                    f"Prefect needs this machine's loopback network ({error.strerror}); "
                    "bring it up, as root: ip link set lo up"
                ) from None
            self.address = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
            self._process = subprocess.Popen(
                [sys.executable, "-m", "flows.servers.embedded_prefect", str(listening.fileno())],
                pass_fds=[listening.fileno()],
                stdin=subprocess.PIPE,  # ends with this process, however that ends
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                start_new_session=True,
            )
        atexit.register(self.stop)

    def wait(self) -> None:
        """Wait until it answers. Raises ConfigError if it ends, or takes two minutes."""
        wait_until(self._answers_or_ended, START_SECONDS)
        if self._answered:
            return
        self.stop()
        self._said.seek(0)
        said = self._said.read().decode(errors="replace").strip()
        why = [*ERROR_LINE.findall(said), *said.splitlines()[-1:], "it said nothing"][0]
        raise ConfigError(
            f"Prefect's embedded server did not start ({why}); if its database is damaged, move "
            f"{os.environ['PREFECT_HOME']} away: it holds past runs for Prefect's page, no results"
        )

    def _answers_or_ended(self) -> bool:
        try:  # it is asked before it listens, and answers as soon as it can
            with urllib.request.urlopen(f"{self.address}/health", timeout=START_SECONDS):
                self._answered = True
        except OSError:
            return self._process.poll() is not None
        return True

    def stop(self) -> None:
        """End it when it has stored what it was told."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def main() -> None:
    """Serve Prefect's API on the socket with this descriptor until the other side ends."""
    import uvicorn
    from filelock import FileLock
    from prefect.server.api.server import create_app

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            with FileLock(os.path.join(os.environ["PREFECT_HOME"], "start.lock")):
                await super().startup(sockets)  # two that make its database at once spoil it

    threading.Thread(target=_end_with_parent, daemon=True).start()
    application = create_app(ephemeral=True, final=True)
    server = Server(uvicorn.Config(application, log_level="error", lifespan="on"))
    server.run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
