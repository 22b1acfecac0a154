"""A small saved model, and what somebody who may write to its folder could put there."""

import io
import json
import os
import pickle
import zipfile
from pathlib import Path

import torch
from torch import nn

from tasks.tracking.logged_models import save_model

ARCHIVE, GRAPH = "data/model.pt2", "model/models/model.json"
WEIGHTS = "model/data/weights/model_weights_config.json"
SAMPLES = "model/data/sample_inputs/model.pt"
INPUTS, OUTPUTS = (1, 6, 6), (3,)


def make_saved_model(folder):
    """Save a network with random weights into a new folder."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 2, 3, stride=2), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten()]
    save_model(nn.Sequential(*layers, nn.Linear(8, 3)), folder, INPUTS, OUTPUTS)


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def pickled(canary):
    """A file of ``torch.save`` that creates the canary when it is unpickled."""
    buffer = io.BytesIO()
    torch.save(Touch(canary), buffer, pickle_module=pickle)
    return buffer.getvalue()


def members_of(folder):
    """The members of a model's archive by name."""
    with zipfile.ZipFile(folder / ARCHIVE) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write_members(folder, members, compression=zipfile.ZIP_STORED):
    """Write pairs of names and contents as the archive of a model."""
    with zipfile.ZipFile(folder / ARCHIVE, "w", compression) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, compression)


def with_member(folder, name, content):
    """Replace or add a member of a model's archive."""
    write_members(folder, {**members_of(folder), name: content}.items())


def with_json(folder, name, change):
    """Change a JSON member of a model's archive in place."""
    content = json.loads(members_of(folder)[name])
    change(content)
    with_member(folder, name, json.dumps(content).encode())


def with_graph(folder, change):
    """Change the graph of a model in place."""
    with_json(folder, GRAPH, lambda program: change(program["graph_module"]["graph"]))


def with_call(folder, target, *arguments):
    """Put a call before all others in a model's graph; arguments are (name, kind, value)."""
    inputs = [{"name": n, "arg": {kind: value}, "kind": 1} for n, kind, value in arguments]
    outputs = [{"as_tensor": {"name": "found"}}]
    node = {"target": target, "inputs": inputs, "outputs": outputs, "metadata": {}}
    with_graph(folder, lambda graph: graph["nodes"].insert(0, node))


def foreign_loader(folder, canary):
    (folder / "code").mkdir()
    (folder / "code" / "evil_loader.py").write_text(f"open({str(canary)!r}, 'w')\n")
    text = (folder / "MLmodel").read_text()
    ours = "loader_module: mlflow.pytorch"
    assert ours in text
    text = text.replace(ours, "loader_module: evil_loader\n    code: code")
    (folder / "MLmodel").write_text(text)


def expression(folder, canary):
    """An expression in place of a size; torch's loader evaluates it."""
    text = f"open({str(canary)!r}, 'w') and 2"

    def change(graph):
        for meta in graph["tensor_values"].values():
            for size in meta["sizes"]:
                if "as_expr" in size:
                    size["as_expr"]["expr_str"] = text

    with_graph(folder, change)
    assert text.encode()[:10] in members_of(folder)[GRAPH]


def sample_inputs(folder, canary):
    with_member(folder, SAMPLES, pickled(canary))


def model_pth(folder, canary):
    (folder / "data" / "model.pth").write_bytes(pickled(canary))
    (folder / "data" / "pickle_module_info.txt").write_text("pickle")


def pickled_weight(folder, canary):
    name = next(iter(json.loads(members_of(folder)[WEIGHTS])["config"]))

    def change(weights):
        weights["config"][name]["use_pickle"] = True

    with_json(folder, WEIGHTS, change)
    path = json.loads(members_of(folder)[WEIGHTS])["config"][name]["path_name"]
    with_member(folder, f"model/data/weights/{path}", pickled(canary))


def calls(target, *arguments):
    """An attack that calls a function by name; the canary's path stands for ``CANARY``."""

    def attack(folder, canary):
        given = [(n, k, str(canary) if v == "CANARY" else v) for n, k, v in arguments]
        with_call(folder, target, *given)

    return attack


def named_pipe(folder, canary):
    (folder / ARCHIVE).unlink()
    os.mkfifo(folder / ARCHIVE)


def huge_file(folder, canary):
    os.truncate(folder / ARCHIVE, 10 * 2**30)


def link_to_a_file(folder, canary):
    outside = folder.with_name(f"{folder.name}-outside.pt2")
    (folder / ARCHIVE).rename(outside)
    (folder / ARCHIVE).symlink_to(outside)


