import gzip
import struct

import numpy as np
import pytest
import torch
from PIL import EpsImagePlugin, Image

from tasks.datasets.config import Conversion
from tasks.datasets.dataset import DatasetError
from tasks.datasets.idx import idx_length, read_idx
from tasks.datasets.image_file import FORMATS, convert, readable_formats, readable_suffixes
from tasks.datasets.images import read_folder, read_images
from tests.special_files import replace_file

# (1, 28, 84): three square bands, dark to light
BANDS = torch.tensor([10, 100, 200], dtype=torch.uint8).repeat_interleave(28).expand(1, 28, 84)


def read_image(path, conversion):
    """One image; an error if it cannot be read."""
    found = read_images([path], conversion)
    for error in found.bad:
        raise error
    return found.images[0]


def three(row):
    """The left, the middle and the right of a row of pixels."""
    return [row[index].item() for index in (0, 14, 27)]


@pytest.mark.parametrize(
    ("shape", "middle", "top"),
    [("stretch", [10, 100, 200], [10, 100, 200]), ("crop", [100] * 3, [100] * 3)],
)
def test_a_wide_image_is_stretched_or_cut(shape, middle, top):
    found = convert(BANDS, Conversion(shape=shape))
    assert (found.shape, found.dtype) == ((1, 28, 28), torch.uint8)
    assert (three(found[0, 14]), three(found[0, 0])) == (middle, top)
    inverted = convert(BANDS, Conversion(shape=shape, invert=True))
    assert torch.equal(inverted, 255 - found)


def test_a_border_becomes_black_whether_inverted_or_not():
    for invert, middle in ((False, [10, 100, 200]), (True, [245, 155, 55])):
        (found,) = convert(BANDS, Conversion(shape="pad", invert=invert))
        assert three(found[14]) == middle
        assert (found[:9] == 0).all()
        assert (found[-9:] == 0).all()
        assert (found[10:18] > 0).all()


@pytest.mark.parametrize("shape", ["stretch", "crop", "pad"])
def test_a_tall_image_is_treated_as_a_wide_one(shape):
    conversion = Conversion(shape=shape)
    upright = convert(BANDS.transpose(1, 2), conversion)
    assert torch.equal(upright, convert(BANDS, conversion).mT)


@pytest.mark.parametrize("size", [(28, 28), (1, 5), (29, 30)])
@pytest.mark.parametrize("shape", ["stretch", "crop", "pad"])
def test_any_size_becomes_a_square(size, shape):
    found = convert(torch.full((1, *size), 50, dtype=torch.uint8), Conversion(shape=shape))
    assert found.shape == (1, 28, 28)
    assert 45 <= found[0, 14, 14] <= 50


def test_colour_images_become_grey_by_luminance():
    images = torch.zeros(5, 3, 10, 20, dtype=torch.uint8)
    images[0, 0] = images[1, 1] = images[2, 2] = images[3] = 255
    found = convert(images, Conversion())
    assert found.shape == (5, 1, 28, 28)
    assert found[:, 0, 0, 0].tolist() == [76, 150, 29, 255, 0]
    assert (found == found[..., :1, :1]).all()


SIZES = [((20, 20), 1), ((48, 32), 3), ((7, 64), 3), ((9, 11), 1)]


