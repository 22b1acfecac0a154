"""Loads a trained classifier from its store entry."""

from typing import TYPE_CHECKING

from models.specs import ModelSpec
from tasks.artifacts.autoencoder import WEIGHTS
from tasks.cache.entry import Entry, loading

if TYPE_CHECKING:
    from models.networks.classifier import Classifier


def load_classifier(entry: Entry) -> "Classifier":
    """The trained classifier in an entry of step ``transfer``, on the CPU, in evaluation mode.

    Raises UnusableEntryError if its weights do not fit its architecture.
    """
    from safetensors.torch import load_file

    from models.networks.classifier import Classifier

    with loading(entry):
        spec = ModelSpec.model_validate(entry.result["architecture"])
        classifier = Classifier(spec, entry.result["image_shape"], len(entry.result["confusion"]))
        classifier.load_state_dict(load_file(entry.path(WEIGHTS)))
    return classifier.eval()
