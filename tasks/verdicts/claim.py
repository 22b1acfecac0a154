"""What a claim says: a quantity, what it is compared along, and how it should change.

A study file lists claims; docs/claims.md explains them. ``written-study`` stands for those of the
written study and a few more, which are in ``written-study.yaml``.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from models.messages import shown
from models.specs import Value
from tasks.system.yaml_files import read_yaml

WrittenStudy = Literal["written-study"]
WRITTEN_STUDY: WrittenStudy = "written-study"
SHIPPED_FILE = "written-study.yaml"  # beside this file; a change of it is one of the code
Axis = Literal[
    "latent_dim",
    "depth",
    "architecture",
    "objective",
    "scenario",
    "label_budget",
    "trained",
    "output",
    "optimizer",
    "learning_rate",
    "labels",
]
AXES: tuple[Axis, ...] = get_args(Axis)
ORDERED: tuple[Axis, ...] = ("latent_dim", "depth", "label_budget", "learning_rate")  # by size
Level = int | float | str
SIGNS = {"increasing": 1, "decreasing": -1, "equal": 0}
EXPECTED = "should be increasing, decreasing, equal, {below: 0.01} or {above: 0.9}"


class Margins(Value):
    """How large a change must be to matter. Smaller ones are called equivalent.

    Quantities that are neither relative nor an accuracy have margins of their own.
    """

    relative: float = Field(
        2.0, gt=0, le=50, description="Of losses and other relative quantities, in per cent."
    )
    accuracy: float = Field(0.5, gt=0, le=50, description="Of accuracies, in percentage points.")


class Bound(Value):
    """A value that every level should be below, or above, in the unit of the quantity."""

    below: float | None = Field(None, description="It should be smaller than this.")
    above: float | None = Field(None, description="It should be larger than this.")

    @property
    def value(self) -> float:
        """The value itself."""
        found = self.below if self.above is None else self.above
        assert found is not None
        return found


def _expectation(given: object) -> object:
    if isinstance(given, Bound) or given in list(SIGNS):
        return given
    if isinstance(given, dict) and len(given) == 1:
        (side, value), *_ = given.items()
        if side in Bound.model_fields and isinstance(value, int | float) and value is not True:
            return Bound(**{side: float(value)})
    raise ValueError(f"{EXPECTED}, not {shown(given)}")


Expectation = Annotated[
    Literal["increasing", "decreasing", "equal"] | Bound, BeforeValidator(_expectation)
]


def _level(given: object) -> object:
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise ValueError("should be one value, like 20 or plain")
    return given


def _key_of_mlflow(name: str) -> str:
    if not re.fullmatch(r"\w[\w .:-]*", name):
        raise ValueError("should have letters, digits, spaces, '.', '_', '-' and ':' only")
    return name


def _several(given: object) -> object:
    return (given,) if isinstance(given, str) else given


class Claim(Value):
    """A statement about measured quantities that a study confirms, refutes or leaves open."""

    name: Annotated[str, AfterValidator(_key_of_mlflow)] = Field(
        min_length=1,
        max_length=80,
        description="Names it on the page and in MLflow; each claim has its own.",
    )
    claim: str = Field(
        "",
        max_length=200,
        description="The statement as a sentence; written from the other keys unless it is given.",
    )
    source: str = Field("", max_length=80, description="Who claims it, for the page.")
    quantity: Annotated[
        tuple[str, ...], BeforeValidator(_several, json_schema_input_type=str | tuple[str, ...])
    ] = Field(
        strict=False,
        min_length=1,
        description="What is measured, by its name in docs/metrics.md, or in `measures`; of a list "
        "all must change as expected.",
    )
    along: Axis | None = Field(None, description="What it is compared along.")
    order: tuple[Level, ...] = Field(
        (),
        strict=False,
        description="The levels in the claimed order, at least two; by default all, by size.",
    )
    expect: Expectation = Field(
        description="increasing, decreasing or equal from each level to the next; or "
        "{below: x}, {above: x} at each level.",
    )
    where: dict[Axis, Annotated[Level, BeforeValidator(_level)]] = Field(
        {},
        description="Which models, like {objective: vae4}; otherwise those that the study's "
        "other comparisons use.",
    )
    for_each: Axis | None = Field(
        None, description="The claim must hold for each value of this, like `label_budget`."
    )
    margin: float | None = Field(
        None,
        gt=0,
        description="The smallest change that matters: in per cent for losses, in points for "
        "shares, otherwise in the quantity's unit; by default the quantity's.",
    )

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if self.along is None and not isinstance(self.expect, Bound):
            raise ValueError(f"along: it is missing; give one of {', '.join(AXES)}")
        if self.order and self.along is None:
            raise ValueError("order: it is for the levels of along, which is missing")
        if len(self.order) == 1 or len(set(self.order)) < len(self.order):
            raise ValueError("order: list different levels, at least two, like [small, wide]")
        has_order = self.along in (None, *ORDERED) or bool(self.order)
        if not has_order and self.sign and not self.bound:
            raise ValueError(
                f"order: it is missing, and {self.along} has no order of its own; give one, like "
                "[small, wide]"
            )
        for axis in (self.along, self.for_each):
            if axis is not None and axis in self.where:
                raise ValueError(f"where.{axis}: it leaves a single {axis} to compare; remove it")
        if self.for_each is not None and self.for_each == self.along:
            raise ValueError(f"for_each: along is {self.along} too; choose another, or remove it")
        return self

    @property
    def bound(self) -> Bound | None:
        """The value that every level is compared with, if it is one."""
        return self.expect if isinstance(self.expect, Bound) else None

    @property
    def sign(self) -> int:
        """1 if the quantity should rise, -1 if it should fall, 0 if it should stay as it is."""
        if isinstance(self.expect, Bound):
            return 1 if self.expect.below is None else -1
        return SIGNS[self.expect]

    @property
    def sentence(self) -> str:
        """The claim in words."""
        if self.claim:
            return self.claim
        quantities = " and ".join(name.replace("_", " ") for name in self.quantity)
        verb = {1: "rises", -1: "falls", 0: "stays the same"}[self.sign]
        if self.bound:
            verb = f"is {'below' if self.sign < 0 else 'above'} {self.bound.value:g}"
        text = f"The {quantities} {verb}"
        if self.along:
            at = " at every " if self.bound else " along the "
            text += f"{at}{self.along.replace('_', ' ')}"
        if self.order:
            text += f" ({', '.join(map(str, self.order))})"
        if self.for_each:
            text += f", for each {self.for_each.replace('_', ' ')}"
        chosen = ", ".join(f"{axis} {level}" for axis, level in self.where.items())
        return f"{text}{f'; {chosen}' if chosen else ''}.".replace("_", " ")


@cache
def written_study() -> tuple[Claim, ...]:
    """The claims of the written study, and ours beside them."""
    listed = read_yaml(Path(__file__).parent / SHIPPED_FILE, "claims")
    return tuple(map(Claim.model_validate, listed))


def with_shipped(claims: object) -> object:
    """Claims as data with those of the written study in the place of their name."""
    if claims == WRITTEN_STUDY:
        return written_study()
    if not isinstance(claims, list | tuple):
        return claims
    found: list[Any] = []
    for one in claims:
        found += written_study() if one == WRITTEN_STUDY else [one]
    return tuple(found)


def without_shipped(claims: Iterable[Claim]) -> str | list[str | Mapping[str, Any]]:
    """The reverse: claims as data, with those of the written study as their name."""
    given, shipped = list(claims), list(written_study())
    found: list[str | Mapping[str, Any]] = []
    while given:
        if given[: len(shipped)] == shipped:
            found, given = [*found, WRITTEN_STUDY], given[len(shipped) :]
        else:
            one = given.pop(0)
            found.append(one.model_dump(mode="json", exclude_defaults=True))
    return WRITTEN_STUDY if found == [WRITTEN_STUDY] else found
