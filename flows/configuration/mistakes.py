"""The mistakes of a study's configuration, in one line each."""

import difflib
import re
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flows.configuration.study_config import StudyConfig
from models.messages import cut, dotted_key, is_part_of_pair, plain_message, shown
from models.specs import SeveralConfigError

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
    "claims": "like [{quantity: test_loss, along: latent_dim, ...}], or written-study",
    "measures": "like {smoothness: my_measures.py:smoothness}",
}


def all_mistakes(error: ValidationError) -> SeveralConfigError:
    """The mistakes as one error with a line for each, up to a limit."""
    lines = explain_mistakes(error)
    more = [f"and {len(lines) - SHOWN_MISTAKES} more"] if len(lines) > SHOWN_MISTAKES else []
    return SeveralConfigError("\n".join(lines[:SHOWN_MISTAKES] + more))


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys that are allowed where an unknown key was found."""
    kind: Any = StudyConfig
    for part in location:
        if get_origin(kind) is dict:  # of architectures, objectives or measures by name
            kind = get_args(kind)[1]
        elif get_origin(kind) is tuple:  # of claims
            kind = get_args(kind)[0]
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


def explain_mistakes(error: ValidationError) -> list[str]:
    """One line for each mistake: key, value, allowed range."""
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
    if error["type"] == "value_error" and isinstance(error["input"], dict):
        return f"{key}: {message}"  # about several keys of it
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
