import importlib
import textwrap

import pytest

from models.specs import ConfigError
from tasks.own_code import installed
from tasks.own_code.digest import (
    changed_parts,
    check_recorded,
    code_parts,
    code_sha256,
    whole_sha256,
)
from tasks.own_code.read import read_source

NETS = """
    \"\"\"Networks.\"\"\"
    import math
    import torch
    from torch import nn
    import blocks
    from parts.heads import Head, unused_head

    WIDTH = 16
    OTHER = 3

    class Base(nn.Module):
        scale = 2

    class Layer(Base):
        def forward(self, x):
            return x * self.scale

    def encoder(image_shape, outputs, width=WIDTH):
        # makes it
        return nn.Sequential(nn.Flatten(), blocks.Block(width), Layer(), Head(outputs))

    @torch.no_grad()
    def decoder(image_shape, latent_dim):
        return blocks.Up(latent_dim)

    def unused():
        return OTHER
"""
BLOCKS = """
    import numpy as np
    from torch import nn

    GAIN = 1

    class Block(nn.Linear):
        gain = GAIN

    class Up(nn.Linear):
        pass
"""
HEADS = "from torch import nn\nclass Head(nn.Linear):\n    pass\ndef unused_head():\n    return 1\n"


@pytest.fixture
def write(tmp_path):
    """Write files of a user, by default a small network of three files; their folder."""

    def write_files(folder="first", **files):
        texts = {"nets.py": NETS, "blocks.py": BLOCKS, "parts/heads.py": HEADS} | files
        for name, text in texts.items():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return tmp_path / folder

    return write_files


def both(folder):
    return [code_sha256(read_source(f"nets.py:{name}", folder)) for name in ("encoder", "decoder")]


def test_the_parts_are_named_by_file_and_definition(write):
    parts = code_parts(read_source("nets.py:encoder", write()))
    assert {"nets.py:encoder", "nets.py:Layer", "nets.py:Base", "nets.py:WIDTH"} <= parts.keys()
    assert {"blocks.py:Block", "blocks.py:GAIN", "parts/heads.py:Head"} <= parts.keys()
    assert not {"nets.py:unused", "nets.py:decoder", "blocks.py:Up"} & parts.keys()
    assert parts["installed:torch"].startswith("torch 2.")
    assert parts["installed:torch"].count(".") == 1
    assert parts["installed:numpy"].count(".") == 2
    assert "installed:math" not in parts


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("nets.py", "# makes it", "# makes something", ""),
        ("nets.py", '"""Networks."""', '"""My networks."""', ""),
        ("nets.py", "return OTHER", "return OTHER + 1", ""),
        ("nets.py", "OTHER = 3", "OTHER = 4", ""),
        ("nets.py", "width=WIDTH", "width = WIDTH", ""),
        ("parts/heads.py", "return 1", "return 2", ""),
        ("nets.py", "return x * self.scale", "return x + self.scale", "encoder"),
        ("nets.py", "scale = 2", "scale = 3", "encoder"),
        ("nets.py", "WIDTH = 16", "WIDTH = 17", "encoder"),
        ("nets.py", "width=WIDTH", "width=12", "encoder"),
        ("blocks.py", "GAIN = 1", "GAIN = 2", "encoder"),
        ("parts/heads.py", "Head(nn.Linear)", "Head(nn.Identity)", "encoder"),
        ("nets.py", "@torch.no_grad()", "@torch.enable_grad()", "decoder"),
        ("blocks.py", "Up(nn.Linear)", "Up(nn.Bilinear)", "decoder"),
        ("blocks.py", "from torch import nn", "from torch import nn\nnn.x = 1", "both"),
    ],
)
def test_an_edit_changes_exactly_what_uses_it(write, file, old, new, expected):
    folder = write()
    before = both(folder)
    path = folder / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    changed = [one != other for one, other in zip(before, both(folder), strict=True)]
    assert changed == [expected in {"encoder", "both"}, expected in {"decoder", "both"}]


def test_an_edited_decorator_of_the_user_counts(write):
    """For all of the file: it might keep what it decorates in a table."""
    decorated = "def mine(f):\n    return f\n\n@mine\ndef decoder(s, d):\n    return 1\n"
    folder = write(**{"nets.py": decorated + "def encoder(s, n):\n    return 2\n"})
    before = both(folder)
    (folder / "nets.py").write_text(
        (folder / "nets.py").read_text().replace("return f", "return 3")
    )
    assert all(one != other for one, other in zip(before, both(folder), strict=True))


def test_neither_folder_nor_name_of_the_file_counts(write):
    first = both(write())
    other = write("second/place")
    (other / "nets.py").rename(other / "mine.py")
    found = [code_sha256(read_source(f"mine.py:{name}", other)) for name in ("encoder", "decoder")]
    assert found == first
    assert first[0] != first[1]
    nested = read_source("second/place/mine.py:encoder", other.parents[1])
    absolute = read_source(f"{other / 'mine.py'}:encoder", write())
    assert code_sha256(nested) == code_sha256(absolute) == first[0]


