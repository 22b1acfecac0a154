"""Strided convolutions of channels-last maps as products with one matrix.

A window slides over a map and cuts out patches. A convolution multiplies the patches by a matrix.
A transposed convolution multiplies first, and adds the resulting patches up at their positions in
the map. Both, and their gradients, are ``Patches.gather`` or ``Patches.scatter`` and a matrix
product.
"""

from dataclasses import dataclass

from torch import Tensor

from models.fast.scratch import Scratch


@dataclass(frozen=True)
class Window:
    """A square window over square maps (size, size, channels): ``positions`` along each axis.

    ``block`` neighbouring positions of a row share one patch: with few channels, fewer and longer
    patches copy and multiply faster, although the matrix then contains zeros. ``block`` divides
    ``positions``.
    """

    kernel: int
    stride: int
    padding: int
    size: int
    channels: int
    positions: int
    block: int = 1

    @property
    def patches_per_row(self) -> int:
        """Patches in a row of positions."""
        return self.positions // self.block

    @property
    def patch_width(self) -> int:
        """Columns of a patch; it has ``kernel`` rows."""
        return self.kernel + self.stride * (self.block - 1)

    @property
    def patch_size(self) -> int:
        """Values in a patch."""
        return self.kernel * self.patch_width * self.channels

    @property
    def patches_per_map(self) -> int:
        """Patches cut out of one map."""
        return self.positions * self.patches_per_row

    @property
    def padded_size(self) -> int:
        """Rows and columns of a padded map; below and right with the padding the window reaches."""
        reached = (self.positions - 1) * self.stride + self.kernel
        return max(reached, self.padding + self.size)

    def weight_entries(self, matrix: Tensor, outputs: int) -> Tensor:
        """The entries of a matrix (models, patch_size, block * outputs) that hold weights.

        A view (models, block, kernel, kernel, channels, outputs); all other entries are zero.
        """
        model, row, column = matrix.stride()
        return matrix.as_strided(
            (len(matrix), self.block, self.kernel, self.kernel, self.channels, outputs),
            (
                model,
                self.stride * self.channels * row + outputs * column,
                self.patch_width * self.channels * row,
                self.channels * row,
                row,
                column,
            ),
        )


class Patches:
    """Copies maps to patches and adds patches up in maps, on fixed memory.

    ``maps`` are (models, n, size * size * channels), ``values`` (models, n * patches_per_map,
    patch_size). ``gather`` reads the maps and overwrites the values, ``scatter`` the reverse.
    """

    def __init__(self, window: Window, maps: Tensor, values: Tensor, scratch: Scratch):
        w = window
        models, n, _ = maps.shape
        shape = (models, n, w.padded_size, w.padded_size, w.channels)
        self._maps = self._source = self._target = maps.unflatten(2, (w.size, w.size, w.channels))
        self._padded = shape != self._maps.shape
        if self._padded:
            # The borders must stay zero, so only maps of equal size and padding share the memory.
            self._source = scratch.get(f"padded source {w.size} + {w.padding}", *shape)
            self._target = scratch.get("padded target", *shape)
        inside = slice(w.padding, w.padding + w.size)
        self._source_inside = self._source[:, :, inside, inside]
        self._target_inside = self._target[:, :, inside, inside]

        row_length = w.padded_size * w.channels
        hop = w.stride * w.block * w.channels  # from one patch to the next in a row
        self._values = values.view(
            models, n, w.positions, w.patches_per_row, w.kernel, w.patch_width * w.channels
        )
        model_stride, map_stride = self._source.stride()[:2]
        self._patches_of_source = self._source.as_strided(
            self._values.shape,
            (model_stride, map_stride, w.stride * row_length, hop, row_length, 1),
            self._source.storage_offset(),
        )
        # scatter adds up within rows first: a strip is the kernel's rows at one row of positions
        strips = scratch.get("strips", models, n, w.positions, w.kernel, row_length)
        rows = self._target.flatten(3)
        self._add_patches_to_strips = OverlapAdd(self._values.transpose(3, 4), strips, hop)
        self._add_strips_to_rows = OverlapAdd(
            strips.permute(0, 1, 4, 2, 3), rows.transpose(2, 3), w.stride
        )

    def gather(self) -> None:
        """Copy the patches out of the maps."""
        if self._padded:
            self._source_inside.copy_(self._maps)
        self._values.copy_(self._patches_of_source)

    def scatter(self) -> None:
        """Overwrite the maps with the sum of the patches at their positions."""
        self._add_patches_to_strips()
        self._add_strips_to_rows()
        if self._padded:
            self._maps.copy_(self._target_inside)


class OverlapAdd:
    """Overwrites a target (..., length) with the sum of overlapping frames (..., steps, width).

    Frame k starts at k * ``hop``. Frames are at least as wide as the hop, so they leave no gaps.
    """

    def __init__(self, frames: Tensor, target: Tensor, hop: int):
        steps, width = frames.shape[-2:]
        self._rest = target[..., steps * hop :]
        self._additions = []  # (part of the target, part of the frames) of equal shape
        for start in range(0, width, hop):
            values = frames[..., start : start + hop]
            sums = target[..., start:].unfold(-1, values.shape[-1], hop)
            self._additions.append((sums[..., :steps, :], values))

    def __call__(self) -> None:
        (first_sums, first_values), *others = self._additions
        first_sums.copy_(first_values)
        self._rest.zero_()
        for sums, values in others:
            sums.add_(values)
