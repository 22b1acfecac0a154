"""Products of float32 matrices, held against those in double precision."""

import pytest
import torch

from models import products
from models.products import fast_products

SHAPES = [(1600, 162, 36), (36, 1600, 162), (2304, 55, 72), (128, 900, 20), (1, 8, 3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_products_keep_the_precision_of_float32(shape):
    n, k, m = shape
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(2, n, k, generator=generator)
    right = torch.randn(2, k, m, generator=generator)
    exact = left.double() @ right.double()
    with fast_products():
        difference = (left @ right - exact).abs().max()
    assert difference <= 1e-5 * exact.abs().max()


@pytest.mark.parametrize("exact", [True, False])
def test_the_library_is_changed_within_only_and_only_if_it_is_exact(monkeypatch, exact):
    monkeypatch.setattr(products, "_onednn_is_exact", lambda: exact)
    matmul = torch.backends.mkldnn.matmul
    before = matmul.fp32_precision
    with fast_products():
        assert (matmul.fp32_precision == "bf16") == exact
    assert matmul.fp32_precision == before
