"""The written study's conclusions and our own as claims, and the verdict on each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from tasks.analysis.tables import Tables
from tasks.verdicts.claim_kinds import (
    LARGER,
    SMALLER,
    Basis,
    FewerParametersClaim,
    FineTuningClaim,
    Margins,
    TrendClaim,
)
from tasks.verdicts.verdict import Verdict

if TYPE_CHECKING:
    from pandas import DataFrame


FAILED_GATE = "it does not order the controls on this dataset"
AT_THE_START = "a network has the common loss before its first update"
NO_GATE = "its controls were not measured"
LINEAR_LATENT = (
    "with a linear latent layer every invertible linear map of the latent does as well, "
    "so nothing determines how correlated its coordinates are, or how many of them are used"
)

LATENT_SIZE_CLAIMS = tuple(
    TrendClaim(
        name=f"larger_latent_lower_{part}_loss",
        claim=f"A larger latent gives a lower {part} loss.",
        quantity=f"{part} MSE",
        sign=SMALLER,
        along="latent_dim",
        column=column,
        reachable_column=f"reachable_{part}_loss",
    )
    for part, column in (("train", "evaluated_train_loss"), ("test", "final_test_loss"))
)
DEPTH_CLAIMS = (
    *(
        TrendClaim(
            name=f"deeper_lower_{part}_loss",
            claim=f"A deeper network reaches a lower final {part} loss.",
            quantity=f"{part} MSE",
            sign=SMALLER,
            along="depth",
            column=column,
            reachable_column=f"reachable_{part}_loss",
        )
        for part, column in (("train", "evaluated_train_loss"), ("test", "final_test_loss"))
    ),
    TrendClaim(
        name="deeper_fewer_parameters",
        claim="A deeper network has fewer parameters.",
        quantity="parameters",
        sign=SMALLER,
        along="depth",
        column="n_parameters",
        exact=True,
    ),
)
THREE_AGAINST_TWO = FewerParametersClaim(
    name="depth_3_fewer_parameters_lower_loss",
    claim="Depth 3 has fewer parameters than depth 2, and a lower test loss.",
    quantity="parameters, test MSE",
    sign=SMALLER,
)
CONVERGENCE_CLAIMS = (
    TrendClaim(
        name="deeper_fewer_updates",
        claim="A deeper network converges faster, in updates.",
        quantity="updates until the loss that all depths reach",
        sign=SMALLER,
        along="depth",
        column="updates_to_common_loss",
        if_zero=AT_THE_START,
    ),
    TrendClaim(
        name="deeper_fewer_operations",
        claim="A deeper network converges faster, in floating-point operations.",
        quantity="operations until the loss that all depths reach",
        sign=SMALLER,
        along="depth",
        column="flops_to_common_loss",
        if_zero=AT_THE_START,
    ),
    TrendClaim(
        name="deeper_smaller_area_under_log_loss",
        claim="A deeper network converges faster, over the whole training.",
        quantity="area under the logarithm of the loss",
        sign=SMALLER,
        along="depth",
        column="area_under_log_loss",
        unit="",
        margin=0.02,
    ),
)
# one claim of the written study by each measure of what it calls realistic
INTERPOLATION_CLAIMS = (
    TrendClaim(
        name="larger_latent_sharper_interpolation",
        claim="A larger latent gives sharper interpolations.",
        quantity="distance from the sharpness of real images, in logarithms of gradient energy",
        sign=SMALLER,
        along="latent_dim",
        column="sharpness_distance",
        unit="",
        margin=0.05,
    ),
    TrendClaim(
        name="larger_latent_sharper_between_its_ends",
        claim="A larger latent gives interpolations as sharp as their own ends.",
        quantity="distance from the sharpness of real images, minus that of the decoded ends",
        sign=SMALLER,
        along="latent_dim",
        column="sharpness_distance_beyond_ends",
        unit="",
        margin=0.05,
        source="ours",
        gated_by="sharpness_distance",
    ),
    TrendClaim(
        name="larger_latent_more_realistic_kid",
        claim="A larger latent gives more realistic interpolations, by kernel distance.",
        quantity="kernel distance (KID) from real images",
        sign=SMALLER,
        along="latent_dim",
        column="kid",
        unit="",
        margin=0.01,
    ),
    TrendClaim(
        name="larger_latent_more_realistic_precision",
        claim="A larger latent gives more realistic interpolations, by precision.",
        quantity="share of decoded images among real ones (precision)",
        sign=LARGER,
        along="latent_dim",
        column="precision",
        unit="points",
        margin=1.0,
    ),
    TrendClaim(
        name="larger_latent_more_realistic_recall",
        claim="A larger latent gives more varied interpolations, by recall.",
        quantity="share of real images among decoded ones (recall)",
        sign=LARGER,
        along="latent_dim",
        column="recall",
        unit="points",
        margin=1.0,
    ),
    TrendClaim(
        name="larger_latent_more_recognizable_interpolation",
        claim="A larger latent gives more realistic interpolations, to a classifier.",
        quantity="confidence of a classifier between the ends",
        sign=LARGER,
        along="latent_dim",
        column="confidence",
        unit="points",
        margin=1.0,
    ),
    TrendClaim(
        name="larger_latent_interpolation_nearer_real_images",
        claim="A larger latent gives more realistic interpolations, by the nearest real image.",
        quantity="distance to the nearest training image",
        sign=SMALLER,
        along="latent_dim",
        column="nearest_distance",
    ),
)
# one claim of the written study, once as it was computed there and once over live pairs
CORRELATION_CLAIMS = (
    *(
        TrendClaim(
            name=f"larger_latent_less_correlated_{pairs}",
            claim=f"A larger latent gives less correlated coordinates ({meaning}).",
            quantity="mean |Pearson correlation|",
            sign=SMALLER,
            along="latent_dim",
            column=f"mean_abs_correlation_{pairs}",
            unit="",
            margin=0.01,
        )
        for pairs, meaning in (
            ("nan_as_zero", "NaN of dead units as 0, as reported"),
            ("live", "pairs of live units"),
        )
    ),
    TrendClaim(
        name="larger_latent_larger_share_used",
        claim="A larger latent uses a larger share of its dimensions.",
        quantity="effective rank of the latent vectors / d",
        sign=LARGER,
        along="latent_dim",
        column="effective_rank_share",
        unit="points",
        margin=1.0,
        source="ours",
    ),
)
FINE_TUNING_CLAIMS = (
    FineTuningClaim(
        name="fine_tuning_beats_frozen",
        claim="Fine-tuning beats a frozen encoder.",
        quantity="test accuracy",
        sign=LARGER,
        unit="points",
        margin="accuracy",
        every_budget=False,
    ),
    FineTuningClaim(
        name="fine_tuning_beats_frozen_with_every_budget",
        claim="Fine-tuning beats a frozen encoder with every label budget.",
        quantity="test accuracy",
        sign=LARGER,
        unit="points",
        margin="accuracy",
        source="ours",
        every_budget=True,
    ),
)
FROZEN_FEATURE_CLAIM = TrendClaim(
    name="larger_latent_better_frozen_feature",
    claim="A larger latent is a better frozen feature for the classifier.",
    quantity="test accuracy",
    sign=LARGER,
    along="latent_dim",
    column="test_accuracy",
    unit="points",
    margin="accuracy",
    source="ours",
)


def judge_rows(
    latent_sweep: "DataFrame",
    depth_sweep: "DataFrame",
    convergence: "DataFrame",
    interpolation: "DataFrame",
    classifiers: "DataFrame",
    frozen: "DataFrame",
    *,
    gate: Mapping[str, bool | None],
    linear_latent: bool = False,
    with_depths: bool = True,
    basis: Basis | None = None,
) -> list[Verdict]:
    """The verdict on every claim, in the order of the written study.

    Each table has one row per model with its ``seed``; ``convergence`` has the trainings of all
    depths, ``frozen`` the classifiers on frozen encoders of several latent sizes. A claim whose
    table or column is empty is not measured.

    ``gate`` says of each measure of interpolations whether it orders images whose order is known.
    Only those that do can decide. With a ``linear_latent`` no claim about correlation can. The
    claims about depth are left out unless ``with_depths``.
    """
    by = basis or Basis()
    has_pairs = latent_sweep[latent_sweep.latent_dim > 1]  # a single coordinate has no correlation
    rotated = LINEAR_LATENT if linear_latent else ""
    of_depths = [
        *(claim.judge(depth_sweep, by) for claim in DEPTH_CLAIMS),
        THREE_AGAINST_TWO.judge(depth_sweep, by),
        *(claim.judge(convergence, by) for claim in CONVERGENCE_CLAIMS),
    ]
    return [
        *(claim.judge(latent_sweep, by) for claim in LATENT_SIZE_CLAIMS),
        *(of_depths if with_depths else []),
        *(
            claim.judge(interpolation, by, _not_measurable(gate.get(claim.measure)))
            for claim in INTERPOLATION_CLAIMS
        ),
        *(claim.judge(has_pairs, by, rotated) for claim in CORRELATION_CLAIMS),
        *(claim.judge(classifiers, by) for claim in FINE_TUNING_CLAIMS),
        FROZEN_FEATURE_CLAIM.judge(frozen, by),
    ]


def _not_measurable(passes: bool | None) -> str:
    """Why a measure of interpolations cannot decide; empty if it can."""
    if passes is None:
        return NO_GATE
    return "" if passes else FAILED_GATE


def judge_claims(tables: Tables) -> list[Verdict]:
    """The verdict on every claim, in the order of the written study, from a study's tables.

    A study that compares other networks in place of depths has no claims about depth.
    """
    config = tables.config
    sizes, depths = config["latent_dims"], config["depths"]
    frozen_sizes = config["transfer"]["latent_dims"] or sizes
    return judge_rows(
        add_empty_rows(tables.latent_sweep, "latent_dim", sizes),
        add_empty_rows(tables.depth_sweep, "depth", depths),
        add_empty_rows(tables.convergence, "depth", depths),
        add_empty_rows(tables.interpolation, "latent_dim", config["interpolation"]["latent_dims"]),
        tables.scenarios,
        add_empty_rows(tables.frozen, "latent_dim", frozen_sizes),
        gate=tables.interpolation_gate,
        linear_latent=config["training"]["latent_activation"] == "linear",
        with_depths=bool(depths or not config.get("architectures")),
        basis=Basis(
            margins=Margins.model_validate(config["margins"]),
            study=config["name"] if config.get("as_shipped") else "",
        ),
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
