"""The study: one root flow that reads like the diagram, and one flow per section."""

import re
from typing import Any

from prefect import Task, flow
from prefect.futures import PrefectFuture
from prefect.states import Completed, Failed, State
from prefect.task_runners import ThreadPoolTaskRunner

from flows.config import SECTIONS, Section, StudyConfig
from models.specs import ModelSpec, TransferSpec
from tasks.correlate import correlate
from tasks.data import data, source_fingerprint
from tasks.evaluate import evaluate
from tasks.interpolate import interpolate, interpolation_grid
from tasks.pca import pca
from tasks.publish import publish_report
from tasks.report import report
from tasks.session import Session, default_width, open_session
from tasks.store import Entry
from tasks.tracking import Tracker
from tasks.train import train
from tasks.transfer import transfer

OUTCOMES = {"Cached": "cached", "NotReady": "skipped"}
SELF_EXPLAINING = ("DatasetError", "DivergedError", "WorkerDiedError")


class Graph:
    """The tasks of one invocation, by kind, as they are submitted."""

    def __init__(self, session: Session):
        self.session = session
        self.futures: dict[str, PrefectFuture[Entry]] = {}
        self.groups: dict[str, list[str]] = {}

    def submit(
        self, task: Task[Any, Entry], label: str, group: str | None = None, **inputs: Any
    ) -> PrefectFuture[Entry]:
        """Submit one task under the name ``task[label]``; its group is the task's name."""
        name = f"{task.name}[{label}]"
        future = task.with_options(task_run_name=name).submit(**inputs)
        self.futures[name] = future
        self.groups.setdefault(group or task.name, []).append(name)
        future.add_done_callback(lambda done: self._tell(name, done))
        return future

    def _tell(self, name: str, future: PrefectFuture[Entry]) -> None:
        future.wait()  # makes the final state known to the future
        state = future.state
        completed = state.is_completed()
        outcome = OUTCOMES.get(str(state.name), "done" if completed else "failed")
        self.session.display.end(name, outcome, "" if completed else reason(state))

    def wait(self) -> tuple[dict[str, list[Entry]], list[str]]:
        """Wait for every task; the entries by kind of task, and what failed and why."""
        for future in self.futures.values():
            future.wait()
        groups: dict[str, list[Entry]] = {}
        for kind, names in self.groups.items():
            done = [self.futures[n] for n in names if self.futures[n].state.is_completed()]
            groups[kind] = [Entry.model_validate(future.result()) for future in done]
        missing = {n: f.state for n, f in self.futures.items() if not f.state.is_completed()}
        failed = {name: state for name, state in missing.items() if state.name != "NotReady"}
        failures = [f"{name}: {reason(state)}" for name, state in failed.items()]
        if len(missing) > len(failed):
            failures.append(f"{len(missing) - len(failed)} tasks that need what failed did not run")
        return groups, failures


def reason(state: State) -> str:
    """Why a task did not complete, in one line."""
    text = (state.message or state.name or "").strip().splitlines()[0]
    text = re.sub(r"^(Task|Flow) run encountered an exception:? ", "", text)
    return re.sub(f"^({'|'.join(SELF_EXPLAINING)}): ", "", text)


def model_label(spec: ModelSpec, seed: int) -> str:
    """How task runs name a model."""
    return f"depth={spec.depth}, latent_dim={spec.latent_dim}, seed={seed}"


def transfer_label(spec: TransferSpec) -> str:
    """How task runs name a classifier."""
    parts = ("scenario", "trained", "label_budget", "seed")
    return ", ".join(f"{part}={getattr(spec, part)}" for part in parts)


def submit_sections(graph: Graph, config: StudyConfig, sections: tuple[Section, ...]) -> None:
    """data -> train -> evaluate -> interpolate -> correlate -> transfer, for these sections."""
    source = source_fingerprint(config.dataset)
    dataset = graph.submit(data, config.dataset.name, config=config.dataset, source=source)
    linear = graph.submit(pca, config.dataset.name, dataset=dataset)

    models = {}
    for seed in config.seeds:
        for spec in config.models(sections):
            models[spec, seed] = graph.submit(
                train,
                model_label(spec, seed),
                dataset=dataset,
                spec=spec,
                recipe=config.recipe(seed),
            )

    if "transfer" in sections:
        for seed in config.seeds:
            submit_transfers(graph, config, seed, dataset, models, linear)

    for (spec, seed), model in models.items():
        label = model_label(spec, seed)
        graph.submit(evaluate, label, dataset=dataset, model=model, pca=linear)
        if "decorrelation" in sections and spec in config.latent_sweep:
            graph.submit(correlate, label, dataset=dataset, model=model)

    if "interpolation" in sections and config.interpolated:
        seed = config.seeds[0]
        walks = [
            graph.submit(
                interpolate,
                f"{pair[0]}->{pair[1]}, latent_dim={spec.latent_dim}, seed={seed}",
                dataset=dataset,
                model=models[spec, seed],
                pair=pair,
                steps=config.interpolation.steps,
            )
            for pair in config.interpolation.pairs
            for spec in config.interpolated
        ]
        graph.submit(interpolation_grid, f"seed={seed}", walks=walks)


