"""Composition only: which tasks a study has, how they run, the command line and the Python API.

Imports ``tasks`` and ``models``; nothing imports it. Importing this package loads no engine.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flows.api.study import Study as Study
    from flows.pipeline import Pipeline as Pipeline
    from models.specs import ConfigError as ConfigError
    from tasks.cache.step import Step as Step
    from tasks.execution.invocations import RunFailedError as RunFailedError
    from tasks.system.disk_errors import DiskError as DiskError

_MODULES = {
    "ConfigError": "models.specs",
    "DiskError": "tasks.system.disk_errors",
    "Pipeline": "flows.pipeline",
    "RunFailedError": "tasks.execution.invocations",
    "Step": "tasks.cache.step",
    "Study": "flows.api.study",
}
__all__ = ["ConfigError", "DiskError", "Pipeline", "RunFailedError", "Step", "Study"]


def __getattr__(name: str) -> Any:
    """Load what the package offers when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """What the package offers, for completion."""
    return [*globals(), *__all__]
