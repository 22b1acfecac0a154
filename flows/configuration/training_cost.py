"""How long trainings take, relative to each other: the longest start first.

Otherwise a long training that starts last would leave the other workers idle. Measured on two cores
with 60,000 images; only the order of the trainings depends on it.
"""

from models.specs import ModelSpec, TransferSpec

EPOCH_WORK = {1: 0.2, 2: 1.0, 3: 1.0}  # one epoch of an autoencoder, by depth
CLASSIFIER_SHARE = {"head": 0.05, "head_and_encoder": 0.5}  # of an epoch of its autoencoder
TEST_WORK = 0.03  # one evaluation on the test images
ALL_LABELS = 60_000


def training_cost(spec: ModelSpec, epochs: int) -> float:
    """Work of training an autoencoder, in epochs of one at depth 2 and a small latent size."""
    return epochs * EPOCH_WORK[spec.depth] * (1 + spec.latent_dim / 500)


def transfer_cost(spec: TransferSpec, encoder: ModelSpec) -> float:
    """Work of training a classifier with this encoder, in the same unit."""
    labels = ALL_LABELS if spec.label_budget == "all" else spec.label_budget
    images = max(spec.epochs * labels, spec.minimum_updates * min(spec.batch_size, labels))
    tests = min(20, images / labels) * TEST_WORK
    share = CLASSIFIER_SHARE[spec.trained]
    return (share * images / ALL_LABELS + tests) * EPOCH_WORK[encoder.depth]
