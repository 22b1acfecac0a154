"""How much changes differ between seeds in the shipped studies.

A study with one seed has no spread of its own. Where it has the dataset and the claims of a
shipped study, that one's spread tells how many seeds it needs.
"""

from typing import NamedTuple


class KnownSpread(NamedTuple):
    """Standard deviations of the change of one seed: of the trend, and the largest of any step.

    As in ``Comparison.spread``: of logarithms of ratios for a relative change, of shares for
    percentage points, otherwise of the quantity. None where it is not known.
    """

    trend: float | None
    step: float | None


# By the names of dataset and claim. Measured with 20 seeds of the study `mnist`, and of its
# networks at the constant learning rate of the reported recipe where convergence is compared.
KNOWN: dict[tuple[str, str], KnownSpread] = {
    ("mnist", "larger_latent_lower_train_loss"): KnownSpread(0.008, 0.104),
    ("mnist", "larger_latent_lower_test_loss"): KnownSpread(0.008, 0.105),
    ("mnist", "deeper_lower_train_loss"): KnownSpread(0.043, 0.105),
    ("mnist", "deeper_lower_test_loss"): KnownSpread(0.044, 0.106),
    ("mnist", "depth_3_fewer_parameters_lower_loss"): KnownSpread(None, 0.073),
    ("mnist", "deeper_fewer_updates"): KnownSpread(0.142, 0.248),
    ("mnist", "deeper_fewer_operations"): KnownSpread(0.142, 0.248),
    ("mnist", "deeper_smaller_area_under_log_loss"): KnownSpread(0.100, 0.193),
}


def known_spread(dataset: str, claim: str) -> KnownSpread | None:
    """The spread of a claim's changes on a dataset, None if no shipped study measured it."""
    return KNOWN.get((dataset, claim))
