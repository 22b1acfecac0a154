"""The losses of real small autoencoders, over all pixels and over those that they reach."""

import pytest
import torch
from safetensors.torch import save_file

from models.networks.autoencoder import Autoencoder
from models.networks.initialization import initialize
from models.specs import WRITTEN_SHAPE, ModelSpec
from tasks.artifacts.autoencoder import WEIGHTS
from tasks.artifacts.dataset import DATASET_FILE
from tasks.steps.correlate import correlate_latents
from tasks.steps.evaluate import evaluate_model
from tasks.steps.pca import fit_linear_limit
from tasks.steps.reach import measure_reach

COPY = {"dirs_exist_ok": True}
ARCHITECTURES = tuple(ModelSpec.written(depth=depth).architecture for depth in (1, 2, 3))
SHAPES = {"train": (40, 1, 28, 28), "test": (20, 1, 28, 28)}


def images(part):
    generator = torch.Generator().manual_seed(len(part))
    return torch.randint(0, 256, SHAPES[part], generator=generator).to(torch.uint8)


def dataset_entry(publish):
    tensors = {f"{part}_images": images(part) for part in SHAPES}
    tensors |= {f"{part}_labels": torch.arange(len(images(part))) % 4 for part in SHAPES}
    result = {"classes": ["a", "b", "c", "d"]}
    return publish("data", {}, result, lambda folder: save_file(tensors, folder / DATASET_FILE))


def model_entry(publish, depth):
    spec = ModelSpec.written(depth=depth, latent_dim=3)
    model = Autoencoder(spec, WRITTEN_SHAPE)
    initialize(model, 1, latent_bias=1.0)
    return publish(
        "train",
        {"depth": depth},
        {"spec": spec.model_dump(), "image_shape": [1, 28, 28]},
        lambda folder: save_file(model.state_dict(), folder / WEIGHTS),
    )


def test_losses_over_all_and_over_reachable_pixels_belong_together(computed):
    dataset = dataset_entry(computed.publish)
    pca = computed("pca", fit_linear_limit, dataset=dataset)
    reach = computed("reach", measure_reach, dataset=dataset, pca=pca, architectures=ARCHITECTURES)
    found = {}
    for depth in (1, 2, 3):
        model = model_entry(computed.publish, depth)
        entry = computed(
            "evaluate", evaluate_model, dataset=dataset, model=model, pca=pca, reach=reach
        )
        found[depth] = entry.result["metrics"]
        correlated = computed(
            "correlate", correlate_latents, dataset=dataset, model=model, evaluated=entry
        )
        assert 0 <= correlated.result["metrics"]["effective_rank_share"] <= 1
    for depth in (1, 2):
        parts = found[depth]["reachable_test_loss"] + found[depth]["unreachable_test_loss"]
        assert parts == pytest.approx(found[depth]["final_test_loss"])
        floor = reach.result["networks"][depth - 1]["floor"]
        assert found[depth]["unreachable_test_loss"] >= 0.9 * floor > 0  # noise: no constant fits
    assert found[3]["unreachable_test_loss"] == 0
    assert found[3]["reachable_test_loss"] < 0.9 * found[3]["final_test_loss"]
    share = reach.result["reached_pixels"] / 784
    assert found[1]["reachable_pca_test_loss"] == pytest.approx(
        share * found[1]["pca_test_loss"], rel=0.1
    )
    assert reach.result["networks"][2]["place"] == "none"
