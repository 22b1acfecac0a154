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
