import dataclasses
import inspect
import pickle
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from models.specs import ConfigError
from tasks.own_code.digest import code_sha256
from tasks.own_code.load import load_function, private_package
from tasks.own_code.read import read_source
from tasks.own_code.registry import OwnCodes

NETS = """from dataclasses import dataclass
import blocks
import sub.deep
import sub.deep as renamed
from . import late
from sub.deep import VALUE, inner
from sub import deep


@dataclass
class Settings:
    width: "int" = 3


def encoder():
    import lazy
    return [blocks.VALUE, sub.deep.VALUE, renamed.VALUE, late.VALUE, VALUE, deep.VALUE, lazy.VALUE,
            inner(), Settings().width]


def raises():
    number = 0
    return 1 / number
"""
FILES = {
    "nets.py": NETS,
    "blocks.py": "VALUE = 'blocks'\n",
    "late.py": "VALUE = 'late'\nimport nets\n",
    "lazy.py": "VALUE = 'lazy'\nfrom blocks import VALUE as other\n",
    "sub/deep.py": "from .. import blocks\nVALUE = 'deep'\ndef inner():\n"
    "    from sub import other\n    return other.VALUE + blocks.VALUE\n",
    "sub/other.py": "VALUE = 'other'\n",
}


@pytest.fixture
def folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def remove(folder):
    for name in FILES:
        (folder / name).unlink()


def test_imports_of_every_form_lead_to_the_texts(folder):
    own = read_source("nets.py:encoder", folder)
    remove(folder)
    before = set(sys.modules)
    encoder = load_function(own)
    expected = ["blocks", "deep", "deep", "late", "deep", "deep", "lazy", "otherblocks", 3]
    assert encoder() == expected
    package = private_package(own)
    made = {name for name in set(sys.modules) - before if not name.startswith(package)}
    assert not made & {"nets", "blocks", "late", "lazy", "sub"}
    assert not list(folder.rglob("*.pyc"))
    assert load_function(own) is encoder


def test_equal_names_and_other_texts_live_side_by_side(folder):
    first = read_source("nets.py:encoder", folder)
    (folder / "lazy.py").write_text("VALUE = 'edited'\n")
    second = read_source("nets.py:encoder", folder)
    assert [load_function(own)()[6] for own in (first, second)] == ["lazy", "edited"]
    assert load_function(first)()[6] == "lazy"


def test_dataclasses_and_pickle_find_the_module(folder):
    settings = load_function(read_source("nets.py:Settings", folder))
    assert dataclasses.asdict(pickle.loads(pickle.dumps(settings(5)))) == {"width": 5}


def test_tracebacks_and_inspect_show_the_text_that_was_read(folder):
    (folder / "nets.py").write_text(f"{NETS}# only here\n")  # equal texts are loaded once
    own = read_source("nets.py:raises", folder)
    remove(folder)
    raises = load_function(own)
    with pytest.raises(ZeroDivisionError) as found:
        raises()
    last = traceback.extract_tb(found.value.__traceback__)[-1]
    assert (last.filename, last.lineno) == (str(folder / "nets.py"), 23)
    assert last.line == "return 1 / number"
    assert inspect.getsource(raises).startswith("def raises():\n    number = 0")
    assert inspect.getsource(load_function(read_own(own, "Settings"))).startswith("@dataclass")


def read_own(own, function):
    return own.model_copy(update={"function": function})


def test_the_same_text_is_loaded_once_also_by_threads(folder):
    (folder / "nets.py").write_text("import time\ntime.sleep(.05)\ndef encoder(): pass\n")
    own = read_source("nets.py:encoder", folder)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(load_function, [own.model_copy() for _ in range(8)]))
    assert len(set(map(id, found))) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = {}\nx['a']\ndef encoder(): pass\n", r"nets\.py, line 2: KeyError: 'a'"),
        (
            "def encoder(): pass\nif 1: import gone_thing\n",
            "line 2: ModuleNotFoundError: No module",
        ),
        (
            "from blocks import nothing\ndef encoder(): pass\n",
            "ImportError: cannot import name 'no",
        ),
        ("encoder = 3\n", "is no function or class, but of the type int"),
        ("def encoder(): pass\ndel encoder\n", "AttributeError: module 'nets' has no attribute"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_one_line(folder, text, message):
    (folder / "nets.py").write_text(text)
    own = read_source("nets.py:encoder", folder)
    with pytest.raises(ConfigError, match=message) as found:
        load_function(own)
    assert "\n" not in str(found.value)
    assert "own_" not in str(found.value)


def test_a_function_of_an_installed_package_is_imported(tmp_path):
    own = read_source("torch.nn:Linear", tmp_path)
    assert load_function(own) is torch.nn.Linear
    assert own.distribution.startswith("torch 2.")
    assert code_sha256(own) != code_sha256(read_source("torch.nn:Conv2d", tmp_path))


def test_only_installed_code_is_found(folder):
    codes, own = OwnCodes(), read_source("nets.py:encoder", folder)
    sha256 = code_sha256(own)
    with pytest.raises(ConfigError, match=rf"the code {sha256[:19]}\.\.\. is not part of this run"):
        codes.find(sha256)
    codes.install([type(own).model_validate(own.model_dump())])
    assert codes.find(sha256)()[0] == "blocks"


def test_the_entry_may_be_a_package(folder):
    (folder / "sub/__init__.py").write_text(
        "from .deep import VALUE\ndef encoder(): return VALUE\n"
    )
    (folder / "sub/deep.py").write_text("VALUE = 4\n")
    assert load_function(read_source("sub/__init__.py:encoder", folder))() == 4