@pytest.mark.parametrize(("size", "channels"), SIZES)
@pytest.mark.parametrize("shape", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("source", [(30, 30), (7, 30), (96, 64)])
def test_any_size_and_colour_becomes_what_is_asked(source, shape, size, channels):
    conversion = Conversion(shape=shape, size=size, channels=channels)
    for given in (1, 3):
        found = convert(torch.full((given, *source), 50, dtype=torch.uint8), conversion)
        assert (found.shape, found.dtype) == (conversion.image_shape, torch.uint8)
        middle = found[:, size[0] // 2, size[1] // 2]
        assert (middle == 50).all()


def test_colours_stay_and_grey_images_get_equal_channels():
    red, green = torch.zeros(2, 3, 10, 10, dtype=torch.uint8)
    red[0], green[1] = 255, 255
    conversion = Conversion(size=(6, 4), channels=3)
    assert convert(red, conversion)[:, 2, 2].tolist() == [255, 0, 0]
    inverted = Conversion(size=(6, 4), channels=3, invert=True)
    assert convert(green, inverted)[:, 2, 2].tolist() == [255, 0, 255]
    assert convert(red[:1] - 155, conversion)[:, 2, 2].tolist() == [100] * 3


def test_a_box_of_other_proportions_is_cropped_or_padded():
    # 24 x 84 in three bands, to twice as wide as high
    bands = BANDS[:, :24]
    (cropped,) = convert(bands, Conversion(shape="crop", size=(12, 24)))
    assert (cropped[:, 0] == 10).all() ^ (cropped[:, 5] == 100).all()  # 18 pixels of each side go
    assert cropped[6, 1] < 60
    assert cropped[6, 12] == 100
    (padded,) = convert(bands, Conversion(shape="pad", size=(14, 28)))
    assert (padded[:2] == 0).all()
    assert (padded[-2:] == 0).all()
    assert [padded[7, column].item() for column in (2, 14, 25)] == [10, 100, 200]


def save(image, path, **options):
    image.save(path, **options)
    return read_image(path, Conversion())


def test_colour_and_grey_files_are_read(tmp_path):
    red = save(Image.new("RGB", (40, 30), (255, 0, 0)), tmp_path / "red.png")
    assert (red.shape, red.dtype) == ((1, 28, 28), torch.uint8)
    assert (red == 76).all()
    assert (save(Image.new("L", (5, 9), 137), tmp_path / "grey.bmp") == 137).all()
    assert (save(Image.new("1", (5, 9), 1), tmp_path / "white.png") == 255).all()


def test_the_conversion_is_the_callers(tmp_path):
    Image.new("L", (40, 20), 137).save(tmp_path / "grey.png")
    found = read_image(tmp_path / "grey.png", Conversion(shape="pad", invert=True))
    assert found[0, 14, 14] == 255 - 137
    assert found[0, 0, 0] == 0


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_to_eight(tmp_path, suffix):
    levels = np.array([[0, 51 * 257, 65_535]], dtype=np.uint16).repeat(28, 1).repeat(28, 0)
    found = save(Image.fromarray(levels), tmp_path / f"deep.{suffix}")
    assert three(found[0, 5]) == [0, 51, 255]


@pytest.mark.parametrize("mode", ["P", "RGBA", "LA"])
def test_transparent_parts_are_white(tmp_path, mode):
    image, options = Image.new(mode, (30, 30)), {}
    if mode == "P":
        image.putpalette([0, 0, 0, 100, 100, 100])
        image.paste(1, (0, 15, 30, 30))
        options = {"transparency": 0}
    else:
        image.paste(Image.new("L", (30, 15), 100).convert(mode), (0, 15))
    found = save(image, tmp_path / "half.png", **options)
    assert (found[:, :13] == 255).all()
    assert (found[:, 15:] == 100).all()


def test_a_camera_held_on_its_side_is_turned(tmp_path):
    image = Image.new("L", (40, 40), 0)
    image.paste(255, (0, 0, 20, 40))
    upright = save(image, tmp_path / "upright.jpg")
    assert (upright[..., :13] > 250).all()
    assert (upright[..., 15:] < 5).all()
    exif = Image.Exif()
    exif[0x0112] = 6  # the first column is the upper edge
    turned = save(image, tmp_path / "turned.jpg", exif=exif)
    assert (turned[:, :13] > 250).all()
    assert (turned[:, 15:] < 5).all()


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "broken.png"
    pixels = np.random.default_rng(0).integers(0, 256, (30, 30), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    for damaged in (path.read_bytes()[:-200], b"no picture", b""):
        path.write_bytes(damaged)
        with pytest.raises(DatasetError, match=r"dataset\.path: cannot read .*broken\.png: "):
            read_image(path, Conversion())


def test_the_formats_are_those_of_the_suffixes():
    assert readable_formats() == list(FORMATS)  # all of them in the tests' environment
    Image.init()
    assert {Image.EXTENSION[suffix] for suffix in readable_suffixes()} == set(FORMATS)


def test_no_format_is_read_that_another_program_decodes(tmp_path, monkeypatch):
    """Ghostscript would run the PostScript in the file."""
    started = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *file, **_: started.append(file))
    Image.new("L", (30, 30), 9).save(tmp_path / "31.png", format="EPS")
    with pytest.raises(DatasetError, match=r"31\.png: its content is not that of .*; replace or"):
        read_image(tmp_path / "31.png", Conversion())
    assert started == []
    Image.new("L", (30, 30), 9).save(tmp_path / "jpeg.png", format="JPEG")  # a usual mistake
    assert (read_image(tmp_path / "jpeg.png", Conversion()) == 9).all()


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "huge"])
def test_only_regular_files_are_opened(tmp_path, kind):
    path = tmp_path / "31.png"
    Image.new("L", (30, 30), 9).save(path)
    replace_file(path, kind, tmp_path / "elsewhere")
    with pytest.raises(
        DatasetError, match=r"cannot read .*31\.png: is (not a reg|larger)"
    ) as error:
        read_image(path, Conversion())
    assert str(error.value).isprintable()


