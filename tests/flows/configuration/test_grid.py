"""Which autoencoders and classifiers a study trains."""

from collections import Counter
from itertools import product

from flows.configuration.grid import autoencoders, classifiers, judges
from flows.configuration.load import load_config
from tasks.cache.identity import identity_text
from tasks.tracking.descriptions import run_name


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
    assert classifying == []
    empty = ["interpolation.pairs=[]", "transfer.scenarios=[]"]
    assert trained(("interpolation", "transfer"), *empty) == ([], [])


def test_latent_sizes_have_the_reported_recipe_where_their_losses_were_printed():
    models, _ = trained(("latent_sweep",))
    sizes = [1, 5, 10, 20, 50, 100]
    assert [one.spec.latent_dim for one in models if one.as_reported] == sizes
    assert [one.spec.latent_dim for one in models if not one.as_reported] == sizes
    for other in ("dataset.name=digits", "training.schedule=constant"):
        own = ["training.learning_rate=0.001", "training.latent_bias=null"]
        found, _ = trained(("latent_sweep",), other, *own)
        assert [one.as_reported for one in found] == [False] * len(sizes)


def test_judges_are_classifiers_of_the_transfer_section_as_far_as_there_are():
    everything = ("transfer", "interpolation")
    _, found = trained(("transfer",), "seeds=[7,1,0]")
    judging = judges(load_config("mnist", ["seeds=[7,1,0]"]), everything)
    assert set(judging) <= set(found)
    assert {(one.spec.scenario, one.spec.label_budget) for one in judging} == {
        ("from_scratch", "all")
    }
    more = load_config("mnist", ["seeds=[7,1]", "interpolation.judges=5"])
    assert [one.spec.seed for one in judges(more, everything)] == [7, 1, 0, 2, 3]
    fewer = load_config("mnist", ["seeds=[7,1]", "interpolation.judges=1"])
    assert [one.spec.seed for one in judges(fewer, everything)] == [7]
    assert judges(more, ("transfer",)) == []
    assert judges(load_config("mnist", ["interpolation.pairs=[]"]), everything) == []


def test_scenarios_have_every_budget_and_the_rest_the_largest():
    _, found = trained(("transfer",))
    counted = Counter((one.spec.scenario, one.spec.label_budget) for one in found)
    assert counted["head_only", 100] == 1
    assert counted["head_only", "all"] == 7  # the study's encoder, and six latent sizes
    assert counted["as_reported", "all"] == 2
    assert counted["ablation", "all"] == 30 + 4
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
    axes = ("output", "optimizer", "learning_rate", "trained", "labels")
    cells = Counter(tuple(getattr(one.spec, axis) for axis in axes) for one in found)
    choices = [["logits", "softmax"], ["adam", "sgd"]]
    rates, parts = [1e-4, 1e-3, 1e-2, 1e-1], ["head", "head_and_encoder"]
    aligned = Counter(product(*choices, rates, parts, ["aligned"]))
    assert cells == aligned + Counter(product(*choices, [1e-3], ["head"], ["shuffled"]))
    assert len({one.encoder for one in found}) == 1
    assert found[0].encoder.as_reported
    assert {one.spec.epochs for one in found} == {2}
    as_reported = [one.spec for one in found if one.spec.scenario == "as_reported"]
    assert {one.trained for one in as_reported} == {"head", "head_and_encoder"}
    assert len(as_reported) == 2
    assert {(one.output, one.optimizer) for one in as_reported} == {("softmax", "sgd")}
    assert {(one.learning_rate, one.labels) for one in as_reported} == {(1e-3, "aligned")}


def test_learning_rates_of_the_ablation_can_be_chosen():
    chosen = ["transfer.scenarios=[ablation]", "transfer.ablation_learning_rates=[0.5]"]
    _, found = trained(("transfer",), *chosen)
    assert Counter((one.spec.learning_rate, one.spec.labels) for one in found) == {
        (0.5, "aligned"): 8,
        (1e-3, "shuffled"): 4,
    }
    assert {one.spec.scenario for one in found} == {"ablation"}


def test_latent_sizes_of_frozen_features_can_be_chosen():
    encoders, found = trained(
        ("transfer",), "transfer.latent_dims=[3]", "transfer.scenarios=[head_only]"
    )
    assert [one.spec.latent_dim for one in encoders] == [20, 3]
    assert sum(one.architecture.latent_dim == 3 for one in found) == 1
    encoders, _ = trained(("transfer",), "transfer.latent_dims=[]")
    assert {one.variant for one in encoders} == {load_config("mnist").transfer_model}


def test_identities_differ_between_classifiers():
    config = load_config("mnist", ["seeds=[0,1]"])
    everything = ("transfer", "interpolation")
    found = {*classifiers(config, everything), *judges(config, everything)}
    assert len({identity_text(one.identity) for one in found}) == len(found)
    assert len({run_name(one.identity, "") for one in found}) == len(found)
