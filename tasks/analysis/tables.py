"""A study's results as tables: one row per model."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import stdev
from typing import TYPE_CHECKING, NamedTuple

from models.measures.glossary import steps_of_models
from models.specs import (
    LabelBudget,
    ObjectiveSpec,
    distinct_budgets,
    largest_budget,
    too_large_budgets,
)
from tasks.analysis import published_results
from tasks.analysis.convergence import convergence_rows, curve_of
from tasks.analysis.failures import has_failed
from tasks.analysis.realism_gate import GateResult, gate, mean_of_all
from tasks.cache.canonical import JsonObject
from tasks.cache.entry import Entry
from tasks.cache.identity import Identity, architecture_label

if TYPE_CHECKING:
    from pandas import DataFrame, Series


Groups = dict[str, list[Entry]]  # entries by the name of their step
Config = JsonObject  # a study's configuration
Row = JsonObject
# the columns that say which model a row is about, besides its seed
MODEL_CHOICES = ["architecture", "latent_dim", "objective"]
DEFAULT_OBJECTIVE = ObjectiveSpec().name
CONVERGENCE_COLUMNS = [
    "depth",
    "seed",
    "common_loss",
    "updates_to_common_loss",
    "flops_to_common_loss",
    "area_under_log_loss",
]
CLASSIFIER_CHOICES = [
    "scenario",
    "trained",
    "output",
    "optimizer",
    "learning_rate",
    "labels",
    "label_budget",
    *MODEL_CHOICES,
]


class ModelIdentity(NamedTuple):
    """What distinguishes a trained autoencoder from the others of its study.

    ``architecture`` and ``objective`` are names in the study; ``depth`` is 0 for networks that are
    not the written study's.
    """

    depth: int
    architecture: str
    latent_dim: int
    objective: str
    seed: int


class Tables(NamedTuple):
    """The results of one invocation.

    ``models`` has one row per autoencoder, ``transfer`` one per classifier, ``interpolation`` one
    per autoencoder whose latent walks were measured, ``convergence`` one per autoencoder of the
    depth sweep that was trained with the reported recipe, ``reported_recipe`` one per autoencoder
    that was trained with it beside the study's own. Where the mean image has a loss, ``failed``
    says of an autoencoder whether it is no better. ``n_train`` is the number of training images, 0
    if the dataset could not be prepared. ``interpolation_controls`` says for each measure of walks
    how it did on images of which it is known how real they are.
    """

    models: "DataFrame"
    transfer: "DataFrame"
    interpolation: "DataFrame"
    convergence: "DataFrame"
    reported_recipe: "DataFrame"
    config: Config
    n_train: int
    interpolation_controls: Mapping[str, GateResult] = {}

    @property
    def interpolation_gate(self) -> dict[str, bool]:
        """Whether each measure of latent walks may decide a claim on this dataset."""
        return {name: result.passes for name, result in self.interpolation_controls.items()}

    @property
    def latent_sweep(self) -> "DataFrame":
        """The autoencoders of all latent sizes at the study's depth."""
        return self._of_latent_sizes(self.models)

    @property
    def reported_latent_sweep(self) -> "DataFrame":
        """The same with the reported recipe; empty if not all latent sizes were trained with it."""
        found = self._of_latent_sizes(self.reported_recipe)
        return found if set(found.latent_dim) >= set(self.config["latent_dims"]) else found[:0]

    def _of_latent_sizes(self, found: "DataFrame") -> "DataFrame":
        swept = found.latent_dim.isin(self.config["latent_dims"])
        rows: DataFrame = found[self._of_main(found) & swept]
        return rows

    def _of_main(self, found: "DataFrame") -> "Series[bool]":
        """Which rows have the architecture and the objective of the latent sweep."""
        own = found.architecture == main_architecture(self.config)
        return own & (found.objective == main_objective(self.config))

    @property
    def depth_sweep(self) -> "DataFrame":
        """The autoencoders of all depths at one latent size."""
        found = self.architecture_sweep
        rows: DataFrame = found[found.depth.isin(self.config["depths"])]
        return rows

    @property
    def architecture_sweep(self) -> "DataFrame":
        """The autoencoders of all architectures at one latent size, in the study's order."""
        found, names = self.models, compared_architectures(self.config)
        chosen = found.architecture.isin(names) & (found.objective == main_objective(self.config))
        rows = found[chosen & (found.latent_dim == self.config["depth_latent_dim"])]
        return in_order(rows, "architecture", names)

    @property
    def objective_sweep(self) -> "DataFrame":
        """The autoencoders of all objectives at one latent size, in the study's order."""
        found, names = self.models, list(self.config.get("objectives") or {})
        chosen = found.objective.isin(names) & (
            found.architecture == main_architecture(self.config)
        )
        rows = found[chosen & (found.latent_dim == self.config["depth_latent_dim"])]
        return in_order(rows, "objective", names)

    @property
    def representation(self) -> "DataFrame":
        """The autoencoders whose latents were measured by the section ``representation``."""
        if "largest_ablation" not in self.models:
            return self.models[:0]
        return self.models[self.models.largest_ablation.notna()]

    @property
    def scenarios(self) -> "DataFrame":
        """The classifiers on the study's encoder, in the order of scenarios and label budgets."""
        found, chosen = self.transfer, self.config["transfer"]
        named = [name for name in chosen["scenarios"] if name != "ablation"]
        budgets = self._label_budgets
        own = found.architecture == transfer_architecture(self.config)
        own &= found.latent_dim == chosen["latent_dim"]
        rows = found[own & found.scenario.isin(named) & found.label_budget.isin(budgets)]
        places = [rows.scenario.map(named.index), rows.label_budget.map(budgets.index)]
        order = places[0] * len(budgets) + places[1]
        ordered: DataFrame = rows.loc[order.sort_values(kind="stable").index]
        return ordered

    @property
    def frozen(self) -> "DataFrame":
        """The classifiers on frozen encoders of all latent sizes at the study's depth.

        Only those with the largest label budget.
        """
        found, sizes = self.transfer, self.config["transfer"]["latent_dims"]
        swept = found.latent_dim.isin(self.config["latent_dims"] if sizes is None else sizes)
        own = found.architecture == main_architecture(self.config)
        chosen = (found.scenario == "head_only") & own & swept
        return found[chosen & (found.label_budget == self._largest_budget)]

    @property
    def ablation(self) -> "DataFrame":
        """The classifiers that repeat the written study's choices in every combination."""
        if "ablation" not in self.config["transfer"]["scenarios"]:
            return self.transfer[:0]
        found = self.transfer
        chosen = found.scenario.isin(["ablation", "as_reported"])
        return found[chosen & (found.label_budget == self._largest_budget)]

    @property
    def _largest_budget(self) -> LabelBudget:
        return largest_budget(self._label_budgets)

    @property
    def _label_budgets(self) -> list[LabelBudget]:
        return label_budgets(self.config, self.n_train)

    @property
    def too_large_budgets(self) -> list[int]:
        """The label budgets of the study that are more than its training images."""
        budgets = self.config.get("transfer", {}).get("label_budgets", [])
        return too_large_budgets(budgets, self.n_train) if self.n_train else []


