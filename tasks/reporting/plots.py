"""All figures, from arrays and points; the one importer of matplotlib. It uses no pyplot state."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, NamedTuple
from warnings import catch_warnings, filterwarnings

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Figure"]  # for type hints elsewhere; the functions are public by name
# Okabe and Ito's palette, which colour-blind readers can tell apart
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# the same with four of Paul Tol's muted palette, for ten classes; each class is also named
CLASS_COLOURS = (*COLOURS, "#332288", "#882255", "#999933", "#000000")
DPI = 110
GAP = 2  # pixels between the images of a row
LONGEST_NAME = 16  # characters of a class
# Inches and points of figures of a report: printed on A4, every text has at least 9 points.
PAGE_WIDTH, LABEL_WIDTH = 7.0, 1.7
TEXT_SIZE = 10.5
LABEL_LENGTH = 20  # characters of a line
LONGEST_ROW_NAME = 48  # characters beside a row of images


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG or SVG, by the path's suffix. Equal figures give equal bytes."""
    with rc_context({"svg.hashsalt": "latent-study"}):
        unstable = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        # a class may be named in any script; its name is in tables beside the figure too
        with catch_warnings():
            filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
            figure.savefig(path, dpi=DPI, metadata=unstable)


def _draw_image(axes: Axes, image: "Tensor") -> None:
    """Draw an image (1 or 3, height, width) in [0, 1], in grey or in colour."""
    shown = image[0] if len(image) == 1 else image.movedim(0, 2)
    axes.imshow(shown.numpy(), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def image_rows(rows: Mapping[str, "Tensor"], title: str | None = None) -> Figure:
    """One row of images (n, 1 or 3, height, width) in [0, 1] for each name, written beside it.

    A row is drawn as one picture: an axis for each image would take most of the time.
    """
    columns = max(len(images) for images in rows.values())
    strips = {name: _strip(images, columns) for name, images in rows.items()}
    longest = min(max(map(len, rows)), LONGEST_ROW_NAME)
    beside, above = 0.1 + 0.09 * longest, 0.35 if title else 0.02  # inches
    _, high, wide = next(iter(strips.values())).shape
    width, step = beside + 0.66 * columns, 0.66 * columns * high / wide + 0.04
    height = above + step * len(rows)
    figure = Figure(figsize=(width, height))
    for row, (name, strip) in enumerate(strips.items()):
        bottom = 1 - (above + step * (row + 1)) / height
        axes = figure.add_axes((beside / width, bottom, 1 - beside / width, (step - 0.04) / height))
        _draw_image(axes, strip)
        shown = _short(name, LONGEST_ROW_NAME)
        axes.set_ylabel(shown, rotation=0, ha="right", va="center", fontsize=10, parse_math=False)
    if title:
        figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def _strip(images: "Tensor", columns: int) -> "Tensor":
    """Images (n, c, h, w) side by side, white between them and where there are fewer."""
    n, channels, height, width = images.shape
    strip = images.new_ones(channels, height, columns, width + GAP)
    strip[:, :, :n, :width] = images.permute(1, 2, 0, 3)
    return strip.reshape(channels, height, -1)[..., :-GAP]


def reconstruction_figure(originals: "Tensor", rows: Mapping[str, "Tensor"]) -> Figure:
    """Originals (n, c, h, w) uint8 above reconstructions (n, c, h, w) in [0, 1]."""
    return picture_rows({"original": originals / 255, **rows})


def picture_rows(rows: Mapping[str, "Tensor"]) -> Figure:
    """Images (n, 1 or 3, h, w) as ``image_rows``, with names that can be read on paper."""
    columns = max(len(images) for images in rows.values())
    cell = min(0.62, (PAGE_WIDTH - LABEL_WIDTH) / columns)
    height, width = cell * len(rows), LABEL_WIDTH + cell * columns
    figure = Figure(figsize=(width, height))
    for index, (name, images) in enumerate(rows.items(), start=1):
        place = (LABEL_WIDTH / width, 1 - index / len(rows))
        axes = figure.add_axes((*place, 1 - place[0], 0.95 / len(rows)))
        _draw_image(axes, _strip(images, columns))
        axes.set_anchor("W")
        axes.set_ylabel(fill(name, LABEL_LENGTH), rotation=0, ha="right", va="center")
        axes.yaxis.label.set(fontsize=TEXT_SIZE, parse_math=False)
    return figure


def correlation_heat_map(matrix: "Tensor") -> Figure:
    """Pearson correlations (d, d) from -1 to 1; NaN, that of a dead coordinate, is grey."""
    figure = Figure(figsize=(4.2, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor("#bbbbbb")
    shown = axes.imshow(matrix.numpy(), cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    figure.colorbar(shown, label="Pearson correlation")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("latent coordinate")
    axes.set_ylabel("latent coordinate")
    return figure


def _panels(number: int, columns: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of the width of a page with this many panels, of a height in inches each."""
    rows = -(-number // columns)
    figure = Figure(figsize=(PAGE_WIDTH, height * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in panels[number:]:
        unused.set_visible(False)
    for axes in panels:
        axes.tick_params(labelsize=TEXT_SIZE)
    return figure, panels[:number]


def similarity_map(values: "Tensor", rows: Sequence[str], columns: Sequence[str]) -> Figure:
    """Similarities (n, m) from 0 to 1, written into the cells; NaN is grey.

    With more than 16 columns they are not written.
    """
    few, size = len(columns) <= 16, 9
    side = 0.62 if few else 0.3
    figure = Figure(
        figsize=(2.4 + side * len(columns), 1.9 + 0.8 * side * len(rows)), layout="constrained"
    )
    axes = figure.subplots()
    axes.set_facecolor("#bbbbbb")
    shown = axes.imshow(values.numpy(), cmap="cividis", vmin=0, vmax=1, aspect="auto")
    figure.colorbar(shown, label="linear CKA")
    for row, column in [(i, j) for i in range(len(rows)) for j in range(len(columns)) if few]:
        value = float(values[row, column])
        text = "" if math.isnan(value) else f"{value:.2f}"
        colour = "black" if value > 0.5 else "white"
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)
    axes.set_xticks(range(len(columns)), columns, fontsize=size, rotation=90, parse_math=False)
    axes.set_yticks(range(len(rows)), rows, fontsize=size, parse_math=False)
    return figure


def heat_maps(maps: Mapping[str, "Tensor"]) -> Figure:
    """Maps (height, width) of values of at least 0 side by side, on one scale, each with its name.

    The scale is that of square roots, so that small values can be seen beside large ones.
    """
    figure, panels = _panels(len(maps), 3, 2.4)
    largest = max(float(values.max()) for values in maps.values()) or 1.0
    for axes, (name, values) in zip(panels, maps.items(), strict=True):
        shown = axes.imshow(
            values.numpy(), cmap="magma", norm=PowerNorm(0.5, 0, largest), interpolation="nearest"
        )
        axes.set_title(name, fontsize=TEXT_SIZE, parse_math=False)
        axes.set_xticks([0, values.shape[1] - 1])
        axes.set_yticks([0, values.shape[0] - 1])
    figure.colorbar(shown, ax=panels, label="mean squared error")
    return figure


def latent_maps(
    planes: Mapping[str, "Tensor"], labels: "Tensor | None", classes: Sequence[str]
) -> Figure:
    """Points (n, 2) of several models side by side, drawn as ``latent_map`` draws those of one."""
    figure, panels = _panels(len(planes), 3, 2.8)
    for axes, (title, plane) in zip(panels, planes.items(), strict=True):
        axes.set_title(title, fontsize=TEXT_SIZE)
        axes.set_xticks([])
        axes.set_yticks([])
        _draw_plane(axes, plane, labels, classes, TEXT_SIZE - 0.5)
    return figure


def _draw_plane(
    axes: Axes, plane: "Tensor", labels: "Tensor | None", classes: Sequence[str], size: float
) -> None:
    """Draw points (n, 2), coloured by label (n,); names of classes have this size in points.

    If all points have the same second coordinate, each class is drawn as a line of its own.
    """
    x, y = plane[:, 0], plane[:, 1]
    if labels is None:
        axes.scatter(x, y, s=2, alpha=0.4, color=COLOURS[0], linewidths=0)
        return
    for index, label in enumerate(labels.unique().tolist()):
        mine = labels == label
        height = y[mine] + index if _is_line(plane) else y[mine]
        colour = CLASS_COLOURS[index % len(CLASS_COLOURS)]
        axes.scatter(x[mine], height, s=2, alpha=0.4, color=colour, linewidths=0)
        place = float(x[mine].median()), float(height.median())
        name = _short(classes[label])
        shape = "circle,pad=0.15" if len(name) < 3 else "round,pad=0.15"
        box = {"fc": "white", "ec": colour, "alpha": 0.85, "boxstyle": shape}
        written = axes.annotate(name, place, bbox=box, parse_math=False)
        written.set(ha="center", va="center", fontsize=size)


def _is_line(plane: "Tensor") -> bool:
    return bool((plane[:, 1] == plane[0, 1]).all())


def _short(name: str, longest: int = LONGEST_NAME) -> str:
    """A name as a figure shows it, with so many characters at most."""
    return name if len(name) <= longest else f"{name[: longest - 3]}..."


def confusion_figure(counts: "Tensor", classes: Sequence[str]) -> Figure:
    """Counts (classes, classes), true by predicted; the colour is the share of the true class.

    ``classes`` are the names of the classes. With more than 12 classes the counts are not written
    into the cells, and with more than 40 the names are left out.
    """
    shares = counts / counts.sum(1, keepdim=True).clamp_min(1)
    figure = Figure(figsize=(4.2, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    if len(counts) <= 12:
        for row in range(len(counts)):
            for column in range(len(counts)):
                colour = "white" if shares[row, column] > 0.5 else "black"
                count = int(counts[row, column])
                if count:
                    axes.text(
                        column, row, str(count), ha="center", va="center", fontsize=6, color=colour
                    )
    if len(counts) <= 40:
        names, places = [_short(name) for name in classes], range(len(counts))
        size = 8 if len(counts) <= 12 else 4
        turned = 90 if any(len(name) > 2 for name in names) else 0
        axes.set_xticks(places, names, fontsize=size, rotation=turned, parse_math=False)
        axes.set_yticks(places, names, fontsize=size, parse_math=False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    return figure


def confusion_matrices(counts: Mapping[str, "Tensor"], classes: Sequence[str]) -> Figure:
    """Counts (classes, classes), true by predicted, side by side, as per cent of the true class.

    With more than 12 classes the numbers, and with more than 20 the names are left out.
    """
    figure, panels = _panels(len(counts), 2, 3.7)
    names, places = [_short(name) for name in classes], range(len(classes))
    turned = 90 if any(len(name) > 2 for name in names) else 0
    for axes, (title, table) in zip(panels, counts.items(), strict=True):
        shares = table / table.sum(1, keepdim=True).clamp_min(1)
        axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
        axes.set_title(title, fontsize=TEXT_SIZE)
        for row, column in shares.ge(0.005).nonzero().tolist() if len(table) <= 12 else ():
            share = float(shares[row, column])
            colour = "white" if share > 0.5 else "black"
            text = axes.text(column, row, f"{100 * share:.0f}", color=colour)
            text.set(ha="center", va="center", fontsize=TEXT_SIZE - 1)
        shown = places if len(names) <= 20 else []
        axes.set_xticks(shown, names[: len(shown)], rotation=turned, parse_math=False)
        axes.set_yticks(shown, names[: len(shown)], parse_math=False)
        axes.set_xlabel("predicted class", fontsize=TEXT_SIZE)
        axes.set_ylabel("true class", fontsize=TEXT_SIZE)
    return figure


def latent_map(plane: "Tensor", labels: "Tensor | None", classes: Sequence[str]) -> Figure:
    """Points (n, 2), coloured by label (n,) if there are labels; each class is named at its median.

    If all points have the same second coordinate, each class is drawn as a line of its own.
    """
    figure = Figure(figsize=(4.2, 3.8), layout="constrained")
    axes = figure.subplots()
    is_line = _is_line(plane)
    axes.set_xlabel("latent coordinate" if is_line else "first principal component")
    axes.set_ylabel("" if is_line else "second principal component")
    if is_line:
        axes.set_yticks([])
    _draw_plane(axes, plane, labels, classes, 8)
    return figure


class Point(NamedTuple):
    """A value y at x, and half the width of its interval if it has one."""

    x: float
    y: float
    margin: float | None = None


Lines = Mapping[str, Sequence[Point]]


def lines_figure(
    lines: Lines,
    x_label: str,
    y_label: str,
    log_y: bool = False,
    singles: Sequence[Point] = (),
    failed: Sequence[Point] = (),
) -> Figure:
    """One line per name through its points, with their intervals; the x axis is logarithmic.

    ``singles`` are drawn as dots in the colour of the first line, ``failed`` as crosses.
    """
    figure, axes = _new_chart()
    styles = ("o-", "s--", "^:", "d-.", "v-", "p--")
    for index, (name, points) in enumerate(lines.items()):
        axes.errorbar(
            [point.x for point in points],
            [point.y for point in points],
            yerr=[point.margin or 0 for point in points],
            fmt=styles[index % len(styles)],
            color=COLOURS[index % len(COLOURS)],
            label=name,
            capsize=3,
        )
    for points, mark, size in ((singles, "o", 9), (failed, "x", 50)):
        places = [point.x for point in points], [point.y for point in points]
        axes.scatter(*places, s=size, marker=mark, color=COLOURS[0], alpha=0.45, zorder=1)
    axes.set_xscale("log")
    if log_y:
        axes.set_yscale("log")
    ticks = sorted({point.x for points in lines.values() for point in points})
    axes.set_xticks(ticks, [f"{tick:,g}" for tick in ticks], minor=False)
    axes.set_xticks([], minor=True)
    return _with_labels(figure, axes, x_label, y_label)


def curves_figure(test: Lines, train: Lines) -> Figure:
    """Test loss (solid) and train loss (dashed) by epoch, one colour per name, with intervals."""
    figure, axes = _new_chart()
    for lines, style in ((test, "-"), (train, "--")):
        for index, (name, points) in enumerate(lines.items()):
            x, y = [point.x for point in points], [point.y for point in points]
            margin = [point.margin or 0 for point in points]
            colour = COLOURS[index % len(COLOURS)]
            label = name if lines is test else None
            axes.plot(x, y, style, color=colour, label=label, linewidth=1.3)
            low, high = ([v + s * m for v, m in zip(y, margin, strict=True)] for s in (-1, 1))
            axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return _with_labels(figure, axes, "epoch", "mean squared error per pixel")


def _new_chart() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    return figure, figure.subplots()


def _with_labels(figure: Figure, axes: Axes, x_label: str, y_label: str) -> Figure:
    axes.set_xlabel(x_label, fontsize=TEXT_SIZE)
    axes.set_ylabel(y_label, fontsize=TEXT_SIZE)
    axes.tick_params(labelsize=10)
    axes.legend(fontsize=10)
    axes.grid(alpha=0.3, which="both")
    return figure
