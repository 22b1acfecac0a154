"""One finding, and those findings that are no claims: the best level of a section, PCA, theory."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from models.measures.glossary import Unit
from models.specs import Value
from tasks.analysis.intervals import Estimate
from tasks.analysis.tables import Config, Row
from tasks.verdicts.wording import in_words, seeds_in_words, value_text

Kind = Literal[
    "confirmed",
    "refuted",
    "equivalent",
    "undecided",
    "not measurable",
    "measured",
    "warning",
    "next",
]
PARTS = {"head_only": "a frozen encoder", "fine_tune": "fine-tuning", "from_scratch": "new weights"}


class Finding(Value):
    """One sentence, the anchor of its evidence on the page, and how sure it is, in words."""

    kind: Kind
    sentence: str
    anchor: str
    sure: str = ""


class Best(NamedTuple):
    """Which level of a section is best by a measure: rows are means over seeds.

    ``level`` is a column of the rows, or a format of several. ``sign`` is 1 if more is better.
    """

    section: str
    rows: Sequence[Row]
    levels: str
    level: str
    column: str
    quantity: str
    sign: int
    unit: Unit = ""


def best_levels(rows: Mapping[str, list[Row]], config: Config) -> list[Finding]:
    """Which latent size, network, objective and classifier is best, and what probes find."""
    loss = ("final_test_loss", "test loss", -1)
    accuracy: tuple[str, str, int, Unit] = ("test_accuracy", "test accuracy", 1, "%")
    transfer = [
        row | {"level": f"{PARTS[row['scenario']]} with {row['label_budget']} labels"}
        for row in rows.get("transfer", [])
        if row["scenario"] in PARTS
    ]
    found = [
        Best("latent_sweep", rows.get("latent", []), "latent sizes", "latent_dim", *loss),
        Best("depth_sweep", rows.get("depth", []), "networks", "architecture", *loss),
        Best("objective_sweep", rows.get("objective", []), "objectives", "objective", *loss),
        Best("transfer", transfer, "classifiers", "level", *accuracy),
    ]
    sections = config["sections"]
    levels = [
        finding
        for one in found
        if one.section in sections and (finding := _best_level(one)) is not None
    ]
    return [*levels, *_probed(rows.get("representation", []))]


def _probed(rows: Sequence[Row]) -> list[Finding]:
    """What the best linear probe of frozen latents finds, and what its controls do."""
    measured = [row for row in rows if row.get("linear_probe_accuracy")]
    if not measured:
        return []
    best = max(measured, key=lambda row: float(row["linear_probe_accuracy"].mean))
    trained: Estimate = best["linear_probe_accuracy"]
    others = {"untrained_": "the untrained encoder", "pixel_": "the pixels"}
    controls = [
        f"{value_text(one, '%')} from {name}"
        for prefix, name in others.items()
        if (one := best.get(f"{prefix}linear_probe_accuracy"))
    ]
    network = f"{best['architecture']}, latent size {best['latent_dim']}"
    text = f"A linear probe finds the class of {value_text(trained, '%')} of the test images"
    return [
        Finding(
            kind="measured",
            sentence=f"{text} from the latents of {network}; {', '.join(controls)}.",
            anchor="representation",
            sure=f"means over {seeds_in_words(trained.n)}, not a test",
        )
    ]


def _best_level(asked: Best) -> Finding | None:
    measured = [row for row in asked.rows if row.get(asked.column)]
    if len(measured) < 2:
        return None
    measured.sort(key=lambda row: -asked.sign * row[asked.column].mean)
    first, second = (_level_text(row, asked) for row in measured[:2])
    best: Estimate = measured[0][asked.column]
    seeds = f"means over {seeds_in_words(best.n)}, not a test"
    return Finding(
        kind="measured",
        sentence=(
            f"Of {len(measured)} {asked.levels}, {first[0]} has the "
            f"{'highest' if asked.sign > 0 else 'lowest'} {asked.quantity}: {first[1]}; "
            f"{second[0]} follows with {second[1]}."
        ),
        anchor=asked.section,
        sure=seeds if best.n > 1 else "one seed: no interval",
    )


def _level_text(row: Row, asked: Best) -> tuple[str, str]:
    return str(row[asked.level]), value_text(row[asked.column], asked.unit)


def measured_facts(linear_limit: Sequence[str], edge: str) -> list[Finding]:
    """Findings that are no claims: pixels at the edge, the first sentence on PCA."""
    found = []
    if edge:
        share = in_words(edge.partition(";")[0])
        text = f"{share}: compare models by their loss over reachable pixels"
        found.append(Finding(kind="warning", sentence=as_sentence(text), anchor="reach"))
    for sentence in linear_limit[:1]:
        found.append(
            Finding(
                kind="measured",
                sentence=in_words(sentence),
                anchor="latent_sweep",
                sure="PCA is the best linear autoencoder",
            )
        )
    return found


def theory_findings(checks: Sequence[bool]) -> list[Finding]:
    """How many exercises hold, if any were checked."""
    if not checks:
        return []
    text = f"{sum(checks)} of {len(checks)} exercises of the theory hold."
    kind: Kind = "measured" if all(checks) else "warning"
    return [Finding(kind=kind, sentence=text, anchor="theory", sure="checked with numbers")]


def as_sentence(text: str) -> str:
    """A sentence: it begins with a capital and ends with a full stop."""
    return f"{text[0].upper()}{text[1:].rstrip('.')}."
