"""Whether a study's own claims can be judged: their quantities are known, their models trained."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from flows.configuration.grid import autoencoders, classifiers
from flows.configuration.study_config import SECTIONS, StudyConfig
from models.measures.glossary import Table, quantities
from models.specs import ConfigError, SeveralConfigError
from tasks.analysis.tables import Config, Row, classifier_choices, model_choices
from tasks.verdicts.claim import Axis, Claim, written_study
from tasks.verdicts.selection import TABLE_AXES, Selection, measures_of, own_quantities, select


def check_claims(config: StudyConfig) -> None:
    """Raise ConfigError, with one line per claim, for claims that this study cannot judge.

    Those of the written study are not checked: what they ask for and a study lacks is not measured.
    """
    if config.claims == written_study():
        return
    own = [one for one in config.claims if one not in written_study()]
    settings, found = config.model_dump(mode="json"), []
    trained = _trained(config)
    for place, claim in enumerate(config.claims):
        try:
            if claim.name in [other.name for other in config.claims[:place]]:
                raise ConfigError("name: another claim has it too; give each claim its own")
            if claim in own:
                _check(claim, settings, trained)
        except ConfigError as error:
            found.append(f"claims.{place} ({claim.name}): {error}")
    if found:
        raise SeveralConfigError("\n".join(found))


def _trained(config: StudyConfig) -> dict[Table, list[Row]]:
    """What distinguishes the models of each table of a study, one row per model."""
    wanted = classifiers(config, SECTIONS)
    models = [
        model_choices(one.identity)._asdict()
        for one in autoencoders(config, SECTIONS, wanted)
        if not one.as_reported
    ]
    return {
        "models": models,
        "transfer": [
            classifier_choices(one.identity, one.spec.model_dump(mode="json")) for one in wanted
        ],
        "interpolation": [
            {"latent_dim": one.spec.latent_dim, "seed": seed}
            for one in config.interpolation_models
            for seed in config.seeds
        ],
        "convergence": [
            {"depth": depth, "seed": seed} for depth in config.depths for seed in config.seeds
        ],
    }


def _check(claim: Claim, config: Config, trained: Mapping[Table, list[Row]]) -> None:
    """Raise ConfigError if a claim asks for what the study does not measure."""
    _check_quantities(claim, config)
    measured = measures_of(claim, config)
    if measured is None:
        raise ConfigError(
            f"quantity: {', '.join(claim.quantity)} are not measured of the same models in one "
            "unit; make one claim for each"
        )
    table, measures = measured
    axes = TABLE_AXES[table]
    chosen = [(f"where.{axis}", axis) for axis in claim.where]
    for key, axis in (("along", claim.along), ("for_each", claim.for_each), *chosen):
        if axis is not None and axis not in axes:
            raise ConfigError(
                f"{key}: {measures[0].quantity} is not compared along {axis}; choose from "
                f"{', '.join(axes)}"
            )
    if not claim.sign and claim.margin is None and not measures[0].margin:
        raise ConfigError(
            f"margin: it is missing; give the largest change of {measures[0].quantity} that does "
            "not matter"
        )
    _check_models(claim, select(claim, config), trained[table])


def _check_quantities(claim: Claim, config: Config) -> None:
    known = [*quantities(), *own_quantities(config)]
    for name in claim.quantity:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(
                f"quantity: there is no {name!r}; {hint}docs/metrics.md lists all, `measures` "
                "adds more"
            )


def _check_models(claim: Claim, selection: Selection, rows: list[Row]) -> None:
    """Raise ConfigError unless one model per seed fits each level, and there are levels."""
    for fixed, value in selection.fixed.items():
        rows = _fitting(rows, fixed, value, f"where.{fixed}" if fixed in claim.where else fixed)
    compared: list[tuple[str, Axis | None, list[Any]]] = [
        ("for_each", claim.for_each, selection.groups),
        ("order" if claim.order else "along", claim.along, selection.levels),
    ]
    for key, axis, levels in compared:
        if axis is None:
            continue
        known = _values(rows, axis)
        missing = [level for level in levels if str(level) not in known]
        if missing and claim.order and key == "order":
            raise ConfigError(
                f"{key}: no such model has {axis} {missing[0]}; {_trained_ones(known)}"
            )
        rows = [row for row in rows if row.get(axis) in levels]
        found = _values(rows, axis)
        if len(found) < (1 if claim.bound and axis == claim.along else 2):
            raise ConfigError(f"{key}: there is no {axis} to compare; {_trained_ones(known)}")
    counted = [axis for axis in (claim.along, claim.for_each, "seed") if axis]
    several = {
        axis: values
        for axis in dict.fromkeys(axis for row in rows for axis in row)
        if axis not in {*counted, *selection.fixed} and len(values := _values(rows, axis)) > 1
    }
    places = [tuple(row[axis] for axis in counted) for row in rows]
    if len(set(places)) < len(places):
        listed = "; ".join(f"{axis}: {', '.join(values)}" for axis, values in several.items())
        raise ConfigError(f"where: several models of a seed fit; choose one of {listed}")


def _fitting(rows: list[Row], axis: str, wanted: object, key: str) -> list[Row]:
    found = [row for row in rows if row.get(axis) == wanted]
    if not found:
        raise ConfigError(
            f"{key}: no such model has {axis} {wanted}; {_trained_ones(_values(rows, axis))}"
        )
    return found


def _trained_ones(values: list[str]) -> str:
    return f"those that fit have {', '.join(values)}" if values else "no model fits"


def _values(rows: Iterable[Row], axis: str) -> list[str]:
    return list(dict.fromkeys(str(row[axis]) for row in rows if row.get(axis)))
