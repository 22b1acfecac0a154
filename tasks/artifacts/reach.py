"""Files of pixels: which the networks of a study reach, and the error of each."""

from typing import TYPE_CHECKING

from tasks.cache.canonical import JsonObject
from tasks.cache.entry import Entry, loading

if TYPE_CHECKING:
    from torch import Tensor


# mean squared error of each value (channels, height, width) of an image, test and train
ERRORS_FILE = "squared-errors.safetensors"
MASKS = "masks.safetensors"
UNREACHABLE = "unreachable_{}"  # by the place of an architecture in the result
REACHED = "reached_by_all"  # values that every network of the study sees and can change


def load_masks(entry: Entry, architecture: JsonObject) -> "tuple[Tensor, Tensor]":
    """Masks (channels, height, width) of what all networks reach, and what one cannot change.

    The first are those that every network of the study sees and can change; ``architecture`` is
    the other one, as JSON data. Raises UnusableEntryError if the entry of step ``reach`` holds
    something else.
    """
    from safetensors.torch import load_file

    with loading(entry):
        masks = load_file(entry.path(MASKS))
        place = entry.inputs["architectures"].index(architecture)
        return masks[REACHED], masks[UNREACHABLE.format(place)]
