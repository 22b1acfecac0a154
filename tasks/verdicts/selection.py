"""Which models a claim is about: their table, the levels that are compared, what else is fixed."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from models.measures.glossary import Measure, Table, quantities
from models.specs import distinct_budgets, largest_budget
from tasks.analysis.scenarios import SCENARIOS
from tasks.analysis.tables import (
    Config,
    compared_architectures,
    label_budgets,
    main_architecture,
    main_objective,
    transfer_architecture,
)
from tasks.verdicts.claim import ORDERED, Axis, Claim, Level

if TYPE_CHECKING:
    from pandas import DataFrame

# the columns of each table that can distinguish its models, besides their seed
TABLE_AXES: dict[Table, tuple[Axis, ...]] = {
    "models": ("latent_dim", "depth", "architecture", "objective"),
    "transfer": (
        "scenario",
        "label_budget",
        "latent_dim",
        "trained",
        "output",
        "optimizer",
        "learning_rate",
        "labels",
        "architecture",
    ),
    "interpolation": ("latent_dim",),
    "convergence": ("depth",),
}
OF_ENCODER = {"latent_dim", "architecture"}  # axes along which classifiers have other encoders


class Selection(NamedTuple):
    """The models of a claim: the values that are ``fixed``, and the ``levels`` along its axis.

    A claim without an axis has the single level "all". ``groups`` are the values for each of which
    it must hold, [None] if there are none.
    """

    table: Table
    measures: tuple[Measure, ...]
    fixed: dict[Axis, Level]
    levels: list[Any]
    groups: list[Any]

    def rows(self, found: "DataFrame", claim: Claim, group: Level | None) -> "DataFrame":
        """The rows of a table that belong to one group."""
        fixed = self.fixed if claim.for_each is None else {**self.fixed, claim.for_each: group}
        for axis, value in fixed.items():
            if axis in found:
                found = found[found[axis] == value]
        return found


def measures_of(claim: Claim, config: Config) -> tuple[Table, tuple[Measure, ...]] | None:
    """The table and the measures of a claim's quantities; None if one is not known.

    All must be of one table and compared in one unit; otherwise it is None too.
    """
    known = {**own_quantities(config), **quantities()}
    found = [known.get(name) for name in claim.quantity]
    tables = {one[0] for one in found if one}
    units = {one[1].compared_in for one in found if one}
    if None in found or len(tables) > 1 or len(units) > 1:
        return None
    (table,) = tables
    return table, tuple(one[1] for one in found if one)


def own_quantities(config: Config) -> dict[str, tuple[Table, Measure]]:
    """The study's own measures, which are differences without a margin."""
    names = config.get("measures") or {}
    return {name: ("models", Measure(name, "", "", "", ())) for name in names}


def select(claim: Claim, config: Config, n_train: int = 0) -> Selection:
    """The models of a claim in a study; its quantities must be known.

    ``n_train`` is the number of training images, 0 if it is not known.
    """
    measured = measures_of(claim, config)
    assert measured is not None
    table, measures = measured
    axes = set(TABLE_AXES[table])
    given = {claim.along, claim.for_each, *claim.where}
    if given & {"depth", "architecture"}:  # a depth is an architecture
        given |= {"depth", "architecture"}
    defaults = _defaults(table, claim, config, n_train)
    fixed = {axis: value for axis, value in defaults.items() if axis in axes - given}

    def values(axis: Axis | None) -> list[Any]:
        return [None] if axis is None else levels_of(table, axis, config, n_train)

    levels: list[Any] = list(claim.order) or (values(claim.along) if claim.along else ["all"])
    if claim.along == "latent_dim" and any(one.of_coordinates for one in measures):
        levels = [size for size in levels if size > 1]  # a single coordinate has no correlation
    if claim.along in ORDERED and not claim.order:
        levels = sorted(levels, key=lambda one: (isinstance(one, str), one))
    if claim.along == "label_budget":
        levels = distinct_budgets(levels, n_train)
    fixed |= claim.where
    budget: Any = fixed.get("label_budget")
    if budget is not None:
        (fixed["label_budget"],) = distinct_budgets([budget], n_train)
    return Selection(table, measures, fixed, levels, values(claim.for_each))


def _defaults(table: Table, claim: Claim, config: Config, n_train: int) -> dict[Axis, Level]:
    """The models that the study's own comparisons are about."""
    if table == "models":
        return {
            "architecture": main_architecture(config),
            "objective": main_objective(config),
            "latent_dim": config["depth_latent_dim"],
        }
    if table == "transfer":
        swept = claim.along == "latent_dim"
        return {
            "architecture": (main_architecture if swept else transfer_architecture)(config),
            "latent_dim": config["transfer"]["latent_dim"],
            "label_budget": largest_budget(label_budgets(config, n_train)),
        }
    return {}


def levels_of(table: Table, axis: Axis, config: Config, n_train: int) -> list[Any]:
    """The values of an axis that the study asks for, in its order.

    Of axes that only the ablation of transfer varies there are none: a claim orders them itself.
    """
    sizes: Mapping[Table, Sequence[int]] = {
        "models": config["latent_dims"],
        "interpolation": config["interpolation"]["latent_dims"],
        "transfer": config["transfer"]["latent_dims"] or config["latent_dims"],
    }
    found: dict[Axis, Sequence[Any]] = {
        "latent_dim": sizes.get(table, ()),
        "depth": config["depths"],
        "architecture": compared_architectures(config),
        "objective": list(config.get("objectives") or {}),
        "scenario": config["transfer"]["scenarios"],
        "label_budget": label_budgets(config, n_train),
        "learning_rate": config["transfer"].get("ablation_learning_rates", ()),
    }
    return list(found.get(axis, ()))


def section_of(claim: Claim, selection: Selection) -> str:
    """The section of a study that measures what a claim compares."""
    steps = {step for one in selection.measures for step in one.steps}
    by_step = {
        "realism": "interpolation",
        "correlate": "decorrelation",
        "transfer": "transfer",
        "probe": "representation",
    }
    for step, section in by_step.items():
        if step in steps:
            return section
    by_axis = {
        "depth": "depth_sweep",
        "architecture": "depth_sweep",
        "objective": "objective_sweep",
    }
    return by_axis.get(claim.along or claim.for_each or "", "latent_sweep")


def on_one_encoder(claim: Claim, selection: Selection) -> bool:
    """Whether the compared classifiers of a seed share one encoder."""
    if selection.table != "transfer" or claim.along is None or claim.along in OF_ENCODER:
        return False
    fixed = selection.fixed.get("scenario")
    scenarios = selection.levels if claim.along == "scenario" else [fixed]
    encoders = {SCENARIOS[one].encoder for one in scenarios if one in SCENARIOS}
    return encoders in ({"of the study"}, {"as reported"})


def level_label(axis: Axis | None, level: Level | None) -> str:
    """A level in words: ``d = 20``, ``depth 2``, ``frozen``."""
    if axis is None:
        return "all"
    formats = {"latent_dim": "d = {}", "depth": "depth {}", "label_budget": "{} labels"}
    if axis == "scenario" and level in SCENARIOS:
        return SCENARIOS[level].label
    if axis in formats:
        return formats[axis].format(level)
    return str(level).replace("_", " ")
