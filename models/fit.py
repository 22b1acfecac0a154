"""Train an autoencoder, a stack of them that differ in their seed, or a classifier."""

import math
import warnings
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.engines import Engine, choose_engine, make_inference, make_step
from models.inference import apply, reconstruction_losses
from models.networks.autoencoder import Autoencoder
from models.networks.classifier import Classifier
from models.networks.initialization import initialize, own_parts
from models.objectives.checks import check_objective
from models.objectives.cross_entropy import CrossEntropy
from models.objectives.objective import Objective
from models.objectives.squared_error import SquaredError
from models.random_streams import random_stream
from models.specs import (
    ConfigError,
    ImageShape,
    LabelBudget,
    ModelSpec,
    TrainingRecipe,
    TransferSpec,
)
from models.training.loop import (
    DivergedError,
    Epoch,
    Member,
    OnEpoch,
    Training,
    load_snapshots,
)
from models.training.optimizers import make_optimizer, make_schedule
from models.training.snapshots import Checkpoint, Snapshot
from models.training.stacked_parameters import StackedParameters
from models.training.torch_inference import draws_in_evaluation

PROBED_IMAGES = 64
GRADIENT_IMAGES = 2_000  # images for the gradient norm of a classifier


class TrainedModel(NamedTuple):
    """An autoencoder in evaluation mode, its epochs, and the error if it diverged.

    ``initial_test_loss`` is that of the initial weights. ``samples`` are reconstructions
    (n, c, h, w) uint8 of chosen test images, by epoch. ``engine`` computed them. The weights are
    those after ``best_epoch``: the last, or the best by validation loss with early stopping.
    """

    model: Autoencoder
    history: list[Epoch]
    samples: dict[int, Tensor]
    diverged: DivergedError | None
    initial_test_loss: float
    engine: Engine
    best_epoch: int

    @property
    def best(self) -> Epoch:
        """The epoch whose weights the model has. There is one unless it diverged at once."""
        return next(epoch for epoch in self.history if epoch.epoch == self.best_epoch)


def train_stack(
    spec: ModelSpec,
    recipe: TrainingRecipe,
    seeds: Sequence[int],
    train_images: Tensor,
    test_images: Tensor,
    on_epochs: Sequence[OnEpoch] | None = None,
    checkpoints: Sequence[Checkpoint] | None = None,
    device: torch.device | str = "cpu",
    samples: Sequence[int] = (),
    objective: Objective | None = None,
    validation_images: Tensor | None = None,
) -> list[TrainedModel]:
    """Train one autoencoder per seed, side by side; the recipe's own seed is not used.

    Images are (n, c, h, w) uint8. Every model gets the order of images of its seed, which is the
    same for every architecture, and the same weights as if it were trained alone, up to rounding.
    With checkpoints a killed training continues after its last kept epoch. ``samples`` are the
    indices of the test images whose reconstructions are kept after some epochs. A model that
    diverges is returned with its error. ``objective`` is minimized, by default the squared error.

    With validation images their loss is measured after every epoch, and early stopping follows it.

    Raises ConfigError for an objective that cannot train such an autoencoder, and for early
    stopping without validation images.
    """
    if recipe.early_stopping is not None and validation_images is None:
        raise ConfigError(
            "training.early_stopping needs validation images; set dataset.validation, like 0.1"
        )
    objective = SquaredError() if objective is None else objective
    shape = image_shape_of(train_images)
    members, models = [], []
    for index, seed in enumerate(seeds):
        models.append(Autoencoder(spec, shape, seed))
        initialize(models[-1], seed, recipe.latent_bias, own_parts(spec))
        members.append(Member(random_stream(seed, "order"), seed=seed))
        if on_epochs is not None:
            members[-1].on_epoch = on_epochs[index]
        if checkpoints is not None:
            members[-1].checkpoint = checkpoints[index]
    check_objective(objective, spec, models[0], train_images[:PROBED_IMAGES] / 255)
    parameters = StackedParameters(models, device)
    optimizer = make_optimizer(recipe.optimizer, parameters.values, recipe.learning_rate)
    updates = recipe.epochs * math.ceil(len(train_images) / recipe.batch_size)
    schedule = make_schedule(recipe.schedule, optimizer, recipe.learning_rate, updates)
    train_images, test_images = train_images.to(device), test_images.to(device)
    sizes = batch_sizes(len(train_images), recipe.batch_size)
    snapshots = load_snapshots(members)
    engine = kept_engine(snapshots) or choose_engine(
        models[0], shape, objective, sizes, device, recipe.precision
    )
    streams = [member.noise for member in members]
    inference = make_inference(engine, parameters, models[0], shape)
    if engine == "torch" and draws_in_evaluation(models[0], test_images[:2]):
        warnings.warn(
            "the network draws random numbers in evaluation mode: it gets the same ones every time",
            stacklevel=2,
        )
    sampled_images = test_images[list(samples)]

    def sample() -> Tensor:
        return inference(sampled_images).mul(255).round().to(torch.uint8).cpu()

    initial_losses = reconstruction_losses(inference, test_images)
    training = Training(
        parameters,
        members,
        optimizer,
        lambda n: make_step(
            engine, parameters, models[0], n, shape, objective, streams, recipe.precision
        ),
        schedule,
        sample if samples else None,
        engine=engine,
        early_stopping=recipe.early_stopping,
    )
    validation_losses = None
    if validation_images is not None:
        validation_losses = partial(reconstruction_losses, inference, validation_images.to(device))
    training.fit(
        train_images,
        None,
        recipe.batch_size,
        recipe.epochs,
        partial(reconstruction_losses, inference, test_images),
        snapshots=snapshots,
        validation_losses=validation_losses,
    )
    trained = []
    for index, (model, member) in enumerate(zip(models, members, strict=True)):
        parameters.copy_to(index, model)
        results = member.history, member.samples, member.diverged, initial_losses[index], engine
        last = member.best or (member.history[-1] if member.history else None)
        trained.append(TrainedModel(model.eval(), *results, last.epoch if last else 0))
    return trained


