import math

from torch import nn


class Head(nn.Sequential):
    def __init__(self, inputs, image_shape):
        super().__init__(
            nn.Linear(inputs, math.prod(image_shape)), nn.Unflatten(1, image_shape), nn.Sigmoid()
        )
