"""The written study's conclusions as claims."""

from typing import TYPE_CHECKING

from tasks.analysis.tables import Tables
from tasks.analysis.verdicts import Verdict, compare, compare_along

if TYPE_CHECKING:
    from pandas import DataFrame


LARGER, SMALLER = 1, -1


def latent(size: object) -> str:
    """How comparisons name a latent size."""
    return f"d = {size}"


def depth(layers: object) -> str:
    """How comparisons name a depth."""
    return f"depth {layers}"


def reconstruction_verdicts(latent_sweep: "DataFrame", depth_sweep: "DataFrame") -> list[Verdict]:
    """Claims 1 and 2: what latent size and depth do to the loss."""
    return [
        Verdict(
            name="larger_latent_lower_train_loss",
            claim="A larger latent gives a lower train loss.",
            quantity="train MSE",
            sign=SMALLER,
            comparisons=compare_along(latent_sweep, "latent_dim", "final_train_loss", latent, True),
        ),
        Verdict(
            name="larger_latent_lower_test_loss",
            claim="A larger latent gives a lower test loss.",
            quantity="test MSE",
            sign=SMALLER,
            comparisons=compare_along(latent_sweep, "latent_dim", "final_test_loss", latent, True),
        ),
        Verdict(
            name="deeper_lower_loss",
            claim="A deeper network reaches a lower final loss.",
            quantity="test MSE",
            sign=SMALLER,
            comparisons=compare_along(depth_sweep, "depth", "final_test_loss", depth, True),
        ),
        Verdict(
            name="deeper_faster_convergence",
            claim="A deeper network converges faster.",
            quantity="epochs until the test loss is within 10 % of its last",
            sign=SMALLER,
            comparisons=compare_along(depth_sweep, "depth", "epochs_to_converge", depth, False),
        ),
        Verdict(
            name="deeper_fewer_parameters",
            claim="A deeper network has fewer parameters.",
            quantity="parameters",
            sign=SMALLER,
            comparisons=tuple(
                one.model_copy(update={"low": one.change, "high": one.change, "exact": True})
                for one in compare_along(depth_sweep, "depth", "n_parameters", depth, True)
            ),
        ),
    ]


def interpolation_verdicts(walks: "DataFrame") -> list[Verdict]:
    """Claim 3: sharper and more realistic images; ``walks`` holds one row per model."""
    sharper = compare_along(walks, "latent_dim", "sharpness", latent, True)
    likely = compare_along(walks, "latent_dim", "confidence", latent, False)
    near = compare_along(walks, "latent_dim", "nearest_distance", latent, True)
    return [
        Verdict(
            name="larger_latent_sharper_interpolation",
            claim="A larger latent gives sharper interpolations.",
            quantity="gradient energy between the ends, relative to real images",
            sign=LARGER,
            comparisons=sharper,
        ),
        Verdict(
            name="larger_latent_more_recognizable_interpolation",
            claim="A larger latent gives more realistic interpolations, to a classifier.",
            quantity="confidence of a classifier between the ends",
            sign=LARGER,
            comparisons=likely,
        ),
        Verdict(
            name="larger_latent_interpolation_nearer_real_images",
            claim="A larger latent gives more realistic interpolations, by the nearest real image.",
            quantity="distance to the nearest training image",
            sign=SMALLER,
            comparisons=near,
        ),
    ]


def correlation_verdicts(latent_sweep: "DataFrame") -> list[Verdict]:
    """Claim 4, once as the written study computed it and once over live pairs."""
    pairs = latent_sweep[latent_sweep.latent_dim > 1]  # a single coordinate has none
    ways = {"nan_as_zero": "NaN of dead units as 0, as reported", "live": "pairs of live units"}
    return [
        Verdict(
            name=f"larger_latent_less_correlated_{way}",
            claim=f"A larger latent gives less correlated coordinates ({meaning}).",
            quantity="mean |Pearson correlation|",
            sign=SMALLER,
            comparisons=compare_along(
                pairs, "latent_dim", f"mean_abs_correlation_{way}", latent, False
            ),
        )
        for way, meaning in ways.items()
    ]


def transfer_verdicts(classifiers: "DataFrame", frozen: "DataFrame") -> list[Verdict]:
    """Claims 5 and 6. ``frozen`` holds classifiers on frozen encoders of several latent sizes."""
    pairs = []
    wanted = classifiers[classifiers.scenario.isin(["head_only", "fine_tune"])]
    for budget, rows in wanted.groupby("label_budget", sort=False):
        table = rows.pivot(index="seed", columns="scenario", values="test_accuracy")
        table = table.reindex(columns=["head_only", "fine_tune"])
        label = f"{budget} labels: frozen to fine-tuned"
        pairs.append(compare(label, table.head_only, table.fine_tune, False))
    return [
        Verdict(
            name="fine_tuning_beats_frozen",
            claim="Fine-tuning beats a frozen encoder.",
            quantity="test accuracy",
            sign=LARGER,
            comparisons=tuple(pairs),
        ),
        Verdict(
            name="larger_latent_better_frozen_feature",
            claim="A larger latent is a better frozen feature for the classifier.",
            quantity="test accuracy",
            sign=LARGER,
            comparisons=compare_along(frozen, "latent_dim", "test_accuracy", latent, False),
        ),
    ]


def judge_claims(tables: Tables) -> list[Verdict]:
    """The verdict on every conclusion of the written study, in its order."""
    config = tables.config
    sizes, walked = config["latent_dims"], config["interpolation"]["latent_dims"]
    latent_sweep = with_gaps(tables.latent_sweep, "latent_dim", sizes)
    depth_sweep = with_gaps(tables.depth_sweep, "depth", config["depths"])
    frozen = with_gaps(tables.frozen, "latent_dim", config["transfer"]["latent_dims"] or sizes)
    return [
        *reconstruction_verdicts(latent_sweep, depth_sweep),
        *interpolation_verdicts(with_gaps(tables.interpolation, "latent_dim", walked)),
        *correlation_verdicts(latent_sweep),
        *transfer_verdicts(tables.scenarios, frozen),
    ]


def with_gaps(rows: "DataFrame", column: str, wanted: list[int]) -> "DataFrame":
    """Rows with an empty one for each wanted value that has none, so that no claim skips it."""
    from pandas import DataFrame, concat

    missing = [value for value in wanted if len(rows) and value not in set(rows[column])]
    if not missing:
        return rows
    empty = DataFrame({column: missing, "seed": rows.seed.iloc[0]})
    return concat([rows, empty], ignore_index=True)
