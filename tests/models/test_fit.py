import json

import pytest
import torch
from torch.nn import functional

from models.fit import (
    labelled_subset,
    last_layer_gradient,
    train_autoencoder,
    train_classifier,
    train_stack,
)
from models.inference import reconstruction_loss
from models.networks.autoencoder import Autoencoder
from models.networks.classifier import Classifier
from models.networks.initialization import initialize
from models.objectives.cross_entropy import CrossEntropy
from models.specs import ModelSpec, TrainingRecipe, TransferSpec
from models.training.loop import SAMPLED, DivergedError, sampled_epochs
from models.training.snapshots import Snapshot

SPEC = ModelSpec(depth=3, latent_dim=4)
GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randint(0, 256, (60, 28, 28), dtype=torch.uint8, generator=GENERATOR)
LABELS = torch.arange(60) % 3
REPORTED = {"scenario": "as_reported", "output": "softmax", "optimizer": "sgd"}


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


@pytest.mark.parametrize("choices", [{"scenario": "head_only"}, REPORTED])
def test_a_frozen_encoder_stays_untouched(choices):
    model = Autoencoder(SPEC)
    initialize(model, torch.Generator().manual_seed(5))
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    spec = TransferSpec(**choices, trained="head", epochs=3, minimum_updates=0)
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


def test_softmax_before_cross_entropy_learns_nothing():
    data = (IMAGES, LABELS)
    reported = TransferSpec(**REPORTED, trained="head", minimum_updates=0)
    loss = train_classifier(SPEC, reported, None, data, data).history[-1].test_loss
    assert loss == pytest.approx(1.0986, abs=0.02)  # ln 3
    fixed = TransferSpec(scenario="from_scratch", trained="head_and_encoder")
    assert train_classifier(SPEC, fixed, None, data, data).history[-1].test_loss < 0.5


@pytest.mark.parametrize("output", ["logits", "softmax"])
def test_an_update_is_as_the_spec_says(output):
    choices = {"output": output, "optimizer": "sgd", "learning_rate": 0.5}
    once = {"epochs": 1, "minimum_updates": 0, "batch_size": 60}
    spec = TransferSpec(scenario="ablation", trained="head", seed=3, **choices, **once)
    start = Classifier(SPEC, 3)
    initialize(start, torch.Generator().manual_seed(3))
    found = train_classifier(SPEC, spec, None, (IMAGES, LABELS), (IMAGES, LABELS))
    moved = (found.classifier.head[-1].weight - start.head[-1].weight).norm().item()
    assert moved == pytest.approx(0.5 * found.first_gradient_norm, rel=1e-4)
    loss = CrossEntropy(softmax_first=output == "softmax")
    norms = [last_layer_gradient(m, IMAGES, LABELS, loss) for m in (start, found.classifier)]
    assert [found.first_gradient_norm, found.last_gradient_norm] == pytest.approx(norms, rel=1e-4)
    assert norms[0] != norms[1]
    assert found.history[-1].learning_rate == 0.5
    adam = spec.model_copy(update={"optimizer": "adam"})
    other = train_classifier(SPEC, adam, None, (IMAGES, LABELS), (IMAGES, LABELS))
    steps = (other.classifier.head[-1].weight - start.head[-1].weight).abs()
    assert steps.max().item() == pytest.approx(0.5, rel=1e-3)  # Adam's first step has no other size


@pytest.mark.parametrize("softmax_first", [False, True])
def test_the_gradient_of_the_last_layer_is_autograds(softmax_first):
    classifier = Classifier(SPEC, 3)
    initialize(classifier, torch.Generator().manual_seed(1))
    images = IMAGES.unsqueeze(1) / 255
    classifier(images)  # moves the running statistics
    found = last_layer_gradient(classifier, IMAGES, LABELS, CrossEntropy(softmax_first))
    assert all(parameter.grad is None for parameter in classifier.parameters())
    logits = classifier.eval()(images)
    functional.cross_entropy(logits.softmax(1) if softmax_first else logits, LABELS).backward()
    assert found == pytest.approx(classifier.head[-1].weight.grad.norm().item(), rel=1e-4)


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


def test_samples_are_taken_behind_some_epochs_up_to_the_last():
    assert sampled_epochs(1) == {1}
    assert sampled_epochs(SAMPLED) == {*range(1, SAMPLED + 1)}
    assert sampled_epochs(91) == {1, 11, 21, 31, 41, 51, 61, 71, 81, 91}


def test_samples_are_what_each_model_of_a_stack_gives():
    shown = [7, 2]
    trained = train_stack(SPEC, recipe(epochs=12), [0, 1], IMAGES, IMAGES[:20], samples=shown)
    for one in trained:
        assert one.samples.keys() == sampled_epochs(12) != {*range(1, 13)}
        assert {(images.dtype, images.shape) for images in one.samples.values()} == {
            (torch.uint8, (2, 28, 28))
        }
        with torch.no_grad():
            levels = one.model(IMAGES[shown].unsqueeze(1) / 255).squeeze(1) * 255
        assert (one.samples[12] - levels).abs().max() <= 1
        assert (one.samples[1] - levels).abs().max() > 2
    assert not torch.equal(trained[0].samples[12], trained[1].samples[12])
    assert train_stack(SPEC, recipe(epochs=1), [0], IMAGES, IMAGES)[0].samples == {}


@pytest.mark.parametrize("epoch", [1, 4, 12])
def test_samples_survive_a_kill_bit_for_bit(epoch):
    def train(checkpoint):
        kept = checkpoint and [checkpoint]
        chosen = recipe(epochs=12)
        (one,) = train_stack(
            SPEC, chosen, [5], IMAGES, IMAGES[:10], checkpoints=kept, samples=[1, 3]
        )
        return one.samples

    whole, again = train(None), continued(train, epoch)
    assert whole.keys() == again.keys() == sampled_epochs(12)
    assert all(torch.equal(whole[number], again[number]) for number in whole)


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
    assert torch.equal(whole.predicted, again.predicted)


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
