"""``study sync``: logs what MLflow could not take."""

import typer


def sync() -> None:
    """Log to MLflow what earlier runs could not log: it was down, or they were killed."""
    from tasks.tracking import tracker

    invocations = tracker.sync()
    logged = f"logged what was left of {invocations} earlier run{'s' if invocations > 1 else ''}"
    typer.echo(logged if invocations else "nothing is left to log")
