import numpy as np
import torch
from PIL import Image

from tasks.reporting.image_grids import GREY, save_image_grid


def test_rows_of_images_are_saved_on_grey(tmp_path):
    levels = (
        torch.tensor([10, 20, 30, 40], dtype=torch.uint8).reshape(4, 1, 1, 1).expand(4, 1, 28, 28)
    )
    save_image_grid([levels[:3], levels[3:]], tmp_path / "rows.png", scale=2)
    found = np.asarray(Image.open(tmp_path / "rows.png"))
    assert found.shape == (2 * (2 * 30 + 2), 2 * (3 * 30 + 2))
    centers = found[32::60, 32::60]  # a cell is 28 and 2 between, twice as large
    assert centers.tolist() == [[10, 20, 30], [40, GREY, GREY]]
    assert found[:, :4].tolist() == [[GREY] * 4] * len(found)
    assert (found[4:60, 4:60] == 10).all()


def test_a_pixel_becomes_a_square(tmp_path):
    images = torch.arange(2 * 28 * 28).reshape(2, 1, 28, 28).remainder(251).byte()
    save_image_grid([images], tmp_path / "two.png", scale=3)
    first = np.asarray(Image.open(tmp_path / "two.png"))[6:-6, 6:90]  # the gap is 2 pixels
    assert np.array_equal(first, images[0, 0].numpy().repeat(3, 0).repeat(3, 1))


def test_colours_are_saved_as_colours(tmp_path):
    images = torch.zeros(2, 3, 5, 4, dtype=torch.uint8)
    images[0, 0], images[1, 2] = 200, 100
    save_image_grid([images], tmp_path / "two.png", scale=2)
    found = np.asarray(Image.open(tmp_path / "two.png"))
    assert found.shape == (2 * 9, 2 * 14, 3)
    assert [found[8, column].tolist() for column in (8, 20)] == [[200, 0, 0], [0, 0, 100]]
    assert (found[:4] == GREY).all()
