"""Step ``train``: trains an autoencoder, given a dataset, an architecture and a recipe."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from models.specs import ModelSpec, ObjectiveSpec, TrainingRecipe
from tasks.artifacts.autoencoder import WEIGHTS, weights_of
from tasks.artifacts.dataset import load_dataset
from tasks.artifacts.worker import send_event, training_device
from tasks.cache.checkpoints import CheckpointFolder
from tasks.cache.entry import Entry
from tasks.cache.step import Result, SeedStackStep

if TYPE_CHECKING:
    from torch import Tensor

    from models.fit import TrainedModel
    from models.training.loop import Epoch


EPOCH_IMAGE = "reconstructions-epoch-{:04d}.png"


def train_models(
    folder: list[Path],
    checkpoints: list[Path],
    dataset: Entry,
    spec: ModelSpec,
    recipe: list[TrainingRecipe],
    objective: ObjectiveSpec,
) -> list[Result | Exception]:
    """Train a model per recipe, write its weights beside its recipe, return its loss curves.

    The recipes differ only in their seed. A training that was killed continues from its newest
    checkpoint. The result of a model whose loss became NaN or infinite is a DivergedError.
    """
    from models.fit import train_stack
    from models.objectives.registry import make_objective

    images = load_dataset(dataset)
    shown = images.examples()
    trained = train_stack(
        spec,
        recipe[0],
        [one.seed for one in recipe],
        images.train_images,
        images.test_images,
        [partial(_send_epoch, member) for member in range(len(recipe))],
        [CheckpointFolder(path) for path in checkpoints],
        training_device(),
        shown,
        objective=make_objective(objective),
        validation_images=images.validation_images,
    )
    originals = images.test_images[shown]
    return [
        outcome.diverged or _write_model(path, spec, one, objective, outcome, originals)
        for path, one, outcome in zip(folder, recipe, trained, strict=True)
    ]


def _send_epoch(member: int, epoch: "Epoch") -> None:
    send_event(epoch._asdict() | {"member": member})


def _write_model(
    folder: Path,
    spec: ModelSpec,
    recipe: TrainingRecipe,
    objective: ObjectiveSpec,
    trained: "TrainedModel",
    originals: "Tensor",
) -> Result:
    """Write the files of one trained model and return its result."""
    from safetensors.torch import save_file

    from models.measures.flops import training_flops
    from models.networks.autoencoder import count_parameters
    from tasks.reporting.image_grids import save_image_grid

    save_file(weights_of(trained.model), folder / WEIGHTS)
    image_shape = tuple(originals.shape[1:])
    described = {
        "spec": spec.model_dump(),
        "recipe": recipe.model_dump(),
        "objective": objective.model_dump(),
        "image_shape": list(image_shape),
    }
    (folder / "spec.json").write_text(json.dumps(described, indent=1), encoding="utf-8")
    for epoch, images in trained.samples.items():  # rows of 5: MLflow shows squares
        rows = [
            row for pair in zip(originals.split(5), images.split(5), strict=True) for row in pair
        ]
        save_image_grid(rows, folder / EPOCH_IMAGE.format(epoch), scale=2)
    best = trained.best
    return {
        **described,
        "history": [epoch._asdict() for epoch in trained.history],
        "parameters": {
            "n_parameters": count_parameters(trained.model),
            "flops_per_image": training_flops(trained.model, image_shape),
        },
        "engine": trained.engine,
        "metrics": {
            "initial_test_loss": trained.initial_test_loss,
            "final_train_loss": best.train_loss,
            "final_test_loss": best.test_loss,
            "final_validation_loss": best.validation_loss,
            "best_epoch": best.epoch,
        },
    }


train = SeedStackStep(
    train_models,
    "train",
    kind="model",
    settings={"spec": "training", "recipe": "training", "objective": "objective"},
    resumable=True,
    seed_input="recipe",
)
