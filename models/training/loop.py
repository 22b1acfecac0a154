"""The training loop: a stack of equal models, each with its own seed, is trained side by side.

The dataset is one tensor on the device, and every batch is a selection of its rows. Within an epoch
the CPU does not wait for the device.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from models.random_streams import stream_seed
from models.specs import EarlyStopping
from models.training.best_epoch import BestEpoch, better_of, is_over
from models.training.snapshots import Checkpoint, Snapshot
from models.training.stacked_parameters import StackedParameters
from models.training.step import TrainingStep, fill

MAX_SAMPLED_EPOCHS = 10
TRAIN_LOSS = "train_loss"


def sampled_epochs(epochs: int) -> set[int]:
    """The epochs after which samples are taken: all, or some, evenly spaced up to the last."""
    number = min(epochs, MAX_SAMPLED_EPOCHS)
    return {round(epoch) for epoch in torch.linspace(1, epochs, number).tolist()}


class DivergedError(ArithmeticError):
    """A loss is NaN or infinite."""


class Epoch(NamedTuple):
    """The result of one of ``epochs`` epochs.

    Losses are MSE per pixel, whatever the objective, or cross entropy in nats of a classifier.
    ``parts`` are means over the epoch of an objective other than these: ``objective_loss``, which
    is minimized, and its parts by name. Without validation images there is no ``validation_loss``.
    """

    epoch: int
    epochs: int
    train_loss: float
    test_loss: float
    learning_rate: float
    parts: dict[str, float] = {}  # noqa: RUF012, a new one for each epoch
    validation_loss: float | None = None


OnEpoch = Callable[[Epoch], Any]
Losses = Callable[[], list[float]]  # one for each member


@dataclass
class Member:
    """One model of a stack: its randomness, its losses, and what is called after its epochs.

    ``generator`` decides the order of inputs. Noise of the objective and random numbers that the
    model draws come from ``noise``, which begins anew in every epoch, from ``seed`` and the number
    of the epoch: a training that continues needs no state of it. ``samples`` holds its outputs for
    a few inputs, by epoch. ``diverged`` is set when its loss is NaN or infinite, ``stopped`` when
    the best epoch is too long ago; the other models continue.
    """

    generator: torch.Generator
    on_epoch: OnEpoch = lambda epoch: None
    checkpoint: Checkpoint | None = None
    history: list[Epoch] = field(default_factory=list)
    samples: dict[int, Tensor] = field(default_factory=dict)
    diverged: DivergedError | None = None
    seed: int = 0
    noise: torch.Generator = field(default_factory=torch.Generator)
    best: BestEpoch | None = None
    stopped: bool = False

    @property
    def is_training(self) -> bool:
        """Whether it has neither diverged nor stopped."""
        return self.diverged is None and not self.stopped


def load_snapshots(members: Sequence[Member]) -> list[Snapshot]:
    """One snapshot of each member, from which all can continue; none unless all have one.

    They must be of the same epoch.
    """
    snapshots = [member.checkpoint.load() for member in members if member.checkpoint]
    found = [snapshot for snapshot in snapshots if snapshot is not None]
    agree = len(found) == len(members) and len({one.epoch for one in found}) == 1
    return found if agree else []


@dataclass
class Training:
    """Everything that changes while a stack of equal models is trained.

    ``parameters`` holds the parameters, running statistics and gradients of all models.
    ``make_step`` returns the training step of ``engine`` for a batch size. The members' generators
    are the only source of randomness. ``sample`` returns the models' outputs (models, ...) for a
    few inputs; it is called after at most ``MAX_SAMPLED_EPOCHS`` epochs. With ``early_stopping``
    every model ends with the state of its best epoch.
    """

    parameters: StackedParameters
    members: Sequence[Member]
    optimizer: Optimizer
    make_step: Callable[[int], TrainingStep]
    schedule: LRScheduler | None = None
    sample: Callable[[], Tensor] | None = None
    epoch: int = 0
    engine: str = "torch"
    early_stopping: EarlyStopping | None = None
    _steps: dict[int, TrainingStep] = field(default_factory=dict)

    def snapshot(self, index: int) -> Snapshot:
        """Everything that one member needs to continue with the same bits."""
        member, optimizer = self.members[index], self.optimizer.state_dict()
        state = self.parameters.state_dict(index)
        tensors = {f"model/{name}": value for name, value in state.items()}
        for name, slot in optimizer["state"].get(0, {}).items():
            if slot is not None:
                tensors[f"optimizer/{name}"] = slot[index].clone() if slot.ndim else slot
        tensors |= {f"samples/{epoch}": images for epoch, images in member.samples.items()}
        tensors["generator"] = member.generator.get_state()
        best = member.best
        if best is not None:
            tensors |= {f"best/{name}": value for name, value in best.state.items()}
        data = {
            "epoch": self.epoch,
            "engine": self.engine,
            "history": [list(epoch) for epoch in member.history],
            "param_groups": optimizer["param_groups"],
            "schedule": self.schedule.state_dict() if self.schedule else None,
            "best": None if best is None else [best.epoch, best.loss],
            "stopped": member.stopped,
        }
        return Snapshot(tensors, data)

    def restore(self, snapshots: Sequence[Snapshot]) -> None:
        """Continue from one snapshot of each member, all of the same epoch."""
        slots: dict[str, list[Tensor]] = {}
        for index, (member, snapshot) in enumerate(zip(self.members, snapshots, strict=True)):
            state: dict[str, Tensor] = {}
            best: dict[str, Tensor] = {}
            for name, tensor in snapshot.tensors.items():
                part, _, rest = name.partition("/")
                if part == "model":
                    state[rest] = tensor
                elif part == "optimizer":
                    slots.setdefault(rest, []).append(tensor)
                elif part == "best":
                    best[rest] = tensor.to(self.parameters.gradients.device)
                elif part == "samples":
                    member.samples[int(rest)] = tensor
            self.parameters.load_state_dict(index, state)
            member.generator.set_state(snapshot.tensors["generator"])
            member.history = [Epoch(*values) for values in snapshot.data["history"]]
            member.stopped = snapshot.data["stopped"]
            if best:
                epoch, loss = snapshot.data["best"]
                member.best = BestEpoch(epoch, loss, best)
        data = snapshots[0].data
        moments = {name: torch.stack(t) if t[0].ndim else t[0] for name, t in slots.items()}
        state_by_parameter = {0: moments} if moments else {}
        self.optimizer.load_state_dict(
            {"state": state_by_parameter, "param_groups": data["param_groups"]}
        )
        if self.schedule is not None:
            self.schedule.load_state_dict(data["schedule"])
        self.epoch = snapshots[0].epoch

    def fit(
        self,
        inputs: Tensor,
        labels: Tensor | None,
        batch_size: int,
        epochs: int,
        test_losses: Losses,
        test_every: int = 1,
        snapshots: Sequence[Snapshot] = (),
        validation_losses: Losses | None = None,
    ) -> None:
        """Train to the last epoch on inputs (n, ...) and labels (n,).

        Training continues from the members' ``snapshots``, if there are any. The train
        loss of an epoch is the mean over its images, each with the weights of its update. After
        every ``test_every`` epochs and after the last, ``test_losses`` and ``validation_losses``
        measure one loss per member and snapshots are kept. With ``early_stopping`` there must be
        validation losses.
        """
        if snapshots:
            self.restore(snapshots)
            for member in self.members:
                member.on_epoch(member.history[-1])
        while self.epoch < epochs and any(member.is_training for member in self.members):
            self.epoch += 1
            rate = self.optimizer.param_groups[0]["lr"]
            trained = self._train_epoch(inputs, labels, batch_size)
            if self.epoch % test_every and self.epoch != epochs:
                for member, means in zip(self.members, trained, strict=True):
                    self._check(member, sum(means.values()), rate)
                continue
            self._take_samples(epochs)
            validated: Sequence[float | None] = [None] * len(self.members)
            if validation_losses is not None:
                validated = validation_losses()
            measured = zip(trained, test_losses(), validated, strict=True)
            for index, numbers in enumerate(measured):
                self._end_epoch(index, epochs, rate, *numbers)
        for index, member in enumerate(self.members):
            if member.best is not None:
                self.parameters.load_state_dict(index, member.best.state)

    def _take_samples(self, epochs: int) -> None:
        if self.sample is not None and self.epoch in sampled_epochs(epochs):
            for member, images in zip(self.members, self.sample(), strict=True):
                if member.is_training:
                    member.samples[self.epoch] = images

    def _end_epoch(
        self,
        index: int,
        epochs: int,
        rate: float,
        means: dict[str, float],
        test_loss: float,
        validation_loss: float | None,
    ) -> None:
        """Note the numbers of a member's epoch, keep a snapshot, and call ``on_epoch``.

        A member that has stopped keeps snapshots: those of a stack are of the same epoch.
        """
        member = self.members[index]
        if not self._check(member, sum(means.values()) + test_loss + (validation_loss or 0), rate):
            return
        goes_on = not member.stopped
        if goes_on:
            loss = means.pop(TRAIN_LOSS)
            losses = loss, test_loss, rate, means, validation_loss
            member.history.append(Epoch(self.epoch, epochs, *losses))
            self._compare_with_best(index)
        if member.checkpoint is not None:
            member.checkpoint.save(self.snapshot(index))
        if goes_on:
            member.on_epoch(member.history[-1])

    def _compare_with_best(self, index: int) -> None:
        """After an epoch of a member: note its best one, and whether it stops."""
        member, rule = self.members[index], self.early_stopping
        if rule is None:
            return
        loss = member.history[-1].validation_loss
        assert loss is not None, "early stopping needs validation losses"
        copied = partial(self.parameters.state_dict, index)
        member.best = better_of(member.best, self.epoch, loss, rule, copied)
        member.stopped = is_over(member.best, self.epoch, rule)

    def _check(self, member: Member, loss: float, learning_rate: float) -> bool:
        """Note that a member diverged if its loss is not finite; whether it has not diverged.

        After a member has stopped its losses do not count.
        """
        if member.is_training and not math.isfinite(loss):
            place = f"epoch {self.epoch}, learning rate {learning_rate:g}"
            member.diverged = DivergedError(f"diverged at {place}")
        return member.diverged is None

    def _train_epoch(
        self, inputs: Tensor, labels: Tensor | None, batch_size: int
    ) -> list[dict[str, float]]:
        """Update once per shuffled batch; every member's means per image, of loss and parts."""
        n, device = len(inputs), inputs.device
        for member in self.members:
            member.noise.manual_seed(stream_seed(member.seed, f"noise/{self.epoch}"))
        generators = [member.generator for member in self.members]
        order = torch.stack([torch.randperm(n, generator=g) for g in generators]).to(device)
        for index in order.split(batch_size, 1):
            step = self._step(index.shape[1])
            fill(step.inputs, inputs.index_select(0, index.flatten()).unflatten(0, index.shape))
            if labels is not None:
                step.labels.copy_(labels[index])
            step()
            self.optimizer.step()
            if self.schedule is not None:
                self.schedule.step()
        return self._means(n)

    def _means(self, n: int) -> list[dict[str, float]]:
        """The steps' totals over n inputs as means for each member; the totals begin anew."""
        sums: dict[str, Tensor] = {}
        for size, step in self._steps.items():
            for name, total in {TRAIN_LOSS: step.total, **step.parts}.items():
                sums[name] = sums.get(name, torch.zeros(())) + total * size
                total.zero_()
        means = {name: (total / n).tolist() for name, total in sums.items()}
        return [
            {name: values[index] for name, values in means.items()}
            for index in range(len(self.members))
        ]

    def _step(self, size: int) -> TrainingStep:
        if size not in self._steps:
            self._steps[size] = self.make_step(size)
        return self._steps[size]
