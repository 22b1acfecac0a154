"""Hooks for tests: make one task fail, or kill the process at a chosen moment."""

import hashlib
import os
import signal

from tasks.system.folders import study_home


class FailpointError(RuntimeError):
    """Raised on request by ``STUDY_FAILPOINT``."""


def fail_point(name: str) -> None:
    """``STUDY_FAILPOINT=<task-run name>[:once]`` makes that task fail."""
    wanted = os.environ.get("STUDY_FAILPOINT", "")
    if wanted.removesuffix(":once") != name:
        return
    if wanted.endswith(":once"):
        marker = study_home() / "failpoints" / hashlib.sha256(wanted.encode()).hexdigest()
        if marker.exists():
            return
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    raise FailpointError(f"STUDY_FAILPOINT={wanted}")


def kill_point(name: str, moment: str) -> None:
    """``STUDY_FAILPOINT_KILL=<task-run name>:<moment>`` kills the process there.

    Moments: ``epoch=N`` after an epoch, ``publish`` when computed but not yet in the store,
    ``published`` when in the store but not yet in MLflow.
    """
    if os.environ.get("STUDY_FAILPOINT_KILL", "") == f"{name}:{moment}":
        os.kill(os.getpid(), signal.SIGKILL)
