"""What is said of pixels that networks cannot change, on made numbers."""

import math

import pytest
from pandas import DataFrame

from tasks.analysis.blind_edge import edge_losses, edge_warning, reach_sentences

NETWORKS = [
    {
        "label": "depth 1",
        "unknown": "",
        "pixels": 784,
        "unseen_pixels": 159,
        "unreachable_pixels": 159,
        "place": "rows 25 to 27 and columns 25 to 27",
        "constants": 1,
        "floor": 0.00123,
        "variance_share": 0.0123,
    },
    {
        "label": "small",
        "unknown": "",
        "pixels": 784,
        "unseen_pixels": 0,
        "unreachable_pixels": 0,
        "place": "none",
        "constants": 0,
        "floor": 0.0,
        "variance_share": 0.0,
    },
]


def test_each_architecture_is_one_sentence_with_its_floor():
    first, second = reach_sentences(NETWORKS)
    assert first == (
        "Depth 1 does not see 159 and cannot change 159 of 784 pixels (rows 25 to 27 and columns "
        "25 to 27). It gives them 1 constant. Those that fit the training images best leave a test "
        "loss of 0.0012 there; these pixels hold 1.2 % of the variance of the test images."
    )
    assert second == "small sees and can change every pixel."


def models(*rows):
    columns = ["architecture", "latent_dim", "final_test_loss", "unreachable_test_loss"]
    return [dict(zip(columns, row, strict=True)) for row in rows]


def test_a_large_share_is_one_warning_that_names_the_worst_model():
    found = edge_warning(
        models(
            ("depth 2", 10, 0.02, 0.0012), ("small", 100, 0.003, 0.0018), ("depth 3", 20, 0.01, 0)
        )
    )
    assert found.startswith(
        "pixels that networks of depth 2 and small cannot change hold up to 60 %"
    )
    assert "(small, d = 100)" in found


def test_small_shares_and_what_was_not_measured_are_no_warning():
    assert edge_warning(models(("depth 2", 10, 0.02, 0.0009))) == ""
    assert edge_warning(models(("a", 10, 0.02, math.nan), ("a", 10, 0.0, 0.0))) == ""
    assert edge_warning([]) == ""
    assert edge_warning([{"architecture": "a", "latent_dim": 2, "final_test_loss": 0.1}]) == ""


def test_the_loss_out_of_reach_is_a_mean_over_seeds():
    rows = DataFrame(
        [("depth 1", 0.4, 0.3), ("depth 1", 0.2, 0.1), ("small", 0.1, 0.1)],
        columns=["architecture", "final_test_loss", "reachable_test_loss"],
    )
    found = edge_losses(rows)
    assert list(found) == ["depth 1", "small"]
    assert found["depth 1"].loss.mean == pytest.approx(0.1)
    assert found["depth 1"].share.mean == pytest.approx((0.25 + 0.5) / 2)
    assert found["small"].share.mean == 0
    assert edge_losses(rows.drop(columns="reachable_test_loss")) == {}
