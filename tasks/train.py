"""Step ``train``: one autoencoder from a dataset, an architecture and a recipe."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.specs import ModelSpec, TrainingRecipe
from tasks.checkpoints import CheckpointFolder
from tasks.data import load_dataset
from tasks.step import Step
from tasks.store import Entry
from tasks.workers import report

if TYPE_CHECKING:
    from models.autoencoder import Autoencoder

WEIGHTS = "weights.safetensors"


def train_model(
    folder: Path, checkpoints: Path, dataset: Entry, spec: ModelSpec, recipe: TrainingRecipe
) -> dict[str, Any]:
    """Train, leave weights and recipe side by side, return the loss curves.

    A training that was killed continues from its newest checkpoint.

    Raises models.training.DivergedError when the loss is no number any more.
    """
    from safetensors.torch import save_file

    from models.autoencoder import count_parameters
    from models.trainers import train_autoencoder

    images = load_dataset(dataset)
    model, history = train_autoencoder(
        spec,
        recipe,
        images.train_images,
        images.test_images,
        on_epoch=lambda epoch: report(epoch._asdict()),
        checkpoint=CheckpointFolder(checkpoints),
    )
    save_file(model.state_dict(), folder / WEIGHTS)
    described = {"spec": spec.model_dump(), "recipe": recipe.model_dump()}
    (folder / "spec.json").write_text(json.dumps(described, indent=1), encoding="utf-8")
    return {
        **described,
        "history": [epoch._asdict() for epoch in history],
        "parameters": {"n_parameters": count_parameters(model)},
        "metrics": {
            "final_train_loss": history[-1].train_loss,
            "final_test_loss": history[-1].test_loss,
        },
    }


def load_model(entry: Entry) -> "Autoencoder":
    """The trained autoencoder of a store entry, in evaluation mode."""
    from safetensors.torch import load_file

    from models.autoencoder import Autoencoder

    model = Autoencoder(ModelSpec(**entry.result["spec"]))
    model.load_state_dict(load_file(entry.path(WEIGHTS)))
    return model.eval()


train = Step(
    train_model, "train", kind="model", settings={"spec": "training", "recipe": "training"}
)
