"""``study serve-model``: answers over HTTP with the outputs of a registered model."""

from typing import Annotated

import typer

from models.specs import ConfigError


def serve_model(
    name: Annotated[str, typer.Argument(help="Model as `study register` names it: NAME@ALIAS.")],
    host: Annotated[
        str, typer.Option(help="Address of this machine to listen on. There is no password.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 is any free one.")] = 5001,
) -> None:
    """Serve a registered model over HTTP (POST /invocations) until Ctrl-C."""
    from flows.servers.health import is_loopback
    from flows.servers.model_server import serve_until_stopped
    from tasks.registry.load import load_model
    from tasks.tracking.client import tracking_errors

    if host in {"", "0.0.0.0", "::"}:
        raise ConfigError(f"--host {host!r} is every address of this machine; choose one of them")
    with tracking_errors("cannot be read"):
        model = load_model(name)
    if not is_loopback(host):
        typer.echo(f"study: everyone who reaches {host} can use the model, no password", err=True)
    serve_until_stopped(
        model, host, port, lambda address: typer.echo(f"{name}: {address}; Ctrl-C stops it")
    )
    typer.echo(f"{name} is no longer served")
