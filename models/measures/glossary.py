"""The glossary: every measure of a trained model, with its unit and where it is shown.

A measure that a step adds to its ``metrics`` is declared here once. What a step's result may hold,
the means over seeds, the columns of the report and of MLflow, what claims can be about, and the
page docs/metrics.md follow.
"""

from typing import Any, Literal, NamedTuple

Better = Literal["lower", "higher", ""]
# how a change is shown: relative, in percentage points, or as a difference
Unit = Literal["", "%", "points"]
Table = Literal["models", "transfer", "interpolation", "convergence"]
# a margin in the unit of changes, or the name of the setting in `margins` that holds it
Margin = float | Literal["relative", "accuracy"]
UNITS = "units"  # a number of latent units
SHARE = "share"


class Measure(NamedTuple):
    """A number about a model: its name in MLflow and in tables, what it says, its unit.

    ``steps`` measure it, and ``better`` says which change is one for the better, if any is. With a
    ``heading`` it is a column of the report's tables of autoencoders, with ``digits`` after the
    point; ``in_view`` makes it a column of MLflow's table of them. ``headline`` is its name in the
    runs of studies, which hold its mean over seeds. One that is ``optional`` may be None, and is no
    column where it is.

    Claims ask for it as ``quantity``. ``smallest_change`` is the margin of changes that matter.
    ``reachable`` is the same over pixels that all networks reach. ``gate`` is the measure of walks
    whose controls decide whether it says anything. Where ``if_zero`` is given, a value of zero
    leaves nothing to compare, for that reason. Sentences call it ``in_words``. One
    ``of_coordinates`` depends on the basis of the latent space. An ``exact`` one is the same for
    every seed.
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
    asked_as: str = ""
    phrase: str = ""
    smallest_change: Margin | None = None
    reachable: str = ""
    gate: str = ""
    if_zero: str = ""
    of_coordinates: bool = False
    exact: bool = False

    @property
    def quantity(self) -> str:
        """Its name wherever one number of a trained model is asked for."""
        return self.asked_as or self.headline or self.name

    @property
    def in_words(self) -> str:
        """Its name in sentences."""
        return self.phrase or self.quantity.removeprefix("n_").replace("_", " ")

    @property
    def compared_in(self) -> Unit:
        """How its changes are shown."""
        if self.unit == SHARE:
            return "points"
        return "%" if self.unit in RELATIVE else ""

    @property
    def margin(self) -> Margin:
        """The smallest change that matters; 0 if none is known."""
        if self.smallest_change is not None:
            return self.smallest_change
        defaults: dict[Unit, Margin] = {"%": "relative", "points": 1.0, "": 0.0}
        return defaults[self.compared_in]

    @property
    def is_count(self) -> bool:
        """Whether every value is a whole number."""
        return self.unit in {UNITS, "epochs"}


MSE, NATS, DIMENSIONS = "MSE per pixel", "nats", "dimensions"
PARAMETERS, UPDATES, OPERATIONS = "parameters", "updates", "floating-point operations"
DISTANCE = "root mean square per pixel"
RELATIVE = {MSE, NATS, DIMENSIONS, PARAMETERS, UPDATES, OPERATIONS, DISTANCE}
PROBE = ("probe",)
TRAIN, EVALUATE, CORRELATE, TRANSFER = ("train",), ("evaluate",), ("correlate",), ("transfer",)


def _probes(prefix: str, features: str, headline: bool = False) -> tuple[Measure, ...]:
    """The accuracies of both probes of some features, which need labels."""
    meanings = {
        f"{prefix}linear_probe_accuracy": f"a linear probe finds from {features}",
        f"{prefix}knn_accuracy": f"the nearest training images have, by {features}",
    }
    return tuple(
        Measure(
            name,
            f"test images whose class {meaning}",
            SHARE,
            "higher",
            PROBE,
            in_view=headline,
            headline=name if headline else "",
            optional=True,
            smallest_change="accuracy",
        )
        for name, meaning in meanings.items()
    )


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
        reachable="reachable_test_loss",
    ),
    Measure(
        "final_validation_loss",
        "of the images for validation, where there are any",
        MSE,
        "lower",
        TRAIN,
        headline="validation_loss",
        optional=True,
    ),
    Measure("best_epoch", "the epoch whose weights are kept", "epochs", "", TRAIN),
    Measure(
        "evaluated_train_loss",
        "of the training images, with the final weights",
        MSE,
        "lower",
        EVALUATE,
        phrase="train loss",
        reachable="reachable_train_loss",
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
        phrase="mean |Pearson correlation| of live units",
        smallest_change=0.01,
        of_coordinates=True,
    ),
    Measure(
        "mean_abs_correlation_nan_as_zero",
        "the same over all pairs, with 0 where there is none, as reported",
        "",
        "",
        CORRELATE,
        optional=True,
        phrase="mean |Pearson correlation|",
        smallest_change=0.01,
        of_coordinates=True,
    ),
    Measure(
        "mean_abs_correlation_shuffled",
        "the same over pairs of live units whose values were shuffled: the floor",
        "",
        "",
        CORRELATE,
        optional=True,
        smallest_change=0.01,
        of_coordinates=True,
    ),
    Measure(
        "effective_rank",
        "dimensions that the latent vectors of the test images fill",
        DIMENSIONS,
        "higher",
        (*CORRELATE, *PROBE),
        in_view=True,
        of_coordinates=True,
    ),
    Measure(
        "effective_rank_share",
        "effective_rank / d",
        SHARE,
        "higher",
        CORRELATE,
        phrase="share of the dimensions used",
        of_coordinates=True,
    ),
    *_probes("", "the frozen latents", headline=True),
    *_probes("untrained_", "the latents of the same encoder with its initial weights"),
    *_probes("shuffled_", "the frozen latents, fitted to shuffled labels: chance"),
    *_probes("pca_", "as many principal components of the pixels"),
    *_probes("pixel_", "the pixels"),
    Measure(
        "intrinsic_dimension",
        "of the surface on which the latent vectors of test images lie, by TwoNN",
        DIMENSIONS,
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
        smallest_change=0.1,
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
        smallest_change=0.005,
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
# of autoencoders, known before they are trained
SIZE_MEASURES = (
    Measure("n_parameters", "of the whole network", PARAMETERS, "lower", TRAIN, exact=True),
)
# of classifiers
CLASSIFIER_MEASURES = (
    Measure(
        "final_train_loss",
        "mean over the last epoch",
        NATS,
        "lower",
        TRANSFER,
        asked_as="classifier_train_loss",
    ),
    Measure(
        "final_test_loss",
        "of the test images",
        NATS,
        "lower",
        TRANSFER,
        asked_as="classifier_test_loss",
    ),
    Measure(
        "test_accuracy",
        "test images that are classified right",
        SHARE,
        "higher",
        TRANSFER,
        smallest_change="accuracy",
    ),
    Measure("first_gradient_norm", "of the last layer, before the first update", "", "", TRANSFER),
    Measure("last_gradient_norm", "the same after the last update", "", "", TRANSFER),
)


def _of_walks(name: str, meaning: str, unit: str, better: Better, **more: Any) -> Measure:
    named: dict[str, Any] = {"asked_as": f"walk_{name}", "phrase": meaning}
    return Measure(name, meaning, unit, better, ("realism",), **named, **more)


# of decoded walks between latent vectors
WALK_MEASURES = (
    _of_walks(
        "sharpness_distance",
        "distance from the sharpness of real images",
        "logarithm of gradient energy",
        "lower",
        smallest_change=0.05,
        gate="sharpness_distance",
    ),
    _of_walks(
        "sharpness_distance_beyond_ends",
        "distance from the sharpness of real images, minus that of the decoded ends",
        "logarithm of gradient energy",
        "lower",
        smallest_change=0.05,
        gate="sharpness_distance",
    ),
    _of_walks(
        "kid",
        "kernel distance (KID) from real images",
        "",
        "lower",
        smallest_change=0.01,
        gate="kid",
    ),
    _of_walks("precision", "decoded images among real ones", SHARE, "higher", gate="precision"),
    _of_walks(
        "recall", "share of real images among decoded ones (recall)", SHARE, "higher", gate="recall"
    ),
    _of_walks(
        "confidence",
        "confidence of a classifier between the ends",
        SHARE,
        "higher",
        gate="confidence",
    ),
    _of_walks(
        "nearest_distance",
        "distance to the nearest training image",
        DISTANCE,
        "lower",
        gate="nearest_distance",
    ),
)
AT_THE_START = "a network has the common loss before its first update"
# of autoencoders of several depths, trained with the reported recipe
CONVERGENCE_MEASURES = (
    Measure(
        "updates_to_common_loss",
        "until the loss that all depths reach",
        UPDATES,
        "lower",
        TRAIN,
        phrase="updates until the loss that all depths reach",
        if_zero=AT_THE_START,
    ),
    Measure(
        "flops_to_common_loss",
        "until the loss that all depths reach",
        OPERATIONS,
        "lower",
        TRAIN,
        phrase="operations until the loss that all depths reach",
        if_zero=AT_THE_START,
    ),
    Measure(
        "area_under_log_loss",
        "area under the logarithm of the test loss, by epoch",
        "",
        "lower",
        TRAIN,
        phrase="area under the logarithm of the loss",
        smallest_change=0.02,
    ),
)
TABLES: dict[Table, tuple[Measure, ...]] = {
    "models": (*MEASURES, *SIZE_MEASURES),
    "transfer": CLASSIFIER_MEASURES,
    "interpolation": WALK_MEASURES,
    "convergence": CONVERGENCE_MEASURES,
}


def quantities() -> dict[str, tuple[Table, Measure]]:
    """What can be asked of a trained model: the table that holds it and the measure, by name."""
    return {one.quantity: (table, one) for table, found in TABLES.items() for one in found}


def measured_by(step: str) -> list[Measure]:
    """The measures of a step's result."""
    return [one for one in (*MEASURES, *CLASSIFIER_MEASURES) if step in one.steps]


def steps_of_models() -> list[str]:
    """The steps that measure a trained autoencoder, in the order of their measures."""
    steps = dict.fromkeys(step for one in MEASURES for step in one.steps)
    return [step for step in steps if step != "train"]
