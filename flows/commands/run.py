"""``study run``: runs a study, or sections of it."""

from flows.commands.options import Overrides, Sections, StudyArgument
from flows.configuration.load import chosen_sections, load_config


def run(
    study: StudyArgument = "digits",
    overrides: Overrides = None,
    section: Sections = None,
) -> None:
    """Run a study, or sections of it. Finished tasks are not computed again."""
    from flows.launch import launch

    config = load_config(study, overrides)
    launch(config, chosen_sections(section), force=[])
