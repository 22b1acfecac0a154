import os
import re
import subprocess
import sys
import time
from datetime import datetime

import pytest

from tasks.system import json_lines
from tasks.system.invocation_names import begins_with, begun, in_order, new_name, short_name

NOON = 1_796_040_000_123_456  # 2026-11-30 12:00:00.123456 in UTC
MIDNIGHT_OF_OLD = "20261130-235959-000000-smoke-ab12.jsonl"  # of a version before 0.2, local time


def test_a_name_holds_the_time_in_utc_in_every_timezone(tmp_path):
    code = f"from tasks.system.invocation_names import new_name; print(new_name('x', {NOON}))"
    for zone in ("UTC", "Asia/Tokyo", "America/Los_Angeles"):
        command = [sys.executable, "-c", code]
        variables = {**os.environ, "TZ": zone}
        name = subprocess.check_output(command, env=variables, text=True).strip()
        assert re.fullmatch(r"20261130-120000-123456Z-x-[0-9a-f]{4}", name)
        assert begun(tmp_path / f"{name}.jsonl") == NOON
    assert short_name(NOON) == "20261130-120000"
    assert new_name("x", NOON) != new_name("x", NOON)


@pytest.mark.parametrize("fields", [{"started": NOON / 1e6}, {"do": "fail", "at": NOON / 1e3}])
def test_files_with_a_local_name_are_ordered_by_the_time_in_them(tmp_path, fields):
    old = tmp_path / MIDNIGHT_OF_OLD
    json_lines.append(old, fields)
    json_lines.append(old, {"started": 1.0})
    before, after = (tmp_path / f"{new_name('x', NOON + n)}.jsonl" for n in (-2, 2))
    assert abs(begun(old) - NOON) <= 1
    assert in_order([after, old, before]) == [before, old, after]
    assert begins_with(old, "20261130-2359")
    assert begins_with(old, "20261130-1200")
    assert not begins_with(old, "20261130-1201")


@pytest.mark.parametrize("content", [b"", b"\xff", b'{"started": NaN}', b'{"started": "x"}', b"7"])
def test_a_file_without_a_time_has_that_of_its_last_change(tmp_path, content):
    path = tmp_path / MIDNIGHT_OF_OLD
    path.write_bytes(content)
    os.utime(path, (1000, 1000))
    assert begun(path) == 1_000_000_000
    assert begun(tmp_path / "none.jsonl") == 0


def test_a_name_that_is_no_time_is_no_time(tmp_path):
    path = tmp_path / "20269999-999999-000000Z-x-ab.jsonl"
    path.touch()
    assert abs(begun(path) / 1e6 - datetime.now().timestamp()) < 60
    os.mkfifo(tmp_path / "pipe.jsonl")
    started = time.monotonic()
    assert begun(tmp_path / "pipe.jsonl") > 0
    assert time.monotonic() - started < 5
