"""The training loops: whole dataset in memory, shuffled by generator, no per-sample Python."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

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


def _epoch(
    images: Tensor,
    batch_size: int,
    generator: torch.Generator,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    optimizer: Optimizer,
    schedule: LRScheduler | None = None,
) -> float:
    """One shuffled pass of updates; mean loss per image as the weights moved."""
    total = torch.zeros(())
    for index in torch.randperm(len(images), generator=generator).split(batch_size):
        loss = loss_of(as_input(images[index]), index)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
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
) -> tuple[Autoencoder, list[Epoch]]:
    """Train one autoencoder on images (n, 28, 28) uint8 by mean squared error per pixel.

    The train loss of an epoch is the mean over its batches as the weights moved; the test loss is
    measured after it. Raises DivergedError when a loss is NaN or infinite.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    model = Autoencoder(spec)
    initialize(model, generator, recipe.latent_bias)
    optimizer = make_optimizer(recipe.optimizer, list(model.parameters()), recipe.learning_rate)
    updates = recipe.epochs * math.ceil(len(train_images) / recipe.batch_size)
    schedule = make_schedule(recipe, optimizer, updates)

    def loss_of(x: Tensor, _: Tensor) -> Tensor:
        return functional.mse_loss(model(x), x)

    history = []
    for number in range(1, recipe.epochs + 1):
        rate = optimizer.param_groups[0]["lr"]
        model.train()
        loss = _epoch(train_images, recipe.batch_size, generator, loss_of, optimizer, schedule)
        _finite(loss, number, rate)
        test_loss = _finite(reconstruction_loss(model, test_images), number, rate)
        history.append(Epoch(number, recipe.epochs, loss, test_loss, rate))
        on_epoch(history[-1])
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

    classifier.train_part(spec.trained)
    parameters = [p for p in classifier.parameters() if p.requires_grad]
    optimizer = make_optimizer(spec.optimizer, parameters, spec.learning_rate)
    per_epoch = math.ceil(len(images) / spec.batch_size)
    epochs = max(spec.epochs, math.ceil(spec.minimum_updates / per_epoch))
    frozen = spec.trained == "head"
    codes = apply(classifier.encoder, images) if frozen else None

    def loss_of(x: Tensor, index: Tensor) -> Tensor:
        logits = classifier(x) if codes is None else classifier.head(codes[index])
        return criterion(logits, labels[index])

    history = []
    for number in range(1, epochs + 1):
        classifier.train_part(spec.trained)
        loss = _epoch(images, spec.batch_size, generator, loss_of, optimizer)
        _finite(loss, number, spec.learning_rate)
        if number % max(1, epochs // 20) and number != epochs:
            continue  # small budgets train hundreds of tiny epochs; test twenty of them
        logits = apply(classifier, test[0])
        test_loss = criterion(logits, test[1].long()).item()
        history.append(Epoch(number, epochs, loss, test_loss, spec.learning_rate))
        on_epoch(history[-1])
    predicted = logits.argmax(1)
    accuracy = (predicted == test[1]).double().mean().item()
    confusion = confusion_matrix(predicted, test[1], n_classes)
    return TransferResult(classifier.eval(), history, accuracy, confusion)
