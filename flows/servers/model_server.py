"""Answers over HTTP with the outputs of one loaded model, in MLflow's protocol."""

import asyncio
import errno
import json
import signal
import socket
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from flows.servers.health import is_loopback
from models.specs import ConfigError
from tasks.artifacts.saved_model import SavedModel
from tasks.tracking.config import http_address

if TYPE_CHECKING:
    from fastapi import FastAPI, Request

MAX_BODY_BYTES = 2**25  # of one request
MAX_DEPTH = 8  # of lists in lists
MAX_CONNECTIONS = 16
STOP_SECONDS = 3
JSON = "application/json"


class RequestError(ValueError):
    """A request that is not answered with predictions, and its HTTP status."""

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


def serve_until_stopped(
    model: SavedModel, host: str, port: int, say: Callable[[str], None]
) -> None:
    """Serve a model on this host and port until Ctrl-C or SIGTERM.

    ``say`` is called with the address when it listens. Raises ConfigError if it cannot listen.
    """
    import uvicorn

    with _listen(host, port) as listener:
        say(http_address(host, listener.getsockname()[1]))
        settings = uvicorn.Config(
            model_app(model, _allowed_hosts(host)),
            log_level="critical",
            access_log=False,
            lifespan="off",
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=STOP_SECONDS,
        )
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)  # uvicorn raises what stopped it once more
        uvicorn.Server(settings).run(sockets=[listener])


def _allowed_hosts(host: str) -> list[str]:
    """The names under which clients may address the server.

    Behind a loopback host only this machine's, so that no page of another host reaches the model
    through a browser here, by a name that suddenly leads to this machine.
    """
    return [host, f"[{host}]", "localhost", "127.0.0.1", "[::1]"] if is_loopback(host) else ["*"]


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"--port {port}: another program listens on it; choose another, or 0 for any"
            ) from None
        if error.errno == errno.EACCES:
            raise ConfigError(f"--port {port}: not permitted; use one above 1023") from None
        why = error.strerror or str(error)
        raise ConfigError(f"--host {host!r}: {why}; use 127.0.0.1") from None


def model_app(model: SavedModel, hosts: Sequence[str]) -> "FastAPI":
    """The application: GET /ping, /health and /version, POST /invocations."""
    from fastapi import FastAPI, Request, Response
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import ClientDisconnect

    app = FastAPI(openapi_url=None)  # and so no pages that load scripts from elsewhere
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    one_at_a_time = asyncio.Lock()

    async def ping() -> Response:
        return Response("\n", media_type=JSON)

    async def mlflow_version() -> Response:
        return Response(version("mlflow"), media_type=JSON)

    async def invocations(request: Request) -> Response:
        try:
            body = await _body(request)
            async with one_at_a_time:
                answer = await run_in_threadpool(_predictions, model, body)
        except RequestError as error:
            said = {"error_code": "BAD_REQUEST", "message": str(error)}
            return Response(json.dumps(said), error.status, media_type=JSON)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        return Response(answer, media_type=JSON)

    app.get("/ping")(ping)
    app.get("/health")(ping)
    app.get("/version")(mlflow_version)
    app.post("/invocations")(invocations)
    return app


async def _body(request: "Request") -> bytes:
    """The body of a request, of bounded size. Raises RequestError for a larger one."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise RequestError(f"the content type is {kind!r}; send {JSON}", 415)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise RequestError(f"the body has more than {MAX_BODY_BYTES:,} bytes", 413)
    return bytes(body)


def _predictions(model: SavedModel, body: bytes) -> str:
    """The answer as JSON, in which null stands for a value that is not finite."""
    try:
        result = model.predict(_batch(body))
        known = np.isfinite(result)
        shown = result if known.all() else result.astype(object)
        shown[~known] = None
        return json.dumps({"predictions": shown.tolist()}, allow_nan=False)
    except RequestError:
        raise
    except ValueError as error:
        raise RequestError(str(error)) from None
    except MemoryError:
        raise RequestError("the request needs more memory than there is", 413) from None


def _batch(body: bytes) -> np.ndarray:
    """The images of a request as float32. Raises RequestError if they are not finite numbers."""
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"the body is not JSON: {error}") from None
    if not isinstance(sent, dict) or len(sent) != 1 or not {"inputs", "instances"} & sent.keys():
        raise RequestError('send {"inputs": [...]} or {"instances": [...]}, and nothing else')
    ((name, values),) = sent.items()
    if not _are_numbers(values):
        raise RequestError(f"{name!r} has values that are not numbers, or too many lists in lists")
    try:
        batch = np.asarray(values, np.float64)
        with np.errstate(over="ignore"):
            batch = batch.astype(np.float32)
    except ValueError:
        raise RequestError(f"{name!r} is not an array: its lists differ in length") from None
    except OverflowError:
        raise RequestError(f"{name!r} has values that are not finite in float32") from None
    if not np.isfinite(batch).all():
        raise RequestError(f"{name!r} has values that are not finite in float32")
    return batch


def _are_numbers(values: object, depth: int = MAX_DEPTH) -> bool:
    """Whether it is a number, or lists of them: NumPy gives all texts the longest one's size."""
    if not isinstance(values, list):
        return type(values) in {int, float}
    kinds = set(map(type, values))
    if not depth or not kinds <= {int, float, list}:
        return False
    if list not in kinds:
        return True
    return all(_are_numbers(one, depth - 1) for one in values)
