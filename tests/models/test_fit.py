import pytest
import torch
from torch.nn import functional

from models.fit import (
    labelled_subset,
    last_layer_gradient,
    shuffled_labels,
    train_autoencoder,
    train_classifier,
    train_stack,
)
from models.inference import squared_error_by_pixel
from models.networks.autoencoder import Autoencoder
from models.networks.classifier import Classifier
from models.networks.initialization import initialize
from models.objectives.cross_entropy import CrossEntropy
from models.objectives.variational import Variational
from models.specs import WRITTEN_SHAPE, ConfigError, TransferSpec
from models.training.loop import sampled_epochs
from tests.models.examples import IMAGES, LABELS, SPEC, recipe

DATA = (IMAGES, LABELS)
REPORTED = {"scenario": "as_reported", "output": "softmax", "optimizer": "sgd"}


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_training_lowers_the_loss_and_reports_every_epoch(optimizer, schedule):
    chosen = recipe(epochs=4, optimizer=optimizer, schedule=schedule, learning_rate=0.01)
    reported = []
    model, history = train_autoencoder(SPEC, chosen, IMAGES, IMAGES[:20], reported.append)
    assert [epoch.epoch for epoch in history] == [1, 2, 3, 4]
    assert reported == history
    assert history[-1].train_loss < history[0].train_loss
    measured = float(squared_error_by_pixel(model, IMAGES[:20]).mean())
    assert history[-1].test_loss == pytest.approx(measured)


def test_the_seed_decides_the_weights():
    first, same_seed, other_seed = (
        train_autoencoder(SPEC, recipe(seed=seed), IMAGES, IMAGES)[0].state_dict()
        for seed in (0, 0, 1)
    )
    assert all(torch.equal(first[name], same_seed[name]) for name in first)
    name = "decoder.expand.weight"
    assert not torch.equal(first[name], other_seed[name])


def test_models_of_a_stack_equal_models_trained_alone():
    chosen = recipe(epochs=3, batch_size=16)
    stack = train_stack(SPEC, chosen, [0, 1, 2], IMAGES, IMAGES[:20])
    for seed, trained in enumerate(stack):
        _, history = train_autoencoder(
            SPEC, chosen.model_copy(update={"seed": seed}), IMAGES, IMAGES[:20]
        )
        assert trained.history[-1].test_loss == pytest.approx(history[-1].test_loss, rel=1e-4)
        assert trained.history[0].train_loss == pytest.approx(history[0].train_loss, rel=1e-5)


def variational_spec(**changes):
    return SPEC.model_copy(
        update={"latent_outputs": 2, "latent_activation": "linear", "latent_dim": 3, **changes}
    )


