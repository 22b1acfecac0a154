"""What tests of prepared datasets share."""

from safetensors.torch import load_file

from tasks.data import FILE, prepare_dataset, source_fingerprint


def prepared(folder, config):
    """The result of preparing a dataset in a new folder, and the tensors that it leaves there."""
    folder.mkdir()
    result = prepare_dataset(folder, config, source_fingerprint(config))
    return result, load_file(folder / FILE)
