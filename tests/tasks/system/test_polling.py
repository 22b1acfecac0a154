import time

import pytest

from tasks.system.polling import wait_until


def test_a_condition_that_is_true_is_checked_once_and_not_waited_for():
    checks = []
    started = time.monotonic()
    assert wait_until(lambda: checks.append(1) or True, seconds=0, every=60)
    assert len(checks) == 1
    assert time.monotonic() - started < 10


def test_a_condition_is_checked_until_it_becomes_true():
    answers = iter([False, 0, "", None, "yes", "never checked"])
    assert wait_until(lambda: next(answers), every=0.001)
    assert next(answers) == "never checked"


def test_waiting_ends_when_the_time_is_up():
    started = time.monotonic()
    assert not wait_until(lambda: False, seconds=0.2, every=60)  # the pause is cut short
    assert 0.2 <= time.monotonic() - started < 10


def test_the_condition_is_checked_once_more_when_the_time_is_up():
    started = time.monotonic()
    assert wait_until(lambda: time.monotonic() - started >= 0.1, seconds=0.1, every=60)


def test_an_error_of_the_condition_is_passed_on():
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 / 0)
