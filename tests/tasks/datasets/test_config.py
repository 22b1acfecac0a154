import pytest
from pydantic import ValidationError

from tasks.datasets.config import DatasetConfig


@pytest.mark.parametrize("name", ["folder", "idx"])
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
        with pytest.raises(ValidationError, match=f"for folder and idx, not for {name}"):
            DatasetConfig(name=name, **conversion)
    with pytest.raises(ValidationError, match=f"on_bad_image is for folder, not for {name}"):
        DatasetConfig(name=name, on_bad_image="skip")


@pytest.mark.parametrize("levels", [(0, 0), (9, 3), (0, float("inf")), (float("nan"), 1)])
def test_levels_are_a_range(levels):
    with pytest.raises(ValidationError, match=r"dataset\.levels: \[.*\] is no range; give the"):
        DatasetConfig(name="folder", path="images", levels=levels)
    assert DatasetConfig(name="folder", path="images", levels=[-1, 4095]).levels == (-1, 4095)
