"""Reads CIFAR-10, CIFAR-100 and SVHN: colour photographs (3, 32, 32)."""

import warnings
from typing import TYPE_CHECKING, Any

from tasks.datasets.dataset import Dataset
from tasks.datasets.downloaded.raw_files import SVHN_PARTS, torchvision_class
from tasks.system.folders import study_data

if TYPE_CHECKING:
    from torch import Tensor


def read_photographs(name: str) -> Dataset:
    """The images of a dataset whose raw files were checked.

    Trap: CIFAR's files are pickles, which run code. Read them only after ``ensure_raw_files``:
    torchvision checks the published MD5 of each once more.
    """
    with warnings.catch_warnings(action="ignore"):  # NumPy warns of arrays that NumPy 1 pickled
        train, test = _read_svhn() if name == "svhn" else _read_cifar(name)
    return Dataset(train[0], test[0], train[1], test[1])


def _read_cifar(name: str) -> "list[tuple[Tensor, Tensor]]":
    import torch

    found = []
    for train in (True, False):
        part = torchvision_class(name)(root=study_data(), train=train, download=False)
        images = torch.from_numpy(part.data).movedim(3, 1).contiguous()
        found.append((images, torch.tensor(part.targets)))
    return found


def _read_svhn() -> "list[tuple[Tensor, Tensor]]":
    """Its digit 0 has the label 10 in the files, and 0 from torchvision."""
    import torch

    found = []
    for name in SVHN_PARTS:
        part: Any = torchvision_class("svhn")(study_data() / "SVHN", split=name, download=False)
        images = torch.from_numpy(part.data).contiguous()
        found.append((images, torch.from_numpy(part.labels).long()))
    return found
