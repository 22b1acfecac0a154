"""The descriptions of runs in MLflow: markdown, the result first, for its page cuts the rest."""

from collections.abc import Iterable, Sequence
from typing import Any

from tasks.cache.entry import Entry
from tasks.cache.identity import Identity, written

SHORTER = {"latent_dim": "d", "scenario": "", "trained": "", "label_budget": "labels"}


def run_name(identity: Identity, task: str) -> str:
    """What a run is called: the choices that identify its task, shortened, or the task's name."""
    return written(identity, SHORTER) or task


def picture_markdown(run_id: str, file: str, title: str) -> str:
    """A run's picture, at whatever address MLflow is looked at."""
    return f"![{title}](get-artifact?path={file}&run_uuid={run_id})"


def model_note(run_id: str, parameters: dict[str, str], metrics: dict[str, float]) -> str:
    """What an autoencoder is and how good, and its reconstructions."""
    found = f"**Test MSE {metrics['final_test_loss']:.4f}**"
    if "pca_test_loss" in metrics:
        found += f" (linear limit {metrics['pca_test_loss']:.4f})"
    what = "depth {depth}, latent size {latent_dim}, {n_parameters} parameters".format(**parameters)
    shown = picture_markdown(run_id, "thumbnail.png", "originals above reconstructions")
    return f"{found}: autoencoder of {what}.\n\n{shown if 'pca_test_loss' in metrics else ''}"


def transfer_note(run_id: str, parameters: dict[str, str], metrics: dict[str, float]) -> str:
    """What a classifier is and how good, and its confusion matrix."""
    what = "{scenario}, {trained} trained on {label_budget} labels".format(**parameters)
    what = what.replace("_", " ")
    shown = picture_markdown(run_id, "confusion.png", "confusion matrix")
    return f"**Test accuracy {100 * metrics['test_accuracy']:.1f} %**: {what}.\n\n{shown}"


NOTES = {"model": model_note, "transfer": transfer_note}


def study_note(
    verdicts: Sequence[dict[str, Any]], models: Iterable[tuple[Entry, str | None]]
) -> str:
    """Verdicts, and every model with its loss and its reconstructions."""
    lines = ["| claim | verdict |", "|---|---|"]
    lines += [f"| {verdict['claim']} | **{verdict['outcome']}** |" for verdict in verdicts]
    lines += ["", "| model | test MSE | originals above reconstructions |", "|---|---|---|"]
    for entry, run_id in models:
        loss = entry.result["metrics"]["final_test_loss"]
        shown = picture_markdown(run_id, "thumbnail.png", "reconstructions") if run_id else ""
        lines.append(f"| {run_name(entry.identity, entry.name)} | {loss:.5f} | {shown} |")
    return "\n".join(lines)
