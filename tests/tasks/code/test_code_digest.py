import ast
import shutil

import pytest

from tasks.code import modules
from tasks.code.code_digest import clear_code_snapshot, code_parts
from tasks.code.modules import IGNORED_MODULES, PACKAGES, ROOT, TEMPLATES, module_file

HELPER = "bound = 1 / math.sqrt(layer.weight[0].numel())"


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """Edits a copy of the project, which the digest reads instead of the project."""
    for package in ("models", "tasks"):
        shutil.copytree(ROOT / package, tmp_path / package)
    monkeypatch.setattr(modules, "ROOT", tmp_path)

    def edit(path, old, new):
        file = tmp_path / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        clear_code_snapshot()

    clear_code_snapshot()
    yield edit
    clear_code_snapshot()


STEPS = {
    "data": ("tasks.steps.data", "prepare_dataset"),
    "pca": ("tasks.steps.pca", "fit_linear_limit"),
    "train": ("tasks.steps.train", "train_models"),
    "evaluate": ("tasks.steps.evaluate", "evaluate_model"),
    "interpolate": ("tasks.steps.interpolate", "interpolate_pair"),
    "realism": ("tasks.steps.realism", "measure_walks"),
    "interpolation_grid": ("tasks.steps.interpolation_grid", "draw_grid"),
    "correlate": ("tasks.steps.correlate", "correlate_latents"),
    "encode": ("tasks.steps.representation.encode", "encode_images"),
    "probe_controls": ("tasks.steps.representation.probe_controls", "probe_untrained_features"),
    "probe": ("tasks.steps.representation.probe", "measure_representation"),
    "similarity": ("tasks.steps.representation.similarity", "compare_latents"),
    "traverse": ("tasks.steps.representation.traverse", "draw_traversal"),
    "latent_map": ("tasks.steps.representation.latent_map", "map_latents"),
    "own_measure": ("tasks.steps.representation.own_measure", "measure_by_own_code"),
    "transfer": ("tasks.steps.transfer", "train_transfer"),
    "package": ("tasks.steps.package", "package_model"),
    "theory": ("tasks.steps.theory", "check_exercises"),
    "report": ("tasks.reporting.report", "write_report"),
}
USE_CLASSIFIERS = {"transfer", "realism", "package"}


def digests():
    return {name: code_parts(*place) for name, place in STEPS.items()}


def changed(edit, path, old, new):
    before = digests()
    edit(path, old, new)
    return {name for name, parts in digests().items() if parts != before[name]}


def test_comments_docstrings_and_formatting_change_nothing(copied):
    networks = "models/networks/initialization.py"
    assert not changed(copied, networks, HELPER, f"# a reason\n            {HELPER}")
    assert not changed(copied, "models/fit.py", '"""Train one auto', '"""Fit one auto')
    assert not changed(copied, "models/specs.py", "Size of the latent vector", "Latent size")
    assert not changed(copied, networks, "1 / math.sqrt", "(1)/(math . sqrt)")


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [
        (
            "models/networks/initialization.py",
            HELPER,
            HELPER.replace("1 /", "2 /"),
            {"train", "transfer", "probe"},
        ),
        ("models/measures/pca.py", "flip(1).T", "flip(0).T", {"pca"}),
        (
            "models/measures/latents.py",
            "latents.amax(0) ==",
            "latents.amax(0) <=",
            {"correlate"},
        ),
        (
            "models/networks/classifier.py",
            "nn.Linear(50, 100)",
            "nn.Linear(50, 99)",
            USE_CLASSIFIERS,
        ),
        ("tasks/datasets/dataset.py", "TEST_SHARE = 0.2", "TEST_SHARE = 0.3", {"data"}),
        ("tasks/reporting/plots.py", "len(counts) <= 12", "len(counts) <= 13", {"transfer"}),
        (
            "tasks/reporting/templates/depth_sweep.html.j2",
            ">Convergence</h3>",
            ">C</h3>",
            {"report"},
        ),
        ("tasks/cache/store.py", "time.time_ns()", "time.monotonic_ns()", set()),
        ("tasks/tracking/entry_runs.py", "REQUEST = 900", "REQUEST = 800", set()),
        (
            "tasks/execution/progress.py",
            "LINES_PER_TASK = 5",
            "LINES_PER_TASK = 6",
            set(),
        ),
    ],
)
def test_an_edit_changes_exactly_what_uses_it(copied, path, old, new, expected):
    assert changed(copied, path, old, new) == expected


