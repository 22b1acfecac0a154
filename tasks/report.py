"""Step ``report``: verdicts, tables and pictures of a study in one self-contained HTML page."""

import base64
import json
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.step import Step
from tasks.store import Entry
from tasks.tables import Groups, Tables, headline, make_tables, over_seeds
from tasks.verdicts import (
    Verdict,
    correlation_verdicts,
    interpolation_verdicts,
    reconstruction_verdicts,
    transfer_verdicts,
)

if TYPE_CHECKING:
    from jinja2 import Environment
    from pandas import DataFrame

PAGE = "index.html"
MEDIA_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
CURVES = ["final_train_loss", "final_test_loss", "reported_train_loss", "reported_test_loss"]
MODEL_COLUMNS = [*CURVES, "pca_test_loss", "dead_units", "epochs_to_converge"]
CORRELATIONS = ["dead_units", "mean_abs_correlation_nan_as_zero", "mean_abs_correlation_live"]
CLASSIFIER_COLUMNS = [*CURVES, "test_accuracy", "first_gradient_norm", "last_gradient_norm"]
SHAPE = re.compile(r"(?:depth|latent_dim)=(\d+)")
MEASURES = ["sharpness", "confidence", "nearest_distance"]


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
    from tasks.report_figures import draw

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


def judge_claims(tables: Tables) -> list[Verdict]:
    """The verdict on every conclusion of the written study, in its order."""
    config = tables.config
    sizes, walked = config["latent_dims"], config["interpolation"]["latent_dims"]
    latent_sweep = with_gaps(tables.latent_sweep, "latent_dim", sizes)
    depth_sweep = with_gaps(tables.depth_sweep, "depth", config["depths"])
    frozen = with_gaps(tables.frozen, "latent_dim", config["transfer"]["latent_dims"] or sizes)
    return [
        *reconstruction_verdicts(latent_sweep, depth_sweep),
        *interpolation_verdicts(with_gaps(tables.interpolation, "latent_dim", walked)),
        *correlation_verdicts(latent_sweep),
        *transfer_verdicts(tables.scenarios, frozen),
    ]


def with_gaps(rows: "DataFrame", column: str, wanted: list[int]) -> "DataFrame":
    """Rows with an empty one for each wanted value that has none, so that no claim skips it."""
    from pandas import DataFrame, concat

    missing = [value for value in wanted if len(rows) and value not in set(rows[column])]
    if not missing:
        return rows
    empty = DataFrame({column: missing, "seed": rows.seed.iloc[0]})
    return concat([rows, empty], ignore_index=True)


def summaries(tables: Tables) -> dict[str, list[dict[str, Any]]]:
    """What the page shows: means over seeds."""
    shape = ["depth", "latent_dim", "n_parameters"]
    scenario = ["scenario", "trained", "label_budget"]
    walked = tables.interpolation
    controls = [f"{of}_{measure}" for of in ("pixel", "real") for measure in MEASURES]
    return {
        "latent": over_seeds(tables.latent_sweep, shape, MODEL_COLUMNS),
        "depth": over_seeds(tables.depth_sweep, shape, MODEL_COLUMNS),
        "walks": over_seeds(walked, ["latent_dim"], [*MEASURES, *controls]) if len(walked) else [],
        "correlation": over_seeds(tables.latent_sweep, ["latent_dim"], CORRELATIONS),
        "transfer": over_seeds(tables.scenarios, scenario, CLASSIFIER_COLUMNS),
        "frozen": over_seeds(tables.frozen, ["latent_dim"], CLASSIFIER_COLUMNS),
        "ablation": over_seeds(
            tables.ablation, ["output", "optimizer", "trained"], CLASSIFIER_COLUMNS
        ),
    }


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


def environment() -> "Environment":
    """Where templates find each other, and what they may call."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(loader=PackageLoader("tasks"), autoescape=True, undefined=StrictUndefined)
    found.filters |= {"picture": picture, "of_seed": of_seed, "label": label}
    return found


def render(template: str, **values: Any) -> str:
    """A page from a template."""
    return environment().get_template(template).render(**values)


def picture(path: Path) -> str:
    """A picture as a data URI, empty if there is none."""
    if not path.is_file():
        return ""
    content = base64.b64encode(path.read_bytes()).decode()
    return f"data:{MEDIA_TYPES[path.suffix]};base64,{content}"


def of_seed(entries: Iterable[Entry], seed: int) -> list[Entry]:
    """The entries of one seed, for pictures: by depth and latent size where they have one."""
    chosen = [entry for entry in entries if f"seed={seed}" in label(entry.name).split(", ")]
    return sorted(chosen, key=lambda entry: [int(n) for n in SHAPE.findall(entry.name)])


def pictured_seed(groups: Groups, seeds: list[int]) -> int:
    """The first seed of which there is a model."""
    models = groups.get("train", [])
    return next((seed for seed in seeds if of_seed(models, seed)), seeds[0])


def label(name: str) -> str:
    """What a task's name says in its brackets."""
    return name.partition("[")[2].removesuffix("]")


report = Step(write_report, "report", settings={"config": "", "failures": "failures"})
