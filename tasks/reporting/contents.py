"""The sections of the report: where each is linked, what it is called, which template it has."""

from collections.abc import Mapping
from typing import NamedTuple

from tasks.analysis.tables import Config, Groups


class PageSection(NamedTuple):
    """A section of the page, in the order of the page."""

    anchor: str
    title: str
    template: str


def page_sections(
    config: Config, groups: Groups, left_out: Mapping[str, str] | None = None
) -> list[PageSection]:
    """The sections of a study's page. A new one needs one line here, and its template."""
    own = bool(config.get("architectures"))
    wanted = {name for name in config["sections"] if name not in (left_out or {})}
    judged = config["sections"] != ["theory"]
    every = [
        (judged, "verdicts", "Verdicts"),
        ("latent_sweep" in wanted, "latent_sweep", "Latent size"),
        ("depth_sweep" in wanted, "depth_sweep", "Architectures" if own else "Depth"),
        (
            "objective_sweep" in wanted and bool(config.get("objectives")),
            "objective_sweep",
            "Objectives",
        ),
        ("interpolation" in wanted, "interpolation", "Interpolation"),
        ("decorrelation" in wanted, "decorrelation", "Decorrelation"),
        ("representation" in wanted, "representation", "Representation"),
        ("transfer" in wanted, "transfer", "Transfer"),
        (bool(groups.get("reach")), "reach", "Pixels out of reach"),
        ("theory" in wanted, "theory", "Theory"),
        (judged, "method", "How to read verdicts"),
        (True, "provenance", "Provenance"),
    ]
    return [
        PageSection(anchor, title, f"{anchor}.html.j2") for shown, anchor, title in every if shown
    ]
