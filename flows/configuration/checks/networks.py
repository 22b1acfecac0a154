"""Tries the networks and measures of a study on a few images before anything is trained."""

import multiprocessing
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from flows.configuration.networks_config import Variant
from flows.configuration.own_code import own_codes
from flows.configuration.study_config import StudyConfig
from models.specs import WRITTEN_SHAPE, ConfigError, ImageShape, ModelSpec
from tasks.cache.canonical import digest
from tasks.execution.worker_processes import without_main_module
from tasks.own_code.registry import OWN_CODES, Texts, install_texts, texts_of

TRIED = 8  # images that measures are tried with
_lock = threading.Lock()
_checked: dict[str, list[str]] = {}  # notes of this process, by digest of study and shape


def check_networks(config: StudyConfig, image_shape: ImageShape) -> list[str]:
    """What is odd about the study's networks for images of a shape.

    Networks that the study file names are built at every latent size, and run on a few images. That
    is done in a process of its own, which takes the memory with it when it ends.

    Raises ConfigError, in one line, for networks that cannot be trained on such images.
    """
    if config.architectures is None and config.objectives is None:
        if tuple(image_shape) != WRITTEN_SHAPE:
            _build(config.transfer_model, image_shape, config)
        return []
    with _lock:  # a run is planned in another thread while its server starts
        key = digest([config, image_shape])
        if key not in _checked:
            named = [*(config.architectures or {}), *(config.objectives or {})]
            given = config, image_shape, texts_of(own_codes(config))
            _checked[key] = _in_child("networks", named, _check_all, *given)
        return _checked[key]


def check_measures(config: StudyConfig, image_shape: ImageShape, n_classes: int) -> None:
    """Call the study's own measures with a few random images, in a process of its own.

    Raises ConfigError, in one line, for one that fails or returns no number.
    """
    if config.measures is None:
        return
    with _lock:
        key = digest(["measures", config, image_shape, n_classes])
        if key in _checked:
            return
        named = {name: one.code for name, one in config.measures.items()}
        texts, size = texts_of(own_codes(config)), config.depth_latent_dim
        given = named, tuple(image_shape), size, n_classes, texts
        _checked[key] = _in_child("measures", named, _call_all, *given)


def _call_all(
    named: dict[str, str], shape: tuple[int, ...], latent_dim: int, n_classes: int, texts: Texts
) -> list[str]:
    import torch

    from tasks.own_code.measure import call_measure

    install_texts(texts)
    stream = torch.Generator().manual_seed(0)
    images, rebuilt = (torch.rand(TRIED, *shape, generator=stream) for _ in range(2))
    latents = torch.randn(TRIED, latent_dim, generator=stream)
    labels = torch.arange(TRIED) % n_classes if n_classes else None
    for name, code in named.items():
        try:
            call_measure(code, images, rebuilt, latents, labels, seed=0)
        except ConfigError as error:
            raise ConfigError(f"measures.{name}: {error}") from None
    return []


def _in_child(
    kind: str, named: Iterable[str], check: Callable[..., list[str]], *arguments: object
) -> list[str]:
    """What a check of these named networks or measures returns in a child process."""
    context = multiprocessing.get_context("spawn")
    with without_main_module(), ProcessPoolExecutor(1, mp_context=context) as child:
        try:
            return child.submit(check, *arguments).result()
        except BrokenProcessPool:
            raise ConfigError(
                f"the process that tried the {kind} died; it ran out of memory, or their code "
                f"ends it ({', '.join(named)})"
            ) from None


def _check_all(config: StudyConfig, image_shape: ImageShape, texts: Texts) -> list[str]:
    install_texts(texts)
    notes = [note for one in _distinct(config) for note in _build(one, image_shape, config)]
    return list(dict.fromkeys(notes))


def _distinct(config: StudyConfig) -> Iterator[Variant]:
    wanted = [*config.architecture_sweep, *config.latent_sweep, *config.interpolation_models]
    wanted += config.objective_sweep
    yield from dict.fromkeys([*wanted, config.transfer_model])


def _build(variant: Variant, image_shape: ImageShape, config: StudyConfig) -> list[str]:
    """Build and try the networks of a variant; what is odd about them."""
    import torch

    from models.engines import try_objective
    from models.networks.autoencoder import Autoencoder, NetworkEncoder
    from models.networks.checks import check_networks as check
    from models.objectives.checks import check_objective
    from models.objectives.registry import make_objective

    spec, name, notes = variant.spec, variant.architecture, []
    place = f"architectures.{name}, d = {spec.latent_dim}: " if name else ""
    try:
        _check_sizes(spec, image_shape)
        model = Autoencoder(spec, image_shape)
        if name is not None and isinstance(model.encoder, NetworkEncoder):
            assert config.architectures is not None
            named = config.architectures[name]
            notes = check(
                model.encoder.network,
                model.decoder,
                image_shape,
                spec.latent_dim * spec.latent_outputs,
                spec.latent_dim,
                (named.encoder, named.decoder),
            )
        if variant.objective_name is not None:
            place = f"objectives.{variant.objective_name}: "
        objective = make_objective(variant.objective)
        check_objective(objective, spec, model, torch.zeros(2, *image_shape))
        if variant.objective.name in OWN_CODES.codes:
            try_objective(objective, model, image_shape)
    except ConfigError as error:
        raise ConfigError(f"{place}{error}") from None
    return notes


def _check_sizes(spec: ModelSpec, image_shape: ImageShape) -> None:
    """Raise ConfigError for a user's networks that are larger than this machine's memory."""
    parts, shape = spec.architecture, tuple(image_shape)
    outputs = spec.latent_dim * spec.latent_outputs
    for name, size in ((parts.encoder, outputs), (parts.decoder, spec.latent_dim)):
        if name in OWN_CODES.codes:
            OWN_CODES.check_size(name, shape, size, options=parts.options)
