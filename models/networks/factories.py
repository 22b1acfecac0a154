"""Calls functions of a user that make networks: reproducible, and with errors in one line."""

import inspect
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from models.messages import described
from models.specs import ConfigError


def call_factory(
    factory: Callable[..., object],
    name: str,
    *arguments: object,
    options: Mapping[str, object],
    seed: int | torch.Generator | None = None,
) -> nn.Module:
    """The network that ``factory(*arguments, **options)`` makes.

    It draws random numbers from ``seed``, or from torch's generator as it is. The global generators
    of torch, numpy and Python are afterwards as they were before. ``name`` is for messages, like
    ``nets.py:encoder``.

    Raises ConfigError, in one line, for options that it does not take, for what it raises, and for
    a result that is no network.
    """
    _check_call(factory, name, arguments, options)
    with seeded_everywhere(seed):
        try:
            made = factory(*arguments, **options)
        except (Exception, SystemExit) as error:
            if isinstance(error, ConfigError) and str(factory.__module__).startswith("models."):
                raise
            raise ConfigError(f"{name}: {described(error, factory)}") from error
    if not isinstance(made, nn.Module):
        raise ConfigError(
            f"{name} returned {_kind(made)}, not a torch.nn.Module{place_of(factory)}"
        )
    return made


def parameter_bytes(
    factory: Callable[..., object], *arguments: object, options: Mapping[str, object]
) -> int | None:
    """The bytes of a network's parameters and buffers, without taking the memory for them.

    None if that cannot be known without making it.
    """
    try:
        with torch.device("meta"), seeded_everywhere(0):
            made = factory(*arguments, **options)
        assert isinstance(made, nn.Module)
        tensors = [*made.parameters(), *made.buffers()]
        return sum(one.numel() * one.element_size() for one in tensors)
    except (Exception, SystemExit):  # whatever a user's function raises for such tensors
        return None


@contextmanager
def seeded_everywhere(seed: int | torch.Generator | None) -> Iterator[None]:
    """Seed the global generators of torch, numpy and Python, and restore them afterwards.

    Without a seed torch's generator goes on from where it is, and seeds the others.
    """
    if isinstance(seed, torch.Generator):
        seed = int(torch.randint(2**62, (), generator=seed))
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    numpys, pythons = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(devices):
        if seed is not None and devices:
            torch.manual_seed(seed)
        elif seed is not None:  # manual_seed would also seed a GPU that is used later
            torch.default_generator.manual_seed(seed)
        start = torch.initial_seed()
        np.random.seed(start % 2**32)
        random.seed(start)
        try:
            yield
        finally:
            np.random.set_state(numpys)
            random.setstate(pythons)


def place_of(function: object) -> str:
    """Where a function or class is defined, like `` (nets.py, line 3)``; empty if unknown."""
    try:
        found = inspect.unwrap(function)  # type: ignore[arg-type]
        path = inspect.getsourcefile(found)
        line = inspect.getsourcelines(found)[1]
    except (OSError, TypeError, ValueError):
        return ""
    return f" ({path}, line {line})"


def _check_call(
    factory: Callable[..., object],
    name: str,
    arguments: tuple[object, ...],
    options: Mapping[str, object],
) -> None:
    """Raise ConfigError if a factory does not take these arguments."""
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*arguments, **options)
    except TypeError as error:
        given = ", ".join(options) or "no options"
        text = str(error).replace("keyword argument", "option")
        raise ConfigError(
            f"{name}{signature} is called with the shape of the images, a size and {given}: {text}"
            f"{place_of(factory)}"
        ) from None


def _kind(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return "nothing" if value is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
