"""``study sync``: log what MLflow could not take."""

import typer


def sync() -> None:
    """Log to MLflow what earlier runs could not, because it was down or they were killed."""
    from tasks.tracking import tracker

    invocations = tracker.sync()
    left = f"what {invocations} earlier run{'s' if invocations > 1 else ''} left is logged"
    typer.echo(left if invocations else "nothing is left to log")
