"""Verdicts, tables and pictures of a study in one self-contained HTML page."""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tasks.analysis.claims import judge_claims
from tasks.analysis.summaries import headline, summaries
from tasks.analysis.tables import Groups, make_tables
from tasks.reporting.page import PAGE, pictured_seed, render


def write_report(
    folder: Path,
    config: dict[str, Any],
    groups: Groups,
    failures: list[str],
    left_out: dict[str, str],
    command: str,
) -> dict[str, Any]:
    """Tables as CSV, figures, and the page that holds both.

    ``groups`` maps a task's name to its entries; what failed is named in ``failures`` and missing
    from the page, and so are sections that the dataset does not allow. ``command`` is what the
    study is repeated with. Returns the headline numbers as metrics, and the verdicts.
    """
    from tasks.reporting.figures import draw

    tables = make_tables(groups, config)
    for name in ("models", "transfer", "interpolation"):
        getattr(tables, name).drop(columns="key", errors="ignore").to_csv(
            folder / f"{name}.csv", index=False
        )
    verdicts = judge_claims(tables)
    draw(folder, groups, tables)
    page = render(
        "report.html.j2",
        config=config,
        dataset=groups["data"][0].result if groups.get("data") else None,
        failures=failures,
        left_out=left_out,
        command=command,
        **loss_marks(groups),
        groups=groups,
        tables=summaries(tables),
        seeds=config["seeds"],
        first=pictured_seed(groups, config["seeds"]),
        verdicts=verdicts,
        folder=folder,
        mean_image=groups["pca"][0].result["test_loss"][0] if groups.get("pca") else None,
        made_with=made_with(groups),
    )
    (folder / PAGE).write_text(page, encoding="utf-8")
    found = [verdict.model_dump(mode="json") for verdict in verdicts]
    (folder / "verdicts.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    return {"metrics": headline(tables), "verdicts": found}


def loss_marks(groups: Groups) -> dict[str, float]:
    """Cross entropy by chance, and the least there is where softmax is applied twice."""
    n_classes = groups["data"][0].result["n_classes"] if groups.get("data") else 0
    others = max(n_classes - 1, 0)
    return {"chance": math.log(max(n_classes, 1)), "floor": math.log(math.e + others) - 1}


def made_with(groups: Groups) -> dict[str, Any]:
    """Versions, machines and commits of everything on the page, and the time that it took."""
    entries = [entry for group in groups.values() for entry in group]
    seen = [entry.provenance for entry in entries]
    return {
        "machines": _distinct(
            f"{p['processor'] or 'unknown processor'}, {p['system']}" for p in seen
        ),
        "commits": _distinct(p["commit"] for p in seen if p["commit"]),
        "python": _distinct(p["python"] for p in seen),
        "versions": {
            name: _distinct(p["versions"][name] for p in seen)
            for name in (seen[0]["versions"] if seen else {})
        },
        "seconds": {
            task: (len(group), sum(entry.seconds for entry in group), max(e.seconds for e in group))
            for task, group in groups.items()
            if group
        },
    }


def _distinct(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values))
