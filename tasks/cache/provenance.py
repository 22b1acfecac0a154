"""Where and with what a result was computed. It is recorded with the result.

It is in no key, except for the releases of libraries if a study asks for that.
"""

import platform
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict  # pydantic needs it before Python 3.12

LIBRARIES = ("latent-study", "torch", "torchvision", "numpy", "prefect", "mlflow")
COMPUTES = "torch"  # the library whose release can change results


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


def release(full_version: str) -> str:
    """The part of a version that can change results: ``2.15`` of ``2.15.1+cpu``."""
    return ".".join(full_version.split(".")[:2])


def releases_in_keys() -> dict[str, str]:
    """What is in the keys of a study that asks for it: the release of each library by name."""
    return {COMPUTES: release(version(COMPUTES))}


def mixed_releases(computed_with: Mapping[str, Iterable[Mapping[str, Any]]]) -> Iterator[str]:
    """A sentence for each group whose results come from several releases of torch.

    ``computed_with`` holds the provenance of each result, by group.
    """
    for group, of_group in computed_with.items():
        versions = [found.get("versions", {}).get(COMPUTES) for found in of_group]
        counts = Counter(release(one) for one in versions if one)
        if len(counts) > 1:
            parts = [f"{count} with {COMPUTES} {one}" for one, count in sorted(counts.items())]
            yield (
                f"{group}: {', '.join(parts)}; results of different releases may differ, and "
                "versions_in_key=true computes each again with the present one"
            )


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
