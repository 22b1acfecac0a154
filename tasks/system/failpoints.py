"""Hooks for tests: make one task fail, or kill the process at a chosen moment."""

import hashlib
import os
import signal

from tasks.system.folders import study_home


class FailpointError(RuntimeError):
    """The error that ``STUDY_FAILPOINT`` requests."""


def fail_point(name: str) -> None:
    """Raise FailpointError if ``STUDY_FAILPOINT`` is ``<task-run name>`` or ``<...>:once``.

    With ``:once`` only the first call in a STUDY_HOME raises.
    """
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
    """Kill this process if ``STUDY_FAILPOINT_KILL`` is ``<task-run name>:<moment>``.

    Moments: ``epoch=N`` after an epoch, ``publish`` when computed but not yet in the store,
    ``published`` when in the store but not yet in MLflow.
    """
    if os.environ.get("STUDY_FAILPOINT_KILL", "") == f"{name}:{moment}":
        os.kill(os.getpid(), signal.SIGKILL)
