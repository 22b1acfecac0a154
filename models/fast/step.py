"""The hand-written training step: a stack of equal networks on fixed memory.

torch takes a batch through a network layer by layer, so every layer's values have left the cache
when the next layer reads them. This step takes the batch through a layer in chunks that stay in the
cache: an activation, the next linear map, and the sums that batch norm needs of the result. The
backward pass computes the activation again instead of storing it. Each layer stores the values z of
its linear map and the gradient d of its ReLU's input. The ``torch.nn`` module remains the
definition: outputs and gradients are equal to torch's up to rounding.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.fast.activations import BatchNormReLU
from models.fast.layers import Layer, layers_of
from models.fast.linear_maps import Chunk, Dense
from models.fast.losses import ClassificationLoss, ReconstructionLoss
from models.fast.matmul_backend import use_fast_matmul
from models.fast.scratch import Operation, Scratch
from models.objectives.cross_entropy import CrossEntropy
from models.objectives.objective import Objective
from models.objectives.squared_error import SquaredError
from models.training.stacked_parameters import StackedParameters

CHUNK = 64  # images per thread; their largest maps fit the second-level cache of a core


def chunks_of(layer: Layer, n: int, device: torch.device) -> list[slice]:
    """The parts of a batch of n images that go through a layer one by one.

    Dense layers and GPUs take the whole batch at once.
    """
    whole = isinstance(layer.linear_map, Dense) or device.type != "cpu"
    size = n if whole else CHUNK * torch.get_num_threads()
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def is_written(objective: Objective) -> bool:
    """Whether there is a hand-written step for an objective."""
    return isinstance(objective, SquaredError | CrossEntropy)


class LayerInput(NamedTuple):
    """Where one chunk of a layer's input a and its gradient are, and how they are computed.

    ``activate`` computes a from the values z of the layer before. ``relu_backward`` turns the
    gradient of a into d. Both are empty for the network's own input, which needs no gradient.
    """

    a: Tensor
    grad_a: Tensor | None
    activate: list[Operation]
    relu_backward: list[Operation]


class Passes(NamedTuple):
    """The operations of one layer's forward and backward pass."""

    forward: list[Operation]
    backward: list[Operation]


class FastTrainingStep:
    """Loss and gradients for a batch of ``n`` inputs, for a stack of equal networks.

    Fill ``inputs`` (models, n, features), and ``labels`` (models, n) for the cross entropy. A call
    adds the mean loss of the batch to ``total`` (models,), sets the gradients of ``parameters`` and
    updates the running statistics of batch norm.

    Raises TypeError for a layer or an objective that has no counterpart here.
    """

    def __init__(
        self,
        parameters: StackedParameters,
        module: nn.Module,
        n: int,
        objective: Objective,
    ):
        use_fast_matmul()
        like = parameters.gradients
        models = len(parameters)
        self._layers = layers_of(module, parameters)
        self._scratch = Scratch(like)
        self._z = [like.new_zeros(models, n, layer.outputs) for layer in self._layers[:-1]]
        self._d = [torch.zeros_like(z) for z in self._z]
        self.total = like.new_zeros(models)
        self.inputs = like.new_zeros(models, n, self._layers[0].inputs)
        self.labels = torch.zeros(models, n, dtype=torch.long, device=like.device)
        self.parts: dict[str, Tensor] = {}
        self._loss: ClassificationLoss | ReconstructionLoss
        if isinstance(objective, CrossEntropy):
            self._loss = ClassificationLoss(objective)
            self._target = self.labels
        elif isinstance(objective, SquaredError):
            self._loss = ReconstructionLoss(self._layers[-1].output_bias)
            self._target = self.inputs
        else:
            raise TypeError(f"{objective} is not written by hand")
        self._operations = self._all_operations(parameters, n)

    @torch.no_grad()
    def __call__(self) -> None:
        """Compute loss and gradients for the batch in ``inputs`` and ``labels``."""
        for operation in self._operations:
            operation()

    def _all_operations(self, parameters: StackedParameters, n: int) -> list[Operation]:
        """Everything that one call does, in order."""
        forward: list[Operation] = []
        backward: list[Operation] = []
        *hidden, last = range(len(self._layers))
        for index in hidden:
            passes = self._hidden_layer(index, n)
            forward += passes.forward
            backward = passes.backward + backward
        prepare = [layer.linear_map.prepare for layer in self._layers]
        collect = [layer.linear_map.collect for layer in self._layers]
        start = [parameters.gradients.zero_, *prepare]
        return [*start, *forward, *self._last_layer(last, n), *backward, *collect]

    def _hidden_layer(self, index: int, n: int) -> Passes:
        """Forward: from the layer's input to its z. Backward: from its d to that of its input."""
        layer, scratch = self._layers[index], self._scratch
        norm = layer.activation if isinstance(layer.activation, BatchNormReLU) else None
        forward: list[Operation] = []
        backward: list[Operation] = []
        for part in chunks_of(layer, n, self.inputs.device):
            source = self._input_of(index, part)
            z, d = self._z[index][:, part], self._d[index][:, part]
            # without batch norm d is the gradient of z itself
            grad_z = scratch.get("grad_z", *z.shape) if norm else d
            chunk = Chunk(source.a, z, source.grad_a, grad_z, first=part.start == 0)
            linear_map = layer.linear_map.bind(chunk, scratch)
            forward += [*source.activate, linear_map.forward]
            if norm:
                forward.append(norm.measure(z, scratch))
                backward.append(norm.norm_backward(z, d, grad_z))
            backward += [*source.activate, linear_map.backward, *source.relu_backward]
        if norm:
            forward.append(norm.use_batch_statistics)
        return Passes(forward, [*backward, *self._collect_norm_before(index)])

    def _last_layer(self, index: int, n: int) -> list[Operation]:
        """Forward, loss and backward of the last layer, for one chunk after another.

        Nothing else needs the values of this layer, so they are scratch.
        """
        layer, scratch = self._layers[index], self._scratch
        operations: list[Operation] = []
        for part in chunks_of(layer, n, self.inputs.device):
            source = self._input_of(index, part)
            shape = len(source.a), source.a.shape[1], layer.outputs
            z, grad_z = scratch.get("z", *shape), scratch.get("grad_z", *shape)
            chunk = Chunk(source.a, z, source.grad_a, grad_z, first=part.start == 0)
            linear_map = layer.linear_map.bind(chunk, scratch)
            loss = self._loss.bind(z, self._target[:, part], grad_z, self.total, n, scratch)
            operations += [*source.activate, linear_map.forward, loss]
            operations += [linear_map.backward, *source.relu_backward]
        return [*operations, *self._collect_norm_before(index)]

    def _collect_norm_before(self, index: int) -> list[Operation]:
        """The end of the sums over d of the layer before, if that layer has batch norm."""
        before = self._layers[index - 1].activation if index else None
        return [before.collect] if isinstance(before, BatchNormReLU) else []

    def _input_of(self, index: int, part: slice) -> LayerInput:
        if index == 0:
            return LayerInput(self.inputs[:, part], None, [], [])
        z, d = self._z[index - 1][:, part], self._d[index - 1][:, part]
        activation = self._layers[index - 1].activation
        if activation is None:
            return LayerInput(z, d, [], [])
        a, grad_a = (self._scratch.get(name, *z.shape) for name in ("a", "grad_a"))
        relu_backward = activation.relu_backward(z, a, grad_a, d, self._scratch)
        return LayerInput(a, grad_a, [activation.apply(z, a)], [relu_backward])
