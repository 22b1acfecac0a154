"""A study's results as tables: one row per model."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from models.specs import LabelBudget, largest_budget
from tasks.analysis import published_results
from tasks.cache.entry import Entry

if TYPE_CHECKING:
    from pandas import DataFrame


Groups = dict[str, list[Entry]]
Row = dict[str, Any]
SHAPE = ["depth", "latent_dim"]
CHOICES = ["scenario", "trained", "output", "optimizer", "label_budget", *SHAPE]
MODEL, CLASSIFIER = [*SHAPE, "seed"], [*CHOICES, "seed"]


class Tables(NamedTuple):
    """One row per autoencoder, per classifier, and per model whose walks were measured."""

    models: "DataFrame"
    transfer: "DataFrame"
    interpolation: "DataFrame"
    config: dict[str, Any]
    n_train: int

    @property
    def latent_sweep(self) -> "DataFrame":
        """The autoencoders of all latent sizes at the study's depth."""
        found = self.models
        swept = found.latent_dim.isin(self.config["latent_dims"])
        return found[(found.depth == published_results.SWEEP_DEPTH) & swept]

    @property
    def depth_sweep(self) -> "DataFrame":
        """The autoencoders of all depths at one latent size."""
        found, size = self.models, self.config["depth_latent_dim"]
        chosen = found.depth.isin(self.config["depths"]) & (found.latent_dim == size)
        rows: DataFrame = found[chosen]
        return rows

    @property
    def scenarios(self) -> "DataFrame":
        """The classifiers on the study's encoder."""
        found, chosen = self.transfer, self.config["transfer"]
        named = [name for name in chosen["scenarios"] if name != "ablation"]
        budgets = chosen["label_budgets"]
        own = (found.depth == chosen["depth"]) & (found.latent_dim == chosen["latent_dim"])
        rows = found[own & found.scenario.isin(named) & found.label_budget.isin(budgets)]
        places = [rows.scenario.map(named.index), rows.label_budget.map(budgets.index)]
        order = places[0] * len(budgets) + places[1]
        ordered: DataFrame = rows.loc[order.sort_values(kind="stable").index]
        return ordered

    @property
    def frozen(self) -> "DataFrame":
        """The classifiers on frozen encoders of all latent sizes at the study's depth."""
        found, sizes = self.transfer, self.config["transfer"]["latent_dims"]
        swept = found.latent_dim.isin(self.config["latent_dims"] if sizes is None else sizes)
        chosen = (
            (found.scenario == "head_only") & (found.depth == published_results.SWEEP_DEPTH) & swept
        )
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
        return largest_budget(self.config["transfer"]["label_budgets"])


def make_tables(groups: Groups, config: dict[str, Any]) -> Tables:
    """The tables of everything that came out."""
    from pandas import DataFrame

    models, transfer = model_rows(groups), transfer_rows(groups.get("transfer", []))
    return Tables(
        DataFrame(models, columns=None if models else MODEL),
        DataFrame(transfer, columns=None if transfer else CLASSIFIER),
        walk_means(walk_rows(groups.get("interpolate", []))),
        config,
        groups["data"][0].result["n_train"] if groups.get("data") else 0,
    )


def model_key(entry: Entry) -> tuple[int, int, int]:
    """Depth, latent size and seed of a trained autoencoder."""
    spec = entry.result["spec"]
    return spec["depth"], spec["latent_dim"], entry.result["recipe"]["seed"]


def dataset_name(groups: Groups) -> str:
    """The dataset of a study, empty if it could not be prepared."""
    return str(groups["data"][0].result["name"]) if groups.get("data") else ""


def model_rows(groups: Groups) -> list[Row]:
    """One row per trained autoencoder, with what was measured and what was published."""
    extra: dict[str, dict[str, Any]] = {}
    for task in ("evaluate", "correlate"):
        for entry in groups.get(task, []):
            extra.setdefault(entry.inputs["model"], {}).update(entry.result["metrics"])
    rows = []
    for entry in sorted(groups.get("train", []), key=model_key):
        depth, latent_dim, seed = model_key(entry)
        row: Row = {"depth": depth, "latent_dim": latent_dim, "seed": seed}
        row |= entry.result["parameters"]
        if dataset_name(groups) == "mnist":
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


def transfer_rows(entries: Iterable[Entry]) -> list[Row]:
    """One row per classifier; published losses beside the scenario that repeats them."""
    rows = []
    for entry in entries:
        row = entry.result["architecture"] | entry.result["spec"]
        row = {name: row[name] for name in CLASSIFIER}
        as_reported = (row["scenario"], row["label_budget"]) == ("as_reported", "all")
        if as_reported and entry.result["dataset"] == "mnist":
            row["reported_train_loss"] = published_results.TRANSFER_TRAIN_LOSS[row["trained"]]
            row["reported_test_loss"] = published_results.TRANSFER_TEST_LOSS[row["trained"]]
        row |= entry.result["metrics"]
        rows.append(row | {"seconds": entry.seconds, "key": entry.key})
    return rows


def walk_rows(entries: Iterable[Entry]) -> list[Row]:
    """One row per model and pair of labels."""
    return [entry.result["parameters"] | entry.result["metrics"] for entry in entries]


def walk_means(rows: list[Row]) -> "DataFrame":
    """One row per latent size and seed: means over the pairs that the seed has at every size."""
    from pandas import DataFrame

    walks = DataFrame(rows)
    if not rows:
        return walks
    everywhere = walks.groupby("seed").latent_dim.transform("nunique")
    found = walks.groupby(["seed", "from", "to"]).latent_dim.transform("nunique")
    compared = walks[found == everywhere]
    return compared.groupby(["latent_dim", "seed"], as_index=False).mean(numeric_only=True)
