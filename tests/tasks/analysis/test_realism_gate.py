import pytest

from tasks.analysis.realism_gate import DESTROYED, MEASURES, gate, mean_of_all

KNOWN = {"real": 0.0, "reconstructed": 1.0, "pixel_mix": 2.0, "blur": 0.5}
KNOWN |= dict.fromkeys(DESTROYED, 3.0)
CONTRARY = {"precision", "recall", "confidence"}  # the larger the more real


def row(judges=3, **changes):
    """Measures of all sets that are in order, except for changes: a value for each judge."""
    return {
        name: {
            measure: [-x if measure in CONTRARY else x for x in changes.get(name, [value] * judges)]
            for measure in MEASURES
        }
        for name, value in KNOWN.items()
    }


def test_a_measure_that_orders_all_controls_passes():
    for found in gate([row(), row()]).values():
        assert found.passes
        assert found.failures == ()
    assert gate([row()])["kid"].values == KNOWN


ORDERED = [
    ("real", "reconstructed"),
    ("reconstructed", "pixel_mix"),
    ("real", "blur"),
    *(("pixel_mix", name) for name in ("shuffled", "noise", "mean", "black", "checkerboard")),
]


@pytest.mark.parametrize(("better", "worse"), ORDERED)
def test_one_judge_that_disagrees_fails_every_measure(better, worse):
    limit = KNOWN[better]
    for values in ([9, limit, 9], [9, limit - 0.1, 9]):  # as real, or more real
        for found in gate([row(**{worse: values})]).values():
            assert not found.passes
            assert (better, worse, 1, 0, 3) in found.failures


def test_models_are_averaged_before_they_are_ordered():
    worse, better = row(reconstructed=[2.5] * 3), row(reconstructed=[1.0] * 3)
    assert not gate([worse])["kid"].passes
    assert gate([worse, better])["kid"].passes


def test_what_is_missing_or_undefined_does_not_pass():
    assert not any(found.passes for found in gate([]).values())
    undefined = row()
    undefined["noise"]["kid"] = [3.0, None, 3.0]
    found = gate([undefined])
    assert found["kid"].failures == (("pixel_mix", "noise", 0, 1, 3),)
    assert found["kid"].values["noise"] is None
    assert found["recall"].passes
    without = row()
    del without["real"]
    assert ("real", "blur", 0, 0, 0) in gate([without])["kid"].failures


def test_a_mean_needs_all_of_its_values():
    assert mean_of_all([0.25, 0.75]) == 0.5
    assert mean_of_all([0.25, None]) is None
