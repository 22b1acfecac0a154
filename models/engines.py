"""What computes a module: torch, or the hand-written step where it is proved equal to torch.

The choice follows from module, device and versions alone, never from a timing.
"""

import re
import warnings
from collections.abc import Iterable
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from models.fast.inference import StackedInference
from models.fast.proof import equals_torch, is_known
from models.fast.step import FastTrainingStep
from models.objectives.objective import Objective
from models.training.stacked_parameters import StackedParameters
from models.training.step import TrainingStep
from models.training.torch_inference import TorchInference
from models.training.torch_step import TorchTrainingStep

Engine = Literal["torch", "hand-written"]
FEATURES = re.compile(r"(in|out)_features=\d+")
_PROVED: dict[object, bool] = {}  # what this process has compared


class Inference(Protocol):
    """Outputs of a stack of equal modules in evaluation mode, with their present weights."""

    def batches(self, inputs: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
        """Inputs (n, ...) in parts of m: the modules' inputs (models, m, features) and outputs."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """The modules' outputs (models, n, ...) for inputs (n, ...)."""


def choose_engine(
    module: nn.Module,
    shape: tuple[int, ...],
    objective: Objective,
    sizes: Iterable[int],
    device: torch.device | str = "cpu",
) -> Engine:
    """The engine that trains a module on inputs of a shape, in batches of these sizes.

    The hand-written step is compared with torch's once per process and kind of network, whatever
    its latent size. Where they differ torch's is taken, with a warning.
    """
    if not is_known(module):
        return "torch"
    batches = sorted(set(sizes))
    device_type = torch.device(device).type
    layers = FEATURES.sub("", repr(module))
    key = (layers, len(shape), repr(objective), *batches, device_type)
    if key not in _PROVED:
        _PROVED[key] = equals_torch(module, shape, objective, batches, device)
        if not _PROVED[key]:
            kind = type(module).__name__
            warnings.warn(
                f"{kind}: the hand-written step differs from torch's, which trains it instead",
                stacklevel=2,
            )
    return "hand-written" if _PROVED[key] else "torch"


def make_step(
    engine: Engine,
    parameters: StackedParameters,
    module: nn.Module,
    n: int,
    shape: tuple[int, ...],
    objective: Objective,
) -> TrainingStep:
    """The training step of an engine for batches of n inputs."""
    if engine == "torch":
        return TorchTrainingStep(parameters, module, n, shape, objective)
    return FastTrainingStep(parameters, module, n, objective)


def choose_inference(
    parameters: StackedParameters, module: nn.Module, shape: tuple[int, ...]
) -> Inference:
    """What computes outputs in evaluation mode: the hand-written pass for modules that it knows."""
    engine: Engine = "hand-written" if is_known(module) else "torch"
    return make_inference(engine, parameters, module, shape)


def make_inference(
    engine: Engine, parameters: StackedParameters, module: nn.Module, shape: tuple[int, ...]
) -> Inference:
    """What computes outputs in evaluation mode with an engine."""
    if engine == "torch":
        return TorchInference(parameters, module, shape)
    return StackedInference(parameters, module)
