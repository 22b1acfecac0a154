"""What a folder may hold: nothing of it is run, and what is not ours is refused in one line."""

import re
import shutil
import sys
import zipfile
from time import perf_counter

import numpy as np
import pytest
import torch

from models.exported.program import Program
from models.exported.schema import ProgramError
from models.specs import ConfigError
from tasks.artifacts.saved_model import RefusedModelError, load_saved_folder
from tests.saved_models import (
    ARCHIVE,
    ATTACKS,
    GRAPH,
    INPUTS,
    WEIGHTS,
    members_of,
    with_call,
    with_graph,
    with_json,
    with_member,
    write_members,
)


@pytest.fixture
def saved(saved_once, tmp_path):
    """A folder with a saved model, to be changed."""
    return shutil.copytree(saved_once, tmp_path / "model")


@pytest.fixture
def model(saved):
    return load_saved_folder("encoder", saved)


def refusal(folder):
    """Why a folder is not loaded: one line that names the model."""
    with pytest.raises(RefusedModelError) as error:
        load_saved_folder("encoder@d5", folder)
    text = str(error.value)
    assert text.startswith("encoder@d5 is not loaded: ")
    assert "\n" not in text
    assert len(text) <= 400
    assert text.isprintable()
    return text


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_in_a_folder_is_run(name, saved, tmp_path):
    attack, message = ATTACKS[name]
    canary = tmp_path / "canary"
    attack(saved, canary)
    start = perf_counter()
    if message is None:
        assert load_saved_folder("m", saved).predict(np.zeros((2, *INPUTS), np.float32)).any()
    else:
        assert re.search(message, refusal(saved))
    assert perf_counter() - start < 5
    assert not canary.exists()


def test_what_is_refused_is_a_mistake_of_the_user():
    assert issubclass(RefusedModelError, ConfigError)


@pytest.mark.parametrize("file", ["MLmodel", ARCHIVE])
def test_a_missing_file_is_named(saved, file):
    (saved / file).unlink()
    assert refusal(saved).endswith(f"its file {file!r} is missing")


def test_a_missing_folder_is_refused(tmp_path):
    assert "its files cannot be read (No such file or directory)" in refusal(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("loader_module: mlflow.pytorch", "loader_module: os", "loader_module: 'os'"),
        ("pickle_module_name: mlflow.pytorch", "pickle_module_name: x", "pickle_module_name"),
        ("device: cpu", "device: cpu\n      other: 1", "config: "),
        ("code: null", "code: code", "code: 'code'"),
        ("model_data: data", "model_data: ..", "model_data: '..'"),
        ("    data: data", "    data: /tmp", "data: '/tmp'"),
        ("conda: conda.yaml", "conda: /tmp/x", "env: "),
        ("flavors:", "flavours:", "names no flavors"),
        ('"float32"', '"object"', "is not of float32 tensors"),
        ("    6, 6]", "    6, 99999999]", "is not of float32 tensors"),
        ("    6, 6]", "    7, 7]", "'torch.ops.aten.linear.default' fails: "),
        ("    3]", "    4]", r"returned torch.float32 (2, 3) for 2 images"),
    ],
)
def test_a_changed_description_is_refused(saved, old, new, message):
    text = (saved / "MLmodel").read_text()
    assert old in text
    (saved / "MLmodel").write_text(text.replace(old, new))
    assert message in refusal(saved)


def test_a_model_that_mlflow_loaded_before_is_loaded(saved):
    (saved / "registered_model_meta").write_text("model_name: encoder\n")
    load_saved_folder("encoder", saved)


def test_a_batch_of_another_type_or_shape_is_an_error_in_one_line(model):
    expected = r"^encoder takes an array float32 \(n, 1, 6, 6\), not "
    for batch, given in [
        (np.zeros((2, *INPUTS)), r"float64 \(2, 1, 6, 6\); convert it: batch.astype\('float32'\)$"),
        (
            np.zeros((2, *INPUTS), np.uint8),
            r"uint8 \(2, 1, 6, 6\); convert it: batch.astype\('float32'\) / 255$",
        ),
        (
            np.zeros((500, 6, 6), np.float32),
            r"float32 \(500, 6, 6\); convert it: batch\[:, None\]$",
        ),
        (
            np.zeros((2, 6, 6), np.uint8),
            r"uint8 \(2, 6, 6\); convert it: batch\[:, None\].astype\('float32'\) / 255$",
        ),
        (np.zeros((2, 7, 7), np.float32), r"float32 \(2, 7, 7\)$"),
        (np.zeros((), np.float32), r"float32 \(\)$"),
        (np.float32(1), "float32$"),
        (None, "NoneType$"),
        ([[1.0]], r"list; convert it: np.asarray\(batch, 'float32'\)$"),
        (torch.zeros(2, *INPUTS), r"Tensor; convert it: batch.float\(\).numpy\(\)$"),
    ]:
        with pytest.raises(ValueError, match=expected + given):
            model.predict(batch)


