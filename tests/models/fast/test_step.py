"""The training step of a stack, held against torch's modules and autograd."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from models.fast.inference import StackedInference
from models.fast.step import CHUNK, FastTrainingStep
from models.networks.autoencoder import Autoencoder
from models.networks.classifier import Classifier
from models.networks.initialization import initialize
from models.objectives.cross_entropy import CrossEntropy
from models.specs import ModelSpec
from models.training.stacked_parameters import StackedParameters
from models.training.step import fill

MODELS = 3
N = 2 * CHUNK + 5  # whole chunks and a rest
GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.rand(MODELS, N, 28, 28, generator=GENERATOR, dtype=torch.double)
LABELS = torch.randint(0, 10, (MODELS, N), generator=GENERATOR)


def stack(kind, spec, models=MODELS):
    modules = [kind(spec).double() for _ in range(models)]
    for seed, module in enumerate(modules):
        initialize(module, torch.Generator().manual_seed(seed), 1.0)
    return modules, StackedParameters(modules)


def assert_same_step(modules, parameters, step, losses):
    """Losses, gradients and running statistics are those of torch."""
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
def test_a_step_is_torchs_for_every_autoencoder_of_a_stack(depth, activation):
    spec = ModelSpec(depth=depth, latent_dim=7, latent_activation=activation)
    modules, parameters = stack(Autoencoder, spec)
    step = FastTrainingStep(parameters, modules[0], N)
    fill(step.inputs, IMAGES)
    step()
    x = IMAGES.unsqueeze(2)
    losses = [functional.mse_loss(m(x[i]), x[i]) for i, m in enumerate(modules)]
    assert_same_step(modules, parameters, step, losses)


@pytest.mark.parametrize("softmax_first", [False, True])
@pytest.mark.parametrize("part", ["whole", "head"])
def test_a_step_is_torchs_for_classifiers(part, softmax_first):
    modules, _ = stack(Classifier, ModelSpec(depth=3, latent_dim=6))
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
    assert_same_step(modules, parameters, step, losses)


def test_a_second_step_starts_from_nothing():
    modules, parameters = stack(Autoencoder, ModelSpec(depth=2, latent_dim=5), 1)
    step = FastTrainingStep(parameters, modules[0], 40)
    for batch in (IMAGES[:1, :40], IMAGES[1:2, :40]):
        fill(step.inputs, batch)
        step.total.zero_()
        step()
        x = batch[0].unsqueeze(1)
        modules[0].zero_grad()
        assert_same_step(modules, parameters, step, [functional.mse_loss(modules[0](x), x)])


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_single_precision_gives_torchs_loss(depth):
    (exact,), _ = stack(Autoencoder, ModelSpec(depth=depth, latent_dim=20), 1)
    single = copy.deepcopy(exact).float()
    parameters = StackedParameters([single])
    step = FastTrainingStep(parameters, single, N)
    fill(step.inputs, IMAGES[:1].float())
    step()
    x = IMAGES[0].unsqueeze(1)
    assert step.total.item() == pytest.approx(functional.mse_loss(exact(x), x).item(), rel=1e-6)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_inference_is_evaluation_mode(depth):
    spec = ModelSpec(depth=depth, latent_dim=4)
    modules, parameters = stack(Autoencoder, spec)
    step = FastTrainingStep(parameters, modules[0], N)
    fill(step.inputs, IMAGES)
    step()  # moves the running statistics
    images = IMAGES[0].unsqueeze(1)
    found = StackedInference(parameters, modules[0])(images)
    for index, module in enumerate(modules):
        module.load_state_dict(parameters.state_dict(index))
        assert torch.allclose(found[index], module.eval()(images), rtol=0, atol=1e-12)


def test_images_are_taken_as_0_to_1():
    target = torch.zeros(2, 3, 4)
    fill(target, torch.full((1, 3, 2, 2), 51, dtype=torch.uint8))
    assert torch.allclose(target, torch.tensor(0.2))


def test_an_unknown_layer_is_named():
    module = nn.Sequential(nn.Linear(4, 4), nn.Dropout())
    with pytest.raises(TypeError, match="1: Dropout"):
        StackedInference(StackedParameters([module]), module)(torch.rand(2, 4))
