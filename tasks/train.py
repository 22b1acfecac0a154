"""Step ``train``: one autoencoder from a dataset, an architecture and a recipe."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.specs import ModelSpec, TrainingRecipe
from tasks.checkpoints import CheckpointFolder
from tasks.data import load_dataset
from tasks.step import Step
from tasks.store import Entry
from tasks.workers import report, training_device

if TYPE_CHECKING:
    from torch import Tensor

    from models.autoencoder import Autoencoder
    from models.trainers import TrainedModel
    from models.training import Epoch

WEIGHTS = "weights.safetensors"
EPOCH_IMAGE = "reconstructions-epoch-{:04d}.png"


def train_models(
    folder: list[Path],
    checkpoints: list[Path],
    dataset: Entry,
    spec: ModelSpec,
    recipe: list[TrainingRecipe],
) -> list[dict[str, Any] | Exception]:
    """Train a model per recipe, leave weights and recipe side by side, return the loss curves.

    The recipes differ in their seed only. A training that was killed continues from its newest
    checkpoint. For a model whose loss is no number any more there is a DivergedError.
    """
    from models.trainers import train_stack

    images = load_dataset(dataset)
    shown = images.examples()
    trained = train_stack(
        spec,
        recipe[0],
        [one.seed for one in recipe],
        images.train_images,
        images.test_images,
        [partial(_report, member) for member in range(len(recipe))],
        [CheckpointFolder(path) for path in checkpoints],
        training_device(),
        shown,
    )
    originals = images.test_images[shown]
    return [
        outcome.diverged or _keep(path, spec, one, outcome, originals)
        for path, one, outcome in zip(folder, recipe, trained, strict=True)
    ]


def _report(member: int, epoch: "Epoch") -> None:
    report(epoch._asdict() | {"member": member})


def _keep(
    folder: Path,
    spec: ModelSpec,
    recipe: TrainingRecipe,
    trained: "TrainedModel",
    originals: "Tensor",
) -> dict[str, Any]:
    """Write one trained model; its result."""
    from safetensors.torch import save_file

    from models.autoencoder import count_parameters
    from tasks.images import save_images

    save_file(trained.model.state_dict(), folder / WEIGHTS)
    described = {"spec": spec.model_dump(), "recipe": recipe.model_dump()}
    (folder / "spec.json").write_text(json.dumps(described, indent=1), encoding="utf-8")
    for epoch, images in trained.samples.items():  # MLflow shows squares
        rows = [
            row for pair in zip(originals.split(5), images.split(5), strict=True) for row in pair
        ]
        save_images(rows, folder / EPOCH_IMAGE.format(epoch), scale=2)
    last = trained.history[-1]
    return {
        **described,
        "history": [epoch._asdict() for epoch in trained.history],
        "parameters": {"n_parameters": count_parameters(trained.model)},
        "metrics": {"final_train_loss": last.train_loss, "final_test_loss": last.test_loss},
    }


def load_autoencoder(entry: Entry) -> "Autoencoder":
    """The trained autoencoder of a store entry, in evaluation mode."""
    from safetensors.torch import load_file

    from models.autoencoder import Autoencoder

    model = Autoencoder(ModelSpec(**entry.result["spec"]))
    model.load_state_dict(load_file(entry.path(WEIGHTS)))
    return model.eval()


train = Step(
    train_models,
    "train",
    kind="model",
    settings={"spec": "training", "recipe": "training"},
    seeded="recipe",
)
