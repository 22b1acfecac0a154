"""Small packages made up at random, and edits of them, for tests of the digest of code.

A package is a dict of texts by module. Its entry is the function ``entry`` in the module
``made.entry``; running it gives a value or an exception.
"""

import ast
import importlib
import re
import sys
import traceback
from typing import NamedTuple

PACKAGE = "made"
CANNOT_BE_IMPORTED = "cannot be imported"
# Each module imports only modules before it, except packages, which import their own modules.
LAYOUT = [
    "made.base",
    "made.room.inner",
    "made.room.deep.leaf",
    "made.room.deep",
    "made.room.other",
    "made.room",
    "made.late",
    "made",
]
PACKAGES = {"made", "made.room", "made.room.deep"}
NEVER_IMPORTED = "made.alone"
MOST_COST = 60


class Exported(NamedTuple):
    """A name of a module, and what kind of thing it is."""

    name: str
    kind: str  # value, table, function, class, wrapper, module


class Maker:
    """Writes one package. ``random`` chooses."""

    def __init__(self, random):
        self.random = random
        self.count = 0
        self.costs = {}  # of using a name: what it calls and contains
        self.exports = {}
        self.texts = {}

    def choose(self, options):
        return self.random.choice(list(options))

    def number(self):
        self.count += 1
        return self.count

    def fresh(self, kind):
        return Exported(f"{kind}_{self.number()}", kind)

    def package(self):
        for module in LAYOUT:
            Module(self, module, self.random.randint(0, 6)).write()
        entry = Module(self, f"{PACKAGE}.entry", self.random.randint(0, 3))
        entry.write()
        uses = "".join(f"        {entry.use(one)},\n" for one in entry.some_names(4))
        local = entry.import_line("    ") if self.choose([True, False]) else ""
        local_names = [one for one in entry.just_imported if "*" not in local]
        uses += "".join(f"        {entry.use(one)},\n" for one in local_names if local)
        self.texts[f"{PACKAGE}.entry"] += f"def entry():\n{local}    return (\n{uses}    )\n"
        alone = "import made.room\nSTATE = [7]\ndef other():\n    'Says.'\n    return 5\n"
        self.texts[NEVER_IMPORTED] = alone
        return self.texts


