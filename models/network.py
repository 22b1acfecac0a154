"""One training step of a stack of equal networks, and their outputs, on fixed memory.

torch takes a batch through a network layer by layer, so that every layer's values have left the
cache when the next reads them. Here a pass takes the batch in chunks that stay there: an
activation, the next linear map, and the sums that batch norm needs of the result; on the way back
it computes the activation again rather than keep it. Kept per layer are the values z of its map and
the gradient d behind its ReLU. The ``torch.nn`` module remains the definition: outputs and
gradients are equal to torch's up to rounding.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from models.activations import BatchNormReLU
from models.layers import Layer, layers_of
from models.losses import CrossEntropy, SquaredError
from models.maps import Chunk, Dense
from models.memory import Memory, Move
from models.parameters import Parameters
from models.products import use_fast_products

CHUNK = 64  # images whose largest maps fit the second-level cache of a core


def chunks_of(layer: Layer, n: int, device: torch.device) -> list[slice]:
    """The parts of a batch that go through a layer one by one."""
    whole = isinstance(layer.map, Dense) or device.type != "cpu"
    size = n if whole else CHUNK * torch.get_num_threads()
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def evaluation_batch(device: torch.device) -> int:
    """Inputs that go through a whole network together where nothing is learned."""
    return CHUNK * torch.get_num_threads() if device.type == "cpu" else 2_000


def fill(target: Tensor, batch: Tensor) -> None:
    """Copy a batch (models or 1, n, ...); uint8 images become values in [0, 1]."""
    values = batch.flatten(2).expand_as(target)
    if batch.dtype == torch.uint8:
        torch.div(values, 255, out=target)
    else:
        target.copy_(values)


class TrainingStep:
    """Loss and gradients for a batch of ``n`` inputs, for a stack of equal networks.

    Fill ``inputs`` (models, n, features), and ``labels`` (models, n) for a loss of its own; without
    one the inputs are reconstructed. A call adds the loss to ``total`` (models,), sets the
    gradients of ``parameters`` and moves the running statistics of batch norm.
    """

    def __init__(
        self, parameters: Parameters, module: nn.Module, n: int, loss: CrossEntropy | None = None
    ):
        use_fast_products()
        like = parameters.gradients
        models = len(parameters)
        self._layers = layers_of(module, parameters)
        self._memory = Memory(like)
        self._z = [like.new_zeros(models, n, layer.outputs) for layer in self._layers[:-1]]
        self._d = [torch.zeros_like(z) for z in self._z]
        self.total = like.new_zeros(models)
        self.inputs = like.new_zeros(models, n, self._layers[0].inputs)
        self.labels = torch.zeros(models, n, dtype=torch.long, device=like.device)
        self._loss = loss or SquaredError(self._layers[-1].output_bias)
        self._target = self.labels if loss else self.inputs
        forward: list[Move] = []
        backward: list[Move] = []
        for index in range(len(self._layers)):
            into, back = self._passes(index, n)
            forward += into
            backward = back + backward
        prepare = [layer.map.prepare for layer in self._layers]
        collect = [layer.map.collect for layer in self._layers]
        start = [parameters.gradients.zero_, *prepare]
        self._moves = [*start, *forward, *backward, *collect]
        self._calls = 0
        self._graph: torch.cuda.CUDAGraph | None = None

    @torch.no_grad()
    def __call__(self) -> None:
        """Learn from the batch. On a GPU the second call is recorded, and replayed from then on."""
        self._calls += 1
        if self.inputs.is_cuda and self._calls == 2:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._run()
        if self._graph is not None:
            self._graph.replay()
        else:
            self._run()

    def _run(self) -> None:
        for move in self._moves:
            move()

    def _passes(self, index: int, n: int) -> tuple[list[Move], list[Move]]:
        """The pass into a layer's values, and the one back to those before it."""
        layer, memory = self._layers[index], self._memory
        norm = layer.activation if isinstance(layer.activation, BatchNormReLU) else None
        is_last = layer is self._layers[-1]
        into: list[Move] = []
        back = into if is_last else []
        for part in chunks_of(layer, n, self.inputs.device):
            a, grad_a, apply, mask = self._before(index, part)
            shape = len(a), a.shape[1], layer.outputs
            z = memory.get("z", *shape) if is_last else self._z[index][:, part]
            d = memory.get("grad_z", *shape) if is_last else self._d[index][:, part]
            grad_z = memory.get("grad_z", *shape) if norm else d
            moves = layer.map.bind(Chunk(a, z, grad_a, grad_z, part.start == 0), memory)
            into += [*apply, moves.forward]
            if is_last:
                target = self._target[:, part]
                into.append(self._loss.bind(z, target, grad_z, self.total, n, memory))
            elif norm:
                into.append(norm.measure(z, memory))
                back.append(norm.gradient(z, d, grad_z))
            if not is_last:  # else the activation has just been computed
                back += apply
            back += [moves.backward, *mask]
        if norm:
            into.append(norm.normalize)
        before = self._layers[index - 1].activation if index else None
        if isinstance(before, BatchNormReLU):
            back.append(before.collect)
        return into, [] if is_last else back

    def _before(
        self, index: int, part: slice
    ) -> tuple[Tensor, Tensor | None, list[Move], list[Move]]:
        """Input of a layer and its gradient; what computes the one, and what takes the other."""
        if index == 0:
            return self.inputs[:, part], None, [], []
        z, d = self._z[index - 1][:, part], self._d[index - 1][:, part]
        activation = self._layers[index - 1].activation
        if activation is None:
            return z, d, [], []
        a, grad_a = (self._memory.get(name, *z.shape) for name in ("a", "grad_a"))
        mask = activation.mask(z, a, grad_a, d, self._memory)
        return a, grad_a, [activation.apply(z, a)], [mask]


