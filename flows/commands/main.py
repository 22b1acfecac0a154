"""The ``study`` command. A command's file imports engines only when the command runs."""

from collections.abc import Callable

import typer

from flows.commands.export import export
from flows.commands.gc import gc
from flows.commands.plan import plan
from flows.commands.register import register
from flows.commands.report import report
from flows.commands.rerun import rerun
from flows.commands.run import run
from flows.commands.serve import serve
from flows.commands.serve_model import serve_model
from flows.commands.status import status
from flows.commands.sync import sync
from flows.commands.ui import ui
from flows.lifecycle.command_line import run_command

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Studies of representations with autoencoders: cached Prefect flows, every run in MLflow.",
    epilog="Example: study run digits",
)
EXAMPLES: dict[Callable[..., None], str] = {
    run: "study run mnist --set training.epochs=2 --set seeds=[0,1]",
    plan: "study plan mnist --set training.epochs=10",
    rerun: r"study rerun mnist --task 'train\[depth=2, latent_dim=20, *]'",
    serve: "study serve mnist --cron '0 2 * * *'",
    gc: "study gc --keep 2 --yes",
    status: "study status",
    report: "study report --compare mnist mnist-as-reported --open",
    export: r"study export 'train\[depth=2, latent_dim=20, seed=0]' --to exported",
    register: "study register mnist",
    serve_model: "study serve-model latent-study-mnist-encoder@d20",
    sync: "study sync",
    ui: "study ui",
}
for command, example in EXAMPLES.items():
    app.command(epilog=f"Example: {example}")(command)


def main() -> None:
    """Entry point. A user's mistake is printed as one line, with exit code 2."""
    run_command(app, "study")


if __name__ == "__main__":
    main()
