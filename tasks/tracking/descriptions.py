"""Names and descriptions of runs in MLflow.

A description is markdown and starts with the result, because MLflow's table shows only its start.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from tasks.cache.canonical import JsonObject
from tasks.cache.entry import Entry
from tasks.cache.identity import Identity, identity_text
from tasks.datasets.found_files import counted

MARKUP = re.compile(r"[&<>`*\[\]!|~\\\r\n]")  # what is special in markdown and HTML
SHOWN_CHANGES = 3  # in a run's name
SHORT_KEYS = {"latent_dim": "d", "label_budget": "labels"}
SHORT_KEYS |= dict.fromkeys(("scenario", "trained", "labels"), "")  # their values say enough


def run_name(identity: Identity, task: str) -> str:
    """A run's name: its task's identity with short keys, or the task's name if it has none."""
    return identity_text(identity, SHORT_KEYS) or task


def difference_text(parameters: Mapping[str, str], earlier: Mapping[str, str], key: str) -> str:
    """What tells a run from an earlier one of the same task, to be added to the run's name.

    Parameters with other values; the start of the key if there are none, as after a change of code.
    """
    changed = [
        f"{name}={value}" for name, value in parameters.items() if earlier.get(name) != value
    ]
    more = f" and {len(changed) - SHOWN_CHANGES} more" if len(changed) > SHOWN_CHANGES else ""
    return f" ({', '.join(changed[:SHOWN_CHANGES]) or key[:6]}{more})"


def as_text(text: object) -> str:
    """A text in markdown that shows as it is: entries of a shared store may hold any text."""
    return MARKUP.sub(lambda found: f"&#{ord(found[0])};", str(text))


def picture_markdown(run_id: str, file: str, title: str) -> str:
    """A picture among a run's artifacts; the address is relative, so it works on every server."""
    return f"![{title}](get-artifact?path={file}&run_uuid={run_id})"


def model_description(run_id: str, parameters: dict[str, str], metrics: dict[str, float]) -> str:
    """An autoencoder's test loss and architecture, and its reconstructions once evaluated."""
    found = f"**Test MSE {metrics['final_test_loss']:.4f}**"
    if "pca_test_loss" in metrics:
        found += f" (linear limit {metrics['pca_test_loss']:.4f})"
    what = as_text(
        f"{parameters.get('architecture', 'unknown networks')}, latent size "
        f"{parameters['latent_dim']}, {parameters['n_parameters']} parameters"
    )
    picture = picture_markdown(run_id, "thumbnail.png", "originals above reconstructions")
    return f"{found}: autoencoder of {what}.\n\n{picture if 'pca_test_loss' in metrics else ''}"


def classifier_description(
    run_id: str, parameters: dict[str, str], metrics: dict[str, float]
) -> str:
    """A classifier's test accuracy and scenario, and its confusion matrix."""
    what = "{scenario}, {trained} trained on {label_budget} labels".format(**parameters)
    what = as_text(what.replace("_", " "))
    picture = picture_markdown(run_id, "confusion.png", "confusion matrix")
    return f"**Test accuracy {100 * metrics['test_accuracy']:.1f} %**: {what}.\n\n{picture}"


DESCRIPTIONS = {"model": model_description, "transfer": classifier_description}  # by study.kind


def verdict_table(summary: str, verdicts: Sequence[JsonObject]) -> list[str]:
    """A summary and a table of verdicts as lines of markdown."""
    lines = [f"{as_text(summary)}.", "", "| claim | verdict | every step | |", "|---|---|---|---|"]
    for one in verdicts:
        counts = one["trend"] and one["outcome"] != "not measurable"
        literal = one["every_step"]["outcome"] if counts else ""
        claim, outcome, *more = map(as_text, (one["claim"], one["outcome"], literal, one["reason"]))
        lines.append(f"| {' | '.join([claim, f'**{outcome}**', *more])} |")
    return lines


def experiment_text(parameters: JsonObject) -> str:
    """What a study trains, in one sentence for MLflow's list of experiments."""
    dataset = as_text((parameters.get("dataset") or {}).get("name", "images"))
    seeds = counted(len(parameters.get("seeds") or []), "seed")
    sizes = ", ".join(map(str, parameters.get("latent_dims") or []))
    text = f"Autoencoders on {dataset}, {seeds}"
    return f"{text}, latent sizes {sizes}." if sizes else f"{text}."


def finding_list(findings: Sequence[str]) -> list[str]:
    """Findings as a list of markdown, with an empty line after it; empty without any."""
    return [*(f"- {as_text(finding)}" for finding in findings), *([""] if findings else [])]


def study_description(
    summary: str,
    verdicts: Sequence[JsonObject],
    findings: Sequence[str],
    models: Iterable[tuple[Entry, str | None]],
    facts: Sequence[str] = (),
) -> str:
    """The findings, the verdicts, other facts, and every model with its test loss and pictures.

    ``models`` pairs each entry with the id of its run, None if it has no run.
    """
    lines = [*finding_list(findings), *verdict_table(summary, verdicts)]
    lines += ["", *(f"- {as_text(fact)}" for fact in facts)]
    lines += ["", "| model | test MSE | originals above reconstructions |", "|---|---|---|"]
    for entry, run_id in models:
        loss = entry.result["metrics"]["final_test_loss"]
        picture = picture_markdown(run_id, "thumbnail.png", "reconstructions") if run_id else ""
        name = as_text(run_name(entry.identity, entry.name))
        lines.append(f"| {name} | {loss:.5f} | {picture} |")
    return "\n".join(lines)