class Module:
    """Writes one module of a package."""

    def __init__(self, maker, module, size):
        self.maker, self.module, self.size = maker, module, size
        self.choose, self.number, self.fresh = maker.choose, maker.number, maker.fresh
        self.names = []
        self.just_imported = []
        self.local = []  # defined here
        self.cost = 0
        self.lines = []

    def write(self):
        for _ in range(self.maker.random.randint(0, 3)):
            self.lines.append(self.import_line(""))
            self.names += self.just_imported
        for _ in range(self.size):
            kind = self.choose(STATEMENTS)
            getattr(self, kind)()
        if self.choose([False, False, True]) and self.names:
            kept = [one.name for one in self.names if self.choose([True, True, False])]
            self.lines.append(f"__all__ = {kept!r}\n")
            exported = [one for one in self.names if one.name in kept]
        else:
            exported = self.names
        self.maker.exports[self.module] = (list(self.names), exported)
        self.maker.texts[self.module] = "".join(self.lines)

    # Expressions

    def use(self, one):  # noqa: PLR0911
        """An expression whose value shows what a name is."""
        made = one.name
        cost = self.maker.costs.get(made, 1)
        if cost > MOST_COST and one.kind != "module":
            return str(self.number())
        self.cost += cost
        if one.kind == "function":
            return f"{made}()"
        if one.kind == "class":
            return self.choose(
                [f"{made}().method()", f"{made}.field", f"{made}().shown", f"{made}(3).method()"]
            )
        if one.kind == "wrapper":
            return f"{made}(lambda: {self.number()})()"
        if one.kind == "table":
            return self.choose([f"sorted({made}.items(), key=repr)", f"{made}.get('a')"])
        if one.kind == "foreign":
            return f"{made}({self.number()}, 3)"
        if one.kind == "module":
            found = self.maker.exports.get(MODULE_NAMES.get(made, ""), ([], []))[0]
            found = [inner for inner in found if inner.kind != "module"]
            if not found:
                return f"len({made}.__name__)"
            inner = self.choose(found)
            shown = self.use(inner)
            if self.choose([True, True, True, False]):
                return (
                    f"{made}.{shown}" if shown.startswith(inner.name) else f"len({made}.__name__)"
                )
            looked_up = f"getattr({made}, {inner.name!r})"
            return shown.replace(inner.name, looked_up, 1)
        return made

    def some_names(self, most):
        if not self.names:
            return []
        return [self.choose(self.names) for _ in range(self.maker.random.randint(1, most))]

    def expression(self, most=2):
        parts = [self.use(one) for one in self.some_names(most)] + [str(self.number())]
        form = self.choose(["({},)", "[{}]", "({},)", "(lambda: ({},))()", "[x for x in ({},)]"])
        return form.format(", ".join(parts))

    # Imports

    def importable(self):
        own = f"{self.module}."
        if self.module in PACKAGES:
            return [one for one in self.maker.exports if one.startswith(own)]
        return list(self.maker.exports)

    def import_line(self, indent):  # noqa: PLR0911
        self.just_imported = []
        modules = self.importable()
        if not modules or self.choose([False] * 7 + [True]):
            name = f"foreign_{self.number()}"
            self.just_imported = [Exported(name, "foreign")]
            function = self.choose(["add", "sub", "mul", "pow"])
            if indent == "" and self.choose([True, False]):
                return f"import operator as o_{name}\n{name} = o_{name}.{function}\n"
            return f"{indent}from operator import {function} as {name}\n"
        module = self.choose(modules)
        names, exported = self.maker.exports[module]
        forms = ["module", "as", "from_parent", "parent_as"]
        if names:
            forms += ["name", "name", "name_as", "name_as", "two_as"]
            if indent == "":
                forms.append("star")
        form = self.choose(forms)
        source = self.written(module)
        if form == "module":
            return self.bind_module(module, module, f"{indent}import {module}\n")
        if form == "as":
            alias = f"module_{self.number()}"
            return self.bind_module(alias, module, f"{indent}import {module} as {alias}\n")
        if form in {"from_parent", "parent_as"}:
            parent, _, last = module.rpartition(".")
            if not parent:
                return self.bind_module(module, module, f"{indent}import {module}\n")
            alias = last if form == "from_parent" else f"module_{self.number()}"
            text = f"{indent}from {self.written(parent)} import {last} as {alias}\n"
            return self.bind_module(alias, module, text)
        if form == "star":
            self.just_imported = [one for one in exported if "." not in one.name]
            return f"from {source} import *\n"
        names = [one for one in names if "." not in one.name]
        if not names:
            return f"{indent}import {module}\n"
        wanted = [self.choose(names) for _ in range(2 if form == "two_as" else 1)]
        text = []
        for one in wanted:
            alias = one.name if form == "name" else f"{one.kind}_{self.number()}"
            if one.kind == "module":
                MODULE_NAMES[alias] = MODULE_NAMES.get(one.name, "")
            self.maker.costs[alias] = self.maker.costs.get(one.name, 1)
            self.just_imported.append(Exported(alias, one.kind))
            text.append(f"{one.name} as {alias}" if alias != one.name else alias)
        return f"{indent}from {source} import {', '.join(text)}\n"

    def bind_module(self, name, module, text):
        MODULE_NAMES[name] = module
        self.just_imported = [Exported(name, "module")]
        return text

    def written(self, module):
        """A module as an import names it: absolute, or relative to this one."""
        if self.choose([True, False]):
            return module
        here = self.module.split(".")
        if self.module not in PACKAGES:
            here = here[:-1]
        there = module.split(".")
        same = 0
        while same < min(len(here), len(there)) and here[same] == there[same]:
            same += 1
        return "." * (len(here) - same + 1) + ".".join(there[same:])

    # Statements

    def add(self, one, text):
        self.maker.costs[one.name] = self.maker.costs.get(one.name, 1) + self.cost
        self.cost = 0
        self.lines.append(text)
        self.names.append(one)
        self.local.append(one)

    def constant(self):
        one = self.fresh("value")
        annotation = self.choose(["", "", ": int"])
        self.add(one, f"{one.name}{annotation} = {self.number()}\n")

    def computed(self):
        one = self.fresh("value")
        self.add(one, f"{one.name} = {self.expression()}\n")

    def walrus(self):
        one, inner = self.fresh("value"), self.fresh("value")
        self.add(one, f"{one.name} = ({inner.name} := {self.expression()})\n")
        self.names.append(inner)

    def table(self):
        one = self.fresh("table")
        self.add(one, f"{one.name} = {{'a': {self.number()}}}\n")

    def alias(self):
        for old in self.some_names(1):
            if "." in old.name:
                continue
            one = self.fresh(old.kind)
            if old.kind == "module":
                MODULE_NAMES[one.name] = MODULE_NAMES.get(old.name, "")
            self.add(one, f"{one.name} = {old.name}\n")

    def function(self, decorator="", name=None):
        one = name or self.fresh("function")
        before = list(self.names)
        default = self.choose(["", "", "", f"x={self.expression(1)}"])
        lines = []
        form = self.choose(["plain", "plain", "local", "nested", "global", "annotated", "loop"])
        if form == "local":
            lines.append(self.import_line("    "))
            if "*" not in lines[-1]:
                self.names = [*self.names, *self.just_imported]
        returned = self.expression()
        if form == "nested":
            lines.append(f"    def inner():\n        return {self.expression()}\n")
            returned = f"(inner(), {returned})"
        if form == "loop":
            lines.append(
                f"    found = []\n    for part in {returned}:\n        found.append(part)\n"
            )
            returned = "tuple(found)"
        if form == "global":
            values = [known for known in before if known.kind == "value" and known in self.local]
            if values:
                changed = self.choose(values).name
                lines.insert(0, f"    global {changed}\n")
                lines.append(f"    {changed} = {self.number()}\n")
        self.names = before
        hint = " -> 'object'" if form == "annotated" else ""
        shown = f", {'x'}" if default else ""
        text = f"{decorator}def {one.name}({default}){hint}:\n{''.join(lines)}"
        self.add(one, f"{text}    return ({returned}{shown},)\n")

    def same_name_again(self):
        functions = [one for one in self.names if one.kind == "function" and "." not in one.name]
        if functions:
            self.function(name=self.choose(functions))

    def wrapper(self):
        one = self.fresh("wrapper")
        body = (
            f"    def inner(*a):\n        return ({self.expression(1)}, fn(*a))\n    return inner\n"
        )
        self.add(one, f"def {one.name}(fn):\n{body}")

    def registering(self):
        tables = [one for one in self.names if one.kind == "table" and "." not in one.name]
        if tables:
            one = self.fresh("wrapper")
            table = self.choose(tables).name
            body = f"    {table}[len({table})] = fn()\n    return fn\n"
            self.add(one, f"def {one.name}(fn):\n{body}")

    def decorated(self):
        wrappers = [one for one in self.names if one.kind == "wrapper"]
        if wrappers:
            self.function(f"@{self.choose(wrappers).name}\n")

    def klass(self):
        one = self.fresh("class")
        bases = [known for known in self.names if known.kind == "class"]
        base = f"({self.choose(bases).name})" if bases and self.choose([True, False]) else ""
        lines = [f"class {one.name}{base}:\n"]
        wrappers = [known for known in self.names if known.kind == "wrapper"]
        parts = ["field", "method", "property", "local", "effect", "nested", "dataclass"]
        wanted = [part for part in parts if self.choose([True, False])]
        if not base:
            lines.append("    def __init__(self, given=1):\n        self.given = given\n")
            wanted = sorted(
                {*wanted, "field", "method", "property"} - {"dataclass"}, key=parts.index
            )
        if "dataclass" in wanted and not base:
            lines.insert(0, "@__import__('dataclasses').dataclass\n")
        if "local" in wanted:
            line = self.import_line("    ")
            if "*" not in line:
                lines.append(line)
        if "field" in wanted:
            lines.append(f"    field = {self.expression()}\n")
        if "effect" in wanted:
            lines.append(f"    {self.effect_text()}\n")
        if "method" in wanted:
            decorator = ""
            if wrappers and self.choose([True, False]):
                decorator = f"    @{self.choose(wrappers).name}\n"
            above = ", super().method()" if base and self.choose([True, False]) else ""
            body = f"        return ({self.expression()}{above},)\n"
            lines.append(f"{decorator}    def method(self=None):\n{body}")
        if "property" in wanted:
            lines.append(
                f"    @property\n    def shown(self):\n        return ({self.expression()},)\n"
            )
        if "nested" in wanted:
            lines.append(f"    class Inner:\n        part = {self.expression()}\n")
        lines.append("    pass\n")
        self.add(one, "".join(lines))

    def data_class(self):
        one = self.fresh("class")
        text = "import dataclasses\n@dataclasses.dataclass\n"
        text += f"class {one.name}:\n    given: 'int' = {self.number()}\n"
        text += f"    field: object = dataclasses.field(default={self.number()})\n"
        text += (
            f"    kept: object = dataclasses.field(default_factory=lambda: {self.expression()})\n"
        )
        text += "    def method(self):\n        return repr(self.given), self.kept\n"
        text += "    @property\n    def shown(self):\n        return self.field\n"
        self.add(one, text)

    def effect_text(self):
        """A statement on one line that changes something, perhaps of another module."""
        names = [one for one in self.names if one.kind != "foreign"]
        if not names:
            return "pass"
        one = self.choose(names)
        made = one.name
        if one.kind == "table":
            forms = [
                f"{made}['b'] = {self.expression(1)}",
                f"{made}.update(c={self.expression(1)})",
                f"kept_{self.number()} = {made}.setdefault('d', {self.number()})",
                f"for key in 'xy': {made}[key] = {self.number()}",
                f"{made}.pop('a', None)",
                f"del {made}['a']",
            ]
            if "." not in made:
                forms.append(f"{made} |= {{'e': {self.number()}}}")
        elif one.kind == "class":
            forms = [
                f"{made}.field = {self.expression(1)}",
                f"setattr({made}, 'field', {self.number()})",
                f"{made}.shown = {self.number()}",
            ]
        elif one.kind == "module":
            inside = self.maker.exports.get(MODULE_NAMES.get(made, ""), ([], []))[0]
            inside = [inner for inner in inside if inner.kind in {"value", "function", "table"}]
            if not inside:
                return "pass"
            inner = self.choose(inside)
            if inner.kind == "value":
                forms = [f"{made}.{inner.name} = {self.number()}"]
            elif inner.kind == "function":
                forms = [f"{made}.{inner.name} = lambda: {self.expression(1)}"]
            else:
                forms = [
                    f"{made}.{inner.name}['m'] = {self.number()}",
                    f"{made}.{inner.name} |= {{'n': {self.number()}}}",
                ]
        elif one.kind == "wrapper":
            forms = [f"kept_{self.number()} = {made}(lambda: {self.number()})"]
        elif one.kind == "function":
            forms = [f"kept_{self.number()} = {made}()", f"{made}()"]
        else:
            return "pass"
        return self.choose(forms)

    def effect(self):
        text = self.effect_text()
        form = self.choose(
            ["{}", "{}", "if True:\n    {}", "try:\n    {}\nexcept KeyError:\n    pass"]
        )
        self.lines.append(form.format(text) + "\n")

    def conditional(self):
        one = self.fresh("function")
        test = self.choose(["True", "False", self.expression(1), f"not {self.expression(1)}"])
        first, second = self.expression(), self.expression()
        self.add(
            one,
            f"if {test}:\n    def {one.name}():\n        return {first}\n"
            f"else:\n    {one.name} = lambda: {second}\n",
        )

    def type_checking(self):
        one = self.fresh("value")
        self.add(
            one,
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import nothing\n"
            f"else:\n    {one.name} = {self.expression()}\n",
        )

    def attempted(self):
        line = self.import_line("    ")
        if "*" in line:
            return
        names = list(self.just_imported)
        fallbacks = "".join(
            f"    {one.name} = {self.number()}\n" for one in names if "." not in one.name
        )
        broken = self.choose(["", "", "    import nothing_here\n"])
        self.lines.append(f"try:\n{line}{broken}except ImportError:\n{fallbacks or '    pass'}\n")
        self.names += names

    def import_again(self):
        self.lines.append(self.import_line(""))
        self.names += self.just_imported

    def rebind(self):
        values = [one for one in self.names if one.kind == "value" and "." not in one.name]
        if values:
            name = self.choose(values).name
            self.lines.append(
                self.choose([f"{name} = {self.expression(1)}\n", f"{name} = ({name}, 1)\n"])
            )

    def module_value(self):
        modules = [one for one in self.names if one.kind == "module"]
        if modules:
            one = self.fresh("function")
            module = self.choose(modules)
            found = self.maker.exports.get(MODULE_NAMES.get(module.name, ""), ([], []))[0]
            found = [inner for inner in found if inner.kind == "function"]
            if found:
                inner = self.choose(found).name
                body = self.choose(
                    [
                        f"return [m.{inner}() for m in ({module.name},)]",
                        f"return vars({module.name})[{inner!r}]()",
                        f"m = {module.name}; return m.{inner}()",
                    ]
                )
                self.add(one, f"def {one.name}():\n    {body}\n")


