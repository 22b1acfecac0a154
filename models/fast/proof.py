"""Which modules the hand-written step knows, and whether it computes what torch does for them.

The hand-written step takes layers in the order of their definition and never calls ``forward``, so
it is tried only on the networks that it was written for, and compared with torch's step first.
"""

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from models.fast.inference import StackedInference
from models.fast.step import CHUNK, FastTrainingStep
from models.objectives.objective import Objective
from models.random_streams import random_stream
from models.training.stacked_parameters import StackedParameters
from models.training.torch_inference import TorchInference
from models.training.torch_step import TorchTrainingStep

# By name: whoever asks for one network does not depend on the code of the others.
KNOWN = {"models.networks.written.Encoder", "models.networks.written.Decoder"}
KNOWN_WITH_PARTS = {  # if their parts are known
    "models.networks.autoencoder.Autoencoder",
    "models.networks.classifier.Classifier",
}
IN_SEQUENCE = {nn.Linear, nn.ReLU}
# Relative. In single precision a value that rounds to the other side of a ReLU's zero changes a
# gradient by up to half a per cent, so formulas are compared in double precision.
TOLERANCE = {torch.double: 1e-6, torch.float: 3e-2}
SMALLEST = 1e-3  # of all gradients; smaller ones are rounding errors, as before a batch norm


def is_known(module: nn.Module) -> bool:
    """Whether the hand-written step was written for it, by its exact type.

    A subclass may compute anything.
    """
    if type(module) is nn.Sequential:
        return all(type(one) in IN_SEQUENCE or is_known(one) for one in module)
    name = f"{type(module).__module__}.{type(module).__qualname__}"
    return name in KNOWN or (name in KNOWN_WITH_PARTS and all(map(is_known, module.children())))


def equals_torch(
    module: nn.Module,
    shape: tuple[int, ...],
    objective: Objective,
    sizes: Iterable[int],
    device: torch.device | str = "cpu",
) -> bool:
    """Compare both steps on random batches of these sizes, in double and in single precision.

    Loss, running statistics, outputs in evaluation and the gradient of each parameter must be
    equal up to rounding, relative to their norms. Weights and statistics of batch norm are random,
    so that none of them is 1 or 0. Of large batches one chunk is compared, and the last, smaller
    one.
    """
    return all(
        _equals_torch(_perturbed(module).to(dtype), shape, objective, n, device)
        for dtype in TOLERANCE
        for n in {n if n <= 2 * CHUNK else CHUNK + n % CHUNK for n in sizes}
    )


def _equals_torch(
    module: nn.Module,
    shape: tuple[int, ...],
    objective: Objective,
    n: int,
    device: torch.device | str,
) -> bool:
    ours, torchs = (StackedParameters([module], device) for _ in range(2))
    fast = FastTrainingStep(ours, module, n, objective)
    step = TorchTrainingStep(torchs, module, n, shape, objective)
    images = torch.rand(fast.inputs.shape, generator=random_stream(n, "proof"), dtype=torch.double)
    images = images.to(fast.inputs.dtype)
    for one in (fast, step):
        one.inputs.copy_(images)
        one()
    inputs = images[0].to(device)
    outputs = StackedInference(ours, module)(inputs)
    expected = TorchInference(torchs, module, shape)(inputs)
    pairs = [(fast.total, step.total), (outputs, expected)]
    pairs += [(ours.buffers[name], torchs.buffers[name]) for name in ours.buffers]
    least = SMALLEST * float(torchs.gradients.norm())
    gradients = [
        (ours.weight(name)[1], torchs.weight(name)[1]) for name, _ in module.named_parameters()
    ]
    return all(_close(a, b) for a, b in pairs) and all(_close(a, b, least) for a, b in gradients)


def _close(actual: Tensor, expected: Tensor, least: float = 0.0) -> bool:
    """Whether the difference is small relative to the norm, or to a least norm."""
    norm = max(float(expected.double().norm()), least)
    tolerance = TOLERANCE.get(expected.dtype, 0.0)  # counts are exact
    return float((actual.double() - expected.double()).norm()) <= tolerance * norm


def _perturbed(module: nn.Module) -> nn.Module:
    """A copy whose batch norms have random weights, biases and running statistics."""
    found, stream = copy.deepcopy(module), random_stream(0, "proof")
    with torch.no_grad():
        for layer in found.modules():
            if isinstance(layer, nn.BatchNorm2d):
                for name, tensor in layer.state_dict().items():
                    if name != "num_batches_tracked":
                        low = 0.5 if name in {"weight", "running_var"} else -0.5
                        tensor.uniform_(low, low + 1, generator=stream)
    return found
