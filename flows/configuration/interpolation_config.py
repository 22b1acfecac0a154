"""Which walks through latent space a study measures."""

import unicodedata
from collections.abc import Sequence
from itertools import islice, pairwise
from typing import Annotated

from pydantic import Field

from models.specs import ConfigError, LatentDim, Value
from tasks.analysis import published_results
from tasks.datasets.found_files import listed

ClassName = Annotated[int, Field(ge=0, le=999_999)] | Annotated[str, Field(max_length=255)]
ClassPair = Annotated[tuple[ClassName, ClassName], Field(strict=False)]


class InterpolationConfig(Value):
    """Images decoded along the straight line between the latent vectors of two images."""

    pairs: tuple[ClassPair, ...] | None = Field(
        None,
        strict=False,
        description="Pairs of classes to interpolate between, by name, like [[cat, dog]] or "
        "[[3, 5]]; a number counts from 0 where no class is named by a number. null: the pairs of "
        "the written study, or four pairs of neighbouring classes if the dataset lacks one of "
        "those classes. An empty list leaves the section out.",
    )
    latent_dims: tuple[LatentDim, ...] = Field(
        (20, 100),
        strict=False,
        description="Latent sizes to compare, with the networks of the latent sweep; with "
        "`architectures` those of the study if they are not given.",
    )
    steps: int = Field(11, ge=3, le=100, description="Images on a line, both ends included.")
    judges: int = Field(
        3,
        ge=1,
        le=10,
        description="Classifiers that judge how real the images are, each with a seed of its own.",
    )

    def label_pairs(
        self, classes: Sequence[str], tested: Sequence[int]
    ) -> tuple[tuple[int, int], ...]:
        """The pairs of labels to interpolate between in a dataset with these classes.

        ``tested`` are the labels, sorted, of which there are images for training and testing.

        Raises ConfigError for a class that the dataset lacks.
        """
        wanted = published_results.PAIRS if self.pairs is None else self.pairs
        try:
            labels = [[_label(name, classes, tested) for name in pair] for pair in wanted]
            pairs = tuple((start, end) for start, end in labels)
        except ConfigError:
            if self.pairs is not None:
                raise
            return tuple(islice(pairwise(tested), len(published_results.PAIRS)))
        for index, (start, end) in enumerate(pairs):
            if start == end or (start, end) in pairs[:index]:
                raise ConfigError(
                    f"interpolation.pairs: {list(wanted[index])} names one class twice, or a pair "
                    "that is listed before it; list each pair of two classes once"
                )
        return pairs


def _label(name: int | str, classes: Sequence[str], tested: Sequence[int]) -> int:
    """The label of a class. Raises ConfigError if there is none, or no image to test it on."""
    as_text = unicodedata.normalize("NFC", str(name))  # as names of classes are
    by_name = [label for label, one in enumerate(classes) if one == as_text]
    numbers = {label: int(one) for label, one in enumerate(classes) if one.isdecimal()}
    by_number = [label for label, number in numbers.items() if number == name]
    by_place = [name] if isinstance(name, int) and not numbers and name < len(classes) else []
    found = by_name or by_number or by_place
    if not found:
        raise ConfigError(
            f"interpolation.pairs: the dataset has no class {name!r}; choose from {listed(classes)}"
        )
    if len(found) > 1:
        raise ConfigError(
            f"interpolation.pairs: {name} may mean {listed(classes[label] for label in found)}; "
            "write it as the name of one"
        )
    if found[0] not in tested:
        raise ConfigError(
            f"interpolation.pairs: class {name!r} has no images in one part of the dataset; choose "
            f"from {listed(classes[label] for label in tested)}"
        )
    return found[0]
