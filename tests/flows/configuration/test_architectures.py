"""Studies of other networks than the written study's: defaults, mistakes, identities."""

import json

import pytest

from flows.configuration.checks.networks import check_networks
from flows.configuration.grid import autoencoders, classifiers
from flows.configuration.load import load_config
from flows.configuration.networks_config import SHIPPED_OBJECTIVES
from flows.configuration.study_config import SECTIONS, StudyConfig
from models.objectives.registry import OBJECTIVES
from models.specs import Architecture, ConfigError
from tasks.cache.identity import task_name
from tasks.steps.train import train

STUDY = """\
name: mine
dataset: {name: digits}
latent_dims: [16, 64, 256]
seeds: [0, 1]
architectures:
  small: {encoder: conv, decoder: conv, options: {width: 8}}
  flat: {encoder: mlp, decoder: mlp}
"""
COLOUR = (3, 32, 32)


@pytest.fixture
def study(tmp_path):
    """Loads the study above with overrides."""
    path = tmp_path / "mine.yaml"
    path.write_text(STUDY, encoding="utf-8")

    def load(*overrides):
        return load_config(str(path), list(overrides))

    return load


def named(variants):
    return [(one.architecture, one.spec.latent_dim) for one in variants]


def trainings(config, sections=SECTIONS):
    return autoencoders(config, sections, classifiers(config, sections))


def one_architecture(**content):
    """An override that asks for a single architecture, called small."""
    described = {"encoder": "conv", "decoder": "conv"} | content
    return f"architectures={json.dumps({'small': described})}"


def test_defaults_follow_the_architectures_and_the_latent_sizes(study):
    config = study()
    assert config.depths == ()
    assert config.architecture == "small"
    assert config.depth_latent_dim == config.transfer.latent_dim == 64
    assert config.interpolation.latent_dims == config.latent_dims
    assert config.training.latent_activation == "linear"
    assert config.training.latent_bias is None
    assert config.transfer.depth is None
    assert set(config.transfer.scenarios) == {"head_only", "fine_tune", "from_scratch"}


def test_a_study_without_architectures_keeps_its_defaults():
    config = StudyConfig(name="mine")
    assert config.depths == (1, 2, 3)
    assert config.depth_latent_dim == config.transfer.latent_dim == 20
    assert config.interpolation.latent_dims == (20, 100)
    assert config.training.latent_activation == "relu"
    assert config.training.latent_bias == 1.0
    assert "ablation" in config.transfer.scenarios
    assert {one.architecture for one in config.latent_sweep} == {None}


def test_without_latent_sizes_the_defaults_are_those_of_the_written_study():
    config = load_config("digits", [one_architecture(), "latent_dims=[]"])
    assert config.latent_sweep == []
    assert config.interpolation.latent_dims
    assert trainings(config, ("latent_sweep",)) == []


def test_each_section_has_its_architectures(study):
    config = study()
    sizes = [16, 64, 256]
    assert named(config.latent_sweep) == [("small", size) for size in sizes]
    assert named(config.architecture_sweep) == [("small", 64), ("flat", 64)]
    assert config.depth_sweep == []
    assert named(config.interpolation_models) == [("small", size) for size in sizes]
    assert named(config.frozen_encoder_models) == [("small", size) for size in sizes]
    assert named([config.transfer_model]) == [("small", 64)]


def test_the_architecture_of_the_latent_sweep_walks_and_transfer_can_be_chosen(study):
    config = study("architecture=flat")
    used = [*config.latent_sweep, *config.interpolation_models, config.transfer_model]
    assert {one.architecture for one in used} == {"flat"}
    assert {one.architecture for one in config.architecture_sweep} == {"small", "flat"}


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("training.latent_activation=relu", ("training", "latent_activation", "relu")),
        ("training.latent_bias=0.5", ("training", "latent_bias", 0.5)),
        ("interpolation.latent_dims=[8]", ("interpolation", "latent_dims", (8,))),
        ("transfer.latent_dim=8", ("transfer", "latent_dim", 8)),
        ("transfer.scenarios=[ablation]", ("transfer", "scenarios", ("ablation",))),
        ("training.epochs=3", ("training", "epochs", 3)),
    ],
)
def test_an_override_is_kept_and_other_defaults_stay(study, override, value):
    section, key, expected = value
    found, plain = study(override), study()
    assert getattr(getattr(found, section), key) == expected
    same = plain.model_copy(
        update={section: getattr(plain, section).model_copy(update={key: expected})}
    )
    assert found == same


