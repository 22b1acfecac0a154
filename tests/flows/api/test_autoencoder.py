"""Arrays that a trained autoencoder takes, and those that it refuses."""

from types import SimpleNamespace

import numpy as np
import pytest

from flows.api.autoencoder import TrainedAutoencoder
from models.networks.autoencoder import Autoencoder
from models.specs import Architecture, ModelSpec


def trained(image_shape):
    architecture = Architecture(encoder="mlp", decoder="mlp")
    module = Autoencoder(ModelSpec(architecture=architecture, latent_dim=3), image_shape).eval()
    entry = SimpleNamespace(name="train[x]", result={"image_shape": list(image_shape)})
    return TrainedAutoencoder(module, entry, SimpleNamespace())


GREY, COLOUR = trained((1, 8, 6)), trained((3, 8, 6))
IMAGES = np.random.default_rng(0).integers(0, 256, (700, 1, 8, 6), np.uint8)


def test_bytes_and_floats_of_the_same_images_are_equal():
    encoded = GREY.encode(IMAGES)
    assert encoded.shape == (700, 3)
    assert encoded.dtype == np.float32
    for same in (IMAGES[:, 0], IMAGES / np.float32(255), IMAGES / 255):
        np.testing.assert_allclose(GREY.encode(same), encoded, atol=1e-6)


def test_a_batch_changes_nothing():
    one_by_one = np.concatenate([GREY.encode(IMAGES[i : i + 1]) for i in range(600, 604)])
    np.testing.assert_allclose(GREY.encode(IMAGES)[600:604], one_by_one, atol=1e-5)


def test_no_images_have_no_latents():
    assert GREY.encode(IMAGES[:0]).shape == (0, 3)
    assert GREY.decode(np.empty((0, 3))).shape == (0, 1, 8, 6)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((8, 6), np.uint8), r"expected \(n, 1, 8, 6\) or \(n, 8, 6\); a single image"),
        (np.zeros((5, 6, 8), np.uint8), r"images of shape \(5, 6, 8\)"),
        (IMAGES.astype(int), "type int64"),
        (IMAGES.astype(float), "divide by 255"),
        (np.full((1, 8, 6), np.nan), "NaN or infinite"),
        (np.full((1, 8, 6), -0.5), r"from -0\.5 to -0\.5: floats are from 0 to 1; rescale them"),
        (np.full((1, 8, 6), 1.00001), r"from 1\.00001 to 1\.00001: .*; rescale"),
    ],
)
def test_images_that_may_mean_something_else_are_refused(images, words):
    with pytest.raises(ValueError, match=words):
        GREY.encode(images)


def test_colour_has_its_channels_first():
    assert COLOUR.reconstruct(np.zeros((2, 3, 8, 6), np.uint8)).shape == (2, 3, 8, 6)
    with pytest.raises(ValueError, match=r"numpy\.moveaxis\(images, 3, 1\)"):
        COLOUR.encode(np.zeros((2, 8, 6, 3), np.uint8))
    with pytest.raises(ValueError, match="a single image is images"):
        COLOUR.encode(np.zeros((3, 8, 6), np.uint8))


def test_a_mask_is_nearly_black_and_that_is_said():
    with pytest.warns(UserWarning, match="nearly black: white is 255"):
        GREY.encode(np.ones((1, 8, 6), np.uint8))


def test_latents_have_a_row_for_each_image():
    with pytest.raises(ValueError, match=r"latents of shape \(3,\): expected \(n, 3\)"):
        GREY.decode(np.zeros(3))
    with pytest.raises(ValueError, match="NaN or infinite"):
        GREY.decode(np.full((1, 3), np.nan))
