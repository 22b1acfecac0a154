"""Runs a study in a process of its own, so that nothing of this process changes.

Prefect, MLflow and torch are set up in that process, worker processes are its children, and signals
and event loops of this process are not touched.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from flows.api.messages import End, Progress, Request, received
from flows.api.notebook import NotebookProgress, is_notebook
from flows.configuration.study_config import Section, StudyConfig
from tasks.execution.invocations import DIED

# a pipe takes no colours, although a notebook asks for them by these variables
NO_TERMINAL = {"TTY_COMPATIBLE": "0", "FORCE_COLOR": "", "CLICOLOR_FORCE": ""}
SOURCES = Path(__file__).resolve().parents[2]


def run_in_process(
    config: StudyConfig, sections: Sequence[Section], force: Sequence[str], quiet: bool
) -> End:
    """Run a study in a process of its own, show its progress, and say how it ended.

    In a terminal the display is that of the command; in a notebook a bar; otherwise lines.
    Raises KeyboardInterrupt after an interrupt, when the run has closed what was open.
    """
    relayed = quiet or is_notebook()
    request: Request = {
        "config": config.model_dump(mode="json"),
        "sections": list(sections),
        "force": list(force),
        "relayed": relayed,
    }
    answers, answering = os.pipe()
    inherits = not relayed and _is_terminal()
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "flows.api.child", str(answering)],
        stdin=subprocess.PIPE,
        stdout=None if inherits else subprocess.PIPE,
        stderr=None if inherits else subprocess.STDOUT,
        pass_fds=[answering],
        env=os.environ | {"PYTHONPATH": _python_path()} | ({} if inherits else NO_TERMINAL),
        start_new_session=True,  # an interrupt of this process is passed on once
    ) as process:
        os.close(answering)
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it ended at once; it says why
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        with os.fdopen(answers, "rb") as messages:
            end = _follow(process, messages, quiet)
        code = process.wait()
    return end or {"kind": "end", "invocation": None, "error": "RuntimeError", "text": _why(code)}


def _python_path() -> str:
    """The folder of this package, before those that the process has already."""
    return os.pathsep.join([str(SOURCES), *filter(None, [os.environ.get("PYTHONPATH")])])


def _is_terminal() -> bool:
    """Whether what this process prints goes to a terminal, which a child can use, too."""
    try:
        return sys.stdout.isatty() and sys.stdout.fileno() == 1 and os.isatty(2)
    except (OSError, ValueError, AttributeError):
        return False


def _why(code: int) -> str:
    if code < 0:
        return f"the process of the run was ended by signal {-code}; run it again to continue"
    return f"{DIED}; run it again to continue"


def _follow(process: "subprocess.Popen[bytes]", messages: IO[bytes], quiet: bool) -> End | None:
    """Show what the process prints and sends until it ends. Returns its last message."""
    end: End | None = None
    bar = None if quiet else NotebookProgress()
    if bar is not None:
        bar.show({"kind": "progress", "finished": 0, "total": 0, "text": "starting"})
    interrupted = False
    lines = _lines(process, messages)
    while True:
        try:
            for source, line in lines:
                if source == "printed":
                    if not quiet:
                        print(line.decode(errors="replace"), end="", flush=True)
                    continue
                message: Progress | End = received(line)
                if message["kind"] == "end":
                    end = message
                elif bar is not None:
                    bar.show(message)
            if interrupted:
                raise KeyboardInterrupt
            return end
        except KeyboardInterrupt:
            if interrupted and process.poll() is not None:
                raise
            interrupted = True
            process.send_signal(signal.SIGINT)
            lines = _lines(process, messages)


def _lines(process: "subprocess.Popen[bytes]", messages: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """Every line of the process as it comes, and where it came from, until both pipes close."""
    with selectors.DefaultSelector() as selector:
        selector.register(messages, selectors.EVENT_READ, "sent")
        if process.stdout is not None:
            selector.register(process.stdout, selectors.EVENT_READ, "printed")
        rest = {"sent": b"", "printed": b""}
        while selector.get_map():
            for key, _ in selector.select():
                data = os.read(key.fd, 65536)
                if not data:
                    selector.unregister(key.fileobj)
                *whole, rest[key.data] = (rest[key.data] + data).split(b"\n")
                for line in whole:
                    yield key.data, line + b"\n"
        if rest["printed"]:
            yield "printed", rest["printed"]
