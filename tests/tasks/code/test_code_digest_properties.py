"""The digest of code, by random packages and edits: a result that changes changes the digest."""

import ast
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from tasks.code import modules
from tasks.code.code_digest import clear_code_snapshot, code_parts
from tests.tasks.code.made_packages import (
    CANNOT_BE_IMPORTED,
    NEVER_IMPORTED,
    PACKAGE,
    edited,
    edits,
    forget,
    make_package,
    run,
    written,
)

EXAMPLES = int(os.environ.get("STUDY_EXAMPLES", "25"))
EDITS = 8  # of each package
property_test = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # to shrink a package takes minutes
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def root():
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(modules, "ROOT", Path(folder))
        patch.setattr(modules, "PACKAGES", (PACKAGE,))
        clear_code_snapshot()
        yield Path(folder)
        forget()
    clear_code_snapshot()


def parts():
    clear_code_snapshot()
    return code_parts(f"{PACKAGE}.entry", "entry")


@property_test
@given(random=st.randoms(use_true_random=False))
def test_an_edit_that_changes_the_result_changes_the_digest(root, random):
    texts = make_package(random)
    texts = {module: ast.unparse(ast.parse(text)) for module, text in texts.items()}
    written(texts, root)
    result, digest = run(root), parts()
    assume(result != CANNOT_BE_IMPORTED)
    possible = [(module, edit) for module, text in texts.items() for edit in edits(text)]
    for _ in range(EDITS):
        module, edit = random.choice(possible)
        new = edited(texts[module], edit)
        if new is None or new == texts[module]:
            continue
        written({module: new}, root)
        now = run(root)
        if now not in {result, CANNOT_BE_IMPORTED} and parts() == digest:
            shown = "\n".join(f"### {name}\n{text}" for name, text in texts.items() if text)
            pytest.fail(f"{shown}\n### {module} after {edit}\n{new}\n{result}\n-> {now}")
        written({module: texts[module]}, root)


def with_docstrings_and_comments(text):
    tree = ast.parse(text)
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef)
        if documented and not ast.get_docstring(node):
            node.body.insert(0, ast.Expr(ast.Constant("Says something.")))
    lines = ast.unparse(tree).splitlines()
    return "\n\n".join(f"{line}  # a reason" if line.endswith(":") else line for line in lines)


@property_test
@given(random=st.randoms(use_true_random=False))
def test_what_cannot_change_a_result_leaves_the_digest_alone(root, random):
    texts = make_package(random)
    written(texts, root)
    digest = parts()
    written({name: with_docstrings_and_comments(text) for name, text in texts.items()}, root)
    assert parts() == digest
    written(texts, root)
    assume(f"{NEVER_IMPORTED}:" not in digest)  # a package as a value: all of its modules count
    assume(f"{NEVER_IMPORTED}:other" not in digest)
    alone = texts[NEVER_IMPORTED]
    for edit in edits(alone):
        new = edited(alone, edit)
        if new is not None:
            written({NEVER_IMPORTED: new}, root)
            assert parts() == digest
