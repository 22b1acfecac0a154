"""Docstrings: everything public has one, and it names errors, shapes and units.

Public is a module, and a class, function, method or property whose name, and that of the class
around it, starts with no underscore. Special methods and functions inside of functions do not
count. A method that a base class defines too needs a docstring all the same, for what is particular
to it: there are few. The docstrings of commands are the help that users read, so they name no
errors and leave units to the help of each option.
"""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("flows", "tasks", "models")
COMMANDS = "flows/commands/"
TRANSLATORS = {"naming", "_naming"}  # with these, what is raised inside gets another class
SHAPE = re.compile(r"\(([^()]*,[^()]*)\)")
AXES = (
    "block channels classes features height images inputs kernel models outputs parameters "
    "patch_size pixels points shape steps values width VARIABLES"
)
AXIS = rf"[a-z]|{AXES.replace(' ', '|')}"
# one size in a shape: n, 28, 1 or 3, 2 d, *shape, block * outputs, steps + 1, ...
SIZE = re.compile(rf"\.\.\.|(\d+ )?\*?(\d+|{AXIS}|\d or \d)( [*+] (\d+|{AXIS}))*")
SHAPE_IN_WORDS = re.compile(
    r"\bscalars?\b|any (one )?shape|(same|one) shape\b|shape \(\)|shapes broadcast"
)
QUANTITY = re.compile(
    r"(^|_)(timeout|delay|duration|wait|memory|age|seconds|minutes|hours|days|bytes|mib|gib)(_|$)"
)
UNIT = re.compile(r"\b(milliseconds?|seconds?|minutes?|hours?|days?|bytes?|[KMGT]i?B)\b", re.I)
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Public(NamedTuple):
    """A public name of a file, and where it is."""

    path: str
    name: str
    node: ast.Module | ast.ClassDef | Function

    @property
    def docstring(self):
        """Its docstring, an empty text if it has none."""
        return ast.get_docstring(self.node) or ""


def definitions(body):
    """The functions and classes that a body defines, also under a condition."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef):
            yield node
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from definitions([*node.body, *getattr(node, "orelse", [])])


def public_names(path, text):
    """Everything public of a file: the module, and what it defines."""
    tree = ast.parse(text)
    yield Public(path, "the module", tree)
    waiting = [(node.name, node) for node in definitions(tree.body)]
    for name, node in waiting:
        if not node.name.startswith("_"):
            yield Public(path, name, node)
            if isinstance(node, ast.ClassDef):
                waiting += [(f"{name}.{one.name}", one) for one in definitions(node.body)]


def last_name(node):
    """The last part of a dotted name, also of a call."""
    return ast.unparse(node.func if isinstance(node, ast.Call) else node).rpartition(".")[2]


def catches(handler, error):
    """Whether an ``except`` is for this class of errors, or for every one."""
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {"Exception", error} & {last_name(kind) for kind in kinds if kind is not None}


def raised(node):
    """The classes of errors that the body of a function raises and does not catch, by name."""
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        name = last_name(node.exc)
        return {name} if name.endswith("Error") else set()
    if isinstance(node, ast.With) and any(
        last_name(item.context_expr) in TRANSLATORS for item in node.items
    ):
        return set()
    if isinstance(node, Function | ast.ClassDef | ast.Lambda):  # a body of its own
        return set()
    found = set().union(*map(raised, ast.iter_child_nodes(node)))
    if not isinstance(node, ast.Try):
        return found
    inside = set().union(*map(raised, node.body))
    caught = {error for error in inside if any(catches(one, error) for one in node.handlers)}
    outside = [*node.handlers, *node.orelse, *node.finalbody]
    return (inside - caught).union(*map(raised, outside))


def arguments(function):
    """The arguments of a function that have an annotation."""
    found = function.args
    every = [*found.posonlyargs, *found.args, *found.kwonlyargs, found.vararg, found.kwarg]
    return [one for one in every if one is not None and one.annotation is not None]


def typed_names(function):
    """The names of a function's arguments, and its own for what it returns, with their types."""
    yield from ((one.arg, ast.unparse(one.annotation)) for one in arguments(function))
    if function.returns is not None:
        yield function.name, ast.unparse(function.returns)


def states_a_shape(text):
    """Whether a docstring states a shape, like (n, c, h, w), (n,), "scalar", "any shape"."""
    for shape in SHAPE.findall(text):
        sizes = [size.strip() for size in shape.rstrip(",").split(",")]
        if all(SIZE.fullmatch(size) for size in sizes) and "0" not in sizes:  # (0, 1): an interval
            return True
    return bool(SHAPE_IN_WORDS.search(text))


