"""The user's code of an invocation, by digest: what its processes may run."""

from collections.abc import Callable, Iterable
from typing import Any

from models.specs import ConfigError
from tasks.own_code.digest import code_sha256
from tasks.own_code.load import load_function
from tasks.own_code.own_code import OwnCode


class OwnCodes:
    """The user's code that this process may run. Only ``install`` adds to it.

    Nothing from a store or an artifact is installed: an entry names code by its digest alone.
    """

    def __init__(self) -> None:
        self._codes: dict[str, OwnCode] = {}

    def install(self, codes: Iterable[OwnCode]) -> None:
        """Allow what the person who started the study named. Nothing is loaded yet."""
        self._codes |= {code_sha256(own): own for own in codes}

    def code(self, digest: str) -> OwnCode:
        """The code of a digest, such as ``sha256:1f0c3a...``.

        Raises ConfigError for one that is not installed.
        """
        own = self._codes.get(digest)
        if own is None:
            raise ConfigError(
                f"the code {digest[:19]}... is not part of this run; name its file in the study"
            )
        return own

    def find(self, digest: str) -> Callable[..., Any]:
        """The function of a digest, loaded once. Raises ConfigError as ``code``, or if it fails."""
        return load_function(self.code(digest))
