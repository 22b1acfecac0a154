import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.text import Text

from tasks.reporting.plots import (
    COLOURS,
    GAP,
    Point,
    confusion_figure,
    confusion_matrices,
    correlation_heat_map,
    curves_figure,
    heat_maps,
    image_rows,
    latent_map,
    latent_maps,
    lines_figure,
    picture_rows,
    reconstruction_figure,
    save,
)


def a_chart():
    return lines_figure({"a": [Point(1, 0.5, 0.1), Point(10, 0.2)]}, "x", "y", log_y=True)


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_equal_figures_give_equal_bytes(tmp_path, suffix):
    first, second = (tmp_path / f"{name}.{suffix}" for name in "ab")
    save(a_chart(), first)
    save(a_chart(), second)
    assert first.read_bytes() == second.read_bytes()
    assert first.stat().st_size > 1000


def test_lines_have_intervals_and_ticks_where_the_points_are():
    figure = lines_figure(
        {"a": [Point(1, 0.5, 0.1), Point(20, 0.2)], "b": [Point(5, 0.3, 0.05)]}, "size", "loss"
    )
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert axes.get_yscale() == "linear"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "5", "20"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("size", "loss")
    first, second = (container[2][0].get_segments() for container in axes.containers)
    assert [segment[:, 1].tolist() for segment in first] == [
        pytest.approx([0.4, 0.6]),
        pytest.approx([0.2, 0.2]),  # no interval
    ]
    assert second[0][:, 1].tolist() == pytest.approx([0.25, 0.35])


def test_curves_of_a_name_share_a_colour_and_a_label():
    points = [Point(1, 0.5, 0.1), Point(2, 0.25)]
    (axes,) = curves_figure({"a": points, "b": points}, {"a": points, "b": points}).axes
    drawn = [(to_hex(line.get_color()), line.get_linestyle()) for line in axes.lines]
    first, second = (colour.lower() for colour in COLOURS[:2])
    assert drawn == [(first, "-"), (second, "-"), (first, "--"), (second, "--")]
    assert axes.get_legend_handles_labels()[1] == ["a", "b"]
    lowest = min(
        path.vertices[:, 1].min() for band in axes.collections for path in band.get_paths()
    )
    assert lowest == 0.25


@pytest.mark.parametrize(("n_classes", "written"), [(3, 2), (12, 11), (13, 0)])
def test_counts_are_written_while_there_is_room(n_classes, written):
    counts = 9 * torch.eye(n_classes, dtype=torch.long)
    counts[-1] = 0  # no image of the last class: no number, and no division by zero
    classes = [f"class {label} of many" for label in range(n_classes)]
    (axes,) = confusion_figure(counts, classes).axes
    shown = [tick.get_text() for tick in axes.get_yticklabels()]
    assert shown == [
        name if len(name) <= 16 else "class 1 of ma..."[:13] + "..." for name in classes
    ]
    assert [text.get_text() for text in axes.texts] == ["9"] * written
    shares = axes.images[0].get_array()
    assert shares.sum(1).tolist() == [1] * (n_classes - 1) + [0]


def test_a_class_is_named_at_its_median():
    plane = torch.tensor([[0.0, 0.0], [0.2, 1.0], [0.4, 9.0], [5.0, 5.0]])
    (axes,) = latent_map(plane, torch.tensor([7, 7, 7, 3]), "abcdefg$").axes
    places = {text.get_text(): text.xy for text in axes.texts}
    assert places == {"d": (5.0, 5.0), "$": (pytest.approx(0.2), 1.0)}
    assert axes.get_ylabel() == "second principal component"
    assert not latent_map(plane, None, []).axes[0].texts


