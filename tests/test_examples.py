"""The examples that readers copy: they are understood, they run, and their outputs are shown."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flows.configuration.checks.networks import check_networks
from flows.configuration.load import load_config

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
OWN_PATHS = re.compile(r"/(tmp|root|home|work|Users)/")


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """Runs a program in a folder with copies of the examples, whose results stay between tests."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(EXAMPLES, folder, dirs_exist_ok=True)
    variables = {"PYTHONPATH": str(ROOT), "STUDY_HOME": str(folder / "results")}

    def run(*words):
        return subprocess.run(
            words,
            cwd=folder,
            env=os.environ | variables,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )

    run.folder = folder
    return run


def code_cells(path):
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def kinds_of_outputs(cell):
    """What a cell shows: texts, tables, pictures. A run's bar is updated, and counts once."""
    shown = [kind for output in cell["outputs"] for kind in output.get("data", {"text": ""})]
    return set(shown)


@pytest.mark.parametrize("study", sorted(EXAMPLES.glob("*/*.yaml")), ids=lambda path: path.name)
@pytest.mark.parametrize("image_shape", [(1, 28, 28), (3, 32, 32), (3, 48, 32)])
def test_the_networks_of_an_example_take_images_of_any_shape(study, image_shape):
    config = load_config(str(study))
    assert config.architectures
    assert check_networks(config, image_shape) == []


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_shows_its_outputs_and_no_path_of_a_machine(notebook):
    cells = code_cells(notebook)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert any("image/png" in kinds_of_outputs(cell) for cell in cells)
    assert not OWN_PATHS.search(notebook.read_text())


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs_and_shows_what_it_did_before(notebook, reader):
    execute = Path(sys.executable).parent / "jupyter-execute"
    done = reader(str(execute), "--output=done.ipynb", notebook.name)
    assert done.returncode == 0, done.stderr[-3000:]
    before, now = code_cells(notebook), code_cells(reader.folder / "done.ipynb")
    assert list(map(kinds_of_outputs, now)) == list(map(kinds_of_outputs, before))


@pytest.mark.slow
def test_the_script_runs(reader):
    script = EXAMPLES / "ten_lines.py"
    code = script.read_text().partition("\n\n")[2]
    assert len([line for line in code.splitlines() if line]) <= 11, "an import and ten lines"
    done = reader(sys.executable, script.name)
    assert done.returncode == 0, done.stderr
    assert "makes of 360 images vectors of 20 numbers" in done.stdout
    assert "report: " in done.stdout