def test_parts_name_file_and_definition():
    parts = code_parts("tasks.steps.train", "train_models")
    assert "models.networks.written:Decoder" in parts
    assert "models.networks.conv:decoder" in parts
    assert "tasks.steps.train:train_models" in parts
    assert not any(name.startswith("tasks.tracking") for name in parts)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Whether an edit in a small project changes the code that ``tasks.a:f`` reaches."""
    monkeypatch.setattr(modules, "ROOT", tmp_path)

    def write(**files):
        for name, text in files.items():
            path = tmp_path / "tasks" / f"{name.replace('__in__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def seen(edited, **files):
        write(__init__="", **files)
        clear_code_snapshot()
        before = code_parts("tasks.a", "f")
        write(**edited)
        clear_code_snapshot()
        return code_parts("tasks.a", "f") != before

    yield seen
    clear_code_snapshot()


ONE, TWO = "def g():\n    return 1\n", "def g():\n    return 2\n"
USES = {
    "a name that a package exports again": {
        "a": "from tasks.room import g\ndef f():\n    return g()\n",
        "room__in____init__": "from tasks.room.b import g\n",
    },
    "a name that is exported again under another name": {
        "a": "from tasks.room import h\ndef f():\n    return h()\n",
        "room__in____init__": "from tasks.room.b import g as h\n",
    },
    "all names, exported again": {
        "a": "from tasks.room import *\ndef f():\n    return g()\n",
        "room__in____init__": "from tasks.room.b import *\n",
    },
    "a relative import": {
        "a": "from .room import b\ndef f():\n    return b.g()\n",
        "room__in____init__": "",
    },
    "a relative import of a name": {
        "a": "from .room.b import g\ndef f():\n    return g()\n",
        "room__in____init__": "",
    },
    "a relative import in a package": {
        "a": "from tasks.room import g\ndef f():\n    return g()\n",
        "room__in____init__": "from .b import g\n",
    },
    "a relative import from a neighbour": {
        "a": "from tasks.room.c import g\ndef f():\n    return g()\n",
        "room__in____init__": "",
        "room__in__c": "from . import b\nfrom ..room.b import g\n",
    },
    "import a.b": {
        "a": "import tasks.room.b\ndef f():\n    return tasks.room.b.g()\n",
        "room__in____init__": "",
    },
    "import a.b as c": {
        "a": "import tasks.room.b as c\ndef f():\n    return c.g()\n",
        "room__in____init__": "",
    },
    "an attribute of a package": {
        "a": "from tasks import room\ndef f():\n    return room.g()\n",
        "room__in____init__": "from tasks.room.b import g\n",
    },
    "an import inside the function": {
        "a": "def f():\n    from tasks.room.b import g\n    return g()\n",
        "room__in____init__": "",
    },
    "the same name imported twice": {
        "a": (
            "def f():\n    from tasks.room.b import g\n    return g()\n"
            "def other():\n    from tasks.room.c import g\n    return g()\n"
        ),
        "room__in____init__": "",
        "room__in__c": ONE,
    },
    "an import that may fail": {
        "a": (
            "try:\n    from tasks.room.b import g\nexcept ImportError:\n    g = None\n"
            "def f():\n    return g()\n"
        ),
        "room__in____init__": "",
    },
    "a function that a module calls when it is imported": {
        "a": "from tasks.room.c import h\ndef f():\n    return h()\n",
        "room__in____init__": "",
        "room__in__c": "from tasks.room.b import g\ng()\ndef h():\n    return 1\n",
    },
    "a decorator": {
        "a": "from tasks.room.b import g\n@g\ndef f():\n    return 1\n",
        "room__in____init__": "",
    },
    "a module that another module passes on": {
        "a": "from tasks.room.c import b\ndef f():\n    return b.g()\n",
        "room__in____init__": "",
        "room__in__c": "from tasks.room import b\n",
    },
    "a module under another name": {
        "a": "from tasks.room import b\nother = b\ndef f():\n    return other.g()\n",
        "room__in____init__": "",
    },
    "modules in a loop": {
        "a": "from tasks.room import b\ndef f():\n    return [one.g() for one in (b,)]\n",
        "room__in____init__": "",
    },
    "a name that is looked up in a module": {
        "a": "from tasks.room import b\ndef f():\n    return getattr(b, 'g')()\n",
        "room__in____init__": "",
    },
    "a name that is also that of its module": {
        "a": "from tasks.room import b\ndef f():\n    return b()\n",
        "room__in____init__": "from tasks.room.b import g as b\n",
    },
    "a star import beside another import of the name": {
        "a": (
            "from tasks.room.b import *\ndef f():\n    return g()\n"
            "def other():\n    from math import sin as g\n    return g\n"
        ),
        "room__in____init__": "",
    },
    "all names, of which one is a module": {
        "a": "from tasks.room import *\ndef f():\n    return b.g()\n",
        "room__in____init__": "__all__ = ['b']\n",
    },
    "a definition that an import replaces": {
        "a": "from tasks.room.c import g\ndef f():\n    return g()\n",
        "room__in____init__": "",
        "room__in__c": "def g():\n    return 0\nfrom tasks.room.b import g\n",
    },
    "a package that is a folder only": {
        "a": "import tasks.room.b\ndef f():\n    return tasks.room.b.g()\n",
    },
    "else of a branch for types": {
        "a": (
            "from typing import TYPE_CHECKING\nfrom tasks.room.b import g\n"
            "if TYPE_CHECKING:\n    h = None\nelse:\n    h = g\ndef f():\n    return h()\n"
        ),
        "room__in____init__": "",
    },
    "an annotation as text": {
        "a": "from tasks.room.b import g\nclass A:\n    x: 'list[g]'\ndef f():\n    return A\n",
        "room__in____init__": "",
    },
}


@pytest.mark.parametrize("files", USES.values(), ids=USES)
def test_an_edited_helper_is_noticed_through(project, files):
    assert project({"room__in__b": TWO}, **files, room__in__b=ONE)
    assert not project({"room__in__b": ONE + "# said\n"}, **files, room__in__b=ONE)


IMPORT_TIME_CODE = {
    "of a module imported for it": {
        "a": "import tasks.b\ndef f():\n    return 1\n",
        "b": "import os\nos.environ['X'] = '{}'\n",
    },
    "of a module whose name is not used": {
        "a": "from tasks.b import g\ndef f():\n    return 1\n",
        "b": "g = 1\nprint('{}')\n",
    },
    "of a module that an imported one imports": {
        "a": "from tasks.b import g\ndef f():\n    return g\n",
        "b": "import tasks.c\ng = 1\n",
        "c": "import torch\ntorch.x = '{}'\n",
    },
    "of a package": {
        "a": "from tasks.room.b import g\ndef f():\n    return g()\n",
        "room__in____init__": "import os\nos.environ.setdefault('X', '{}')\n",
        "room__in__b": ONE,
    },
    "that changes an imported table": {
        "a": "from tasks.b import TABLE\nimport tasks.c\ndef f():\n    return TABLE\n",
        "b": "TABLE = {{}}\n",
        "c": "from tasks.b import TABLE\nTABLE['x'] = '{}'\n",
    },
    "that registers a function by a decorator": {
        "a": "from tasks.b import TABLE\nimport tasks.c\ndef f():\n    return TABLE\n",
        "b": "TABLE = {{}}\ndef add(g):\n    TABLE[g.__name__] = g\n",
        "c": "from tasks.b import add\n@add\ndef g():\n    return '{}'\n",
    },
    "that changes something in an assignment": {
        "a": "from tasks.b import TABLE\nimport tasks.c\ndef f():\n    return TABLE\n",
        "b": "TABLE = {{}}\n",
        "c": "from tasks.b import TABLE\nkept = TABLE.setdefault('x', '{}')\n",
    },
    "that changes something in place": {
        "a": "from tasks.b import TABLE\nimport tasks.c\ndef f():\n    return TABLE\n",
        "b": "TABLE = []\n",
        "c": "from tasks.b import TABLE\nTABLE += ['{}']\n",
    },
    "of a class body": {
        "a": "from tasks.b import TABLE\nimport tasks.c\ndef f():\n    return TABLE\n",
        "b": "TABLE = {{}}\n",
        "c": "from tasks.b import TABLE\nclass C:\n    TABLE['x'] = '{}'\n",
    },
    "of a method's decorator": {
        "a": "from tasks.b import TABLE\nimport tasks.c\ndef f():\n    return TABLE\n",
        "b": "TABLE = {{}}\ndef add(g):\n    TABLE[g.__name__] = g\n",
        "c": "from tasks.b import add\nclass C:\n    @add\n    def g(self):\n        return '{}'\n",
    },
    "of a default": {
        "a": "from tasks.b import TABLE\nimport tasks.c\ndef f():\n    return TABLE\n",
        "b": "TABLE = {{}}\n",
        "c": "from tasks.b import TABLE\ndef g(x=TABLE.setdefault('x', '{}')):\n    pass\n",
    },
    "of a decorator that a star import brings": {
        "a": "from tasks.b import TABLE\nimport tasks.c\ndef f():\n    return TABLE\n",
        "b": "TABLE = {{}}\ndef add(g):\n    TABLE[g.__name__] = g\n",
        "c": "from tasks.b import *\n@add\ndef g():\n    return '{}'\n",
    },
    "of a name within an expression": {
        "a": "x = (y := '{}')\ndef f():\n    return y\n",
    },
    "of a module that a class body imports": {
        "a": "class A:\n    import tasks.b\ndef f():\n    return 1\n",
        "b": "import os\nos.x = '{}'\n",
    },
    "in a branch": {
        "a": "import tasks.b\ndef f():\n    return 1\n",
        "b": "import os\nif os.name:\n    os.x = '{}'\n",
    },
}


@pytest.mark.parametrize("files", IMPORT_TIME_CODE.values(), ids=IMPORT_TIME_CODE)
def test_edited_import_time_code_is_noticed(project, files):
    before = {name: text.replace("{}", "1") for name, text in files.items()}
    after = {name: text.replace("{}", "2") for name, text in files.items()}
    before = {name: text.replace("{1}", "{}") for name, text in before.items()}
    after = {name: text.replace("{2}", "{}") for name, text in after.items()}
    assert project(after, **before)


USE_BOTH = "def f():\n    return g(), h()\n"
BOTH = {"b": "def g():\n    return 1\ndef h():\n    return 2\n"}
TABLE = {"b": "TABLE = []\n"}
ADDS = "from tasks.b import TABLE\nTABLE.append({})\n"
OTHER_IMPORTS = {
    "another function of a library": (
        {"a": "from math import sin as g\ndef f():\n    return g(1)\n"},
        {"a": "from math import cos as g\ndef f():\n    return g(1)\n"},
    ),
    "all of another library": (
        {"a": "from math import *\ndef f():\n    return sin(1)\n"},
        {"a": "from cmath import *\ndef f():\n    return sin(1)\n"},
    ),
    "names swapped": (
        BOTH | {"a": f"from tasks.b import g as g, h as h\n{USE_BOTH}"},
        {"a": f"from tasks.b import h as g, g as h\n{USE_BOTH}"},
    ),
    "names swapped where they are passed on": (
        BOTH | {"c": "from tasks.b import g, h\n", "a": f"from tasks.c import g, h\n{USE_BOTH}"},
        {"c": "from tasks.b import h as g, g as h\n"},
    ),
    "modules in another order": (
        TABLE
        | {"c": ADDS.format(1), "d": ADDS.format(2)}
        | {"a": "import tasks.c\nimport tasks.d\nfrom tasks.b import TABLE\nf = TABLE.copy\n"},
        {"a": "import tasks.d\nimport tasks.c\nfrom tasks.b import TABLE\nf = TABLE.copy\n"},
    ),
    "fewer names for star imports": (
        BOTH | {"a": "from tasks.b import *\ndef f():\n    return g()\n"},
        {"b": BOTH["b"] + "__all__ = ['h']\n"},
    ),
    "statements in another order": (
        {"a": "X = [1]\nY = X[0]\nX = [2]\ndef f():\n    return Y\n"},
        {"a": "X = [1]\nX = [2]\nY = X[0]\ndef f():\n    return Y\n"},
    ),
}


@pytest.mark.parametrize(("before", "after"), OTHER_IMPORTS.values(), ids=OTHER_IMPORTS)
def test_other_imports_and_orders_are_noticed(project, before, after):
    assert project(after, **before)


SAME = "from math import cos, sin\nfrom tasks.b import g\nX = 1\ndef f():\n    return g(X, sin)\n"
REWRITTEN = {
    "imports of libraries": SAME.replace("cos, sin", "sin"),
    "the order of constants and functions": (
        "from tasks.b import g\nfrom math import sin\ndef f():\n    return g(X, sin)\nX = 1\n"
    ),
}


@pytest.mark.parametrize("text", REWRITTEN.values(), ids=REWRITTEN)
def test_imports_and_orders_that_change_nothing_do_not_count(project, text):
    assert not project({"a": text}, a=SAME, b=ONE)


def test_a_file_with_a_byte_order_mark_is_read(project):
    assert project({"b": "\ufeff" + TWO}, a="from tasks.b import g\nf = g\n", b="\ufeff" + ONE)


def test_a_package_goes_before_a_module_of_its_name(project):
    files = {"a": "from tasks.b import g\ndef f():\n    return g()\n", "b__in____init__": ONE}
    assert not project({"b": TWO}, **files, b=ONE)
    assert project({"b__in____init__": TWO}, **files, b=ONE)


def test_what_is_imported_for_types_only_does_not_count(project):
    types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tasks.b import g\n"
    text = f'{types}def f() -> "g":\n    return 1\n'
    assert not project({"b": TWO}, a=text, b=ONE)


def test_an_unused_neighbour_does_not_count(project):
    text = "from tasks.b import g\ndef f():\n    return g()\n"
    assert not project({"b": ONE + "def other():\n    return 2\n"}, a=text, b=ONE)


def test_ignored_modules_and_templates_exist():
    for module in IGNORED_MODULES:
        assert module_file(module) is not None, module
    assert {path.suffix for path in (ROOT / TEMPLATES).iterdir()} == {".j2", ".css", ".js"}
    parts = code_parts(*STEPS["report"])
    counted = {name.removesuffix(":") for name in parts if name.startswith(f"{TEMPLATES}/")}
    assert counted == {f"{TEMPLATES}/{path.name}" for path in (ROOT / TEMPLATES).iterdir()}
    assert "tasks/verdicts/written-study.yaml:" in parts
    for package in PACKAGES:
        assert module_file(package) is not None


# Names that look up code by text, or run it because a class is made: what they reach cannot be
# followed. nn.Module.eval and the globals of a jinja2 environment only have such names.
UNFOLLOWED = {"__import__", "import_module", "eval", "exec", "globals", "__getattr__"}
UNFOLLOWED |= {"__init_subclass__", "__subclasses__", "__set_name__", "metaclass"}


def test_steps_reach_no_code_that_cannot_be_followed():
    reached = {part for place in STEPS.values() for part in code_parts(*place)}
    for module in {part.partition(":")[0] for part in reached if "/" not in part}:
        tree = ast.parse(module_file(module).read_text())
        named = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        named |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} - {
            *("eval", "globals")
        }
        named |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword)}
        named |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert not named & UNFOLLOWED, module
