"""The user's code of an invocation, by digest: what its processes may run."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from models.messages import described
from models.specs import ConfigError
from tasks.own_code.digest import changed_parts, code_parts, code_sha256
from tasks.own_code.load import load_function
from tasks.own_code.own_code import OwnCode

SHOWN_DIGITS = 19  # of a digest in messages, with its prefix
Texts = dict[str, dict[str, Any]]  # codes by digest as plain data, to be sent to workers


class OwnCodes:
    """The user's code that this process may run. Only ``install`` adds to it.

    Nothing from a store or an artifact is installed: an entry names code by its digest alone.
    """

    def __init__(self) -> None:
        self.codes: dict[str, OwnCode] = {}

    def install(self, codes: Iterable[OwnCode]) -> None:
        """Allow what the person who started the study named. Nothing is loaded yet."""
        self.codes |= {code_sha256(own): own for own in codes}

    def check_size(self, digest: str, *arguments: Any, options: Mapping[str, Any]) -> None:
        """Raise ConfigError if the parameters of a network cannot fit into this machine's memory.

        Otherwise making it could end this process, or others.
        """
        import psutil

        from models.networks.factories import parameter_bytes

        needed = parameter_bytes(self.find(digest), *arguments, options=options)
        total = psutil.virtual_memory().total
        if needed is not None and needed > total:
            raise ConfigError(
                f"{self.code(digest).reference}: its parameters would take "
                f"{needed / 2**30:,.0f} GiB, and this machine has {total / 2**30:,.0f} GiB"
            )

    def register_builders(self) -> None:
        """Let ``models`` build networks and objectives by these codes. Imports torch."""
        from models.networks.builders import register_builder
        from models.objectives.registry import register_objective

        for digest, own in self.codes.items():
            register_builder(digest, partial(_build, own))
            register_objective(digest, partial(_make, own))

    def code(self, digest: str) -> OwnCode:
        """The code of a digest, such as ``sha256:1f0c3a...``.

        Raises ConfigError for one that is not installed.
        """
        own = self.codes.get(digest)
        if own is None:
            raise ConfigError(
                f"the code {digest[:SHOWN_DIGITS]}... is not part of this run; "
                "name its file in the study"
            )
        return own

    def find(self, digest: str) -> Callable[..., Any]:
        """The function of a digest, loaded once. Raises ConfigError as ``code``, or if it fails."""
        return load_function(self.code(digest))


OWN_CODES = OwnCodes()  # of this process


def texts_of(codes: Mapping[str, OwnCode]) -> Texts:
    """Codes by digest as plain data, for a worker, which installs them by ``install_texts``."""
    return {
        digest: own.model_dump(mode="json") | {"parts": code_parts(own)}
        for digest, own in codes.items()
    }


def codes_of(texts: Texts) -> dict[str, OwnCode]:
    """The codes by digest that were sent as plain data."""
    return {
        digest: OwnCode.model_validate({k: v for k, v in text.items() if k != "parts"})
        for digest, text in texts.items()
    }


def install_texts(texts: Texts) -> list[str]:
    """Install what an invocation sent to this process, and nothing else.

    Returns what differs here, in one line each, for code that has another digest here: this process
    has other versions of what the code imports.
    """
    differences = []
    for digest, own in codes_of(texts).items():
        if code_sha256(own) != digest:
            before = texts[digest]["parts"]
            differences += changed_parts(before, code_parts(own)) or [own.reference]
        OWN_CODES.install([own])
    OWN_CODES.register_builders()
    return differences


def _make(own: OwnCode, **settings: Any) -> Any:
    """An objective of a user. Raises ConfigError that names their function and line."""
    function = load_function(own)
    try:
        made = function(**settings)
    except (Exception, SystemExit) as error:
        given = f" called with {', '.join(settings)}" if settings else ""
        raise ConfigError(f"{own.reference}{given}: {described(error, function)}") from error
    if not callable(made):
        raise ConfigError(
            f"{own.reference} returned a {type(made).__name__}; return what is called with the "
            "autoencoder, images and extra"
        )
    return made


def _build(own: OwnCode, *arguments: Any, **options: Any) -> Any:
    from models.networks.factories import call_factory

    return call_factory(load_function(own), own.reference, *arguments, options=options)
