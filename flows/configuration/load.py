"""Reads a study: a YAML file, ``--set`` overrides, and an error of one line for each mistake."""

import difflib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from flows.configuration.checks.claims import check_claims
from flows.configuration.mistakes import all_mistakes, explain_mistakes
from flows.configuration.own_code import read_own_code
from flows.configuration.study_config import SECTIONS, Section, StudyConfig
from models.messages import shown
from models.specs import ConfigError
from tasks.cache.canonical import differences
from tasks.system.yaml_files import parse_yaml, read_yaml

SHIPPED = Path(__file__).parent / "studies"
STUDY_FILES = {".yaml", ".yml"}
CODE_KEYS = {  # groups by name, and their keys that may name a user's code
    "architectures": ("encoder", "decoder"),
    "objectives": ("name",),
    "measures": ("name",),
}
# settings that are groups of settings; architectures and objectives are mappings of names instead
GROUPS = {
    name
    for name, field in StudyConfig.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
}


def shipped_studies() -> list[str]:
    """Names of the studies that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def chosen_sections(names: Sequence[str] | None, given: str = "--section") -> tuple[Section, ...]:
    """The sections with these names, in the order of the diagram; without names, all sections.

    ``given`` is what errors call a name. Raises ConfigError for an unknown name.
    """
    unknown = [name for name in names or [] if name not in SECTIONS]
    if unknown:
        raise ConfigError(f"{given} {unknown[0]!r}: choose from {', '.join(SECTIONS)}")
    return tuple(name for name in SECTIONS if not names or name in names)


def load_config(
    study: str | Path | Mapping[str, Any],
    overrides: Iterable[str] | Mapping[str, Any] | None = None,
) -> StudyConfig:
    """Read a shipped study, a YAML file or a mapping, apply overrides, validate.

    Overrides are texts ``key=value``, or a mapping of dotted keys to values. A mapping for a group
    of settings, such as ``training``, changes those that it holds. A relative ``dataset.path`` in
    the file starts at the file's folder, one elsewhere at the current folder.

    Raises ConfigError with one line per mistake: key, value, allowed range.
    """
    if isinstance(study, Mapping):
        path, content = Path("study.yaml"), _plain(study)
    else:
        path = _study_file(str(study))
        content = _read_content(path)
        content.setdefault("name", path.stem)
        _make_absolute(content, path.parent)
    if isinstance(overrides, Mapping):
        for key, value in _plain(overrides).items():
            merged = value
            if key in GROUPS and isinstance(value, dict) and isinstance(content.get(key), dict):
                merged = content[key] | value
            _set(content, key, merged, key)
    else:
        for override in overrides or ():
            _override(content, override)
    _make_absolute(content, Path())
    _check_name(content.get("name"), path)
    try:
        config = StudyConfig.model_validate(content)
    except ValidationError as error:
        raise all_mistakes(error) from None
    check_claims(config)
    return read_own_code(config)


def _study_file(study: str) -> Path:
    """The file of a shipped study, or the YAML file that is named. Raises ConfigError."""
    if study in shipped_studies():
        return SHIPPED / f"{study}.yaml"
    path = Path(study)
    if path.suffix not in STUDY_FILES:
        near = difflib.get_close_matches(study, shipped_studies(), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ConfigError(
            f"no study named {study!r}; {hint}choose one of {', '.join(shipped_studies())} "
            "or give the path of a YAML file"
        )
    return path


def _read_content(path: Path) -> dict[str, Any]:
    content = read_yaml(path, "study file")
    if not isinstance(content, dict):
        given = "it is empty" if content is None else f"not {type(content).__name__}"
        raise ConfigError(f"{path} must hold keys and values, {given}")
    return content


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of Python as those of a YAML file: a copy, with paths as texts and tuples as lists."""
    try:
        plain = to_jsonable_python(values, inf_nan_mode="constants")
    except (PydanticSerializationError, ValueError) as error:
        raise ConfigError(f"a study holds numbers, texts, lists and mappings: {error}") from None
    return dict(plain)


def is_as_shipped(config: StudyConfig) -> bool:
    """Whether a study is a shipped one with its own settings, but for seeds and runner."""
    if config.name not in shipped_studies():
        return False
    shipped = load_config(config.name)
    return config == shipped.model_copy(update={"seeds": config.seeds, "runner": config.runner})


