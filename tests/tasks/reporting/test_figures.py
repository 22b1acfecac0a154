import pytest
from pandas import DataFrame

from tasks.analysis.tables import make_tables, model_identity
from tasks.reporting.figures import accuracy_figure, draw_figures, points, rate_figure
from tests.tasks.reporting.conftest import CONFIG, N_TRAIN


def test_what_was_measured_is_drawn_and_nothing_else(tmp_path, groups):
    folder = tmp_path / "report"
    folder.mkdir()
    draw_figures(folder, groups, make_tables(groups, CONFIG), 0.25)
    assert {path.name for path in folder.iterdir()} == {
        "latent-curves.svg",
        "latent-maps.png",
        "latent-reconstructions.png",
        "depth-curves.svg",
        "depth-reconstructions.png",
        "pixel-errors.png",
        "rate.svg",
        "accuracy.svg",
        "frozen.svg",  # without correlation.svg: no model was correlated
    }


def test_images_are_of_one_seed_which_a_depth_may_lack(tmp_path, groups, monkeypatch):
    shown = []

    def made(models):
        shown.append(list(models))

    def reconstructions(dataset, models):
        shown.append([(name, model_identity(one).seed) for name, one in models.items()])

    monkeypatch.setattr("tasks.reporting.plots.save", lambda figure, path: None)
    monkeypatch.setattr("tasks.reporting.plots.heat_maps", made)
    monkeypatch.setattr("tasks.reporting.figures.reconstructions", reconstructions)
    lost = {"depth": 1, "latent_dim": 2, "seed": CONFIG["seeds"][0]}
    trained = [one for one in groups["train"] if one.identity != lost]
    found = groups | {"train": trained}
    draw_figures(tmp_path, found, make_tables(found, CONFIG), 0.25)
    assert shown == [[("d = 2", 0), ("d = 3", 0)], [("depth 2", 0)], ["depth 2"]]


def test_without_models_there_are_no_figures(tmp_path):
    draw_figures(tmp_path, {}, make_tables({}, CONFIG), None)
    assert list(tmp_path.iterdir()) == []


def test_points_are_means_over_seeds_in_rising_order():
    rows = DataFrame(
        [(20, 0, 3.0), (20, 1, 5.0), (5, 0, 1.0), (9, 0, None)],
        columns=["latent_dim", "seed", "loss"],
    )
    found = points(rows, "latent_dim", "loss")
    assert [(point.x, point.y) for point in found] == [(5, 1.0), (20, 4.0)]
    assert found[0].margin is None
    assert found[1].margin == pytest.approx(12.706, rel=1e-4)  # Student's t for two values
    assert points(rows, "latent_dim", "accuracy") == []


def lines_of(figure):
    """The ends of every line by its name."""
    axes = figure.axes[0]
    handles, names = axes.get_legend_handles_labels()
    return {
        name: [list(values) for values in handle[0].get_data()]
        for handle, name in zip(handles, names, strict=True)
    }


def test_all_labels_are_as_many_as_training_images(groups):
    lines = lines_of(accuracy_figure(make_tables(groups, CONFIG)))
    assert lines.keys() == {"frozen encoder", "fine-tuned"}
    x, y = lines["fine-tuned"]
    assert x == [4, N_TRAIN]
    assert y == pytest.approx([0.81, 0.91])


def test_the_reported_losses_are_drawn_for_mnist_only(groups):
    lines = lines_of(rate_figure(make_tables(groups, CONFIG), None))
    assert list(lines) == ["autoencoder, test", "PCA, the linear limit"]
    data = groups["data"][0]
    mnist = data.model_copy(update={"result": data.result | {"name": "mnist"}})
    config = CONFIG | {"latent_dims": [2, 5]}  # the written study has no number for 2
    identity = groups["train"][-1].identity | {"latent_dim": 5}
    model = groups["train"][-1].model_copy(update={"identity": identity})
    tables = make_tables(groups | {"data": [mnist], "train": [*groups["train"], model]}, config)
    assert lines_of(rate_figure(tables, 0.25))["reported, test"] == [[5], [0.044]]


def test_each_seed_is_a_dot_and_a_failed_one_a_cross(groups):
    tables = make_tables(groups, CONFIG)
    losses = tables.latent_sweep.final_test_loss.tolist()
    limit = sorted(losses)[-1]  # the worst is no better than this
    (axes,) = rate_figure(tables, limit).axes
    dots, crosses = (one.get_offsets().tolist() for one in axes.collections[-2:])
    assert sorted(y for _, y in dots) == sorted(losses)[:-1]
    assert [y for _, y in crosses] == [limit]
