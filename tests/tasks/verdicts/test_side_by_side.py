import pytest
from pandas import DataFrame

from tasks.verdicts.side_by_side import side_by_side

COLUMNS = ["depth", "latent_dim", "seed", "loss"]
FIRST = DataFrame([(2, 5, 0, 0.4), (2, 5, 1, 0.8), (2, 9, 0, 0.3)], columns=COLUMNS)
SECOND = DataFrame(
    [(2, 5, 0, 0.2), (2, 5, 1, 0.5), (2, 5, 2, 9.0), (1, 5, 0, 0.7)], columns=COLUMNS
)


def compared(first, second, **options):
    found = side_by_side(first, second, ["depth", "latent_dim"], "loss", **options)
    return {tuple(row.choice.values()): row for row in found}


def test_the_change_is_over_seeds_that_both_have():
    row = compared(FIRST, SECOND, unit="")[2, 5]
    assert row.choice == {"depth": 2, "latent_dim": 5}
    assert row.means[0].mean == pytest.approx(0.6)
    assert row.means[1].mean == pytest.approx((0.2 + 0.5 + 9) / 3)
    assert row.change.n == 2
    assert row.change.change == pytest.approx(-0.25)  # the mean of -0.2 and -0.3
    assert row.change.low < -0.25 < row.change.high


def test_a_relative_change_is_in_per_cent():
    first, second = FIRST[FIRST.seed == 0], SECOND[SECOND.seed == 0]
    row = compared(first, second, unit="%")[2, 5]
    assert (row.change.unit, row.change.change) == ("%", pytest.approx(-50))
    numbers = {"mean_A": 0.4, "mean_B": 0.2, "change": pytest.approx(-50)}
    assert row.numbers() == numbers


def test_a_choice_of_one_table_only_has_no_change():
    found = compared(FIRST, SECOND, unit="")
    assert list(found) == [(2, 5), (2, 9), (1, 5)]
    assert found[2, 9].numbers() == {"mean_A": 0.3, "mean_B": None, "change": None}
    assert found[1, 5].numbers() == {"mean_A": None, "mean_B": 0.7, "change": None}


def test_a_quantity_that_a_table_lacks_is_not_compared():
    found = compared(FIRST, SECOND.drop(columns="loss"), unit="")
    assert found[2, 5].means[1] is None
    assert found[2, 5].change is None
