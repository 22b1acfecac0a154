"""The results of one run of a study: tables, pictures, the report, the models."""

from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.api.autoencoder import TrainedAutoencoder
from flows.configuration.load import recorded_config
from flows.configuration.own_code import read_own_code
from flows.configuration.study_config import SECTIONS, StudyConfig
from flows.past_runs import entries_by_group
from flows.sections import study_parameters
from models.specs import ConfigError
from tasks.artifacts.autoencoder import load_autoencoder
from tasks.cache.entry import Entry
from tasks.execution.invocations import Invocation, invocations
from tasks.own_code.registry import OWN_CODES
from tasks.reporting.page import MEDIA_TYPES, PAGE, PageNote, fill_page
from tasks.system.folders import report_path
from tasks.verdicts.findings import sentences
from tasks.verdicts.verdict_data import VERDICT_COLUMNS, verdict_rows

if TYPE_CHECKING:
    from pandas import DataFrame

    from tasks.analysis.tables import Tables

SHOWN_MODELS = 12  # in an error


class Picture:
    """A picture of a report. A notebook shows it; ``path`` is its file."""

    def __init__(self, path: Path):
        self.path = path

    def _repr_mimebundle_(self, **_: object) -> dict[str, Any]:
        data = self.path.read_bytes()
        text = data.decode() if self.path.suffix == ".svg" else data
        return {MEDIA_TYPES[self.path.suffix]: text, "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"<picture {self.path.stem}>"


class Result:
    """One run of a study, finished or not: what it has in the store.

    Its tables and models are read when they are asked for. Files that were damaged or deleted since
    count as missing.
    """

    def __init__(self, invocation: Invocation):
        self._invocation = invocation

    @property
    def study(self) -> str:
        """The name of the study."""
        return self._invocation.study

    @property
    def run(self) -> str:
        """The name of the run: when it started, in UTC."""
        return self._invocation.short_id

    @property
    def state(self) -> str:
        """COMPLETED, FAILED, CANCELLED, CRASHED, or RUNNING."""
        return self._invocation.state

    @property
    def message(self) -> str:
        """How it ended, and what failed."""
        return self._invocation.message

    @property
    def started(self) -> datetime:
        """When it started, in UTC."""
        return datetime.fromtimestamp(self._invocation.started, UTC)

    @property
    def seconds(self) -> float | None:
        """How long it took, in seconds; None if that is not known."""
        return self._invocation.duration

    @cached_property
    def config(self) -> StudyConfig:
        """The configuration of the study. Raises ConfigError if it is of another version."""
        found = self._invocation
        return recorded_config(found.config, found.short_id, found.study)

    @property
    def mlflow_run_id(self) -> str | None:
        """The id of its parent run in MLflow; None if MLflow could not be reached."""
        return self._invocation.mlflow_run_id

    @cached_property
    def tasks(self) -> "DataFrame":
        """One row per task: name, step, outcome, reason of a failure, key in the store."""
        from pandas import DataFrame

        rows = [
            {"name": name, "step": record.task, "outcome": record.outcome, "reason": record.reason}
            | {"key": record.key}
            for name, record in self._invocation.tasks.items()
        ]
        return DataFrame(rows, columns=["name", "step", "outcome", "reason", "key"])

    @property
    def models(self) -> "DataFrame":
        """One row per autoencoder: what distinguishes it, its losses per pixel, its measures."""
        return self._tables.models.drop(columns="key", errors="ignore")

    @property
    def transfer(self) -> "DataFrame":
        """One row per classifier: scenario, encoder, seed, cross entropies in nats, accuracies."""
        return self._tables.transfer.drop(columns="key", errors="ignore")

    @property
    def interpolation(self) -> "DataFrame":
        """One row per autoencoder whose latent walks were measured."""
        return self._tables.interpolation

    @cached_property
    def verdicts(self) -> "DataFrame":
        """One row per claim: its outcome, and the comparison that decides, with its interval.

        Raises LookupError if the run has no report.
        """
        from pandas import DataFrame

        return DataFrame(verdict_rows(self._page.result["verdicts"]), columns=VERDICT_COLUMNS)

    @property
    def summary(self) -> str:
        """How many claims are decided, in one line. Raises LookupError if it has no report."""
        return str(self._page.result["summary"])

    @property
    def findings(self) -> list[str]:
        """What the study found, in at most seven sentences. Raises LookupError without a report."""
        return sentences(self._page.result.get("findings", []))

    @cached_property
    def pictures(self) -> dict[str, Picture]:
        """The pictures of the report by name. Raises LookupError if the run has no report."""
        paths = sorted(map(self._page.path, self._page.files))
        return {path.stem: Picture(path) for path in paths if path.suffix in MEDIA_TYPES}

    @cached_property
    def report(self) -> Path:
        """The path of the report page. Raises LookupError if the run has no report.

        That of an earlier run than the newest is written beside it, without links to MLflow.
        """
        page, newest = self._page, report_path(self.study)
        if newest.exists() and self._is_newest:
            return newest
        path = newest.parent / "runs" / self.run / PAGE
        path.parent.mkdir(parents=True, exist_ok=True)
        note: PageNote = {
            "invocation": self._invocation.id,
            "written": f"{self.started:%Y-%m-%d %H:%M:%S UTC}",
            "tasks": len(self._invocation.tasks),
            "computed": [
                name for name, record in self._invocation.tasks.items() if record.outcome == "done"
            ],
        }
        path.write_text(fill_page(page, lambda keys: {}, note), encoding="utf-8")
        return path

    def autoencoder(
        self,
        *,
        latent_dim: int | None = None,
        seed: int | None = None,
        architecture: str | None = None,
        depth: int | None = None,
        objective: str | None = None,
    ) -> TrainedAutoencoder:
        """One of the study's autoencoders, on the CPU.

        What is not given is the study's own: the architecture and the objective of its latent
        sweep, the latent size at which architectures are compared, the first seed. ``depth`` is
        that of the written study's networks.

        Raises LookupError if there is no such autoencoder, ConfigError if its network is own code
        that has changed since.
        """
        from tasks.analysis.tables import main_architecture, main_objective

        asked = self._parameters
        wanted = {
            "architecture": architecture
            or (main_architecture(asked) if depth is None else f"depth {depth}"),
            "latent_dim": self.config.depth_latent_dim if latent_dim is None else latent_dim,
            "objective": objective or main_objective(asked),
            "seed": self.config.seeds[0] if seed is None else seed,
        }
        models = self._tables.models
        chosen = models[(models[list(wanted)] == list(wanted.values())).all(axis=1)]
        if not len(chosen):
            raise LookupError(self._no_model(wanted))
        (key,) = chosen.key
        (entry,) = (one for one in self._groups["train"] if one.key == key)
        try:
            read_own_code(self.config)  # which must be the code of then
        except ConfigError:
            found = [one.own_code for one in (self.config.architectures or {}).values()]
            found += [one.own_code for one in (self.config.objectives or {}).values()]
            found += [one.own_code for one in (self.config.measures or {}).values()]
            files = sorted({reference for parts in found for reference in parts.values()})
            raise ConfigError(
                f"the code of {', '.join(files)} is not that with which the model was trained; "
                "restore it, or run the study again"
            ) from None
        OWN_CODES.register_builders()
        return TrainedAutoencoder(load_autoencoder(entry), entry, self._entry_of("data"))

    def _no_model(self, wanted: dict[str, Any]) -> str:
        asked = ", ".join(f"{name}={value!r}" for name, value in wanted.items())
        models = self._tables.models
        if not len(models):
            return f"run {self.run} of {self.study} has no trained autoencoder; run it again"
        there = [
            ", ".join(f"{name}={value!r}" for name, value in zip(wanted, row, strict=True))
            for row in models[list(wanted)].drop_duplicates().itertuples(index=False)
        ]
        more = f"; and {len(there) - SHOWN_MODELS} more" if len(there) > SHOWN_MODELS else ""
        return (
            f"run {self.run} of {self.study} has no autoencoder with {asked}; it has "
            f"{'; '.join(there[:SHOWN_MODELS])}{more}"
        )

    @property
    def _is_newest(self) -> bool:
        """Whether no later run of the study has written a report."""
        for found in invocations(self.study):
            if any(one.task == "report" and one.outcome for one in found.tasks.values()):
                return found.id == self._invocation.id
        return False

    @cached_property
    def _groups(self) -> dict[str, list[Entry]]:
        return entries_by_group(self._invocation, self.config)

    @cached_property
    def _parameters(self) -> dict[str, Any]:
        sections = tuple(name for name in SECTIONS if name in self._invocation.sections)
        return study_parameters(self.config, sections)

    @cached_property
    def _tables(self) -> "Tables":
        from tasks.analysis.tables import make_tables

        return make_tables(self._groups, self._parameters)

    @property
    def _page(self) -> Entry:
        return self._entry_of("report")

    def _entry_of(self, step: str) -> Entry:
        found = self._groups.get(step)
        if not found:
            why = f" ({self.message})" if self.message else ""
            raise LookupError(
                f"run {self.run} of {self.study} has no {step} in the store{why}; run it again"
            )
        return found[0]

    def __repr__(self) -> str:
        return f"<run {self.run} of {self.study}: {self.state.lower()}, {self.message}>"
