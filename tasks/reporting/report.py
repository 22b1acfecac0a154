"""Verdicts, tables and pictures of a study in one self-contained HTML page."""

import json
import math
from collections.abc import Iterable
from pathlib import Path

from tasks.analysis.ablation import summarize_ablation
from tasks.analysis.blind_edge import (
    edge_losses,
    edge_warning,
    reach_metrics,
    reach_sentences,
    reached_networks,
)
from tasks.analysis.failures import Failures, count_failures
from tasks.analysis.linear_limit import linear_limit_sentences
from tasks.analysis.summaries import headline_metrics, summaries
from tasks.analysis.tables import (
    Config,
    Groups,
    Tables,
    compared_architectures,
    make_tables,
    mean_image_loss,
)
from tasks.cache.canonical import JsonObject
from tasks.cache.provenance import mixed_releases
from tasks.reporting.contents import page_sections
from tasks.reporting.page import PAGE, pictured_seed, render
from tasks.reporting.representation import representation_values
from tasks.verdicts.claims import judge_claims
from tasks.verdicts.findings import make_findings
from tasks.verdicts.verdict import counts, summary_line
from tasks.verdicts.wording import anchors


def write_report(
    folder: Path,
    config: Config,
    groups: Groups,
    failures: list[str],
    left_out: dict[str, str],
    command: str,
) -> JsonObject:
    """Write tables as CSV, figures, verdicts as JSON, and the page that shows all of them.

    ``models.csv`` has one row per autoencoder, ``transfer.csv`` one per classifier,
    ``interpolation.csv`` one per autoencoder whose latent walks were measured; ``similarity.csv``
    one per pair of networks whose latents were compared.

    ``groups`` holds the finished entries by the name of their step. The page lists ``failures``,
    and the reason for each section that the dataset does not allow, by name in ``left_out``.
    ``command`` repeats the study. Returns the headline metrics, the verdicts, their summary, the
    findings, sentences on pixels out of reach and on PCA, and warnings, as JSON data.
    """
    from tasks.reporting.figures import draw_figures

    tables = make_tables(groups, config)
    for name, table in (
        ("models", tables.models),
        ("transfer", tables.transfer),
        ("interpolation", tables.interpolation),
    ):
        table.drop(columns="key", errors="ignore").to_csv(folder / f"{name}.csv", index=False)
    verdicts = judge_claims(tables)
    summary = summary_line(verdicts, len(config["seeds"]))
    limit = mean_image_loss(groups)
    draw_figures(folder, groups, tables, limit)
    rows = summaries(tables)
    trained = [*groups.get("train", []), *groups.get("reported_encoder", [])]
    reached = reached_networks(groups.get("reach", []), trained)
    linear_limit = linear_limit_sentences(rows["latent"])
    edge = edge_warning(tables.models.to_dict("records"))
    warnings = failed_warning(tables)
    findings = make_findings(
        verdicts,
        rows,
        config,
        warnings=warnings,
        linear_limit=linear_limit,
        edge=edge,
        command=command,
        checks=[one["holds"] for e in groups.get("theory", []) for one in e.result["checks"]],
    )
    represented = representation_values(folder, groups, tables)
    page = render(
        "report.html.j2",
        config=config,
        dataset=groups["data"][0].result if groups.get("data") else None,
        failures=failures,
        left_out=left_out,
        command=command,
        **reference_losses(groups),
        groups=groups,
        tables=rows,
        controls=tables.interpolation_controls,
        contents=page_sections(config, groups, left_out),
        findings=findings,
        anchors=anchors(verdict.name for verdict in verdicts),
        linear_limit=linear_limit,
        representation=represented,
        reached=reached,
        edge_losses=edge_losses(tables.architecture_sweep),
        ablation=summarize_ablation(tables.ablation),
        too_large_budgets=tables.too_large_budgets,
        seeds=config["seeds"],
        pictured_seed=pictured_seed(groups, config["seeds"]),
        verdicts=verdicts,
        summary=summary,
        tested=counts(verdicts)[1],
        folder=folder,
        mean_image_loss=limit,
        failed_trainings=failed_trainings(tables, limit),
        provenance=provenance_summary(groups),
        mixed_releases=list(
            mixed_releases({name: [e.provenance for e in group] for name, group in groups.items()})
        ),
    )
    (folder / PAGE).write_text(page, encoding="utf-8")
    found = [verdict.model_dump(mode="json") for verdict in verdicts]
    (folder / "verdicts.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    metrics = headline_metrics(tables) | reach_metrics(reached) | represented["metrics"]
    return {
        "metrics": metrics,
        "verdicts": found,
        "summary": summary,
        "findings": [one.model_dump(mode="json") for one in findings],
        "facts": [*reach_sentences(reached), *linear_limit],
        "warnings": warnings,
    }


def failed_warning(tables: Tables) -> list[str]:
    """That autoencoders are no better than the mean image for all, if any are."""
    models = tables.models
    failed = int(models.failed.sum()) if "failed" in models else 0
    if not failed:
        return []
    return [
        f"{failed} of {len(models)} autoencoders are no better than the mean image, which needs no "
        "training; train them longer, with smaller batches, or with another learning rate"
    ]


def failed_trainings(tables: Tables, limit: float | None) -> dict[str, list[Failures]]:
    """The failures of trainings by section; none where the mean image's loss is not known."""
    config = tables.config
    if limit is None or not len(tables.models):
        return {"latent_sweep": [], "depth_sweep": [], "objective_sweep": []}
    swept = {
        "latent_sweep": (tables.latent_sweep, "latent_dim", sorted(config["latent_dims"])),
        "depth_sweep": (
            tables.architecture_sweep,
            "architecture",
            compared_architectures(config),
        ),
        "objective_sweep": (
            tables.objective_sweep,
            "objective",
            list(config.get("objectives") or {}),
        ),
    }
    return {
        section: count_failures(rows, along, levels, config["seeds"], limit)
        for section, (rows, along, levels) in swept.items()
    }


def reference_losses(groups: Groups) -> dict[str, float]:
    """Cross entropies that a classifier's loss is compared with, in nats.

    ``chance_loss`` is that of equal probabilities, ``least_softmax_loss`` the least that a softmax
    before a cross entropy that applies softmax again can reach.
    """
    n_classes = groups["data"][0].result["n_classes"] if groups.get("data") else 0
    others = max(n_classes - 1, 0)
    return {
        "chance_loss": math.log(max(n_classes, 1)),
        "least_softmax_loss": math.log(math.e + others) - 1,
    }


def provenance_summary(groups: Groups) -> JsonObject:
    """Versions, machines and commits of everything on the page, each different one once.

    ``seconds`` holds for every step the number of its entries, and the sum and the maximum of the
    seconds that they took to compute.
    """
    entries = [entry for group in groups.values() for entry in group]
    seen = [entry.provenance for entry in entries]
    return {
        "machines": _distinct(
            f"{p['processor'] or 'unknown processor'}, {p['system']}" for p in seen
        ),
        "commits": _distinct(p["commit"] for p in seen if p["commit"]),
        "python": _distinct(p["python"] for p in seen),
        "versions": {
            name: _distinct(p["versions"].get(name, "unknown") for p in seen)
            for name in dict.fromkeys(name for p in seen for name in p["versions"])
        },
        "seconds": {
            task: (len(group), sum(entry.seconds for entry in group), max(e.seconds for e in group))
            for task, group in groups.items()
            if group
        },
    }


def _distinct(values: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(values))
