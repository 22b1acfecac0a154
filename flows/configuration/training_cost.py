"""How long trainings take, relative to each other: the longest start first.

Otherwise a long training that starts last would leave the other workers idle. Measured on two cores
with 60,000 images; only the order of the trainings and the note on more seeds depend on it.
"""

from flows.configuration.grid import autoencoders, classifiers
from flows.configuration.study_config import Section, StudyConfig
from models.specs import ModelSpec, TransferSpec

EPOCH_WORK = {1: 0.2, 2: 1.0, 3: 1.0}  # one epoch of an autoencoder, by depth
CLASSIFIER_SHARE = {"head": 0.05, "head_and_encoder": 0.5}  # of an epoch of its autoencoder
TEST_WORK = 0.03  # one evaluation on the test images
ALL_LABELS = 60_000
UNIT_SECONDS = 7  # of one core of docs/speed.md for an epoch of 60,000 images at depth 2
ENOUGH_SEEDS = 5


def _epoch_work(spec: ModelSpec) -> float:
    """Work of one epoch; of networks that are not the written study's it is not known."""
    return 1.0 if spec.depth is None else EPOCH_WORK[spec.depth]


def training_cost(spec: ModelSpec, epochs: int) -> float:
    """Work of training an autoencoder, in epochs of one at depth 2 and a small latent size."""
    return epochs * _epoch_work(spec) * (1 + spec.latent_dim / 500)


def transfer_cost(spec: TransferSpec, encoder: ModelSpec) -> float:
    """Work of training a classifier with this encoder, in the same unit."""
    labels = ALL_LABELS if spec.label_budget == "all" else spec.label_budget
    images = max(spec.epochs * labels, spec.minimum_updates * min(spec.batch_size, labels))
    tests = min(20, images / labels) * TEST_WORK
    share = CLASSIFIER_SHARE[spec.trained]
    return (share * images / ALL_LABELS + tests) * _epoch_work(encoder)


def more_seeds_note(config: StudyConfig, sections: tuple[Section, ...], n_train: int) -> str:
    """What more seeds would cost a study of one seed; empty for several seeds."""
    if len(config.seeds) > 1:
        return ""
    first = config.seeds[0]
    seeds = tuple(range(first, first + ENOUGH_SEEDS))
    more = config.model_copy(update={"seeds": seeds})
    seconds = _work(more, sections, n_train) - _work(config, sections, n_train)
    if not seconds:
        return ""
    minutes = max(1, round(seconds * UNIT_SECONDS / config.runner.tasks_at_once / 60))
    listed = ",".join(map(str, seeds))
    return (
        f"one seed decides no claim on losses or accuracies; {ENOUGH_SEEDS} seeds "
        f"(--set seeds=[{listed}]) take about {minutes} more minute{'' if minutes == 1 else 's'} "
        f"of training with {config.runner.tasks_at_once} tasks at once, estimated from another "
        "machine"
    )


def _work(config: StudyConfig, sections: tuple[Section, ...], n_train: int) -> float:
    """Work of all trainings of a study with so many training images, in the same unit."""
    heads = classifiers(config, sections, n_train)
    share, epochs = n_train / ALL_LABELS, config.training.epochs
    models = autoencoders(config, sections, heads)
    return sum(share * training_cost(one.spec, epochs) for one in models) + sum(
        transfer_cost(one.spec, one.architecture) * (share if one.spec.label_budget == "all" else 1)
        for one in heads
    )
