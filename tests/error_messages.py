"""The messages of errors that users see, as they are in the code: texts with ``...`` for values."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("flows", "tasks", "models")
OF_USERS = {"ConfigError", "DatasetError", "DiskError"}  # shown in one line, without a traceback
VARYING = "..."


def text_of(node: ast.expr) -> str:
    """A text of the code, with ``...`` for what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            part.value if isinstance(part, ast.Constant) else VARYING for part in node.values
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return text_of(node.left) + text_of(node.right)
    return VARYING


def trees() -> Iterator[ast.Module]:
    """Every file of the project's packages."""
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            yield ast.parse(file.read_text("utf-8"))


def all_texts() -> set[str]:
    """Every text of the code, messages among them."""
    nodes = (node for tree in trees() for node in ast.walk(tree))
    texts = {text_of(one) for one in nodes if isinstance(one, ast.JoinedStr | ast.Constant)}
    return texts | raised_messages()


def raised_messages() -> set[str]:
    """The messages of errors for users that are raised in the code."""
    found = set()
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args and name_of(node.func) in OF_USERS:
                found.add(text_of(node.args[0]))
    return found


def name_of(function: ast.expr) -> str:
    """The name of what is called, without a module."""
    return getattr(function, "id", getattr(function, "attr", ""))
