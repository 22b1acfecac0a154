"""Sentences on made losses."""

from tasks.analysis.intervals import estimate
from tasks.analysis.linear_limit import linear_limit_sentences


def row(d, losses, linear, reachable=None):
    found = {
        "latent_dim": d,
        "final_test_loss": estimate(losses),
        "pca_test_loss": estimate([linear] * len(losses)),
    }
    if reachable:
        found["reachable_test_loss"] = estimate(reachable)
        found["reachable_pca_test_loss"] = estimate([linear] * len(losses))
    return found


def test_what_beats_pca_is_said_once():
    rows = [row(d, [0.1, 0.11, 0.12], 0.2) for d in (1, 5)]
    assert linear_limit_sentences(rows) == [
        "On all pixels the autoencoder's test loss is below PCA's at every latent size."
    ]


def test_what_does_not_beat_pca_is_named():
    rows = [
        row(1, [0.1, 0.11, 0.12], 0.2, reachable=[0.1, 0.1, 0.11]),
        row(5, [0.1, 0.3, 0.2], 0.2, reachable=[0.1, 0.1, 0.11]),
        row(10, [0.3, 0.31, 0.32], 0.2, reachable=[0.1, 0.1, 0.11]),
        row(20, [0.3], 0.2),
    ]
    assert linear_limit_sentences(rows) == [
        "On all pixels the autoencoder's test loss is below PCA's at d = 1; not told apart from "
        "PCA's at d = 5; above PCA's at d = 10, 20.",
        "On the reachable pixels the autoencoder's test loss is below PCA's at every latent size.",
    ]


def test_without_losses_nothing_is_said():
    assert linear_limit_sentences([]) == []
    assert linear_limit_sentences([{"latent_dim": 3, "final_test_loss": None}]) == []