def submit_transfers(
    graph: Graph,
    config: StudyConfig,
    seed: int,
    dataset: PrefectFuture[Entry],
    models: dict[tuple[ModelSpec, int], PrefectFuture[Entry]],
    linear: PrefectFuture[Entry],
) -> None:
    """Every scenario on the study's encoder; ``as_reported`` on one trained as reported."""
    spec = config.transfer_model
    own = models.get((spec, seed))
    reported = own
    same_recipe = config.reported_recipe(seed) == config.recipe(seed)
    if "as_reported" in config.transfer.scenarios and (own is None or not same_recipe):
        label = f"{model_label(spec, seed)}, recipe=as_reported"
        reported = graph.submit(
            train,
            label,
            group="reported_encoder",
            dataset=dataset,
            spec=spec,
            recipe=config.reported_recipe(seed),
        )
        graph.submit(evaluate, label, dataset=dataset, model=reported, pca=linear)
    for case in config.transfers(seed):
        model = reported if case.scenario == "as_reported" else own
        graph.submit(transfer, transfer_label(case), dataset=dataset, model=model, spec=case)


def run_sections(config: StudyConfig, sections: tuple[Section, ...]) -> State:
    """Run these sections, write the report, close the parent run; Failed names what failed."""
    tracker = Tracker(config.name)
    described = config.model_dump(mode="json", exclude={"runner"}) | {"sections": list(sections)}
    tracker.start_study(described)
    try:
        with open_session(tracker, config.runner.width, config.runner.threads) as session:
            graph = Graph(session)
            submit_sections(graph, config, sections)
            session.display.expect(len(graph.futures) + 1)  # and the report
            failures = finish(graph, config, described)
    except Exception as error:
        tracker.finish_study("FAILED", {}, {"study.failures": str(error)})
        raise
    counts = session.display.counts
    message = f"{counts['failed']} of {len(graph.futures)} failed: {'; '.join(failures)}"
    tracker.finish_study(
        "FAILED" if failures else "FINISHED",
        metrics={f"tasks_{outcome}": n for outcome, n in counts.items()},
        tags={"study.failures": message if failures else ""},
    )
    summary = ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n)
    return Failed(message=message) if failures else Completed(message=summary)


def finish(graph: Graph, config: StudyConfig, described: dict[str, Any]) -> list[str]:
    """Wait for every task, write and publish the report; what failed and why."""
    groups, failures = graph.wait()
    page = graph.submit(report, config.name, config=described, groups=groups, failures=failures)
    page.wait()
    if page.state.is_completed():
        entry = Entry.model_validate(page.result())
        publish_report(config.name, entry, groups, graph.session.tracker)
    else:
        failures.append(f"report[{config.name}]: {reason(page.state)}")
    return failures


runner: Any = ThreadPoolTaskRunner(max_workers=default_width())


@flow(name="study", task_runner=runner, persist_result=False)
def study(config: StudyConfig, sections: list[Section] = list(SECTIONS)) -> State:  # noqa: B006
    """Everything: data, training, evaluation, interpolation, correlation, transfer, report."""
    return run_sections(config, tuple(sections))


def section_flow(section: Section) -> Any:
    """A flow of one section; it reuses what is trained and trains what it needs."""

    @flow(name=section.replace("_", "-"), task_runner=runner, persist_result=False)
    def one_section(config: StudyConfig) -> State:
        return run_sections(config, (section,))

    return one_section


latent_sweep = section_flow("latent_sweep")
depth_sweep = section_flow("depth_sweep")
interpolation = section_flow("interpolation")
decorrelation = section_flow("decorrelation")
transfer_learning = section_flow("transfer")

SECTION_FLOWS = {
    "latent_sweep": latent_sweep,
    "depth_sweep": depth_sweep,
    "interpolation": interpolation,
    "decorrelation": decorrelation,
    "transfer": transfer_learning,
}
