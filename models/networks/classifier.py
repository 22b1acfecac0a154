"""A small classifier on top of an encoder."""

from torch import Tensor, nn

from models.networks.autoencoder import make_encoder
from models.specs import ImageShape, ModelSpec


class Classifier(nn.Module):
    """Encoder, then an MLP d -> 50 -> 100 -> k classes with ReLU between; gives logits (n, k)."""

    def __init__(
        self, spec: ModelSpec, image_shape: ImageShape, n_classes: int = 10, seed: int = 0
    ):
        super().__init__()
        self.n_classes = n_classes
        self.encoder = make_encoder(spec, image_shape, seed)
        self.head = nn.Sequential(
            nn.Linear(spec.latent_dim, 50),
            nn.ReLU(),
            nn.Linear(50, 100),
            nn.ReLU(),
            nn.Linear(100, n_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Images x (n, c, h, w) to logits (n, k)."""
        logits: Tensor = self.head(self.encoder(x))
        return logits


def feature_layers(classifier: Classifier) -> nn.Sequential:
    """The layers of a classifier without its last: images to features (n, 100)."""
    return nn.Sequential(classifier.encoder, *classifier.head[:-1])
