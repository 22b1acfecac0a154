"""How much changes differ between seeds in the shipped studies.

A shipped study that runs with one seed has no spread, so the spread that it had with several
seeds tells how many it needs.
"""

from typing import NamedTuple

from tasks.verdicts.seeds_needed import spread_bound


class KnownSpread(NamedTuple):
    """Standard deviations of the change of one seed: of the trend, and the largest of any step.

    As in ``Comparison.spread``: of logarithms of ratios for a relative change, of shares for
    percentage points, otherwise of the quantity. None where it is not known.
    """

    trend: float | None
    step: float | None


class Measured(NamedTuple):
    """The spreads of a claim as in ``KnownSpread``, which a shipped study had with these seeds."""

    seeds: int
    trend: float | None
    step: float | None


# By the names of study and claim. Latent sizes and depths of `mnist` have 20 seeds, all else five.
KNOWN: dict[tuple[str, str], Measured] = {
    ("mnist", "larger_latent_lower_train_loss"): Measured(20, 0.008, 0.104),
    ("mnist", "larger_latent_lower_test_loss"): Measured(20, 0.008, 0.105),
    ("mnist", "deeper_lower_train_loss"): Measured(20, 0.043, 0.105),
    ("mnist", "deeper_lower_test_loss"): Measured(20, 0.044, 0.106),
    ("mnist", "depth_3_fewer_parameters_lower_loss"): Measured(20, None, 0.073),
    ("mnist", "deeper_fewer_updates"): Measured(20, 0.142, 0.248),
    ("mnist", "deeper_fewer_operations"): Measured(20, 0.142, 0.248),
    ("mnist", "deeper_smaller_area_under_log_loss"): Measured(20, 0.100, 0.193),
    ("mnist", "larger_latent_sharper_interpolation"): Measured(5, None, 0.020),
    ("mnist", "larger_latent_sharper_between_its_ends"): Measured(5, None, 0.010),
    ("mnist", "larger_latent_more_realistic_kid"): Measured(5, None, 0.015),
    ("mnist", "larger_latent_more_realistic_recall"): Measured(5, None, 0.030),
    ("mnist", "larger_latent_less_correlated_nan_as_zero"): Measured(5, 0.0068, 0.041),
    ("mnist", "larger_latent_less_correlated_live"): Measured(5, 0.0060, 0.032),
    ("mnist", "larger_latent_larger_share_used"): Measured(5, 0.0099, 0.112),
    ("mnist", "fine_tuning_beats_frozen"): Measured(5, None, 0.0027),
    ("mnist", "fine_tuning_beats_frozen_with_every_budget"): Measured(5, None, 0.0061),
    ("mnist", "larger_latent_better_frozen_feature"): Measured(5, 0.0025, 0.022),
    ("mnist-as-reported", "larger_latent_lower_train_loss"): Measured(5, 0.022, 0.32),
    ("mnist-as-reported", "larger_latent_lower_test_loss"): Measured(5, 0.022, 0.33),
    ("mnist-as-reported", "deeper_lower_train_loss"): Measured(5, 0.11, 0.25),
    ("mnist-as-reported", "deeper_lower_test_loss"): Measured(5, 0.11, 0.25),
    ("mnist-as-reported", "depth_3_fewer_parameters_lower_loss"): Measured(5, None, 0.25),
    ("mnist-as-reported", "deeper_fewer_updates"): Measured(5, 0.13, 0.34),
    ("mnist-as-reported", "deeper_fewer_operations"): Measured(5, 0.13, 0.34),
    ("mnist-as-reported", "deeper_smaller_area_under_log_loss"): Measured(5, 0.084, 0.2),
    ("mnist-as-reported", "larger_latent_sharper_interpolation"): Measured(5, None, 0.096),
    ("mnist-as-reported", "larger_latent_sharper_between_its_ends"): Measured(5, None, 0.015),
    ("mnist-as-reported", "larger_latent_more_realistic_kid"): Measured(5, None, 0.055),
    ("mnist-as-reported", "larger_latent_more_realistic_recall"): Measured(5, None, 0.09),
    ("mnist-as-reported", "larger_latent_less_correlated_nan_as_zero"): Measured(5, 0.01, 0.061),
    ("mnist-as-reported", "larger_latent_less_correlated_live"): Measured(5, 0.02, 0.13),
    ("mnist-as-reported", "larger_latent_larger_share_used"): Measured(5, 0.04, 0.28),
    ("mnist-as-reported", "fine_tuning_beats_frozen"): Measured(5, None, 0.012),
    ("mnist-as-reported", "larger_latent_better_frozen_feature"): Measured(5, 0.021, 0.15),
    ("digits", "larger_latent_lower_train_loss"): Measured(5, 0.13, 0.45),
    ("digits", "larger_latent_lower_test_loss"): Measured(5, 0.13, 0.44),
    ("digits", "deeper_lower_train_loss"): Measured(5, 0.13, 0.28),
    ("digits", "deeper_lower_test_loss"): Measured(5, 0.13, 0.27),
    ("digits", "depth_3_fewer_parameters_lower_loss"): Measured(5, None, 0.11),
    ("digits", "deeper_fewer_updates"): Measured(5, 0.12, 0.24),
    ("digits", "deeper_fewer_operations"): Measured(5, 0.12, 0.24),
    ("digits", "deeper_smaller_area_under_log_loss"): Measured(5, 0.079, 0.2),
    ("digits", "larger_latent_sharper_interpolation"): Measured(5, None, 0.03),
    ("digits", "larger_latent_sharper_between_its_ends"): Measured(5, None, 0.0093),
    ("digits", "larger_latent_more_realistic_kid"): Measured(5, None, 0.02),
    ("digits", "larger_latent_more_realistic_precision"): Measured(5, None, 0.013),
    ("digits", "larger_latent_more_realistic_recall"): Measured(5, None, 0.03),
    ("digits", "larger_latent_interpolation_nearer_real_images"): Measured(5, None, 0.018),
    ("digits", "larger_latent_less_correlated_nan_as_zero"): Measured(5, 0.023, 0.079),
    ("digits", "larger_latent_less_correlated_live"): Measured(5, 0.022, 0.075),
    ("digits", "larger_latent_larger_share_used"): Measured(5, 0.087, 0.31),
    ("digits", "fine_tuning_beats_frozen"): Measured(5, None, 0.0041),
    ("digits", "fine_tuning_beats_frozen_with_every_budget"): Measured(5, None, 0.01),
    ("digits", "larger_latent_better_frozen_feature"): Measured(5, 0.081, 0.27),
}


def known_spread(study: str, claim: str) -> KnownSpread | None:
    """Upper 80 % bounds of the spread of a claim's changes in a shipped study.

    None if the study is not a shipped one, or does not measure it.
    """
    found = KNOWN.get((study, claim))
    if found is None:
        return None
    return KnownSpread(*(one and spread_bound(one, found.seeds - 1) for one in found[1:]))
