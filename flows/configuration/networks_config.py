"""Which networks a study compares, and what each autoencoder of its grid is made of."""

from typing import Annotated, NamedTuple

from pydantic import Field, JsonValue

from models.specs import WRITTEN, Architecture, ModelSpec, Value
from tasks.cache.identity import Identity

SHIPPED_NETWORKS = (WRITTEN, "conv", "mlp")
# of architectures and objectives, in names of tasks, files and metrics
ShortName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9._-]{0,39}$")]


class ArchitectureConfig(Value):
    """An architecture: what builds its encoder and its decoder, and with which options."""

    encoder: str = Field(
        description="`conv`, `mlp` or `written`, which ship; or a function of your own, as "
        "`nets.py:encoder` beside the study file or `package.module:encoder`. It is called with "
        "(image_shape, outputs, **options) and returns a torch.nn.Module.",
    )
    decoder: str = Field(
        description="The same for the decoder, called with (image_shape, latent_dim, **options)."
    )
    options: dict[str, JsonValue] = Field({}, description="Keyword arguments of both.")
    code: dict[str, str] | None = Field(
        None,
        description="The digests of your own code, which are noted when the study is read. A "
        "served study refuses code with other digests.",
    )

    @property
    def own_code(self) -> dict[str, str]:
        """The references to a user's own code, by part."""
        parts = {"encoder": self.encoder, "decoder": self.decoder}
        return {part: name for part, name in parts.items() if name not in SHIPPED_NETWORKS}

    def value(self) -> Architecture:
        """The architecture as it counts: own code by its digest."""
        code = self.code or {}
        assert code.keys() == self.own_code.keys(), "the code of a study is read when it is loaded"
        return Architecture(
            encoder=code.get("encoder", self.encoder),
            decoder=code.get("decoder", self.decoder),
            options=self.options,
        )


class Variant(NamedTuple):
    """One autoencoder of the grid, whatever its seed and recipe.

    ``architecture`` and ``objective`` are names in the study; None for a depth of the written
    study, and where a study has no objectives.
    """

    spec: ModelSpec
    architecture: str | None = None
    objective: str | None = None

    @property
    def identity(self) -> Identity:
        """The values that distinguish it from the other variants of the study."""
        networks: dict[str, object] = {"architecture": self.architecture}
        if self.architecture is None:
            networks = {"depth": self.spec.depth}
        named = {} if self.objective is None else {"objective": self.objective}
        return networks | {"latent_dim": self.spec.latent_dim} | named
