import pytest

from tasks.analysis import published_results
from tasks.analysis.realism_gate import MEASURES
from tasks.analysis.tables import convergence_of, make_tables
from tasks.cache.entry import Entry

CONFIG = {"interpolation": {"latent_dims": [20]}}


def realism(walk, reconstructed, **sets):
    """An entry that measured walks, their ends, and other images: every measure is the same."""
    found = {"walk": walk, "reconstructed": reconstructed, **sets}
    images = {name: dict.fromkeys(MEASURES, values) for name, values in found.items()}
    result = {"latent_dim": 20, "seed": 1, "images": images}
    described = {"inputs": {}, "code": {}, "files": {}, "provenance": {}, "seconds": 1.0}
    return Entry(task="realism", key="abc", name="realism[x]", result=result, **described)


def row_of(entry):
    """Its row without the columns of measures other than the kernel distance."""
    (row,) = make_tables({"realism": [entry]}, CONFIG).interpolation.to_dict("records")
    others = MEASURES.keys() - {"kid"}
    return {name: value for name, value in row.items() if not any(one in name for one in others)}


def test_a_row_has_means_over_judges_their_spread_and_what_walking_adds():
    assert row_of(realism([0.5, 0.7, 0.9], [0.1, 0.2, 0.3], real=[0, 0.1, 0.2])) == {
        "latent_dim": 20,
        "seed": 1,
        "kid": pytest.approx(0.7),
        "kid_judge_sd": pytest.approx(0.2),
        "kid_beyond_ends": pytest.approx(0.5),
        "reconstructed_kid": pytest.approx(0.2),
        "real_kid": pytest.approx(0.1),
    }


def test_a_single_judge_has_no_spread_and_what_is_not_defined_has_no_mean():
    assert "kid_judge_sd" not in row_of(realism([0.5], [0.1]))
    row = row_of(realism([0.5, None], [0.1, 0.2]))
    assert row.keys() == {"latent_dim", "seed", "kid", "reconstructed_kid"}
    assert row["kid"] is None


def test_without_walks_no_measure_may_decide():
    found = make_tables({}, CONFIG)
    assert found.interpolation.empty
    assert set(found.interpolation_gate.values()) == {False}


def trained(**recipe):
    """An entry of an autoencoder with the reported recipe, except for these values."""
    result = {
        "recipe": {"seed": 0, "batch_size": 4} | published_results.TRAINING | recipe,
        "history": [{"test_loss": 0.1}, {"test_loss": 0.05}],
        "parameters": {"flops_per_image": 1000},
        "metrics": {"initial_test_loss": 0.2, "final_test_loss": 0.05},
    }
    described = {"inputs": {}, "code": {}, "files": {}, "provenance": {}, "seconds": 1.0}
    described["identity"] = {"depth": 2, "latent_dim": 20, "seed": 0}
    return Entry(task="train", key="abc", name="train[x]", result=result, **described)


def test_convergence_is_that_of_the_reported_recipe_alone():
    config = {"depths": [2], "depth_latent_dim": 20}
    own, reported = trained(learning_rate=0.01), trained()
    assert convergence_of({"train": [own], "reported_encoder": [reported]}, config, 8) == (
        convergence_of({"train": [reported]}, config, 8)
    )
    assert len(convergence_of({"train": [reported]}, config, 8)) == 1
