"""torch's step for modules of any kind, compared with plain autograd of each module alone."""

import copy
import random
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from models.objectives.cross_entropy import CrossEntropy
from models.objectives.squared_error import SquaredError
from models.random_streams import random_stream
from models.specs import ConfigError
from models.training.stacked_parameters import StackedParameters
from models.training.torch_inference import TorchInference, draws_in_evaluation
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


class Odd(nn.Module):
    """A scalar parameter, one that needs no gradient, and a buffer that is replaced."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(()))
        self.mixing = nn.Linear(72, 72)
        self.fixed = nn.Parameter(torch.rand(72), requires_grad=False)
        self.register_buffer("mean", torch.zeros(72))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))
        self.register_buffer("passing", torch.ones(()), persistent=False)

    def forward(self, x):
        flat = x.flatten(1)
        if self.training:
            self.count = self.count + 1
            self.mean = 0.9 * self.mean + 0.1 * flat.detach().mean(0)
        return (self.scale * self.mixing(flat) + self.fixed * self.mean).view_as(x)


class Recurrent(nn.Module):
    """Has no rule in vmap."""

    def __init__(self):
        super().__init__()
        self.layer = nn.GRU(12, 12, batch_first=True)

    def forward(self, x):
        return self.layer(x.view(len(x), 6, 12))[0].reshape_as(x)


MODULES = [Skip, Tied, normed, layer_normed, Odd, Recurrent]


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
            trained = {n: p for n, p in module.named_parameters() if p.requires_grad}
            assert parameters.names == list(trained)
            for name, parameter in trained.items():
                ours = parameters.weight(name)[1][index]
                expected = torch.zeros_like(ours) if parameter.grad is None else parameter.grad
                assert torch.allclose(ours, expected, rtol=1e-9, atol=1e-12), name
            others = {n: v for n, v in module.named_parameters() if n not in trained}
            assert parameters.buffers.keys() == {*others, *dict(module.named_buffers())}
            for name, buffer in {**others, **dict(module.named_buffers())}.items():
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


class Drawing(nn.Module):
    """Dropout, and noise of its own."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Dropout(0.3))

    def forward(self, x):
        noise = torch.randn(x.shape, dtype=x.dtype)
        return self.layers(x + 0.1 * noise if self.training else x)


def steps_with_streams(seeds, batches=2):
    """Losses and gradients of a drawing module, equal but for its random numbers."""
    modules = [copy.deepcopy(stack_of(Drawing, 1)[0][0]) for _ in seeds]
    parameters = StackedParameters(modules)
    before = torch.get_rng_state()
    streams = [random_stream(seed, "noise") for seed in seeds]
    step = TorchTrainingStep(parameters, modules[0], N, SHAPE, SquaredError(), streams)
    step.inputs.copy_(images(1).expand(len(seeds), *[-1] * 4).flatten(2))
    found = []
    for _ in range(batches):
        step.total.zero_()
        step()
        found.append((step.total.clone(), parameters.gradients.clone()))
    assert torch.equal(torch.get_rng_state(), before)
    return found


def test_random_numbers_of_modules_come_from_their_streams():
    (loss, gradients), (next_loss, _) = steps_with_streams([5, 6, 5])
    assert loss[0] == loss[2] != loss[1]
    assert torch.equal(gradients[0], gradients[2])
    assert not torch.equal(gradients[0], gradients[1])
    assert loss[0] != next_loss[0]
    (alone, _), (next_alone, _) = steps_with_streams([6])
    assert (alone.item(), next_alone.item()) == (loss[1].item(), next_loss[1].item())


def test_random_numbers_are_those_of_the_seeded_process():
    ((loss, _),) = steps_with_streams([5], batches=1)
    (module,), _ = stack_of(Drawing, 1)
    torch.manual_seed(int(torch.randint(2**62, (), generator=random_stream(5, "noise"))))
    x = images(1)[0]
    assert loss.item() == pytest.approx((module(x) - x).square().mean().item(), rel=1e-12)


