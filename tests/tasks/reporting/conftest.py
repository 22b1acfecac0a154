"""A small study in the store: real weights and images, made measurements."""

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from models.networks.autoencoder import Autoencoder
from models.specs import WRITTEN_SHAPE, ModelSpec
from tasks.analysis import published_results
from tasks.artifacts.autoencoder import WEIGHTS
from tasks.artifacts.dataset import DATASET_FILE
from tasks.artifacts.reach import ERRORS_FILE
from tasks.cache import store
from tasks.cache.entry import Entry, files_in
from tasks.cache.identity import task_name

CONFIG = {
    "name": "made",
    "runner": "local",
    "sections": ["latent_sweep", "depth_sweep", "interpolation", "decorrelation", "transfer"],
    "seeds": [0, 1],
    "latent_dims": [2, 3],
    "depths": [1, 2],
    "depth_latent_dim": 2,
    "dataset": {"name": "made"},
    "training": {"latent_activation": "relu"},
    "margins": {"relative": 2.0, "accuracy": 0.5},
    "interpolation": {"latent_dims": [2, 3]},
    "transfer": {
        "scenarios": ["head_only", "fine_tune"],
        "label_budgets": [4, "all"],
        "depth": 2,
        "latent_dim": 3,
        "latent_dims": None,
        "reported_epochs": 1,
        "minimum_updates": 1,
    },
}
SHAPES = [(1, 2), (2, 2), (2, 3)]  # depth and latent size of the autoencoders
N_TRAIN, N_TEST = 8, 4
EDGE = {
    "unknown": "",
    "pixels": 784,
    "unseen_pixels": 159,
    "unreachable_pixels": 159,
    "place": "rows 25 to 27 and columns 25 to 27",
    "variance_share": 0.2,
}
REACH = {
    "networks": [
        {**EDGE, "constants": 1, "floor": 0.0125},
        {**EDGE, "constants": 29, "floor": 0.0075},
    ],
    "reached_pixels": 625,
    "pca_test_loss": [0.25, 0.2],
}
PROVENANCE = {
    "processor": "a processor",
    "system": "a system",
    "commit": "c0ffee",
    "python": "3.11",
    "versions": {"torch": "2"},
}


class Publisher:
    """Publishes entries with keys 1, 2, ... in hex."""

    def __init__(self):
        self.count = 0

    def __call__(self, task, identity, result, write=lambda folder: None, **inputs):
        self.count += 1
        key = f"{self.count:08x}"
        with store.workspace(task, key) as folder:
            write(folder)
            entry = Entry(
                task=task,
                key=key,
                name=task_name(task, identity),
                identity=identity,
                inputs=inputs,
                code={},
                result=result,
                files=files_in(folder),
                seconds=1.5,
                provenance=PROVENANCE,
            )
            store.publish(folder, entry)
        return entry


def write_dataset(folder):
    images = torch.arange((N_TRAIN + N_TEST) * 28 * 28).remainder(256).byte().reshape(-1, 1, 28, 28)
    labels = torch.arange(N_TRAIN + N_TEST).remainder(2)
    tensors = {
        "train_images": images[:N_TRAIN].clone(),
        "test_images": images[N_TRAIN:].clone(),
        "train_labels": labels[:N_TRAIN].clone(),
        "test_labels": labels[N_TRAIN:].clone(),
    }
    save_file(tensors, folder / DATASET_FILE)


def write_picture(*names):
    def write(folder):
        for name in names:
            Image.new("L", (2, 2)).save(folder / name)

    return write


