import pytest
from torch import nn

from models.fast.layers import layers_of
from models.fast.linear_maps import Convolution, Dense, TransposedConvolution
from models.networks.autoencoder import Autoencoder
from models.specs import WRITTEN_SHAPE, ModelSpec
from models.training.stacked_parameters import StackedParameters


def test_an_autoencoder_is_convolutions_around_dense_layers():
    module = Autoencoder(ModelSpec.written(depth=2, latent_dim=20), WRITTEN_SHAPE)
    layers = layers_of(module, StackedParameters([module]))
    kinds = [type(layer.linear_map) for layer in layers]
    assert kinds == [Convolution] * 2 + [Dense] * 2 + [TransposedConvolution] * 2
    assert [layer.shape for layer in layers] == [
        (18, 12, 12),
        (36, 5, 5),
        (20,),
        (900,),
        (18, 12, 12),
        (1, 28, 28),
    ]
    assert [layer.output_bias is not None for layer in layers] == [False] * 5 + [True]


def test_an_error_names_an_unknown_layer():
    module = nn.Sequential(nn.Linear(4, 4), nn.Dropout())
    with pytest.raises(TypeError, match="1: Dropout"):
        layers_of(module, StackedParameters([module]))
