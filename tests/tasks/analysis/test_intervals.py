import pytest
from scipy import stats

from tasks.analysis.intervals import estimate


@pytest.mark.parametrize("values", [[0.3, 0.7], [0.3, 0.7, 0.4, 1.1, -2.0]])
def test_the_interval_is_students(values):
    found = estimate(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=1e-12)
    assert found.mean == pytest.approx(sum(values) / len(values))
    assert found.margin == pytest.approx((expected.high - expected.low) / 2)
    assert found.n == len(values)


def test_any_iterable_counts():
    assert estimate(iter([1, 2, 3])) == estimate([1.0, 2.0, 3.0])


def test_one_value_has_no_interval():
    assert estimate([0.7]) == (0.7, None, None, 1)
    assert estimate([0.7]).margin is None


def test_equal_values_leave_no_width():
    found = estimate([0.5, 0.5, 0.5])
    assert found == (0.5, 0.5, 0.5, 3)
    assert found.margin == 0
