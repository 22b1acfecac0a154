"""The memory that images need, and what is refused."""

import pytest

from flows.configuration.checks import memory
from flows.configuration.checks.memory import check_memory, estimate_memory
from flows.configuration.runner_config import RunnerConfig
from models.specs import ConfigError
from tasks.datasets.config import DatasetConfig
from tasks.datasets.contents import Inventory, take_inventory

TWO = RunnerConfig(width=2)
LARGE = Inventory([], [], 180_000, 20_000, (3, 256, 256), [])


def test_photographs_of_cifar_are_estimated_at_what_was_measured():
    found = take_inventory(DatasetConfig(name="cifar10"))
    assert 2.2e9 < estimate_memory(found, TWO) < 3.2e9


def test_more_images_pixels_and_workers_need_more():
    needed = estimate_memory(LARGE, TWO)
    assert needed > 2 * 200_000 * 3 * 256 * 256
    assert estimate_memory(LARGE._replace(n_train=90_000), TWO) < 0.7 * needed
    assert estimate_memory(LARGE._replace(image_shape=(1, 256, 256)), TWO) < 0.4 * needed
    assert estimate_memory(LARGE, RunnerConfig(width=1)) < 0.8 * needed


def test_what_cannot_fit_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(memory, "memory_bytes", lambda: 24_000_000_000)
    with pytest.raises(ConfigError) as caught:
        check_memory(LARGE, TWO)
    message = str(caught.value)
    assert "\n" not in message
    for word in ("200,000 images of 3 x 256 x 256", "2 worker processes", "has 24 GB"):
        assert word in message
    for key in ("dataset.size", "dataset.train_limit", "runner.width"):
        assert key in message
    check_memory(LARGE._replace(image_shape=(1, 64, 64)), TWO)
    check_memory(LARGE, RunnerConfig(width=2, kind="dask", address="tcp://10.0.0.1:8786"))


def test_a_container_has_no_more_memory_than_its_limit(monkeypatch, tmp_path):
    from tasks.system import hardware

    total = hardware.memory_bytes()
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(hardware, "CONTAINER_LIMIT", limit)
    whole = hardware.memory_bytes()
    assert total <= whole
    for text, expected in (("max\n", whole), ("1000000\n", 10**6), (f"{2**70}\n", whole)):
        limit.write_text(text)
        assert hardware.memory_bytes() == expected
