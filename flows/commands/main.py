"""The ``study`` command. A command's file imports engines only when the command runs."""

import errno
import os
import sys
import warnings
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
from models.specs import ConfigError, SeveralConfigError
from tasks.system.disk_errors import DiskError, disk_errors
from tasks.system.user_warnings import (
    one_line,
    open_missing_streams,
    printable,
    say,
    show_warning,
    silence,
)

NOT_PERMITTED = {errno.EACCES, errno.EPERM}

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
    open_missing_streams()
    if sys.getfilesystemencoding() != "utf-8" and os.environ.get("PYTHONUTF8") != "1":
        # names of files, which become addresses, are UTF-8 whatever the locale is
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    warnings.showwarning = show_warning
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        with disk_errors():
            app()
    except SeveralConfigError as error:
        say(f"study: {printable(str(error))}", error=True)
        sys.exit(2)
    except ConfigError as error:
        say(f"study: {one_line(str(error))}", error=True)
        sys.exit(2)
    except BrokenPipeError:  # as in `study status | head`
        silence(sys.stdout)
        sys.exit(1)
    except (ConnectionError, DiskError) as error:  # MLflow's, or of the disk
        say(f"study: {one_line(str(error))}", error=True)
        sys.exit(1)
    except OSError as error:
        if error.errno not in NOT_PERMITTED:
            raise
        place = one_line(str(error.filename or "a file"))
        say(f"study: {place}: {error.strerror}; check STUDY_HOME", error=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
