"""What is measured: each measure runs its contestants in turn, round by round."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from tasks.analysis.published_results import TEST_LOSS
from tasks.system.folders import study_data
from tests.benchmarks.contestants import CONTESTANTS
from tests.dask_cluster import DaskCluster
from tests.servers import end, start_prefect

STUDY = [sys.executable, "-m", "flows.commands.main"]
SWEEP = ["run", "mnist", "--section", "latent_sweep"]
# The fastest recipe found that reaches every reported loss.
SHORT = {"training.epochs": 1, "training.learning_rate": 0.03, "training.batch_size": 64}
SHORT |= {"dataset.train_limit": 40_000}
ONE_EPOCH = [part for key, value in SHORT.items() for part in ("--set", f"{key}={value}")]
CORES = len(os.sched_getaffinity(0))
BATCHES = 100


class Sample(NamedTuple):
    """One number of one round."""

    measure: str
    contestant: str
    unit: str
    value: float


Samples = Iterator[Sample]


def run(command: list[str], home: Path | None = None, **variables: str) -> str:
    """Run a command to its end; what it printed. Raises RuntimeError if it failed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    environment["STUDY_DATA"] = str(study_data().absolute())
    if home is not None:
        environment["STUDY_HOME"] = str(home)
    done = subprocess.run(
        command, env=environment | variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def seconds(command: list[str], home: Path | None = None, **variables: str) -> float:
    """Wall time of a whole command."""
    started = time.monotonic()
    run(command, home, **variables)
    return time.monotonic() - started


@contextmanager
def folder() -> Iterator[Path]:
    """An empty STUDY_HOME."""
    path = Path(tempfile.mkdtemp(prefix="study-benchmark-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def core() -> Samples:
    """Images per second of one training on all cores, and of one per core side by side."""
    settings = {
        "one training on all cores": (1, CORES),
        f"{CORES} trainings side by side": (CORES, 1),
    }
    for measure, (processes, threads) in settings.items():
        for name in CONTESTANTS:
            rates = _side_by_side(name, processes, threads)
            if rates:
                yield Sample(measure, name, "images/s", sum(rates))


def _side_by_side(name: str, processes: int, threads: int) -> list[float]:
    """Images per second of each process; none if the program is not installed."""
    command = [sys.executable, "-m", "tests.benchmarks.contestants", name]
    command += ["--threads", str(threads), "--batches", str(BATCHES)]
    environment = os.environ | ({"OMP_PROC_BIND": "true"} if threads > 1 else {})
    started = [
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(processes)
    ]
    rates = []
    for process in started:
        output, errors = process.communicate()
        if "ModuleNotFoundError: No module named 'pythae'" in errors:
            continue
        if process.returncode:
            raise RuntimeError(f"{name} failed:\n{errors}")
        rates.append(float(output.split()[-1]))
    return rates


def sweep() -> Samples:
    """Six latent sizes, five epochs each: the plain script one by one, the product in full."""
    plain = [sys.executable, "-m", "tests.benchmarks.plain_sweep", "--epochs", "5"]
    yield Sample("latent sweep, 5 epochs", "plain script", "s", seconds(plain))
    with folder() as home:
        yield Sample("latent sweep, 5 epochs", "latent-study", "s", seconds([*STUDY, *SWEEP], home))


def losses() -> Samples:
    """Seconds until every latent size is as good as reported, everything included."""
    measure = "until all reported losses"
    plain = [sys.executable, "-m", "tests.benchmarks.plain_sweep", "--until-reported"]
    yield Sample(measure, "plain script", "s", seconds(plain))
    with folder() as home:
        command = [*STUDY, *SWEEP, *ONE_EPOCH]
        yield Sample(measure, "latent-study", "s", seconds(command, home))
        import pandas as pd

        models = pd.read_csv(home / "reports" / "mnist" / "models.csv").set_index("latent_dim")
        missed = [d for d, goal in TEST_LOSS.items() if models.final_test_loss[d] > goal]
        if missed:
            raise RuntimeError(f"one epoch was not enough for latent sizes {missed}")


def overhead() -> Samples:
    """What a run costs that computes nothing, and the share of a study that is no computing."""
    with folder() as home:
        whole = seconds([*STUDY, "run", "mnist"], home)
        busy = _busy(home)
        for _ in range(3):
            yield Sample("study --help", "latent-study", "s", seconds([*STUDY, "--help"], home))
            planned = seconds([*STUDY, "plan", "mnist"], home)
            yield Sample("study plan mnist", "latent-study", "s", planned)
            cached = seconds([*STUDY, "run", "mnist"], home)
            yield Sample("cached study, embedded server", "latent-study", "s", cached)
        with prefect_server(home) as api:
            for _ in range(3):
                served = seconds([*STUDY, "run", "mnist"], home, PREFECT_API_URL=api)
                yield Sample("cached study, running server", "latent-study", "s", served)
        share = 1 - busy / CORES / (whole - cached)
        yield Sample("whole mnist study", "latent-study", "s", whole)
        yield Sample("not computing, beyond a cached run", "latent-study", "%", 100 * share)


@contextmanager
def prefect_server(home: Path) -> Iterator[str]:
    """A Prefect server of its own; its API's address."""
    process, api = start_prefect(home / "prefect")
    try:
        yield api
    finally:
        end(process, signal.SIGTERM)


def memory() -> Samples:
    """Most memory of the command and its workers at any moment; shared pages are split."""
    with folder() as home:
        command = [*STUDY, *SWEEP, *ONE_EPOCH]
        done = threading.Event()
        peaks = {"study": 0.0, "server": 0.0}

        def watch() -> None:
            while not done.wait(0.5):
                for kind, value in _memory_below(os.getpid()).items():
                    peaks[kind] = max(peaks[kind], value)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            run(command, home)
        finally:
            done.set()
            watcher.join()
    yield Sample("peak memory, command and workers", "latent-study", "GB", peaks["study"])
    yield Sample("peak memory, embedded Prefect server", "latent-study", "GB", peaks["server"])


def _memory_below(pid: int) -> dict[str, float]:
    """Proportional set size of child processes in GB, the Prefect server apart."""
    found = {"study": 0.0, "server": 0.0}
    for child in psutil.Process(pid).children(recursive=True):
        try:
            kind = "server" if "flows.servers.embedded_prefect" in child.cmdline() else "study"
            found[kind] += child.memory_full_info().pss / 1e9
        except psutil.Error:
            continue
    return found


def growth() -> Samples:
    """Cached runs of studies with 10, 50 and 200 models; milliseconds per further task."""
    found = []
    for models in (10, 50, 200):
        command = [*STUDY, "run", "smoke", *_small_models(models)]
        with folder() as home:
            run(command, home)
            tasks = len(list(home.glob("store/*/*/manifest.json")))
            cached = min(seconds(command, home) for _ in range(2))
        found.append((tasks, cached))
        yield Sample(f"cached run, {models} models, {tasks} tasks", "latent-study", "s", cached)
    (few, first), *_, (many, last) = found
    per_task = 1000 * (last - first) / (many - few)
    yield Sample("per further cached task", "latent-study", "ms", per_task)


def _small_models(count: int) -> list[str]:
    """A latent sweep of this many models, a multiple of five, one epoch each."""
    seeds = ",".join(map(str, range(count // 5)))
    changes = [f"seeds=[{seeds}]", "latent_dims=[1,2,3,4,5]", "training.epochs=1"]
    options = [part for change in changes for part in ("--set", change)]
    return ["--section", "latent_sweep", *options]


def cluster() -> Samples:
    """200 small models by worker processes of this machine, and by as many Dask workers."""
    command = [*STUDY, "run", "digits", *_small_models(200)]
    with DaskCluster(CORES) as dask:
        for name, settings in {"local": [], "dask": dask.settings}.items():
            with folder() as home:
                took = seconds([*command, *settings], home)
                busy = _busy(home) / CORES
            yield Sample("200 models, 603 tasks", name, "s", took)
            yield Sample("of that not computing", name, "s", took - busy)
            yield Sample("not computing, per model", name, "ms", 1000 * (took - busy) / 200)


def _busy(home: Path) -> float:
    """Seconds that the computing of everything in a store took."""
    manifests = home.glob("store/*/*/manifest.json")
    return float(sum(json.loads(path.read_text())["entry"]["seconds"] for path in manifests))


MEASURES: dict[str, Callable[[], Samples]] = {
    "core": core,
    "sweep": sweep,
    "losses": losses,
    "overhead": overhead,
    "memory": memory,
    "growth": growth,
    "cluster": cluster,
}