def without_docstring(one, bases):
    """Whether a public name has no docstring."""
    return "" if one.docstring else "has no docstring"


def unnamed_errors(one, bases):
    """Errors that a function raises itself, and whose class its docstring does not name.

    The name of a base class of ours is as good: a BadImageError is a DatasetError.
    """
    if not isinstance(one.node, Function) or one.path.startswith(COMMANDS):
        return ""
    errors = sorted(set().union(*map(raised, one.node.body)))
    missing = [
        name
        for name in errors
        if not any(kind in one.docstring for kind in (name, *bases.get(name, ())))
    ]
    return f"raises {', '.join(missing)}" if missing else ""


def without_shapes(one, bases):
    """Whether a function takes or returns tensors and says no shape."""
    if not isinstance(one.node, Function):
        return ""
    if not any(
        re.search(r"\b(Tensor|N?[dD][aA]rray)\b", kind) for _, kind in typed_names(one.node)
    ):
        return ""
    return "" if states_a_shape(one.docstring) else "says no shape"


def without_units(one, bases):
    """Numbers of a function that have a unit, by their name, which its docstring does not say."""
    if not isinstance(one.node, Function) or one.path.startswith(COMMANDS):
        return ""
    numbers = [name for name, kind in typed_names(one.node) if re.search(r"\b(float|int)\b", kind)]
    measured = [name for name in numbers if QUANTITY.search(name)]
    missing = measured and not UNIT.search(one.docstring)
    return f"says no unit of {', '.join(measured)}" if missing else ""


RULES = (without_docstring, unnamed_errors, without_shapes, without_units)


def problems(rule, names):
    """What a rule finds, one line each."""
    bases = {
        one.name: [last_name(base) for base in one.node.bases]
        for one in names
        if isinstance(one.node, ast.ClassDef)
    }
    found = ((one, rule(one, bases)) for one in names)
    return [f"{one.path}: {one.name} {problem}" for one, problem in found if problem]


EVERYTHING = [
    one
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    for one in public_names(str(path.relative_to(ROOT)), path.read_text())
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_docstrings_are_complete(rule):
    assert problems(rule, EVERYTHING) == []


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (without_docstring, "x = 1"),
        (without_docstring, '"""M."""\ndef f(): pass'),
        (without_docstring, '"""M."""\nif True:\n    def f(): pass'),
        (
            without_docstring,
            '"""M."""\nclass C:\n    """C."""\n    @property\n    def p(self): pass',
        ),
        (unnamed_errors, 'def f(x):\n    """F."""\n    if x:\n        raise ConfigError("no")'),
        (
            unnamed_errors,
            "def f(x):\n    try:\n        g()\n    except OSError as error:\n"
            '        raise DatasetError("no") from error',
        ),
        (without_shapes, 'def f(x: Tensor):\n    """The rows of x, in order (first, last)."""'),
        (without_shapes, 'def f() -> "dict[str, Tensor]":\n    """Numbers in (0, 1)."""'),
        (without_shapes, 'def f(x: "NDArray[Any]"):\n    """An array."""'),
        (
            without_shapes,
            'class C:\n    """Rows (n,)."""\n    def f(self, x: Tensor):\n        """F."""',
        ),
        (without_units, 'def f(timeout: float):\n    """Wait for it."""'),
        (without_units, 'def size_bytes() -> int:\n    """How large it is."""'),
    ],
)
def test_an_incomplete_docstring_is_found(rule, text):
    assert problems(rule, list(public_names("models/made.py", text)))


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (without_docstring, '"""M."""\ndef _f(): pass\nclass _C:\n    def g(self): pass'),
        (unnamed_errors, 'def f():\n    def g():\n        raise ValueError("inside")'),
        (
            unnamed_errors,
            'def f():\n    """DatasetError."""\n    with naming(p):\n        raise E()',
        ),
        (
            unnamed_errors,
            "def f():\n    try:\n        raise ValueError('x')\n    except ValueError:\n        1",
        ),
        (
            unnamed_errors,
            "class BadError(GoodError): ...\ndef f():\n    'GoodError'\n    raise BadError()",
        ),
        (without_shapes, 'def f(x: Tensor):\n    """Images (n, c, h, w)."""'),
        (without_shapes, 'def f(x: Tensor):\n    """Numbers of any shape."""'),
        (without_units, 'def f(wait: float):\n    """Waits so many seconds."""'),
    ],
)
def test_a_complete_docstring_passes(rule, text):
    assert problems(rule, list(public_names("models/made.py", text))) == []