class Inference:
    """What a stack of equal networks gives in evaluation mode."""

    def __init__(self, parameters: Parameters, module: nn.Module):
        use_fast_products()
        self._parameters, self._module = parameters, module
        self._bound: dict[int, tuple[Tensor, list[Move], list[Move], Tensor]] = {}

    @torch.no_grad()
    def batches(self, inputs: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs (n, ...) in parts: (models, m, features) and what is given for them.

        Both are overwritten by the next part. Images are uint8, other inputs as they are.
        """
        prepared = set()
        for part in inputs.split(evaluation_batch(inputs.device)):
            size = len(part)
            if size not in self._bound:
                self._bound[size] = self._bind(size)
            taken, prepare, moves, given = self._bound[size]
            fill(taken, part.unsqueeze(0))
            for move in moves if size in prepared else prepare + moves:
                move()
            prepared.add(size)
            yield taken, given

    def __call__(self, inputs: Tensor) -> Tensor:
        """What the networks give for inputs (n, ...): (models, n, ...)."""
        return torch.cat([given.clone() for _, given in self.batches(inputs)], 1)

    def _bind(self, n: int) -> tuple[Tensor, list[Move], list[Move], Tensor]:
        like = self._parameters.gradients
        memory = Memory(like)
        layers = layers_of(self._module, self._parameters)
        taken = a = like.new_zeros(len(self._parameters), n, layers[0].inputs)
        prepare: list[Move] = []
        moves: list[Move] = []
        for layer in layers:
            z = like.new_zeros(len(a), n, layer.outputs)
            prepare.append(layer.map.prepare)
            moves.append(layer.map.bind(Chunk(a, z, None, None, True), memory).forward)
            if isinstance(layer.activation, BatchNormReLU):
                prepare.append(layer.activation.use_running_statistics)
            if layer.activation is not None:
                moves.append(layer.activation.apply(z, z))
            a = z
        if layers[-1].output_bias is not None:
            loss, given = SquaredError(layers[-1].output_bias), a
            moves.append(lambda: loss.outputs(given))
        return taken, prepare, moves, a.unflatten(2, layers[-1].shape)
