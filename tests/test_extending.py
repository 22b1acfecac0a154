"""The walk-throughs of docs/extending.md: every block, applied to a copy of the tree.

Each section is one walk-through. Its blocks are new files (after a comment that names the file),
diffs, and commands. Commands that check run for each walk-through in a copy of its own; those of
``study`` run in one copy in which all walk-throughs are applied.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import SMOKE_TASKS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "extending.md"
BLOCK = re.compile(
    r"(?:^<!-- new file: (?P<file>\S+) -->\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
SECTION = re.compile(r"^## (?P<title>.+?)$(?P<text>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "results", "data", "build", "*.egg-info", "__pycache__", ".*_cache"
)
OTHER_CHECKS = [  # of every walk-through
    "tests/test_imports.py",
    "tests/test_docstrings.py",
    "tests/test_documentation.py::test_the_tree_has_every_file_of_the_rooms",
]

pytestmark = pytest.mark.slow


class Block(NamedTuple):
    """A block of the page: a new file, a diff or commands."""

    file: str | None
    kind: str
    text: str


def walk_throughs():
    """The blocks of each walk-through, by its title."""
    return {
        title: [Block(*found) for found in BLOCK.findall(text)]
        for title, text in SECTION.findall(PAGE.read_text())
    }


def commands(block):
    """The commands of a block, each as a list of words."""
    return [shlex.split(line) for line in block.text.replace("\\\n", " ").splitlines()]


WALK_THROUGHS = walk_throughs()


class Tree:
    """A copy of the tree."""

    def __init__(self, folder):
        self.folder = folder / "tree"
        shutil.copytree(ROOT, self.folder, ignore=LEFT_OUT)
        # git looks for no repository around the copy: it would change that one
        self.environment = os.environ | {
            "PYTHONPATH": str(self.folder),
            "STUDY_HOME": str(folder / "results"),
            "GIT_CEILING_DIRECTORIES": str(folder),
            "COLUMNS": "200",
        }

    def run(self, *command, **options):
        """Run a command in the copy. It must succeed. Returns what it printed."""
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
        assert done.returncode == 0, f"{shlex.join(map(str, command))}\n{done.stdout}{done.stderr}"
        return done.stdout

    def python(self, module, *arguments):
        """Run a module of the environment or of the copy."""
        return self.run(sys.executable, "-m", module, *arguments)

    def study(self, *arguments):
        """Run the command ``study`` of the copy."""
        return self.python("flows.commands.main", *arguments)

    def apply(self, block):
        """Do what a block says, but for checks and studies."""
        if block.kind == "diff":
            self.run("git", "apply", "--whitespace=error", "-", input=block.text)
        elif block.file:
            (self.folder / block.file).write_text(block.text)
        else:
            for program, *arguments in commands(block):
                if program == ".venv/bin/python":
                    self.run(sys.executable, *arguments)


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A copy with all walk-throughs, which do not disturb each other."""
    found = Tree(tmp_path_factory.mktemp("everything"))
    for blocks in WALK_THROUGHS.values():
        for block in blocks:
            found.apply(block)
    return found


def test_the_page_has_the_walk_throughs_that_others_link_to():
    assert list(WALK_THROUGHS) == [
        "A measure",
        "A claim",
        "A dataset",
        "A scenario",
        "An objective",
        "A section",
    ]
    kinds = {"diff", "sh", "py", "yml", "jinja"}
    for title, blocks in WALK_THROUGHS.items():
        assert {block.kind for block in blocks} <= kinds, title
        assert blocks[-1].kind == "sh"
        named = {block.file for block in blocks if block.kind not in {"diff", "sh"}}
        assert None not in named, f"{title}: a block names no file"


@pytest.mark.parametrize("title", WALK_THROUGHS)
def test_a_walk_through_ends_in_a_green_check(title, tmp_path):
    tree, checked = Tree(tmp_path), []
    for block in WALK_THROUGHS[title]:
        tree.apply(block)
        if block.kind == "sh":
            checked += [paths for program, *paths in commands(block) if program == ".ci/check"]
    (paths,) = checked
    tree.python("pytest", "-p", "no:cacheprovider", "-m", "not slow", *paths, *OTHER_CHECKS)
    tree.python("ruff", "check", ".")
    tree.python("ruff", "format", "--check", ".")


@pytest.mark.walkthroughs
def test_types_are_right(everything):
    if (ROOT / ".mypy_cache").is_dir():  # otherwise it takes a minute more
        shutil.copytree(ROOT / ".mypy_cache", everything.folder / ".mypy_cache")
    everything.python("mypy")


@pytest.mark.walkthroughs
def test_the_study_smoke_shows_what_was_added(everything):
    said = everything.study("run", "smoke")
    tasks = SMOKE_TASKS + 2  # robustness of two models
    assert f"{tasks} done" in said
    page = (everything.folder.parent / "results/reports/smoke/index.html").read_text()
    assert "<th>test<br>MAE</th>" in page
    row = page[page.index('<tr id="larger_latent_more_dimensions_used">') :].partition("</tr>")[0]
    assert "A larger latent uses more dimensions." in row
    assert "not measurable" in row  # two epochs train nothing that is better than the mean image
    section = page[page.index('<h2 id="robustness">') :]
    assert (
        len(re.findall(r"<tr><td>[25]</td><td>0\.\d{4}", section.partition('<h2 id="transfer')[0]))
        == 2
    )
    assert '<a href="#robustness">Robustness</a>' in page
    plan = json.loads(everything.study("plan", "smoke", "--json"))["tasks"]
    assert {task["action"] for task in plan} == {"cached"}
    metrics = everything.run(sys.executable, "-c", METRICS).split()
    added = {"test_absolute_error", "noisy_test_loss", "test_absolute_error/depth_2/latent_005"}
    assert added <= set(metrics)


METRICS = """
from flows.lifecycle.prefect_environment import prepare_environment
prepare_environment()
from tasks.tracking.client import connect, search_everywhere
runs = search_everywhere(connect(), "")
print(*{name for run in runs for name in run.data.metrics})
"""


@pytest.mark.walkthroughs
@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("A dataset", "photo_patches: 416 training and 104 test images"),
        ("A scenario", "<i>random_features</i> trains the classifier on a frozen encoder"),
        ("An objective", "smooth_l1, beta = 0.2"),
    ],
)
def test_a_study_uses_what_was_added(everything, title, expected):
    (file,) = [block for block in WALK_THROUGHS[title] if block.file == "mine.yaml"]
    everything.apply(file)
    (study,) = [
        words[1:]
        for block in WALK_THROUGHS[title]
        if block.kind == "sh"
        for words in commands(block)
        if words[:3] == ["study", "run", "mine.yaml"]
    ]
    everything.study(*study)
    name = re.search(r"^name: (\w+)", file.text)[1]
    page = (everything.folder.parent / f"results/reports/{name}/index.html").read_text()
    assert expected in page
