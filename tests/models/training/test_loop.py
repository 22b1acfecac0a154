"""The training loop, as it trains autoencoders and classifiers."""

import json

import pytest
import torch

from models.fit import train_autoencoder, train_classifier, train_stack
from models.specs import TransferSpec
from models.training.loop import MAX_SAMPLED_EPOCHS, DivergedError, sampled_epochs
from models.training.snapshots import Snapshot
from tests.models.examples import IMAGES, LABELS, SPEC, recipe


class Killed(Exception):  # noqa: N818
    """Stands for the end of the process."""


class CheckpointInMemory:
    """Keeps the newest snapshot, and ends the training after the epoch ``killed_after``."""

    def __init__(self, killed_after=None):
        self.snapshot = None
        self.killed_after = killed_after

    def save(self, snapshot):
        tensors = {name: tensor.clone() for name, tensor in snapshot.tensors.items()}
        self.snapshot = Snapshot(tensors, json.loads(json.dumps(snapshot.data)))
        if snapshot.epoch == self.killed_after:
            raise Killed

    def load(self):
        return self.snapshot


def killed_and_continued(train, epoch):
    """The result of a training that is killed after this epoch and continued."""
    checkpoint = CheckpointInMemory(killed_after=epoch)
    with pytest.raises(Killed):
        train(checkpoint)
    checkpoint.killed_after = None
    torch.rand(7)  # another process has another state of torch's global generator
    return train(checkpoint)


def have_equal_weights(module, other):
    weights, other_weights = module.state_dict(), other.state_dict()
    return all(torch.equal(weights[name], other_weights[name]) for name in weights)


@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [("adam", "one_cycle"), ("adamw", "cosine"), ("sgd", "constant"), ("sgd", "one_cycle")],
)
@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_a_killed_training_continues_with_the_same_bits(optimizer, schedule, epoch):
    chosen = recipe(epochs=4, optimizer=optimizer, schedule=schedule)

    def train(checkpoint):
        return train_autoencoder(SPEC, chosen, IMAGES, IMAGES[:10], checkpoint=checkpoint)

    model, history = train(None)
    continued_model, continued_history = killed_and_continued(train, epoch)
    assert have_equal_weights(model, continued_model)
    assert history == continued_history


@pytest.mark.parametrize("epoch", [1, 4, 12])
def test_samples_of_a_killed_training_have_the_same_bits(epoch):
    def train(checkpoint):
        (trained,) = train_stack(
            SPEC,
            recipe(epochs=12),
            [5],
            IMAGES,
            IMAGES[:10],
            checkpoints=checkpoint and [checkpoint],
            samples=[1, 3],
        )
        return trained.samples

    samples, continued_samples = train(None), killed_and_continued(train, epoch)
    assert samples.keys() == continued_samples.keys() == sampled_epochs(12)
    assert all(torch.equal(samples[number], continued_samples[number]) for number in samples)


@pytest.mark.parametrize("trained", ["head", "head_and_encoder"])
def test_a_killed_classifier_continues_with_the_same_bits(trained):
    spec = TransferSpec(
        scenario="fine_tune", trained=trained, epochs=4, minimum_updates=0, batch_size=16
    )
    encoder = train_autoencoder(SPEC, recipe(epochs=1), IMAGES, IMAGES[:10])[0].encoder

    def train(checkpoint):
        data = (IMAGES, LABELS)
        return train_classifier(SPEC, spec, encoder, data, data, checkpoint=checkpoint)

    result, continued = train(None), killed_and_continued(train, 2)
    assert have_equal_weights(result.classifier, continued.classifier)
    assert result.history == continued.history
    assert torch.equal(result.predicted, continued.predicted)


def test_samples_are_taken_after_some_epochs_and_the_last():
    assert sampled_epochs(1) == {1}
    assert sampled_epochs(MAX_SAMPLED_EPOCHS) == {*range(1, MAX_SAMPLED_EPOCHS + 1)}
    assert sampled_epochs(91) == {1, 11, 21, 31, 41, 51, 61, 71, 81, 91}


def test_an_error_names_epoch_and_learning_rate_of_a_divergence():
    diverging = recipe(optimizer="adam", learning_rate=1e8, schedule="constant", epochs=50)
    with pytest.raises(DivergedError, match=r"diverged at epoch \d+, learning rate 1e\+08"):
        train_autoencoder(SPEC, diverging, IMAGES, IMAGES)


def test_a_model_that_diverges_does_not_affect_its_stack():
    checkpoints = [CheckpointInMemory() for _ in range(3)]
    chosen = recipe(epochs=3, schedule="constant")
    train_stack(SPEC, chosen, [0, 1, 2], IMAGES, IMAGES, checkpoints=checkpoints)
    for checkpoint in checkpoints:
        checkpoint.snapshot.data["epoch"] = 2
    checkpoints[1].snapshot.tensors["model/decoder.expand.bias"].fill_(float("nan"))
    stack = train_stack(SPEC, chosen, [0, 1, 2], IMAGES, IMAGES, checkpoints=checkpoints)
    assert [trained.diverged is None for trained in stack] == [True, False, True]
    assert "diverged at epoch 3" in str(stack[1].diverged)
    assert all(torch.isfinite(p).all() for p in stack[0].model.parameters())
