"""Grey levels of more than 8 bits: which range of levels becomes black to white.

A file of 8 bits says its range: 0 to 255. One of 16 bits may hold levels of 12 bits, and one of
floats any numbers, so that the range follows from all images of a dataset.
"""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


BYTE = (0.0, 255.0)
USUAL_BITS = (8, 10, 12, 14, 16)  # of cameras, microscopes and scanners
LEAST_SHARE = 0.1  # of the range that the levels of a dataset should reach


class Levels(NamedTuple):
    """The range of levels that becomes black to white."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:,g} to {self.high:,g}"


class Extremes(NamedTuple):
    """The smallest and the largest level of an image, and whether levels are whole numbers."""

    low: float
    high: float
    whole: bool = True


def extremes_of(pixels: "Tensor") -> Extremes:
    """The extremes of levels of any shape."""
    low, high = pixels.aminmax()
    return Extremes(float(low), float(high), not pixels.is_floating_point())


def together(found: list[Extremes]) -> Extremes:
    """The extremes of several images; whole if those of all images are."""
    low, high, whole = zip(*found, strict=True)
    return Extremes(min(low), max(high), all(whole))


def choose_levels(found: Extremes) -> Levels:
    """The range that a file of more than 8 bits most likely means, from all images of a dataset.

    Slightly negative levels count as black. Whole numbers: the first of 8, 10, 12, 14 and 16 bits
    that holds them. Floats: 0 to 1, -1 to 1, or 0 to 255. Otherwise from the smallest level, or 0
    if none is below, to the largest.
    """
    low, high, whole = found
    if -LEAST_SHARE * high < low < 0:  # noise around a black background
        low = 0.0
    if whole:
        usual = [Levels(0, 2.0**bits - 1) for bits in USUAL_BITS]
    else:
        usual = [Levels(0, 1), Levels(-1, 1)]
        if high > LEAST_SHARE * BYTE[1]:
            usual.append(Levels(*BYTE))
    for levels in usual:
        if levels.low <= low and high <= levels.high:
            return levels
    lowest = min(low, 0.0)
    return Levels(lowest, max(high, lowest + 1))


def to_bytes(pixels: "Tensor", levels: Levels) -> "Tensor":
    """Levels of any type and any shape as uint8.

    The range becomes 0 to 255, levels outside are cut off.
    """
    scaled = (pixels.double() - levels.low) / (levels.high - levels.low)
    return (255 * scaled).clamp(0, 255).round().byte()


def describe_levels(levels: Levels, found: Extremes, asked: bool) -> list[str]:
    """What to say about a range, which was asked for or chosen, and the levels that were found."""
    said = []
    if not asked and levels != BYTE:
        said.append(
            f"levels {levels} become black to white (found: {found.low:,g} to {found.high:,g}); "
            "set dataset.levels for another range"
        )
    if found.low < levels.low or found.high > levels.high:
        said.append(
            f"levels from {found.low:,g} to {found.high:,g} are cut off to dataset.levels {levels}"
        )
    reached = min(found.high, levels.high) - max(found.low, levels.low)
    if reached < LEAST_SHARE * (levels.high - levels.low):
        said.append(
            f"levels from {found.low:,g} to {found.high:,g} are less than {LEAST_SHARE:.0%} of the "
            f"range {levels}; set dataset.levels: [low, high] if the images should have contrast"
        )
    return said
