"""The entries of a past run, by the groups that its report had."""

from flows.configuration.study_config import StudyConfig
from models.specs import ConfigError, TrainingRecipe
from tasks.cache import store
from tasks.cache.entry import Entry
from tasks.execution.invocations import Invocation


def entries_by_group(found: Invocation, config: StudyConfig) -> dict[str, list[Entry]]:
    """The entries of a run that are still in the store, by group; ``config`` is the run's.

    Raises ConfigError for an entry whose recipe is of another version.
    """
    groups: dict[str, list[Entry]] = {}
    for name, record in found.tasks.items():
        entry = store.load(record.task, record.key) if record.key else None
        if entry is not None:
            named = entry.model_copy(update={"name": name})
            groups.setdefault(record.group or _group(entry, config), []).append(named)
    return groups


def _group(entry: Entry, config: StudyConfig) -> str:
    """The group of an entry in its study, where the record does not say it.

    An autoencoder with another recipe than the study's is trained as in the written study, for the
    transfer section, and has a group of its own.
    """
    if entry.task != "train":
        return entry.task
    try:
        recipe = TrainingRecipe.model_validate(entry.result["recipe"])
    except (KeyError, ValueError):
        raise ConfigError(
            f"{entry.name}: its recipe is of another version of this project; train it again"
        ) from None
    return "train" if recipe == config.recipe(recipe.seed) else "reported_encoder"
