"""Where and with what a result was computed. It is recorded with the result, and in no key."""

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypedDict

LIBRARIES = ("latent-study", "torch", "torchvision", "numpy", "prefect", "mlflow")


class Provenance(TypedDict):
    """``commit`` is None outside of a git checkout; ``processor`` is empty where it is unknown.

    The version of a library that is not installed is ``unknown``.
    """

    python: str
    system: str
    processor: str
    commit: str | None
    versions: dict[str, str]


@cache
def provenance() -> Provenance:
    """The versions, the machine, and the commit of the code."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "commit": _commit(),
        "versions": {name: _version(name) for name in LIBRARIES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # this project runs from a checkout that was never installed
        return "unknown"


def _commit() -> str | None:
    """The commit of the repository that has this file; not of one around an installed package."""
    if not _git("ls-files", "--error-unmatch", Path(__file__).name):
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=12")


def _git(*arguments: str) -> str | None:
    """What git prints in the folder of this file; None if it fails."""
    try:
        found = subprocess.run(
            ["git", "-C", str(Path(__file__).resolve().parent), *arguments],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
