import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.system import json_lines


def test_records_come_back_in_order(tmp_path):
    path = tmp_path / "records.jsonl"
    records = [{"do": "log", "values": [1, 2.5, None]}, {"text": "two\nlines, ü"}, {}]
    for record in records:
        json_lines.append(path, record)
    assert list(json_lines.read(path)) == records


def test_an_incomplete_line_is_skipped_and_damages_no_other(tmp_path):
    path = tmp_path / "records.jsonl"
    json_lines.append(path, {"n": 1})
    with path.open("ab") as file:
        file.write(b'\n{"n": 2, "te')  # a kill in the middle of a write
    json_lines.append(path, {"n": 3})
    assert list(json_lines.read(path)) == [{"n": 1}, {"n": 3}]


def test_lines_of_several_threads_do_not_mix(tmp_path):
    path = tmp_path / "records.jsonl"
    records = [{"thread": thread, "n": n} for n in range(200) for thread in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda record: json_lines.append(path, record), records))
    found = list(json_lines.read(path))
    assert sorted(map(str, found)) == sorted(map(str, records))


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    path = tmp_path / "records.jsonl"
    with pytest.raises(FileNotFoundError):
        list(json_lines.read(path))
    path.write_bytes(b"\xff")
    with pytest.raises(UnicodeDecodeError):
        list(json_lines.read(path))
    with pytest.raises(TypeError, match="not JSON serializable"):
        json_lines.append(path, {"value": object()})


@pytest.mark.parametrize("line", [b"7", b"[1]", b'"text"', b"null", b"[" * 100_000, b"9" * 5_000])
def test_a_line_that_is_no_record_is_skipped(tmp_path, line):
    path = tmp_path / "records.jsonl"
    json_lines.append(path, {"n": 1})
    with path.open("ab") as file:
        file.write(b"\n" + line)
    json_lines.append(path, {"text": "\u2028"})
    assert list(json_lines.read(path)) == [{"n": 1}, {"text": "\u2028"}]


def test_what_is_no_file_of_records_is_an_error_at_once(tmp_path):
    pipe, large = tmp_path / "pipe.jsonl", tmp_path / "large.jsonl"
    os.mkfifo(pipe)
    large.touch()
    os.truncate(large, 10_000_000_000)
    for path, words in ((pipe, "not a regular file"), (large, "larger than 100,000,000 bytes")):
        with pytest.raises(OSError, match=words):
            list(json_lines.read(path))


def test_a_record_that_was_written_in_part_is_an_error(tmp_path):
    path = tmp_path / "records.jsonl"
    code = (
        "import signal, sys; from pathlib import Path; from tasks.system import json_lines\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"json_lines.append(Path({str(path)!r}), {{'text': 'x' * 5_000}})"
    )
    command = ["prlimit", "--fsize=1000", sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "No space left on device" in result.stderr
    assert path.stat().st_size == 1000