def test_a_link_to_an_image_is_read(tmp_path):
    path = tmp_path / "31.png"
    Image.new("L", (30, 30), 9).save(path)
    replace_file(path, "link", tmp_path / "elsewhere")
    assert (read_image(path, Conversion()) == 9).all()


def test_an_image_that_would_fill_the_memory_is_named(tmp_path):
    for size, shape in (((14_000, 14_000), "stretch"), ((20_000, 1), "pad")):
        Image.new("1", size).save(tmp_path / "large.png")
        with pytest.raises(DatasetError, match=r"cannot read .*large\.png: .*pixels") as error:
            read_image(tmp_path / "large.png", Conversion(shape=shape))
        assert str(error.value).isprintable()
    assert read_image(tmp_path / "large.png", Conversion()).shape == (1, 28, 28)


def test_a_large_image_is_read_without_a_warning_of_pillow_and_a_larger_one_is_named(
    tmp_path, monkeypatch
):
    Image.new("L", (30, 30), 9).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 899)  # warnings are errors in tests
    assert (read_image(tmp_path / "large.png", Conversion()) == 9).all()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 449)
    with pytest.raises(DatasetError, match=r"cannot read .*large\.png: .*900 pixels"):
        read_image(tmp_path / "large.png", Conversion())


def test_any_error_of_a_decoder_names_the_file(tmp_path, monkeypatch):
    def fail(*_):
        raise struct.error("unpack requires more bytes")

    Image.new("L", (30, 30), 9).save(tmp_path / "damaged.png")
    monkeypatch.setattr(Image.Image, "convert", fail)
    with pytest.raises(DatasetError, match=r"damaged\.png: unpack requires more bytes; replace"):
        read_image(tmp_path / "damaged.png", Conversion())


def test_a_folder_is_read_by_name_as_the_input_of_a_model(tmp_path):
    for name, level in {"b.png": 255, "a.JPG": 0, ".hidden.png": 9}.items():
        Image.new("L", (40, 30), level).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    found = read_folder(tmp_path)
    assert (found.shape, found.dtype) == ((2, 1, 28, 28), np.float32)
    assert (found[0].max(), found[1].min(), found[1].max()) == (0, 1, 1)
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetError, match=r"no images in .*none"):
        read_folder(str(tmp_path / "none"))


