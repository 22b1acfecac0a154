"""Which of torch's two libraries multiplies float32 matrices on a CPU.

torch asks MKL, which on processors that are not Intel's leaves the wide half of AVX-512 unused. It
asks oneDNN, which uses all of it, where a product may round its factors to bfloat16. Without units
made for that, oneDNN has nothing to gain from rounding and does not; a product tells.
"""

from functools import cache
from threading import Lock

import torch

_turn = Lock()


def use_fast_matmul() -> bool:
    """Let oneDNN multiply in this process if it keeps float32's precision; whether it may."""
    with _turn:
        return _switch()


@cache
def _switch() -> bool:
    if not torch.backends.mkldnn.is_available():
        return False
    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    if not _is_exact():
        matmul.fp32_precision = before
        return False
    return True


def _is_exact() -> bool:
    """Whether a product keeps digits that bfloat16 has no room for."""
    values = torch.full((256, 256), 1 + 2**-20)
    return torch.equal(values @ torch.eye(256), values)
