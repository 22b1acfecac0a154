"""Which of torch's two libraries multiplies float32 matrices on a CPU.

torch asks MKL, which on processors that are not Intel's leaves the wide half of AVX-512 unused. It
asks oneDNN, which uses all of it, where a product may round its factors to bfloat16. Without units
made for that, oneDNN has nothing to gain from rounding and does not; a product tells.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch


@contextmanager
def fast_products() -> Iterator[None]:
    """Multiply with oneDNN in here where that is exact to float32, else as before."""
    if not _onednn_is_exact():
        yield
        return
    with _rounding_allowed():
        yield


@contextmanager
def _rounding_allowed() -> Iterator[None]:
    matmul = torch.backends.mkldnn.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    try:
        yield
    finally:
        matmul.fp32_precision = before


@cache
def _onednn_is_exact() -> bool:
    """Whether oneDNN keeps the digits that bfloat16 has no room for."""
    if not torch.backends.mkldnn.is_available():
        return False
    values = torch.full((256, 256), 1 + 2**-20)
    with _rounding_allowed():
        return torch.equal(values @ torch.eye(256), values)
