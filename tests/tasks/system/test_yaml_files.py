import os
import re
import time

import pytest

from models.specs import ConfigError
from tasks.system.yaml_files import parse_yaml, read_yaml


def test_values_are_those_of_yaml_1_2():
    found = parse_yaml("rate: 1e-3\nanswer: yes\nn: 012\nnothing:\nlist: [1, 2.5, true]\n")
    assert found == {
        "rate": 0.001,
        "answer": "yes",
        "n": 12,
        "nothing": None,
        "list": [1, 2.5, True],
    }
    assert parse_yaml("") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", r'^the key "a" is given twice, line 3, column 1$'),
        ("a: [1, 2\nb: 3\n", r"^[^\n]*, line 2, column 2$"),
        ("a:\n\t- b\n", r"^[^\n]*, line 2, column 1$"),
        ("a: \x07", r"^[^\n]*special characters[^\n]*$"),
    ],
)
def test_an_error_is_one_line_with_its_place(text, message):
    with pytest.raises(ValueError, match=message):
        parse_yaml(text)


def test_errors_of_files_name_the_file(tmp_path):
    path = tmp_path / "own.yaml"
    with pytest.raises(ConfigError, match=r"^cannot read the study '.*/own\.yaml': .*No such file"):
        read_yaml(path, "study")
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(ConfigError, match=r"^cannot read the study '.*/own\.yaml': .*utf-8"):
        read_yaml(path, "study")
    path.write_text("a: [")
    with pytest.raises(ConfigError, match=r"/own\.yaml is not valid YAML: .*, line 1, column "):
        read_yaml(path, "study")
    path.write_text("a: [1]")
    assert read_yaml(path, "study") == {"a": [1]}


def aliases_of_aliases(repeat):
    """A text of 12 lines that stands for 9 ** 12 values."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n} " + repeat.format(", ".join([f"*a{n - 1}"] * 9)) for n in range(1, 13)]
    return "\n".join(lines)


BEYOND_THE_BOUNDS = {
    "aliases of aliases": (aliases_of_aliases("[{}]"), "more than 5,000 values"),
    "merged keys": (aliases_of_aliases("{{<<: [{}]}}"), "more than 5,000 values"),
    "a long text, often": ("a: &a " + "x" * 60_000 + f"\nb: [{'*a, ' * 99}]", "5,000 values"),
    "many values": (f"a: [{'1,' * 30_000}]", "more than 5,000 values"),
    "a large text": ("# " + "x" * 100_000_000, "larger than 65,536 bytes"),
    "a value in itself": ("a: &a {b: [*a]}", "the anchor 'a' is inside itself, line 1, column 12"),
    "an anchor given twice": ("a: &a 1\nb: &a 2", "the anchor 'a' is given twice, line 2"),
    "flow levels": ("[" * 30_000, "more than 30 levels, line 1, column 31"),
    "block levels": ("- " * 10_000 + "1", "more than 30 levels"),
    "keys in keys": ("? " * 10_000 + "1", "more than 30 levels"),
    "a class of Python": ("a: !!python/object:os.system x", "tags such as '!!python/object:os.sy"),
    "an own tag": ("a: !own 1", "tags such as '!own' are not used, line 1, column 4"),
    "several documents": ("a: 1\n---\nb: 2\n", "more than one document, line 2"),
    "a NUL byte": ("a: \0", "special characters"),
    "a NUL byte, escaped": (r'a: "\0"', "NUL or half a character, line 1, column 4"),
    "half a character": (r'a: "\ud800"', "NUL or half a character"),
    "a number of 5,000 digits": ("a: " + "9" * 5_000, "more than 64 bits, line 1, column 4"),
    "a number of 20,000 bits": ("a: 0x" + "f" * 5_000, "more than 64 bits"),
    "a list as a key": ("? [a, [b]]\n: 1", "a key holds a list or a mapping"),
    "a day that is none": ("a: 2026-99-99", "month must be in 1..12"),
    "a long key, twice": ("k" * 900 + ": 1\n" + "k" * 900 + ": 1\n", "is given twice, line 2"),
}


@pytest.mark.parametrize(("text", "message"), BEYOND_THE_BOUNDS.values(), ids=BEYOND_THE_BOUNDS)
def test_what_is_beyond_the_bounds_is_refused_in_one_line_before_it_is_made(text, message):
    started = time.process_time()
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        parse_yaml(text)
    assert time.process_time() - started < 30  # without the bounds it takes minutes, or never ends
    assert re.fullmatch(r"[^\n]{1,200}", str(caught.value))


def test_anchors_and_merged_keys_of_honest_files_are_read():
    text = "base: &base {a: 1, b: [1, 2]}\none: {<<: *base, a: 2}\nboth: [*base, *base]\n"
    base = {"a": 1, "b": [1, 2]}
    assert parse_yaml(text) == {"base": base, "one": base | {"a": 2}, "both": [base, base]}
    assert parse_yaml(f"seeds: [{','.join(map(str, range(4_900)))}]")["seeds"][-1] == 4_899
    assert parse_yaml(f"a: {2**63 - 1}") == {"a": 2**63 - 1}


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "loop", "10 GB"])
def test_what_is_no_file_of_a_study_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "own.yaml"
    message = "is not a regular file"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
        message = "is not a regular file"
    else:
        path.touch()
        os.truncate(path, 10_000_000_000)
        message = "is larger than 65,536 bytes"
    with pytest.raises(ConfigError, match=rf"^cannot read the study '.*/own\.yaml': {message}$"):
        read_yaml(path, "study")


def test_the_mark_that_some_editors_put_first_is_read_and_other_encodings_are_refused(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("name: ü", encoding="utf-8-sig")
    assert read_yaml(path, "study") == {"name": "ü"}
    path.write_text("name: ü", encoding="utf-16")
    with pytest.raises(ConfigError, match=r"own\.yaml': save it as utf-8 \(invalid start byte"):
        read_yaml(path, "study")
