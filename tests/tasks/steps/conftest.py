"""What the tests of steps share."""

from functools import partial
from shutil import copytree

import pytest

from tasks.cache.results import check_result
from tests.tasks.reporting.conftest import Publisher


@pytest.fixture
def computed(home, tmp_path):
    """Runs a step's function, checks its result, and publishes what it wrote.

    The entry has the architectures and the fingerprints of the entries that it was given.
    """
    publish = Publisher()

    def run(task, function, **inputs):
        folder = tmp_path / f"{publish.count}"
        folder.mkdir()
        result = function(folder, **inputs)
        check_result(task, result)
        recorded = {k: v.fingerprint for k, v in inputs.items() if hasattr(v, "fingerprint")}
        if "architectures" in inputs:
            architectures = [one.model_dump(mode="json") for one in inputs["architectures"]]
            recorded["architectures"] = architectures
        write = partial(copytree, folder, dirs_exist_ok=True)
        return publish(task, {"n": publish.count}, result, write, **recorded)

    run.publish = publish
    return run
