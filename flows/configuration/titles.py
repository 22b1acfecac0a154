"""Names of runs for people: the study, the settings that differ from the shipped ones, the date."""

from datetime import UTC, datetime

from flows.configuration.load import changed_settings
from flows.configuration.study_config import SECTIONS, Section, StudyConfig
from tasks.datasets.found_files import counted

MOST_SETTINGS = 3
LONGEST_VALUE = 24  # characters


def run_title(config: StudyConfig, sections: tuple[Section, ...]) -> str:
    """What a run is called: ``digits, 5 seeds, epochs 2``.

    A study that is not shipped has no settings that differ.
    """
    parts = [config.name, counted(len(config.seeds), "seed"), *_changes(config)]
    if set(sections) != set(SECTIONS):
        few = [section.replace("_", " ") for section in sections[:2]]
        parts.append(" and ".join(few) if len(sections) <= 2 else f"{len(sections)} sections")
    return ", ".join(parts)


def _changes(config: StudyConfig) -> list[str]:
    """The settings that differ from those of the shipped study, without seeds and runner."""
    found = [
        f"{key.rpartition('.')[2].replace('_', ' ')} {_value(value)}"
        for key, value in changed_settings(config).items()
        if key != "seeds"
    ]
    more = len(found) - MOST_SETTINGS
    return [*found[:MOST_SETTINGS], *([f"{more} more settings"] if more > 0 else [])]


def _value(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."


def dated(title: str, begun: float) -> str:
    """A title with the time in seconds since 1970: ``digits, 5 seeds, 30 Nov 14:05 UTC``."""
    at = datetime.fromtimestamp(begun, UTC)
    return f"{title}, {at.day} {at:%b %H:%M} UTC"
