import os

import pytest

from models.specs import ConfigError
from tasks.own_code.read import LARGEST_FILE, read_source


def test_what_is_imported_beside_the_file_is_read_and_nothing_else(tmp_path):
    texts = {
        "nets.py": "import blocks, torch, json\nfrom sub import deep\nfrom . import late\nf = 1\n",
        "blocks.py": "from sub.inner import x\nif x:\n    import optional_thing\n",
        "late.py": "def later():\n    import lazy\n",
        "lazy.py": "import nets\n",
        "json.py": "A = 1\n",  # comes before Python's own, as for a script
        "sys.py": "A = 1\n",
        "alone.py": "A = 1\n",
        "sub/inner.py": "from .. import blocks\nfrom . import deep\nx = 1\n",
        "sub/deep.py": "A = 1\n",
        "torch/notes.py": "A = 1\n",  # a folder without __init__.py comes after what is installed
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    own = read_source("nets.py:f", tmp_path)
    expected = texts.keys() - {"sys.py", "alone.py", "torch/notes.py"}
    assert own.files == {name: texts[name] for name in expected}
    assert (own.module, own.function, own.folder) == ("nets.py", "f", str(tmp_path))
    (tmp_path / "nets.py").write_text("f = 2\n")
    assert own.files["nets.py"] == texts["nets.py"]


GOOD = "def encoder(image_shape, outputs):\n    return None\n"
CASES = {
    "missing": ("gone.py:encoder", "", "gone.py: no such file or directory"),
    "syntax": ("nets.py:encoder", f"{GOOD}\ndef x(:\n", "nets.py, line 4: not Python: "),
    "late syntax": (
        "nets.py:encoder",
        f"{GOOD}\nreturn 1\n",
        "nets.py, line 4: not Python: 'return' outside",
    ),
    "other name": ("nets.py:encodr", GOOD, "defines no 'encodr' at its top level; did you mean e"),
    "no name": ("nets.py:thing", GOOD, "defines no 'thing' at its top level; it defines encoder"),
    "inner name": ("nets.py:image_shape", GOOD, "defines no 'image_shape'"),
    "no function": ("nets.py", GOOD, "'nets.py' names no function; write FILE.py:FUNCTION"),
    "empty": (":encoder", GOOD, "':encoder' names no function"),
    "no identifier": ("nets.py:en coder", GOOD, "names no function"),
    "call": ("nets.py:encoder()", GOOD, "names no function"),
    "no python": ("./nets.txt:encoder", GOOD, "nets.txt is no Python file"),
    "null": ("nets.py:encoder", f"{GOOD}\0", "nets.py: not Python: source code string cannot"),
    "deep": ("nets.py:encoder", f"{GOOD}x = {'(' * 3000}{')' * 3000}\n", "nets.py, line 3: not P"),
    "huge": ("nets.py:encoder", "#" * (LARGEST_FILE + 1), "nets.py: "),
    "no module": (
        "nets.py:encoder",
        f"import not_there\n{GOOD}",
        "line 1: no module 'not_there' i",
    ),
    "no file": ("nets.py:encoder", f"{GOOD}from . import gone\n", "line 3: no module 'gone' is in"),
    "no sibling": (
        "nets.py:encoder",
        f"from .gone import x\n{GOOD}",
        "line 1: no module 'gone' is",
    ),
    "leaves": ("nets.py:encoder", f"from ..up import x\n{GOOD}", "line 1: a relative import leads"),
    "not installed": ("no_such.module:encoder", "", "no package 'no_such.module' is installed"),
    "python's": ("math:sin", "", "no package 'math' is installed; write FILE.py:FUNCTION"),
    "no suffix": (
        "nets:encoder",
        GOOD,
        "no package 'nets' is installed; write FILE.py:FUNCTION, l",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_one_line(case, tmp_path):
    reference, text, message = CASES[case]
    (tmp_path / "nets.py").write_text(text)
    (tmp_path / "nets.txt").write_text(text)
    with pytest.raises(ConfigError) as found:
        read_source(reference, tmp_path)
    assert message in str(found.value)
    assert "\n" not in str(found.value)


def test_what_is_no_readable_file_is_one_line(tmp_path):
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "loop.py").symlink_to("loop.py")
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "latin.py").write_bytes(b"# one\n# caf\xe9\n")
    for name, message in {
        "folder.py": "is not a regular file",
        "loop.py": "is not a regular file",
        "pipe.py": "is not a regular file",
        "latin.py": "line 2: not UTF-8",
    }.items():
        with pytest.raises(ConfigError, match=rf"{name}.*{message}") as found:
            read_source(f"{name}:encoder", tmp_path)
        assert "\n" not in str(found.value)


def test_a_mistake_in_a_file_beside_it_names_that_file(tmp_path):
    (tmp_path / "nets.py").write_text(f"import blocks\n{GOOD}")
    (tmp_path / "blocks.py").write_text("\n\nclass\n")
    with pytest.raises(ConfigError, match=r"blocks\.py, line 3: not Python"):
        read_source("nets.py:encoder", tmp_path)


def test_links_and_marks_of_byte_order_are_followed(tmp_path):
    (tmp_path / "real.py").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    (tmp_path / "nets.py").symlink_to("real.py")
    assert read_source("nets.py:encoder", tmp_path).files == {"nets.py": GOOD}


def test_names_defined_in_any_way_are_found(tmp_path):
    (tmp_path / "nets.py").write_text(
        "import blocks\nfrom blocks import made as renamed\n"
        "try:\n    def tried(): pass\nexcept Exception: pass\n"
        "made = lambda *a: None\nclass Net: pass\nfor looped in (): pass\n"
    )
    (tmp_path / "blocks.py").write_text("def made(): pass\n")
    for name in ("renamed", "tried", "made", "Net", "looped"):
        assert read_source(f"nets.py:{name}", tmp_path).function == name
    (tmp_path / "nets.py").write_text("from blocks import *\n")
    assert read_source("nets.py:made", tmp_path).function == "made"
