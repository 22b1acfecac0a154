"""Where and with what a result was computed. It is recorded with the result, and in no key."""

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

LIBRARIES = ("latent-study", "torch", "torchvision", "numpy", "prefect", "mlflow")


class Provenance(TypedDict):
    """``commit`` is None outside of a git checkout; ``processor`` is empty where it is unknown."""

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
        "versions": {name: version(name) for name in LIBRARIES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "")


def _commit() -> str | None:
    root = Path(__file__).resolve().parent
    try:
        found = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
