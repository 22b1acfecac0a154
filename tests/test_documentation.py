"""The README, CONTRIBUTING and the pages in docs/: what they refer to exists and works."""

import ast
import importlib
import importlib.util
import re
import shlex
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest
import typer
from PIL import Image

from flows.commands.main import app
from flows.configuration.checks.networks import check_networks
from flows.configuration.load import chosen_sections, load_config, shipped_studies
from models.specs import WRITTEN_SHAPE, ConfigError
from tasks.datasets.contents import source_fingerprint
from tasks.datasets.dataset import DatasetError
from tasks.system.yaml_files import parse_yaml
from tests.test_imports import ORDER, PACKAGES

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = [
    README,
    ROOT / "CONTRIBUTING.md",
    ROOT / "models" / "fast" / "README.md",
    ROOT / "tests" / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
# language, what follows it (such as title="nets.py"), text
FENCED = re.compile(r"^ *```(\w*)([^\n`]*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`]+)`")
PLACEHOLDERS = re.compile(r"[<>*{}$]|\.\.\.|NAME")
FOLDERS = {*PACKAGES, "tests", "docs", ".ci"}
TEXT_FILES = (".py", ".md", ".yaml", ".toml", ".txt")
OWN_STUDIES = {"mine.yaml", "my-study.yaml", "wider.yaml", "dead.yaml"}  # names in examples
NOT_OURS = OWN_STUDIES | {"models.csv", "__init__.py", "nets.py"}  # no module; in every room
COMMANDS = typer.main.get_command(app).commands


def blocks(page, language):
    """The fenced blocks of a page in this language."""
    return [dedent(text) for kind, _, text in FENCED.findall(page) if kind == language]


def in_backticks(page):
    """Everything in backticks, outside of fenced blocks."""
    return [" ".join(code.split()) for code in CODE.findall(FENCED.sub("", page))]


def anchors(page):
    """The anchors of the headings of a page, as GitHub and the site make them."""
    for heading in HEADING.findall(FENCED.sub("", page)):
        plain = re.sub(r"[^\w\- ]", "", LINK.sub("", heading).lower())
        yield plain.strip().replace(" ", "-")


def broken_links(page, folder):
    """Relative links and images of a page in this folder that lead to no file or no heading."""
    for link in LINK.findall(FENCED.sub("", page)):
        target, _, anchor = link.partition("#")
        if ":" in target:
            continue
        file = folder / target
        if target and not file.exists():
            yield link
        elif anchor:
            text = file.read_text() if target else page
            if anchor not in anchors(text):
                yield link


def is_project_path(word):
    """Whether a word looks like a file or folder of the project."""
    if PLACEHOLDERS.search(word) or not re.fullmatch(r"[\w./-]+", word):
        return False
    folder, slash, _ = word.partition("/")
    if slash and folder in FOLDERS:
        return True
    return word.endswith(TEXT_FILES) and not word.startswith((".", "/"))


def resolves(dotted):
    """Whether a dotted name is a module of the project, or a name in one."""
    module, _, name = dotted.rpartition(".")
    try:
        if importlib.util.find_spec(dotted) is not None:
            return True
    except ModuleNotFoundError:
        pass
    try:
        return hasattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        return False


def missing_paths(page, folder=ROOT):
    """Paths (also relative to the page's folder) and modules in backticks that do not exist."""
    words = {code.split()[0] for code in in_backticks(page)} - NOT_OURS
    paths = [word for word in words if is_project_path(word)]
    modules = [word for word in words if re.fullmatch(rf"({'|'.join(PACKAGES)})(\.\w+)+", word)]
    lost = [path for path in paths if not any((at / path).exists() for at in (ROOT, folder))]
    return lost + [module for module in modules if not resolves(module)]


def commands(block):
    """The commands of a shell block as lists of words, without variables before them."""
    for line in block.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if not set(word) <= set("();<>|&"):
                if words or not re.match(r"[A-Za-z_]\w*=", word):
                    words.append(word)
            elif words:
                yield words
                words = []


def shown_commands(page):
    """The commands in the shell blocks of a page, and those of `study` in its sentences."""
    inline = [code for code in in_backticks(page) if re.match(r"study \w", code)]
    return [words for text in [*blocks(page, "sh"), *inline] for words in commands(text)]


def command_problem(words):
    """What is wrong with one command: an option, an argument, a study, a setting, a module."""
    program, *arguments = [words[0].removeprefix(".venv/bin/"), *words[1:]]
    if program == "python" and arguments[:1] == ["-m"]:
        return "" if importlib.util.find_spec(arguments[1]) else f"no module {arguments[1]}"
    if "/" in program and is_project_path(program):
        return "" if (ROOT / program).is_file() else f"no file {program}"
    return study_problem(*arguments) if program == "study" else ""


def study_problem(name="no command", *rest):
    """What is wrong with one command of `study`."""
    if "--help" in {name, *rest}:
        return "" if name in {*COMMANDS, "--help", "COMMAND"} else f"no command {name!r}"
    if name not in COMMANDS:
        return f"no command {name!r}"
    try:
        given = COMMANDS[name].make_context(name, list(rest)).params
        chosen_sections(given.get("section"))
        if given.get("study") in shipped_studies() or "overrides" in given:
            study, overrides = given["study"], given.get("overrides")
            load_config("digits" if study in OWN_STUDIES else study, overrides)
    except Exception as error:  # typer brings its own click, whose errors are private
        return f"{type(error).__name__}: {error}"
    return ""


def python_problems(block):
    """Imports of the project in a Python block that fail; SyntaxError for what is no Python."""
    found = []
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        found += [n for n in names if n.split(".")[0] in PACKAGES and not resolves(n)]
    return found


def yaml_problem(block, folder):
    """Why a YAML block, as a file in this folder, is no study. A relative path gets images."""
    content = parse_yaml(block)
    if not isinstance(content, dict) or not {"dataset", "name"} & content.keys():
        return ""
    file = folder / "study.yaml"
    file.write_text(block)
    images = Path((content.get("dataset") or {}).get("path") or "images")
    try:
        config = load_config(str(file))
        if (content.get("dataset") or {}).get("name") == "npz":
            (folder / images).parent.mkdir(parents=True, exist_ok=True)
            np.savez(folder / images, x=np.zeros((50, 8, 8), np.uint8))
        elif not images.is_absolute():
            for name in ("cat", "dog"):
                (folder / images / name).mkdir(parents=True, exist_ok=True)
                Image.new("L", (40, 30)).save(folder / images / name / "0.png")
            source_fingerprint(config.dataset)
        check_networks(config, WRITTEN_SHAPE)
    except (ConfigError, DatasetError) as error:
        return str(error)
    return ""


def tree(page):
    """The files of the tree in docs/code.md."""
    (drawn,) = [text for text in blocks(page, "") if text.startswith("flows/")]
    folders: list[str] = []
    for line in drawn.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        folders[depth:] = [line.split()[0]]
        yield "".join(folders)


def each_page(test):
    """Run a test for every page."""
    names = [str(page.relative_to(ROOT)) for page in PAGES]
    return pytest.mark.parametrize("page", PAGES, ids=names)(test)


def test_the_readme_is_short():
    assert len(README.read_text().splitlines()) <= 130


@each_page
def test_links_and_images_lead_to_files(page):
    assert list(broken_links(page.read_text(), page.parent)) == []


@each_page
def test_paths_and_modules_exist(page):
    assert missing_paths(page.read_text(), page.parent) == []


@each_page
def test_commands_are_understood(page):
    shown = shown_commands(page.read_text())
    problems = {shlex.join(words): command_problem(words) for words in shown}
    assert {command: why for command, why in problems.items() if why} == {}


@each_page
def test_python_imports_what_exists(page):
    for block in blocks(page.read_text(), "python"):
        assert python_problems(block) == []


@each_page
def test_yaml_is_a_valid_study(page, tmp_path):
    for number, block in enumerate(blocks(page.read_text(), "yaml")):
        folder = tmp_path / str(number) / "studies"
        folder.mkdir(parents=True)
        for name in re.findall(r"(\w+\.py):\w+", block):  # the page shows what is in the file
            (folder / name).write_text("\n".join(blocks(page.read_text(), "python")))
        assert yaml_problem(block, folder) == ""


def test_every_page_is_listed():
    listed = (ROOT / "docs" / "README.md").read_text()
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in listed


def test_the_tree_has_every_file_of_the_rooms():
    files = [
        file
        for package in PACKAGES
        for kind in ("*.py", "*.yaml")
        for file in (ROOT / package).rglob(kind)
    ]
    real = {str(file.relative_to(ROOT)) for file in files if file.name != "__init__.py"}
    drawn = list(tree((ROOT / "docs" / "code.md").read_text()))
    assert [path for path in drawn if not (ROOT / path).exists()] == []
    assert real - set(drawn) == set(), "add these files to the tree in docs/code.md"


def test_the_order_of_rooms_is_the_tested_one():
    page = " ".join((ROOT / "docs" / "code.md").read_text().split())
    for package in PACKAGES:
        rooms = [room.partition(".")[2] for room in ORDER if room.startswith(f"{package}.")]
        assert f"- `{package}`: {', '.join(rooms)}" in page


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (lambda page: [*broken_links(page, ROOT)], "See [this](docs/nothing.md)."),
        (lambda page: [*broken_links(page, ROOT)], "See [this](docs/running.md#nothing)."),
        (lambda page: [*broken_links(page, ROOT)], "# Here\n\nSee [this](#there)."),
        (lambda page: [*broken_links(page, ROOT)], "![picture](docs/nothing.png)"),
        (missing_paths, "open `models/nothing.py` first"),
        (missing_paths, "open `nothing.py` first"),
        (missing_paths, "the room `tasks/nothing/`"),
        (missing_paths, "the module `tasks.images`"),
        (python_problems, "from tasks.images import read_folder"),
        (python_problems, "from tasks.datasets.images import read_nothing"),
        (python_problems, "import flows.config"),
    ],
)
def test_what_does_not_exist_is_found(check, text):
    assert check(text)


@pytest.mark.parametrize(
    "line",
    [
        "study rum mnist",
        "study rum --help",
        "study run mnits",
        "study run --epochs 3",
        "study run mnist extra",
        "study run mnist --set training.epoch=2",
        "study run mnist --section depth",
        "study gc --keep many",
        "study report --compare mnist",
        "study export 'train[depth=2]'",
        "A=1 .venv/bin/study rum   # and a comment",
        "cd x && study rum > log &",
        ".venv/bin/python -m tests.nothing",
        ".ci/nothing --fast",
    ],
)
def test_a_wrong_command_is_found(line):
    assert any(command_problem(words) for words in commands(line))


@pytest.mark.parametrize(
    "text",
    [
        "name: mine\ndataset: {name: folder}\n",
        "name: mine\nlatent_dim: [2]\n",
        "dataset: {name: cifar}\n",
    ],
)
def test_a_wrong_study_is_found(text, tmp_path):
    assert yaml_problem(text, tmp_path)
