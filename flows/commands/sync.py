"""``study sync``: logs what MLflow could not take."""

import sys

import typer


def sync() -> None:
    """Log to MLflow what earlier runs could not log: it was down, or they were killed."""
    from tasks.tracking.sync import log_spools

    invocations, kept = log_spools()
    for reason in kept:
        typer.echo(f"study: {reason}", err=True)
    logged = f"logged what was left of {invocations} earlier run{'s' if invocations > 1 else ''}"
    if invocations or not kept:
        typer.echo(logged if invocations else "nothing is left to log")
    if kept:
        sys.exit(1)
