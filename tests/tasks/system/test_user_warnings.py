"""What the terminal shows of texts that others wrote."""

import subprocess
import sys

import pytest

from models.messages import LONGEST_LINE
from tasks.system.user_warnings import printable, say, show_warning


def test_a_warning_is_one_line_that_controls_no_terminal(capsys):
    show_warning("first\nsecond\x1b[31m red\x9b2J\r\u202e http://me:secret@host/x")
    said = capsys.readouterr().err
    assert said == "warning: first\\nsecond?[31m red?2J?? http://host/x\n"


def test_a_long_warning_is_cut(capsys):
    show_warning("x" * 1_000_000)
    assert len(capsys.readouterr().err) < LONGEST_LINE + 20


def test_errors_keep_their_lines_and_letters():
    assert printable("zwei Zeilen:\nüñ → 数\x07") == "zwei Zeilen:\nüñ → 数?"


def run(code, redirection):
    """Run code that has imported this module in a shell with this redirection."""
    code = f"from tasks.system.user_warnings import *; import os, sys; {code}"
    command = f'"$0" -c "$1" {redirection}'
    return subprocess.run(
        ["bash", "-c", command, sys.executable, code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("redirection", ["> >(exit)", "> /dev/full"])
def test_what_nobody_can_read_ends_no_program(redirection):
    wait = "import time; time.sleep(0.5)" if "exit" in redirection else "pass"
    code = f"{wait}; say('x'); say('y'); print('z'); sys.stderr.write('went on'); sys.exit(3)"
    done = run(code, redirection)
    assert (done.returncode, done.stderr) == (3, "went on")


def test_a_line_or_an_error_is_printed(capsys):
    say("done")
    say("failed", error=True)
    assert tuple(capsys.readouterr()) == ("done\n", "failed\n")


@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_file_that_is_opened_never_takes_the_place_of_a_closed_stream(number, tmp_path):
    code = (
        "open_missing_streams(); "
        f"file = open({str(tmp_path / 'database')!r}, 'w'); say('x'); show_warning('y'); "
        "sys.exit(file.fileno() < 3 or bool(sys.stdin.read()))"
    )
    done = run(code, f"< /dev/null {number}>&-")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ("" if number == 1 else "x\n")
    assert done.stderr == ("" if number == 2 else "warning: y\n")
    assert (tmp_path / "database").read_text() == ""
