"""The files that distributions are built from."""

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("flows", "models", "tasks")
FILES = ("pyproject.toml", "README.md", "LICENSE", "prefect.yaml", "mlflow.yaml")


def copy_sources(folder):
    """Copy them into a folder: a build writes into the one that it is in."""
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in FILES:
        shutil.copy(ROOT / name, folder)
