import re

import pytest

from tasks.reporting.interval_plot import EDGE, WIDTH, interval_plot, nice_limit
from tasks.verdicts.comparisons import Comparison
from tasks.verdicts.verdict import Reading

MEASURED = Comparison(
    label="a to b", unit="points", n=5, mean=0.02, spread=0.01, standard_error=0.0045, degrees=4
)
ONE_SEED = Comparison(label="a to b", unit="points", n=1, mean=-0.02)


def reading(*comparisons, margin=0.5):
    return Reading(sign=1, unit="points", margin=margin, comparisons=comparisons)


def places(plot, pattern):
    return [float(found) for found in re.findall(pattern, plot)]


def test_the_interval_lies_where_its_numbers_are():
    made = reading(MEASURED)
    plot = interval_plot(made)
    (zero,) = places(plot, r'class="zero" x1="([\d.]+)"')
    (point,) = places(plot, r'class="point" cx="([\d.]+)"')
    ((low, high),) = re.findall(r'class="interval" d="M([\d.]+) 11H([\d.]+)M', plot)
    assert zero == WIDTH / 2
    scale = (WIDTH / 2 - EDGE) / 5  # pixels a point; the ticks at the ends are -5 and 5
    assert point - zero == pytest.approx(scale * MEASURED.change, abs=0.2)
    assert float(low) - zero == pytest.approx(scale * made.interval[0], abs=0.2)
    assert float(high) - zero == pytest.approx(scale * made.interval[1], abs=0.2)
    (width,) = places(plot, r'class="band" [^>]*width="([\d.]+)"')
    assert width == pytest.approx(2 * scale * 0.5, abs=0.2)
    assert float(high) <= WIDTH - EDGE


def test_the_plot_says_what_it_shows():
    plot = interval_plot(reading(MEASURED))
    said = "change +2 points, interval +0.751 to +3.25 points, margin 0.5 points"
    assert f'aria-label="{said}"' in plot
    assert f"<title>{said}</title>" in plot
    assert re.findall(r"<text[^>]*>([^<]*)", plot) == ["\u22125", "0", "+5"]


def test_a_single_seed_is_a_hollow_point_without_an_interval():
    plot = interval_plot(reading(ONE_SEED))
    assert 'class="point hollow"' in plot
    assert 'class="interval"' not in plot
    assert "no interval" in plot


def test_what_was_not_measured_has_no_plot():
    assert interval_plot(reading()) == ""
    assert interval_plot(reading(Comparison(label="a to b", n=0))) == ""


@pytest.mark.parametrize(
    ("largest", "limit"), [(0, 1), (0.9, 1), (1, 1.5), (14.9, 20), (9.99, 15), (0.026, 0.03)]
)
def test_a_scale_ends_at_a_round_number_above_what_is_drawn(largest, limit):
    assert nice_limit(largest) == pytest.approx(limit)
