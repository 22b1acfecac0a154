"""``study run``: a study, or sections of it."""

from flows.commands.options import Overrides, Sections, StudyArgument, chosen_sections
from flows.configuration.load import load_config


def run(
    study: StudyArgument = "digits",
    overrides: Overrides = None,
    section: Sections = None,
) -> None:
    """Run a study, or sections of it. What is done already is not done again."""
    from flows.launch import launch

    config = load_config(study, overrides)
    launch(config, chosen_sections(section), force=[])
