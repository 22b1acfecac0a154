"""Every figure of the study; the one importer of matplotlib. Figures only, no pyplot state."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's colour-blind safe palette.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DPI = 110


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG with the same bytes for the same figure."""
    figure.savefig(path, dpi=DPI, metadata={"Software": None})


def _image(axes: Any, image: Any) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def image_rows(rows: Mapping[str, Any], title: str | None = None) -> Figure:
    """One row of images (n, 28, 28) in [0, 1] for each name."""
    columns = max(len(images) for images in rows.values())
    figure = Figure(figsize=(1.9 + 0.62 * columns, 0.66 * len(rows) + (0.35 if title else 0.1)))
    figure.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes_row, (name, images) in zip(grid, rows.items(), strict=True):
        for axes, image in zip(axes_row, images, strict=False):
            _image(axes, image)
        axes_row[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def reconstruction_figure(originals: Any, rows: Mapping[str, Any]) -> Figure:
    """Originals (n, 28, 28) uint8 above reconstructions (n, 1, 28, 28) in [0, 1]."""
    named = {name: images.squeeze(1) for name, images in rows.items()}
    return image_rows({"original": originals / 255, **named})


def correlation_heat_map(matrix: Any) -> Figure:
    """Pearson matrix (d, d) from -1 to 1; dead coordinates are grey."""
    figure = Figure(figsize=(4.2, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor("#bbbbbb")
    shown = axes.imshow(matrix, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="nearest")
    figure.colorbar(shown, label="Pearson correlation")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("latent coordinate")
    axes.set_ylabel("latent coordinate")
    return figure


def confusion_figure(counts: Any) -> Figure:
    """Counts (classes, classes), each row as shares of its true class."""
    shares = counts / counts.sum(1, keepdims=True).clamp_min(1)
    figure = Figure(figsize=(4.2, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(counts) <= 12:
        for row in range(len(counts)):
            for column in range(len(counts)):
                colour = "white" if shares[row, column] > 0.5 else "black"
                count = int(counts[row, column])
                if count:
                    axes.text(
                        column, row, str(count), ha="center", va="center", fontsize=6, color=colour
                    )
        axes.set_xticks(range(len(counts)))
        axes.set_yticks(range(len(counts)))
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    return figure


def curves_figure(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """Train (dashed) and test loss by epoch, one colour per model."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for index, (name, history) in enumerate(curves.items()):
        colour = COLOURS[index % len(COLOURS)]
        epochs = [epoch["epoch"] for epoch in history]
        axes.plot(epochs, [e["test_loss"] for e in history], color=colour, label=f"{name}, test")
        axes.plot(
            epochs,
            [e["train_loss"] for e in history],
            color=colour,
            linestyle="--",
            label=f"{name}, train",
        )
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("mean squared error per pixel")
    axes.legend(fontsize=7, ncols=2)
    axes.grid(alpha=0.3, which="both")
    return figure


def lines_figure(
    lines: Mapping[str, Sequence[tuple[float, float | None]]],
    x_label: str,
    y_label: str,
    log: bool = False,
) -> Figure:
    """Points (x, y) by name, joined; a point without a value is left out."""
    figure = Figure(figsize=(6.0, 3.6), layout="constrained")
    axes = figure.subplots()
    styles = ("o-", "s--", "^:", "d-.")
    for index, (name, points) in enumerate(lines.items()):
        known = [(x, y) for x, y in points if y is not None and math.isfinite(y)]
        axes.plot(
            [x for x, _ in known],
            [y for _, y in known],
            styles[index % len(styles)],
            color=COLOURS[index % len(COLOURS)],
            label=name,
        )
    axes.set_xscale("log")
    if log:
        axes.set_yscale("log")
    ticks = sorted({x for points in lines.values() for x, _ in points})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
    axes.set_xticks([], minor=True)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    return figure
