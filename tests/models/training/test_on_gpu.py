"""torch's step on a GPU: the same numbers with and without CUDA graphs, and how long a step takes.

Skipped without a GPU. On one: ``pytest tests/models/training/test_on_gpu.py -s``
"""

import time

import pytest
import torch

from models.engines import choose_engine
from models.networks.autoencoder import Autoencoder
from models.objectives.squared_error import SquaredError
from models.specs import ModelSpec
from models.training.cuda_graph import GraphedCall
from models.training.optimizers import make_optimizer
from models.training.stacked_parameters import StackedParameters
from models.training.torch_step import TorchTrainingStep
from tests.models.training.test_resuming import MODULES, Small, assert_continues, train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]


@pytest.fixture
def eagerly(monkeypatch):
    """Call it to do without CUDA graphs from then on."""
    return lambda: monkeypatch.setattr(GraphedCall, "__call__", lambda self: self._function())


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("seeds", [(4,), (4, 5, 6)])
@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)
def test_a_graph_equals_eager_over_a_whole_one_cycle(make, seeds, precision, eagerly):
    def histories():
        checkpoints = [None] * len(seeds)
        _, members = train(make, checkpoints, seeds, precision=precision, device="cuda")
        return [epoch for member in members for epoch in member.history]

    state = torch.cuda.get_rng_state()
    graphed = histories()
    assert torch.equal(torch.cuda.get_rng_state(), state)
    eagerly()
    for one, other in zip(graphed, histories(), strict=True):
        assert one[2:] == pytest.approx(other[2:], rel=1e-4)


def test_a_training_is_graphed():
    module = Small().cuda()
    parameters = StackedParameters([module], "cuda")
    step = TorchTrainingStep(parameters, module, 8, (1, 6, 6), SquaredError())
    step()
    assert all(one._run._graph is not None for one in step._passes)


class Waiting(Small):
    def forward(self, x):
        return super().forward(x * float(x.mean().item() > -1))


def test_a_module_that_waits_for_the_gpu_trains_without_a_graph():
    with pytest.warns(UserWarning, match="trains without a CUDA graph, which is slower"):
        train(Waiting, [None], device="cuda")
    train(Small, [None], device="cuda")  # graphs are still recorded


@pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)
def test_a_killed_training_continues(make):
    torch.backends.cudnn.deterministic = True
    assert_continues(1, make, device="cuda")


@pytest.mark.parametrize("models", [1, 8])
def test_time_of_a_step(models):
    spec = ModelSpec.written(depth=2, latent_dim=20)
    modules = [Autoencoder(spec, (1, 28, 28)) for _ in range(models)]
    parameters = StackedParameters(modules, "cuda")
    assert choose_engine(modules[0], (1, 28, 28), SquaredError(), [128], "cuda") == "torch"
    step = TorchTrainingStep(parameters, modules[0], 128, (1, 28, 28), SquaredError())
    optimizer = make_optimizer("adam", parameters.values, 1e-3)
    images = torch.randint(0, 256, (60_000, 784), dtype=torch.uint8, device="cuda")
    moments = []
    for update in range(300):
        if update in {100, 299}:
            torch.cuda.synchronize()
            moments.append(time.perf_counter())
        index = torch.randint(60_000, (128,), device="cuda")
        torch.div(images[index].expand(models, -1, -1), 255, out=step.inputs)
        step()
        optimizer.step()
    milliseconds = (moments[1] - moments[0]) / 199 * 1e3
    print(f"{models} models: {milliseconds:.3f} ms a step, {torch.cuda.get_device_name()}")
    assert milliseconds < 5 * models
