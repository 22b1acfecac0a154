import errno

import pytest

from models.training.loop import DivergedError
from tasks.execution.prefect_task import is_transient
from tasks.execution.worker_processes import WorkerDiedError


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.EIO, "input/output error"), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (FileNotFoundError(errno.ENOENT, "gone in the middle"), True),
        (OSError(errno.ENOSPC, "no space left on device"), False),
        (PermissionError(errno.EACCES, "not allowed"), False),
        (DivergedError("diverged at epoch 3"), False),
        (WorkerDiedError("killed"), False),
        (ValueError("a bug"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error, expected):
    assert is_transient(error) is expected
