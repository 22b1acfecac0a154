"""Which classifiers a study trains."""

from pydantic import Field

from models.specs import (
    Depth,
    LabelBudget,
    LatentDim,
    LearningRate,
    Scenario,
    TransferOptions,
)


class TransferConfig(TransferOptions):
    """Classifiers that use the encoder of an autoencoder."""

    scenarios: tuple[Scenario, ...] = Field(
        ("head_only", "fine_tune", "from_scratch", "as_reported", "ablation"),
        strict=False,
        description="`head_only` trains the head on a frozen encoder; `fine_tune` trains both; "
        "`from_scratch` trains both from new weights; `as_reported` trains as the written study "
        "may have, which names no optimizer, learning rate, batch size or epochs; `ablation` "
        "varies its mistake and the inferred choices. An empty list leaves the section out.",
    )
    label_budgets: tuple[LabelBudget, ...] = Field(
        (100, 1000, "all"),
        strict=False,
        min_length=1,
        description="Numbers of labelled images to train on; all images if there are fewer.",
    )
    reported_epochs: int = Field(
        2,
        ge=1,
        le=10_000,
        description="Epochs of `as_reported` and `ablation`, or more to reach `minimum_updates`; "
        "longer training slowly gets better than chance.",
    )
    ablation_learning_rates: tuple[LearningRate, ...] = Field(
        (1e-4, 1e-3, 1e-2, 1e-1),
        strict=False,
        min_length=1,
        description="Learning rates of `ablation`, each with every output, optimizer and trained "
        "part; shuffled labels have the rate of `as_reported` only.",
    )
    depth: Depth | None = Field(
        3,
        description="Number of convolution layers in the encoder; null with `architectures`, where "
        "`architecture` says which one is used.",
    )
    latent_dim: LatentDim = Field(20, description="Latent size of the encoder.")
    latent_dims: tuple[LatentDim, ...] | None = Field(
        None,
        strict=False,
        description="Latent sizes at depth 2 that `head_only` compares; null: those of the study.",
    )
