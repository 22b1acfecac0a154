"""Which of torch's two libraries multiplies float32 matrices on a CPU.

By default torch calls MKL, which uses only half the width of AVX-512 on processors that are not
Intel's. oneDNN uses the full width, but torch calls it only where a product may round its factors
to bfloat16. On processors without special units for bfloat16, oneDNN gains nothing from rounding
and does not round. A test product shows whether it does.
"""

from functools import cache
from threading import Lock

import torch

_lock = Lock()


def use_fast_matmul() -> bool:
    """Let oneDNN multiply in this process if it keeps float32's precision.

    Returns whether oneDNN multiplies. The test product runs once per process.
    """
    with _lock:
        return _enable_onednn_if_exact()


@cache
def _enable_onednn_if_exact() -> bool:
    if not torch.backends.mkldnn.is_available():
        return False
    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    previous = matmul.fp32_precision
    matmul.fp32_precision = "bf16"
    if not _is_exact():
        matmul.fp32_precision = previous
        return False
    return True


def _is_exact() -> bool:
    """Whether a product keeps digits that bfloat16 cannot represent."""
    values = torch.full((256, 256), 1 + 2**-20)
    return torch.equal(values @ torch.eye(256), values)
