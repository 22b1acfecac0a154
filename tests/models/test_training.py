import json

import pytest
import torch

from models.autoencoder import Autoencoder, initialize
from models.specs import ModelSpec, TrainingRecipe, TransferSpec
from models.trainers import (
    labelled_subset,
    reconstruction_loss,
    train_autoencoder,
    train_classifier,
    train_stack,
)
from models.training import DivergedError, Snapshot

SPEC = ModelSpec(depth=3, latent_dim=4)
GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randint(0, 256, (60, 28, 28), dtype=torch.uint8, generator=GENERATOR)
LABELS = torch.arange(60) % 3


def recipe(**changes):
    return TrainingRecipe(**{"epochs": 2, "batch_size": 16, **changes})


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_training_lowers_the_loss_and_reports_every_epoch(optimizer, schedule):
    chosen = recipe(epochs=4, optimizer=optimizer, schedule=schedule, learning_rate=0.01)
    seen = []
    model, history = train_autoencoder(SPEC, chosen, IMAGES, IMAGES[:20], seen.append)
    assert [epoch.epoch for epoch in history] == [1, 2, 3, 4]
    assert seen == history
    assert history[-1].train_loss < history[0].train_loss
    assert history[-1].test_loss == pytest.approx(reconstruction_loss(model, IMAGES[:20]))


