"""Signatures of manifests in a shared store, made with the key in ``STUDY_STORE_KEY``.

A digest shows that an entry is intact, a signature that someone with the key wrote it.
"""

import hashlib
import hmac
import os

from models.specs import ConfigError

VARIABLE = "STUDY_STORE_KEY"
SHORTEST_KEY = 16  # characters


def _key() -> bytes:
    return os.environ.get(VARIABLE, "").encode()


def check() -> None:
    """Raise ConfigError for a key that is short enough to be guessed."""
    if 0 < len(_key()) < SHORTEST_KEY:
        raise ConfigError(
            f"{VARIABLE} has {len(_key())} characters and needs {SHORTEST_KEY} or more; "
            "make one with: openssl rand -hex 32"
        )


def sign(text: str) -> str | None:
    """The HMAC-SHA256 of a text with the key, in hex; None without a key."""
    return hmac.new(_key(), text.encode(), hashlib.sha256).hexdigest() if _key() else None


def is_accepted(text: str, signature: object) -> bool:
    """Whether this is the signature of a text. Without a key every signature is accepted."""
    expected = sign(text)
    given = str(signature).encode(errors="replace")  # it may be of any kind
    return expected is None or hmac.compare_digest(expected.encode(), given)
