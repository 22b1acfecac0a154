"""Step ``theory``: checks the written study's exercises numerically."""

from pathlib import Path

from tasks.cache.step import Result, Step

SEED = 0
CASES = 20  # random cases per exercise; all exercises take about 3 s on one core


def check_exercises(folder: Path) -> Result:
    """The largest error of each exercise, and a counterexample to each mistake of the study."""
    import torch

    from models.theory.checks import check_theory
    from models.theory.counterexamples import counterexamples

    checks = check_theory(torch.Generator().manual_seed(SEED), CASES)
    examples = counterexamples()
    return {
        "parameters": {"seed": SEED, "cases": CASES},
        "metrics": {f"error/{check.name}": check.largest_error for check in checks}
        | {"exercises": len(checks), "exercises_that_hold": sum(check.holds for check in checks)},
        "checks": [check._asdict() | {"holds": check.holds} for check in checks],
        "counterexamples": [example._asdict() for example in examples],
    }


theory = Step(check_exercises, "theory", kind="theory")