MODULE_NAMES = {}  # which module a name refers to
STATEMENTS = [
    *["constant", "constant", "computed", "table", "table", "function", "function", "function"],
    *["klass", "klass", "wrapper", "registering", "decorated", "decorated", "effect", "effect"],
    *["effect", "conditional", "attempted", "rebind", "import_again", "alias", "module_value"],
    *["walrus", "type_checking", "data_class", "same_name_again"],
]


def make_package(random):
    """Texts of a package by module."""
    MODULE_NAMES.clear()
    return Maker(random).package()


def written(texts, root):
    """Writes a package below a folder, without what was there of it."""
    for module, text in texts.items():
        path = root.joinpath(*module.split("."))
        path = path / "__init__.py" if module in PACKAGES else path.with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def run(root):
    """What the entry returns or raises, as text, in modules that are imported anew.

    CANNOT_BE_IMPORTED if the import of a module fails, also inside the entry.
    """
    forget()
    importlib.invalidate_caches()
    sys.path.insert(0, str(root))
    sys.dont_write_bytecode, kept = True, sys.dont_write_bytecode
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(400)
    try:
        return _shown(importlib.import_module(f"{PACKAGE}.entry").entry())
    except Exception as error:
        frames = traceback.walk_tb(error.__traceback__)
        if any(frame.f_code.co_name == "<module>" for frame, _ in frames):
            return CANNOT_BE_IMPORTED
        return _shown(f"{type(error).__name__}: {error}")
    finally:
        sys.setrecursionlimit(limit)
        sys.dont_write_bytecode = kept
        sys.path.remove(str(root))


