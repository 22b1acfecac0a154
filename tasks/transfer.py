"""Step ``transfer``: a classifier on top of a trained encoder, or of a new one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.specs import ModelSpec, TransferSpec
from tasks.checkpoints import CheckpointFolder
from tasks.data import load_dataset
from tasks.step import Step
from tasks.store import Entry
from tasks.train import WEIGHTS, load_autoencoder
from tasks.workers import report, training_device

if TYPE_CHECKING:
    from models.classifier import Classifier


def train_transfer(
    folder: Path,
    checkpoints: Path,
    dataset: Entry,
    model: Entry | None,
    architecture: ModelSpec,
    spec: TransferSpec,
) -> dict[str, Any]:
    """Train one scenario with one label budget; test loss, accuracy and confusion matrix.

    Without a model the encoder starts from new weights. A training that was killed continues from
    its newest checkpoint.

    Raises models.training.DivergedError when the loss is no number any more.
    """
    from safetensors.torch import save_file

    from models.trainers import train_classifier
    from tasks.plots import confusion_figure, save

    tensors = load_dataset(dataset)
    train_labels, test_labels = tensors.labels()
    outcome = train_classifier(
        architecture,
        spec,
        None if model is None else load_autoencoder(model).encoder,
        (tensors.train_images, train_labels),
        (tensors.test_images, test_labels),
        on_epoch=lambda epoch: report(epoch._asdict()),
        checkpoint=CheckpointFolder(checkpoints),
        device=training_device(),
    )
    save_file(outcome.classifier.state_dict(), folder / WEIGHTS)
    save(confusion_figure(outcome.confusion), folder / "confusion.png")
    last = outcome.history[-1]
    return {
        "spec": spec.model_dump(),
        "architecture": architecture.model_dump(),
        "dataset": dataset.result["name"],
        "history": [epoch._asdict() for epoch in outcome.history],
        "confusion": outcome.confusion.tolist(),
        "metrics": {
            "final_train_loss": last.train_loss,
            "final_test_loss": last.test_loss,
            "test_accuracy": outcome.test_accuracy,
            "first_gradient_norm": outcome.first_gradient_norm,
            "last_gradient_norm": outcome.last_gradient_norm,
        },
    }


def load_classifier(entry: Entry) -> "Classifier":
    """The trained classifier of a store entry, in evaluation mode."""
    from safetensors.torch import load_file

    from models.classifier import Classifier

    spec, n_classes = ModelSpec(**entry.result["architecture"]), len(entry.result["confusion"])
    classifier = Classifier(spec, n_classes)
    classifier.load_state_dict(load_file(entry.path(WEIGHTS)))
    return classifier.eval()


transfer = Step(train_transfer, "transfer", kind="transfer", settings={"spec": "transfer"})