def make_tables(groups: Groups, config: Config) -> Tables:
    """The tables of all entries; a group that is missing gives an empty table."""
    from pandas import DataFrame

    n_train = groups["data"][0].result["n_train"] if groups.get("data") else 0
    transfer = transfer_rows(groups.get("transfer", []), n_train)
    measured, limit = groups.get("realism", []), mean_image_loss(groups)

    def models(group: str) -> "DataFrame":
        rows = model_rows(groups, group)
        found = DataFrame(rows, columns=None if rows else [*MODEL_CHOICES, "depth", "seed"])
        if rows and limit is not None:
            found["failed"] = has_failed(found.final_test_loss, limit)
        return found

    return Tables(
        models("train"),
        DataFrame(transfer, columns=None if transfer else [*CLASSIFIER_CHOICES, "seed"]),
        DataFrame(interpolation_rows(measured)),
        DataFrame(convergence_of(groups, config, n_train), columns=CONVERGENCE_COLUMNS),
        models("reported_encoder"),
        config,
        n_train,
        gate([entry.result["images"] for entry in measured]),
    )


def main_architecture(config: Config) -> str:
    """The label of the architecture of the latent sweep."""
    return config.get("architecture") or f"depth {published_results.SWEEP_DEPTH}"


def transfer_architecture(config: Config) -> str:
    """The label of the architecture whose encoder is transferred."""
    return config.get("architecture") or f"depth {config['transfer']['depth']}"


def label_budgets(config: Config, n_train: int) -> list[LabelBudget]:
    """The label budgets of a study that differ; ``n_train`` is 0 if it is not known."""
    return distinct_budgets(config["transfer"]["label_budgets"], n_train)


def main_objective(config: Config) -> str:
    """The name of the objective of all models but those of the comparison of objectives."""
    return config.get("objective") or DEFAULT_OBJECTIVE


def compared_architectures(config: Config) -> list[str]:
    """The labels of the architectures that are compared at one latent size."""
    depths = [f"depth {depth}" for depth in config["depths"]]
    return [*depths, *(config.get("architectures") or {})]


def in_order(rows: "DataFrame", column: str, names: Sequence[str]) -> "DataFrame":
    """The rows in the order of the names in a column."""
    order = rows[column].map(list(names).index)
    ordered: DataFrame = rows.loc[order.sort_values(kind="stable").index]
    return ordered


def model_identity(entry: Entry) -> ModelIdentity:
    """What distinguishes an entry of the step ``train``."""
    return model_choices(entry.identity)


def model_choices(identity: Identity) -> ModelIdentity:
    """What distinguishes the autoencoder of a task of the step ``train``."""
    return ModelIdentity(
        identity.get("depth", 0),
        architecture_label(identity),
        identity["latent_dim"],
        identity.get("objective", DEFAULT_OBJECTIVE),
        identity["seed"],
    )


