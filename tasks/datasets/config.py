"""Which images a study uses."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from models.specs import Value

OWN_IMAGES = ("folder", "idx")  # the names of datasets that read a user's own files
Shape = Annotated[
    Literal["stretch", "crop", "pad"],
    Field(
        description="For `folder` and `idx`, how an image becomes square: it is stretched, cropped "
        "to its middle, or padded with the background's colour."
    ),
]
Invert = Annotated[
    bool,
    Field(
        description="For `folder` and `idx`, swap black and white: dark drawings on white paper "
        "become like MNIST."
    ),
]
LevelsSetting = Literal["auto"] | Annotated[tuple[float, float], Field(strict=False)]


class Conversion(Value):
    """How an image of any size and colour is converted to one size, in grey or in colour."""

    shape: Shape = "stretch"
    invert: Invert = False
    size: tuple[int, int] = (28, 28)
    channels: Literal[1, 3] = 1

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The channels, height and width of a converted image."""
        return self.channels, *self.size


class DatasetConfig(Value):
    """The dataset of a study: its name, how images are converted, how many are used."""

    name: Literal["digits", "mnist", "fashion_mnist", "kmnist", "emnist", "folder", "idx"] = Field(
        "digits",
        description="digits comes with scikit-learn; folder reads your own image files; idx reads "
        "files in MNIST's format.",
    )
    path: str | None = Field(None, description="For `folder` and `idx`: the folder of files.")
    shape: Shape = "stretch"
    invert: Invert = False
    levels: LevelsSetting = Field(
        "auto",
        description="For `folder` and `idx`, the levels that become black and white, like "
        "[0, 4095]. `auto`: 0 to 255 for files of 8 bits; for others a range that holds the levels "
        "of all images: that of 8, 10, 12, 14 or 16 bits, or for floats 0 to 1. It is reported.",
    )
    on_bad_image: Literal["error", "skip"] = Field(
        "error",
        description="For `folder`, what to do if an image cannot be read: stop and name the bad "
        "files, or go on without them and report how many there are.",
    )
    train_limit: int | None = Field(
        None, ge=10, description="Use only the first n training images; null: all."
    )
    test_limit: int | None = Field(
        None, ge=10, description="Use only the first n test images; null: all."
    )

    @field_validator("levels", mode="before")
    @classmethod
    def _levels_are_auto_or_a_pair(cls, value: object) -> object:
        numbers = value if isinstance(value, list | tuple) else ()
        is_pair = len(numbers) == 2 and all(type(one) in {int, float} for one in numbers)
        if is_pair or value == "auto":
            return value
        raise ValueError("should be auto, or the levels of black and white, like [0, 4095]")

    @model_validator(mode="after")
    def _path_for_own_images(self) -> Self:
        if (self.name in OWN_IMAGES) != (self.path is not None):
            raise ValueError(
                f"dataset.path is {self.path!r} and dataset.name is {self.name!r}; "
                "folder and idx need a path, other datasets take none"
            )
        allowed: dict[str, tuple[str, ...]] = dict.fromkeys(
            ("shape", "invert", "levels"), OWN_IMAGES
        )
        allowed["on_bad_image"] = ("folder",)
        for key, names in allowed.items():
            changed = getattr(self, key) != type(self).model_fields[key].default
            if changed and self.name not in names:
                raise ValueError(f"dataset.{key} is for {' and '.join(names)}, not for {self.name}")
        return self

    @model_validator(mode="after")
    def _levels_are_a_range(self) -> Self:
        if self.levels != "auto":
            low, high = self.levels
            if not (low < high and math.isfinite(high - low)):
                raise ValueError(
                    f"dataset.levels: [{low:g}, {high:g}] is no range; give the level of black and "
                    "a higher one of white, like [0, 4095]"
                )
        return self
