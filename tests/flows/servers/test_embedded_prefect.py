import subprocess
import sys

import psutil
import pytest

from flows.servers.embedded_prefect import EmbeddedPrefect
from models.specs import ConfigError


def test_a_damaged_database_is_one_line_with_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    (tmp_path / "prefect.db").write_bytes(b"garbage" * 1000)
    with pytest.raises(ConfigError) as raised:
        EmbeddedPrefect().wait()
    assert "file is not a database" in str(raised.value)
    assert f"move {tmp_path} away" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_it_answers_until_its_command_is_gone(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    code = (
        "import os, signal; from flows.servers.embedded_prefect import EmbeddedPrefect; "
        "s = EmbeddedPrefect(); s.wait(); print(s._process.pid, flush=True); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    _, alive = psutil.wait_procs(
        [process for process in psutil.process_iter() if process.pid == int(done.stdout)],
        timeout=10,
    )
    assert not alive
