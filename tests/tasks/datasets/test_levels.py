"""Grey levels of images that have more than 8 bits, or whose levels are not 0 to 255."""

import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from tasks.datasets.config import Conversion, DatasetConfig
from tasks.datasets.dataset import DatasetError
from tasks.datasets.images import read_folder, read_images
from tasks.datasets.levels import Extremes, Levels, choose_levels
from tests.tasks.conftest import prepared
from tests.tasks.datasets.own_files import of_folder, write


def deep(low, high, dtype):
    """An image (28, 28) with levels from low to high."""
    return np.linspace(low, high, 784).reshape(28, 28).astype(dtype)


def save(path, levels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(levels).save(path)
    return path


def read(paths, levels="auto"):
    found = read_images(paths, Conversion(), levels)
    assert not found.bad
    return found


@pytest.mark.parametrize(
    ("low", "high", "whole", "levels"),
    [
        (0, 200, True, (0, 255)),
        (3, 1023, True, (0, 1023)),
        (0, 1024, True, (0, 4095)),
        (0, 4096, True, (0, 16_383)),
        (0, 65_535, True, (0, 65_535)),
        (0, 65_536, True, (0, 65_536)),
        (-1000, 3000, True, (-1000, 3000)),
        (0, 0, True, (0, 255)),
        (0, 1, False, (0, 1)),
        (-0.9, 0.8, False, (-1, 1)),
        (0, 255, False, (0, 255)),
        (0, 2.5, False, (0, 2.5)),
        (2, 4000, False, (0, 4000)),
        (-3, 7, False, (-3, 7)),
        (-7, -3, False, (-7, -3)),
        (-8, -8, False, (-8, -7)),
        (-0.001, 1, False, (0, 1)),
        (-3, 4000, True, (0, 4095)),
    ],
)
def test_the_range_is_the_usual_one_that_holds_all_levels(low, high, whole, levels):
    found = choose_levels(Extremes(low, high, whole))
    assert found == Levels(*levels)
    assert found.low < found.high


@pytest.mark.parametrize(
    ("suffix", "dtype", "high", "levels"),
    [
        ("png", np.uint16, 4095, (0, 4095)),
        ("png", np.uint16, 65_535, (0, 65_535)),
        ("tif", np.uint16, 1000, (0, 1023)),
        ("tif", np.int32, 255, (0, 255)),
        ("tif", np.int32, 100_000, (0, 100_000)),
        ("tif", np.float32, 1, (0, 1)),
        ("tif", np.float32, 255, (0, 255)),
        ("pgm", np.uint16, 4095, (0, 4095)),
        ("jp2", np.uint16, 4095, (0, 4095)),
    ],
)
def test_levels_of_more_than_8_bits_keep_their_steps(tmp_path, suffix, dtype, high, levels):
    found = read([save(tmp_path / f"a.{suffix}", deep(0, high, dtype))])
    assert found.levels == levels
    expected = deep(0, high, dtype).astype(float) / levels[1] * 255
    assert (found.images[0] - torch.from_numpy(expected)).abs().max() < 1
    assert len(found.images[0].unique()) > 200
    said = f"levels 0 to {levels[1]:,g} become black to white"
    assert [note.startswith(said) for note in found.notes] == [True] * (levels != (0, 255))


def test_the_range_is_that_of_the_whole_dataset(tmp_path):
    """A dark image stays dark, and both parts have the same range."""
    for part in ("train", "test"):
        for index in range(10):
            high = 4000 if (part, index) == ("test", 3) else 400
            save(tmp_path / "images" / part / f"{index}.png", deep(0, high, np.uint16))
    result, tensors = prepared(tmp_path / "a", of_folder(tmp_path / "images"))
    assert result["levels"] == [0, 4095]
    assert tensors["train_images"].max() == 25
    assert tensors["test_images"].max() == 249
    assert result["notes"] == [
        "levels 0 to 4,095 become black to white (found: 0 to 4,000); set dataset.levels for "
        "another range"
    ]


def test_files_of_8_bits_keep_theirs_beside_others(tmp_path):
    paths = [
        save(tmp_path / "a.png", deep(0, 255, np.uint8)),
        save(tmp_path / "b.png", deep(0, 4095, np.uint16)),
    ]
    found = read(paths)
    assert (found.images[0] - found.images[1].float()).abs().max() <= 1
    assert found.notes[1:] == ["1 image of 8 bits keeps the levels 0 to 255"]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_the_levels_that_are_asked_for_count_for_every_file(tmp_path, suffix):
    dark = save(tmp_path / f"dark.{suffix}", deep(0, 15, np.uint8))
    assert read([dark], (0, 15)).images.max() == 255
    assert read([dark], (0, 15)).notes == []
    assert read([dark], (0, 15)).levels == (0, 15)
    colour = save(tmp_path / "c.png", np.full((28, 28, 3), (10, 0, 20), dtype=np.uint8))
    found = read([colour], (0, 20))
    assert (found.images == round(0.299 * 128 + 0.114 * 255)).all()  # 128 of half the range
    wide = save(tmp_path / f"wide.{suffix}", deep(0, 4000, np.uint16))
    found = read([wide], (1000, 3000))
    assert (found.images == 0).float().mean() == pytest.approx(0.25, abs=0.01)
    assert (found.images == 255).float().mean() == pytest.approx(0.25, abs=0.01)
    assert found.notes == ["levels from 0 to 4,000 are cut off to dataset.levels 1,000 to 3,000"]


@pytest.mark.parametrize("levels", ["auto", (0, 4095), (0, 255)])
def test_images_without_contrast_are_said(tmp_path, levels):
    found = read([save(tmp_path / "dark.png", deep(0, 20, np.uint8))], levels)
    range_ = "0 to 4,095" if levels == (0, 4095) else "0 to 255"
    assert found.notes == [
        f"levels from 0 to 20 are less than 10% of the range {range_}; set dataset.levels: "
        "[low, high] if the images should have contrast"
    ]
    bright = save(tmp_path / "bright.png", deep(0, 26, np.uint8))
    assert read([bright], (0, 255)).notes == []


def test_idx_files_have_levels_too(tmp_path):
    write(tmp_path / "idx" / "train-images-idx3-ubyte", np.tile([[0, 1]], (20, 4, 1)))
    config = DatasetConfig(name="idx", path=str(tmp_path / "idx"))
    result, tensors = prepared(tmp_path / "a", config)
    assert (result["levels"], tensors["train_images"].max()) == ([0, 255], 1)
    assert result["notes"][0].startswith("levels from 0 to 1 are less than 10% of the range")
    config = DatasetConfig(name="idx", path=str(tmp_path / "idx"), levels=(0, 1))
    result, tensors = prepared(tmp_path / "b", config)
    assert (result["levels"], tensors["train_images"].max()) == ([0, 1], 255)
    assert result["notes"] == []


@pytest.mark.parametrize(
    ("dtype", "high", "levels", "asked"),
    [
        (np.uint16, 4095, (0, 4095), "auto"),
        (np.uint16, 4095, (0, 4095), (0, 4095)),
        (np.float32, 1, (0, 1), "auto"),
    ],
)
def test_white_may_be_zero(tmp_path, dtype, high, levels, asked):
    ramp = deep(0, high, dtype)
    Image.fromarray(ramp).save(tmp_path / "white.tif", tiffinfo={262: 0})
    with Image.open(tmp_path / "white.tif") as image:
        assert image.tag_v2[262] == 0
    found = read([tmp_path / "white.tif", save(tmp_path / "black.tif", ramp)], asked)
    assert found.levels == levels
    assert torch.equal(found.images[0], 255 - found.images[1])
    assert found.images[0, 0, 0, 0] == 255


@pytest.mark.parametrize("largest", [15, 100, 1023, 4095, 65_535])
def test_the_levels_of_a_pgm_file_are_those_of_its_header(tmp_path, largest):
    ramp = deep(0, largest, np.uint16)
    content = ramp.astype(">u2" if largest > 255 else "u1").tobytes()
    (tmp_path / "a.pgm").write_bytes(b"P5 28 28 %d\n" % largest + content)
    expected = torch.from_numpy(ramp.astype(float) / largest * 255)
    for levels in ("auto", (0, largest)):
        found = read([tmp_path / "a.pgm"], levels)
        assert (found.images[0] - expected).abs().max() <= 1
    half = read([tmp_path / "a.pgm"], (0, largest / 2)).images[0]
    assert (half - (2 * expected).clamp(max=255)).abs().max() <= 2
    dark = b"P5 28 28 %d\n" % largest + bytes(len(content) - 1) + b"\1"
    (tmp_path / "dark.pgm").write_bytes(dark)
    assert read([tmp_path / "dark.pgm"]).images.max() <= (17 if largest < 65_535 else 1)


def unsigned_tiff(path, pixels):
    """A TIFF of unsigned numbers (28, 28) or (28, 28, 3) that Pillow reads and does not write."""
    bits, samples = 8 * pixels.itemsize, pixels.size // 784
    tags = [
        (256, 3, 1, 28),
        (257, 3, 1, 28),
        (258, 3, samples, 122 if samples > 1 else bits),
        (259, 3, 1, 1),
        (262, 3, 1, 2 if samples > 1 else 1),
        (273, 4, 1, 128),
        (277, 3, 1, samples),
        (278, 3, 1, 28),
        (279, 4, 1, pixels.nbytes),
    ]
    content = struct.pack("<2sHIH", b"II", 42, 8, len(tags))
    content += b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    path.write_bytes(content + struct.pack("<3H", bits, bits, bits) + pixels.tobytes())
    return path


def colours(path, high):
    return unsigned_tiff(path, np.repeat(deep(0, high, np.uint16)[:, :, None], 3, axis=2))


def test_unsigned_levels_of_32_bits_do_not_become_negative(tmp_path):
    levels = np.full((28, 28), 3_000_000_000, np.uint32)
    levels[0] = [0, 2**32 - 1] * 14
    found = read([unsigned_tiff(tmp_path / "a.tif", levels)])
    assert found.levels == (0, 2**32 - 1)
    assert found.images[0, 0, 10, 10] == round(3_000_000_000 / 2**32 * 255)


def test_signed_levels_of_8_bits_are_refused(tmp_path):
    Image.fromarray(deep(0, 100, np.uint8)).save(tmp_path / "a.tif", tiffinfo={339: 2})
    (error,) = read_images([tmp_path / "a.tif"], Conversion()).bad
    assert error.why == "it holds signed levels of 8 bits; save it with 16 bits"


def test_whole_numbers_and_floats_have_no_range_in_common(tmp_path):
    paths = [
        save(tmp_path / "a.tif", deep(0, 1, np.float32)),
        save(tmp_path / "b.tif", deep(0, 4000, np.uint16)),
    ]
    with pytest.raises(DatasetError, match=r"dataset\.levels: some images hold whole numbers of"):
        read(paths)
    assert read(paths, (0, 4000)).images[0].max() == 0


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_levels_that_are_no_numbers_are_refused(tmp_path, value):
    levels = deep(0, 1, np.float32)
    levels[3, 3] = value
    found = read_images([save(tmp_path / "a.tif", levels)], Conversion())
    assert [error.why for error in found.bad] == ["it holds levels that are NaN or infinite"]
    assert found.images.shape == (0, 1, 28, 28)


def test_colours_of_16_bits_are_read_where_the_upper_8_are_their_levels(tmp_path):
    found = read([colours(tmp_path / "a.tif", 65_535)])
    expected = torch.from_numpy(deep(0, 65_535, np.uint16) // 256).float()
    assert (found.images[0] - expected).abs().max() <= 1
    with pytest.raises(DatasetError, match=r"1 colour image has 16 bits per colour.*save them"):
        read([colours(tmp_path / "b.tif", 4095)])
    with pytest.raises(DatasetError, match=r"dataset\.levels: 1 colour image has 16 bits"):
        read([tmp_path / "a.tif"], (0, 4095))


def deep_png(path, pixels):
    """A PNG of 16 bits per channel, which Pillow reads and does not write, with transparency."""

    def chunk(name, content):
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    kind = {2: 4, 4: 6}[pixels.shape[2]]  # grey or colour
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">2I5B", pixels.shape[1], pixels.shape[0], 16, kind, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    return path


@pytest.mark.parametrize("channels", [2, 4])
def test_dark_colours_of_16_bits_are_refused_also_beside_transparent_parts(tmp_path, channels):
    pixels = np.repeat(deep(0, 4095, np.uint16)[:, :, None], channels, axis=2)
    pixels[..., -1] = 65_535
    pixels[:10, :, -1] = 0
    with pytest.raises(DatasetError, match=r"16 bits per colour.* too dark for that"):
        read([deep_png(tmp_path / "a.png", pixels)])
    pixels[..., :-1] *= 16
    assert read([deep_png(tmp_path / "a.png", pixels)]).images[0, 0, -1, -1] == 255


def test_only_the_first_page_or_frame_is_used_and_said(tmp_path):
    pages = [Image.new("L", (28, 28), level) for level in (10, 250)]
    paths = [tmp_path / name for name in ("a.tif", "b.gif", "c.png", "d.webp", "e.avif")]
    for path in paths:
        pages[0].save(path, save_all=True, append_images=pages[1:])
    found = read(paths)
    assert (found.images.float() - 10).abs().max() <= 2
    assert "5 files have several pages or frames: the first is used" in found.notes


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_white_on_transparent_becomes_white_on_black(tmp_path, mode):
    image = Image.new(mode, (28, 28))
    image.paste(Image.new("L", (28, 14), 250).convert(mode), (0, 0))
    image.save(tmp_path / "a.png")
    found = read([tmp_path / "a.png"])
    assert (found.images[0, 0, :12] == 250).all()
    assert (found.images[0, 0, 16:] == 0).all()
    assert "1 image is white on transparent: transparent parts become black" in found.notes
    Image.new(mode, (28, 28)).save(tmp_path / "nothing.png")
    assert (read([tmp_path / "nothing.png"]).images == 255).all()


@pytest.mark.parametrize(
    "suffix",
    [
        *("png", "jpg", "jpeg", "jpe", "jfif", "bmp", "gif", "tif", "tiff", "webp"),
        *("pgm", "ppm", "pnm", "avif", "jp2", "j2k", "heic", "heif"),
    ],
)
def test_every_format_is_read(tmp_path, suffix):
    image = Image.new("RGB", (64, 64), (137, 137, 137))
    formats = {"heic": "HEIF", "heif": "HEIF", "jpe": "JPEG", "pnm": "PPM"}
    read([save(tmp_path / "first.png", deep(0, 255, np.uint8))])  # registers HEIF
    image.save(tmp_path / f"a.{suffix}", format=formats.get(suffix))
    found = read([tmp_path / f"a.{suffix}"])
    assert (found.images.float() - 137).abs().max() <= 2


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "LAB", "HSV", "1", "P", "L", "RGB"])
def test_every_kind_of_colour_is_read(tmp_path, mode):
    grey = Image.linear_gradient("L").convert("RGB")
    if mode == "LAB":
        image = Image.merge("LAB", (grey.getchannel(0), *[Image.new("L", grey.size, 128)] * 2))
    else:
        image = grey.convert(mode)
    image.save(tmp_path / "a.tif") if mode != "HSV" else grey.save(tmp_path / "a.tif")
    found = read([tmp_path / "a.tif"]).images[0, 0].float()
    assert found[0].mean() < 15
    assert found[-1].mean() > 240


def test_a_folder_for_a_model_has_levels(tmp_path):
    save(tmp_path / "a.png", deep(0, 2000, np.uint16))
    assert read_folder(tmp_path).max() == pytest.approx(2000 / 4095, abs=0.01)
    assert read_folder(tmp_path, levels=(0, 2000)).max() == 1
