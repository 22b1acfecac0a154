"""What scikit-learn finds in frozen features: probes of their labels, maps of them."""

import warnings
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from numpy import ndarray
    from torch import Tensor

MOST_ITERATIONS = 200  # of the linear probe
TOLERANCE = 1e-3  # gradient of its mean loss, where it ends
PERPLEXITY = 30.0  # of t-SNE, with enough images
MAP_ITERATIONS = 750
FEWEST_MAPPED = 5  # different images


class Probed(NamedTuple):
    """Features (n, d) and labels (n,) to fit a probe to, and those to test it on."""

    train: "Tensor"
    train_labels: "Tensor"
    test: "Tensor"
    test_labels: "Tensor"


def linear_probe_accuracy(of: Probed) -> float:
    """The share of the test labels that a linear classifier finds from the features.

    It is multinomial logistic regression with an L2 penalty of 1 (Alain and Bengio 2016 call it a
    linear probe), on features that have mean 0 and standard deviation 1 on the training images.
    Constant features are 0. Without a second class every image gets the first.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    train, labels, test, tested = (one.numpy() for one in of)
    if len(set(labels.tolist())) < 2:
        return float((tested == labels[0]).mean())
    scaler = StandardScaler()
    probe = LogisticRegression(max_iter=MOST_ITERATIONS, tol=TOLERANCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        probe.fit(scaler.fit_transform(train.astype("float64")), labels)
    return float(probe.score(scaler.transform(test.astype("float64")), tested))


def knn_accuracy(of: Probed, neighbours: int) -> float:
    """The share of the test labels that most of the nearest training images have.

    Distances are Euclidean, between features as they are. There are at most as many neighbours as
    training images.
    """
    from sklearn.neighbors import KNeighborsClassifier

    train, labels, test, tested = (one.numpy() for one in of)
    probe = KNeighborsClassifier(min(neighbours, len(train)), algorithm="brute")
    return float(probe.fit(train, labels).score(test, tested))


def probe_accuracies(of: Probed, neighbours: int, prefix: str = "") -> dict[str, float]:
    """The accuracies of both probes by name, after a prefix."""
    return {
        f"{prefix}linear_probe_accuracy": linear_probe_accuracy(of),
        f"{prefix}knn_accuracy": knn_accuracy(of, neighbours),
    }


def tsne_map(features: "Tensor", seed: int) -> "ndarray | None":
    """Coordinates (n, 2) of features (n, d) by t-SNE (van der Maaten and Hinton 2008).

    It starts from the first two principal components, ``seed`` is that of everything else. None for
    fewer than 5 different vectors.
    """
    from sklearn.manifold import TSNE

    from models.measures.latents import principal_plane

    different = len(features.unique(dim=0))
    if different < FEWEST_MAPPED:
        return None
    start = principal_plane(features)
    start = start / start[:, 0].std() * 1e-4
    tsne = TSNE(
        perplexity=min(PERPLEXITY, (different - 1) / 3),
        init=start.numpy().astype("float32"),
        learning_rate="auto",
        max_iter=MAP_ITERATIONS,
        random_state=seed,
        n_jobs=1,
    )
    found: ndarray = tsne.fit_transform(features.numpy())
    return found
