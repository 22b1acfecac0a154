"""A study's own code: read when the study is, and noted by its digests in the configuration."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from flows.configuration.networks_config import ArchitectureConfig
from flows.configuration.study_config import StudyConfig
from models.specs import ConfigError
from tasks.own_code.digest import check_recorded, code_sha256
from tasks.own_code.own_code import OwnCode
from tasks.own_code.read import read_source
from tasks.own_code.registry import OWN_CODES

# digests of the code that served and deployed runs may run, with commas between; an environment
# variable, because whoever starts a run by the form of a page writes the parameters
ALLOWED = "STUDY_OWN_CODE"


def allowed_digests() -> set[str]:
    """The digests of the code that a served or deployed run may run."""
    return {one.strip() for one in os.environ.get(ALLOWED, "").split(",") if one.strip()}


def forget_digests(config: StudyConfig) -> StudyConfig:
    """The study without the digests of its own code, so that its files are read again."""
    if config.architectures is None:
        return config
    read = {
        name: one.model_copy(update={"code": None}) for name, one in config.architectures.items()
    }
    return config.model_copy(update={"architectures": read})


def read_own_code(config: StudyConfig, allowed: Collection[str] | None = None) -> StudyConfig:
    """The study with the digests of its own code; this process may run it from now on.

    Code whose digest is noted already and that this process has is not read again. Code that is
    read must have the noted digest if there is one, and one of the ``allowed`` digests if they are
    given: those with which a study was served or deployed. Other code is not run.

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


def _read(key: str, one: ArchitectureConfig, allowed: Collection[str] | None) -> ArchitectureConfig:
    noted = one.code or {}
    found = {
        part: _digest_of(f"{key}.{part}", reference, noted.get(part), allowed)
        for part, reference in one.own_code.items()
    }
    return one.model_copy(update={"code": found or None})


def _digest_of(key: str, reference: str, noted: str | None, allowed: Collection[str] | None) -> str:
    if allowed is None and noted is not None and noted in OWN_CODES.codes:
        return noted
    try:
        own = read_source(reference, Path())
        if noted is not None:
            check_recorded(own, noted)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None
    found = code_sha256(own)
    if allowed is not None and found not in allowed:
        raise ConfigError(
            f"{key}: {reference} is not code that this study was served or deployed with; serve it "
            f"again, or add {found} to {ALLOWED} among the deployment's job variables"
        )
    OWN_CODES.install([own])
    return found
