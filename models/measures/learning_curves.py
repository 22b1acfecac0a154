"""Measures of losses by epoch."""


def epochs_to_converge(losses: list[float], share: float = 0.1) -> float:
    """Epochs until the loss is at most (1 + share) times its last value and stays there.

    ``losses`` holds one value per epoch, the first after epoch 1. Between epochs the loss is
    interpolated linearly.
    """
    goal = (1 + share) * losses[-1]
    last = max((epoch for epoch, loss in enumerate(losses) if loss > goal), default=None)
    if last is None:
        return 1.0
    before, after = losses[last], losses[last + 1]
    return last + 1 + (before - goal) / (before - after)