def test_files_of_one_name_and_different_texts_have_different_digests(write):
    changed = NETS.replace("scale = 2", "scale = 5")
    assert both(write())[0] != both(write("other", **{"nets.py": changed}))[0]
    assert both(write()) == both(write("third"))


@pytest.mark.parametrize(
    "text",
    [
        "from blocks import *",
        "import importlib",
        "from importlib import import_module",
        "def make():\n    return eval('1')",
        "exec('A = 1')",
        "import sys\nME = sys.modules[__name__]",
        "def make():\n    return __import__('math')",
    ],
)
def test_a_file_that_cannot_be_followed_counts_whole(write, text):
    use = "importlib.reload" if text == "import importlib" else "len"
    use = "import_module" if "import_module" in text else use
    whole = f"{text}\n{textwrap.dedent(NETS)}\nUSED = {use}\n"
    folder = write(**{"nets.py": whole})
    before = both(folder)
    path = folder / "nets.py"
    path.write_text(whole.replace("# makes it", "# made"))
    assert both(folder) == before
    path.write_text(whole.replace("return OTHER", "return OTHER + 1"))
    assert [one != other for one, other in zip(before, both(folder), strict=True)] == [True, True]


def test_a_module_whose_attribute_is_computed_counts_whole(write):
    text = "import blocks\ndef encoder(s, n):\n    return getattr(blocks, 'Block')(n)\n"
    folder = write(**{"nets.py": text})
    before = code_sha256(read_source("nets.py:encoder", folder))
    (folder / "blocks.py").write_text(textwrap.dedent(BLOCKS).replace("Up(nn.Linear)", "Up(str)"))
    assert code_sha256(read_source("nets.py:encoder", folder)) != before


def test_code_of_this_project_counts_where_it_is_used(write):
    text = (
        "from models.networks.factories import place_of\ndef encoder(s, n):\n    return place_of\n"
    )
    parts = code_parts(read_source("nets.py:encoder", write(**{"nets.py": text})))
    assert "models/networks/factories.py:place_of" in parts
    assert "models/networks/factories.py:described" not in parts
    assert "installed:models" not in parts


def test_versions_of_what_is_not_used_do_not_count(write):
    text = "def encoder(s, n):\n    return 1\ndef other():\n    import scipy\n"
    folder = write(**{"nets.py": text})
    assert "installed:scipy" not in code_parts(read_source("nets.py:encoder", folder))
    assert "installed:scipy" in code_parts(read_source("nets.py:other", folder))


def test_a_package_that_is_not_installed_counts_by_its_files(write, tmp_path, monkeypatch):
    folder = tmp_path / "lib" / "freshly_made"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("A = 1\n")
    monkeypatch.syspath_prepend(tmp_path / "lib")
    importlib.invalidate_caches()
    text = "import freshly_made\ndef encoder(s, n):\n    return freshly_made.A\n"
    files = write(**{"nets.py": text})
    found = code_parts(read_source("nets.py:encoder", files))["installed:freshly_made"]
    installed.installed_version.cache_clear()
    (folder / "__init__.py").write_text("A = 2\n")
    assert installed.installed_version("freshly_made") != found


def test_changes_are_named():
    before = {
        "nets.py:encoder": "1",
        "nets.py:": "1",
        "b.py:X": "1",
        "installed:torch": "torch 2.1",
    }
    after = {"nets.py:encoder": "2", "nets.py:": "1", "b.py:": "1", "installed:torch": "torch 2.2"}
    assert list(changed_parts(before, after)) == [
        "torch 2.1 -> torch 2.2",
        "b.py changed: X",
        "nets.py changed: encoder",
    ]
    assert list(changed_parts(before, before)) == []


def test_only_recorded_code_is_accepted(write):
    folder = write()
    own = read_source("nets.py:encoder", folder)
    sha256, parts = code_sha256(own), code_parts(own)
    check_recorded(own, sha256)
    path = folder / "nets.py"
    path.write_text(path.read_text().replace("scale = 2", "scale = 3"))
    edited = read_source("nets.py:encoder", folder)
    with pytest.raises(ConfigError, match=r"nets.py:encoder is not the code that was served \(ne"):
        check_recorded(edited, sha256, parts)
    with pytest.raises(ConfigError, match=r"not the code that was served; serve or deploy the"):
        check_recorded(edited, sha256)


def test_all_code_of_the_texts_counts_for_those_who_run_only_what_was_recorded(write):
    folder = write()

    def digests():
        own = read_source("nets.py:encoder", folder)
        return code_sha256(own), whole_sha256(own)

    before, path = digests(), folder / "nets.py"
    path.write_text(path.read_text().replace("# makes it", "# made"))
    assert digests() == before
    path.write_text(path.read_text() + "\nclass Unused:\n    ran = print('at import')\n")
    after = digests()
    assert after[0] == before[0]
    assert after[1] != before[1]
    path.rename(folder / "mine.py")
    assert whole_sha256(read_source("mine.py:encoder", folder)) == after[1]