def add_model(publish, groups, depth, latent_dim, seed):
    """A trained autoencoder, evaluated; larger ones are better, seeds differ by a little."""
    spec = ModelSpec.written(depth=depth, latent_dim=latent_dim)
    loss = 0.5 / (depth + latent_dim) * (1 + 0.001 * seed * latent_dim)
    epochs = [
        {"epoch": n, "train_loss": loss * (3 - n), "test_loss": loss * (3 - n)} for n in (1, 2)
    ]
    identity = {"depth": depth, "latent_dim": latent_dim, "seed": seed}
    torch.manual_seed(seed)
    weights = Autoencoder(spec, WRITTEN_SHAPE).state_dict()
    result = {
        "spec": spec.model_dump(mode="json"),
        "recipe": {"seed": seed, "batch_size": 4} | published_results.TRAINING,
        "image_shape": [1, 28, 28],
        "history": epochs,
        "parameters": {"n_parameters": 100 * latent_dim - depth, "flops_per_image": 1_000},
        "metrics": {
            "initial_test_loss": 4 * loss,
            "final_train_loss": loss,
            "final_test_loss": loss,
        },
    }
    model = publish("train", identity, result, lambda folder: save_file(weights, folder / WEIGHTS))
    groups["train"].append(model)
    out_of_reach = loss / 10 if depth < 3 else 0.0
    measured = {
        "reachable_test_loss": loss - out_of_reach,
        "unreachable_test_loss": out_of_reach,
        "evaluated_train_loss": loss,
        "reachable_train_loss": loss - out_of_reach,
        "pca_test_loss": loss * 2,
        "reachable_pca_test_loss": loss * 2,
        "dead_units": 0,
        "active_units": None,
        "constant_units": 0,
    }

    def write(folder):
        write_picture("latent-map.png")(folder)
        errors = torch.full((1, 28, 28), loss, dtype=torch.double)
        save_file({"test": errors, "train": errors.clone()}, folder / ERRORS_FILE)

    evaluated = publish("evaluate", identity, {"metrics": measured}, write, model=model.fingerprint)
    groups["evaluate"].append(evaluated)


def add_classifier(publish, groups, scenario, budget, seed):
    choices = {"scenario": scenario, "trained": "head", "label_budget": budget, "seed": seed}
    gain = 0.2 + 0.02 * seed if scenario == "fine_tune" else 0.0
    recipe = {"output": "logits", "optimizer": "adam", "learning_rate": 1e-3, "labels": "aligned"}
    accuracy = 0.6 + gain + 0.1 * (budget == "all")
    result = {
        "spec": choices | recipe,
        "architecture": ModelSpec.written(2, latent_dim=3).model_dump(mode="json"),
        "image_shape": [1, 28, 28],
        "dataset": "made",
        "metrics": {"final_train_loss": 0.3, "final_test_loss": 0.4, "test_accuracy": accuracy},
    }
    identity = choices | {"depth": 2, "latent_dim": 3}
    entry = publish("transfer", identity, result, write_picture("confusion.png"))
    groups["transfer"].append(entry)


@pytest.fixture
def groups(home):
    """The entries of a study by their step; STUDY_HOME holds their files."""
    publish = Publisher()
    found = {"data": [], "pca": [], "reach": [], "train": [], "evaluate": [], "transfer": []}
    dataset = {
        "name": "made",
        "sha256": "ab" * 32,
        "image_shape": [1, 28, 28],
        "n_train": N_TRAIN,
        "n_test": N_TEST,
        "n_classes": 2,
        "classes": ["cat", "<b>dog"],
        "levels": [0, 4095],
        "skipped": 0,
        "notes": ["levels 0 to 4,095 become <i>black"],
    }
    networks = [ModelSpec.written(depth).model_dump()["architecture"] for depth in (1, 2)]
    found["data"].append(publish("data", {"dataset": "made"}, dataset, write_dataset))
    found["pca"].append(
        publish("pca", {"dataset": "made"}, {"test_loss": [0.25, 0.2], "exact": True})
    )
    found["reach"].append(publish("reach", {"dataset": "made"}, REACH, architectures=networks))
    for depth, latent_dim in SHAPES:
        for seed in CONFIG["seeds"]:
            add_model(publish, found, depth, latent_dim, seed)
    for scenario in CONFIG["transfer"]["scenarios"]:
        for budget in CONFIG["transfer"]["label_budgets"]:
            for seed in CONFIG["seeds"]:
                add_classifier(publish, found, scenario, budget, seed)
    return found
