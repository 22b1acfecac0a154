"""Cores, memory and GPU of this machine."""

import os
from pathlib import Path
from typing import Literal

Device = Literal["auto", "cpu", "cuda"]
CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")  # bytes, or "max"
DRIVER_FILES = ("/proc/driver/nvidia/version", "/dev/dxg")  # the latter in Windows' Linux (WSL2)


def default_width() -> int:
    """The default number of tasks at once: one per core that this process may use, at most 4."""
    return max(1, min(4, usable_cores()))


def usable_cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_bytes() -> int:
    """The memory of this machine in bytes, or less where a container limits it."""
    import psutil

    total = int(psutil.virtual_memory().total)
    try:
        limit = CONTAINER_LIMIT.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return total
    return min(total, int(limit)) if limit.isdecimal() else total


def has_gpu() -> bool:
    """Whether an Nvidia driver is loaded and its GPU visible. Imports no torch: it takes a second.

    torch may still find no GPU.
    """
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in {"", "-1"}
    return not hidden and any(Path(path).exists() for path in DRIVER_FILES)
