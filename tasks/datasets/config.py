"""Which images a study uses."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.specs import Value

OWN = ("folder", "idx")
Shape = Annotated[
    Literal["stretch", "crop", "pad"],
    Field(
        description="For `folder` and `idx`, what makes a square of an image: stretching, the "
        "middle, or a border in the background's colour."
    ),
]
Invert = Annotated[
    bool, Field(description="Swap black and white: dark drawings on white paper become like MNIST.")
]


class Conversion(Value):
    """How an image of any size and colour becomes 28x28 grey pixels."""

    shape: Shape = "stretch"
    invert: Invert = False


class DatasetConfig(Value):
    """A dataset by name, how it is converted, and how much of it."""

    name: Literal["digits", "mnist", "fashion_mnist", "kmnist", "emnist", "folder", "idx"] = Field(
        "digits",
        description="digits comes with scikit-learn; folder reads your own image files, idx files "
        "in MNIST's format.",
    )
    path: str | None = Field(None, description="For `folder` and `idx`: where the files lie.")
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
        if (self.name in OWN) != (self.path is not None):
            raise ValueError(
                f"dataset.path is {self.path!r} and dataset.name is {self.name!r}; "
                "give a path with dataset.name=folder or idx, and only then"
            )
        if self.name not in OWN and (self.invert or self.shape != "stretch"):
            raise ValueError(
                f"dataset.shape and dataset.invert are for folder and idx, not for {self.name}"
            )
        return self
