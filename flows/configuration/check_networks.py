"""Tries the networks of a study on a few images before anything is trained."""

from collections.abc import Iterator

from flows.configuration.networks_config import Variant
from flows.configuration.study_config import StudyConfig
from models.specs import WRITTEN_SHAPE, ConfigError, ImageShape, ModelSpec
from tasks.own_code.registry import OWN_CODES


def check_networks(config: StudyConfig, image_shape: ImageShape) -> list[str]:
    """What is odd about the study's networks for images of a shape.

    Networks that the study file names are built at every latent size, and run on a few images.

    Raises ConfigError, in one line, for networks that cannot be trained on such images.
    """
    if config.architectures is None:
        if tuple(image_shape) != WRITTEN_SHAPE:
            _build(config.transfer_model, image_shape, config)
        return []
    OWN_CODES.register_builders()
    notes = [note for one in _distinct(config) for note in _build(one, image_shape, config)]
    return list(dict.fromkeys(notes))


def _distinct(config: StudyConfig) -> Iterator[Variant]:
    wanted = [*config.architecture_sweep, *config.latent_sweep, *config.interpolation_models]
    yield from dict.fromkeys([*wanted, config.transfer_model])


def _build(variant: Variant, image_shape: ImageShape, config: StudyConfig) -> list[str]:
    """Build and try the networks of a variant; what is odd about them."""
    from models.networks.autoencoder import Autoencoder, NetworkEncoder
    from models.networks.checks import check_networks as check

    spec, name = variant.spec, variant.architecture
    try:
        _check_sizes(spec, image_shape)
        model = Autoencoder(spec, image_shape)
        if name is None or not isinstance(model.encoder, NetworkEncoder):
            return []
        assert config.architectures is not None
        named = config.architectures[name]
        return check(
            model.encoder.network,
            model.decoder,
            image_shape,
            spec.latent_dim * spec.latent_outputs,
            spec.latent_dim,
            (named.encoder, named.decoder),
        )
    except ConfigError as error:
        place = f"architectures.{name}, d = {spec.latent_dim}: " if name else ""
        raise ConfigError(f"{place}{error}") from None


def _check_sizes(spec: ModelSpec, image_shape: ImageShape) -> None:
    """Raise ConfigError for a user's networks that are larger than this machine's memory."""
    parts, shape = spec.architecture, tuple(image_shape)
    outputs = spec.latent_dim * spec.latent_outputs
    for digest, size in ((parts.encoder, outputs), (parts.decoder, spec.latent_dim)):
        if digest in OWN_CODES.codes:
            OWN_CODES.check_size(digest, shape, size, options=parts.options)
