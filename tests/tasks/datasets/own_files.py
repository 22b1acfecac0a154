"""A user's own files for tests: images with one level each, and IDX files."""

import gzip
import struct

import numpy as np
import torch
from PIL import Image

from tasks.datasets.config import DatasetConfig
from tasks.datasets.contents import take_inventory
from tasks.datasets.own_images import read_parts


def pictures(folder, first, n=10):
    """Write image files with the levels first, first + 1, ..., in the order of their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for level in range(first, first + n):
        Image.new("L", (40, 30), level).save(folder / f"{level:03d}.png")


def of_folder(path, **options):
    return DatasetConfig(name="folder", path=str(path), **options)


def class_names(config):
    return take_inventory(config).classes


def read(config):
    """The images and labels of each part."""
    return read_parts(config)[0]


def levels(images):
    """The level of each image, which has only one."""
    assert images.shape[1:] == (1, 28, 28)
    assert images.dtype == torch.uint8
    assert (images == images[..., :1, :1]).all()
    return images[:, 0, 0, 0].tolist()


def write(path, values):
    """An IDX file of unsigned bytes."""
    values = np.asarray(values, dtype=np.uint8)
    content = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    content += values.tobytes()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def flat(first, n=10, shape=(5, 7)):
    """Images of the levels first, first + 1, ..."""
    level = np.arange(first, first + n).reshape(n, *[1] * len(shape))
    return np.broadcast_to(level, (n, *shape))


def of_idx(path):
    return DatasetConfig(name="idx", path=str(path))


def damage(root, n):
    for index in range(n):
        (root / "cat" / f"{index:03d}.png").write_bytes(b"no picture")
