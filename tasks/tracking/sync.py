"""Log what earlier invocations could not: their spools."""

import re
import warnings

from models.messages import cut
from tasks.cache import store
from tasks.system.folders import STUDY_NAME
from tasks.tracking.spool import Operation, Spool, SpoolError, existing_spools


def sync() -> int:
    """Log the spools of invocations that ended; returns how many. Nothing is logged twice.

    Warns of a spool that this version cannot log as a whole. Raises TrackingError if MLflow does
    not take all of them now.
    """
    logged, kept = log_spools()
    for reason in kept:
        warnings.warn(reason, stacklevel=2)
    return logged


def log_spools() -> tuple[int, list[str]]:
    """As ``sync``, but returns one line for each spool that is kept instead of warning of it."""
    from tasks.tracking.client import TrackingError

    logged, kept, errors = 0, [], []
    for spool in existing_spools():
        try:
            logged += _sync(spool)
        except SpoolError as error:
            kept.append(str(error))
        except TrackingError as error:  # another experiment may store its artifacts elsewhere
            errors.append(error)
    if errors:
        for reason in kept:
            warnings.warn(reason, stacklevel=2)
        raise errors[0]
    return logged, kept


def _sync(spool: Spool) -> bool:
    """Log one spool and remove it; returns False if another process uses or has removed it.

    Raises SpoolError if this version does not know what to do with some of it. The rest is
    logged, and the spool kept.
    """
    with spool.try_lock() as locked:
        if not locked or not spool.path.exists():
            return False
        operations = spool.read()
        unknown = _log(spool, operations)
        if unknown:
            more = f" (and {len(unknown) - 1} more)" if unknown[1:] else ""
            raise SpoolError(
                f"{spool.path} holds what this version cannot log, {unknown[0]}{more}; "
                "it is kept for a newer version"
            )
        spool.remove()
        return True


def _log(spool: Spool, operations: list[Operation]) -> list[str]:
    """Log these operations. Returns one line for each that this version does not know."""
    from tasks.tracking.client import PROGRAMMING_ERRORS, TrackingError
    from tasks.tracking.writer import Writer

    unknown: list[str] = []
    starts = [one for one in operations if one.get("do") == "start_study"]
    try:
        study = str(starts[0]["parameters"]["name"])
        if not re.fullmatch(STUDY_NAME, study):  # it becomes part of a folder
            raise LookupError(study)
    except (LookupError, TypeError):
        # without a run of the study, there is none to close
        return [
            f"{one.get('do')!r} without a study" for one in operations if one != {"do": "close"}
        ]
    writer = Writer(study, spool.invocation, lambda reference: store.load(*reference))
    for operation in operations:
        try:
            writer.apply(operation)
        except TrackingError as error:
            if not error.refused:
                raise
            warnings.warn(str(error), stacklevel=2)
        except PROGRAMMING_ERRORS as error:  # of another version, or damaged
            unknown.append(cut(f"{operation.get('do')!r}: {error}"))
    return unknown


def mark_dead(invocation: str) -> None:
    """Have the next sync close the open runs of an invocation whose process died."""
    Spool(invocation).add({"do": "close"})
