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

from typing import Any, Literal, NamedTuple, Protocol, get_args

from torch import Tensor

from models.messages import shown
from models.specs import ConfigError

# numbers of an epoch that are no parts of a loss
EPOCH_NAMES = {"train_loss", "test_loss", "validation_loss", "learning_rate", "objective_loss"}
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
    """What the attributes of an objective say, or the defaults.

    Raises ConfigError if its noise is to be like neither an image nor a latent vector.
    """
    said = {name: getattr(objective, name) for name in Needs._fields if hasattr(objective, name)}
    found = Needs()._replace(**said)
    if found.noise_like not in {None, *get_args(NoiseLike)}:
        raise ConfigError(f"objective: noise_like is {shown(found.noise_like)}; image or latent")
    return found


def loss_and_parts(value: object, name: str) -> dict[str, Tensor]:
    """The value of an objective as a dictionary with a ``loss``.

    Raises ConfigError, in one line, for a value that is no scalar, or has no loss.
    """
    found: dict[str, Any] = value if isinstance(value, dict) else {"loss": value}
    if "loss" not in found:
        raise ConfigError(f"objective {name} returns {', '.join(map(shown, found))} and no 'loss'")
    for key, one in found.items():
        if key in EPOCH_NAMES or not (isinstance(key, str) and key.isidentifier()):
            raise ConfigError(f"objective {name}: {shown(key)} cannot be the name of a part")
        if not isinstance(one, Tensor) or one.ndim or not one.is_floating_point():
            kind = type(one).__name__
            if isinstance(one, Tensor):
                dtype = str(one.dtype).removeprefix("torch.")
                kind = f"shape {tuple(one.shape)}" if one.ndim else f"type {dtype}"
            raise ConfigError(
                f"objective {name}: {key} is of {kind}; return a scalar tensor, such as a mean"
            )
    return found
