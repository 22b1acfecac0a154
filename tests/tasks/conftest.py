"""What tests of prepared datasets share."""

from safetensors.torch import load_file

from tasks.artifacts.dataset import FILE
from tasks.datasets.contents import source_fingerprint
from tasks.steps.data import prepare_dataset


def prepared(folder, config):
    """The result of preparing a dataset in a new folder, and the tensors that it leaves there."""
    folder.mkdir()
    result = prepare_dataset(folder, config, source_fingerprint(config))
    return result, load_file(folder / FILE)
