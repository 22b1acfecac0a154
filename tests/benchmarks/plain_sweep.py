"""The latent sweep as people script it: one size after another, test loss after every epoch.

``python -m tests.benchmarks.plain_sweep --epochs 5`` trains every size that long; with
``--until-reported`` a size ends as soon as it is as good as the written study reports.
"""

import argparse

import torch
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor

from models.networks.autoencoder import Autoencoder
from models.networks.initialization import initialize
from models.specs import WRITTEN_SHAPE, ModelSpec
from tasks.analysis.published_results import TEST_LOSS
from tasks.system.folders import study_data

BATCH = 128


def train(latent_dim: int, epochs: int, goal: float) -> float:
    """Train with Adam 1e-3; the last test loss."""
    train_set, test_set = (
        MNIST(study_data(), train=t, transform=ToTensor()) for t in (True, False)
    )
    model = Autoencoder(ModelSpec.written(depth=2, latent_dim=latent_dim), WRITTEN_SHAPE)
    initialize(model, 0, latent_bias=1.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    test_loss = float("inf")
    for _ in range(epochs):
        model.train()
        for x, _ in DataLoader(train_set, batch_size=BATCH, shuffle=True):
            loss = functional.mse_loss(model(x), x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            losses = [
                functional.mse_loss(model(x), x, reduction="sum").item()
                for x, _ in DataLoader(test_set, batch_size=1000)
            ]
        test_loss = sum(losses) / len(test_set) / 784
        if test_loss <= goal:
            break
    return test_loss


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--until-reported", action="store_true")
    chosen = parser.parse_args()
    for size, reported in TEST_LOSS.items():
        reached = train(size, chosen.epochs, reported if chosen.until_reported else 0.0)
        print(f"{size} {reached:.5f} {reported}", flush=True)
