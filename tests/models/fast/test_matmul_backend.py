"""Products of float32 matrices, compared with those in double precision."""

import pytest
import torch

from models.fast import matmul_backend
from models.fast.matmul_backend import use_fast_matmul

SHAPES = [(1600, 162, 36), (36, 1600, 162), (2304, 55, 72), (128, 900, 20), (1, 8, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_products_keep_the_precision_of_float32(shape):
    use_fast_matmul()
    n, k, m = shape
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(2, n, k, generator=generator)
    right = torch.randn(2, k, m, generator=generator)
    exact = left.double() @ right.double()
    assert (left @ right - exact).abs().max() <= 1e-5 * exact.abs().max()


@pytest.mark.parametrize("exact", [True, False])
def test_a_library_that_rounds_is_not_used(monkeypatch, exact):
    matmul = torch.backends.mkldnn.matmul
    precision = matmul.fp32_precision
    matmul.fp32_precision = "ieee"
    matmul_backend._enable_onednn_if_exact.cache_clear()
    monkeypatch.setattr(matmul_backend, "_is_exact", lambda: exact)
    try:
        assert use_fast_matmul() == exact
        assert matmul.fp32_precision == ("bf16" if exact else "ieee")
    finally:
        matmul_backend._enable_onednn_if_exact.cache_clear()
        matmul.fp32_precision = precision
