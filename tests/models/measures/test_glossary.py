"""The glossary of measures, and the page that shows it.

``python -m tests.models.measures.test_glossary`` writes its tables into the page.
"""

import re
from pathlib import Path

import pytest

from models.measures.glossary import (
    CLASSIFIER_MEASURES,
    CONVERGENCE_MEASURES,
    MEASURES,
    SIZE_MEASURES,
    UNITS,
    WALK_MEASURES,
    measured_by,
    quantities,
)
from tasks.tracking.views import VIEWS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"
TABLE = re.compile(r"^\| metric .*?(?=^$)", re.MULTILINE | re.DOTALL)


def table(measures):
    """Measures as a table in Markdown."""
    rows = [
        (
            f"`{one.name}`",
            f"`{one.quantity}`",
            one.meaning,
            one.unit,
            one.better,
            " and ".join(one.steps),
        )
        for one in measures
    ]
    head = ("metric", "in claims", "meaning", "unit", "better", "step")
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n".replace("  ", " ") for line in lines)


SHOWN = [
    (*MEASURES, *SIZE_MEASURES),
    CLASSIFIER_MEASURES,
    WALK_MEASURES,
    CONVERGENCE_MEASURES,
]
TABLES = [table(measures) for measures in SHOWN]


def test_the_page_shows_the_glossary():
    written = TABLE.findall(PAGE.read_text())
    assert written == TABLES, "write it: .venv/bin/python -m tests.models.measures.test_glossary"


@pytest.mark.parametrize("measures", SHOWN)
def test_a_measure_is_declared_once(measures):
    names = [one.name for one in measures]
    assert len(set(names)) == len(names)
    headlines = [one.headline for one in measures if one.headline]
    assert len(set(headlines)) == len(headlines)


def test_a_quantity_is_one_measure():
    names = [one.quantity for measures in SHOWN for one in measures]
    assert len(set(names)) == len(names)
    assert list(quantities()) == names
    columns = {one.name for measures in SHOWN for one in measures}
    for measures in SHOWN:
        for one in measures:
            assert one.reachable in columns | {""}
            assert one.gate in columns | {""}


def test_a_measure_of_a_step_is_a_column_where_it_says_so():
    assert {one.name for one in measured_by("correlate")} == {
        "mean_abs_correlation_live",
        "mean_abs_correlation_nan_as_zero",
        "mean_abs_correlation_shuffled",
        "effective_rank",
        "effective_rank_share",
    }
    shown = [column for column in VIEWS["models"].columns if column.startswith("metrics.")]
    assert shown == [f"metrics.`{one.name}`" for one in MEASURES if one.in_view]
    assert "metrics.`dead_units`" in shown
    assert {one.name for one in MEASURES if one.unit == UNITS} == {
        "dead_units",
        "active_units",
        "constant_units",
    }


if __name__ == "__main__":
    remaining = iter(TABLES)
    PAGE.write_text(TABLE.sub(lambda found: next(remaining), PAGE.read_text()))
