"""Convolutions as matrix products, compared with torch's own."""

import pytest
import torch
from torch.nn import functional

from models.fast.linear_maps import Chunk, Convolution, TransposedConvolution
from models.fast.scratch import Scratch
from models.fast.window import Window

MODELS, N = 2, 3
# kernel, stride, padding, size of the large map, its channels, channels of the small map, block
CASES = [
    (5, 2, 0, 28, 1, 18, 4),
    (5, 2, 0, 28, 1, 18, 1),
    (3, 2, 0, 12, 18, 36, 1),
    (5, 4, 0, 28, 1, 18, 3),
    (3, 2, 1, 28, 1, 9, 2),
    (3, 2, 1, 14, 9, 18, 1),
    (3, 2, 0, 7, 18, 36, 1),
    (3, 1, 1, 6, 2, 3, 3),
    (4, 2, 1, 10, 3, 2, 5),
]


def random(*shape, dtype):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator, dtype=torch.double).to(dtype)


def channels_last(maps):
    """(models, n, channels, h, w) as (models, n, features), channels last."""
    return maps.permute(0, 1, 3, 4, 2).flatten(2).contiguous()


def channels_first(values, like):
    """(models, n, features), channels last, as (models, n, channels, h, w) like ``like``."""
    models, n, channels, height, width = like.shape
    return values.view(models, n, height, width, channels).permute(0, 1, 4, 2, 3)


def relative_error(actual, expected):
    return ((actual - expected).norm() / expected.norm()).item()


def make_case(kernel, stride, padding, size, channels, small_channels, block, dtype):
    """A window, large maps, small maps, and weights."""
    positions = (size + 2 * padding - kernel) // stride + 1
    window = Window(kernel, stride, padding, size, channels, positions, block)
    large = random(MODELS, N, channels, size, size, dtype=dtype)
    small = random(MODELS, N, small_channels, positions, positions, dtype=dtype)
    weight = random(MODELS, small_channels, channels, kernel, kernel, dtype=dtype)
    return window, large, small, weight


def run(kind, window, weight, inputs, grad_outputs):
    """Outputs, and the gradients of inputs and weights, in two chunks of the batch."""
    grad_weight = torch.zeros_like(weight)
    linear_map = kind(window, (weight, grad_weight))
    linear_map.prepare()
    input, grad_output = channels_last(inputs), channels_last(grad_outputs)
    output, grad_input = torch.zeros_like(grad_output), torch.zeros_like(input)
    scratch = Scratch(input)
    for part in (slice(0, 2), slice(2, N)):
        tensors = (tensor[:, part] for tensor in (input, output, grad_input, grad_output))
        operations = linear_map.bind(Chunk(*tensors, first=part.start == 0), scratch)
        operations.forward()
        operations.backward()
    linear_map.collect()
    return channels_first(output, grad_outputs), channels_first(grad_input, inputs), grad_weight


@pytest.mark.parametrize("settings", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.double, 1e-13), (torch.float, 1e-5)])
@pytest.mark.parametrize("kind", [Convolution, TransposedConvolution])
def test_convolutions_and_their_gradients_equal_torchs(kind, settings, dtype, tolerance):
    window, large, small, weight = make_case(*settings, dtype)
    transposed = kind is TransposedConvolution
    inputs, grad_outputs = (small, large) if transposed else (large, small)
    results = run(kind, window, weight, inputs, grad_outputs)
    for model in range(MODELS):
        x, w = (t[model].detach().requires_grad_() for t in (inputs, weight))
        options = {"stride": window.stride, "padding": window.padding}
        if transposed:
            size = (window.positions - 1) * window.stride - 2 * window.padding + window.kernel
            options["output_padding"] = window.size - size
            expected = functional.conv_transpose2d(x, w, **options)
        else:
            expected = functional.conv2d(x, w, **options)
        gradients = torch.autograd.grad(expected, (x, w), grad_outputs[model])
        for ours, torchs in zip(results, (expected, *gradients), strict=True):
            assert relative_error(ours[model], torchs) < tolerance