def link_to_a_folder(folder, canary):
    outside = folder.with_name(f"{folder.name}-outside")
    (folder / "data").rename(outside)
    (folder / "data").symlink_to(outside)


def nested_lists(folder, canary):
    with_member(folder, GRAPH, b"[" * 200_000)


def nested_yaml(folder, canary):
    (folder / "MLmodel").write_text("[" * 10_000)


def nested_yaml_blocks(folder, canary):
    (folder / "MLmodel").write_text("- " * 5_000 + "x")


def aliases(folder, canary):
    lines = ["a0: &a0 [x, x]"]
    for n in range(1, 60):
        lines += [f"a{n}: &a{n}", f"  - *a{n - 1}", f"  - *a{n - 1}"]
    (folder / "MLmodel").write_text("\n".join(lines))


def unknown_file(folder, canary):
    (folder / "notes.txt").touch()


def absolute_name(folder, canary):
    with_member(folder, str(canary), b"")


def name_outside(folder, canary):
    with_member(folder, f"model/../../{canary.name}", b"")


def python_flavor(folder, canary):
    text = (folder / "MLmodel").read_text()
    text = text.replace("flavors:\n", "flavors:\n  sklearn:\n    pickled_model: data/model.pt2\n")
    (folder / "MLmodel").write_text(text)


# by name: the attack, and what the refusal says; None if the model is loaded without it
ATTACKS = {
    "foreign loader": (foreign_loader, "'code' is not a regular file"),
    "expression": (expression, None),
    "pickle in the sample inputs": (sample_inputs, None),
    "model.pth": (model_pth, r"'data/(model\.pth|pickle_module_info\.txt)', which no saved model"),
    "pickled weight": (pickled_weight, "is a pickle"),
    "os.system": (
        calls("torch.os.system", ("command", "as_string", "touch 'CANARY'")),
        r"operator 'torch\.os\.system' is not on the list",
    ),
    "torch.load": (calls("torch.load", ("f", "as_string", "CANARY")), "'torch.load' is not on"),
    "torch.save": (
        calls("torch.save", ("obj", "as_int", 1), ("f", "as_string", "CANARY")),
        "'torch.save' is not on the list",
    ),
    "torch.hub.load": (
        calls("torch.hub.load", ("repo_or_dir", "as_string", "CANARY")),
        "'torch.hub.load' is not on the list",
    ),
    "methodcaller": (
        calls("_operator.methodcaller", ("", "as_string", "CANARY")),
        "'_operator.methodcaller' is not on the list",
    ),
    "attribute of an operator": (
        calls("torch.ops.aten.relu.default.__class__", ("self", "as_int", 1)),
        "is not on the list",
    ),
    "from_file": (
        calls(
            "torch.ops.aten.from_file.default",
            ("filename", "as_string", "CANARY"),
            ("shared", "as_bool", True),
            ("size", "as_int", 8),
        ),
        r"'torch\.ops\.aten\.from_file\.default' is not on the list",
    ),
    "save": (
        calls("torch.ops.aten.save.default", ("filename", "as_string", "CANARY")),
        "is not on the list",
    ),
    "graph as an argument": (
        calls("torch.ops.higher_order.cond", ("", "as_graph", {"name": "g", "graph": {}})),
        "as_graph",
    ),
    "custom object": (
        calls("torch.ops.aten.relu.default", ("self", "as_custom_obj", {"name": "o"})),
        "as_custom_obj",
    ),
    "text as an argument": (
        calls("torch.ops.aten.pad.default", ("mode", "as_string", "CANARY")),
        "the text .* as 'mode'",
    ),
    "absolute name": (absolute_name, "in its archive"),
    "name outside": (name_outside, "in its archive"),
    "named pipe": (named_pipe, "'data/model.pt2' is not a regular file"),
    "huge file": (huge_file, r"'data/model\.pt2' is larger than 1,073,741,824 bytes"),
    "link to a file": (link_to_a_file, "'data/model.pt2' is not a regular file"),
    "link to a folder": (link_to_a_folder, "'data' is not a regular file"),
    "nested lists": (nested_lists, r"model\.json: Invalid JSON: recursion limit"),
    "nested YAML": (nested_yaml, "'MLmodel' is not plain YAML .it has more than 30 levels"),
    "nested YAML blocks": (
        nested_yaml_blocks,
        "'MLmodel' is not plain YAML .it has more than 30 levels",
    ),
    "aliases": (aliases, "'MLmodel' is not plain YAML .it holds more than 5,000"),
    "unknown file": (unknown_file, r"it has the file 'notes\.txt'"),
    "another flavor": (python_flavor, "the flavor 'sklearn' in 'MLmodel'"),
}
