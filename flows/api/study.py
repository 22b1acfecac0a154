"""A study from Python: load it, see what it would run, run it, look at the results."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from flows.api.result import Result
from flows.api.run_process import run_in_process
from flows.configuration.load import chosen_sections, load_config, shipped_studies
from flows.configuration.own_code import forget_digests, read_own_code
from flows.configuration.study_config import SECTIONS, Section, StudyConfig
from flows.plan import make_plan
from flows.planned import Plan
from models.specs import ConfigError, SeveralConfigError
from tasks.execution.invocations import Invocation, RunFailedError, invocations, records_named
from tasks.system.disk_errors import DiskError

Source = str | os.PathLike[str] | Mapping[str, Any]
ERRORS: dict[str, type[Exception]] = {
    "ConfigError": ConfigError,
    "SeveralConfigError": SeveralConfigError,
    "DiskError": DiskError,
    "RunFailedError": RunFailedError,
}


class Study:
    """A study, as ``study run`` runs it.

    ``Study.load`` reads one. Everything that a run writes is below ``STUDY_HOME``, as with the
    command, and both find what the other has computed.
    """

    def __init__(self, config: StudyConfig):
        self.config = config

    @classmethod
    def load(cls, study: Source = "digits", overrides: Mapping[str, Any] | None = None) -> "Study":
        """A shipped study by its name, a YAML file by its path, or a study as a mapping.

        ``overrides`` maps dotted keys to values, as ``{"training.epochs": 2}``.

        Raises ConfigError with one line per mistake: key, value, allowed range.
        """
        source = study if isinstance(study, Mapping) else os.fspath(study)
        return cls(load_config(source, overrides or {}))

    @staticmethod
    def shipped() -> list[str]:
        """The names of the studies that come with the package."""
        return shipped_studies()

    @property
    def name(self) -> str:
        """The name of the study, which is that of its experiment in MLflow."""
        return self.config.name

    def plan(self, sections: Sequence[Section] | None = None) -> Plan:
        """What ``run`` would compute, why, and how long it may take. Computes nothing.

        Raises ConfigError for unknown sections, and for images that cannot be read.
        """
        return make_plan(self._current(), _chosen(sections))

    def run(
        self,
        sections: Sequence[Section] | None = None,
        *,
        force: Sequence[str] = (),
        quiet: bool = False,
    ) -> Result:
        """Run the study, or sections of it. Finished tasks are not computed again.

        ``force`` has names of tasks to compute again although they are done; ``*`` matches any
        text. The run has a process of its own, so it works in a notebook and below a running event
        loop. It ends when this process ends; what is finished is kept.

        Raises RunFailedError if a task failed; its attribute ``result`` has what is finished.
        Raises ConfigError if this machine or a server cannot do what is asked, DiskError if nothing
        can be written, KeyboardInterrupt after an interrupt.
        """
        chosen, config = _chosen(sections), self._current()
        forced = make_plan(config, chosen).matching(force) if force else []
        end = run_in_process(config, chosen, forced, quiet)
        result = _result(end["invocation"])
        if "error" in end:
            error = ERRORS.get(end["error"], RuntimeError)(end["text"])
            error.result = result  # type: ignore[attr-defined]
            raise error
        assert result is not None, "a run that completed has a record"
        return result

    def _current(self) -> StudyConfig:
        """The study with its own code as it is in its files now."""
        return read_own_code(forget_digests(self.config))

    def results(self) -> list[Result]:
        """Every run of this study in this STUDY_HOME, newest first, finished or not."""
        return [Result(found) for found in invocations(self.name)]

    def __repr__(self) -> str:
        return f"<study {self.name}>"


def _result(name: str | None) -> Result | None:
    found = next(iter(records_named(name)), None) if name else None
    return Result(found) if isinstance(found, Invocation) else None


def _chosen(sections: Sequence[Section] | None) -> tuple[Section, ...]:
    """Sections in the order of the diagram, all without names. Raises ConfigError."""
    given = [sections] if isinstance(sections, str) else sections
    if given is not None and not given:
        raise ConfigError(f"sections: none is given; choose from {', '.join(SECTIONS)}")
    return chosen_sections(given, "section")
