"""A page that compares two studies, or two invocations of one."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tasks.analysis.tables import CLASSIFIER_CHOICES, MODEL_CHOICES, Config, Groups, make_tables
from tasks.cache.canonical import differences
from tasks.reporting.figures import points
from tasks.reporting.page import PAGE, render
from tasks.verdicts.claims import judge_claims
from tasks.verdicts.side_by_side import side_by_side
from tasks.verdicts.verdict import Verdict


class ComparedStudy(NamedTuple):
    """One of the two: its name on the page, its configuration and its entries."""

    name: str
    config: Config
    groups: Groups


def write_comparison(folder: Path, first: ComparedStudy, second: ComparedStudy) -> Path:
    """Write the page, its picture and its table as CSV into a folder. Returns the page's path."""
    from pandas import DataFrame

    from tasks.reporting.plots import lines_figure, save

    folder.mkdir(parents=True, exist_ok=True)
    before, after = (make_tables(study.groups, study.config) for study in (first, second))
    models = (before.models, after.models)
    transfers = (before.transfer, after.transfer)
    rows = {
        "test MSE": side_by_side(*models, MODEL_CHOICES, "final_test_loss", "%"),
        "train MSE": side_by_side(*models, MODEL_CHOICES, "final_train_loss", "%"),
        "test accuracy": side_by_side(*transfers, CLASSIFIER_CHOICES, "test_accuracy", "points"),
    }
    lines = {
        study.name: points(tables.latent_sweep, "latent_dim", "final_test_loss")
        for study, tables in ((first, before), (second, after))
    }
    picture = folder / "rate.svg"
    picture.unlink(missing_ok=True)
    if all(lines.values()):
        save(lines_figure(lines, "latent size", "test MSE per pixel", log_y=True), picture)
    flat = [
        {"quantity": quantity} | row.choice | row.numbers()
        for quantity, compared in rows.items()
        for row in compared
    ]
    DataFrame(flat).to_csv(folder / "comparison.csv", index=False)
    page = folder / PAGE
    text = render(
        "compare.html.j2",
        names=[first.name, second.name],
        settings=list(differences(_without_runner(first), _without_runner(second))),
        verdicts=_side_by_side(judge_claims(before), judge_claims(after)),
        rows=rows,
        picture=picture,
    )
    page.write_text(text, encoding="utf-8")
    return page


def _side_by_side(
    first: Sequence[Verdict], second: Sequence[Verdict]
) -> list[tuple[Verdict | None, Verdict | None]]:
    """The verdicts on each claim; None in a study that does not have the claim."""
    before, after = ({one.name: one for one in verdicts} for verdicts in (first, second))
    longer = sorted([before, after], key=len, reverse=True)
    names = dict.fromkeys([*longer[0], *longer[1]])
    return [(before.get(name), after.get(name)) for name in names]


def _without_runner(study: ComparedStudy) -> Config:
    """The settings that can change a result; where the tasks run cannot."""
    return {key: value for key, value in study.config.items() if key != "runner"}
