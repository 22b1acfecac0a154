"""A study's own code: read when the study is, and noted by its digests in the configuration."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from flows.configuration.networks_config import ArchitectureConfig, ObjectiveConfig
from flows.configuration.representation_config import MeasureConfig
from flows.configuration.study_config import StudyConfig
from models.specs import ConfigError
from tasks.own_code.digest import check_recorded, code_sha256, whole_sha256
from tasks.own_code.own_code import OwnCode
from tasks.own_code.read import read_source
from tasks.own_code.registry import OWN_CODES

# digests of the code that served and deployed runs may run, with commas between; an environment
# variable, because whoever starts a run by the form of a page writes the parameters
ALLOWED = "STUDY_OWN_CODE"
Named = ArchitectureConfig | ObjectiveConfig | MeasureConfig


def allowed_digests() -> set[str]:
    """The digests of the code that a served or deployed run may run."""
    return {one.strip() for one in os.environ.get(ALLOWED, "").split(",") if one.strip()}


def forget_digests(config: StudyConfig) -> StudyConfig:
    """The study without the digests of its own code, so that its files are read again."""
    groups = {
        "architectures": config.architectures,
        "objectives": config.objectives,
        "measures": config.measures,
    }
    without = {
        key: {name: one.model_copy(update={"code": None}) for name, one in named.items()}
        for key, named in groups.items()
        if named
    }
    return config.model_copy(update=without)


def read_own_code(config: StudyConfig, allowed: Collection[str] | None = None) -> StudyConfig:
    """The study with the digests of its own code; this process may run it from now on.

    Code whose digest is noted already and that this process has is not read again. Code that is
    read must have the noted digest if there is one, and one of the ``allowed`` digests if they are
    given: those with which a study was served or deployed. Other code is not run.

    Raises ConfigError for code that cannot be read, and for other code than that.
    """
    architectures = {
        name: one.model_copy(update={"code": _read(f"architectures.{name}", one, allowed) or None})
        for name, one in (config.architectures or {}).items()
    }
    objectives = {
        name: one.model_copy(update={"code": _read(f"objectives.{name}", one, allowed).get("name")})
        for name, one in (config.objectives or {}).items()
    }
    measures = {
        name: one.model_copy(update={"code": _read(f"measures.{name}", one, allowed)["name"]})
        for name, one in (config.measures or {}).items()
    }
    found = {"architectures": architectures, "objectives": objectives, "measures": measures}
    return config.model_copy(update={key: named or None for key, named in found.items()})


def own_codes(config: StudyConfig) -> dict[str, OwnCode]:
    """The code that a study's tasks may run, by digest."""
    return {digest: OWN_CODES.code(digest) for digest in own_digests(config)}


def served_digests(config: StudyConfig) -> list[str]:
    """The digests that allow a served study to run its own code: of all that its files hold.

    What a network does not reach may run too, while its file is imported.
    """
    return list(dict.fromkeys(whole_sha256(own) for own in own_codes(config).values()))


def own_digests(config: StudyConfig) -> list[str]:
    """The digests of a study's own code."""
    return list(dict.fromkeys(_digests(config)))


def _digests(config: StudyConfig) -> Iterator[str]:
    for one in _named(config):
        yield from _noted(one).values()


def _named(config: StudyConfig) -> list[Named]:
    groups = (config.architectures, config.objectives, config.measures)
    return [one for named in groups for one in (named or {}).values()]


def _noted(one: Named) -> dict[str, str]:
    """The digests of code that are noted, by part."""
    return {"name": one.code} if isinstance(one.code, str) else one.code or {}


def _read(key: str, one: Named, allowed: Collection[str] | None) -> dict[str, str]:
    """The digests of the code that an architecture, objective or measure names, by part."""
    noted = _noted(one)
    return {
        part: _digest_of(f"{key}.{part}", reference, noted.get(part), allowed)
        for part, reference in one.own_code.items()
    }


def _digest_of(key: str, reference: str, noted: str | None, allowed: Collection[str] | None) -> str:
    if allowed is None and noted is not None and noted in OWN_CODES.codes:
        return noted
    try:
        own = read_source(reference, Path())
        if noted is not None:
            check_recorded(own, noted)
    except ConfigError as error:
        raise ConfigError(f"{key}: {error}") from None
    found, whole = code_sha256(own), whole_sha256(own)
    if allowed is not None and whole not in allowed:
        raise ConfigError(
            f"{key}: {reference} is not code that this study was served or deployed with; serve it "
            f"again, or add {whole} to {ALLOWED} among the deployment's job variables"
        )
    OWN_CODES.install([own])
    return found
