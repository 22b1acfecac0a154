"""``study gc``: deletes what no recent invocation uses."""

import shutil
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from flows.commands.options import TABLE_WIDTH
from models.specs import ConfigError
from tasks.system.folders import study_home
from tasks.system.locks import invocation_lock
from tasks.system.user_warnings import one_line

KEPT_FOLDERS = {"locks"}  # in store/; other folders hold entries, checkpoints and leftovers


def gc(
    keep: Annotated[
        int, typer.Option(min=1, help="Keep what the last N invocations of each study use.")
    ] = 5,
    yes: Annotated[
        bool, typer.Option("--yes/--dry-run", help="Delete, or only show what would be deleted.")
    ] = False,
    runs: Annotated[
        bool, typer.Option("--runs", help="Also delete the MLflow runs of deleted entries.")
    ] = False,
) -> None:
    """Delete from the store what no recent invocation uses."""
    study_home().mkdir(parents=True, exist_ok=True)
    # a study that starts waits, and then computes again what it needs of what was deleted
    with invocation_lock():
        keys = show_and_delete(keep, yes)
    if runs and yes:
        from tasks.tracking.client import connect, delete_runs, tracking_errors

        with tracking_errors("did not delete the runs"):
            typer.echo(f"{delete_runs(connect(), keys)} MLflow runs deleted")


def show_and_delete(keep: int, yes: bool) -> set[str]:
    """Print what is not used, and delete it if ``yes``. Returns the keys of what was deleted.

    Raises ConfigError as ``kept_keys`` does.
    """
    found = unused(keep)
    sizes = {path: size_of(path) for path in found}
    total = f"{sum(sizes.values()) / 1e6:.1f} MB"
    print_table(sizes)
    if not yes:
        hint = "; delete it with --yes" if found else ""
        typer.echo(f"{total} not used by the last {keep} invocations of each study{hint}")
        return set()
    keys = {key_of(path) for path in found if not is_leftover(path)}
    delete(found, keys)
    typer.echo(f"{total} deleted")
    return keys


def kept_keys(keep: int) -> set[str]:
    """Keys used by each study since its ``keep``-th last completed invocation, including that.

    Only completed invocations are counted, since others may have failed early. Raises ConfigError
    while a study is running, since it may use any entry, and for a record that cannot be read.
    """
    from tasks.execution.invocations import UnreadableRecord, records

    kept: set[str] = set()
    seen: Counter[str] = Counter()
    for found in records():
        if isinstance(found, UnreadableRecord):
            raise ConfigError(
                f"{found}, so what that run uses is not known; delete this file if its results may "
                "go, otherwise run study gc with the version that wrote it"
            )
        if found.state == "RUNNING":
            raise ConfigError(
                f"study {found.study} is running; run study gc again when it has ended"
            )
        if seen[found.study] < keep:
            kept |= {record.key for record in found.tasks.values()}
        seen[found.study] += found.state == "COMPLETED"
    return kept


def unused(keep: int) -> list[Path]:
    """Entries and checkpoints that no kept invocation uses, and all leftovers."""
    kept = kept_keys(keep)
    store = study_home() / "store"
    kinds = [path for path in sorted(store.glob("*")) if path.name not in KEPT_FOLDERS]
    # what a link leads to is no part of the store
    folders = [path for kind in kinds if not kind.is_symlink() for path in sorted(kind.glob("*"))]
    return [path for path in folders if key_of(path) not in kept or is_leftover(path)]


def is_leftover(path: Path) -> bool:
    """Whether the path was set aside as damaged, or left by a killed process."""
    return path.parent.name in {"quarantine", "tmp"}


def key_of(path: Path) -> str:
    """The key of a folder in the store."""
    return path.name.rpartition("-")[2]


def size_of(path: Path) -> int:
    """The size in bytes of a file, or of all files below a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def print_table(sizes: dict[Path, int]) -> None:
    """Print the number and total size of unused paths by kind; ``sizes`` are in bytes."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not sizes:
        return
    table = Table("what", "number", "size", box=None, pad_edge=False)
    for kind in sorted({path.parent.name for path in sizes}):
        of_kind = [size for path, size in sizes.items() if path.parent.name == kind]
        table.add_row(Text(one_line(kind)), str(len(of_kind)), f"{sum(of_kind) / 1e6:.1f} MB")
    Console(highlight=False, soft_wrap=True, width=TABLE_WIDTH).print(table)


def delete(found: list[Path], keys: set[str]) -> None:
    """Delete files and folders, and the locks of these keys."""
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    for lock in (study_home() / "store" / "locks").glob("*.lock"):
        if key_of(lock.with_suffix("")) in keys:
            lock.unlink()
