import os

import pytest

from tasks.system import json_lines
from tasks.tracking.spool import FORMAT, Spool, SpoolError, existing_spools


def test_operations_come_back_in_order_without_one_that_was_cut_off(home):
    spool = Spool("invocation")
    for number in (1, 2):
        spool.add({"do": "log", "number": number})
    with spool.path.open("a") as file:
        file.write('\n{"do": "log", "num')
    spool.add({"do": "close"})
    assert spool.path == home / "spool" / "invocation.jsonl"
    assert [one.get("number", one["do"]) for one in spool.read()] == [1, 2, "close"]


def test_a_spool_in_use_is_left_alone():
    spool, other = Spool("invocation"), Spool("invocation")
    spool.add({"do": "close"})
    spool.lock()
    with other.try_lock() as locked:
        assert not locked
    spool.release()
    with other.try_lock() as locked:
        assert locked
        with spool.try_lock() as second:
            assert not second


def test_a_lock_goes_with_its_spool(home):
    spool = Spool("invocation")
    spool.add({"do": "close"})
    spool.lock()
    spool.release()
    lock = home / "spool" / "invocation.lock"
    assert lock.exists()
    with spool.try_lock():
        spool.remove()
    assert list((home / "spool").iterdir()) == []


def test_spools_with_operations_are_found_oldest_first():
    assert existing_spools() == []
    for invocation in ("20260102-b", "20260101-a", "20260103-c"):
        spool = Spool(invocation)
        if "c" not in invocation:
            json_lines.append(spool.path, {"do": "close", "at": ord(invocation[-1])})
    assert [spool.invocation for spool in existing_spools()] == ["20260101-a", "20260102-b"]


def test_the_first_line_holds_the_format_and_an_older_spool_has_none():
    spool, old = Spool("new"), Spool("old")
    spool.add({"do": "close"})
    spool.add({"do": "close", "at": 1})
    assert list(json_lines.read(spool.path)) == [
        {"format": FORMAT},
        {"do": "close"},
        {"do": "close", "at": 1},
    ]
    json_lines.append(old.path, {"do": "close"})
    assert old.read() == [{"do": "close"}]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"format": 99}\n{"do": "close"}', "was written by a newer version of this project"),
        (b'{"format": "z"}\n{"do": "close"}', "was written by a newer version of this project"),
        (b"\xff", r"is damaged \(not UTF-8\); delete it"),
        (None, "is not a regular file; delete it"),
    ],
)
def test_what_this_version_cannot_read_is_an_error_with_the_file(content, words):
    spool = Spool("invocation")
    if content is None:
        os.mkfifo(spool.path)
    else:
        spool.path.write_bytes(content)
    with pytest.raises(SpoolError, match=f"^{spool.path} {words}"):
        spool.read()
