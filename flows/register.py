"""``study register``: the best models under names and aliases."""

from rich.console import Console
from rich.table import Table

from models.specs import ConfigError
from tasks.tracking.client import connect
from tasks.tracking.registry import register_best


def print_registered(study: str) -> None:
    """Register the best models of a study's dataset and show what they are called."""
    try:
        found = register_best(connect(), study)
    except LookupError as error:
        raise ConfigError(f"{error}; see: study status") from None
    console = Console(highlight=False, soft_wrap=True)
    table = Table("load as", "version", "score", "run", box=None, pad_edge=False)
    for one in found:
        score = f"{one.metric} {one.value:.4g}"
        table.add_row(f"models:/{one.name}@{one.alias}", one.version, score, one.run)
    console.print(table)