def test_a_variational_autoencoder_learns_and_its_latents_are_means():
    chosen = recipe(epochs=6, latent_bias=None)
    images = (IMAGES // 128 * 255)[:, :, :1].expand(-1, -1, 28, -1).contiguous()
    (trained,) = train_stack(
        variational_spec(), chosen, [1], images, images[:20], objective=Variational(sigma=0.5)
    )
    first, *_, last = trained.history
    assert last.parts["objective_loss"] < 0.95 * first.parts["objective_loss"]
    assert last.parts["kl"] > 0.01
    assert trained.engine == "torch"
    x = images[:20] / 255
    with torch.no_grad():
        latents = trained.model.encoder(x)
        means = trained.model.encoder.network(x)[:, :3]
        loss = functional.mse_loss(trained.model.decoder(means), x).item()
    assert torch.equal(latents, means)
    assert last.test_loss == pytest.approx(loss, rel=1e-5)


def test_an_objective_that_does_not_suit_the_networks_is_refused_before_training():
    spec = variational_spec(latent_activation="relu")
    with pytest.raises(ConfigError, match="latent_activation: linear"):
        train_stack(spec, recipe(), [0], IMAGES, IMAGES, objective=Variational())


def test_samples_are_reconstructions_by_each_model_of_a_stack():
    indices = [7, 2]
    stack = train_stack(SPEC, recipe(epochs=12), [0, 1], IMAGES, IMAGES[:20], samples=indices)
    for trained in stack:
        assert trained.samples.keys() == sampled_epochs(12) != {*range(1, 13)}
        for images in trained.samples.values():
            assert (images.dtype, images.shape) == (torch.uint8, (2, 1, 28, 28))
        with torch.no_grad():
            levels = trained.model(IMAGES[indices] / 255) * 255
        assert (trained.samples[12] - levels).abs().max() <= 1
        assert (trained.samples[1] - levels).abs().max() > 2
    assert not torch.equal(stack[0].samples[12], stack[1].samples[12])
    assert train_stack(SPEC, recipe(epochs=1), [0], IMAGES, IMAGES)[0].samples == {}


@pytest.mark.parametrize("choices", [{"scenario": "head_only"}, REPORTED])
def test_a_frozen_encoder_does_not_change(choices):
    model = Autoencoder(SPEC, WRITTEN_SHAPE)
    initialize(model, 5)
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    spec = TransferSpec(**choices, trained="head", epochs=3, minimum_updates=0)
    after = train_classifier(SPEC, spec, model.encoder, DATA, DATA).classifier.encoder.state_dict()
    assert any("running_mean" in name for name in before)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_fine_tuning_changes_the_encoder_and_its_running_statistics():
    model = Autoencoder(SPEC, WRITTEN_SHAPE)
    spec = TransferSpec(scenario="fine_tune", trained="head_and_encoder", minimum_updates=0)
    before = {name: value.clone() for name, value in model.encoder.state_dict().items()}
    after = train_classifier(SPEC, spec, model.encoder, DATA, DATA).classifier.encoder.state_dict()
    assert not any(torch.equal(before[n], after[n]) for n in before if "running" in n)
    assert not torch.equal(before["latent.weight"], after["latent.weight"])


def test_softmax_before_cross_entropy_learns_nothing():
    reported = TransferSpec(**REPORTED, trained="head", minimum_updates=0)
    loss = train_classifier(SPEC, reported, None, DATA, DATA).history[-1].test_loss
    assert loss == pytest.approx(1.0986, abs=0.02)  # ln 3
    fixed = TransferSpec(scenario="from_scratch", trained="head_and_encoder")
    assert train_classifier(SPEC, fixed, None, DATA, DATA).history[-1].test_loss < 0.5


@pytest.mark.parametrize("output", ["logits", "softmax"])
def test_a_single_update_follows_the_spec(output):
    choices = {"output": output, "optimizer": "sgd", "learning_rate": 0.5}
    once = {"epochs": 1, "minimum_updates": 0, "batch_size": 60}
    spec = TransferSpec(scenario="ablation", trained="head", seed=3, **choices, **once)
    start = Classifier(SPEC, WRITTEN_SHAPE, 3)
    initialize(start, 3)
    by_sgd = train_classifier(SPEC, spec, None, DATA, DATA)
    change = (by_sgd.classifier.head[-1].weight - start.head[-1].weight).norm().item()
    assert change == pytest.approx(0.5 * by_sgd.first_gradient_norm, rel=1e-4)
    loss = CrossEntropy(softmax_first=output == "softmax")
    norms = [last_layer_gradient(m, IMAGES, LABELS, loss) for m in (start, by_sgd.classifier)]
    assert [by_sgd.first_gradient_norm, by_sgd.last_gradient_norm] == pytest.approx(norms, rel=1e-4)
    assert norms[0] != norms[1]
    assert by_sgd.history[-1].learning_rate == 0.5
    adam = spec.model_copy(update={"optimizer": "adam"})
    by_adam = train_classifier(SPEC, adam, None, DATA, DATA)
    changes = (by_adam.classifier.head[-1].weight - start.head[-1].weight).abs()
    # Adam's first step changes a weight by the learning rate, whatever its gradient
    assert changes.max().item() == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("softmax_first", [False, True])
def test_the_gradient_of_the_last_layer_is_the_one_by_autograd(softmax_first):
    classifier = Classifier(SPEC, WRITTEN_SHAPE, 3)
    initialize(classifier, 1)
    images = IMAGES / 255
    classifier(images)  # changes the running statistics
    norm = last_layer_gradient(classifier, IMAGES, LABELS, CrossEntropy(softmax_first))
    assert all(parameter.grad is None for parameter in classifier.parameters())
    logits = classifier.eval()(images)
    functional.cross_entropy(logits.softmax(1) if softmax_first else logits, LABELS).backward()
    assert norm == pytest.approx(classifier.head[-1].weight.grad.norm().item(), rel=1e-4)


def test_shuffled_labels_are_the_same_labels_in_an_order_that_the_generator_decides():
    first, again, other = (
        shuffled_labels(LABELS, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(first.bincount(), LABELS.bincount())
    assert 0.1 < (first == LABELS).float().mean() < 0.6  # a third would keep its label by chance


def test_only_the_training_labels_are_shuffled():
    chosen = {"scenario": "ablation", "trained": "head_and_encoder", "epochs": 60}
    aligned, shuffled = (TransferSpec(**chosen, labels=one) for one in ("aligned", "shuffled"))
    images = torch.stack([torch.full((1, 28, 28), level).byte() for level in (0, 120, 250)])[LABELS]
    data = images, LABELS
    right, wrong, again = (
        train_classifier(SPEC, spec, None, data, data) for spec in (aligned, shuffled, shuffled)
    )
    assert right.history[-1].test_loss < 0.1
    assert wrong.history[-1].test_loss > 1.0  # about chance, ln 3
    assert wrong.history == again.history


def test_small_label_budgets_are_balanced_and_train_enough_updates():
    chosen = labelled_subset(LABELS, 9, torch.Generator().manual_seed(0))
    assert torch.bincount(LABELS[chosen]).tolist() == [3, 3, 3]
    assert len(chosen.unique()) == 9
    assert len(labelled_subset(LABELS, "all", torch.Generator())) == 60
    spec = TransferSpec(
        scenario="head_only", trained="head", label_budget=9, batch_size=8, minimum_updates=40
    )
    history = train_classifier(SPEC, spec, None, DATA, DATA).history
    assert history[-1].epoch == 20  # two updates per epoch
