"""Strided convolutions of channels-last maps as products with one matrix.

A window slides over a map and cuts out patches. A convolution multiplies the patches with a matrix;
a transposed convolution multiplies first, and adds the products up where the patches were cut out.
Both, and their gradients, are ``Patches.gather`` and ``Patches.scatter`` around a matrix product.
"""

from dataclasses import dataclass

from torch import Tensor

from models.fast.scratch import Scratch


@dataclass(frozen=True)
class Window:
    """A square window over square maps (size, size, channels), put down ``count`` times each way.

    ``block`` neighbouring positions of a row share one patch: where channels are few, fewer and
    longer patches copy and multiply faster, though the matrix then holds zeros.
    """

    kernel: int
    stride: int
    padding: int
    size: int
    channels: int
    count: int
    block: int = 1

    @property
    def groups(self) -> int:
        """Patches in a row of positions."""
        return self.count // self.block

    @property
    def width(self) -> int:
        """Columns of a patch."""
        return self.kernel + self.stride * (self.block - 1)

    @property
    def patch_size(self) -> int:
        """Values in a patch."""
        return self.kernel * self.width * self.channels

    @property
    def patches(self) -> int:
        """Patches cut out of one map."""
        return self.count * self.groups

    @property
    def padded_size(self) -> int:
        """Rows and columns of the map with the padding that the window reaches."""
        return max((self.count - 1) * self.stride + self.kernel, self.padding + self.size)

    def places(self, matrix: Tensor, outputs: int) -> Tensor:
        """Where the weights stand in matrices (models, patch_size, block * outputs).

        A view (models, block, kernel, kernel, channels, outputs); all else in a matrix is zero.
        """
        model, row, column = matrix.stride()
        return matrix.as_strided(
            (len(matrix), self.block, self.kernel, self.kernel, self.channels, outputs),
            (
                model,
                self.stride * self.channels * row + outputs * column,
                self.width * self.channels * row,
                self.channels * row,
                row,
                column,
            ),
        )


class Patches:
    """Moves maps to patches and back, between fixed places in memory.

    ``maps`` (models, n, size * size * channels) and ``values`` (models, n * patches, patch_size)
    are read and written at every call.
    """

    def __init__(self, window: Window, maps: Tensor, values: Tensor, scratch: Scratch):
        w = window
        models, n, _ = maps.shape
        shape = (models, n, w.padded_size, w.padded_size, w.channels)
        self._maps = self._source = self._target = maps.unflatten(2, (w.size, w.size, w.channels))
        self._padded = shape != self._maps.shape
        if self._padded:
            self._source = scratch.get(f"{w.size} + {w.padding}", *shape)  # its borders stay zero
            self._target = scratch.get("canvas", *shape)
        inside = slice(w.padding, w.padding + w.size)
        self._source_inside = self._source[:, :, inside, inside]
        self._target_inside = self._target[:, :, inside, inside]

        line, hop = w.padded_size * w.channels, w.stride * w.block * w.channels
        self._values = values.view(models, n, w.count, w.groups, w.kernel, w.width * w.channels)
        of_model, of_map = self._source.stride()[:2]
        self._cut = self._source.as_strided(
            self._values.shape,
            (of_model, of_map, w.stride * line, hop, line, 1),
            self._source.storage_offset(),
        )
        strips = scratch.get("strips", models, n, w.count, w.kernel, line)
        rows = self._target.flatten(3)
        self._into_strips = OverlapAdd(self._values.transpose(3, 4), strips, hop)
        self._into_rows = OverlapAdd(strips.permute(0, 1, 4, 2, 3), rows.transpose(2, 3), w.stride)

    def gather(self) -> None:
        """Cut the patches out of the maps."""
        if self._padded:
            self._source_inside.copy_(self._maps)
        self._values.copy_(self._cut)

    def scatter(self) -> None:
        """Add the patches up in the maps, in place of what was there."""
        self._into_strips()
        self._into_rows()
        if self._padded:
            self._maps.copy_(self._target_inside)


class OverlapAdd:
    """Adds frames (..., steps, width) up in a target (..., length), one every ``hop`` places.

    Frames are at least as wide as the hop.
    """

    def __init__(self, frames: Tensor, target: Tensor, hop: int):
        steps, width = frames.shape[-2:]
        self._rest = target[..., steps * hop :]
        self._additions = []
        for start in range(0, width, hop):
            values = frames[..., start : start + hop]
            spots = target[..., start:].unfold(-1, values.shape[-1], hop)
            self._additions.append((spots[..., :steps, :], values))

    def __call__(self) -> None:
        (first, values), *others = self._additions
        first.copy_(values)
        self._rest.zero_()
        for spot, more in others:
            spot.add_(more)
