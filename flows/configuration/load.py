"""Reads a study: a YAML file, ``--set`` overrides, and an error of one line for each mistake."""

import difflib
import json
import re
import shlex
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flows.configuration.own_code import read_own_code
from flows.configuration.study_config import SECTIONS, Section, StudyConfig
from models.messages import cut, dotted_key, is_part_of_pair, plain_message, shown
from models.specs import ConfigError, SeveralConfigError
from tasks.cache.canonical import differences
from tasks.system.yaml_files import parse_yaml, read_yaml

SHIPPED = Path(__file__).parent / "studies"
STUDY_FILES = {".yaml", ".yml"}
SHOWN_MISTAKES = 20
CLASS_KEY = re.compile(r"interpolation\.pairs\.[0-9]+\.[0-9]+")
A_CLASS = (
    "should be a class: a whole number from 0 to 999,999, or a name in quotes, like '1.5', of at "
    "most 255 characters"
)
EXAMPLE = "like [1, 2]"  # of a list, in errors; better ones for keys with other values:
EXAMPLES = {
    "transfer.scenarios": "like [head_only, fine_tune]",
    "transfer.label_budgets": "like [100, all]",
    "interpolation.pairs": "like [[3, 5], [4, 9]]",
    "architectures": "like {small: {encoder: conv, decoder: conv}}",
    "objectives": "like {plain: {name: mse}}",
}


def shipped_studies() -> list[str]:
    """Names of the studies that come with the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def load_config(study: str, overrides: list[str] | None = None) -> StudyConfig:
    """Read a shipped study or a YAML file, apply ``key=value`` overrides, validate.

    A relative ``dataset.path`` in the file starts at the file's folder, one in an override at the
    current folder.

    Raises ConfigError with one line per mistake: key, value, allowed range.
    """
    path = SHIPPED / f"{study}.yaml"
    if study not in shipped_studies():
        path = Path(study)
        if path.suffix not in STUDY_FILES:
            near = difflib.get_close_matches(study, shipped_studies(), n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(
                f"no study named {study!r}; {hint}choose one of {', '.join(shipped_studies())} "
                "or give the path of a YAML file"
            )
    content = read_yaml(path, "study file")
    if not isinstance(content, dict):
        given = "it is empty" if content is None else f"not {type(content).__name__}"
        raise ConfigError(f"{path} must hold keys and values, {given}")
    content.setdefault("name", path.stem)
    _make_absolute(content, path.parent)
    for override in overrides or []:
        _override(content, override)
    _make_absolute(content, Path())
    _check_name(content["name"], path)
    try:
        return read_own_code(StudyConfig.model_validate(content))
    except ValidationError as error:
        lines = _explain_all(error)
        more = [f"and {len(lines) - SHOWN_MISTAKES} more"] if len(lines) > SHOWN_MISTAKES else []
        raise SeveralConfigError("\n".join(lines[:SHOWN_MISTAKES] + more)) from None


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
        first, *others = _explain_all(error)
        more = f" (and {len(others)} more)" if others else ""
        raise ConfigError(
            f"run {run}: its settings are of another version of this project: {first}{more}; "
            f"start again with: study run {study}"
        ) from None


def command_of(config: StudyConfig, sections: tuple[Section, ...]) -> str:
    """The command that repeats a study; a study that is not shipped is named as a file."""
    arguments = ["study", "run"]
    if config.name in shipped_studies():
        arguments.append(config.name)
        shipped = load_config(config.name).model_dump(mode="json", exclude={"runner"})
        asked = config.model_dump(mode="json", exclude={"runner"})
        for key, _, value in differences(shipped, asked):
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
    for key, parts in (("architectures", ("encoder", "decoder")), ("objectives", ("name",))):
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


def _override(content: dict[str, object], override: str) -> None:
    """Set one dotted key to a value in YAML. Raises ConfigError."""
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise ConfigError(f"--set {shown(override)}: expected key=value, like training.epochs=2")
    try:
        value = parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"--set {shown(override)}: not a YAML value: {error}") from None
    *parents, last = key.split(".")
    for parent in parents:
        inner = content.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {shown(override)}: {parent!r} holds a value, not keys")
        content = inner
    content[last] = value


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys that are allowed where an unknown key was found."""
    kind: Any = StudyConfig
    for part in location:
        if get_origin(kind) is dict:  # of architectures or objectives by name
            kind = get_args(kind)[1]
        else:
            kind = kind.model_fields[str(part)].annotation
            kind = next((one for one in get_args(kind) if get_origin(one) is dict), kind)
    assert issubclass(kind, BaseModel)
    return list(kind.model_fields)


def _first_of_each_key(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """One error per mistake, without errors inside a wrong value or that follow from it."""
    kept: dict[str, ErrorDetails] = {}
    for error in sorted(errors, key=lambda error: error["type"] == "too_short"):
        key = _key(error)
        if key not in kept and not (
            error["type"] == "too_short" and any(known.startswith(key) for known in kept)
        ):
            kept[key] = error
    return list(kept.values())


def _key(error: ErrorDetails) -> str:
    """The key of an error; a pair that lacks a value is wrong as a whole."""
    key = dotted_key(error)
    return key.rpartition(".")[0] if is_part_of_pair(error) else key


def _explain_all(error: ValidationError) -> list[str]:
    """One line for each mistake."""
    return list(dict.fromkeys(map(_explain, _first_of_each_key(error.errors()))))


def _explain(error: ErrorDetails) -> str:
    """One line for one of pydantic's errors: key, value, allowed range."""
    location, key = error["loc"], _key(error)
    if error["type"] == "extra_forbidden":
        known = _known_keys(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        *parents, last = map(str, location)
        unknown = ".".join([*parents, last if last.isidentifier() else repr(last)])
        return f"{cut(unknown)}: unknown key; {hint}allowed here: {', '.join(known)}"
    if error["type"] == "missing" and not is_part_of_pair(error):
        return f"{key} is missing"
    message = plain_message(error)
    if not key or message.startswith(f"{key}."):  # it already names the keys that it compares
        return message
    message = message[0].lower() + message[1:]
    if key.startswith("interpolation.pairs.") and error["type"] == "tuple_type":
        message = f"should be a pair; write pairs {EXAMPLES['interpolation.pairs']}"
    if CLASS_KEY.fullmatch(key):
        message = A_CLASS
    message = message.replace(EXAMPLE, EXAMPLES.get(key, EXAMPLE))
    if key.startswith("transfer.label_budgets."):
        message += ", or 'all'"
    if error["type"] == "string_pattern_mismatch" and location[-1] == "[key]":
        message = "a name starts with a letter and has letters, digits, '.', '_', '-', 40 at most"
    if key == "name":
        described = str(StudyConfig.model_fields["name"].description)
        message = f"should be {described[0].lower()}{described[1:]}"
    return f"{key}: {shown(error['input'])} is not allowed: {message}"
