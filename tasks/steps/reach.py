"""Step ``reach``: the pixels that a study's networks cannot see or change, and their cost."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from models.messages import in_one_line
from models.specs import Architecture, ImageShape, ModelSpec
from tasks.artifacts.dataset import load_dataset
from tasks.artifacts.reach import MASKS, REACHED, UNREACHABLE
from tasks.cache.entry import Entry
from tasks.cache.step import Result, Step

if TYPE_CHECKING:
    from torch import Tensor


LONGEST_REASON = 200  # characters
PART = 1_000  # images that are whole numbers of 32 bits at once
SEED = 0  # of the random weights and inputs; a pixel is reached if one of them reaches it


def measure_reach(
    folder: Path, dataset: Entry, pca: Entry, architectures: tuple[Architecture, ...]
) -> Result:
    """What each architecture leaves out of images, and the loss of PCA on what all of them reach.

    Masks are of values (channels, height, width); a pixel is left out if one of its channels is.
    ``floor`` is the test loss of the constant pixels of an architecture on this dataset, per pixel
    of the whole image, with those constants of its decoder that fit the training images best.
    ``variance_share`` is their share of the variance of the test images. A network whose gradients
    cannot be taken counts as one that reaches all; ``unknown`` says why.

    The result names no architecture: it is the same after an edit that changes no mask, so that
    evaluations of other networks stay valid. The entry's inputs have the names in the same order.
    """
    import torch
    from safetensors.torch import save_file

    from models.measures.pca import fit_first

    images = load_dataset(dataset)
    shape, pixels = images.image_shape, math.prod(images.image_shape[1:])
    masks, files, found = [], {}, []
    for index, architecture in enumerate(architectures):
        unknown, left = "", None
        try:
            left = left_out(ModelSpec(architecture=architecture), shape)
        except RuntimeError as error:
            unknown = in_one_line(str(error), LONGEST_REASON)
        unseen, unreachable, groups = left or _nothing(shape)
        masks.append(unseen | unreachable)
        files[UNREACHABLE.format(index)] = unreachable
        train, test = (part[:, unreachable] for part in (images.train_images, images.test_images))
        found.append(
            {
                "unknown": unknown,
                "pixels": pixels,
                "unseen_pixels": int(unseen.any(0).sum()),
                "unreachable_pixels": int(unreachable.any(0).sum()),
                "place": describe_pixels(masks[-1].any(0)),
                "constants": len(groups.unique()),
                "floor": _floor(train, test, groups) / math.prod(shape),
                "variance_share": _variance_share(test, images.test_images),
            }
        )
    reached = ~torch.stack(masks).any(0)
    save_file(files | {REACHED: reached}, folder / MASKS)
    losses = pca.result["test_loss"]
    if not reached.all():
        parts = (images.train_images[:, reached], images.test_images[:, reached])
        share = float(reached.double().mean())
        components = None if pca.result["exact"] else len(losses) - 1
        losses = [loss * share for loss in fit_first(*parts, components).test_loss.tolist()]
    return {"networks": found, "reached_pixels": int(reached.all(0).sum()), "pca_test_loss": losses}


def left_out(spec: ModelSpec, image_shape: ImageShape) -> "tuple[Tensor, Tensor, Tensor]":
    """Masks (channels, height, width) of what a network does not see and cannot change.

    The third value groups the values that it cannot change by the constant that they share.
    """
    import torch

    from models.measures.reach import tied_outputs, unreachable_outputs, unseen_inputs
    from models.networks.autoencoder import Autoencoder

    model, generator = Autoencoder(spec, image_shape), torch.Generator().manual_seed(SEED)
    unseen = unseen_inputs(model.encoder, image_shape, generator)
    latent = (spec.latent_dim,)
    unreachable = unreachable_outputs(model.decoder, latent, generator)
    groups = tied_outputs(model.decoder, latent, unreachable, generator)
    return unseen, unreachable, groups


def _nothing(image_shape: ImageShape) -> "tuple[Tensor, Tensor, Tensor]":
    """The masks and groups of a network that leaves nothing out."""
    import torch

    mask = torch.zeros(image_shape, dtype=torch.bool)
    return mask, mask, torch.zeros(0, dtype=torch.long)


def _floor(train: "Tensor", test: "Tensor", groups: "Tensor") -> float:
    """The floor of one image, as a sum of squared errors; 0 without groups."""
    from models.measures.reach import constant_floor

    return constant_floor(train.float() / 255, test.float() / 255, groups) if len(groups) else 0.0


def _variance_share(part: "Tensor", images: "Tensor") -> float:
    """The share of the variance of images (n, c, h, w) uint8 in some values (n, k), in [0, 1]."""
    if not part.numel():
        return 0.0
    inside, whole = (_variance(x) for x in (part, images.flatten(1)))
    return inside / whole if whole else 0.0


def _variance(values: "Tensor") -> float:
    """The sum of the variances of values (n, k) uint8, from sums that are exact."""
    parts = values.split(PART)
    total = sum(part.sum(0) for part in parts).double()
    squares = sum(part.int().square().sum(0) for part in parts).double()
    return float((squares - total.square() / len(values)).sum())


def describe_pixels(mask: "Tensor") -> str:
    """Where the pixels of a mask (height, width) are, as rows and columns counted from 0."""
    if not mask.any():
        return "none"
    rows, columns = mask.all(1), mask.all(0)
    if not (mask == rows.unsqueeze(1) | columns).all():
        return f"{int(mask.sum())} single pixels"
    named = [("row", rows), ("column", columns)]
    return " and ".join(
        _lines(kind, lines.nonzero().flatten().tolist()) for kind, lines in named if lines.any()
    )


def _lines(kind: str, numbers: list[int]) -> str:
    """``rows 25 to 27``, or a list of them if they are not one block."""
    if len(numbers) == 1:
        return f"{kind} {numbers[0]}"
    if numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{kind}s {numbers[0]} to {numbers[-1]}"
    return f"{kind}s {', '.join(map(str, numbers))}"


reach = Step(measure_reach, "reach", settings={"architectures": "depths"})
