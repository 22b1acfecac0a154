import errno
import os
import subprocess
import sys
import warnings

import pytest
from typer.testing import CliRunner

from flows.commands import main as module
from flows.commands.main import EXAMPLES, app, main
from models.specs import ConfigError, SeveralConfigError
from tests.conftest import COMMAND

COMMANDS = {command.callback: command for command in app.registered_commands}


@pytest.fixture(autouse=True)
def own_warnings():
    with warnings.catch_warnings():
        yield


def ends_with(monkeypatch, error=None):
    def run():
        if error is not None:
            raise error

    monkeypatch.setattr(module, "app", run)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError("key: http://me:secret@host is wrong"), 2, "study: key: http://host is wrong"),
        (ConnectionError("MLflow does not answer"), 1, "study: MLflow does not answer"),
        (ConfigError("cannot read a\nb.png"), 2, r"study: cannot read a\nb.png"),
        (ConnectionError("MLflow: a\nb"), 1, r"study: MLflow: a\nb"),
        (SeveralConfigError("a: wrong\nb: wrong"), 2, "study: a: wrong\nb: wrong"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/home/a\nb"),
            1,
            r"study: /home/a\nb: Permission denied; check STUDY_HOME",
        ),
    ],
)
def test_an_error_of_the_user_or_mlflow_is_one_line(monkeypatch, capsys, error, code, said):
    ends_with(monkeypatch, error)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    assert capsys.readouterr().err == f"{said}\n"


def test_a_reader_that_has_gone_is_no_error_message(monkeypatch, capsys, tmp_path):
    ends_with(monkeypatch, BrokenPipeError())
    with (tmp_path / "output").open("w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        with pytest.raises(SystemExit) as ended:
            main()
        assert os.path.sameopenfile(output.fileno(), os.open(os.devnull, os.O_WRONLY))
    assert ended.value.code == 1
    assert capsys.readouterr().err == ""


def test_an_error_of_the_program_keeps_its_traceback(monkeypatch):
    ends_with(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main()


def test_warnings_are_one_line_without_passwords(monkeypatch, capsys):
    ends_with(monkeypatch)
    main()
    warnings.simplefilter("always", UserWarning)
    warnings.warn("http://me:secret@host is slow", stacklevel=1)
    assert capsys.readouterr().err == "warning: http://host is slow\n"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_a_command_has_a_help_with_an_example(command):
    name = command.__name__.replace("_", "-")
    result = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "300"})
    assert result.exit_code == 0
    assert " ".join(command.__doc__.split("\n\n")[0].split()) in " ".join(result.output.split())
    assert EXAMPLES[command].startswith(f"study {name}")
    assert EXAMPLES[command].replace("\\[", "[") in result.output


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_a_home_of_any_name_is_used_in_every_locale(tmp_path, locale):
    home = tmp_path / "ü"
    variables = {"STUDY_HOME": str(home), "LC_ALL": locale, "PYTHONUTF8": "0", "COLUMNS": "20"}
    done = subprocess.run(
        [*COMMAND, "report", "smoke"],
        env={**os.environ, **variables, "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.decode() == (
        f"study: no report at {home}/reports/smoke/index.html; make it with: study run smoke\n"
    )


def test_on_windows_one_line_says_what_to_use():
    code = (
        "import sys; sys.platform = 'win32'; sys.modules['fcntl'] = None;import flows.commands.main"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("study: latent-study runs on Linux and macOS; on Windows use WSL2")
    assert done.stdout == ""
