"""Files of pixels: which the networks of a study reach, and the error of each."""

from typing import TYPE_CHECKING

from tasks.cache.entry import Entry, loading

if TYPE_CHECKING:
    from torch import Tensor


ERRORS_FILE = "squared-errors.safetensors"  # mean squared error of each pixel, test and train
MASKS = "masks.safetensors"
REACHED = "reached_by_all"  # pixels that every network of the study sees and can change


def load_reached(entry: Entry) -> "Tensor":
    """Mask (28, 28) of the pixels that every network of the study sees and can change.

    Raises UnusableEntryError if the entry of step ``reach`` holds something else.
    """
    from safetensors.torch import load_file

    with loading(entry):
        return load_file(entry.path(MASKS))[REACHED].bool()
