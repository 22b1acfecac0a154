import pytest

from tasks.analysis.reproduction import of_both, prediction_interval, reproduces, reproduction


def test_the_prediction_interval_is_students_for_one_more_value():
    # mean 2, standard deviation 1, t of 2 degrees of freedom at 97.5 % = 4.302653
    low, high = prediction_interval([1.0, 2.0, 3.0])
    margin = 4.302653 * (4 / 3) ** 0.5
    assert (low, high) == pytest.approx((2 - margin, 2 + margin), rel=1e-6)
    assert prediction_interval(iter([0.7])) is None
    assert prediction_interval([0.5, 0.5]) == (0.5, 0.5)


def test_a_number_is_reproduced_inside_the_interval_and_half_a_digit_around_it():
    values = [0.019, 0.0191, 0.0192]  # interval .0191 +- .0005
    assert reproduces(values, 0.0194) is True
    assert reproduces(values, 0.02, rounding=0.0005) is True  # its digits stand for .0195 to .0205
    assert reproduces(values, 0.02, rounding=0.0003) is False
    assert reproduces(values, 0.021) is False
    assert reproduces(values[:1], 0.019) is None


def test_an_interval_that_contains_nearly_everything_reproduces_nothing():
    assert reproduces([1.5, 2.3, 0.7], 2.303) is None
    assert reproduces([1.5, 1.6, 1.4], 2.303) is False  # wide, but it excludes the number


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ([2.302, 2.3021, 2.3022], "reproduced"),
        ([2.203, 2.2031, 2.2032], "not reproduced"),
        ([1.5, 2.3, 0.7], "interval too wide"),
        ([2.3042], "near, one seed"),
        ([2.3046], "differs, one seed"),
        ([], None),
    ],
)
def test_outcomes_are_said_in_words(values, outcome):
    assert reproduction(values, 2.303) == outcome


def test_of_two_losses_the_less_favourable_counts():
    assert of_both("reproduced", "not reproduced") == "not reproduced"
    assert of_both("interval too wide", "reproduced") == "interval too wide"
    assert of_both("reproduced", None) is None
