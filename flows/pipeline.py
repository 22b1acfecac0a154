"""A pipeline of your own: cached steps that run as those of a study do.

Nothing here knows of autoencoders. ``examples/minimal_dag.py`` is a whole pipeline.
"""

import importlib
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.configuration.load import shipped_studies
from flows.configuration.runner_config import RunnerConfig
from flows.configuration.titles import dated
from flows.graph import CheckedGraph, Graph, NoGraph
from flows.launch import run_flow
from flows.lifecycle.command_line import run_command
from flows.plan import PlanGraph
from flows.planned import Plan
from models.specs import ConfigError
from tasks.cache.canonical import JsonObject
from tasks.cache.entry import Entry
from tasks.execution.invocations import RunFailedError
from tasks.system.folders import STUDY_NAME
from tasks.system.user_warnings import say

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State

    from flows.prefect_graph import PrefectGraph

Submit = Callable[[Graph[Any]], None]
USAGE = "plan: what would run; run (the default): run it"


@dataclass(frozen=True)
class Pipeline:
    """A DAG of cached steps: ``submit`` submits its tasks to a graph, in an order that may run.

    ``name`` is that of its flow in Prefect, of its experiment in MLflow and of its records.
    ``parameters`` are shown by the parent run in MLflow; they change no key, since a key holds the
    inputs of its task. ``runner`` says where and how many tasks are computed at once. With
    ``uses_torch`` workers import torch before their first task, and ``runner.device`` counts.

    Raises ConfigError for a name that cannot be used.
    """

    name: str
    submit: Submit
    parameters: Mapping[str, Any] = field(default_factory=dict)
    runner: RunnerConfig = field(default_factory=RunnerConfig)
    uses_torch: bool = False

    def __post_init__(self) -> None:
        import re

        if not re.fullmatch(STUDY_NAME, self.name):
            raise ConfigError(f"pipeline {self.name!r}: use letters, digits, '.', '_' and '-'")
        if self.name.casefold() in {one.casefold() for one in shipped_studies()}:
            raise ConfigError(f"pipeline {self.name!r}: a shipped study has this name; use another")

    def plan(self) -> Plan:
        """What ``run`` would compute, and why. Computes nothing.

        Raises ConfigError for steps and inputs that cannot be run.
        """
        graph = PlanGraph(self.name)
        self._submit_to(graph)
        return graph.plan().model_copy(update={"tasks_at_once": self.runner.tasks_at_once})

    def run(self) -> dict[str, list[Entry]]:
        """Run every task that is not in the store. Returns the entries of all tasks by group.

        It runs in this process, in its main thread: MLflow and Prefect are set up for it.

        Raises RunFailedError if a task fails; what is finished is kept. Raises ConfigError if this
        machine or a server cannot do what is asked.
        """
        if threading.current_thread() is not threading.main_thread():
            raise ConfigError(f"{self.name}: a pipeline is run by the main thread of a process")
        self._submit_to(NoGraph())  # mistakes are found before anything starts
        groups: dict[str, list[Entry]] = {}

        def work(graph: "PrefectGraph") -> list[str]:
            try:
                self._submit_to(graph)
            finally:  # otherwise tasks that wait for it keep the process from ending
                graph.session.stacks.mark_all_submitted()
            entries, failures = graph.wait_for_entries()
            groups.update(entries)
            return failures

        title = f"pipeline {self.name}"
        outcome = run_flow(lambda: self._flow(work), self.runner, title)
        if not outcome.completed:
            raise RunFailedError(f"{outcome.message}; run it again to continue")
        say(f"{outcome.message}; compare the runs with: study ui")
        return groups

    def _submit_to(self, graph: Graph[Any]) -> None:
        """Submit the tasks to a graph. Raises ConfigError if they are none, or cannot be run."""
        checked = CheckedGraph(graph)
        _importable(self.submit)(checked)
        if not checked.names:
            raise ConfigError(f"{self.name}: {self.submit.__name__} has submitted no task")

    def _flow(self, work: "Callable[[PrefectGraph], list[str]]") -> "Callable[[], State]":
        from prefect import Flow

        from flows.invocation import Asked, open_run, run_invocation

        file = sys.modules[_importable(self.submit).__module__].__file__
        record: JsonObject = {"pipeline": file, "parameters": dict(self.parameters)}
        asked = Asked(
            self.name, record, [], dict(self.parameters), self.runner, uses_torch=self.uses_torch
        )

        def pipeline(parameters: dict[str, Any]) -> "State":
            with open_run() as log_line:
                return run_invocation(asked, work, log_line)

        pipeline.__doc__ = self.submit.__doc__
        name = dated(self.name, time.time())
        flow = Flow(pipeline, name=self.name, persist_result=False, flow_run_name=name)
        return lambda: flow(dict(self.parameters), return_state=True)

    def main(self) -> None:
        """The command line of a script: ``run``, the default, or ``plan``.

        Errors that say what to do are one line. The exit codes are those of the command ``study``.
        """
        run_command(self._command, self.name)

    def _command(self) -> None:
        match sys.argv[1:]:
            case [] | ["run"]:
                self.run()
            case ["plan"]:
                say(str(self.plan()))
            case _:
                raise ConfigError(f"{' '.join(sys.argv[1:])!r}: choose {USAGE}")


def _importable(submit: Submit) -> Submit:
    """The same function of a module that worker processes can import by its name.

    A script is the module ``__main__``, so it is imported once more, by the name of its file.

    Raises ConfigError if its import runs the pipeline again, or if the function is in no file.
    """
    file = getattr(sys.modules["__main__"], "__file__", None)
    if submit.__module__ != "__main__":
        if file is not None and getattr(sys.modules[submit.__module__], "__file__", "") == file:
            guard = "if __name__ == '__main__':"
            raise ConfigError(f"{file}: put what runs the pipeline below {guard}")
        return submit
    if file is None or not Path(file).is_file():
        raise ConfigError("the steps of a pipeline must be in a file, which workers can import")
    spec = sys.modules["__main__"].__spec__  # of python -m
    name = Path(file).stem if spec is None else spec.name
    if getattr(sys.modules.get(name), "__file__", file) != file:
        raise ConfigError(f"{file}: another module is called {name!r} too; rename the file")
    found: Submit = getattr(importlib.import_module(name), submit.__name__)
    return found