def _shown(value):
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def forget():
    """Take the package out of the modules of this process. Returns the names that were there."""
    names = [name for name in sys.modules if name.split(".")[0] == PACKAGE]
    for name in names:
        del sys.modules[name]
    return names


# Edits


def edits(text):
    """Every edit of a text that this module knows: a pair of what it is and the new text."""
    tree = ast.parse(text)
    for place, node in enumerate(ast.walk(tree)):
        if isinstance(node, ast.Constant) and isinstance(node.value, int | str):
            yield ("constant", place)
        if isinstance(node, ast.alias | ast.Import | ast.ImportFrom):
            yield ("import", place)
        for field in ("body", "orelse", "decorator_list", "bases", "elts", "keywords"):
            parts = getattr(node, field, None)
            if isinstance(parts, list):
                yield from ((f"remove {field}", place, at) for at in range(len(parts)))
                yield from ((f"swap {field}", place, at) for at in range(len(parts) - 1))


def edited(text, edit):
    """The text after one edit; None if the edit makes no sense."""
    what, place, *at = edit
    tree = ast.parse(text)
    node = next(one for index, one in enumerate(ast.walk(tree)) if index == place)
    if what == "constant":
        node.value = node.value + 1000 if isinstance(node.value, int) else f"{node.value}_new"
    elif what == "import":
        names = [one for one in ast.walk(tree) if isinstance(one, ast.alias)]
        if isinstance(node, ast.alias):  # take what another import binds
            other = names[(names.index(node) + 1) % len(names)]
            node.name, other.name = other.name, node.name
        else:
            node.names.reverse()
    else:
        action, field = what.split()
        parts = getattr(node, field)
        index = at[0]
        if action == "remove":
            del parts[index]
            if not parts and field == "body" and not isinstance(node, ast.Module):
                parts.append(ast.Pass())
        else:
            parts[index], parts[index + 1] = parts[index + 1], parts[index]
    try:
        new = ast.unparse(tree)
        compile(new, "edited", "exec")
    except (SyntaxError, ValueError, AttributeError):
        return None
    return new
