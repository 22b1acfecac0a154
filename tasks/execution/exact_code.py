"""Computes only if the code is exactly the code in a task's key."""

import importlib
from collections.abc import Mapping

from tasks.cache.step import Compute
from tasks.code.code_digest import code_parts
from tasks.own_code.load import unload
from tasks.own_code.registry import Texts, install_texts


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
    compute: Compute,
    code: dict[str, str],
    arguments: Mapping[str, object],
    own_code: Texts | None = None,
) -> object:
    """Compute with exactly this code, in a worker process.

    ``own_code`` is the code of the user that the computation may run, by digest. Its modules are
    loaded anew, so that what an earlier computation left in them changes nothing.

    Raises CodeChangedError if the files hold other code, or if other versions are installed here.
    """
    changed = code_difference(compute, code)
    if changed:
        raise CodeChangedError(
            f"the code changed while the study was running ({', '.join(changed[:3])}); run it again"
        )
    if own_code and (differences := install_texts(own_code)):
        raise CodeChangedError(
            f"this worker has other code than the study ({'; '.join(differences[:3])}); "
            "install the same versions"
        )
    unload()
    return compute(**arguments)