def image_shape_of(images: Tensor) -> ImageShape:
    """Channels, height and width of images (n, c, h, w)."""
    _, channels, height, width = images.shape
    return channels, height, width


def train_autoencoder(
    spec: ModelSpec,
    recipe: TrainingRecipe,
    train_images: Tensor,
    test_images: Tensor,
    on_epoch: OnEpoch = lambda epoch: None,
    checkpoint: Checkpoint | None = None,
    device: torch.device | str = "cpu",
) -> tuple[Autoencoder, list[Epoch]]:
    """Train one autoencoder on images (n, c, h, w) uint8 by mean squared error per pixel.

    With a checkpoint a killed training continues after its last kept epoch and ends with the same
    weights.
    Raises DivergedError when a loss is NaN or infinite.
    """
    checkpoints = None if checkpoint is None else [checkpoint]
    (trained,) = train_stack(
        spec, recipe, [recipe.seed], train_images, test_images, [on_epoch], checkpoints, device
    )
    if trained.diverged is not None:
        raise trained.diverged
    return trained.model, trained.history


def batch_sizes(n: int, batch_size: int) -> set[int]:
    """The sizes of full batches and of the last one, of n inputs."""
    return {min(n, batch_size), n % batch_size or min(n, batch_size)}


def kept_engine(snapshots: Sequence[Snapshot]) -> Engine | None:
    """The engine of the snapshots, so that they continue with the same bits.

    None if there is none, or if they differ.
    """
    engines = {snapshot.data.get("engine") for snapshot in snapshots}
    return engines.pop() if len(engines) == 1 else None


class TransferResult(NamedTuple):
    """A trained classifier, its epochs, and the classes (n,) that it predicts for the test images.

    The gradient norms are of the loss with respect to the weights of the last layer, before the
    first update and after the last.
    """

    classifier: Classifier
    history: list[Epoch]
    predicted: Tensor
    first_gradient_norm: float
    last_gradient_norm: float


def labelled_subset(labels: Tensor, budget: LabelBudget, generator: torch.Generator) -> Tensor:
    """Indices of ``budget`` random images, equally many of each class as far as possible.

    ``labels`` are (n,). All images, in their order, if the budget is "all" or at least n.
    """
    if budget == "all" or budget >= len(labels):
        return torch.arange(len(labels))
    order = torch.randperm(len(labels), generator=generator)
    rank = torch.empty(len(labels), dtype=torch.long)
    for label in labels.unique():
        of_class = order[labels[order] == label]
        rank[of_class] = torch.arange(len(of_class))
    return order[torch.argsort(rank[order], stable=True)[:budget]]