@pytest.mark.parametrize("draw", [random.random, np.random.rand])
def test_random_numbers_of_numpy_and_python_come_from_the_streams_too(draw):
    module = nn.Linear(2, 2)

    def objective(module, inputs, extra):
        return (module(inputs) * draw()).square().mean()

    losses = []
    for seed in (3, 3, 4):
        stream = random_stream(seed, "noise")
        step = TorchTrainingStep(StackedParameters([module]), module, 4, (2,), objective, [stream])
        step()
        losses.append(step.parts["objective_loss"].item())
    assert losses[0] == losses[1] != losses[2]


class Jitter(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return self.scale * x + torch.rand(len(x), 1, 1, 1, dtype=x.dtype)


def test_evaluation_repeats_random_numbers_and_changes_no_state():
    modules, parameters = stack_of(Jitter, 2)
    inference = TorchInference(parameters, modules[0], SHAPE)
    before = torch.get_rng_state()
    x = images(1)[0].repeat(100, 1, 1, 1)  # two parts
    first, again = inference(x), inference(x)
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), before)
    assert parameters.buffers["calls"].tolist() == [0, 0]
    assert not torch.equal(first[0, :N], first[0, -N:])
    assert draws_in_evaluation(modules[0], x[:2])
    assert not draws_in_evaluation(Drawing(), x[:2].float())


def test_modules_without_one_type_of_parameters_are_refused_in_a_line():
    mixed = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double())
    with pytest.raises(ConfigError, match=r"^Sequential has parameters of float32 and float64:"):
        StackedParameters([mixed])
    with pytest.raises(ConfigError, match=r"^Linear has parameters of bfloat16: give all of them"):
        StackedParameters([nn.Linear(2, 2).bfloat16()])
    frozen = nn.Flatten(), nn.Linear(2, 2).requires_grad_(False)
    for module in frozen:
        parameters = StackedParameters([module])
        assert parameters.values.shape == (1, 0)
        with pytest.raises(ConfigError, match="has no parameters to train"):
            TorchTrainingStep(parameters, module, 4, (2,), SquaredError())
    x = torch.rand(3, 2)
    outputs = TorchInference(StackedParameters([frozen[1]]), frozen[1], (2,))(x)
    assert torch.equal(outputs[0], frozen[1](x))


@pytest.mark.parametrize("make", [Tied, Odd, normed])
def test_a_trained_state_is_copied_to_the_module(make):
    modules, parameters = stack_of(make, 2)
    with torch.no_grad():
        parameters.values.add_(1)
        for buffer in parameters.buffers.values():
            buffer.add_(3)
    parameters.copy_to(1, modules[0])
    state = modules[0].state_dict()
    for name, value in parameters.state_dict(1).items():
        if name in state:
            assert torch.equal(state[name], value)
    if make is Tied:
        assert modules[0].again.weight is modules[0].encode.weight


class Peeking(nn.Module):
    """Remembers the type of what its layer computes."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Flatten(), nn.Linear(72, 72)
        self.seen = []

    def forward(self, x):
        flat = self.encoder(x)
        self.seen.append(torch.nn.functional.linear(flat, self.decoder.weight).dtype)
        return self.decoder(flat).view_as(x)


def squared_error_in_float32(inside, module, inputs, extra):
    """The squared error, with a look at the types inside and outside of the module."""
    outputs = module(inputs)
    assert module.seen[-1] == inside
    assert outputs.dtype == module.decoder(module.encoder(inputs)).dtype == torch.float32
    return (outputs - inputs).square().mean()


@pytest.mark.parametrize("models", [1, 2])
def test_bf16_computes_products_in_bfloat16_and_the_loss_in_float32(models):
    losses, gradients = {}, {}
    for precision, expected in (("float32", torch.float32), ("bf16", torch.bfloat16)):
        torch.manual_seed(0)
        modules = [Peeking() for _ in range(models)]
        parameters = StackedParameters(modules)
        objective = partial(squared_error_in_float32, expected)
        step = TorchTrainingStep(parameters, modules[0], N, SHAPE, objective, (), precision)
        step.inputs.copy_(images(models).flatten(2))
        step()
        assert step.total.dtype == parameters.gradients.dtype == torch.float32
        losses[precision], gradients[precision] = step.total, parameters.gradients
    assert losses["bf16"].tolist() == pytest.approx(losses["float32"].tolist(), rel=0.01)
    assert not torch.equal(losses["bf16"], losses["float32"])
    assert torch.nn.functional.cosine_similarity(*gradients.values()).min() > 0.999
