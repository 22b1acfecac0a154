"""Every block of shell or Python code in the pages is run, or says why it is not.

The blocks of a page are run in order, in a folder of their own, with one STUDY_HOME for all pages
in which the study `digits` is finished. A block with a title is written to a file of that name. A
block that is not run has a comment directly before it: ``<!-- not run: REASON -->``.
"""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "models" / "fast" / "README.md",
    ROOT / "tests" / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").rglob("README.md")),
]
MARK = "<!-- not run:"
BLOCK = re.compile(
    rf"(?:^ *{MARK}([^\n]*?)-->\n\n?)?^ *```(\w*)([^\n`]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL
)
TITLE = re.compile(r'title="([^"]+)"')
PROGRAMS = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
# languages of blocks that are output or files
SHOWN = {"", "diff", "html", "jinja", "json", "py", "toml", "yaml", "yml"}
SECONDS = 1200  # for one block; a minute or two where nothing else uses the machine

pytestmark = pytest.mark.slow


class Block(NamedTuple):
    """One fenced block; ``reason`` says why it is not run, None if nothing is said."""

    reason: str | None
    language: str
    title: str | None
    text: str


def blocks(page):
    """The blocks of a page, in order. Raises ValueError for a mark that is before no block."""
    found = []
    for mark in BLOCK.finditer(page):
        reason, language, more, text = mark.groups()
        title = TITLE.search(more)
        found.append(Block(reason, language, title and title[1], dedent(text)))
    marks = re.findall(f"^ *{MARK}", page, re.MULTILINE)
    if len(marks) != sum(one.reason is not None for one in found):
        raise ValueError("a mark has to be directly before a block")
    return found


def problem(block):
    """What is wrong with how a block is written; empty if nothing."""
    if block.language not in {*PROGRAMS, *SHOWN}:
        return f"blocks are of {', '.join(sorted({*PROGRAMS, *SHOWN} - {''}))}"
    if block.reason is not None and not block.reason.strip():
        return "the mark has no reason"
    return ""


def run_block(block, folder, environment):
    """Run a block in this folder. AssertionError with what it printed if it fails."""
    process = subprocess.Popen(
        [*PROGRAMS[block.language], block.text],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(timeout=SECONDS)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # and what it left behind
        process.wait()
    assert process.returncode == 0, f"{block.text}\n{said[-4000:]}"


def run_page(page, folder, environment):
    """Run the blocks of a page in order, and write those with a title to files."""
    for block in blocks(page):
        assert problem(block) == "", block
        if block.title:
            (folder / block.title).write_text(block.text)
        elif block.language in PROGRAMS and block.reason is None:
            run_block(block, folder, environment)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Variables of the programs: `study` is this environment's, with the code of this checkout."""
    home = tmp_path_factory.mktemp("home") / "results"
    ours = ("STUDY_", "PREFECT_", "MLFLOW_")
    variables = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    variables |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "STUDY_HOME": str(home),
        "COLUMNS": "200",
    }
    run_block(Block(None, "sh", None, "study run digits"), home.parent, variables)
    return variables


@pytest.fixture
def folder(tmp_path, environment):
    """A folder for the blocks of a page, with a folder of images, as a reader has one."""
    place = tmp_path / "a reader's folder"
    for name in ("cat", "dog"):
        (place / "my-images" / name).mkdir(parents=True)
        for number in range(30):
            Image.new("L", (40, 30), 8 * number).save(place / "my-images" / name / f"{number}.png")
    (place / "results").symlink_to(environment["STUDY_HOME"])
    return place


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_blocks_run_or_say_why_not(page, folder, environment):
    run_page(page.read_text("utf-8"), folder, environment)


def fenced(language, text, before=""):
    return f"Words.\n\n{before}```{language}\n{text}\n```\n"


@pytest.mark.parametrize(
    "page",
    [
        fenced("sh", "false"),
        fenced("sh", "study rum"),
        fenced("python", "import nothing_like_this"),
        fenced("bash", "true"),
        fenced("sh", "false", "<!-- not run: -->\n"),
    ],
)
def test_a_block_that_fails_is_found(page, folder, environment):
    with pytest.raises(AssertionError):
        run_page(page, folder, environment)


def test_a_mark_without_a_block_is_found():
    with pytest.raises(ValueError, match="before a block"):
        blocks("<!-- not run: too slow -->\n\nWords.\n" + fenced("sh", "false"))


def test_marks_titles_and_order(folder, environment):
    page = (
        fenced("sh", "false", "<!-- not run: it fails -->\n")
        + fenced('python title="a.py"', "print(1)")
        + fenced("sh", "python a.py > b")
        + fenced("python", "assert open('b').read() == '1\\n'")
    )
    run_page(page, folder, environment)
