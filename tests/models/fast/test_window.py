"""Convolutions as matrix products, held against torch's own."""

import pytest
import torch
from torch.nn import functional

from models.fast.linear_maps import Chunk, Convolution, TransposedConvolution
from models.fast.scratch import Scratch
from models.fast.window import OverlapAdd, Window

MODELS, N = 2, 3
# kernel, stride, padding, size of the large map, its channels, channels of the small one, block
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
    """(models, n, channels, h, w) to (models, n, features) and back by ``like``."""
    return maps.permute(0, 1, 3, 4, 2).flatten(2).contiguous()


def by_channel(values, like):
    models, n, channels, height, width = like.shape
    return values.view(models, n, height, width, channels).permute(0, 1, 4, 2, 3)


def relative_error(found, expected):
    return ((found - expected).norm() / expected.norm()).item()


def case(kernel, stride, padding, size, channels, outputs, block, dtype):
    count = (size + 2 * padding - kernel) // stride + 1
    window = Window(kernel, stride, padding, size, channels, count, block)
    large = random(MODELS, N, channels, size, size, dtype=dtype)
    small = random(MODELS, N, outputs, count, count, dtype=dtype)
    weight = random(MODELS, outputs, channels, kernel, kernel, dtype=dtype)
    return window, large, small, weight


def run(kind, window, weight, inputs, grad_outputs):
    """Outputs, and the gradients of inputs and weights, in two chunks of the batch."""
    gradient = torch.zeros_like(weight)
    linear = kind(window, (weight, gradient))
    linear.prepare()
    given, grad_output = channels_last(inputs), channels_last(grad_outputs)
    outputs, grad_input = torch.zeros_like(grad_output), torch.zeros_like(given)
    memory = Scratch(given)
    for part in (slice(0, 2), slice(2, N)):
        places = (tensor[:, part] for tensor in (given, outputs, grad_input, grad_output))
        moves = linear.bind(Chunk(*places, part.start == 0), memory)
        moves.forward()
        moves.backward()
    linear.collect()
    return by_channel(outputs, grad_outputs), by_channel(grad_input, inputs), gradient


@pytest.mark.parametrize("settings", CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.double, 1e-13), (torch.float, 1e-5)])
@pytest.mark.parametrize("kind", [Convolution, TransposedConvolution])
def test_products_equal_torchs_convolutions(kind, settings, dtype, tolerance):
    window, large, small, weight = case(*settings, dtype)
    transposed = kind is TransposedConvolution
    inputs, grad_outputs = (small, large) if transposed else (large, small)
    found = run(kind, window, weight, inputs, grad_outputs)
    for model in range(MODELS):
        x, w = (t[model].detach().requires_grad_() for t in (inputs, weight))
        options = {"stride": window.stride, "padding": window.padding}
        if transposed:
            plain = (window.count - 1) * window.stride - 2 * window.padding + window.kernel
            options["output_padding"] = window.size - plain
            expected = functional.conv_transpose2d(x, w, **options)
        else:
            expected = functional.conv2d(x, w, **options)
        grads = torch.autograd.grad(expected, (x, w), grad_outputs[model])
        for ours, torchs in zip(found, (expected, *grads), strict=True):
            assert relative_error(ours[model], torchs) < tolerance


def test_overlapping_frames_add_up_and_the_rest_is_zero():
    frames = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    target = torch.full((8,), 7.0)
    OverlapAdd(frames, target, hop=2)()
    assert target.tolist() == [1, 2, 13, 20, 30, 0, 0, 0]
