"""Which images a study uses."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from models.specs import ImageShape, Value

OWN_IMAGES = ("folder", "idx", "npz")  # the names of datasets that read a user's own files
FEWEST_VALIDATED = 10  # images
SMALLEST_SIDE, LARGEST_SIDE = 4, 256  # pixels, of prepared images
Shape = Annotated[
    Literal["stretch", "crop", "pad"],
    Field(
        description="For your own images, how one gets the proportions of `size`: it is stretched, "
        "cropped to its middle, or padded with the background's colour."
    ),
]
Invert = Annotated[
    bool,
    Field(
        description="For your own images, swap black and white: dark drawings on white paper "
        "become like MNIST."
    ),
]
Channels = Literal[1, 3]
Side = Annotated[int, Field(ge=SMALLEST_SIDE, le=LARGEST_SIDE)]
LevelsSetting = Literal["auto"] | Annotated[tuple[float, float], Field(strict=False)]


class Conversion(Value):
    """How an image of any size and colour is converted to one size, in grey or in colour."""

    shape: Shape = "stretch"
    invert: Invert = False
    size: tuple[int, int] = (28, 28)
    channels: Channels = 1

    @property
    def image_shape(self) -> ImageShape:
        """The channels, height and width of a converted image."""
        return self.channels, *self.size


DatasetName = Literal[
    "digits",
    "mnist",
    "fashion_mnist",
    "kmnist",
    "emnist",
    "cifar10",
    "cifar100",
    "svhn",
    "folder",
    "idx",
    "npz",
]


class DatasetConfig(Value):
    """The dataset of a study: its name, how images are converted, how many are used."""

    name: DatasetName = Field(
        "digits",
        description="digits comes with scikit-learn; folder reads your own image files; idx reads "
        "files in MNIST's format; npz reads NumPy arrays; others are downloaded.",
    )
    path: str | None = Field(
        None,
        description="For your own images: the folder of files; for `npz` a .npz file, or a folder "
        "of .npy files.",
    )
    size: Side | Annotated[tuple[Side, Side], Field(strict=False)] | None = Field(
        None,
        description="For your own images, their side in pixels, or [height, width]; null: 28 for "
        "`folder` and `idx`, that of the arrays for `npz`.",
    )
    channels: Channels | None = Field(
        None,
        description="For your own images, 1 for grey or 3 for colour; null: 1 for `folder` and "
        "`idx`, as many as the arrays have for `npz`.",
    )
    shape: Shape = "stretch"
    invert: Invert = False
    levels: LevelsSetting = Field(
        "auto",
        description="For your own images, the levels that become black and white, like "
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

    validation: float | int | None = Field(
        None,
        description="Training images set aside to choose epochs and models by, with equal shares "
        "of each class: a share, like 0.1, or a number, like 5000; null: none.",
    )

    @field_validator("validation", mode="before")
    @classmethod
    def _validation_is_a_share_or_a_number(cls, value: object) -> object:
        is_share = type(value) is float and 0 < value < 1
        is_number = type(value) is int and value >= FEWEST_VALIDATED
        if value is None or is_share or is_number:
            return value
        raise ValueError(
            f"should be a share between 0 and 1, like 0.1, or a number of at least "
            f"{FEWEST_VALIDATED} images, like 5000"
        )

    @field_validator("size", mode="before")
    @classmethod
    def _size_is_a_number_or_a_pair(cls, value: object) -> object:
        sides = value if isinstance(value, list | tuple) else (value, value)
        are_sides = all(type(one) is int and SMALLEST_SIDE <= one <= LARGEST_SIDE for one in sides)
        if value is None or (len(sides) == 2 and are_sides):
            return value
        raise ValueError(
            f"should be a number of pixels from {SMALLEST_SIDE} to {LARGEST_SIDE}, or "
            "[height, width], like [48, 32]"
        )

    @field_validator("channels", mode="before")
    @classmethod
    def _channels_are_one_or_three(cls, value: object) -> object:
        if value is None or (type(value) is int and value in {1, 3}):  # to a Literal True is 1
            return value
        raise ValueError("should be 1 for grey images or 3 for colour")

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
                "folder, idx and npz need a path, other datasets take none"
            )
        allowed: dict[str, tuple[str, ...]] = dict.fromkeys(
            ("size", "channels", "shape", "invert", "levels"), OWN_IMAGES
        )
        allowed["on_bad_image"] = ("folder",)
        for key, names in allowed.items():
            changed = getattr(self, key) != type(self).model_fields[key].default
            if changed and self.name not in names:
                *others, last = names
                known = f"{', '.join(others)} and {last}" if others else last
                raise ValueError(f"dataset.{key} is for {known}, not for {self.name}")
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

    def conversion(self, own: ImageShape = (1, 28, 28)) -> Conversion:
        """How images are converted; size and channels are those of ``own`` unless they are set."""
        height, width = own[1:]
        size = (height, width) if self.size is None else self.size
        return Conversion(
            shape=self.shape,
            invert=self.invert,
            size=(size, size) if isinstance(size, int) else size,
            channels=self.channels or (1 if own[0] == 1 else 3),
        )
