"""Computes only if the code is exactly the code in a task's key."""

import importlib
from collections.abc import Mapping

from tasks.cache.code_digest import code_parts
from tasks.cache.step import Compute


class CodeChangedError(RuntimeError):
    """The code of this process differs from the code in a task's key."""


def code_difference(compute: Compute, code: dict[str, str]) -> list[str]:
    """The definitions that the computation reaches and that differ in this process, sorted.

    ``code`` holds digests by definition, as ``Step.code``. Every module in it is imported first, so
    that an edit after the comparison has no effect.
    """
    for module in {part.partition(":")[0] for part in code}:
        if "/" not in module:
            importlib.import_module(module)
    found = code_parts(compute.__module__, compute.__name__)
    return sorted(part for part in found.keys() | code if found.get(part) != code.get(part))


def compute_exactly(
    compute: Compute, code: dict[str, str], arguments: Mapping[str, object]
) -> object:
    """Compute with exactly this code, in a worker process.

    Raises CodeChangedError if the files hold other code.
    """
    changed = code_difference(compute, code)
    if changed:
        raise CodeChangedError(
            f"the code changed while the study was running ({', '.join(changed[:3])}); run it again"
        )
    return compute(**arguments)
