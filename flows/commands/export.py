"""``study export``: writes one MLflow run as plain files."""

from pathlib import Path
from typing import Annotated

import typer

from models.specs import ConfigError


def export(
    run: Annotated[
        str, typer.Argument(help="Name of a run in MLflow, its id, or the start of its id.")
    ],
    to: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write into.")],
    latents: Annotated[
        bool,
        typer.Option(
            "--latents",
            help="Also write the latents of an autoencoder, with labels, as Parquet and NPZ. The "
            "section representation computes them.",
        ),
    ] = False,
) -> None:
    """Write a run's weights, spec, metrics (CSV and Parquet) and figures into a folder."""
    from tasks.tracking.export import export_run

    try:
        written = export_run(run, to, latents)
    except LookupError as error:
        raise ConfigError(f"{error}; `study ui` shows the runs") from None
    for path in written:
        typer.echo(path)
