"""How far a run is, as an artifact on Prefect's page."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from flows.lifecycle.run_page import artifact_key, only_warns
from tasks.tracking.descriptions import as_text

UPDATE_SECONDS = 3.0  # a short run has a single update, at its end
PATIENCE_SECONDS = 2.0  # for the last update


@contextmanager
def shown_progress(study: str, progress: Callable[[], float]) -> Iterator[None]:
    """Show the progress of a run, in per cent, while the run lasts; no task waits for it.

    A server that cannot be reached is a warning, and nothing more is shown.
    """
    ended = threading.Event()

    def show() -> None:
        artifact: UUID | None = None
        about, shown = f"Tasks of {as_text(study)} that ended", -1.0
        while True:
            is_last = ended.wait(UPDATE_SECONDS)
            now = progress()
            if artifact is None:
                made = create_progress_artifact(now, artifact_key(study, "progress"), about)
                artifact = cast(UUID, made)
            elif now != shown:
                update_progress_artifact(artifact, now)
            shown = now
            if is_last:
                return

    def show_or_warn() -> None:
        with only_warns():
            show()

    thread = threading.Thread(target=copy_context().run, args=(show_or_warn,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(PATIENCE_SECONDS)