def test_depths_are_compared_too_where_they_are_listed(study):
    config = study("depths=[1, 3]", "depth_latent_dim=20")
    assert config.transfer.latent_dim == 20
    labels = [task_name("train", one.identity) for one in trainings(config, ("depth_sweep",))]
    assert labels[:4] == [
        "train[depth=1, latent_dim=20, seed=0]",
        "train[depth=3, latent_dim=20, seed=0]",
        "train[architecture=small, latent_dim=20, seed=0]",
        "train[architecture=flat, latent_dim=20, seed=0]",
    ]
    reported = [name for name in labels if "recipe=as_reported" in name]
    assert len(reported) == 4
    assert all("depth=" in name for name in reported)  # no printed study trained the others


def test_tasks_are_named_by_their_architecture(study):
    config = study("latent_dims=[32]")
    names = [task_name("train", one.identity) for one in trainings(config)]
    assert names == [
        f"train[architecture={name}, latent_dim=32, seed={seed}]"
        for seed in (0, 1)
        for name in ("small", "flat")
    ]
    transfers = [task_name("transfer", one.identity) for one in classifiers(config, SECTIONS)]
    assert len(set(transfers)) == len(transfers)
    assert all("architecture=small, latent_dim=32" in name for name in transfers)


def keys(config):
    """The key of the training of every autoencoder by name."""
    return {
        task_name("train", one.identity): train.key(
            {"dataset": "a dataset", "spec": one.spec, "recipe": one.recipe(config)}
        )
        for one in trainings(config)
    }


def test_the_name_of_an_architecture_is_in_no_key(study):
    two = "architectures={a: {encoder: conv, decoder: conv}, b: {encoder: conv, decoder: conv}}"
    config = study(two, "latent_dims=[32]", "seeds=[0]")
    first, second = (
        keys(config)[f"train[architecture={name}, latent_dim=32, seed=0]"] for name in "ab"
    )
    assert first == second
    assert len(config.all_architectures) == 1  # its reach is measured once
    wide = study(two.replace("decoder: conv}}", "decoder: conv, options: {width: 32}}}"))
    assert len(wide.all_architectures) == 2
    assert len(set(keys(wide).values())) == len(keys(wide))


def test_another_architecture_leaves_the_keys_of_the_others(study):
    before, after = keys(study()), keys(study("architectures.more={encoder: mlp, decoder: conv}"))
    assert before.items() <= after.items()
    assert {"more"} == {name.split("=")[1].split(",")[0] for name in after.keys() - before.keys()}


def test_written_networks_may_have_a_name():
    config = load_config(
        "digits",
        [one_architecture(encoder="written", decoder="written", options={"depth": 3})],
    )
    assert config.transfer_model.spec.architecture == Architecture(options={"depth": 3})
    assert config.transfer_model.identity["architecture"] == "small"
    assert check_networks(config, (1, 28, 28)) == []


@pytest.mark.parametrize("overrides", [(), ("depths=[2]", "architecture=flat", "seeds=[7]")])
def test_a_study_is_the_same_after_it_was_written_as_json(study, overrides):
    config = study(*overrides)
    written = json.loads(json.dumps(config.model_dump(mode="json")))
    assert StudyConfig.model_validate(written) == config


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("architecture=large", "architecture: there is no 'large'; choose one of small, flat"),
        ("transfer.depth=2", "transfer.depth is 2: it is for studies of depths, and null for"),
        ("architectures={}", "architectures: {} is not allowed: should list at least 1 value"),
        ("architectures=conv", "architectures: 'conv' is not allowed: "),
        (
            "architectures.small=conv",
            "architectures.small: 'conv' is not allowed: should hold keys",
        ),
        ("architectures={a: {encoder: conv}}", "architectures.a.decoder is missing"),
        (
            "architectures.small.widht=8",
            "architectures.small.widht: unknown key; allowed here: encoder, decoder, options",
        ),
        ("architectures.small.option={}", "architectures.small.option: unknown key; did you mean"),
        (
            one_architecture(encoder="cnn"),
            "there is no 'cnn'; choose one of written, conv, mlp, or",
        ),
        (one_architecture(encoder="written"), "the written study's networks come as a pair"),
        (
            one_architecture(encoder="written", decoder="written", options={"depth": 7}),
            "options.depth: 7 is not 1, 2 or 3",
        ),
        (one_architecture(options=8), "architectures.small.options: 8 is not allowed"),
    ],
)
def test_a_mistake_is_one_line(study, override, message):
    with pytest.raises(ConfigError) as caught:
        study(override)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_architecture_is_no_choice_without_architectures():
    with pytest.raises(ConfigError, match=r"^architecture: there is no 'a'; there are no archi"):
        load_config("digits", ["architecture=a"])


