"""How long trainings take, relative to each other: the longest go first, so that none ends alone.

Measured on two cores with 60,000 images; only the order comes of it.
"""

from models.specs import ModelSpec, TransferSpec

EPOCH_WORK = {1: 0.2, 2: 1.0, 3: 1.0}  # one pass of an autoencoder, by depth
CLASSIFIER_SHARE = {"head": 0.05, "head_and_encoder": 0.5}  # of a pass of its autoencoder
TEST_WORK = 0.03  # one look at the test images
ALL_LABELS = 60_000


def training_cost(spec: ModelSpec, epochs: int) -> float:
    """Work of training an autoencoder."""
    return epochs * EPOCH_WORK[spec.depth] * (1 + spec.latent_dim / 500)


def transfer_cost(spec: TransferSpec, encoder: ModelSpec) -> float:
    """Work of training a classifier on an encoder."""
    labels = ALL_LABELS if spec.label_budget == "all" else spec.label_budget
    images = max(spec.epochs * labels, spec.minimum_updates * min(spec.batch_size, labels))
    tests = min(20, images / labels) * TEST_WORK
    share = CLASSIFIER_SHARE[spec.trained]
    return (share * images / ALL_LABELS + tests) * EPOCH_WORK[encoder.depth]
