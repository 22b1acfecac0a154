"""The glossary: every measure of a trained model, with its unit and where it is shown.

A measure that a step adds to its ``metrics`` is declared here once. What a step's result may hold,
the means over seeds, the columns of the report and of MLflow, and the page docs/metrics.md follow.
"""

from typing import Literal, NamedTuple

Better = Literal["lower", "higher", ""]
UNITS = "units"  # a number of latent units


class Measure(NamedTuple):
    """A number about a model: its name in MLflow and in tables, what it says, its unit.

    ``steps`` measure it, and ``better`` says which change is one for the better, if any is. With a
    ``heading`` it is a column of the report's tables of autoencoders, with ``digits`` after the
    point; ``in_view`` makes it a column of MLflow's table of them. ``headline`` is its name in the
    runs of studies, which hold its mean over seeds. One that is ``optional`` may be None, and is no
    column where it is.
    """

    name: str
    meaning: str
    unit: str
    better: Better
    steps: tuple[str, ...]
    heading: str = ""
    digits: int = 4
    in_view: bool = False
    headline: str = ""
    optional: bool = False

    @property
    def is_count(self) -> bool:
        """Whether every value is a whole number."""
        return self.unit in {UNITS, "epochs"}


def _probes(prefix: str, features: str, headline: bool = False) -> tuple[Measure, Measure]:
    """The accuracies of both probes of some features, which need labels."""
    linear, knn = f"{prefix}linear_probe_accuracy", f"{prefix}knn_accuracy"
    return (
        Measure(
            linear,
            f"test images whose class a linear probe finds from {features}",
            "share",
            "higher",
            PROBE,
            in_view=headline,
            headline=linear if headline else "",
            optional=True,
        ),
        Measure(
            knn,
            f"test images whose class the nearest training images have, by {features}",
            "share",
            "higher",
            PROBE,
            in_view=headline,
            headline=knn if headline else "",
            optional=True,
        ),
    )


MSE = "MSE per pixel"
PROBE = ("probe",)
TRAIN, EVALUATE, CORRELATE, TRANSFER = ("train",), ("evaluate",), ("correlate",), ("transfer",)
# of autoencoders; columns are in this order
MEASURES = (
    Measure(
        "initial_test_loss",
        "of the test images with the initial weights",
        MSE,
        "lower",
        TRAIN,
    ),
    Measure(
        "final_train_loss",
        "mean over the last epoch, while the weights still changed",
        MSE,
        "lower",
        TRAIN,
        in_view=True,
        headline="train_loss",
    ),
    Measure(
        "final_test_loss",
        "of the test images",
        MSE,
        "lower",
        (*TRAIN, *EVALUATE),
        in_view=True,
        headline="test_loss",
    ),
    Measure(
        "final_validation_loss",
        "of the images for validation, where there are any",
        MSE,
        "lower",
        TRAIN,
        optional=True,
    ),
    Measure("best_epoch", "the epoch whose weights are kept", "epochs", "", TRAIN),
    Measure(
        "evaluated_train_loss",
        "of the training images, with the final weights",
        MSE,
        "lower",
        EVALUATE,
    ),
    Measure(
        "pca_test_loss",
        "of PCA with as many components as the model has latent units",
        MSE,
        "lower",
        EVALUATE,
        in_view=True,
    ),
    Measure(
        "reachable_train_loss",
        "the part of evaluated_train_loss in pixels that all networks of the study reach",
        MSE,
        "lower",
        EVALUATE,
        headline="reachable_train_loss",
    ),
    Measure(
        "reachable_test_loss",
        "the part of final_test_loss in pixels that all networks of the study reach",
        MSE,
        "lower",
        EVALUATE,
        in_view=True,
        headline="reachable_test_loss",
    ),
    Measure(
        "unreachable_test_loss",
        "the part of final_test_loss in pixels that this network cannot change",
        MSE,
        "lower",
        EVALUATE,
        headline="unreachable_test_loss",
    ),
    Measure(
        "reachable_pca_test_loss",
        "the part of pca_test_loss in pixels that all networks of the study reach",
        MSE,
        "lower",
        EVALUATE,
        in_view=True,
    ),
    Measure(
        "dead_units",
        "fire on fewer than 0.1 % of the training images, or on fewer than 3",
        UNITS,
        "lower",
        EVALUATE,
        heading="dead units",
        in_view=True,
    ),
    Measure(
        "active_units",
        "of a variational autoencoder: variance of the mean above 0.01",
        UNITS,
        "higher",
        EVALUATE,
        heading="active units",
        optional=True,
    ),
    Measure("constant_units", "have one value for all training images", UNITS, "lower", EVALUATE),
    Measure(
        "mean_abs_correlation_live",
        "mean absolute Pearson correlation of pairs of live units",
        "",
        "",
        CORRELATE,
        in_view=True,
        optional=True,
    ),
    Measure(
        "mean_abs_correlation_nan_as_zero",
        "the same over all pairs, with 0 where there is none, as reported",
        "",
        "",
        CORRELATE,
        optional=True,
    ),
    Measure(
        "mean_abs_correlation_shuffled",
        "the same over pairs of live units whose values were shuffled: the floor",
        "",
        "",
        CORRELATE,
        optional=True,
    ),
    Measure(
        "effective_rank",
        "dimensions that the latent vectors of the test images fill",
        "dimensions",
        "higher",
        (*CORRELATE, *PROBE),
        in_view=True,
    ),
    Measure("effective_rank_share", "effective_rank / d", "share", "higher", CORRELATE),
    *_probes("", "the frozen latents", headline=True),
    *_probes("untrained_", "the latents of the same encoder with its initial weights"),
    *_probes("shuffled_", "the frozen latents, fitted to shuffled labels: chance"),
    *_probes("pca_", "as many principal components of the pixels"),
    *_probes("pixel_", "the pixels"),
    Measure(
        "intrinsic_dimension",
        "of the surface on which the latent vectors of test images lie, by TwoNN",
        "dimensions",
        "",
        PROBE,
        headline="intrinsic_dimension",
        optional=True,
    ),
    Measure(
        "psnr",
        "peak signal-to-noise ratio, mean over test images",
        "dB",
        "higher",
        PROBE,
        in_view=True,
        headline="psnr",
        optional=True,
    ),
    Measure(
        "ssim",
        "structural similarity, mean over test images; 1 is equal",
        "",
        "higher",
        PROBE,
        in_view=True,
        headline="ssim",
        optional=True,
    ),
    Measure(
        "largest_ablation",
        "the most that the test loss rises when a single unit is set to its mean",
        MSE,
        "",
        PROBE,
        headline="largest_ablation",
    ),
)
# of classifiers
CLASSIFIER_MEASURES = (
    Measure("final_train_loss", "mean over the last epoch", "nats", "lower", TRANSFER),
    Measure("final_test_loss", "of the test images", "nats", "lower", TRANSFER),
    Measure("test_accuracy", "test images that are classified right", "share", "higher", TRANSFER),
    Measure("first_gradient_norm", "of the last layer, before the first update", "", "", TRANSFER),
    Measure("last_gradient_norm", "the same after the last update", "", "", TRANSFER),
)


def measured_by(step: str) -> list[Measure]:
    """The measures of a step's result."""
    return [one for one in (*MEASURES, *CLASSIFIER_MEASURES) if step in one.steps]


def steps_of_models() -> list[str]:
    """The steps that measure a trained autoencoder, in the order of their measures."""
    steps = dict.fromkeys(step for one in MEASURES for step in one.steps)
    return [step for step in steps if step != "train"]
