"""How often verdicts are wrong, and how often there is one: made studies whose answer is known.

.venv/bin/python -m tests.benchmarks.error_rates               # the table of docs/verdicts.md
.venv/bin/python -m tests.benchmarks.error_rates --studies 500 # a fast look

Each made study has a value for each of six levels and each seed: the level's mean and normal noise
with a standard deviation of 1. It is judged by the functions that judge real studies.
"""

import argparse
from collections import Counter
from typing import NamedTuple

import numpy as np
from pandas import DataFrame

from tasks.analysis.comparisons import compare_neighbours, compare_trend, page_p_value
from tasks.analysis.verdicts import Reading

SEEDS = (1, 3, 5, 10)
OUTCOMES = ("confirmed", "refuted", "equivalent", "undecided")


class Case(NamedTuple):
    """The true means of the levels, in standard deviations of one value.

    The claim is that the quantity falls. ``shared`` is the correlation of the values of one seed.
    """

    name: str
    means: tuple[float, ...]
    margin: float = 1e-9
    shared: float = 0.0


def falling(step: float) -> tuple[float, ...]:
    """Six levels that fall by the same step."""
    return tuple(-step * level for level in range(6))


CASES = (
    Case("no change", falling(0)),
    Case("no change, values of a seed correlate by .8", falling(0), shared=0.8),
    Case("every step falls by 2 sd", falling(2)),
    Case("every step falls by 3 sd", falling(3)),
    Case("steps of 2 sd, the last rises by 1 sd", (*falling(2)[:5], -7.0)),
    Case("steps of 3 sd, the last rises by 1 sd", (*falling(3)[:5], -11.0)),
    Case("steps of 3 sd, the last is none", (*falling(3)[:5], -12.0)),
    Case("falls by 3 sd, then rises by as much", (0.0, -3.0, -6.0, -6.0, -3.0, 0.0)),
    Case("no change, margin of 1 sd", falling(0), margin=1.0),
    Case("no change, margin of 3 sd", falling(0), margin=3.0),
    Case("every step falls by just the margin of 1 sd", falling(1), margin=1.0),
)


def made_study(case: Case, n_seeds: int, generator: np.random.Generator) -> DataFrame:
    """A value per seed (rows) and level (columns)."""
    own = generator.normal(size=(n_seeds, len(case.means)))
    common = generator.normal(size=(n_seeds, 1))
    noise = np.sqrt(case.shared) * common + np.sqrt(1 - case.shared) * own
    return DataFrame(np.array(case.means) + noise)


def judged(case: Case, table: DataFrame) -> dict[str, str]:
    """The outcome of each reading, and what Page's test alone would say."""

    def outcome(*comparisons):
        return Reading(sign=-1, unit="", margin=case.margin, comparisons=comparisons).outcome

    down, up = (page_p_value(table, sign) or 1.0 for sign in (-1, 1))
    page = "confirmed" if down < 0.025 else "refuted" if up < 0.025 else "undecided"
    return {
        "trend": outcome(compare_trend(table, "{}", "")),
        "every step": outcome(*compare_neighbours(table, "{}", "")),
        "Page's test": page,
    }


def rates(case: Case, n_seeds: int, n_studies: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """The share of each outcome among made studies, by reading."""
    generator = np.random.default_rng([seed, n_seeds])
    found: dict[str, Counter[str]] = {}
    for _ in range(n_studies):
        table = made_study(case, n_seeds, generator)
        for reading, outcome in judged(case, table).items():
            found.setdefault(reading, Counter())[outcome] += 1
    return {
        reading: {outcome: counts[outcome] / n_studies for outcome in OUTCOMES}
        for reading, counts in found.items()
    }


def main() -> None:
    """Print the table as markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=10_000, help="made studies of each kind")
    n_studies = parser.parse_args().studies
    print("| made studies | read as | seeds | " + " | ".join(OUTCOMES) + " |")
    print("|---|---|---|" + "---|" * len(OUTCOMES))
    for case in CASES:
        for n_seeds in SEEDS:
            for reading, shares in rates(case, n_seeds, n_studies).items():
                numbers = " | ".join(f"{shares[outcome]:.3f}" for outcome in OUTCOMES)
                print(f"| {case.name} | {reading} | {n_seeds} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