def classifier_choices(identity: Identity, spec: Mapping[str, object]) -> Row:
    """What distinguishes a classifier from the others of its study, with its seed."""
    named = {"architecture": architecture_label(identity), "depth": 0}
    row = named | {"objective": DEFAULT_OBJECTIVE} | dict(identity) | dict(spec)
    return {name: row[name] for name in [*CLASSIFIER_CHOICES, "seed"]}


def convergence_of(groups: Groups, config: Config, n_train: int) -> list[Row]:
    """Rows of the depth sweep with the reported recipe, which may be that of the study."""
    found = [*groups.get("train", []), *groups.get("reported_encoder", [])]
    curves = [
        curve_of(entry, n_train)
        for entry in found
        if entry.result["recipe"].items() >= published_results.TRAINING.items()
        and entry.identity.get("depth") in config["depths"]
        and entry.identity["latent_dim"] == config["depth_latent_dim"]
    ]
    return convergence_rows(curves)


def dataset_name(groups: Groups) -> str:
    """The name of a study's dataset, empty if the dataset could not be prepared."""
    return str(groups["data"][0].result["name"]) if groups.get("data") else ""


def mean_image_loss(groups: Groups) -> float | None:
    """The test loss of the mean training image for every image; None if it is unknown or zero."""
    return groups["pca"][0].result["test_loss"][0] or None if groups.get("pca") else None


def model_rows(groups: Groups, group: str = "train") -> list[Row]:
    """One row per autoencoder of a group: its measurements and the published losses."""
    extra: dict[str, Row] = {}
    for task in [*steps_of_models(), "own_measure"]:
        for entry in groups.get(task, []):
            extra.setdefault(entry.inputs["model"], {}).update(entry.result["metrics"])
    rows = []
    for entry in sorted(groups.get(group, []), key=model_identity):
        depth, architecture, latent_dim, objective, seed = model_identity(entry)
        row: Row = {"architecture": architecture, "depth": depth, "latent_dim": latent_dim}
        row |= {"objective": objective, "seed": seed}
        row |= entry.result["parameters"]
        if dataset_name(groups) == published_results.DATASET:
            on_grid = depth == published_results.SWEEP_DEPTH
            row["reported_train_loss"] = (
                published_results.TRAIN_LOSS.get(latent_dim) if on_grid else None
            )
            row["reported_test_loss"] = (
                published_results.TEST_LOSS.get(latent_dim) if on_grid else None
            )
        row |= entry.result["metrics"] | extra.get(entry.fingerprint, {})
        rows.append(row | {"seconds": entry.seconds, "key": entry.key})
    return rows


def transfer_rows(entries: Iterable[Entry], n_train: int = 0) -> list[Row]:
    """One row per classifier; those of ``as_reported`` and ``ablation`` have the published losses.

    A label budget of all ``n_train`` images or more is "all". Classifiers that differ in nothing
    else are equal, so one row stands for them.
    """
    rows: dict[tuple[object, ...], Row] = {}
    for entry in entries:
        row = classifier_choices(entry.identity, entry.result["spec"])
        (row["label_budget"],) = distinct_budgets([row["label_budget"]], n_train)
        repeats = row["scenario"] in {"as_reported", "ablation"} and row["label_budget"] == "all"
        if repeats and entry.result["dataset"] == published_results.DATASET:
            row["reported_train_loss"] = published_results.TRANSFER_TRAIN_LOSS[row["trained"]]
            row["reported_test_loss"] = published_results.TRANSFER_TEST_LOSS[row["trained"]]
        choices = tuple(row[name] for name in [*CLASSIFIER_CHOICES, "seed"])
        row |= entry.result["metrics"]
        rows.setdefault(choices, row | {"seconds": entry.seconds, "key": entry.key})
    return list(rows.values())


def interpolation_rows(entries: Iterable[Entry]) -> list[Row]:
    """One row per autoencoder: measures of its latent walks, and of other images, by their prefix.

    A measure is its mean over judges. ``kid_judge_sd`` is the standard deviation over the judges,
    if there are several. ``kid_beyond_ends`` is the value of the images between the ends of walks
    minus that of the decoded ends: what walking adds to reconstructing.
    """
    rows = []
    for entry in entries:
        images = entry.result["images"]
        row: Row = {"latent_dim": entry.result["latent_dim"], "seed": entry.result["seed"]}
        for name, measures in images.items():
            prefix = "" if name == "walk" else f"{name}_"
            row |= {f"{prefix}{measure}": mean_of_all(v) for measure, v in measures.items()}
        for measure, values in images["walk"].items():
            between, ends = row[measure], row[f"reconstructed_{measure}"]
            if between is not None and ends is not None:
                row[f"{measure}_beyond_ends"] = between - ends
                if len(values) > 1:
                    row[f"{measure}_judge_sd"] = stdev(values)
        rows.append(row)
    return rows
