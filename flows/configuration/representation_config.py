"""How representations are measured, and which measures of its own a study has."""

from typing import Any

from pydantic import Field, model_validator

from models.measures.glossary import quantities
from models.specs import Value

RESERVED_COLUMNS = {"architecture", "depth", "latent_dim", "objective", "seed", "seconds", "key"}


class RepresentationConfig(Value):
    """How the section `representation` measures latents."""

    probe_images: int = Field(
        10_000,
        ge=2,
        description="Training images that probes are fitted to, at most; test images are all used.",
    )
    neighbours: int = Field(
        10, ge=1, le=1_000, description="Training images that vote in the nearest-neighbour probe."
    )
    ablation_images: int = Field(
        500,
        ge=1,
        le=2_000,
        description="Test images, at most, on which each unit is set to its mean.",
    )
    map_images: int = Field(
        2_000,
        ge=10,
        le=2_000,
        description="Test images on the maps, at most; each is a dot and a small picture.",
    )
    traversal_steps: int = Field(
        9, ge=3, le=25, description="Decoded images for each latent unit in a traversal."
    )


class MeasureConfig(Value):
    """A measure of your own: a function, as text or as the key `name`."""

    name: str = Field(
        description="A function of your own, as `my_measures.py:smoothness` beside the study file "
        "or `package.module:smoothness`. It is called with (images, reconstructions, latents, "
        "labels) of the test images and returns a number.",
    )
    code: str | None = Field(
        None, description="The digest of your own code, noted when the study is read."
    )

    @model_validator(mode="before")
    @classmethod
    def _text_is_the_name(cls, content: Any) -> Any:
        return {"name": content} if isinstance(content, str) else content

    @model_validator(mode="after")
    def _names_a_function(self) -> "MeasureConfig":
        if ":" not in self.name:
            raise ValueError(
                f"{self.name} names no function; write FILE.py:FUNCTION, like "
                "my_measures.py:smoothness"
            )
        return self

    @property
    def own_code(self) -> dict[str, str]:
        """The reference to the user's code."""
        return {"name": self.name}


def check_measure_name(name: str) -> None:
    """Raise ValueError for the name of a measure that ships, or of another column of tables."""
    shipped = quantities()  # what claims ask for
    columns = {one.name for _, one in shipped.values()}
    if name in RESERVED_COLUMNS | shipped.keys() | columns:
        raise ValueError(
            f"measures.{name}: a measure or a column has this name; choose one like my_{name}"
        )
