from flows.configuration.grid import classifiers
from flows.configuration.load import load_config
from flows.configuration.training_cost import training_cost, transfer_cost
from models.specs import ModelSpec


def test_work_grows_with_depth_size_epochs_and_labels():
    assert training_cost(ModelSpec.written(depth=2, latent_dim=100), 5) > training_cost(
        ModelSpec.written(depth=2, latent_dim=20), 5
    )
    assert training_cost(ModelSpec.written(depth=1), 5) < training_cost(
        ModelSpec.written(depth=2), 2
    )
    found = classifiers(load_config("mnist"), ("transfer",))
    work = {
        (one.spec.trained, one.spec.label_budget): transfer_cost(one.spec, one.architecture)
        for one in found
        if one.spec.scenario in {"head_only", "fine_tune"}
    }
    assert work["head_and_encoder", "all"] == max(work.values())
    assert work["head", "all"] < work["head_and_encoder", 100]
