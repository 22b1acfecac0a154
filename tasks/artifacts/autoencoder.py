"""Loads a trained autoencoder from its store entry."""

from typing import TYPE_CHECKING

from models.specs import ModelSpec
from tasks.cache.entry import Entry, loading
from tasks.datasets.dataset import SIDE

if TYPE_CHECKING:
    from models.networks.autoencoder import Autoencoder


WEIGHTS = "weights.safetensors"


def load_autoencoder(entry: Entry) -> "Autoencoder":
    """The trained autoencoder in an entry of step ``train``, on the CPU, in evaluation mode.

    Raises UnusableEntryError if its weights do not fit its architecture.
    """
    from safetensors.torch import load_file

    from models.networks.autoencoder import Autoencoder

    with loading(entry):
        model = Autoencoder(ModelSpec.model_validate(entry.result["spec"]), (1, SIDE, SIDE))
        model.load_state_dict(load_file(entry.path(WEIGHTS)))
    return model.eval()
