"""The training loops: whole dataset in memory, shuffled by generator, no per-sample Python."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR

from models.autoencoder import Autoencoder, Encoder, initialize
from models.classifier import Classifier
from models.metrics import confusion_matrix
from models.specs import LabelBudget, ModelSpec, TrainingRecipe, TransferSpec

EVALUATION_BATCH = 2_000


class DivergedError(ArithmeticError):
    """The loss is no finite number any more."""


class Epoch(NamedTuple):
    """What one epoch left: losses are MSE per pixel, or cross entropy in nats."""

    epoch: int
    epochs: int
    train_loss: float
    test_loss: float
    learning_rate: float


OnEpoch = Callable[[Epoch], Any]


class Snapshot(NamedTuple):
    """A training between two epochs: tensors by name, and JSON data."""

    tensors: dict[str, Tensor]
    data: dict[str, Any]

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return int(self.data["epoch"])


class Checkpoint(Protocol):
    """Where a training keeps its newest snapshot."""

    def save(self, snapshot: Snapshot) -> None:
        """Keep this snapshot in place of the one before."""

    def load(self) -> Snapshot | None:
        """The newest snapshot, None if there is none."""


def as_input(images: Tensor) -> Tensor:
    """Images (n, 28, 28) uint8 to model input (n, 1, 28, 28) float32 in [0, 1]."""
    return images.unsqueeze(1).float().div_(255)


def make_optimizer(name: str, parameters: list[nn.Parameter], learning_rate: float) -> Optimizer:
    """torch's optimizer of that name with torch's defaults, fused into one kernel."""
    if name == "sgd":
        return SGD(parameters, learning_rate, fused=True)
    return {"adam": Adam, "adamw": AdamW}[name](parameters, learning_rate, fused=True)


def make_schedule(recipe: TrainingRecipe, optimizer: Optimizer, updates: int) -> LRScheduler | None:
    """The recipe's learning rate schedule over ``updates`` steps; None if constant."""
    if recipe.schedule == "one_cycle":
        return OneCycleLR(optimizer, max_lr=recipe.learning_rate, total_steps=updates)
    if recipe.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=updates)
    return None


@dataclass
class _Training:
    """All that moves while a model is trained; ``generator`` is its only source of randomness.

    ``train_mode`` puts the model into training mode, which testing leaves.
    """

    model: nn.Module
    train_mode: Callable[[], Any]
    optimizer: Optimizer
    generator: torch.Generator
    schedule: LRScheduler | None = None
    epoch: int = 0
    history: list[Epoch] = field(default_factory=list)

    def snapshot(self) -> Snapshot:
        """Everything that an undisturbed continuation needs, bit for bit."""
        optimizer = self.optimizer.state_dict()
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        for index, slots in optimizer["state"].items():
            tensors |= {f"optimizer/{index}/{name}": value for name, value in slots.items()}
        tensors["generator"] = self.generator.get_state()
        data = {
            "epoch": self.epoch,
            "history": [list(epoch) for epoch in self.history],
            "param_groups": optimizer["param_groups"],
            "schedule": self.schedule.state_dict() if self.schedule else None,
        }
        return Snapshot({k: v for k, v in tensors.items() if v is not None}, data)

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot of the same training."""
        model: dict[str, Tensor] = {}
        slots: dict[int, dict[str, Tensor]] = {}
        for name, tensor in snapshot.tensors.items():
            part, _, rest = name.partition("/")
            if part == "model":
                model[rest] = tensor
            elif part == "optimizer":
                index, slot = rest.split("/")
                slots.setdefault(int(index), {})[slot] = tensor
        self.model.load_state_dict(model)
        groups = snapshot.data["param_groups"]
        self.optimizer.load_state_dict({"state": slots, "param_groups": groups})
        self.generator.set_state(snapshot.tensors["generator"])
        if self.schedule is not None:
            self.schedule.load_state_dict(snapshot.data["schedule"])
        self.epoch = snapshot.epoch
        self.history = [Epoch(*values) for values in snapshot.data["history"]]

    def fit(
        self,
        images: Tensor,
        batch_size: int,
        epochs: int,
        loss_of: Callable[[Tensor, Tensor], Tensor],
        test_loss_of: Callable[[], float],
        on_epoch: OnEpoch,
        checkpoint: Checkpoint | None,
        test_every: int = 1,
    ) -> list[Epoch]:
        """Train to the last epoch, from the newest snapshot if there is one.

        ``loss_of`` takes a batch and its indices; it is averaged over the images as the weights
        move. The test loss is measured, and a snapshot kept, behind every ``test_every`` epochs
        and behind the last. Raises DivergedError when a loss is NaN or infinite.
        """
        snapshot = checkpoint.load() if checkpoint else None
        if snapshot is not None:
            self.restore(snapshot)
            on_epoch(self.history[-1])
        while self.epoch < epochs:
            self.epoch += 1
            rate = self.optimizer.param_groups[0]["lr"]
            loss = _finite(self._pass(images, batch_size, loss_of), self.epoch, rate)
            if self.epoch % test_every and self.epoch != epochs:
                continue
            test_loss = _finite(test_loss_of(), self.epoch, rate)
            self.history.append(Epoch(self.epoch, epochs, loss, test_loss, rate))
            if checkpoint is not None:
                checkpoint.save(self.snapshot())
            on_epoch(self.history[-1])
        return self.history

    def _pass(
        self, images: Tensor, batch_size: int, loss_of: Callable[[Tensor, Tensor], Tensor]
    ) -> float:
        """One shuffled pass of updates; mean loss per image as the weights moved."""
        self.train_mode()
        total = torch.zeros(())
        for index in torch.randperm(len(images), generator=self.generator).split(batch_size):
            loss = loss_of(as_input(images[index]), index)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            if self.schedule is not None:
                self.schedule.step()
            total += loss.detach() * len(index)
        return total.item() / len(images)


def _finite(value: float, epoch: int, learning_rate: float) -> float:
    if not math.isfinite(value):
        raise DivergedError(f"diverged at epoch {epoch}, learning rate {learning_rate:g}")
    return value


def train_autoencoder(
    spec: ModelSpec,
    recipe: TrainingRecipe,
    train_images: Tensor,
    test_images: Tensor,
    on_epoch: OnEpoch = lambda epoch: None,
    checkpoint: Checkpoint | None = None,
) -> tuple[Autoencoder, list[Epoch]]:
    """Train one autoencoder on images (n, 28, 28) uint8 by mean squared error per pixel.

    The train loss of an epoch is the mean over its batches as the weights moved; the test loss is
    measured after it. With a checkpoint a killed training continues where it was and ends with the
    same weights. Raises DivergedError when a loss is NaN or infinite.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    model = Autoencoder(spec)
    initialize(model, generator, recipe.latent_bias)
    optimizer = make_optimizer(recipe.optimizer, list(model.parameters()), recipe.learning_rate)
    updates = recipe.epochs * math.ceil(len(train_images) / recipe.batch_size)
    schedule = make_schedule(recipe, optimizer, updates)

    def loss_of(x: Tensor, _: Tensor) -> Tensor:
        return functional.mse_loss(model(x), x)

    history = _Training(model, model.train, optimizer, generator, schedule).fit(
        train_images,
        recipe.batch_size,
        recipe.epochs,
        loss_of,
        lambda: reconstruction_loss(model, test_images),
        on_epoch,
        checkpoint,
    )
    return model.eval(), history


