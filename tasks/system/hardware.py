"""How much of the machine a study uses."""

import os
from pathlib import Path
from typing import Literal

Device = Literal["auto", "cpu", "cuda"]
DRIVERS = ("/proc/driver/nvidia/version", "/dev/dxg")  # the latter in Windows' Linux


def default_width() -> int:
    """Tasks side by side: one per core that this process may use, at most 4."""
    return max(1, min(4, usable_cores()))


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def has_gpu() -> bool:
    """Whether there is an Nvidia driver; asked without torch, which takes a second to import."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}
    return not hidden and any(Path(path).exists() for path in DRIVERS)