def test_classes_on_a_line_are_drawn_apart():
    plane = torch.tensor([[0.0, 2.0], [0.5, 2.0], [1.0, 2.0]])
    (axes,) = latent_map(plane, torch.tensor([0, 0, 1]), ["cat", "dog"]).axes
    heights = [points.get_offsets()[:, 1].tolist() for points in axes.collections]
    assert heights == [[2, 2], [3]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("latent coordinate", "")


def test_originals_are_above_reconstructions():
    originals = torch.full((2, 1, 28, 28), 255, dtype=torch.uint8)
    figure = reconstruction_figure(originals, {"model": torch.full((2, 1, 28, 28), 0.25)})
    assert [axes.get_ylabel() for axes in figure.axes] == ["original", "model"]
    original, model = (axes.images[0].get_array() for axes in figure.axes)
    assert original.shape == model.shape == (28, 28 + GAP + 28)
    assert (original == 1).all()
    assert (model[:, :28] == 0.25).all()
    assert (model[:, 28 : 28 + GAP] == 1).all()


def test_images_of_three_channels_are_drawn_in_colour():
    images = torch.zeros(2, 3, 5, 4)
    images[0, 0] = 1
    (axes,) = image_rows({"red and black": images}).axes
    shown = axes.images[0].get_array()
    assert shown.shape == (5, 2 * 4 + GAP, 3)
    assert shown[2, 1].tolist() == [1, 0, 0]
    assert shown[2, 4].tolist() == [1, 1, 1]  # between them
    assert shown[2, -1].tolist() == [0, 0, 0]


def test_a_short_row_of_images_leaves_its_end_empty():
    figure = image_rows(
        {"long": torch.zeros(3, 1, 28, 28), "short": torch.zeros(1, 1, 28, 28)}, "pair"
    )
    long, short = (axes.images[0].get_array() for axes in figure.axes)
    assert long.shape == short.shape == (28, 3 * 28 + 2 * GAP)
    assert (long == 0).sum() == 3 * 28 * 28
    assert (short[:, :28] == 0).all()
    assert (short[:, 28:] == 1).all()
    assert figure.get_suptitle() == "pair"


def test_every_text_of_a_figure_can_be_read_on_paper():
    images = torch.zeros(20, 1, 8, 8)
    plane, labels = torch.rand(30, 2), torch.arange(30).remainder(10)
    classes = [f"class {n}" for n in range(10)]
    figures = [
        a_chart(),
        heat_maps({f"network {n}": torch.rand(8, 8) for n in range(7)}),
        latent_maps({"latent size 5": plane, "latent size 40": plane}, labels, classes),
        confusion_matrices({"frozen": torch.eye(10)}, classes),
        picture_rows({"original": images, "latent size 40": images}),
    ]
    paper = 7.4  # inches between the margins of A4
    for figure in figures:
        figure.draw_without_rendering()
        assert figure.get_figwidth() <= paper
        texts = [one for one in figure.findobj(Text) if one.get_text() and one.get_visible()]
        assert len(texts) > 1
        assert min(one.get_fontsize() for one in texts) >= 9


def test_names_beside_rows_of_pictures_are_inside_the_figure():
    figure = picture_rows(
        {
            "original": torch.zeros(3, 1, 8, 8),
            "shirt to ankle boot, size 100": torch.zeros(3, 1, 8, 8),
        }
    )
    figure.draw_without_rendering()
    for axes in figure.axes:
        assert axes.yaxis.label.get_window_extent().x0 >= 0


def test_maps_of_several_models_show_each_class_at_its_median():
    plane = torch.tensor([[0.0, 0.0], [0.2, 1.0], [0.4, 9.0], [5.0, 5.0]])
    figure = latent_maps({"a": plane, "b": plane}, torch.tensor([1, 1, 1, 0]), ["cat", "$dog"])
    for axes, title in zip(figure.axes, "ab", strict=False):
        assert axes.get_title() == title
        places = {text.get_text(): text.xy for text in axes.texts}
        assert places == {"cat": (5.0, 5.0), "$dog": (pytest.approx(0.2), 1.0)}
    assert not latent_maps({"a": plane}, None, []).axes[0].texts
    line = torch.tensor([[0.0, 2.0], [1.0, 2.0]])
    (first, *_) = latent_maps({"a": line}, torch.tensor([0, 1]), ["cat", "dog"]).axes
    assert [points.get_offsets()[:, 1].tolist() for points in first.collections] == [[2], [3]]


def test_confusions_are_per_cent_of_the_true_class():
    counts = torch.tensor([[3, 1, 0], [0, 0, 0], [0, 0, 5]])
    (axes, other) = confusion_matrices({"a": counts}, ["x", "y", "z"]).axes
    assert [text.get_text() for text in axes.texts] == ["75", "25", "100"]
    assert not other.get_visible()
    many = [f"class {n}" for n in range(30)]
    (axes, _) = confusion_matrices({"a": torch.eye(30)}, many).axes
    assert not axes.texts
    assert not axes.get_xticklabels()


def test_dead_coordinates_have_no_colour_of_the_scale():
    matrix = torch.tensor([[1.0, float("nan")], [float("nan"), float("nan")]])
    axes = correlation_heat_map(matrix).axes[0]
    assert axes.images[0].get_array().mask.tolist() == [[False, True], [True, True]]
    assert to_hex(axes.get_facecolor()) == "#bbbbbb"
