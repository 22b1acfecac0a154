"""Which autoencoders and classifiers a study trains."""

from collections import Counter

from flows.configuration.grid import autoencoders, classifiers, recognition_classifier
from flows.configuration.load import load_config
from tasks.cache.identity import identity_text


def trained(sections, *overrides, n_train=60_000):
    config = load_config("mnist", list(overrides))
    found = classifiers(config, sections, n_train)
    return autoencoders(config, sections, found), found


def test_sections_need_only_their_models():
    depths, none = trained(("depth_sweep",))
    assert {one.spec.depth for one in depths} == {1, 2, 3}
    assert none == []
    interpolated, classifying = trained(("interpolation",), "seeds=[4,5]")
    assert [(one.spec.latent_dim, one.seed) for one in interpolated] == [
        *((20, 4), (100, 4)),
        *((20, 5), (100, 5)),
    ]
    assert classifying == [recognition_classifier(load_config("mnist", ["seeds=[4,5]"]))]
    empty = ["interpolation.pairs=[]", "transfer.scenarios=[]"]
    assert trained(("interpolation", "transfer"), *empty) == ([], [])


def test_the_recognition_classifier_is_one_of_the_transfer_section():
    _, found = trained(("transfer",))
    assert recognition_classifier(load_config("mnist")) in found


def test_scenarios_have_every_budget_and_the_rest_the_largest():
    _, found = trained(("transfer",))
    counted = Counter((one.spec.scenario, one.spec.label_budget) for one in found)
    assert counted["head_only", 100] == 1
    assert counted["head_only", "all"] == 7  # the study's encoder, and six latent sizes
    assert counted["as_reported", "all"] == 2
    assert counted["ablation", "all"] == 6
    assert "ablation" not in {scenario for scenario, budget in counted if budget != "all"}


def test_budgets_of_all_images_and_more_are_one():
    budgets = "transfer.label_budgets=[100, 60000, 70000, all]"
    assert trained(("transfer",), budgets) == trained(
        ("transfer",), "transfer.label_budgets=[100, all]"
    )
    _, found = trained(("interpolation", "transfer"), "transfer.label_budgets=[70000]")
    assert {one.spec.label_budget for one in found} == {"all"}
    _, unknown = trained(("transfer",), budgets, n_train=None)
    assert {one.spec.label_budget for one in unknown} == {100, 60000, 70000, "all"}


def test_the_ablation_is_every_combination_on_one_encoder():
    _, found = trained(("transfer",), "transfer.scenarios=[ablation]")
    cells = {(one.spec.output, one.spec.optimizer, one.spec.trained) for one in found}
    assert len(found) == len(cells) == 8
    assert len({one.encoder for one in found}) == 1
    assert found[0].encoder.as_reported
    assert {one.spec.epochs for one in found} == {2}
    as_reported = [one.spec for one in found if one.spec.scenario == "as_reported"]
    assert {(one.output, one.optimizer) for one in as_reported} == {("softmax", "sgd")}


def test_latent_sizes_of_frozen_features_can_be_chosen():
    encoders, found = trained(
        ("transfer",), "transfer.latent_dims=[3]", "transfer.scenarios=[head_only]"
    )
    assert [one.spec.latent_dim for one in encoders] == [20, 3]
    assert sum(one.architecture.latent_dim == 3 for one in found) == 1
    encoders, _ = trained(("transfer",), "transfer.latent_dims=[]")
    assert {one.spec for one in encoders} == {load_config("mnist").transfer_model}


def test_identities_differ_between_classifiers():
    config = load_config("mnist", ["seeds=[0,1]"])
    found = classifiers(config, ("transfer", "interpolation"))
    assert len({identity_text(one.identity) for one in found}) == len(found)
