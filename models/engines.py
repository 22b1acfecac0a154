"""What computes a module: torch, or the hand-written step where it is proved equal to torch.

The choice follows from module, device and versions alone, never from a timing.
"""

import re
import warnings
from collections.abc import Iterable, Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from models.fast.inference import StackedInference
from models.fast.proof import equals_torch, is_known
from models.fast.step import FastTrainingStep, is_written
from models.messages import described
from models.objectives.objective import Objective
from models.objectives.registry import name_of
from models.specs import ConfigError, Precision
from models.training.stacked_parameters import StackedParameters
from models.training.step import TrainingStep
from models.training.torch_inference import TorchInference
from models.training.torch_step import TorchTrainingStep

Engine = Literal["torch", "hand-written"]
TRIED_INPUTS = 2  # batch norm needs two
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
    precision: Precision = "float32",
) -> Engine:
    """The engine that trains a module on inputs of a shape, in batches of these sizes.

    On a GPU it is torch's, whose CUDA graph is faster there. On a CPU it is the hand-written one
    for the networks and objectives that it knows, in float32. The hand-written step is compared
    with torch's once per process and kind of network, whatever its latent size. Where they differ
    torch's is taken, with a warning.
    """
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu or precision != "float32" or not (is_known(module) and is_written(objective)):
        return "torch"
    batches = sorted(set(sizes))
    layers = FEATURES.sub("", repr(module))
    key = (layers, len(shape), repr(objective), *batches)
    if key not in _PROVED:
        _PROVED[key] = equals_torch(module, shape, objective, batches)
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
    streams: Sequence[torch.Generator] = (),
    precision: Precision = "float32",
) -> TrainingStep:
    """The training step of an engine for batches of n inputs.

    ``streams``, one for each module, are where random numbers of module and objective come from.
    """
    if engine == "torch":
        return TorchTrainingStep(parameters, module, n, shape, objective, streams, precision)
    return FastTrainingStep(parameters, module, n, objective)


def try_objective(objective: Objective, module: nn.Module, shape: tuple[int, ...]) -> None:
    """Call an objective once as a training does, with inputs of zeros. The module is not changed.

    Raises ConfigError, in one line, for what it raises, and for a loss that is no scalar.
    """
    try:
        make_step("torch", StackedParameters([module]), module, TRIED_INPUTS, shape, objective)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"objective {name_of(objective)}: {described(error)}") from error


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
