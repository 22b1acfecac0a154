"""A study's own code: read when the study is, and noted by its digests in the configuration."""

from collections.abc import Collection, Iterator
from pathlib import Path

from flows.configuration.networks_config import ArchitectureConfig
from flows.configuration.study_config import StudyConfig
from models.specs import ConfigError
from tasks.own_code.digest import check_recorded, code_sha256
from tasks.own_code.own_code import OwnCode
from tasks.own_code.read import read_source
from tasks.own_code.registry import OWN_CODES


def read_own_code(config: StudyConfig, allowed: Collection[str] | None = None) -> StudyConfig:
    """The study with the digests of its own code; this process may run it from now on.

    Code whose digest is noted already and that this process has is not read again. Code that is
    read must have the noted digest if there is one, and one of the ``allowed`` digests if they are
    given: those that were noted when a study was served or deployed.

    Raises ConfigError for code that cannot be read, and for other code than that.
    """
    if config.architectures is None:
        return config
    read = {
        name: _read(f"architectures.{name}", one, allowed)
        for name, one in config.architectures.items()
    }
    return config.model_copy(update={"architectures": read})


def own_codes(config: StudyConfig) -> dict[str, OwnCode]:
    """The code that a study's tasks may run, by digest."""
    return {digest: OWN_CODES.code(digest) for digest in own_digests(config)}


def own_digests(config: StudyConfig) -> list[str]:
    """The digests of a study's own code."""
    return list(dict.fromkeys(_digests(config)))


def _digests(config: StudyConfig) -> Iterator[str]:
    for one in (config.architectures or {}).values():
        yield from (one.code or {}).values()


def _read(
    key: str, one: ArchitectureConfig, allowed: Collection[str] | None
) -> ArchitectureConfig:
    noted = one.code or {}
    found = {
        part: _digest_of(f"{key}.{part}", reference, noted.get(part), allowed)
        for part, reference in one.own_code.items()
    }
    return one.model_copy(update={"code": found or None})


def _digest_of(
    key: str, reference: str, noted: str | None, allowed: Collection[str] | None
) -> str:
    if allowed is not None and noted not in allowed:
        raise ConfigError(
            f"{key}: {reference} was not part of the study when it was served or deployed; its code "
            "is not read. Serve or deploy the study again"
        )
    if noted is not None and noted in OWN_CODES.codes:
        return noted
    try:
        own = read_source(reference, Path())
        if noted is not None:
            check_recorded(own, noted)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None
    OWN_CODES.install([own])
    return code_sha256(own)