def shuffled_labels(labels: Tensor, generator: torch.Generator) -> Tensor:
    """The labels (n,) in random order: they no longer belong to their images."""
    return labels[torch.randperm(len(labels), generator=generator)]


def last_layer_gradient(
    classifier: Classifier, images: Tensor, labels: Tensor, loss: CrossEntropy
) -> float:
    """Norm of the gradient with respect to the weights of the classifier's last layer.

    Images are (n, channels, height, width) uint8, labels (n,).
    """
    *_, weight, _bias = classifier.head.parameters()
    logits = classifier.head(apply(classifier.encoder, images))
    (gradient,) = torch.autograd.grad(loss.of_logits(logits, labels), weight)
    return float(gradient.norm())


def train_classifier(
    model_spec: ModelSpec,
    spec: TransferSpec,
    encoder: nn.Module | None,
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    n_classes: int | None = None,
    on_epoch: OnEpoch = lambda epoch: None,
    checkpoint: Checkpoint | None = None,
    device: torch.device | str = "cpu",
) -> TransferResult:
    """Train an MLP on the latent vectors of ``encoder``, by cross entropy.

    ``train`` and ``test`` are images (n, c, h, w) uint8 and labels (n,) below ``n_classes``, which
    is by default one more than the largest label. Without an encoder the classifier's own encoder
    keeps its new weights at the start. The output ``softmax`` repeats the written study's mistake:
    softmax, then a cross entropy that applies softmax again. Shuffled labels are those of the
    training images; the test images keep theirs. Raises DivergedError when a loss is NaN or
    infinite.
    """
    if n_classes is None:
        n_classes = int(torch.cat([train[1], test[1]]).max()) + 1
    classifier = Classifier(model_spec, image_shape_of(train[0]), n_classes, spec.seed)
    initialize(classifier, spec.seed, own=own_parts(model_spec))
    if encoder is not None:
        classifier.encoder.load_state_dict(encoder.state_dict())
    chosen = labelled_subset(train[1], spec.label_budget, random_stream(spec.seed, "labels"))
    inputs, labels, test_inputs = train[0][chosen], train[1][chosen].long(), test[0]
    if spec.labels == "shuffled":
        labels = shuffled_labels(labels, random_stream(spec.seed, "shuffled_labels"))
    criterion = CrossEntropy(softmax_first=spec.output == "softmax")
    gradient_data = inputs[:GRADIENT_IMAGES], labels[:GRADIENT_IMAGES]
    first_gradient_norm = last_layer_gradient(classifier, *gradient_data, criterion)
    module: nn.Module = classifier
    if spec.trained == "head":  # a frozen encoder gives the same latents in every epoch
        module = classifier.head
        inputs, test_inputs = (apply(classifier.encoder, x) for x in (inputs, test_inputs))
    shape = tuple(inputs.shape[1:])
    parameters = StackedParameters([module], device)
    optimizer = make_optimizer(spec.optimizer, parameters.values, spec.learning_rate)
    member = Member(random_stream(spec.seed, "order"), on_epoch, checkpoint, seed=spec.seed)
    sizes = batch_sizes(len(labels), spec.batch_size)
    snapshots = load_snapshots([member])
    engine = kept_engine(snapshots) or choose_engine(module, shape, criterion, sizes, device)
    training = Training(
        parameters,
        [member],
        optimizer,
        lambda n: make_step(engine, parameters, module, n, shape, criterion, [member.noise]),
        engine=engine,
    )
    updates_per_epoch = math.ceil(len(labels) / spec.batch_size)
    epochs = max(spec.epochs, math.ceil(spec.minimum_updates / updates_per_epoch))
    inference = make_inference(engine, parameters, module, shape)
    test_inputs, test_labels = test_inputs.to(device), test[1].long().to(device)
    training.fit(
        inputs.to(device),
        labels.to(device),
        spec.batch_size,
        epochs,
        lambda: criterion.of_logits(inference(test_inputs), test_labels.expand(1, -1)).tolist(),
        test_every=max(1, epochs // 20),  # small label budgets mean hundreds of short epochs
        snapshots=snapshots,
    )
    if member.diverged is not None:
        raise member.diverged
    predicted = inference(test_inputs)[0].argmax(1).cpu()
    parameters.copy_to(0, module)
    return TransferResult(
        classifier.eval(),
        member.history,
        predicted,
        first_gradient_norm,
        last_layer_gradient(classifier, *gradient_data, criterion),
    )
