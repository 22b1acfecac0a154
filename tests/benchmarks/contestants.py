"""One training of the depth-2, d = 20 autoencoder, as different programs do it.

``python -m tests.benchmarks.contestants NAME --threads N --batches N`` trains on MNIST in this
process and prints images per second. Every contestant has the same architecture, initial weights,
batch size, optimizer (Adam 1e-3) and loss, and trains without looking at test images.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor

from models.engines import Engine, make_step
from models.networks.autoencoder import Autoencoder
from models.networks.initialization import initialize
from models.objectives.squared_error import SquaredError
from models.specs import WRITTEN_SHAPE, ModelSpec
from models.training.optimizers import make_optimizer
from models.training.stacked_parameters import StackedParameters
from models.training.step import fill
from tasks.system.folders import study_data

BATCH = 128
WARM_UP = 20  # batches that are not timed
SPEC = ModelSpec.written(depth=2, latent_dim=20)
Tick = Callable[[], object]  # called after every batch


def new_model() -> Autoencoder:
    """The same initial weights for everyone."""
    model = Autoencoder(SPEC, WRITTEN_SHAPE)
    initialize(model, 0, latent_bias=1.0)
    return model


def train_images() -> Tensor:
    """60,000 images (28, 28) uint8."""
    return MNIST(study_data(), train=True).data


def shuffled(images: Tensor) -> Iterator[Tensor]:
    """Indices of full batches without end."""
    while True:
        yield from torch.randperm(len(images)).split(BATCH)[: len(images) // BATCH]


def plain_script(batches: int, tick: Tick) -> None:
    """What people write: DataLoader, ToTensor, Adam."""
    model = new_model()
    dataset = MNIST(study_data(), train=True, transform=ToTensor())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for x, _ in islice(DataLoader(dataset, batch_size=BATCH, shuffle=True), batches):
        loss = functional.mse_loss(model(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        tick()


def in_memory_loop(batches: int, tick: Tick) -> None:
    """What careful people write: one tensor in memory, fused Adam."""
    model, images = new_model(), train_images()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    for index in islice(shuffled(images), batches):
        x = images[index].unsqueeze(1).float() / 255
        loss = functional.mse_loss(model(x), x)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        tick()


def latent_study(batches: int, tick: Tick) -> None:
    """This project's training core, by the hand-written step."""
    _train("hand-written", batches, tick)


def torch_step(batches: int, tick: Tick) -> None:
    """This project's training core, by the step for any network."""
    _train("torch", batches, tick)


def _train(engine: Engine, batches: int, tick: Tick) -> None:
    module, images = new_model(), train_images()
    parameters = StackedParameters([module])
    step = make_step(engine, parameters, module, BATCH, (1, 28, 28), SquaredError())
    optimizer = make_optimizer("adam", parameters.values, 1e-3)
    for index in islice(shuffled(images), batches):
        fill(step.inputs, images.index_select(0, index).unsqueeze(0))
        step()
        optimizer.step()
        tick()


def pythae(batches: int, tick: Tick) -> None:
    """Pythae's own trainer on its own model class, around the same encoder and decoder."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import AE, AEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    class Encoder(BaseEncoder):
        def __init__(self, module: nn.Module):
            super().__init__()
            self.module, self.latent_dim = module, SPEC.latent_dim

        def forward(self, x: Tensor) -> ModelOutput:
            return ModelOutput(embedding=self.module(x))

    class Decoder(BaseDecoder):
        def __init__(self, module: nn.Module):
            super().__init__()
            self.module = module

        def forward(self, z: Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.module(z))

    class Trainer(BaseTrainer):
        def _optimizers_step(self, model_output: ModelOutput) -> None:
            super()._optimizers_step(model_output)
            tick()

    whole = new_model()
    config = AEConfig(input_dim=(1, 28, 28), latent_dim=SPEC.latent_dim)
    model = AE(config, encoder=Encoder(whole.encoder), decoder=Decoder(whole.decoder))
    images = train_images()[: batches * BATCH].unsqueeze(1).float() / 255
    with tempfile.TemporaryDirectory() as folder:
        settings = BaseTrainerConfig(
            output_dir=folder,
            per_device_train_batch_size=BATCH,
            learning_rate=1e-3,
            optimizer_cls="Adam",
            no_cuda=True,
        )
        dataset = BaseDataset(images, torch.zeros(len(images)))
        trainer = Trainer(model=model, train_dataset=dataset, training_config=settings)
        trainer.prepare_training()
        trainer.train_step(1)


CONTESTANTS = {
    "plain script": plain_script,
    "in-memory loop": in_memory_loop,
    "pythae": pythae,
    "torch step": torch_step,
    "latent-study": latent_study,
}


def images_per_second(name: str, batches: int) -> float:
    """Train, and time the batches after the warm-up."""
    moments: list[float] = []
    CONTESTANTS[name](WARM_UP + batches, lambda: moments.append(time.perf_counter()))
    return (len(moments) - WARM_UP) * BATCH / (moments[-1] - moments[WARM_UP - 1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=list(CONTESTANTS))
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--batches", type=int, default=100)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print(images_per_second(chosen.name, chosen.batches))