def test_a_batch_is_not_changed_and_results_are_new_arrays(model):
    batch = np.random.default_rng(0).random((5, *INPUTS), dtype=np.float32)
    before = batch.copy()
    first = model.predict(batch)
    assert (batch == before).all()
    assert first.dtype == np.float32
    again = first.copy()
    first[:] = 0
    assert (model.predict(batch) == again).all()
    assert model.predict(batch[:0]).shape == (0, 3)


def test_a_model_that_changes_its_weights_is_refused(saved):
    weight = "p_4_weight"
    with_call(
        saved,
        "torch.ops.aten.add_.Scalar",
        ("self", "as_tensor", {"name": weight}),
        ("other", "as_int", 1),
    )
    assert "it changes its own weights" in refusal(saved)


def test_batch_norm_in_training_mode_is_refused(saved):
    def change(graph):
        for node in graph["nodes"]:
            for one in node["inputs"]:
                if one["name"] == "training":
                    one["arg"] = {"as_bool": True}

    with_graph(saved, change)
    assert "'training' of 'torch.ops.aten.batch_norm.default' is not False" in refusal(saved)


def test_weights_beyond_the_end_of_their_file_are_refused(saved):
    def change(weights):
        for one in weights["config"].values():
            one["tensor_meta"]["storage_offset"] = {"as_int": 10**12}

    with_json(saved, WEIGHTS, change)
    assert "does not fit its file" in refusal(saved)


@pytest.mark.parametrize("lie", [{"dtype": 99}, {"dtype": 20}, {"layout": 1}])
def test_weights_of_an_unknown_type_are_refused(saved, lie):
    def change(weights):
        for one in weights["config"].values():
            one["tensor_meta"] |= lie

    with_json(saved, WEIGHTS, change)
    assert "of an unknown type" in refusal(saved)


def test_weights_that_stand_for_more_than_their_file_are_refused(saved):
    def change(weights):
        for one in weights["config"].values():
            one["tensor_meta"]["sizes"] = [{"as_int": 10**9}]
            one["tensor_meta"]["strides"] = [{"as_int": 0}]

    with_json(saved, WEIGHTS, change)
    assert "does not fit its file" in refusal(saved)


def test_an_archive_of_another_kind_is_refused(saved):
    members = members_of(saved)
    write_members(saved, members.items(), zipfile.ZIP_DEFLATED)
    assert "is compressed or encrypted" in refusal(saved)
    with pytest.warns(UserWarning, match="Duplicate name"):
        write_members(saved, [*members.items(), next(iter(members.items()))])
    assert "twice in its archive" in refusal(saved)
    write_members(saved, [(f"model/data/weights/weight_{n}", b"") for n in range(10_001)])
    assert "more than 10,000 files" in refusal(saved)
    (saved / ARCHIVE).write_bytes(b"no zip file")
    assert "a broken archive" in refusal(saved)


def test_an_archive_of_another_processor_or_schema_is_refused(saved):
    other = {"little": b"big", "big": b"little"}[sys.byteorder]
    with_member(saved, "model/byteorder", other)
    assert "the byte order of another processor" in refusal(saved)
    with_member(saved, "model/byteorder", sys.byteorder.encode())
    with_json(saved, GRAPH, lambda program: program["schema_version"].update(major=99))
    assert "torch's schema 99 is not the known one" in refusal(saved)


@pytest.mark.parametrize("lost", [GRAPH, WEIGHTS, "model/data/weights/weight_0"])
def test_an_archive_without_a_file_is_refused(saved, lost):
    members = members_of(saved)
    del members[lost]
    write_members(saved, members.items())
    assert f"no '{lost}' in its archive" in refusal(saved)


