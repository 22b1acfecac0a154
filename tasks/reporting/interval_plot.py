"""The interval that decides a claim as a small plot around zero, as SVG inside a page."""

import math
from typing import TYPE_CHECKING

from models.measures.glossary import Unit
from tasks.verdicts.comparisons import Comparison
from tasks.verdicts.verdict import Reading

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, HEIGHT, EDGE = 220, 33, 8
MIDDLE, BASE = 11, 20  # of the interval, and of the axis below it
NICE = (1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0)


def interval_plot(reading: Reading) -> "Markup":
    """The change with its interval; a band is the margin around zero. Empty without a value.

    The scale is that of the row: its ends are written below. A single seed is a hollow point.
    """
    from markupsafe import Markup, escape

    one = reading.decisive
    if one is None or not one.n or not math.isfinite(one.change):
        return Markup()
    ends = reading.interval
    margin = reading.margin if one.unit == reading.unit and not one.exact else 0.0
    limit = nice_limit(max(abs(end) for end in (one.change, margin, *(ends or ()))))

    def x(value: float) -> str:
        place = EDGE + (WIDTH - 2 * EDGE) * (value + limit) / (2 * limit)
        return f"{min(max(place, EDGE), WIDTH - EDGE):.1f}"

    band = float(x(margin)) - float(x(-margin))
    parts = [
        f'<line class="axis" x1="{EDGE}" x2="{WIDTH - EDGE}" y1="{BASE}" y2="{BASE}"/>',
        f'<rect class="band" x="{x(-margin)}" y="2" width="{band:.1f}" height="{BASE - 2}"/>',
        f'<line class="zero" x1="{x(0)}" x2="{x(0)}" y1="1" y2="{BASE}"/>',
    ]
    if ends is not None and ends[0] != ends[1]:
        low, high = map(x, ends)
        parts.append(f'<path class="interval" d="M{low} {MIDDLE}H{high}M{low} 7v8M{high} 7v8"/>')
    kind = "point" if ends is not None else "point hollow"
    parts.append(f'<circle class="{kind}" cx="{x(one.change)}" cy="{MIDDLE}" r="3.5"/>')
    for value, anchor in ((-limit, "start"), (0.0, "middle"), (limit, "end")):
        place = {"start": "0", "middle": f"{WIDTH / 2}", "end": f"{WIDTH}"}[anchor]
        parts.append(
            f'<text x="{place}" y="{HEIGHT}" text-anchor="{anchor}">{_tick(value, one.unit)}</text>'
        )
    said = escape(plot_text(one, ends, margin))
    start = f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT + 2}" role="img" aria-label="{said}">'
    return Markup(f"{start}<title>{said}</title>{''.join(parts)}</svg>")


def nice_limit(largest: float) -> float:
    """A round number a little above the largest value that is drawn."""
    if not largest:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    return power * next((nice for nice in NICE if nice * power >= 1.02 * largest), 15.0)


def plot_text(one: Comparison, ends: tuple[float, float] | None, margin: float) -> str:
    """What the plot shows, in words."""
    unit = f" {one.unit}" if one.unit else ""
    said = f"change {one.change:+.3g}{unit}"
    said += f", interval {ends[0]:+.3g} to {ends[1]:+.3g}{unit}" if ends else ", no interval"
    return f"{said}, margin {margin:.3g}{unit}" if margin else said


def _tick(value: float, unit: Unit) -> str:
    text = "0" if not value else f"{value:+.3g}".replace("-", "\u2212")
    return f"{text} %" if unit == "%" and value else text
