"""Checks that an autoencoder is what an objective needs."""

import copy

import torch
from torch import Tensor, nn

from models.networks.factories import seeded_everywhere
from models.objectives.objective import Objective, needs_of
from models.objectives.registry import name_of
from models.specs import ConfigError, ModelSpec

PROBED_LATENTS = 64
FAR = 10.0  # standard deviation of latents that are tried


def check_objective(
    objective: Objective, spec: ModelSpec, autoencoder: nn.Module, images: Tensor
) -> None:
    """Check one autoencoder with a few images (n, c, h, w) in [0, 1].

    The autoencoder is not changed.

    Raises ConfigError, in one line, for a latent activation, a number of the encoder's outputs or a
    range of reconstructions that the objective cannot use.
    """
    needs, name = needs_of(objective), name_of(objective)
    if needs.linear_latent and spec.latent_activation != "linear":
        raise ConfigError(
            f"objective {name}: latents are means and may be negative; "
            f"set latent_activation: linear, not {spec.latent_activation}"
        )
    if needs.latent_outputs != spec.latent_outputs:
        raise ConfigError(
            f"objective {name}: the encoder's network must have {needs.latent_outputs} outputs for "
            f"each latent unit, and has {spec.latent_outputs}"
        )
    if needs.unit_outputs:
        low, high = output_range(autoencoder, spec.latent_dim, images)
        if not (low >= 0 and high <= 1):
            raise ConfigError(
                f"objective {name}: reconstructions must be in [0, 1] and are in "
                f"[{low:.3g}, {high:.3g}]; end the decoder in a sigmoid"
            )


@torch.no_grad()
def output_range(autoencoder: nn.Module, latent_dim: int, images: Tensor) -> tuple[float, float]:
    """The least and the largest value of reconstructions, and of what far latents decode to.

    ``images`` are (n, c, h, w).
    """
    model = copy.deepcopy(autoencoder).cpu().eval()
    like = next((one for one in model.parameters() if one.is_floating_point()), torch.empty(0))
    stream = torch.Generator().manual_seed(0)
    latents = FAR * torch.randn(PROBED_LATENTS, latent_dim, generator=stream)
    assert isinstance(model.decoder, nn.Module)
    with seeded_everywhere(0):
        parts = [model(images.cpu().to(like.dtype)), model.decoder(latents.to(like.dtype))]
    return (min(float(one.min()) for one in parts), max(float(one.max()) for one in parts))
