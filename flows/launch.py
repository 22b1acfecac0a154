"""Starts a flow in this process, and everything that it needs."""

import gc
import importlib
import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from flows.configuration.runner_config import RunnerConfig
from flows.configuration.study_config import SECTIONS, Section, StudyConfig
from flows.configuration.titles import dated, run_title
from flows.lifecycle.interrupts import restore_signals, stop_on_signals
from flows.lifecycle.prefect_environment import prepare_environment, report_prefect_errors
from flows.lifecycle.task_runners import check_cluster
from flows.sections import check_dataset
from flows.servers.embedded_prefect import EmbeddedPrefect
from flows.servers.health import use_running_prefect
from models.specs import ConfigError
from tasks.cache import shared_store
from tasks.system.disk_errors import DiskError, disk_errors
from tasks.system.folders import check_report_folder, folder_variables, report_path
from tasks.system.hardware import has_gpu
from tasks.system.user_warnings import say
from tasks.tracking.config import mlflow_config

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

HEARTBEAT_SECONDS = "30"  # of scheduled runs; flows/lifecycle/automations.yaml waits for three


class Outcome(NamedTuple):
    """How a flow ended, and its run in Prefect; ``message`` names what failed."""

    completed: bool
    message: str
    flow_run_id: str


def launch(config: StudyConfig, sections: tuple[Section, ...], force: list[str]) -> None:
    """Run these sections in this process and print how the run ended.

    ``force`` names the tasks to compute although they are in the store. Exits with 1 if a task
    failed, or if a disk is full. Raises ConfigError if this machine or a server cannot do what is
    asked.
    """
    started = time.time()
    try:
        outcome = run_study(config, sections, force)
    except DiskError as error:
        say(f"study: {error}, then {how_to_go_on(config.name, started)}", error=True)
        sys.exit(1)
    page = report_path(config.name)
    if page.exists():
        say(f"report: {page}")
    if not outcome.completed:
        say(f"study: {outcome.message}", error=True)
        say(f"study: run what is missing with: study rerun {config.name}")
        sys.exit(1)
    say(f"{outcome.message}; compare the runs with: study ui")


def run_study(config: StudyConfig, sections: tuple[Section, ...], force: list[str]) -> Outcome:
    """Run these sections of a study in this process.

    Raises ConfigError if this machine or a server cannot do what is asked, DiskError if nothing can
    be written.
    """
    check_dataset(config, sections)
    with disk_errors():
        check_report_folder(config.name)
        return run_flow(
            lambda: _choose_flow(config, sections, force),
            config.runner,
            _title(config, sections),
            lambda: _warm_up(config, sections),
        )


def how_to_go_on(study: str, started: float) -> str:
    """What to do after a run that began at this time, in seconds since 1970."""
    from tasks.execution.invocations import Invocation, records

    newest = next(records(study), None)
    if isinstance(newest, Invocation) and newest.started >= started:
        return f"run what is missing with: study rerun {study}"
    return "start it again"  # a rerun would repeat an earlier run, if there is one


