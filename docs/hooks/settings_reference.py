"""The configuration reference: every setting of a study, from the model that validates it."""

import inspect
import json
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from flows.configuration.study_config import StudyConfig
from models.networks import conv, mlp
from models.objectives.registry import OBJECTIVES
from tasks.tracking.config import MlflowConfig

Schema = dict[str, Any]
NULL = "`null`"
KINDS = {"boolean": "true or false", "null": NULL, "object": "keys and values"}
NUMBERS = {"integer": "whole number", "number": "number"}
OTHERS = "additionalProperties"
LIMITS = {
    "minimum": "of at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
ROOT = Path(__file__).resolve().parents[2]
MLFLOW_COMMENT = re.compile(r"^ *(\w+):[^#\n]*#(.*)$", re.MULTILINE)


def value_text(value: object) -> str:
    """A value as a study file has it."""
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def short(number: float) -> str:
    """A number without the decimals that are zero."""
    return f"{number:,.0f}" if number == int(number) else f"{number:,}"


class Reference:
    """Settings of one pydantic model as Markdown."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema

    def resolved(self, one: Schema) -> Schema:
        """A schema with the definition that it refers to."""
        if "$ref" in one:
            return self.schema["$defs"][one["$ref"].rpartition("/")[2]] | one
        return one

    def kind(self, one: Schema) -> str:
        """The type of a value in words, with its limits."""
        one = self.resolved(one)
        if "anyOf" in one:
            kinds = dict.fromkeys(self.kind(part) for part in one["anyOf"])
            return ", or ".join(sorted(kinds, key=lambda kind: kind != NULL))
        if "const" in one or "enum" in one:
            values = one.get("enum", [one.get("const")])
            return ("one of " if len(values) > 1 else "") + ", ".join(map(value_text, values))
        made = {"array": self.array, "string": self.text} | dict.fromkeys(NUMBERS, self.number)
        kind = one.get("type", "")
        return made[kind](one) if kind in made else KINDS.get(kind, "any value")

    def array(self, one: Schema) -> str:
        """A list: how many values, and of which type."""
        if "prefixItems" in one:
            parts = dict.fromkeys(self.kind(part) for part in one["prefixItems"])
            return f"list of {len(one['prefixItems'])}, each {' or '.join(parts)}"
        least = one.get("minItems", 0)
        return f"list{f' of at least {least}' if least else ''}, each {self.kind(one['items'])}"

    def number(self, one: Schema) -> str:
        """A number and its limits."""
        limits = [f"{word} {short(one[key])}" for key, word in LIMITS.items() if key in one]
        if {"minimum", "maximum"} <= one.keys():
            limits = [f"from {short(one['minimum'])} to {short(one['maximum'])}"]
        return " ".join([NUMBERS[one["type"]], " and ".join(limits)]).strip()

    def text(self, one: Schema) -> str:
        """A text and what it must match."""
        longest = f" of at most {one['maxLength']} characters" if "maxLength" in one else ""
        pattern = f" that matches `{one['pattern']}`" if "pattern" in one else ""
        return f"text{longest}{pattern}"

    def inner(self, one: Schema) -> Schema | None:
        """The object that a setting holds, if it has keys of its own."""
        one = self.resolved(one)
        for part in (one, *map(self.resolved, one.get("anyOf", ()))):
            if "properties" in part:
                return part
        return None

    def named(self, one: Schema) -> Schema | None:
        """The object that each name of a setting holds, if it maps names to objects."""
        for part in (one, *one.get("anyOf", ())):
            for values in (*part.get("patternProperties", {}).values(), part.get(OTHERS)):
                if isinstance(values, dict) and self.inner(values):
                    return self.inner(values)
        return None

    def listed(self, one: Schema) -> Schema | None:
        """The object that each item of a setting is, if it is a list of objects."""
        lists = (part["items"] for part in (one, *one.get("anyOf", ())) if "items" in part)
        return next(filter(None, map(self.inner, lists)), None)

    def settings(self, part: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
        """Every setting below an object, nested ones after the one that holds them, by its key."""
        for key, one in part["properties"].items():
            name = f"{prefix}{key}"
            yield name, one
            if inner := self.inner(one):
                yield from self.settings(inner, f"{name}.")
            elif named := self.named(one):
                yield from self.settings(named, f"{name}.NAME.")
            elif listed := self.listed(one):
                yield from self.settings(listed, f"{name}.NUMBER.")

    def all(self) -> Iterator[tuple[str, Schema]]:
        """Every setting of the model, by its key."""
        return self.settings(self.schema)

    def has_keys(self, one: Schema) -> bool:
        """Whether a setting holds settings of its own."""
        return any(found(one) is not None for found in (self.inner, self.named, self.listed))

    def entry(self, name: str, one: Schema, required: bool) -> str:
        """The heading and the paragraph of one setting."""
        is_group = self.has_keys(one)
        if self.listed(one):
            names = [self.kind(part) for part in one.get("anyOf", ()) if "const" in part]
            kind = ", or ".join([*names, "list, each with the keys below"])
        elif self.named(one):
            kind = f"{NULL}, or names, each with the keys below"
        elif is_group:
            others = [part for part in one.get("anyOf", ()) if self.inner(part) is None]
            kind = ", or ".join([*map(self.kind, others), "the keys below"])
        else:
            kind = self.kind(one)
        if required:
            default = "required"
        elif is_group and isinstance(one.get("default"), dict):
            default = "default: those of its keys"
        else:
            default = f"default {value_text(one.get('default'))}"
        meaning = " ".join(one.get("description", "").split())
        return f"### `{name}`\n\n{kind[:1].upper()}{kind[1:]}; {default}.\n\n{meaning}\n"


def settings_page() -> str:
    """Every setting of a study, one section for each group of keys."""
    reference = Reference(StudyConfig.model_json_schema())
    required = set(reference.schema["required"]) | {
        f"{group}.{key}"
        for group, inner in (
            ("architectures.NAME", "ArchitectureConfig"),
            ("objectives.NAME", "ObjectiveConfig"),
            ("measures.NAME", "MeasureConfig"),
            ("claims.NUMBER", "Claim"),
        )
        for key in reference.schema["$defs"][inner]["required"]
    }
    alone: list[str] = []
    groups: list[str] = []
    for name, one in reference.all():
        is_group = reference.has_keys(one) and "." not in name
        entry = reference.entry(name, one, name in required)
        place = groups if is_group or "." in name else alone
        place.append(entry.removeprefix("#") if is_group else entry)
    return "\n".join(["## The study\n", *alone, *groups])


def objectives_table() -> str:
    """The settings of the objectives that ship, with their defaults."""
    lines = ["| objective | setting | type | default | meaning |", "|---|---|---|---|---|"]
    for name, model in OBJECTIVES.items():
        reference = Reference(model.model_json_schema())
        for key, one in reference.schema.get("properties", {}).items():
            cells = [f"`{name}`", f"`{key}`", reference.kind(one), value_text(one.get("default"))]
            lines.append(f"| {' | '.join([*cells, one.get('description', '')])} |")
    return "\n".join(lines)


def networks_table() -> str:
    """The options of the networks that ship, with their defaults."""
    lines = ["| networks | option | default |", "|---|---|---|"]
    for module in (conv, mlp):
        options = inspect.signature(module.encoder).parameters.values()
        lines += [
            f"| `{module.__name__.rpartition('.')[2]}` | `{one.name}` | {value_text(one.default)} |"
            for one in options
            if one.default is not one.empty
        ]
    return "\n".join([*lines, "| `written` | `depth` | required: 1, 2 or 3 |"])


def mlflow_settings() -> str:
    """Every key of mlflow.yaml: type, default, and meaning by the comment in that file."""
    reference = Reference(MlflowConfig.model_json_schema())
    meanings = dict(MLFLOW_COMMENT.findall((ROOT / "mlflow.yaml").read_text("utf-8")))
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, one in reference.all():
        if not reference.inner(one):
            meaning = escape(meanings.get(name.rpartition(".")[2], "").strip())
            cells = [f"`{name}`", reference.kind(one), value_text(one["default"]), meaning]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