def name_of_study(study: str) -> str:
    """The name of a study that is given by its name or its YAML file. Raises ConfigError."""
    is_file = Path(study).suffix in STUDY_FILES and Path(study).is_file()
    return load_config(study).name if is_file else study


def _check_name(name: object, path: Path) -> None:
    """Raise ConfigError for the name of a shipped study in another file than its own.

    Both would have one report, one experiment in MLflow, and one list of runs.
    """
    shipped = {one.casefold() for one in shipped_studies()}
    is_own = path.resolve().parent == SHIPPED.resolve() and path.stem == name
    if isinstance(name, str) and name.casefold() in shipped and not is_own:
        raise ConfigError(
            f"name: {name!r} is a shipped study, whose report and experiment {path.name} would "
            f"share; choose another name, like {f'my-{name}'!r}"
        )


def recorded_config(config: dict[str, object], run: str, study: str) -> StudyConfig:
    """The configuration in the record of a run, which another version may have made.

    Raises ConfigError with one line if this version does not accept it.
    """
    try:
        return StudyConfig.model_validate(config)
    except ValidationError as error:
        first, *others = explain_mistakes(error)
        more = f" (and {len(others)} more)" if others else ""
        raise ConfigError(
            f"run {run}: its settings are of another version of this project: {first}{more}; "
            f"start again with: study run {study}"
        ) from None


def changed_settings(config: StudyConfig) -> dict[str, object]:
    """The settings, without the runner, that differ from those of the shipped study of this name.

    By dotted key; none of a study that is not shipped.
    """
    if config.name not in shipped_studies():
        return {}
    shipped = load_config(config.name).model_dump(mode="json", exclude={"runner"})
    asked = config.model_dump(mode="json", exclude={"runner"})
    return {key: value for key, _, value in differences(shipped, asked)}


def command_of(config: StudyConfig, sections: tuple[Section, ...]) -> str:
    """The command that repeats a study; a study that is not shipped is named as a file."""
    arguments = ["study", "run"]
    if config.name in shipped_studies():
        arguments.append(config.name)
        for key, value in changed_settings(config).items():
            arguments += ["--set", f"{key}={json.dumps(value)}"]
    else:
        arguments.append(f"{config.name}.yaml")
    for section in sections if sections != SECTIONS else ():
        arguments += ["--section", section]
    return shlex.join(arguments)


def _make_absolute(content: dict[str, object], folder: Path) -> None:
    """Make paths absolute: a worker or a scheduled run may start in another folder."""
    dataset = content.get("dataset")
    if isinstance(dataset, dict) and isinstance(dataset.get("path"), str):
        dataset["path"] = str((folder / Path(dataset["path"]).expanduser()).resolve())
    measures = content.get("measures")
    if isinstance(measures, dict):
        content["measures"] = {
            name: {"name": one} if isinstance(one, str) else one for name, one in measures.items()
        }
    for key, parts in CODE_KEYS.items():
        named = content.get(key)
        for one in named.values() if isinstance(named, dict) else ():
            for part in parts:
                if isinstance(one, dict) and isinstance(one.get(part), str):
                    one[part] = absolute_reference(one[part], folder)


def absolute_reference(reference: str, folder: Path) -> str:
    """``nets.py:encoder`` with the file's absolute path; other references as they are."""
    file, colon, function = reference.rpartition(":")
    if not file.endswith(".py"):
        return reference
    return f"{(folder / Path(file).expanduser()).absolute()}{colon}{function}"


def _override(content: dict[str, Any], override: str) -> None:
    """Set one dotted key to a value in YAML. Raises ConfigError."""
    key, equals, text = override.partition("=")
    if not equals:
        raise ConfigError(f"--set {shown(override)}: expected key=value, like training.epochs=2")
    try:
        value = parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"--set {shown(override)}: not a YAML value: {error}") from None
    _set(content, key, value, f"--set {shown(override)}")


def _set(content: dict[str, Any], key: str, value: object, given: str) -> None:
    """Set one dotted key; ``given`` names it in errors. Raises ConfigError."""
    if not all(key.split(".")):
        raise ConfigError(f"{given}: expected key=value, like training.epochs=2")
    *parents, last = key.split(".")
    for parent in parents:
        inner = content.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"{given}: {parent!r} holds a value, not keys")
        content = inner
    content[last] = value
