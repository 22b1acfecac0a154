"""Which measures of realism tell real images from others, with judges and models that are real."""

import pytest
import torch

from models.fit import train_autoencoder, train_classifier
from models.specs import ModelSpec, TrainingRecipe, TransferSpec
from tasks.analysis.realism_gate import DESTROYED, gate
from tasks.cache.entry import Entry
from tasks.cache.results import check_result
from tasks.datasets.config import DatasetConfig
from tasks.datasets.dataset import Dataset, DatasetError
from tasks.datasets.readers import read_dataset
from tasks.steps import realism
from tasks.steps.realism import choose_images, image_sets, measure_walks

PAIRS = ((3, 5), (5, 8), (0, 4), (2, 9))


def numbered(n_train, n_test, labels=10):
    """Images whose grey level is their place, of all labels in turn."""

    def images(n):
        return torch.arange(n).remainder(256).byte().reshape(-1, 1, 1, 1).expand(n, 1, 28, 28)

    places = torch.arange(n_train) % labels, torch.arange(n_test) % labels
    return Dataset(images(n_train), images(n_test), *places)


def levels(images):
    return images[:, 0, 0, 0].tolist()


def test_ends_and_other_images_are_equally_many_of_every_label_and_never_the_same():
    chosen = choose_images(numbered(60, 60), ((3, 5), (5, 8)))
    assert {label: levels(images) for label, images in chosen.ends.items()} == {
        3: [3, 13, 23],
        5: [5, 15, 25],
        8: [8, 18, 28],
    }
    assert levels(chosen.others) == [33, 43, 53, 35, 45, 55, 38, 48, 58]
    assert levels(chosen.reference) == [n for label in (3, 5, 8) for n in range(label, 60, 10)]
    many = choose_images(numbered(20_000, 1_000), ((3, 5), (5, 8)))
    assert {len(images) for images in many.ends.values()} == {32}
    assert len(many.others) == 3 * 32
    assert len(many.reference) == 3 * 666


def test_a_label_without_images_is_named():
    with pytest.raises(DatasetError, match=r"no test image has the label 5.*dataset\.test_limit"):
        choose_images(numbered(60, 4), ((3, 5),))
    with pytest.raises(DatasetError, match=r"\[3, 5\].*has a training image.*dataset\.train_limit"):
        choose_images(numbered(4, 60), ((3, 5),))


def test_sets_hold_what_is_between_the_ends(monkeypatch):
    def mean_level(module, inputs):
        if module == "encoder":
            return inputs.float().mean((2, 3)) / 255
        return inputs.reshape(-1, 1, 1, 1).expand(-1, 1, 28, 28)

    class Coder:
        encoder, decoder = "encoder", "decoder"

    monkeypatch.setattr("models.inference.apply", mean_level)
    dataset = numbered(60, 40)
    pairs = ((3, 5), (5, 8))
    sets = image_sets(Coder(), choose_images(dataset, pairs), pairs, 5)
    expected = [3.5, 13.5, 4, 14, 4.5, 14.5, 5.75, 15.75, 6.5, 16.5, 7.25, 17.25]
    for name in ("walk", "pixel_mix"):
        assert (sets[name][:, 0, 0, 0] * 255).tolist() == pytest.approx(expected)
    assert (sets["reconstructed"][:, 0, 0, 0] * 255).tolist() == pytest.approx(
        [3, 13, 5, 15, 8, 18]
    )
    assert (sets["real"][:, 0, 0, 0] * 255).tolist() == pytest.approx([23, 33, 25, 35, 28, 38])
    assert set(sets) == {"walk", "reconstructed", "pixel_mix", "real", "blur", *DESTROYED}
    few = image_sets(Coder(), choose_images(numbered(60, 10), pairs), pairs, 5)
    assert set(few) == {"walk", "reconstructed", "pixel_mix"}  # each label has one test image


def trained_judges(dataset, n, **recipe):
    choices = {"scenario": "from_scratch", "trained": "head_and_encoder", **recipe}
    train = dataset.train_images, dataset.train_labels
    test = dataset.test_images, dataset.test_labels
    return [
        train_classifier(
            ModelSpec.written(depth=3), TransferSpec(**choices, seed=seed), None, train, test
        ).classifier
        for seed in range(n)
    ]


def measure(monkeypatch, dataset, latent_dim, judges, **recipe):
    """The result of the step for an autoencoder that is trained for it."""
    spec, recipe = ModelSpec.written(depth=2, latent_dim=latent_dim), TrainingRecipe(**recipe)
    model, _ = train_autoencoder(spec, recipe, dataset.train_images, dataset.test_images)
    monkeypatch.setattr(realism, "load_dataset", lambda entry: dataset)
    monkeypatch.setattr(realism, "load_classifier", lambda entry: entry)
    monkeypatch.setattr(realism, "load_autoencoder", lambda entry: model)
    described = {"inputs": {}, "code": {}, "files": {}, "provenance": {}, "seconds": 1.0}
    result = {"spec": spec.model_dump(), "recipe": recipe.model_dump(), "image_shape": [1, 28, 28]}
    entry = Entry(task="train", key="abc", name="train[x]", result=result, **described)
    found = measure_walks(None, None, entry, judges, PAIRS, 11)
    check_result("realism", found)
    return found


@pytest.mark.slow
def test_on_digits_the_kernel_distance_and_sharpness_find_what_others_miss(monkeypatch):
    dataset, _ = read_dataset(DatasetConfig(name="digits"))
    judges = trained_judges(dataset, 2, epochs=10, batch_size=32)
    found = measure(monkeypatch, dataset, 20, judges, epochs=10, batch_size=32)
    assert (found["latent_dim"], found["seed"]) == (20, 0)
    assert found["counts"]["walk"] == found["counts"]["reconstructed"] // 7 * 4 * 9
    images = found["images"]
    kid = torch.tensor([images[name]["kid"] for name in images])
    of = {name: kid[index] for index, name in enumerate(images)}
    assert (of["real"].abs() < 0.1).all()
    for name in ("reconstructed", "pixel_mix", "blur"):
        assert (of["real"] < of[name]).all()
        assert all((of[name] < of[destroyed]).all() for destroyed in DESTROYED)
    results = gate([images])
    assert results["sharpness_distance"].passes
    assert not results["confidence"].passes
    assert not results["nearest_distance"].passes
    assert found["metrics"]["walk_kid"] == pytest.approx(of["walk"].mean().item())


@pytest.mark.mnist
def test_on_mnist_three_measures_pass_the_gate(monkeypatch):
    dataset, _ = read_dataset(DatasetConfig(name="mnist"))
    part = dataset._replace(
        train_images=dataset.train_images[:30_000], train_labels=dataset.train_labels[:30_000]
    )
    judges = trained_judges(part, 3, epochs=2)
    rows = [measure(monkeypatch, part, size, judges, epochs=2)["images"] for size in (20, 100)]
    results = gate(rows)
    assert {name for name, one in results.items() if one.passes} == {
        "kid",
        "recall",
        "sharpness_distance",
    }
    confidence = torch.tensor([rows[0][name]["confidence"] for name in DESTROYED])
    assert (confidence > 0.9).any()
