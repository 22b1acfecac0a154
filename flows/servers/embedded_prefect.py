"""A Prefect server for one command: it uses a socket of the command, and ends with the command.

Prefect can start such a server by itself, but only after all of Prefect is imported, and that
server stays after a kill -9 of the command.
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
from pathlib import Path

from flows.servers.prefect_database import replace_unknown_database, start_lock
from models.specs import ConfigError
from tasks.system.disk_errors import DiskError, disk_reason, why_unwritable
from tasks.system.polling import wait_until

ERROR_LINE = re.compile(r"^[\w.]+(?:Error|Exception): .*", re.MULTILINE)
START_SECONDS = 120
STOP_SECONDS = 5


class EmbeddedPrefect:
    """Starts the server at once, in a process of its own; ``address`` is that of its API.

    A database that Prefect cannot open is set aside, with a warning. Raises ConfigError if this
    machine has no loopback network.
    """

    def __init__(self) -> None:
        replace_unknown_database()
        # not a pipe, which would fill up and block the server; deleted with this object
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._answered = False
        with socket.create_server(("127.0.0.1", 0)) as listening:
            try:
                socket.create_connection(listening.getsockname()).close()
            except OSError as error:
                command = "ifconfig lo0 up" if sys.platform == "darwin" else "ip link set lo up"
                raise ConfigError(
                    f"Prefect needs this machine's loopback network ({error.strerror}); "
                    f"bring it up, as root: {command}"
                ) from None
            self.address = f"http://127.0.0.1:{listening.getsockname()[1]}/api"
            self._process = subprocess.Popen(
                [sys.executable, "-m", "flows.servers.embedded_prefect", str(listening.fileno())],
                pass_fds=[listening.fileno()],
                stdin=subprocess.PIPE,  # closes when this process ends, also by a kill
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                start_new_session=True,
            )
        atexit.register(self.stop)

    def wait(self) -> None:
        """Wait until the server answers. Raises ConfigError if it ends, or takes two minutes.

        Raises DiskError if the disk of its database is the reason.
        """
        wait_until(self._answers_or_ended, START_SECONDS)
        if self._answered:
            return
        self.stop()
        self._errors.seek(0)
        text = self._errors.read().decode(errors="replace").strip()
        why = [*ERROR_LINE.findall(text), *text.splitlines()[-1:], "without a message"][0]
        if reason := disk_reason(RuntimeError(why), _home()):
            raise DiskError(reason)
        raise ConfigError(
            f"Prefect's embedded server did not start ({why}); if its database is damaged or "
            f"of another version, move {_home()} away: it holds the history on "
            "Prefect's page, no results"
        )

    def _answers_or_ended(self) -> bool:
        try:  # the socket is open already, so the request waits until the server can answer
            with urllib.request.urlopen(f"{self.address}/health", timeout=START_SECONDS):
                self._answered = True
        except OSError:
            return self._process.poll() is not None
        return True

    def stop(self) -> None:
        """End the server after it has stored what it received; kill it if that takes long.

        On a full disk it cannot store anything, and tries again and again.
        """
        self._process.terminate()
        try:
            self._process.wait(0.1 if why_unwritable(_home()) else STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()


def _home() -> Path:
    return Path(os.environ["PREFECT_HOME"])


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


def main() -> None:
    """Run Prefect's server on the socket whose descriptor is the argument, until stdin closes."""
    import uvicorn
    from prefect.server.api.server import create_app

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            # two servers that create the database at the same time damage it
            with start_lock():
                await super().startup(sockets)

    threading.Thread(target=_end_with_parent, daemon=True).start()
    application = create_app(ephemeral=True, final=True)
    server = Server(uvicorn.Config(application, log_level="error", lifespan="on"))
    server.run(sockets=[socket.socket(fileno=int(sys.argv[1]))])


if __name__ == "__main__":
    main()
