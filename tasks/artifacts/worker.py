"""The worker of a computation: where its events go, and on which device it trains."""

from collections.abc import Callable
from contextvars import ContextVar

from tasks.system.hardware import Device

Event = dict[str, float]  # the numbers of one epoch by name
Listener = Callable[[Event], None]
_listener: ContextVar[Listener | None] = ContextVar("_listener", default=None)
_device: ContextVar[Device] = ContextVar("_device", default="cpu")


def configure_worker(listener: Listener, threads: int, device: Device) -> None:
    """Prepare this thread to compute: set its listener, its device and torch's threads."""
    import torch

    from models.fast.matmul_backend import use_fast_matmul

    _listener.set(listener)
    _device.set(device)
    torch.set_num_threads(threads)
    use_fast_matmul()


def set_listener(listener: Listener) -> None:
    """Set the listener of this thread."""
    _listener.set(listener)


def send_event(event: Event) -> None:
    """Send an event to the listener of this thread, if it has one."""
    listener = _listener.get()
    if listener is not None:
        listener(event)


def training_device() -> str:
    """The device on which this worker trains: ``cuda`` or ``cpu``.

    Raises RuntimeError if ``cuda`` is configured and torch finds no GPU.
    """
    import torch

    wanted, found = _device.get(), torch.cuda.is_available()
    if wanted == "cuda" and not found:
        raise RuntimeError("runner.device: 'cuda', but torch finds no GPU; use auto or cpu")
    return "cuda" if found and wanted != "cpu" else "cpu"
