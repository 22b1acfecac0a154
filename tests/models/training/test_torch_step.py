"""torch's step for modules of any kind, compared with plain autograd of each module alone."""

import copy

import pytest
import torch
from torch import nn

from models.objectives.cross_entropy import CrossEntropy
from models.objectives.squared_error import SquaredError
from models.training.stacked_parameters import StackedParameters
from models.training.torch_inference import TorchInference
from models.training.torch_step import TorchTrainingStep

SHAPE, N = (3, 6, 4), 8


class Skip(nn.Module):
    """A connection past a layer, and layers that run in another order than they are defined."""

    def __init__(self):
        super().__init__()
        self.last = nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect")
        self.first = nn.Conv2d(3, 3, 3, padding=1)
        self.unused = nn.Linear(2, 2)

    def forward(self, x):
        return torch.sigmoid(self.last(torch.tanh(self.first(x)) + x))


class Tied(nn.Module):
    """One weight in two layers."""

    def __init__(self):
        super().__init__()
        self.encode, self.decode = nn.Linear(72, 5), nn.Linear(5, 72)
        self.decode.weight = nn.Parameter(self.encode.weight.detach().T.clone())
        self.again = nn.Linear(72, 5)
        self.again.weight = self.encode.weight

    def forward(self, x):
        flat = x.flatten(1)
        return self.decode(self.encode(flat).relu() + self.again(flat)).view_as(x)


def normed():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.GELU(), nn.Conv2d(4, 3, 3, padding=1)
    )


def layer_normed():
    return nn.Sequential(nn.LayerNorm(SHAPE), nn.Conv2d(3, 3, 1), nn.Dropout(0.0))


MODULES = [Skip, Tied, normed, layer_normed]


def stack_of(make, models):
    torch.manual_seed(3)
    modules = [make().double() for _ in range(models)]
    return modules, StackedParameters(modules)


def images(models):
    generator = torch.Generator().manual_seed(0)
    return torch.rand(models, N, *SHAPE, generator=generator, dtype=torch.double)


@pytest.mark.parametrize("models", [1, 3])
@pytest.mark.parametrize("make", MODULES)
def test_a_step_has_the_loss_the_gradients_and_the_statistics_of_each_module(make, models):
    modules, parameters = stack_of(make, models)
    step = TorchTrainingStep(parameters, modules[0], N, SHAPE, SquaredError())
    for _ in range(2):  # gradients do not add up
        before = [copy.deepcopy(module) for module in modules]
        x = images(models)
        step.inputs.copy_(x.flatten(2))
        step.total.zero_()
        step()
        for index, module in enumerate(modules):
            module.zero_grad()
            loss = (module(x[index]) - x[index]).square().mean()
            loss.backward()
            assert step.total[index].item() == pytest.approx(loss.item(), rel=1e-12)
            for name, parameter in module.named_parameters():
                ours = parameters.weight(name)[1][index]
                expected = torch.zeros_like(ours) if parameter.grad is None else parameter.grad
                assert torch.allclose(ours, expected, rtol=1e-9, atol=1e-12), name
            for name, buffer in module.named_buffers():
                assert torch.allclose(parameters.buffers[name][index], buffer), name
            for now, then in zip(module.parameters(), before[index].parameters(), strict=True):
                assert torch.equal(now, then)


@pytest.mark.parametrize("models", [1, 3])
def test_labels_are_the_targets_of_a_classification(models):
    modules, parameters = stack_of(lambda: nn.Sequential(nn.Flatten(), nn.Linear(72, 4)), models)
    step = TorchTrainingStep(parameters, modules[0], N, SHAPE, CrossEntropy())
    x, labels = images(models), torch.arange(N).remainder(4).expand(models, -1)
    step.inputs.copy_(x.flatten(2))
    step.labels.copy_(labels)
    step()
    for index, module in enumerate(modules):
        loss = nn.functional.cross_entropy(module(x[index]), labels[index])
        assert step.total[index].item() == pytest.approx(loss.item(), rel=1e-12)


@pytest.mark.parametrize("models", [1, 3])
@pytest.mark.parametrize("make", MODULES)
def test_outputs_are_those_of_evaluation_mode_with_the_present_weights(make, models):
    modules, parameters = stack_of(make, models)
    inference = TorchInference(parameters, modules[0], SHAPE)
    x = images(1)[0]
    inference(x)
    with torch.no_grad():
        parameters.values.mul_(1.5)
        for buffer in parameters.buffers.values():
            buffer.add_(2)
    outputs = inference(x)
    for index, module in enumerate(modules):
        module.load_state_dict(parameters.state_dict(index), strict=False)
        assert torch.allclose(outputs[index], module.eval()(x), rtol=1e-12)


def test_random_numbers_in_a_stack_are_refused():
    modules, parameters = stack_of(lambda: nn.Sequential(nn.Conv2d(3, 3, 1), nn.Dropout()), 2)
    step = TorchTrainingStep(parameters, modules[0], N, SHAPE, SquaredError())
    with pytest.raises(RuntimeError, match="random"):
        step()
