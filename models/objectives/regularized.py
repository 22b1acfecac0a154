"""Squared errors that noise or a penalty keeps from copying."""

from typing import Annotated, Any, ClassVar

from pydantic import Field
from torch import Tensor

from models.objectives.objective import Extra, NoiseLike
from models.objectives.squared_error import mean_square
from models.specs import Value

Positive = Annotated[float, Field(ge=0, le=1e6)]


class Denoising(Value):
    """Mean squared error between the clean images and the reconstructions of noisy ones.

    (Vincent et al. 2008.) Noisy values may leave [0, 1].
    """

    noise: Positive = Field(0.3, description="Standard deviation of the noise; white is 1.")
    noise_like: ClassVar[NoiseLike] = "image"

    def __call__(self, autoencoder: Any, images: Tensor, extra: Extra) -> Tensor:
        """The mean over a batch of one autoencoder."""
        assert extra.noise is not None, "the training step gives noise"
        return mean_square(autoencoder(images + self.noise * extra.noise), images)


class Sparse(Value):
    """Mean squared error, and a weight times the mean absolute value of the latents."""

    weight: Positive = Field(1e-3, description="Weight of the mean absolute latent value.")

    def __call__(self, autoencoder: Any, images: Tensor, extra: Extra) -> dict[str, Tensor]:
        """The mean over a batch of one autoencoder, and its parts."""
        latents = autoencoder.encoder(images)
        error = mean_square(autoencoder.decoder(latents), images)
        size = latents.abs().mean()
        return {"loss": error + self.weight * size, "reconstruction": error, "latent_l1": size}
