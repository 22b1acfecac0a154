"""Waiting for a condition by checking it again and again."""

import time
from collections.abc import Callable


def wait_until(
    condition: Callable[[], object], seconds: float = float("inf"), every: float = 0.1
) -> bool:
    """Check a condition now and then ``every`` so many seconds, for ``seconds`` at most.

    Returns whether it became true. Errors that the condition raises are passed on.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(every, left))
    return True
