"""The memory that a study's images need, estimated before anything is read."""

import math

from flows.configuration.runner_config import RunnerConfig
from models.specs import ConfigError
from tasks.datasets.contents import Inventory
from tasks.datasets.found_files import counted
from tasks.system.hardware import memory_bytes

MAIN_PROCESS = 500_000_000  # bytes, with Prefect and MLflow
WORKER = 400_000_000  # bytes, with torch
PARTS = 300_000_000  # bytes, of images that are floats at once, and of what networks make of them
COPIES = 3  # of all images while they are read and put in order
GIGABYTE = 10**9


def estimate_memory(found: Inventory, runner: RunnerConfig) -> int:
    """Bytes for the images of a study in all its processes on this machine, at most about.

    Every worker holds all images as uint8, and few of them as floats. One of them reads the files,
    or computes principal components. Memory for large networks comes on top.
    """
    values = math.prod(found.image_shape)
    images = (found.n_train + found.n_validation + found.n_test) * values
    workers = runner.tasks_at_once * (WORKER + images + min(PARTS, 8 * images))
    return MAIN_PROCESS + workers + max((COPIES - 1) * images, _components(values))


def _components(values: int) -> int:
    """Bytes of principal components: matrices in double precision, or long vectors."""
    return 4 * 8 * min(values, 4_096) ** 2 if values <= 4_096 else 4 * 4 * values * 400


def check_memory(found: Inventory, runner: RunnerConfig) -> None:
    """Raise ConfigError if the images of a study cannot fit in this machine's memory.

    Workers of a Dask cluster are other machines, which are not asked.
    """
    needed, there = estimate_memory(found, runner), memory_bytes()
    if runner.kind == "dask" or needed <= there:
        return
    n = found.n_train + found.n_validation + found.n_test
    size = " x ".join(map(str, found.image_shape))
    workers = counted(runner.tasks_at_once, "worker process", "worker processes")
    raise ConfigError(
        f"dataset: {counted(n, 'image')} of {size} values need about {needed / GIGABYTE:,.0f} GB "
        f"of memory in {workers}, and this machine has {there / GIGABYTE:,.0f} GB; lower "
        "dataset.size, dataset.train_limit or runner.width"
    )
