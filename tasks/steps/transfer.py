"""Step ``transfer``: trains a classifier on top of a trained encoder, or of a new one."""

from pathlib import Path

from models.specs import ModelSpec, TransferSpec
from tasks.artifacts.autoencoder import WEIGHTS, load_autoencoder, weights_of
from tasks.artifacts.dataset import load_dataset
from tasks.artifacts.worker import send_event, training_device
from tasks.cache.checkpoints import CheckpointFolder
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step


def train_transfer(
    folder: Path,
    checkpoints: Path,
    dataset: Entry,
    model: Entry | None,
    architecture: ModelSpec,
    spec: TransferSpec,
) -> Result:
    """Train one scenario with one label budget: test loss, accuracy and confusion matrix.

    Without a model the encoder starts with new weights. A training that was killed continues from
    its newest checkpoint.

    Raises models.training.loop.DivergedError when the loss becomes NaN or infinite.
    """
    from pandas import DataFrame
    from safetensors.torch import save_file

    from models.fit import train_classifier
    from models.measures.classification import accuracy, confusion_matrix
    from tasks.reporting.plots import confusion_figure, save

    classes = dataset.result["classes"]
    tensors = load_dataset(dataset)
    train_labels, test_labels = tensors.labels()
    outcome = train_classifier(
        architecture,
        spec,
        None if model is None else load_autoencoder(model).encoder,
        (tensors.train_images, train_labels),
        (tensors.test_images, test_labels),
        len(classes),
        on_epoch=lambda epoch: send_event(epoch._asdict()),
        checkpoint=CheckpointFolder(checkpoints),
        device=training_device(),
    )
    save_file(weights_of(outcome.classifier), folder / WEIGHTS)
    confusion = confusion_matrix(outcome.predicted, test_labels, len(classes))
    DataFrame(confusion, index=classes, columns=classes).to_csv(folder / "confusion.csv")
    save(confusion_figure(confusion, classes), folder / "confusion.png")
    last = outcome.history[-1]
    return {
        "spec": spec.model_dump(),
        "architecture": architecture.model_dump(),
        "image_shape": list(tensors.image_shape),
        "dataset": dataset.result["name"],
        "history": [epoch._asdict() for epoch in outcome.history],
        "classes": classes,
        "confusion": confusion.tolist(),
        "metrics": {
            "final_train_loss": last.train_loss,
            "final_test_loss": last.test_loss,
            "test_accuracy": accuracy(outcome.predicted, test_labels),
            "first_gradient_norm": outcome.first_gradient_norm,
            "last_gradient_norm": outcome.last_gradient_norm,
        },
    }


transfer = Step(
    train_transfer,
    "transfer",
    kind="transfer",
    settings={"spec": "transfer", "architecture": "architecture"},
    resumable=True,
)
