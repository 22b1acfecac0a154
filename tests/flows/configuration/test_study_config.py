import pytest
from pydantic import BaseModel

from flows.configuration.interpolation_config import InterpolationConfig
from flows.configuration.load import load_config
from flows.configuration.runner_config import RunnerConfig
from flows.configuration.study_config import StudyConfig
from models.specs import ConfigError


def fields(model, prefix=""):
    """Every configuration key with the description of its field."""
    for name, field in model.model_fields.items():
        yield prefix + name, field.description
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields(field.annotation, f"{prefix}{name}.")


@pytest.mark.parametrize(("key", "description"), list(fields(StudyConfig)))
def test_every_key_is_described_in_sentences(key, description):
    assert description, key
    assert description.endswith("."), key


def test_mnist_is_the_study_as_specified():
    config = load_config("mnist")
    assert len({*config.latent_sweep, *config.depth_sweep}) == 8
    assert config.transfer_model in config.depth_sweep
    assert config.recipe(0).latent_bias == 1.0
    assert config.recipe(0).schedule == "one_cycle"
    reported = load_config("mnist-as-reported")
    assert reported.recipe(0) == reported.reported_recipe(0) == config.reported_recipe(0)
    assert reported.recipe(0).latent_bias is None
    assert (reported.training.learning_rate, reported.training.schedule) == (1e-3, "constant")


def test_the_size_of_a_stack_follows_the_device():
    def size(*overrides):
        return load_config("smoke", list(overrides)).runner.stack_size

    assert size("runner.device=cpu") == 1
    assert size("runner.device=cuda") == 64
    assert size("runner.device=cuda", "runner.stack=3") == 3


def test_a_runner_on_dask_uses_one_thread_and_stacks_no_seeds():
    dask = RunnerConfig(kind="dask", address="tcp://host:8786", device="cuda", stack=8)
    assert (dask.threads_per_task, dask.stack_size) == (1, 1)
    assert RunnerConfig(width=2, threads=3).threads_per_task == 3


def test_models_have_the_depths_and_sizes_of_their_section():
    config = load_config("mnist", ["latent_dims=[2,7]", "depths=[1,3]", "transfer.latent_dims=[4]"])
    shapes = {
        name: [(model.spec.depth, model.spec.latent_dim) for model in getattr(config, name)]
        for name in ("latent_sweep", "depth_sweep", "interpolation_models", "frozen_encoder_models")
    }
    assert shapes == {
        "latent_sweep": [(2, 2), (2, 7)],
        "depth_sweep": [(1, 20), (3, 20)],
        "interpolation_models": [(2, 20), (2, 100)],
        "frozen_encoder_models": [(2, 4)],
    }
    assert load_config("mnist", ["interpolation.pairs=[]"]).interpolation_models == []


@pytest.mark.parametrize(
    ("pairs", "classes", "expected"),
    [
        (None, "0123456789", ((3, 5), (5, 8), (0, 4), (2, 9))),
        (None, "abcdefghij", ((3, 5), (5, 8), (0, 4), (2, 9))),
        (None, "358", ((0, 1), (1, 2))),
        (None, "01234567", ((0, 1), (1, 2), (2, 3), (3, 4))),
        (None, ["1", "2", "3", "4", "5", "8"], ((0, 1), (1, 2), (2, 3), (3, 4))),
        ([[1, 7]], "0123456789", ((1, 7),)),
        ([[1, 7]], "123456789", ((0, 6),)),
        ([["1", 7]], "123456789", ((0, 6),)),
        ([[1, 10]], ["00", "01", "10"], ((1, 2),)),
        ([["caf\xe9", "e\u0301te\u0301"]], ["caf\xe9", "dog", "\xe9t\xe9"], ((0, 2),)),
        ([["cat", "emu"], ["cat", 1]], ["cat", "dog", "emu"], ((0, 2), (0, 1))),
    ],
)
def test_pairs_are_of_classes_that_the_dataset_has(pairs, classes, expected):
    config = InterpolationConfig(pairs=pairs)
    assert config.label_pairs(list(classes), range(len(classes))) == expected


@pytest.mark.parametrize("pairs", [[[3, 3]], [[3, 5], ["3", "5"]], [["b", 1]]])
def test_each_pair_is_of_two_classes_and_listed_once(pairs):
    classes = list("abc") if "b" in pairs[0] else [str(digit) for digit in range(10)]
    with pytest.raises(ConfigError, match=r"names one class twice, or a pair that is listed befo"):
        InterpolationConfig(pairs=pairs).label_pairs(classes, range(len(classes)))


def test_a_number_that_may_mean_two_classes_is_refused():
    config = InterpolationConfig(pairs=[[7, 8]])
    with pytest.raises(ConfigError, match=r"pairs: 7 may mean 007, 07; write it as the name of"):
        config.label_pairs(["007", "07", "8"], range(3))
    assert config.label_pairs(["007", "7", "8"], range(3)) == ((1, 2),)


def test_pairs_are_of_classes_with_images_in_both_parts():
    config, classes = InterpolationConfig(), [str(digit) for digit in range(10)]
    tested = [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert config.label_pairs(classes, tested) == ((0, 1), (1, 2), (2, 3), (3, 4))
    with pytest.raises(ConfigError, match=r"pairs: class 5 has no images in one part of the data"):
        InterpolationConfig(pairs=[[3, 5]]).label_pairs(classes, tested)


@pytest.mark.parametrize(
    ("wanted", "classes"), [(10, "0123456789"), (0, "123"), ("3", "abc"), (3, "abc"), ("d", "abc")]
)
def test_a_pair_with_a_class_that_the_dataset_lacks_is_refused(wanted, classes):
    config = InterpolationConfig(pairs=[[wanted, classes[-1]]])
    said = f"interpolation.pairs: the dataset has no class {wanted!r}; choose from {classes[0]}, "
    with pytest.raises(ConfigError) as error:
        config.label_pairs(list(classes), range(len(classes)))
    assert str(error.value).startswith(said)


MANY = {
    "seeds": (f"seeds={list(range(4000))}", "8 models, 53 classifiers, 8 walks"),
    "models": (f"latent_dims={list(range(1, 785))}", "786 models, 831 classifiers, 8 walks"),
    "pairs": (f"interpolation.pairs={[[0, n] for n in range(900)]}", "1,800 walks"),
}


@pytest.mark.parametrize(("override", "parts"), MANY.values(), ids=MANY)
def test_a_study_too_large_to_plan_is_refused_at_once(override, parts):
    with pytest.raises(ConfigError, match=f"^seeds: each of .*{parts}.*together more than 100,000"):
        load_config("mnist", [f"seeds={list(range(80))}", override])


def test_a_thousand_seeds_of_the_written_study_are_not_too_many():
    assert len(load_config("mnist", [f"seeds={list(range(1000))}"]).seeds) == 1000
