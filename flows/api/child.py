"""The process of one run that Python code started. It ends when that process does."""

import json
import os
import signal
import sys
import threading
import time
import traceback

from flows.api.messages import End, Progress, Request, send
from flows.configuration.own_code import read_own_code
from flows.configuration.study_config import Section, StudyConfig
from flows.launch import how_to_go_on, run_study
from flows.lifecycle.command_line import explain, show_warnings_in_one_line
from flows.lifecycle.interrupts import handle_signals
from tasks.execution.invocations import Invocation, records
from tasks.execution.progress import Display, show_progress_with
from tasks.system.disk_errors import DiskError
from tasks.system.user_warnings import say


class RelayedDisplay(Display):
    """Sends progress to the process that started the run, and prints everything else."""

    descriptor = -1  # of the pipe to that process

    def print_progress(self, text: str) -> None:
        """Send one line of progress."""
        finished = sum(self.counts.values())
        progress: Progress = {
            "kind": "progress",
            "finished": finished,
            "total": self.total,
            "text": text,
        }
        send(self.descriptor, progress)


def _stop_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):  # until the process that holds the other end ends
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _end_early(number: int, _: object) -> None:
    """End a run that has opened nothing yet; ``flows.launch`` handles signals from then on."""
    say("study: interrupted; the same command continues from what is finished", error=True)
    os._exit(128 + number)


def _run(request: Request) -> End:
    config = StudyConfig.model_validate(request["config"])
    sections: tuple[Section, ...] = tuple(request["sections"])
    started = time.time()
    try:
        config = read_own_code(config)  # it must be the code that the study was loaded with
        outcome = run_study(config, sections, request["force"])
    except Exception as error:
        explained = explain(error)
        if explained is None:
            traceback.print_exc()
            text = f"{type(error).__name__}: {error}"
            return {"kind": "end", "invocation": None, "error": "RuntimeError", "text": text}
        text = explained.text
        if isinstance(error, DiskError):
            text = f"{text}, then {how_to_go_on(config.name, started)}"
        return {"kind": "end", "invocation": None, "error": type(error).__name__, "text": text}
    end: End = {
        "kind": "end",
        "invocation": _invocation(config.name, outcome.flow_run_id),
        "text": outcome.message,
    }
    if not outcome.completed:
        end["error"] = "RunFailedError"
    return end


def _invocation(study: str, flow_run_id: str) -> str | None:
    """The name of the record of a run."""
    for found in records(study):
        if isinstance(found, Invocation) and found.flow_run_id == flow_run_id:
            return found.id
    return None


def main() -> None:
    """Run what the first line of the standard input asks for; the argument is a pipe to answer."""
    handle_signals(_end_early)
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    request: Request = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_stop_with_parent, daemon=True).start()
    show_warnings_in_one_line()
    if request["relayed"]:
        RelayedDisplay.descriptor = descriptor
        show_progress_with(RelayedDisplay)
    end = _run(request)
    if "error" not in end:
        say(end["text"])
    send(descriptor, end)


if __name__ == "__main__":
    main()
