"""Fit polynomials to noisy points: a pipeline of cached steps, and nothing of autoencoders.

python examples/minimal_dag.py plan    # what would run, and why
python examples/minimal_dag.py         # run what is not in the store
study ui                               # its runs in MLflow and Prefect
"""

from pathlib import Path

import numpy as np

from flows import Pipeline, Step
from flows.graph import Graph, Node
from tasks.cache.canonical import JsonObject
from tasks.cache.entry import Entry

SEED, DEGREES = 0, (1, 2, 3, 5)


def sample_points(folder: Path, n: int, seed: int) -> JsonObject:
    """Points on a sine, with noise of standard deviation 0.1."""
    random = np.random.default_rng(seed)
    x = random.uniform(0, 2 * np.pi, n)
    np.save(folder / "points.npy", [x, np.sin(x) + random.normal(0, 0.1, n)])
    return {"parameters": {"n": n, "seed": seed}}


def fit_polynomial(folder: Path, points: Entry, degree: int) -> JsonObject:
    """A polynomial fitted to every second point, and its error on the others."""
    x, y = np.load(points.path("points.npy"))
    coefficients = np.polyfit(x[::2], y[::2], degree)
    error = np.mean((np.polyval(coefficients, x[1::2]) - y[1::2]) ** 2)
    return {"parameters": {"degree": degree}, "metrics": {"test_mse": float(error)}}


def choose_best(folder: Path, fits: list[Entry]) -> JsonObject:
    """The degree with the smallest error."""
    best = min(fits, key=lambda fit: fit.result["metrics"]["test_mse"])
    return {"metrics": {"best_degree": best.result["parameters"]["degree"]}}


POINTS = Step(sample_points, "points")
FIT = Step(fit_polynomial, "fit", kind="fit")  # each has a run of its own in MLflow
BEST = Step(choose_best, "best", kind="best")


def submit(graph: Graph[Node]) -> None:
    """points -> fit, one for each degree -> best."""
    points = graph.submit(POINTS, {"seed": SEED}, n=200, seed=SEED)
    fits = [graph.submit(FIT, {"degree": d}, points=points, degree=d) for d in DEGREES]
    graph.submit(BEST, {}, fits=fits)


if __name__ == "__main__":
    Pipeline("polynomials", submit).main()
