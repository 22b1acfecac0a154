import json
import os
import signal
import subprocess
import urllib.error
import urllib.request

import numpy as np
import pytest
from typer.testing import CliRunner

from flows.commands.main import app
from models.specs import ConfigError
from tasks.registry.load import load_model
from tasks.registry.register import register_model
from tasks.tracking.client import connect
from tests.conftest import COMMAND
from tests.saved_models import INPUTS, calls, foreign_loader
from tests.servers import free_port

NAME = "latent-study-made-encoder@d5"


@pytest.fixture
def registered(home, saved_once):
    """The address of the files of a registered model."""
    client = connect()
    experiment = client.create_experiment("made", (home / "artifacts").as_uri())
    run_id = client.create_run(experiment).info.run_id
    model = client.create_logged_model(experiment, name="encoder", source_run_id=run_id)
    client.log_model_artifacts(model.model_id, str(saved_once))
    register_model(client, NAME.partition("@")[0], model, "d5")
    (files,) = (home / "artifacts").glob("models/*/artifacts")
    return files


def error_of(*arguments):
    """The mistake that the command reports."""
    return CliRunner().invoke(app, ["serve-model", *arguments]).exception


def ask(address, body, kind="application/json"):
    """Status and answer of POST /invocations."""
    request = urllib.request.Request(f"{address}/invocations", body, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


BAD = [
    (b"x", 400, "the body is not JSON"),
    (b"[" * 100_000, 400, "the body is not JSON"),
    (b"[1]", 400, 'send {"inputs": [...]} or {"instances": [...]}'),
    (b'{"inputs": [], "params": {}}', 400, "and nothing else"),
    (b'{"inputs": [[1], [1, 2]]}', 400, "its lists differ in length"),
    (b'{"inputs": [["a"]]}', 400, "not numbers"),
    (b'{"inputs": {"x": 1}}', 400, "not numbers"),
    (b'{"inputs": [1e99]}', 400, "not finite"),
    (b'{"inputs": [NaN]}', 400, "not finite"),
    (b'{"inputs": [[1, 2]]}', 400, r"takes an array float32 (n, 1, 6, 6), not float32 (1, 2)"),
    (b" " * (2**25 + 1), 413, "more than 33,554,432 bytes"),
]


@pytest.mark.slow
def test_a_model_is_served_in_the_protocol_of_mlflow_until_ctrl_c(registered, home):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [*COMMAND, "serve-model", NAME, "--port", str(port)],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == f"{NAME}: {address}; Ctrl-C stops it\n"
        for path, said in [("ping", b"\n"), ("health", b"\n"), ("version", b"3.")]:
            with urllib.request.urlopen(f"{address}/{path}", timeout=60) as response:
                assert response.read().startswith(said)
        batch = np.random.default_rng(0).random((3, *INPUTS), dtype=np.float32)
        expected = load_model(NAME).predict(batch)
        for key in ("inputs", "instances"):
            status, answer = ask(address, json.dumps({key: batch.tolist()}).encode())
            assert status == 200
            assert (np.array(answer["predictions"], np.float32) == expected).all()
        for body, code, message in BAD:
            status, answer = ask(address, body)
            assert (status, answer["error_code"]) == (code, "BAD_REQUEST")
            assert message in answer["message"]
        assert ask(address, b"1,2", "text/csv")[0] == 415
        request = urllib.request.Request(f"{address}/ping", headers={"Host": "elsewhere.example"})
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(request, timeout=60)
        assert isinstance(error_of(NAME, "--port", str(port)), ConfigError)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, errors) == (0, "")
    assert said == f"{NAME} is no longer served\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing@d5"], "no model 'nothing@d5' in MLflow"),
        ([NAME, "--host", "0.0.0.0"], "every address of this machine"),
        ([NAME, "--host", "203.0.113.9"], "--host '203.0.113.9': "),
    ],
)
def test_a_mistake_is_one_line(arguments, message, registered):
    error = error_of(*arguments)
    assert isinstance(error, ConfigError)
    assert message in str(error)
    assert "\n" not in str(error)


def test_a_port_in_use_is_one_line(registered):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        error = error_of(NAME, "--port", port)
    assert str(error).startswith(f"--port {port}: another program listens on it")


@pytest.mark.parametrize(
    "attack", [foreign_loader, calls("torch.os.system", ("command", "as_string", "touch CANARY"))]
)
def test_foreign_files_are_refused_before_anything_listens(attack, registered, tmp_path):
    attack(registered, tmp_path / "canary")
    error = error_of(NAME, "--port", "0")
    assert isinstance(error, ConfigError)
    assert str(error).startswith(f"{NAME} is not loaded: ")
    assert not (tmp_path / "canary").exists()
