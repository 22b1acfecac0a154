"""Which images a study uses."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

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


class Conversion(Value):
    """How an image of any size and colour is converted to 28x28 grey pixels."""

    shape: Shape = "stretch"
    invert: Invert = False


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
    train_limit: int | None = Field(
        None, ge=10, description="Use only the first n training images; null: all."
    )
    test_limit: int | None = Field(
        None, ge=10, description="Use only the first n test images; null: all."
    )

    @model_validator(mode="after")
    def _path_for_own_images(self) -> Self:
        if (self.name in OWN_IMAGES) != (self.path is not None):
            raise ValueError(
                f"dataset.path is {self.path!r} and dataset.name is {self.name!r}; "
                "folder and idx need a path, other datasets take none"
            )
        if self.name not in OWN_IMAGES and (self.invert or self.shape != "stretch"):
            raise ValueError(
                f"dataset.shape and dataset.invert are for folder and idx, not for {self.name}"
            )
        return self
