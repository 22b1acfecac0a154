from contextvars import copy_context

import pytest
import torch

from models.fast import matmul_backend
from tasks.artifacts.worker import configure_worker, send_event, training_device


@pytest.fixture
def worker(monkeypatch):
    """Run a function as a worker's computation; what this process has is restored."""
    monkeypatch.setattr(matmul_backend, "use_fast_matmul", lambda: False)
    threads = torch.get_num_threads()

    def compute(function, device="cpu", events=None):
        def run():
            configure_worker(([] if events is None else events).append, 3, device)
            return function()

        return copy_context().run(run)

    yield compute
    torch.set_num_threads(threads)


def test_events_reach_the_listener_of_their_worker(worker):
    first, second = [], []
    worker(lambda: send_event({"epoch": 1}), events=first)
    worker(lambda: send_event({"epoch": 2}), events=second)
    send_event({"epoch": 3})  # without a worker: nothing listens
    assert (first, second) == ([{"epoch": 1}], [{"epoch": 2}])


def test_a_worker_computes_with_its_threads(worker):
    assert worker(torch.get_num_threads) == 3


@pytest.mark.parametrize(
    ("device", "has_gpu", "expected"),
    [
        ("auto", False, "cpu"),
        ("auto", True, "cuda"),
        ("cpu", True, "cpu"),
        ("cuda", True, "cuda"),
    ],
)
def test_a_worker_trains_on_the_configured_device(worker, monkeypatch, device, has_gpu, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    assert worker(training_device, device) == expected


def test_a_gpu_that_torch_does_not_find_is_an_error(worker, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match=r"runner\.device: 'cuda', but torch finds no GPU"):
        worker(training_device, "cuda")


def test_outside_of_a_worker_the_cpu_trains(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert training_device() == "cpu"