HEADER = struct.pack(">HBBII", 0, 8, 2, 2, 3)
IDX = HEADER + bytes([1, 2, 3, 4, 5, 255])


def test_idx_files_have_the_shape_that_they_declare(tmp_path):
    for name, content in {"plain": IDX, "packed.gz": gzip.compress(IDX)}.items():
        (tmp_path / name).write_bytes(content)
        found = read_idx(tmp_path / name)
        assert found.dtype == torch.uint8
        assert found.tolist() == [[1, 2, 3], [4, 5, 255]]


DAMAGED = {
    "empty": b"",
    "magic": b"\1" + IDX[1:],
    "header": IDX[:10],
    "truncated": IDX[:-1],
    "longer": IDX + b"\0",
    "signed": struct.pack(">HBBI", 0, 9, 1, 2) + bytes(2),
    "floats": struct.pack(">HBBI", 0, 13, 1, 2) + bytes(8),
    "nothing": struct.pack(">HBBI", 0, 8, 1, 0),
    "cut.gz": gzip.compress(IDX)[:-10],
    "garbled.gz": gzip.compress(IDX)[:10] + b"\xff" * 20,
}


@pytest.mark.parametrize("content", [IDX, gzip.compress(IDX)], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", ["plain", "named.gz"])
def test_gzip_is_told_by_the_content_not_the_name(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert read_idx(tmp_path / name).tolist() == [[1, 2, 3], [4, 5, 255]]


@pytest.mark.parametrize("name", DAMAGED)
def test_a_file_that_is_not_idx_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(DAMAGED[name])
    with pytest.raises(DatasetError, match=rf"dataset\.path: .*/{name} is not an IDX file"):
        read_idx(tmp_path / name)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    ("length", "said"),
    [
        (0, "it is empty"),
        (1, "it has only 1 byte"),
        (3, "it has only 3 bytes"),
        (7, "its header promises 2 axes and ends before these"),
    ],
)
def test_an_idx_file_without_a_whole_header_is_said(tmp_path, pack, length, said):
    (tmp_path / "short").write_bytes(pack(IDX[:length]))
    for read in (read_idx, idx_length):
        with pytest.raises(DatasetError, match=f"/short is not an IDX file: {said}; replace it"):
            read(tmp_path / "short")


def test_the_error_gives_the_declared_shape_and_the_size(tmp_path):
    (tmp_path / "short").write_bytes(IDX[:-2])
    with pytest.raises(DatasetError, match=r"type 8 and shape \(2, 3\), followed by 4 bytes"):
        read_idx(tmp_path / "short")


@pytest.mark.parametrize("name", ["plain", "packed.gz"])
def test_of_a_longer_file_only_a_part_is_read(tmp_path, name):
    with (gzip.open if name.endswith(".gz") else open)(tmp_path / name, "wb") as file:
        file.write(IDX + bytes(10 << 20))
    with pytest.raises(DatasetError, match=r"\(2, 3\), followed by at least 1,048,\d\d\d bytes"):
        read_idx(tmp_path / name)


def test_a_header_may_promise_any_number_of_values(tmp_path):
    (tmp_path / "large").write_bytes(struct.pack(">HBB255I", 0, 8, 255, *[2**32 - 1] * 255))
    with pytest.raises(DatasetError, match=r"/large is not an IDX file .*followed by 0 bytes") as e:
        read_idx(tmp_path / "large")
    assert len(str(e.value)) < 500


@pytest.mark.parametrize("name", ["plain", "packed.gz"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "huge"])
def test_only_a_regular_idx_file_is_opened(tmp_path, name, kind):
    (tmp_path / name).write_bytes(IDX)
    replace_file(tmp_path / name, kind, tmp_path / "elsewhere")
    with pytest.raises(DatasetError, match=rf"/{name} is not an IDX file: is (not a reg|larger)"):
        read_idx(tmp_path / name)
