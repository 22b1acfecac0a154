"""Networks as they should not be, and as they may be."""

import math

import torch
from torch import nn

COUNT = []


def images(latent_dim, image_shape, *last):
    return nn.Sequential(
        nn.Linear(latent_dim, math.prod(image_shape)), nn.Unflatten(1, image_shape), *last
    )


def plain(image_shape, outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(image_shape), outputs))


def decoder(image_shape, latent_dim):
    return images(latent_dim, image_shape, nn.Sigmoid())


# Broken


def raises(image_shape, outputs):
    widths = {"small": 3}
    return nn.Linear(widths["large"], outputs)


def forgets_to_return(image_shape, outputs):
    nn.Linear(3, outputs)


def wrong_shape(image_shape, outputs):
    return nn.Sequential(plain(image_shape, outputs), nn.Unflatten(1, (outputs, 1)))


def no_parameters(image_shape, outputs):
    return nn.Sequential(nn.Flatten(), nn.AdaptiveAvgPool1d(outputs))


def doubles(image_shape, outputs):
    return plain(image_shape, outputs).double()


def huge(image_shape, outputs):
    return nn.Linear(10**7, 10**7)


def takes_grey_only(image_shape, outputs):
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4 * 26 * 26, outputs))


def infinite(image_shape, outputs):
    return nn.Sequential(plain(image_shape, outputs), Scaled(1e30), Scaled(1e30))


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return (x + 1) * self.factor


def lazy(image_shape, outputs):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(outputs))


# Odd


def dropout(image_shape, outputs):
    return nn.Sequential(nn.Dropout(0.5), plain(image_shape, outputs))


class Tied(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.first, self.second = nn.Linear(inputs, outputs), nn.Linear(inputs, outputs)
        self.second.weight = self.first.weight

    def forward(self, x):
        return self.first(x) + self.second(x)


def tied_weights(image_shape, outputs):
    return nn.Sequential(nn.Flatten(), Tied(math.prod(image_shape), outputs))


def layer_norm(image_shape, outputs):
    return nn.Sequential(
        nn.Flatten(), nn.LayerNorm(math.prod(image_shape)), plain(image_shape, outputs)
    )


class Noise(nn.Module):
    def forward(self, x):
        return x + 0.1 * torch.randn_like(x) if self.training else x


def own_randomness(image_shape, outputs):
    return nn.Sequential(Noise(), plain(image_shape, outputs))


class AlwaysNoise(nn.Module):
    def forward(self, x):
        return x + 0.1 * torch.rand_like(x)


def randomness_in_evaluation(image_shape, outputs):
    return nn.Sequential(AlwaysNoise(), plain(image_shape, outputs))


def no_sigmoid(image_shape, latent_dim):
    return images(latent_dim, image_shape)


made_by_lambda = lambda *arguments: nn.Sequential(plain(*arguments), nn.Tanh())  # noqa: E731


class EncoderClass(nn.Module):
    def __init__(self, image_shape, outputs):
        super().__init__()
        self.layers = plain(image_shape, outputs)

    def forward(self, x):
        return self.layers(x)


def nested_import(image_shape, outputs):
    from parts.more import make

    return make(image_shape, outputs)


def global_state(image_shape, outputs):
    COUNT.append(1)
    return nn.Sequential(plain(image_shape, outputs), *[nn.Tanh() for _ in COUNT])


def exits(image_shape, outputs):
    raise SystemExit(3)
