"""Computes with exactly the code that a key was made of."""

import importlib
from typing import Any

from tasks.cache.code_digest import code_parts
from tasks.cache.step import Compute


class CodeChangedError(RuntimeError):
    """The code on disk is not the code that a key was made of."""


def code_difference(compute: Compute, code: dict[str, str]) -> list[str]:
    """The definitions, of those that the computation reaches, that this process has otherwise.

    Everything that it reaches is imported first, so that a later edit can't slip in.
    """
    for module in {part.partition(":")[0] for part in code}:
        if "/" not in module:
            importlib.import_module(module)
    here = code_parts(compute.__module__, compute.__name__)
    return sorted(part for part in here.keys() | code if here.get(part) != code.get(part))


def compute_exactly(compute: Compute, code: dict[str, str], arguments: dict[str, Any]) -> Any:
    """Compute with exactly this code, or not at all; runs in a worker process.

    Raises CodeChangedError if the files hold other code than the key's.
    """
    changed = code_difference(compute, code)
    if changed:
        raise CodeChangedError(
            f"the code changed while the study was running ({', '.join(changed[:3])}); run it again"
        )
    return compute(**arguments)
