"""Variational autoencoders (Kingma and Welling 2014), with a weight beta (Higgins et al. 2017)."""

from typing import Any, ClassVar

from pydantic import Field
from torch import Tensor

from models.objectives.objective import Extra, NoiseLike
from models.specs import Value


class Variational(Value):
    """The negative evidence lower bound in nats per image, up to a constant.

    It is the sum of an image's squared errors over 2 sigma^2, for pixels that are normal around
    the reconstruction; plus beta times the Kullback-Leibler divergence of the latent distribution
    from the standard normal one, summed over the units. Both are means over images.

    The encoder's network returns (n, 2 d): means, then logarithms of variances. The latent vector
    of an image elsewhere is its mean.
    """

    beta: float = Field(1.0, ge=0, le=1e6, description="Weight of the divergence.")
    sigma: float = Field(
        1.0, gt=0, le=1e6, description="Standard deviation of a pixel; white is 1."
    )
    noise_like: ClassVar[NoiseLike] = "latent"
    latent_outputs: ClassVar[int] = 2
    linear_latent: ClassVar[bool] = True

    def __call__(self, autoencoder: Any, images: Tensor, extra: Extra) -> dict[str, Tensor]:
        """The mean over a batch of one autoencoder, and both parts."""
        assert extra.noise is not None, "the training step gives noise"
        mean, log_variance = autoencoder.encoder.network(images).chunk(2, 1)
        latents = mean + (log_variance / 2).exp() * extra.noise
        errors = (autoencoder.decoder(latents) - images).square().flatten(1).sum(1)
        reconstruction = errors.mean() / (2 * self.sigma**2)
        kl = divergence(mean, log_variance).mean()
        return {
            "loss": reconstruction + self.beta * kl,
            "reconstruction": reconstruction,
            "kl": kl,
        }


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence in nats from the standard normal distribution.

    It is (n,), summed over the units of means and logarithms of variances (n, d).
    """
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2
