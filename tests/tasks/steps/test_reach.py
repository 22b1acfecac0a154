"""Where pixels are that a network leaves out, in words."""

import pytest
import torch

from tasks.steps.reach import describe_pixels


def mask(rows=(), columns=(), single=()):
    found = torch.zeros(6, 6, dtype=torch.bool)
    found[list(rows)], found[:, list(columns)] = True, True
    for place in single:
        found[place] = True
    return found


@pytest.mark.parametrize(
    ("pixels", "place"),
    [
        (mask(), "none"),
        (mask(rows=[4, 5], columns=[5]), "rows 4 to 5 and column 5"),
        (mask(columns=[0, 5]), "columns 0, 5"),
        (mask(single=[(1, 2), (3, 3)]), "2 single pixels"),
        (mask(rows=[2], single=[(0, 0)]), "7 single pixels"),
    ],
)
def test_rows_and_columns_are_named(pixels, place):
    assert describe_pixels(pixels) == place
