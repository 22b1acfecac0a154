"""Which of a user's code a task uses, and whether its files still hold what was read."""

import re
from collections.abc import Mapping
from pathlib import Path

from models.specs import ConfigError
from tasks.cache.canonical import canonical_text
from tasks.cache.entry import Entry
from tasks.cache.nested import leaves
from tasks.own_code.digest import PREFIX, changed_parts, code_parts, code_sha256
from tasks.own_code.own_code import OwnCode
from tasks.own_code.read import read_source

DIGEST = re.compile(PREFIX + "[0-9a-f]{64}")


def used_codes(inputs: object, codes: Mapping[str, OwnCode]) -> dict[str, OwnCode]:
    """The codes that a task's inputs name by digest, or that entries among them have used."""
    if not codes:
        return {}
    named: set[str] = set()
    for leaf in leaves(inputs):
        named |= set(leaf.own_code) if isinstance(leaf, Entry) else digests_in(leaf)
    return {digest: own for digest, own in codes.items() if digest in named}


def digests_in(value: object) -> set[str]:
    """The digests of code that a value names."""
    return set(DIGEST.findall(canonical_text(value)))


def edited_since_read(own: OwnCode) -> str:
    """What of a user's code its files no longer hold, in one line; empty for the same code.

    Only what the function reaches counts: a comment changes nothing.
    """
    if own.is_installed:
        return ""
    try:
        now = read_source(f"{own.module}:{own.function}", Path(own.folder))
    except ConfigError as error:
        return f"{own.module} changed ({error})"
    if code_sha256(now) == code_sha256(own):
        return ""
    return "; ".join(changed_parts(code_parts(own), code_parts(now)))
