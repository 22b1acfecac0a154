"""Which networks a study compares, and what each autoencoder of its grid is made of."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, ValidationError, model_validator

from models.messages import plain_message
from models.specs import WRITTEN, Architecture, ModelSpec, ObjectiveSpec, Value
from tasks.cache.identity import Identity
from tasks.own_code.registry import OWN_CODES

SHIPPED_NETWORKS = (WRITTEN, "conv", "mlp")
SHIPPED_OBJECTIVES = ("mse", "bce", "l1", "denoising", "sparse", "vae")
RESERVED = re.compile(r"(depth|latent|seed)_[0-9]+|ci95_(low|high)")


def _is_free(name: str) -> str:
    if RESERVED.fullmatch(name):
        raise ValueError("it is a part of the names of metrics; choose another name")
    return name


# of architectures and objectives, in names of tasks, files and metrics
ShortName = Annotated[
    str, Field(pattern=r"^[A-Za-z][A-Za-z0-9._-]{0,39}$"), AfterValidator(_is_free)
]


def _check_name(name: str, shipped: Sequence[str], function: str, file: str) -> None:
    """Raise ValueError unless a name is one that ships, or one of a function of a user's own.

    ``function`` and ``file`` are examples for the message.
    """
    if name.endswith(".py"):
        raise ValueError(f"{name} needs the name of a function, like {name}:{function}")
    if name not in shipped and ":" not in name:
        raise ValueError(
            f"there is no {name!r}; choose one of {', '.join(shipped)}, or write a function of "
            f"your own as {file}:{function} or package.module:{function}"
        )


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

    @model_validator(mode="after")
    def _written_ones_are_a_pair(self) -> Self:
        if WRITTEN in {self.encoder, self.decoder}:
            try:
                Architecture(encoder=self.encoder, decoder=self.decoder, options=self.options)
            except ValidationError as error:
                raise ValueError(plain_message(error.errors()[0])) from None
        return self

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        for name in (self.encoder, self.decoder):
            _check_name(name, SHIPPED_NETWORKS, "encoder", "nets.py")
        return self

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


class ObjectiveConfig(Value):
    """An objective: its name, and its settings beside it."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(
        description=f"One that ships ({', '.join(SHIPPED_OBJECTIVES)}), or a class or "
        "function of your own, as `losses.py:Huber` beside the study file. It is called with the "
        "settings and returns an objective."
    )
    code: str | None = Field(
        None, description="The digest of your own code, noted when the study is read."
    )

    @model_validator(mode="after")
    def _name_is_known(self) -> Self:
        _check_name(self.name, SHIPPED_OBJECTIVES, "Huber", "losses.py")
        return self

    @property
    def own_code(self) -> dict[str, str]:
        """The reference to a user's own code, if it is one."""
        return {"name": self.name} if ":" in self.name else {}

    @property
    def settings(self) -> dict[str, Any]:
        """What is given beside the name."""
        return dict(self.model_extra or {})

    def value(self) -> ObjectiveSpec:
        """The objective as it counts: own code by its digest."""
        assert bool(self.own_code) == (self.code is not None), "code is read with the study"
        return ObjectiveSpec(name=self.code or self.name, settings=self.settings)


class Variant(NamedTuple):
    """One autoencoder of the grid, whatever its seed and recipe.

    ``architecture`` and ``objective_name`` are names in the study; None for a depth of the written
    study, and where a study has no objectives.
    """

    spec: ModelSpec
    architecture: str | None = None
    objective: ObjectiveSpec = ObjectiveSpec()
    objective_name: str | None = None

    @property
    def identity(self) -> Identity:
        """The values that distinguish it from the other variants of the study."""
        networks: dict[str, object] = {"architecture": self.architecture}
        if self.architecture is None:
            networks = {"depth": self.spec.depth}
        named = {} if self.objective_name is None else {"objective": self.objective_name}
        return networks | {"latent_dim": self.spec.latent_dim} | named


def latent_outputs(objective: ObjectiveSpec) -> Literal[1, 2]:
    """Outputs of an encoder's network for each latent unit, which an objective needs."""
    if objective.name in OWN_CODES.codes:
        return 2 if getattr(OWN_CODES.find(objective.name), "latent_outputs", 1) == 2 else 1
    return 2 if objective.name == "vae" else 1
