"""What a computation may ask of the worker that runs it: a listener for events, a device."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from tasks.system.hardware import Device

_listener: ContextVar[Callable[[Any], None] | None] = ContextVar("_listener", default=None)
_device: ContextVar[Device] = ContextVar("_device", default="cpu")


def use_worker(listener: Callable[[Any], None], threads: int, device: Device) -> None:
    """Make this thread one that computes: its events reach the listener."""
    import torch

    from models.fast.matmul_backend import use_fast_matmul

    _listener.set(listener)
    _device.set(device)
    torch.set_num_threads(threads)
    use_fast_matmul()


def send_event(event: Any) -> None:
    """Send an event from the computation to whoever waits for it; nothing without a listener."""
    listener = _listener.get()
    if listener is not None:
        listener(event)


def training_device() -> str:
    """The device that this worker process trains on.

    Raises RuntimeError if a GPU is asked for and torch sees none.
    """
    import torch

    wanted, found = _device.get(), torch.cuda.is_available()
    if wanted == "cuda" and not found:
        raise RuntimeError("runner.device: 'cuda', but torch sees no GPU; use auto or cpu")
    return "cuda" if found and wanted != "cpu" else "cpu"
