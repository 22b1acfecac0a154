"""Which images a study uses."""

from typing import Literal, Self

from pydantic import Field, model_validator

from models.specs import Value


class DatasetConfig(Value):
    """A dataset by name, and how much of it."""

    name: Literal["digits", "mnist", "fashion_mnist", "kmnist", "emnist", "folder"] = Field(
        "digits", description="digits comes with scikit-learn; folder reads your own images."
    )
    path: str | None = Field(None, description="For `folder`: images in one subfolder per class.")
    train_limit: int | None = Field(
        None, ge=10, description="Use only the first n training images; null: all."
    )
    test_limit: int | None = Field(
        None, ge=10, description="Use only the first n test images; null: all."
    )

    @model_validator(mode="after")
    def _path_for_folders(self) -> Self:
        if (self.name == "folder") != (self.path is not None):
            raise ValueError(
                f"dataset.path is {self.path!r} and dataset.name is {self.name!r}; "
                "give a path with dataset.name=folder, and only then"
            )
        return self
