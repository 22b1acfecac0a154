import io

import pytest
from rich.console import Console

from tasks.execution.progress import LINES_PER_TASK, Display, _Console


@pytest.fixture
def plain():
    """A display whose output is no terminal, and what it has printed."""
    output = io.StringIO()
    with Display(Console(file=output, soft_wrap=True)) as display:
        yield display, lambda: output.getvalue().splitlines()


def epoch(number, of):
    return {"epoch": number, "epochs": of, "test_loss": 1 / number}


def test_without_a_terminal_some_epochs_get_a_line(plain):
    display, lines = plain
    display.begin("train[x]")
    for number in range(1, 101):
        display.epoch("train[x]", epoch(number, 100))
    assert len(lines()) == LINES_PER_TASK
    assert lines()[-1].endswith("train[x]: epoch 100/100, loss 0.0100")


def test_what_was_computed_or_failed_gets_a_line(plain):
    display, lines = plain
    display.set_total(4)
    display.end("data[x]", "cached")
    display.end("train[x]", "done")
    display.end("train[y]", "failed", "diverged at epoch 2")
    display.end("evaluate[y]", "skipped")
    assert [line[7:] for line in lines()] == [
        "[2/4] train[x] done",
        "[3/4] train[y] failed: diverged at epoch 2",
    ]
    assert display.counts == {"done": 1, "cached": 1, "failed": 1, "skipped": 1}


def test_a_terminal_shows_tasks_while_they_run():
    output = io.StringIO()
    display = Display(Console(file=output, force_terminal=True, width=100))
    display.begin("train[x]")
    display.begin("train[x]")  # it is retried
    display.epoch("train[x]", epoch(3, 7))
    study, task = display._progress.tasks
    assert (task.description.strip(), task.completed, task.total) == ("train[x]", 3, 7)
    display.set_total(2)
    display.end("train[x]", "done")
    assert display._progress.tasks == [study]
    assert (study.completed, study.total) == (1, 2)
    assert "done" not in output.getvalue()


def test_a_reader_that_has_gone_ends_the_output_only(plain):
    class Closed(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    display = Display(_Console(file=Closed()))
    display.print_line("nobody reads this")
    assert display.console.quiet
    display.print_line("and this")


def test_a_log_on_a_full_disk_ends_the_output_only():
    with open("/dev/full", "w") as output:
        display = Display(_Console(file=output))
        display.end("train[x]", "failed", "its disk is full")
        assert display.console.quiet
        assert display.counts["failed"] == 1


def test_a_warning_of_another_machine_is_a_warning_here(plain):
    display, _ = plain
    with pytest.warns(UserWarning, match="disk is almost full"):
        display.warn("disk is almost full")


def test_names_and_reasons_are_shown_as_they_are():
    """A reason may name a file of somebody else."""
    output = io.StringIO()
    display = Display(Console(file=output, force_terminal=True, highlight=False, width=200))
    display.begin("train[/b]:fire:\x1b[2J")
    assert display._progress.tasks[1].description == "  train[/b]:fire:?[2J"
    display.end("train[/b]:fire:\x1b[2J", "failed", "x\x1b]0;title\x07.png\nforged")
    assert r"train[/b]:fire:?[2J failed: x?]0;title?.png\nforged" in output.getvalue()
