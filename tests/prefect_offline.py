"""Prefect tasks in this process without a server."""

from contextlib import contextmanager
from unittest.mock import patch

from httpx import ConnectError
from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import PREFECT_API_URL, temporary_settings


@contextmanager
def prefect_offline():
    """Run Prefect tasks without a server: nothing is asked, and no state is sent."""
    offline = ConnectError("offline")
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        patch.object(SyncPrefectClient, "raise_for_api_version_mismatch_once"),
        patch.object(SyncPrefectClient, "read_server_default_result_storage", side_effect=offline),
        patch("prefect.events.utilities.should_emit_events", return_value=False),
    ):
        yield
