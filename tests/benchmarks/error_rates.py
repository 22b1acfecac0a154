"""How often verdicts are wrong, and how often there is one: made studies whose answer is known.

.venv/bin/python -m tests.benchmarks.error_rates                # the table of docs/verdicts.md
.venv/bin/python -m tests.benchmarks.error_rates --studies 300  # a fast look

Each made study has a value for each of six levels and each seed: the level's mean and normal noise.
It is judged by the functions that judge real studies.
"""

import argparse
from collections import Counter
from typing import NamedTuple

import numpy as np
from pandas import DataFrame

from tasks.verdicts.comparisons import compare_neighbours, compare_trend, page_p_value
from tasks.verdicts.verdict import Reading, Verdict

SEEDS = (3, 5, 10)  # a single seed decides nothing
OUTCOMES = ("confirmed", "refuted", "equivalent", "undecided")
WRONG = 0.025  # of Page's test alone: as the trend, on either side
EQUAL = (1.0,) * 6


class Case(NamedTuple):
    """Six levels whose quantity is claimed to fall.

    ``means`` and ``margin`` are in standard deviations of one value. ``spreads`` are the standard
    deviations of the levels.
    """

    name: str
    means: tuple[float, ...]
    margin: float = 1e-9
    spreads: tuple[float, ...] = EQUAL


def falling(step: float) -> tuple[float, ...]:
    """Six levels that fall by the same step."""
    return tuple(-step * level for level in range(6))


VALLEY = (0.0, -3.0, -6.0, -6.0, -3.0, 0.0)
CASES = (
    Case("no change", falling(0)),
    Case(
        "no change, the first level spreads 10 times as much",
        falling(0),
        spreads=(10, 1, 1, 1, 1, 1),
    ),
    Case("every step falls by 0.5", falling(0.5)),
    Case("every step falls by 2", falling(2)),
    Case("every step falls by 3", falling(3)),
    Case("steps of 3, but the last two swapped", (0.0, -3.0, -6.0, -9.0, -13.0, -12.0)),
    Case("steps of 3, but the last is none", (*falling(3)[:5], -12.0)),
    Case("falls by 3 twice, then rises as much", VALLEY),
    Case("falls and rises, margin 1", VALLEY, margin=1.0),
    Case("no change, margin 1", falling(0), margin=1.0),
    Case("no change, margin 3", falling(0), margin=3.0),
    Case("rises by just the margin of 0.2", falling(-0.2), margin=0.2),
)


def made_study(case: Case, n_seeds: int, generator: np.random.Generator) -> DataFrame:
    """A value per seed (rows) and level (columns)."""
    noise = generator.normal(size=(n_seeds, len(case.means)))
    return DataFrame(np.array(case.means) + np.array(case.spreads) * noise)


def judged(case: Case, table: DataFrame) -> dict[str, str]:
    """The outcome of a claim and of its readings."""
    falls = {"sign": -1, "unit": "", "margin": case.margin}
    trend = compare_trend(table, "")
    verdict = Verdict(
        name="made",
        claim="It falls.",
        source="",
        quantity="made",
        trend=Reading(**falls, comparisons=(trend,)),
        every_step=Reading(**falls, comparisons=compare_neighbours(table, "")),
    )
    return {
        "the claim": verdict.outcome,
        "trend": verdict.trend.outcome,
        "every step": verdict.every_step.outcome,
    }


def judged_by_page(table: DataFrame) -> dict[str, str]:
    """What Page's test alone would say, with the error rates of a trend."""
    falls, rises = (page_p_value(table, sign) or 1.0 for sign in (-1, 1))
    found = "confirmed" if falls < WRONG else "refuted" if rises < WRONG else "undecided"
    return {"Page's test alone": found}


def rates(
    case: Case, n_seeds: int, n_studies: int, with_page: bool = False
) -> dict[str, dict[str, float]]:
    """The share of each outcome among made studies, by reading."""
    generator = np.random.default_rng(n_seeds)
    found: dict[str, Counter[str]] = {}
    for _ in range(n_studies):
        table = made_study(case, n_seeds, generator)
        outcomes = judged(case, table) | (judged_by_page(table) if with_page else {})
        for reading, outcome in outcomes.items():
            found.setdefault(reading, Counter())[outcome] += 1
    return {
        reading: {outcome: counts[outcome] / n_studies for outcome in OUTCOMES}
        for reading, counts in found.items()
    }


def main() -> None:
    """Print the table as markdown: per cent confirmed, refuted and equivalent."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=4000, help="made studies of each kind")
    n_studies = parser.parse_args().studies
    print("| made studies | judged as | " + " | ".join(f"{n} seeds" for n in SEEDS) + " |")
    print("|---|---|" + "---|" * len(SEEDS))
    for case in CASES:
        by_seeds = [rates(case, n, n_studies, with_page=True) for n in SEEDS]
        for reading in by_seeds[0]:
            cells = [
                " / ".join(f"{100 * found[reading][one]:.1f}" for one in OUTCOMES[:3])
                for found in by_seeds
            ]
            print(f"| {case.name} | {reading} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