@pytest.mark.parametrize("name", ["", "a b", "1", "a/b", "_a", "a" * 41, "caf\xe9", "a\nb", "a=b"])
def test_a_name_that_no_file_or_metric_could_have_is_refused(study, name):
    architectures = {name: {"encoder": "conv", "decoder": "conv"}}
    with pytest.raises(ConfigError, match="a name starts with a letter and has letters, digits"):
        study(f"architectures={json.dumps(architectures)}")


@pytest.mark.parametrize("name", ["depth_2", "seed_0", "latent_005", "ci95_low"])
@pytest.mark.parametrize("key", ["architectures", "objectives"])
def test_a_name_that_means_something_in_metrics_is_refused(study, key, name):
    content = {
        "architectures": {"encoder": "conv", "decoder": "conv"},
        "objectives": {"name": "mse"},
    }
    with pytest.raises(ConfigError, match="it is a part of the names of metrics; choose another"):
        study(f"{key}={json.dumps({name: content[key]})}")


@pytest.mark.parametrize("name", ["depth", "a", "A.b-c_d", "mse", "a" * 40])
def test_other_names_are_allowed(study, name):
    config = study(f"architectures={json.dumps({name: {'encoder': 'mlp', 'decoder': 'mlp'}})}")
    assert config.architecture == name


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"options": {"layers": 0}}, "conv: layers: 0 is no whole number from 1 to 8"),
        ({"options": {"layers": 2.5}}, "conv: layers: 2.5 is no whole number from 1 to 8"),
        ({"options": {"layers": True}}, "conv: layers: True is no whole number from 1 to 8"),
        ({"options": {"width": "wide"}}, "conv: width: 'wide' is no whole number from 1 to"),
        ({"options": {"widht": 8}}, "unexpected option 'widht'"),
        ({"encoder": "mlp", "options": {"layers": 0, "width": 0}}, "mlp: width: 0 is no whole"),
    ],
)
def test_a_wrong_option_is_one_line_before_anything_is_trained(described, message):
    config = load_config("digits", [one_architecture(**described)])
    with pytest.raises(ConfigError) as caught:
        check_networks(config, (1, 28, 28))
    assert str(caught.value).startswith("architectures.small, d = ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("overrides", [[], ["depths=[]"], ["depths=[3]", "latent_dims=[]"]])
def test_written_depths_for_images_of_another_shape_name_what_to_use(overrides):
    config = load_config("digits", overrides)
    with pytest.raises(
        ConfigError, match="of the written study is for images of 1x28x28, not 3x"
    ) as caught:
        check_networks(config, COLOUR)
    assert "like {small: {encoder: conv, decoder: conv}}" in str(caught.value)
    assert check_networks(config, (1, 28, 28)) == []


def test_architectures_are_for_images_of_any_shape(study):
    assert check_networks(study(), COLOUR) == []
    with pytest.raises(ConfigError, match=r"divisible by 4, not 30x32; set dataset.size"):
        check_networks(study(), (3, 30, 32))
    with pytest.raises(ConfigError, match="of the written study is for images of 1x28x28"):
        check_networks(study("depths=[2]"), COLOUR)


@pytest.mark.parametrize(
    ("objectives", "expected"),
    [
        ("{a: {name: vea}}", "objectives.a: there is no 'vea'; choose one of mse, bce"),
        ("{mse: {name: l1}}", "objectives.mse: l1 has the name of another objective"),
        ("{a: {beta: 2}}", "objectives.a.name is missing"),
        ("{a: {name: losses.py}}", "losses.py needs the name of a function, like .*:Huber"),
    ],
)
def test_a_wrong_objective_is_refused_when_the_study_is_read(study, objectives, expected):
    with pytest.raises(ConfigError, match=expected):
        study(f"objectives={objectives}")


def test_shipped_objectives_are_those_that_can_be_made():
    assert set(SHIPPED_OBJECTIVES) == set(OBJECTIVES)
