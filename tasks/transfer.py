"""Step ``transfer``: a classifier on top of a trained encoder, or of a new one."""

from pathlib import Path
from typing import Any

from models.specs import ModelSpec, TransferSpec
from tasks.checkpoints import CheckpointFolder
from tasks.data import load_dataset
from tasks.step import Step
from tasks.store import Entry
from tasks.train import WEIGHTS, load_model
from tasks.workers import report, training_device


def train_transfer(
    folder: Path, checkpoints: Path, dataset: Entry, model: Entry, spec: TransferSpec
) -> dict[str, Any]:
    """Train one scenario with one label budget; test loss, accuracy and confusion matrix.

    A training that was killed continues from its newest checkpoint.

    Raises models.training.DivergedError when the loss is no number any more.
    """
    from safetensors.torch import save_file

    from models.trainers import train_classifier
    from tasks.plots import confusion_figure, save

    tensors = load_dataset(dataset)
    model_spec = ModelSpec(**model.result["spec"])
    outcome = train_classifier(
        model_spec,
        spec,
        None if spec.scenario == "from_scratch" else load_model(model).encoder,
        (tensors.train_images, tensors.train_labels),
        (tensors.test_images, tensors.test_labels),
        on_epoch=lambda epoch: report(epoch._asdict()),
        checkpoint=CheckpointFolder(checkpoints),
        device=training_device(),
    )
    save_file(outcome.classifier.state_dict(), folder / WEIGHTS)
    save(confusion_figure(outcome.confusion), folder / "confusion.png")
    last = outcome.history[-1]
    return {
        "spec": spec.model_dump(),
        "history": [epoch._asdict() for epoch in outcome.history],
        "confusion": outcome.confusion.tolist(),
        "parameters": model_spec.model_dump(),
        "metrics": {
            "final_train_loss": last.train_loss,
            "final_test_loss": last.test_loss,
            "test_accuracy": outcome.test_accuracy,
        },
    }


transfer = Step(train_transfer, "transfer", kind="transfer", settings={"spec": "transfer"})
