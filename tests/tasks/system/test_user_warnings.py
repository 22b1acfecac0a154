"""What the terminal shows of texts that others wrote."""

from tasks.system.user_warnings import LONGEST_LINE, printable, show_warning


def test_a_warning_is_one_line_that_controls_no_terminal(capsys):
    show_warning("first\nsecond\x1b[31m red\x9b2J\r\u202e http://me:secret@host/x")
    said = capsys.readouterr().err
    assert said == "warning: first\\nsecond?[31m red?2J?? http://host/x\n"


def test_a_long_warning_is_cut(capsys):
    show_warning("x" * 1_000_000)
    assert len(capsys.readouterr().err) < LONGEST_LINE + 20


def test_errors_keep_their_lines_and_letters():
    assert printable("zwei Zeilen:\nüñ → 数\x07") == "zwei Zeilen:\nüñ → 数?"