def test_the_seed_decides_the_weights():
    weights = [
        train_autoencoder(SPEC, recipe(seed=seed), IMAGES, IMAGES)[0].state_dict()
        for seed in (0, 0, 1)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not torch.equal(weights[0]["decoder.expand.weight"], weights[2]["decoder.expand.weight"])


def test_divergence_is_named_with_epoch_and_learning_rate():
    wild = recipe(optimizer="adam", learning_rate=1e8, schedule="constant", epochs=50)
    with pytest.raises(DivergedError, match=r"diverged at epoch \d+, learning rate 1e\+08"):
        train_autoencoder(SPEC, wild, IMAGES, IMAGES)


@pytest.mark.parametrize(("scenario", "trained"), [("head_only", "head"), ("as_reported", "head")])
def test_a_frozen_encoder_stays_untouched(scenario, trained):
    model = Autoencoder(SPEC)
    initialize(model, torch.Generator().manual_seed(5))
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    spec = TransferSpec(scenario=scenario, trained=trained, epochs=3, minimum_updates=0)
    data = (IMAGES, LABELS)
    after = train_classifier(SPEC, spec, model.encoder, data, data).classifier.encoder.state_dict()
    assert any("running_mean" in name for name in before)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_fine_tuning_moves_the_encoder_and_its_statistics():
    model = Autoencoder(SPEC)
    spec = TransferSpec(scenario="fine_tune", trained="head_and_encoder", minimum_updates=0)
    data = (IMAGES, LABELS)
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    after = train_classifier(SPEC, spec, model.encoder, data, data).classifier.encoder.state_dict()
    assert not any(torch.equal(before[n], after[n]) for n in before if "running" in n)
    assert not torch.equal(before["latent.weight"], after["latent.weight"])


def test_only_as_reported_applies_softmax_twice():
    data = (IMAGES, LABELS)
    reported = TransferSpec(scenario="as_reported", trained="head", minimum_updates=0)
    loss = train_classifier(SPEC, reported, None, data, data).history[-1].test_loss
    assert loss == pytest.approx(1.0986, abs=0.02)  # ln 3: nothing is learned
    assert (reported.output, reported.optimizer) == ("softmax", "sgd")
    fixed = TransferSpec(scenario="head_only", trained="head")
    assert (fixed.output, fixed.optimizer) == ("logits", "adam")


def test_small_label_budgets_are_balanced_and_train_enough_updates():
    chosen = labelled_subset(LABELS, 9, torch.Generator().manual_seed(0))
    assert torch.bincount(LABELS[chosen]).tolist() == [3, 3, 3]
    assert len(chosen.unique()) == 9
    assert len(labelled_subset(LABELS, "all", torch.Generator())) == 60
    spec = TransferSpec(
        scenario="head_only", trained="head", label_budget=9, batch_size=8, minimum_updates=40
    )
    history = train_classifier(SPEC, spec, None, (IMAGES, LABELS), (IMAGES, LABELS)).history
    assert history[-1].epoch == 20  # two updates an epoch


class Killed(Exception):  # noqa: N818
    """Stands for the end of the process."""


class Kept:
    """Keeps snapshots in memory, and ends the training behind one of them."""

    def __init__(self, last_epoch=None):
        self.snapshot = None
        self.last_epoch = last_epoch

    def save(self, snapshot):
        tensors = {name: tensor.clone() for name, tensor in snapshot.tensors.items()}
        self.snapshot = Snapshot(tensors, json.loads(json.dumps(snapshot.data)))
        if snapshot.epoch == self.last_epoch:
            raise Killed

    def load(self):
        return self.snapshot


def continued(train, epoch):
    """What a training ends with if it is killed behind this epoch and continued."""
    kept = Kept(epoch)
    with pytest.raises(Killed):
        train(kept)
    kept.last_epoch = None
    torch.rand(7)  # another process has used torch's global generator differently
    return train(kept)


def same(module, other):
    states = module.state_dict(), other.state_dict()
    return all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize(
    ("optimizer", "schedule"),
    [("adam", "one_cycle"), ("adamw", "cosine"), ("sgd", "constant"), ("sgd", "one_cycle")],
)
@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_a_killed_training_ends_with_the_same_bits(optimizer, schedule, epoch):
    chosen = recipe(epochs=4, optimizer=optimizer, schedule=schedule)

    def train(checkpoint):
        return train_autoencoder(SPEC, chosen, IMAGES, IMAGES[:10], checkpoint=checkpoint)

    model, history = train(None)
    again, continued_history = continued(train, epoch)
    assert same(model, again)
    assert history == continued_history


@pytest.mark.parametrize("trained", ["head", "head_and_encoder"])
def test_a_killed_classifier_ends_with_the_same_bits(trained):
    spec = TransferSpec(
        scenario="fine_tune", trained=trained, epochs=4, minimum_updates=0, batch_size=16
    )
    encoder = train_autoencoder(SPEC, recipe(epochs=1), IMAGES, IMAGES[:10])[0].encoder

    def train(checkpoint):
        data = (IMAGES, LABELS)
        return train_classifier(SPEC, spec, encoder, data, data, checkpoint=checkpoint)

    whole, again = train(None), continued(train, 2)
    assert same(whole.classifier, again.classifier)
    assert whole.history == again.history
    assert torch.equal(whole.confusion, again.confusion)


def test_a_stack_ends_as_its_models_do_alone():
    chosen = recipe(epochs=3, batch_size=16)
    together = train_stack(SPEC, chosen, [0, 1, 2], IMAGES, IMAGES[:20])
    for seed, trained in enumerate(together):
        _, history = train_autoencoder(
            SPEC, chosen.model_copy(update={"seed": seed}), IMAGES, IMAGES[:20]
        )
        assert trained.history[-1].test_loss == pytest.approx(history[-1].test_loss, rel=1e-4)
        assert trained.history[0].train_loss == pytest.approx(history[0].train_loss, rel=1e-5)


def test_a_model_that_diverges_leaves_its_stack_alone():
    kept = [Kept(), Kept(), Kept()]
    chosen = recipe(epochs=3, schedule="constant")
    train_stack(SPEC, chosen, [0, 1, 2], IMAGES, IMAGES, checkpoints=kept)
    for one in kept:
        one.snapshot.data["epoch"] = 2
    kept[1].snapshot.tensors["model/decoder.expand.bias"].fill_(float("nan"))
    result = train_stack(SPEC, chosen, [0, 1, 2], IMAGES, IMAGES, checkpoints=kept)
    assert [one.diverged is None for one in result] == [True, False, True]
    assert "diverged at epoch 3" in str(result[1].diverged)
    assert all(torch.isfinite(p).all() for p in result[0].model.parameters())
