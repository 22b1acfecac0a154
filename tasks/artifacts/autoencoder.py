"""Loads a trained autoencoder from its store entry."""

from typing import TYPE_CHECKING

from models.specs import ModelSpec
from tasks.cache.entry import Entry, loading

if TYPE_CHECKING:
    from torch import Tensor, nn

    from models.networks.autoencoder import Autoencoder


WEIGHTS = "weights.safetensors"


def weights_of(module: "nn.Module") -> "dict[str, Tensor]":
    """The state of a network, tensors of any shape, each with memory of its own, for a file.

    Tied weights share memory, which such files refuse.
    """
    import torch

    return {
        name: value.detach().clone(memory_format=torch.contiguous_format)
        for name, value in module.state_dict().items()
    }


def load_autoencoder(entry: Entry) -> "Autoencoder":
    """The trained autoencoder in an entry of step ``train``, on the CPU, in evaluation mode.

    Raises UnusableEntryError if its weights do not fit its architecture.
    """
    from safetensors.torch import load_file

    from models.networks.autoencoder import Autoencoder

    with loading(entry):
        spec = ModelSpec.model_validate(entry.result["spec"])
        model = Autoencoder(spec, entry.result["image_shape"])
        model.load_state_dict(load_file(entry.path(WEIGHTS)))
    return model.eval()
