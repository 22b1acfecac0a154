import pytest
from pydantic import ValidationError

from tasks.datasets.config import DatasetConfig


@pytest.mark.parametrize("name", ["folder", "idx", "npz"])
def test_own_images_have_a_path_and_may_be_converted(name):
    config = DatasetConfig(name=name, path="images", shape="pad", invert=True)
    assert (config.shape, config.invert) == ("pad", True)
    with pytest.raises(ValidationError, match=r"dataset\.path is None and dataset\.name is"):
        DatasetConfig(name=name)


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_other_datasets_have_no_path_and_stay_as_they_are(name):
    with pytest.raises(ValidationError, match=r"dataset\.path is 'images'"):
        DatasetConfig(name=name, path="images")
    for conversion in ({"invert": True}, {"shape": "crop"}, {"levels": (0, 15)}):
        with pytest.raises(ValidationError, match=f"for folder, idx and npz, not for {name}"):
            DatasetConfig(name=name, **conversion)
    with pytest.raises(ValidationError, match=f"on_bad_image is for folder, not for {name}"):
        DatasetConfig(name=name, on_bad_image="skip")


@pytest.mark.parametrize("levels", [(0, 0), (9, 3), (0, float("inf")), (float("nan"), 1)])
def test_levels_are_a_range(levels):
    with pytest.raises(ValidationError, match=r"dataset\.levels: \[.*\] is no range; give the"):
        DatasetConfig(name="folder", path="images", levels=levels)
    assert DatasetConfig(name="folder", path="images", levels=[-1, 4095]).levels == (-1, 4095)


@pytest.mark.parametrize("name", ["folder", "idx", "npz"])
def test_own_images_have_a_size_and_channels(name):
    own = DatasetConfig(name=name, path="images")
    assert own.conversion((3, 40, 50)).image_shape == (3, 40, 50)
    square = DatasetConfig(name=name, path="images", size=32, channels=3)
    assert square.conversion().image_shape == (3, 32, 32)
    oblong = DatasetConfig(name=name, path="images", size=[48, 32])
    assert oblong.conversion().image_shape == (1, 48, 32)
    assert DatasetConfig(**oblong.model_dump(mode="json")) == oblong


BAD_SIZES = [0, 3, 257, -32, 32.0, 32.5, "32", True, [32], [32, 32, 3], [32, 300], [32, "a"], {}]


@pytest.mark.parametrize("size", BAD_SIZES, ids=str)
def test_other_sizes_are_refused(size):
    with pytest.raises(ValidationError, match="should be a number of pixels from 4 to 256, or"):
        DatasetConfig(name="folder", path="images", size=size)


@pytest.mark.parametrize("channels", [0, 2, 4, "3", 3.0, True, [3]])
def test_images_are_grey_or_in_colour(channels):
    with pytest.raises(ValidationError, match="should be 1 for grey images or 3 for colour"):
        DatasetConfig(name="folder", path="images", channels=channels)


@pytest.mark.parametrize("name", ["digits", "mnist", "cifar10", "svhn"])
def test_other_datasets_keep_their_size_and_channels(name):
    for key, value in (("size", 32), ("size", [32, 32]), ("channels", 3), ("channels", 1)):
        said = rf"dataset\.{key} is for folder, idx and npz, not for {name}"
        with pytest.raises(ValidationError, match=said):
            DatasetConfig(name=name, **{key: value})
