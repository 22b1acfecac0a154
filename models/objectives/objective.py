"""What a training minimizes, as a protocol.

An objective of your own is a function of three arguments, or a class with settings:

    @dataclass(frozen=True)
    class Noisy:
        deviation: float = 0.2
        noise_like: ClassVar = "image"

        def __call__(self, autoencoder, images, extra):
            noisy = images + self.deviation * extra.noise
            return (autoencoder(noisy) - images).square().mean()

It is written for one model. Stacks of models are mapped over it.
"""

from typing import Any, Literal, NamedTuple, Protocol

from torch import Tensor

NoiseLike = Literal["image", "latent"]


class Extra(NamedTuple):
    """What a batch has besides its inputs, as far as the objective asks for it.

    ``labels`` are (n,). ``noise`` is standard normal, new for every batch, of the shape of the
    inputs or of the latents (n, d).
    """

    labels: Tensor | None = None
    noise: Tensor | None = None


class Objective(Protocol):
    """A loss of one module and one batch.

    Attributes say what an objective needs; ``needs_of`` reads them, and has their defaults.
    """

    def __call__(self, module: Any, inputs: Tensor, extra: Extra, /) -> Tensor | dict[str, Tensor]:
        """The loss, a scalar; or ``loss`` and its parts by name, scalars that are reported.

        Of an autoencoder it may use ``module(inputs)``, ``module.encoder``, ``module.decoder``.
        Random numbers come from ``extra.noise``. Those that it draws itself have a stream of their
        own too, but then the models of a stack train one by one.
        """


class Needs(NamedTuple):
    """What an objective needs of batches and modules.

    ``with_labels``: compares outputs with labels; otherwise inputs are reconstructed.
    ``noise_like``: the shape of the normal noise that it wants.
    ``latent_outputs``: outputs of the encoder's network for each latent unit.
    ``linear_latent``: latents must be free to be negative.
    ``unit_outputs``: reconstructions must be in [0, 1].
    """

    with_labels: bool = False
    noise_like: NoiseLike | None = None
    latent_outputs: int = 1
    linear_latent: bool = False
    unit_outputs: bool = False


def needs_of(objective: Objective) -> Needs:
    """What the attributes of an objective say, or the defaults."""
    said = {name: getattr(objective, name) for name in Needs._fields if hasattr(objective, name)}
    return Needs()._replace(**said)


def loss_and_parts(value: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
    """The value of an objective as a dictionary with a ``loss``."""
    return value if isinstance(value, dict) else {"loss": value}
