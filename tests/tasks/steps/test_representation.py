"""The steps of the section representation on small datasets of every kind."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.measures.latents import effective_rank
from models.networks.autoencoder import Autoencoder
from models.networks.initialization import initialize
from models.objectives.squared_error import mean_square
from models.specs import Architecture, ModelSpec, TrainingRecipe
from tasks.artifacts.autoencoder import WEIGHTS
from tasks.artifacts.dataset import DATASET_FILE
from tasks.artifacts.exported_latents import find_latents, write_latents
from tasks.artifacts.latent_maps import LONGEST_SIDE, load_maps
from tasks.artifacts.latents import load_latents
from tasks.steps.representation import probe as probe_step
from tasks.steps.representation.encode import encode_images
from tasks.steps.representation.latent_map import map_latents
from tasks.steps.representation.own_measure import measure_by_own_code
from tasks.steps.representation.probe import PROBES, measure_representation
from tasks.steps.representation.probe_controls import probe_untrained_features
from tasks.steps.representation.similarity import compare_latents
from tasks.steps.representation.traverse import draw_traversal

RECIPE = TrainingRecipe(seed=3, latent_bias=None)
SIZES = {"probe_images": 50, "neighbours": 5}
GREY, COLOUR, LARGE = (1, 28, 28), (3, 16, 16), (3, 128, 128)


def dataset_entry(publish, shape=GREY, n_train=60, n_test=40, classes=4):
    """Images of noise; each class has a bright row of its own."""
    tensors, stream = {}, torch.Generator().manual_seed(0)
    for part, n in (("train", n_train), ("test", n_test)):
        images = torch.randint(0, 40, (n, *shape), generator=stream)
        if classes:
            labels = torch.arange(n) % classes
            images[torch.arange(n), :, labels] += 200
            tensors[f"{part}_labels"] = labels
        tensors[f"{part}_images"] = images.byte()
    names = [f"class {label}" for label in range(classes)]
    return publish(
        "data", {}, {"classes": names}, lambda folder: save_file(tensors, folder / DATASET_FILE)
    )


def model_entry(publish, shape=GREY, latent_dim=3, change=None, seed=RECIPE.seed, latent_outputs=1):
    architecture = Architecture(encoder="conv", decoder="conv", options={"width": 4, "layers": 2})
    spec = ModelSpec(
        architecture=architecture,
        latent_dim=latent_dim,
        latent_activation="linear",
        latent_outputs=latent_outputs,
    )
    model = Autoencoder(spec, shape)
    initialize(model, seed)
    if change is not None:
        change(model)
    result = {
        "spec": spec.model_dump(mode="json"),
        "image_shape": list(shape),
        "recipe": RECIPE.model_copy(update={"seed": seed}).model_dump(mode="json"),
    }
    identity = {"architecture": "small", "latent_dim": latent_dim, "seed": seed}
    state = model.state_dict()
    return publish("train", identity, result, lambda folder: save_file(state, folder / WEIGHTS))


def measured(computed, dataset, model, controls, **changes):
    latents = computed("encode", encode_images, dataset=dataset, model=model)
    found = computed(
        "probe",
        measure_representation,
        dataset=dataset,
        model=model,
        latents=latents,
        controls=controls,
        **SIZES | {"ablation_images": 20} | changes,
    )
    return latents, found


def controls_of(computed, dataset, size):
    return {
        name: computed(
            "probe_controls", probe_untrained_features, dataset=dataset, components=k, **SIZES
        )
        for name, k in (("pixel", None), ("pca", size))
    }


def whole_section(computed, dataset, model):
    """All steps but those of controls; the metrics of the probe."""
    latents, found = measured(computed, dataset, model, {})
    drawn = computed(
        "traverse", draw_traversal, model=model, latents=latents, probed=found, steps=3
    )
    assert drawn.path("traversal.png").is_file()
    computed("latent_map", map_latents, dataset=dataset, latents=[latents], images=10, seed=0)
    same = computed("similarity", compare_latents, dataset=dataset, latents=[latents, latents])
    return found.result["metrics"], same.result


def test_probes_find_labels_beside_their_controls(computed):
    dataset, model = dataset_entry(computed.publish), model_entry(computed.publish)
    latents, found = measured(computed, dataset, model, controls_of(computed, dataset, 3))
    metrics = found.result["metrics"]
    assert metrics["pixel_linear_probe_accuracy"] == metrics["pca_linear_probe_accuracy"] == 1
    assert metrics["pixel_knn_accuracy"] == metrics["pca_knn_accuracy"] == 1
    assert metrics["linear_probe_accuracy"] > 0.8  # whatever an untrained encoder keeps
    assert metrics["shuffled_linear_probe_accuracy"] < 0.6
    assert metrics["shuffled_knn_accuracy"] < 0.6
    # the model has its initial weights, so both encoders are one
    assert metrics["untrained_linear_probe_accuracy"] == metrics["linear_probe_accuracy"]
    assert metrics["untrained_knn_accuracy"] == metrics["knn_accuracy"]
    assert metrics["effective_rank"] == effective_rank(load_latents(latents).test)
    again = measured(computed, dataset, model, controls_of(computed, dataset, 3))[1]
    assert again.fingerprint == found.fingerprint


def test_the_untrained_encoder_is_that_of_the_seed(computed):
    moved = model_entry(computed.publish, change=lambda model: initialize(model, 99))
    start = model_entry(computed.publish)
    state = load_file(start.path(WEIGHTS))
    for name, value in probe_step._untrained_encoder(moved).state_dict().items():
        assert torch.equal(value, state[f"encoder.{name}"])


def test_latents_are_those_of_the_images_in_order(computed, tmp_path):
    import numpy as np
    import pandas as pd

    dataset, model = dataset_entry(computed.publish), model_entry(computed.publish)
    latents = computed("encode", encode_images, dataset=dataset, model=model)
    found = load_latents(latents)
    assert found.train.shape == (60, 3)
    assert found.test_labels.tolist() == [n % 4 for n in range(40)]
    write_latents(find_latents(model.fingerprint), tmp_path)
    arrays, table = np.load(tmp_path / "latents.npz"), pd.read_parquet(tmp_path / "latents.parquet")
    assert np.array_equal(arrays["test"], found.test)
    assert list(table) == ["part", "label", "z0", "z1", "z2"]
    assert np.array_equal(table[table.part == "train"].z1, found.train[:, 1])


@pytest.mark.parametrize(
    ("kind", "shape", "size"),
    [
        ({}, COLOUR, 3),
        ({}, GREY, 1),
        ({"classes": 0}, GREY, 3),
        ({"classes": 1}, GREY, 3),
        ({"n_test": 3}, GREY, 3),
        ({"n_train": 4, "n_test": 3}, LARGE, 2),
    ],
    ids=["colour", "one unit", "no labels", "one class", "3 test images", "large"],
)
def test_datasets_of_every_kind_have_honest_numbers(computed, kind, shape, size):
    dataset = dataset_entry(computed.publish, shape, **kind)
    metrics, same = whole_section(computed, dataset, model_entry(computed.publish, shape, size))
    assert all(metrics[name] is None for name in PROBES)
    assert 0 < metrics["psnr"] < 100
    assert -1 <= metrics["ssim"] <= 1
    assert same["cka"][0][:2] == [1, 1]
    if kind.get("n_test") == 3:
        assert metrics["intrinsic_dimension"] is None


def test_few_images_of_many_classes_are_probed(computed):
    dataset = dataset_entry(computed.publish, n_train=5, n_test=3)
    model = model_entry(computed.publish, latent_dim=9)
    metrics = measured(computed, dataset, model, controls_of(computed, dataset, 9))[1].result
    assert all(0 <= metrics["metrics"][name] <= 1 for name in PROBES)


def test_dead_latents_have_no_numbers_where_there_are_none(computed):
    def kill(model):
        for layer in model.encoder.modules():
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.zeros_(layer.weight)

    dataset, dead = dataset_entry(computed.publish), model_entry(computed.publish, change=kill)
    metrics, same = whole_section(computed, dataset, dead)
    assert metrics["effective_rank"] == metrics["largest_ablation"] == 0
    assert metrics["intrinsic_dimension"] is None
    assert same["cka"][0] == [None] * 3
    assert same["floor"] is None
    probed = measured(computed, dataset, dead, controls_of(computed, dataset, 3))[1].result
    assert probed["metrics"]["linear_probe_accuracy"] == 0.25


def test_latents_of_a_variational_autoencoder_are_the_means(computed):
    dataset = dataset_entry(computed.publish)
    model = model_entry(computed.publish, latent_outputs=2)
    metrics, _ = whole_section(computed, dataset, model)
    assert 1 <= metrics["effective_rank"] <= 3


def test_reconstructions_and_ablations_are_those_of_the_test_images(computed):
    dataset, model = dataset_entry(computed.publish), model_entry(computed.publish)
    _, found = measured(computed, dataset, model, {}, ablation_images=1_000)
    images = load_file(dataset.path(DATASET_FILE))["test_images"] / 255
    from tasks.artifacts.autoencoder import load_autoencoder

    autoencoder = load_autoencoder(model)
    with torch.no_grad():
        rebuilt = autoencoder(images)
        latents = autoencoder.encoder(images)
        latents[:, 1] = latents[:, 1].mean()
        changed = autoencoder.decoder(latents)
    rise = mean_square(changed, images) - mean_square(rebuilt, images)
    assert found.result["ablation"][1] == pytest.approx(float(rise), abs=1e-6)
    psnr = -10 * (rebuilt - images).square().mean((1, 2, 3)).log10()
    assert found.result["metrics"]["psnr"] == pytest.approx(float(psnr.mean()), rel=1e-4)


def test_latents_of_other_images_are_not_compared(computed):
    first, second = (dataset_entry(computed.publish, n_test=n) for n in (40, 30))
    model = model_entry(computed.publish)
    latents = [computed("encode", encode_images, dataset=d, model=model) for d in (first, second)]
    with pytest.raises(AssertionError, match="of one dataset"):
        compare_latents(None, first, latents)


def test_maps_have_the_chosen_images_with_small_pictures(computed):
    dataset = dataset_entry(computed.publish, LARGE, n_train=4, n_test=12)
    model = model_entry(computed.publish, LARGE, 2)
    latents = computed("encode", encode_images, dataset=dataset, model=model)
    inputs = {"dataset": dataset, "latents": [latents], "seed": 0}
    found = load_maps(computed("latent_map", map_latents, images=10, **inputs))
    assert set(found.maps) == {"0 PCA", "0 t-SNE"}
    assert found.pictures.shape == (10, 3, LONGEST_SIDE, LONGEST_SIDE)
    assert found.labels.tolist() == [place % 4 for place in found.places.tolist()]
    whole = load_file(dataset.path(DATASET_FILE))["test_images"][found.places]
    assert found.pictures.float().mean() == pytest.approx(float(whole.float().mean()), abs=1)


def test_a_users_measure_gets_what_the_model_makes(computed, monkeypatch):
    seen = {}

    def measure(digest, images, rebuilt, latents, labels, seed):
        seen.update(images=images, rebuilt=rebuilt, latents=latents, labels=labels, seed=seed)
        return 0.5

    monkeypatch.setattr("tasks.steps.representation.own_measure.call_measure", measure)
    dataset, model = dataset_entry(computed.publish), model_entry(computed.publish)
    latents = computed("encode", encode_images, dataset=dataset, model=model)
    inputs = {"dataset": dataset, "model": model, "latents": latents}
    found = computed("own_measure", measure_by_own_code, **inputs, name="mine", measure="sha256:1")
    assert found.result == {"metrics": {"mine": 0.5}}
    assert seen["images"].shape == seen["rebuilt"].shape == (40, 1, 28, 28)
    assert seen["latents"].shape == (40, 3)
    assert seen["seed"] == RECIPE.seed
