import subprocess
import sys
import time

from tasks.tracking.client import connect


def test_a_database_whose_making_was_killed_is_made_again(home):
    making = subprocess.Popen(
        [sys.executable, "-c", "from tasks.tracking.client import connect; connect()"]
    )
    unfinished = home / "mlflow.db.new"
    while making.poll() is None and not (unfinished.exists() and unfinished.stat().st_size):
        time.sleep(0.01)
    making.kill()
    making.wait()
    assert not (home / "mlflow.db").exists()
    assert [experiment.name for experiment in connect().search_experiments()] == ["Default"]
    assert not unfinished.exists()
