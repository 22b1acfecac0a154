"""The hand-written training step, compared with torch's modules and autograd."""

import copy

import pytest
import torch
from torch.nn import functional

from models.fast.step import FastTrainingStep
from models.networks.autoencoder import Autoencoder
from models.networks.classifier import Classifier
from models.objectives.cross_entropy import CrossEntropy
from models.objectives.squared_error import SquaredError
from models.specs import ModelSpec
from models.training.stacked_parameters import StackedParameters
from models.training.step import fill
from tests.models.fast.examples import IMAGES, LABELS, N, make_stack


def assert_equal_to_torch(modules, parameters, step, losses):
    """Losses, gradients and running statistics equal torch's up to rounding."""
    for index, (module, loss) in enumerate(zip(modules, losses, strict=True)):
        loss.backward()
        assert step.total[index].item() == pytest.approx(loss.item(), rel=1e-12)
        for name, parameter in module.named_parameters():
            difference = parameter.grad - parameters.weight(name)[1][index]
            assert difference.norm() <= 1e-10 * parameter.grad.norm() + 1e-14, name
        for name, buffer in module.named_buffers():
            ours = parameters.buffers[name][index]
            assert torch.allclose(ours.double(), buffer.double(), rtol=1e-12), name


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_a_step_of_stacked_autoencoders_equals_torch(depth, activation):
    spec = ModelSpec.written(depth=depth, latent_dim=7, latent_activation=activation)
    modules, parameters = make_stack(Autoencoder, spec)
    step = FastTrainingStep(parameters, modules[0], N, SquaredError())
    fill(step.inputs, IMAGES)
    step()
    x = IMAGES.unsqueeze(2)
    losses = [functional.mse_loss(m(x[i]), x[i]) for i, m in enumerate(modules)]
    assert_equal_to_torch(modules, parameters, step, losses)


@pytest.mark.parametrize("softmax_first", [False, True])
@pytest.mark.parametrize("part", ["whole", "head"])
def test_a_step_of_stacked_classifiers_equals_torch(part, softmax_first):
    modules, _ = make_stack(Classifier, ModelSpec.written(depth=3, latent_dim=6))
    inputs = IMAGES
    if part == "head":
        modules = [module.head for module in modules]
        inputs = IMAGES[:, :, 0, :6].contiguous()
    parameters = StackedParameters(modules)
    step = FastTrainingStep(parameters, modules[0], N, CrossEntropy(softmax_first))
    fill(step.inputs, inputs)
    step.labels.copy_(LABELS)
    step()
    losses = []
    for index, module in enumerate(modules):
        x = inputs[index] if part == "head" else inputs[index].unsqueeze(1)
        scores = module(x).softmax(1) if softmax_first else module(x)
        losses.append(functional.cross_entropy(scores, LABELS[index]))
    assert_equal_to_torch(modules, parameters, step, losses)


def test_gradients_do_not_add_up_over_steps():
    modules, parameters = make_stack(Autoencoder, ModelSpec.written(depth=2, latent_dim=5), 1)
    step = FastTrainingStep(parameters, modules[0], 40, SquaredError())
    for batch in (IMAGES[:1, :40], IMAGES[1:2, :40]):
        fill(step.inputs, batch)
        step.total.zero_()
        step()
        x = batch[0].unsqueeze(1)
        modules[0].zero_grad()
        assert_equal_to_torch(modules, parameters, step, [functional.mse_loss(modules[0](x), x)])


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_loss_in_single_precision_equals_torchs_in_double(depth):
    (double,), _ = make_stack(Autoencoder, ModelSpec.written(depth=depth, latent_dim=20), 1)
    single = copy.deepcopy(double).float()
    parameters = StackedParameters([single])
    step = FastTrainingStep(parameters, single, N, SquaredError())
    fill(step.inputs, IMAGES[:1].float())
    step()
    x = IMAGES[0].unsqueeze(1)
    assert step.total.item() == pytest.approx(functional.mse_loss(double(x), x).item(), rel=1e-6)
