"""Composition only: which tasks a study has, how they run, the command line and the Python API.

Imports ``tasks`` and ``models``; nothing imports it. Importing this package loads no engine.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flows.api.study import Study as Study

__all__ = ["Study"]


def __getattr__(name: str) -> Any:
    """Load ``Study`` when it is first used."""
    if name != "Study":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from flows.api.study import Study

    return Study
