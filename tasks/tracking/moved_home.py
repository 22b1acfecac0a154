"""Addresses of artifacts after STUDY_HOME was moved or copied.

MLflow's database holds the absolute address of every run's artifacts. After a move MLflow would
look for them in the old folder, and create that folder again.
"""

import os
import re
import sqlite3
import warnings
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tasks.system.databases import rewrite_texts
from tasks.system.folders import study_home
from tasks.tracking.config import ARTIFACTS, artifact_root

REST = r"(/[^\"'\s<>?#]*)?(?![\w.%~-])"  # of an address after its root; a text may go on after it


def follow_moved_home(database: sqlite3.Connection) -> None:
    """Let the addresses of artifacts that moved with STUDY_HOME name them there, and say so.

    Call it with ``mlflow_lock``, for the database in STUDY_HOME. The addresses below an old folder
    are all changed, or none. Raises sqlite3.Error.
    """
    new = study_home() / ARTIFACTS
    for root in _other_roots(database):
        old = Path(unquote(urlsplit(root).path))
        if _is_same_folder(old, new) or not _has_moved(database, root, old, new):
            continue
        with database:
            database.execute("BEGIN IMMEDIATE")
            _rewrite(database, root, old, new)
        warnings.warn(
            f"STUDY_HOME was {old.parent} and is {new.parent} now: "
            "the addresses of artifacts in MLflow's database are changed to match",
            stacklevel=2,
        )


def _other_roots(database: sqlite3.Connection) -> list[str]:
    """The addresses, of folders like STUDY_HOME/mlartifacts, that experiments are stored below.

    Without those below the folder that new experiments use: that is STUDY_HOME's, or one that
    mlflow.yaml names.
    """
    current = (artifact_root() or "").rstrip("/")
    roots = set()
    for (location,) in database.execute("SELECT artifact_location FROM experiments"):
        before, separator, _ = str(location).rpartition(f"/{ARTIFACTS}/")
        is_current = str(location).startswith(f"{current}/")
        is_path = before.startswith("file:///") and "\0" not in unquote(before)
        if separator and is_path and not is_current:
            roots.add(before + separator.rstrip("/"))
    return sorted(roots)


def _is_same_folder(old: Path, new: Path) -> bool:
    """Whether two names, one of them perhaps through a link, lead to the same home or artifacts."""
    for one, other in ((old, new), (old.parent, new.parent)):
        with suppress(OSError):
            if one.samefile(other):
                return True
    return False


def _has_moved(database: sqlite3.Connection, root: str, old: Path, new: Path) -> bool:
    """Whether the experiments below an old folder now have their artifacts in the new folder.

    If it is gone and no run of theirs was finished, there are no artifacts to look for.
    """
    experiments = database.execute(
        "SELECT artifact_location, EXISTS (SELECT 1 FROM runs WHERE runs.experiment_id = "
        "experiments.experiment_id AND status = 'FINISHED') FROM experiments "
        "WHERE substr(artifact_location, 1, ?) = ?",
        [len(root) + 1, f"{root}/"],
    ).fetchall()
    folders = [new / unquote(location[len(root) + 1 :]) for location, _ in experiments]
    if any(os.path.isdir(folder) for folder in folders):
        return True
    return not os.path.exists(old) and not any(finished for _, finished in experiments)


def _rewrite(database: sqlite3.Connection, root: str, old: Path, new: Path) -> None:
    """Rewrite every address below the old folder, except if only that has what it names."""

    def moved(match: re.Match[str]) -> str:
        rest = match[1] or ""
        below = unquote(rest).lstrip("/")
        stays = os.path.exists(old / below) and not os.path.exists(new / below)
        return match[0] if stays else new.as_uri() + rest

    address = re.compile(re.escape(root) + REST)
    rewrite_texts(database, root, lambda text: address.sub(moved, text))
