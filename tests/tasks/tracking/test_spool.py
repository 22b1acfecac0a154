from tasks.tracking.spool import Spool, existing_spools


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
            spool.add({"do": "close"})
    assert [spool.invocation for spool in existing_spools()] == ["20260101-a", "20260102-b"]