@torch.no_grad()
def apply(module: nn.Module, images: Tensor) -> Tensor:
    """Outputs of ``module`` in evaluation mode for images (n, 28, 28) uint8."""
    module.eval()
    return torch.cat([module(as_input(batch)) for batch in images.split(EVALUATION_BATCH)])


@torch.no_grad()
def reconstruction_loss(model: nn.Module, images: Tensor) -> float:
    """Mean squared error per pixel over images (n, 28, 28) uint8, in evaluation mode."""
    model.eval()
    total = 0.0
    for batch in images.split(EVALUATION_BATCH):
        x = as_input(batch)
        total += functional.mse_loss(model(x), x, reduction="sum").item()
    return total / images.numel()


class TransferResult(NamedTuple):
    """A trained classifier, its epochs, test accuracy in [0, 1] and confusion matrix (k, k)."""

    classifier: Classifier
    history: list[Epoch]
    test_accuracy: float
    confusion: Tensor


def labelled_subset(labels: Tensor, budget: LabelBudget, generator: torch.Generator) -> Tensor:
    """Indices of ``budget`` images drawn class by class in turn, so that classes stay balanced."""
    if budget == "all" or budget >= len(labels):
        return torch.arange(len(labels))
    order = torch.randperm(len(labels), generator=generator)
    rank = torch.empty(len(labels), dtype=torch.long)
    for label in labels.unique():
        of_class = order[labels[order] == label]
        rank[of_class] = torch.arange(len(of_class))
    return order[torch.argsort(rank[order], stable=True)[:budget]]


def train_classifier(
    model_spec: ModelSpec,
    spec: TransferSpec,
    encoder: Encoder | None,
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    on_epoch: OnEpoch = lambda epoch: None,
    checkpoint: Checkpoint | None = None,
) -> TransferResult:
    """Train an MLP on the latent vectors of ``encoder``, by cross entropy.

    ``train`` and ``test`` are images (n, 28, 28) uint8 and labels (n,). Without an encoder the
    classifier starts from new weights. ``as_reported`` repeats the written study's mistake:
    softmax, then a cross entropy that applies softmax again.
    """
    generator = torch.Generator().manual_seed(spec.seed)
    n_classes = int(train[1].max()) + 1
    classifier = Classifier(model_spec, n_classes)
    initialize(classifier, generator)
    if encoder is not None:
        classifier.encoder.load_state_dict(encoder.state_dict())
    chosen = labelled_subset(train[1], spec.label_budget, generator)
    images, labels = train[0][chosen], train[1][chosen].long()

    def criterion(logits: Tensor, target: Tensor) -> Tensor:
        scores = logits.softmax(1) if spec.output == "softmax" else logits
        return functional.cross_entropy(scores, target)

    train_mode = partial(classifier.train_part, spec.trained)
    train_mode()
    parameters = [p for p in classifier.parameters() if p.requires_grad]
    optimizer = make_optimizer(spec.optimizer, parameters, spec.learning_rate)
    per_epoch = math.ceil(len(images) / spec.batch_size)
    epochs = max(spec.epochs, math.ceil(spec.minimum_updates / per_epoch))
    frozen = spec.trained == "head"
    codes = apply(classifier.encoder, images) if frozen else None

    def loss_of(x: Tensor, index: Tensor) -> Tensor:
        logits = classifier(x) if codes is None else classifier.head(codes[index])
        return criterion(logits, labels[index])

    def test_loss() -> float:
        return criterion(apply(classifier, test[0]), test[1].long()).item()

    history = _Training(classifier, train_mode, optimizer, generator).fit(
        images,
        spec.batch_size,
        epochs,
        loss_of,
        test_loss,
        on_epoch,
        checkpoint,
        test_every=max(1, epochs // 20),  # small budgets train hundreds of tiny epochs
    )
    logits = apply(classifier, test[0])
    predicted = logits.argmax(1)
    accuracy = (predicted == test[1]).double().mean().item()
    confusion = confusion_matrix(predicted, test[1], n_classes)
    return TransferResult(classifier.eval(), history, accuracy, confusion)
