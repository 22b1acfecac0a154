"""Waiting for a condition that nothing announces."""

import time
from collections.abc import Callable


def wait_until(
    condition: Callable[[], object], seconds: float = float("inf"), every: float = 0.1
) -> bool:
    """Ask a condition at once and then every so many seconds, until it holds or time is up.

    Returns whether it held. What the condition raises is passed on.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(every, left))
    return True
