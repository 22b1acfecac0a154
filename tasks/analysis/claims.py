"""The written study's conclusions as claims, and the verdict on each."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tasks.analysis.tables import Tables
from tasks.analysis.verdicts import Verdict, compare, compare_neighbours

if TYPE_CHECKING:
    from pandas import DataFrame


LARGER, SMALLER = 1, -1
LABELS = {"latent_dim": "d = {}", "depth": "depth {}"}


@dataclass(frozen=True, kw_only=True)
class TrendClaim:
    """A claim that a quantity changes in one direction from each latent size or depth to the next.

    ``column`` holds the quantity and ``along`` what it is compared along. A ``relative`` change is
    one in per cent. An ``exact`` quantity is a count that is the same for every seed.
    """

    name: str
    claim: str
    quantity: str
    sign: int
    along: Literal["latent_dim", "depth"]
    column: str
    relative: bool
    exact: bool = False

    def judge(self, rows: "DataFrame") -> Verdict:
        """The verdict that follows from ``rows``, one row per model with its ``seed``."""
        found = compare_neighbours(rows, self.along, self.column, LABELS[self.along], self.relative)
        if self.exact:
            found = tuple(
                one.model_copy(update={"low": one.change, "high": one.change, "exact": True})
                for one in found
            )
        return Verdict(
            name=self.name,
            claim=self.claim,
            quantity=self.quantity,
            sign=self.sign,
            comparisons=found,
        )


LATENT_SIZE_CLAIMS = (
    TrendClaim(
        name="larger_latent_lower_train_loss",
        claim="A larger latent gives a lower train loss.",
        quantity="train MSE",
        sign=SMALLER,
        along="latent_dim",
        column="final_train_loss",
        relative=True,
    ),
    TrendClaim(
        name="larger_latent_lower_test_loss",
        claim="A larger latent gives a lower test loss.",
        quantity="test MSE",
        sign=SMALLER,
        along="latent_dim",
        column="final_test_loss",
        relative=True,
    ),
)
DEPTH_CLAIMS = (
    TrendClaim(
        name="deeper_lower_loss",
        claim="A deeper network reaches a lower final loss.",
        quantity="test MSE",
        sign=SMALLER,
        along="depth",
        column="final_test_loss",
        relative=True,
    ),
    TrendClaim(
        name="deeper_faster_convergence",
        claim="A deeper network converges faster.",
        quantity="epochs until the test loss is within 10 % of its last",
        sign=SMALLER,
        along="depth",
        column="epochs_to_converge",
        relative=False,
    ),
    TrendClaim(
        name="deeper_fewer_parameters",
        claim="A deeper network has fewer parameters.",
        quantity="parameters",
        sign=SMALLER,
        along="depth",
        column="n_parameters",
        relative=True,
        exact=True,
    ),
)
INTERPOLATION_CLAIMS = (
    TrendClaim(
        name="larger_latent_sharper_interpolation",
        claim="A larger latent gives sharper interpolations.",
        quantity="gradient energy between the ends, relative to real images",
        sign=LARGER,
        along="latent_dim",
        column="sharpness",
        relative=True,
    ),
    TrendClaim(
        name="larger_latent_more_recognizable_interpolation",
        claim="A larger latent gives more realistic interpolations, to a classifier.",
        quantity="confidence of a classifier between the ends",
        sign=LARGER,
        along="latent_dim",
        column="confidence",
        relative=False,
    ),
    TrendClaim(
        name="larger_latent_interpolation_nearer_real_images",
        claim="A larger latent gives more realistic interpolations, by the nearest real image.",
        quantity="distance to the nearest training image",
        sign=SMALLER,
        along="latent_dim",
        column="nearest_distance",
        relative=True,
    ),
)
# one claim of the written study, once as it was computed there and once over live pairs
CORRELATION_CLAIMS = tuple(
    TrendClaim(
        name=f"larger_latent_less_correlated_{pairs}",
        claim=f"A larger latent gives less correlated coordinates ({meaning}).",
        quantity="mean |Pearson correlation|",
        sign=SMALLER,
        along="latent_dim",
        column=f"mean_abs_correlation_{pairs}",
        relative=False,
    )
    for pairs, meaning in (
        ("nan_as_zero", "NaN of dead units as 0, as reported"),
        ("live", "pairs of live units"),
    )
)
FROZEN_FEATURE_CLAIM = TrendClaim(
    name="larger_latent_better_frozen_feature",
    claim="A larger latent is a better frozen feature for the classifier.",
    quantity="test accuracy",
    sign=LARGER,
    along="latent_dim",
    column="test_accuracy",
    relative=False,
)


def fine_tuning_verdict(classifiers: "DataFrame") -> Verdict:
    """Whether fine-tuning beats a frozen encoder with every label budget.

    ``classifiers`` has one row per classifier: scenario, label_budget, seed, test_accuracy.
    """
    comparisons = []
    wanted = classifiers[classifiers.scenario.isin(["head_only", "fine_tune"])]
    for budget, rows in wanted.groupby("label_budget", sort=False):
        table = rows.pivot(index="seed", columns="scenario", values="test_accuracy")
        table = table.reindex(columns=["head_only", "fine_tune"])
        label = f"{budget} labels: frozen to fine-tuned"
        comparisons.append(compare(label, table.head_only, table.fine_tune, False))
    return Verdict(
        name="fine_tuning_beats_frozen",
        claim="Fine-tuning beats a frozen encoder.",
        quantity="test accuracy",
        sign=LARGER,
        comparisons=tuple(comparisons),
    )


def judge_rows(
    latent_sweep: "DataFrame",
    depth_sweep: "DataFrame",
    interpolation: "DataFrame",
    classifiers: "DataFrame",
    frozen: "DataFrame",
) -> list[Verdict]:
    """The verdict on every conclusion of the written study, in its order.

    Each table has one row per model with its ``seed``; ``frozen`` has the classifiers on frozen
    encoders of several latent sizes. A claim whose table or column is empty is not measured.
    """
    has_pairs = latent_sweep[latent_sweep.latent_dim > 1]  # a single coordinate has no correlation
    return [
        *(claim.judge(latent_sweep) for claim in LATENT_SIZE_CLAIMS),
        *(claim.judge(depth_sweep) for claim in DEPTH_CLAIMS),
        *(claim.judge(interpolation) for claim in INTERPOLATION_CLAIMS),
        *(claim.judge(has_pairs) for claim in CORRELATION_CLAIMS),
        fine_tuning_verdict(classifiers),
        FROZEN_FEATURE_CLAIM.judge(frozen),
    ]


def judge_claims(tables: Tables) -> list[Verdict]:
    """The verdict on every conclusion of the written study, in its order, from a study's tables."""
    config = tables.config
    sizes, interpolated = config["latent_dims"], config["interpolation"]["latent_dims"]
    frozen_sizes = config["transfer"]["latent_dims"] or sizes
    return judge_rows(
        add_empty_rows(tables.latent_sweep, "latent_dim", sizes),
        add_empty_rows(tables.depth_sweep, "depth", config["depths"]),
        add_empty_rows(tables.interpolation, "latent_dim", interpolated),
        tables.scenarios,
        add_empty_rows(tables.frozen, "latent_dim", frozen_sizes),
    )


def add_empty_rows(rows: "DataFrame", column: str, wanted: list[int]) -> "DataFrame":
    """The rows and an empty row for each wanted value of the column that has none.

    Without it a claim would compare the neighbours of a missing value with each other.
    """
    from pandas import DataFrame, concat

    missing = [value for value in wanted if len(rows) and value not in set(rows[column])]
    if not missing:
        return rows
    empty = DataFrame({column: missing, "seed": rows.seed.iloc[0]})
    return concat([rows, empty], ignore_index=True)
