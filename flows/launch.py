"""Start a study's flow from the command line."""

import gc
import importlib
import os
import sys
import threading
from contextlib import suppress
from typing import Any

import typer

from flows.configuration.study_config import SECTIONS, Section, StudyConfig
from flows.lifecycle.interrupts import restore_signals, stop_on_signals
from flows.lifecycle.prefect_environment import prepare_environment, reaching_prefect
from flows.lifecycle.task_runners import check_cluster
from flows.servers.embedded_prefect import EmbeddedPrefect
from flows.servers.health import use_running_prefect
from models.specs import ConfigError
from tasks.cache import shared_store
from tasks.system.folders import folders, report_page
from tasks.system.hardware import has_gpu
from tasks.tracking.config import mlflow_config

HEARTBEAT_SECONDS = "30"  # of scheduled runs; flows/lifecycle/automations.yaml waits for three


def launch(config: StudyConfig, sections: tuple[Section, ...], force: list[str]) -> None:
    """Run these sections in this process, print how it ended; exits with 1 if a task failed."""
    _prepare(config)
    stop_on_signals()
    server = None if "PREFECT_API_URL" in os.environ else EmbeddedPrefect()
    if server is not None:
        os.environ["PREFECT_API_URL"] = server.address
    gc.disable()  # until something is computed; all that is imported takes a quarter less time
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    from flows.study import SECTION_FLOWS  # prefect takes seconds to import
    from flows.study import study as whole_study

    chosen: Any = whole_study
    arguments: dict[str, Any] = {"config": config, "force": force}
    if len(sections) == 1:
        chosen = SECTION_FLOWS[sections[0]]
    else:
        arguments["sections"] = list(sections)
    chosen = chosen.with_options(flow_run_name=config.name)
    left_out = [section for section in SECTIONS if section not in sections]
    typer.echo(f"study {config.name}" + (f": {', '.join(sections)}" if left_out else ""))
    if server is not None:
        threading.Thread(target=_warm_up, args=(config, sections), daemon=True).start()
        server.wait()
    unwatched = temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None})
    with reaching_prefect(), unwatched:
        state = chosen(**arguments, return_state=True)
    restore_signals()
    gc.freeze()  # otherwise leaving takes a second longer, to look through all that was imported
    _summarize(config, state)


def _prepare(config: StudyConfig) -> None:
    """Refuse what would fail later; make this process one that uses Prefect."""
    mlflow_config()
    if (config.runner.kind, config.runner.device) == ("local", "cuda") and not has_gpu():
        raise ConfigError("runner.device: 'cuda', but no Nvidia driver is loaded; use auto or cpu")
    prepare_environment()
    use_running_prefect()
    check_cluster(config.runner)
    shared_store.check()


def prepare_to_serve(config: StudyConfig) -> None:
    """Make this process one whose children run the study when it is due."""
    os.environ.update(folders())  # a run may start in another folder
    os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", HEARTBEAT_SECONDS)
    _prepare(config)


def _warm_up(config: StudyConfig, sections: tuple[Section, ...]) -> None:
    """While the embedded server starts, start workers if there is anything to compute."""
    from flows.plan import make_plan
    from tasks.execution.worker_processes import WorkerProcesses, start_early

    runner = config.runner
    with suppress(Exception):  # what fails here fails in the run as well, which reports it
        plan = make_plan(config, sections) if runner.kind == "local" else []
        if any(task.action == "run" for task in plan):
            workers = WorkerProcesses(runner.tasks_at_once, runner.threads_per_task, runner.device)
            start_early(workers)
        importlib.import_module("tasks.tracking.writer")  # MLflow takes a second


def _summarize(config: StudyConfig, state: Any) -> None:
    from flows.prefect_graph import reason

    page = report_page(config.name)
    if page.exists():
        typer.echo(f"report: {page}")
    if not state.is_completed():
        typer.echo(f"study: {reason(state)}", err=True)
        typer.echo(f"study: once mended, run what is missing with: study rerun {config.name}")
        sys.exit(1)
    typer.echo(f"{state.message}; compare the runs with: study ui")