def run_flow(
    choose: "Callable[[], Callable[[], State]]",
    runner: RunnerConfig,
    title: str,
    warm_up: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run a flow in this process, with a Prefect server unless one is named or running.

    ``choose`` gives the call that runs the flow; it may import Prefect, which nothing may have
    imported before. ``warm_up`` is called in another thread while the server starts.

    Raises ConfigError if this machine or a server cannot do what is asked, DiskError if nothing can
    be written.
    """
    try:
        return _run_flow(choose, runner, title, warm_up)
    except DiskError:
        from tasks.execution.worker_processes import stop_prestarted

        stop_prestarted()
        gc.freeze()  # as at the end of a run
        raise


def _run_flow(
    choose: "Callable[[], Callable[[], State]]",
    runner: RunnerConfig,
    title: str,
    warm_up: Callable[[], None],
) -> Outcome:
    _prepare(runner)
    # before the imports and the server, which take seconds: Ctrl-C then is one line, too
    stop_on_signals()
    server = _start_embedded_server()
    # imports then take a quarter less time; computing a task enables it again
    gc.disable()
    chosen = choose()
    say(title)
    if server is not None:
        threading.Thread(target=warm_up, daemon=True).start()
        server.wait()
    state = _run(chosen)
    # the work is over: a late Ctrl-C must not report an interrupted study
    restore_signals()
    # otherwise the exit takes a second longer, to search everything that was imported
    gc.freeze()
    return _outcome(state)


def prepare_scheduled_runs(config: StudyConfig) -> None:
    """Set up this process, whose children run the study when it is due. Raises ConfigError."""
    os.environ.update(folder_variables())  # a run may start in another folder
    os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", HEARTBEAT_SECONDS)
    check_report_folder(config.name)
    _prepare(config.runner)


def _prepare(runner: RunnerConfig) -> None:
    """Raise ConfigError for what would fail later, and set the variables that Prefect reads.

    Prefect reads them when it is imported, so nothing before this imports Prefect.
    """
    mlflow_config()
    if (runner.kind, runner.device) == ("local", "cuda") and not has_gpu():
        raise ConfigError("runner.device: 'cuda', but no Nvidia driver is loaded; use auto or cpu")
    prepare_environment()
    use_running_prefect()
    check_cluster(runner)
    shared_store.check()


def _start_embedded_server() -> EmbeddedPrefect | None:
    """Start a Prefect server for this run, unless the run uses another one.

    Its process starts while this process imports Prefect. The address is known at once, and Prefect
    reads it when it is imported.
    """
    if "PREFECT_API_URL" in os.environ:
        return None
    server = EmbeddedPrefect()
    os.environ["PREFECT_API_URL"] = server.address
    return server


def _choose_flow(
    config: StudyConfig, sections: tuple[Section, ...], force: list[str]
) -> "Callable[[], State]":
    """A call that runs the flow of these sections; its name says what differs, and when."""
    from flows.study import SECTION_FLOWS, study  # imports Prefect, which takes seconds

    name = dated(run_title(config, sections), time.time())
    if len(sections) == 1:
        one_section = SECTION_FLOWS[sections[0]].with_options(flow_run_name=name)
        return lambda: one_section(config, force, return_state=True)
    several = study.with_options(flow_run_name=name)
    return lambda: several(config, list(sections), force, return_state=True)


def _title(config: StudyConfig, sections: tuple[Section, ...]) -> str:
    whole = all(section in sections for section in SECTIONS)
    place = f" on the Dask cluster {config.runner.address}" if config.runner.address else ""
    return f"study {config.name}{place}" + ("" if whole else f": {', '.join(sections)}")


def _warm_up(config: StudyConfig, sections: tuple[Section, ...]) -> None:
    """While the server starts: start worker processes if a task will run, and import MLflow."""
    from flows.plan import make_plan
    from tasks.execution.worker_processes import WorkerProcesses, prestart_workers

    runner = config.runner
    with suppress(Exception):  # the run fails in the same way, and reports it
        tasks = make_plan(config, sections).tasks if runner.kind == "local" else []
        if any(task.action == "run" for task in tasks):
            workers = WorkerProcesses(runner.tasks_at_once, runner.threads_per_task, runner.device)
            prestart_workers(workers)
        importlib.import_module("tasks.tracking.writer")  # MLflow takes a second


def _run(run_flow: "Callable[[], State]") -> "State":
    """Run the flow.

    Raises ConfigError if the Prefect server does not answer, or refuses; DiskError if its disk is
    full.
    """
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    # only scheduled runs send heartbeats; the server marks those as Crashed whose heartbeats end
    without_heartbeats = temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})
    with report_prefect_errors(), without_heartbeats:
        return run_flow()


def _outcome(state: "State") -> Outcome:
    from flows.prefect_graph import reason

    error = state.result(raise_on_failure=False) if state.is_failed() else None
    if isinstance(error, DiskError):
        raise error
    message = str(state.message) if state.is_completed() else reason(state)
    return Outcome(state.is_completed(), message, str(state.state_details.flow_run_id))
