"""Whether autoencoders reconstruct better than PCA with as many components, in words."""

from collections.abc import Sequence
from typing import Literal

from tasks.analysis.tables import Row

PIXEL_SETS = {
    "all pixels": ("final_test_loss", "pca_test_loss"),
    "the reachable pixels": ("reachable_test_loss", "reachable_pca_test_loss"),
}
Result = Literal["below", "not told apart from", "above"]


def linear_limit_sentences(rows: Sequence[Row]) -> list[str]:
    """One sentence for all pixels and one for the reachable ones, from rows of ``summaries``.

    Each row has an Estimate of the autoencoder's loss and of PCA's, which is the same for every
    seed. An autoencoder is below or above it if its 95 % interval is; a single seed has none, so
    its loss is compared as it is.
    """
    found = []
    for pixels, (ours, linear) in PIXEL_SETS.items():
        compared = [row for row in rows if row.get(ours) and row.get(linear)]
        if compared:
            found.append(_sentence(pixels, compared, ours, linear))
    return found


def _sentence(pixels: str, rows: Sequence[Row], ours: str, linear: str) -> str:
    by_result: dict[Result, list[int]] = {"below": [], "not told apart from": [], "above": []}
    for row in rows:
        by_result[_compare(row, ours, linear)].append(row["latent_dim"])
    if len(by_result["below"]) == len(rows):
        return f"On {pixels} the autoencoder's test loss is below PCA's at every latent size."
    parts = [
        f"{result} PCA's at d = {', '.join(map(str, sizes))}"
        for result, sizes in by_result.items()
        if sizes
    ]
    return f"On {pixels} the autoencoder's test loss is {'; '.join(parts)}."


def _compare(row: Row, ours: str, linear: str) -> Result:
    estimate, limit = row[ours], row[linear].mean
    low = estimate.mean if estimate.low is None else estimate.low
    high = estimate.mean if estimate.high is None else estimate.high
    if high < limit:
        return "below"
    return "above" if low > limit else "not told apart from"
