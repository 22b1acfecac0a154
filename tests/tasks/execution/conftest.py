import warnings

import pytest


@pytest.fixture(scope="session")
def dask_client():
    """A client of a Dask cluster with one worker of one thread, all in this process."""
    from distributed import Client, LocalCluster

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Dask, about itself
        options = {"processes": False, "n_workers": 1, "threads_per_worker": 1}
        with LocalCluster(**options, dashboard_address=None) as cluster, Client(cluster) as client:
            yield client