def test_declared_sizes_larger_than_the_archive_are_refused(saved):
    members = members_of(saved)
    write_members(saved, members.items())
    content = bytearray((saved / ARCHIVE).read_bytes())
    entry = content.rindex(b"PK\x01\x02")
    for place in (entry + 20, entry + 24):  # stored and real size of the last member
        content[place : place + 4] = (2**31).to_bytes(4, "little")
    (saved / ARCHIVE).write_bytes(content)
    assert "declared larger than the archive" in refusal(saved)


def integers(*values):
    return [{"as_int": value} for value in values]


@pytest.mark.parametrize(
    ("sizes", "strides", "offset"),
    [
        ([1], [2**70], 0),
        ([0], [1], 2**70),
        ([0, 2**62, 2**62], [1, 1, 1], 0),
        ([1] * 65, [1] * 65, 0),
        ([10**18] * 400_000, [1], 0),
        ([10**4000] * 400, [1], 0),
        ([0, 2**39, 2**39], [1, 1, 1], 0),
        ([1], [2**39], 0),
    ],
)
def test_weights_of_impossible_sizes_are_refused_at_once(sizes, strides, offset, saved):
    def change(weights):
        for one in weights["config"].values():
            one["tensor_meta"]["sizes"] = integers(*sizes)
            one["tensor_meta"]["strides"] = integers(*strides)
            one["tensor_meta"]["storage_offset"] = {"as_int": offset}
            break

    with_json(saved, WEIGHTS, change)
    start = perf_counter()
    assert re.search("model_weights_config.json|does not fit its file", refusal(saved))
    assert perf_counter() - start < 5


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (b"[" + b"1," * 100_000 + b"1]", "nodes.0: "),
        (b"[" + b"1," * 2**20 + b"1]", "larger than 2,097,152 bytes"),
    ],
)
def test_a_graph_of_many_mistakes_takes_little_memory(graph, message, saved):
    import tracemalloc

    with_member(saved, GRAPH, b'{"graph_module": {"graph": {"nodes": ' + graph + b"}}}")
    content = (saved / ARCHIVE).read_bytes()
    tracemalloc.start()
    with pytest.raises(ProgramError, match=message):
        Program(content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**25


@pytest.mark.parametrize("count", [1_001, 50_000])
def test_an_argument_of_many_values_is_refused(count, saved):
    tensors = [{"name": "x"}] * count
    with_call(saved, "torch.ops.aten.cat.default", ("tensors", "as_tensors", tensors))
    assert "as_tensors: List should have at most 1000 items" in refusal(saved)


@pytest.mark.parametrize("text", ["\x1b]0;x\x07\x1b[31mhello\nline", "A" * 200_000])
def test_names_of_a_file_are_cut_and_escaped(text, saved):
    original = members_of(saved)
    with_json(saved, WEIGHTS, lambda weights: weights["config"].update({text: 5}))
    refusal(saved)
    write_members(saved, original.items())

    def rename(program):
        for spec in program["graph_module"]["signature"]["input_specs"]:
            if "parameter" in spec:
                spec["parameter"]["parameter_name"] = text

    with_json(saved, GRAPH, rename)
    assert "no weight" in refusal(saved)
    write_members(saved, original.items())
    with_call(saved, "torch.ops.aten.relu.default", (text, "as_none", True))
    refusal(saved)
    write_members(saved, original.items())
    with_call(saved, text, ("self", "as_none", True))
    assert "is not on the list" in refusal(saved)
    (saved / "MLmodel").write_text(f"flavors: {{}}\nx: {text!a}")
    refusal(saved)


@pytest.mark.parametrize(
    ("target", "argument"),
    [
        ("softmax.int", ("dtype", "as_int", 1000)),
        ("clone.default", ("memory_format", "as_int", 77_777)),
    ],
)
def test_a_number_in_place_of_a_type_is_refused(target, argument, saved):
    given = [("self", "as_tensor", {"name": "input"}), ("dim", "as_int", 1)]
    given = given if target == "softmax.int" else given[:1]
    with_call(saved, f"torch.ops.aten.{target}", *given, argument)
    assert f"{argument[0]!r} of 'aten::" in refusal(saved)
