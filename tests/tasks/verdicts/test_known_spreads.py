from tasks.verdicts import known_spreads
from tasks.verdicts.judge import Basis
from tasks.verdicts.known_spreads import KnownSpread, Measured, known_spread
from tasks.verdicts.seeds_needed import spread_bound


def test_a_spread_is_known_by_study_and_claim(monkeypatch):
    made = Measured(5, trend=None, step=0.05)
    monkeypatch.setattr(known_spreads, "KNOWN", {("mnist", "larger"): made})
    bounds = KnownSpread(trend=None, step=spread_bound(0.05, 4))
    assert known_spread("mnist", "larger") == bounds
    assert bounds.step > 0.07  # few seeds say little about a spread
    assert known_spread("digits", "larger") is None
    assert Basis(study="mnist").spread("larger") == bounds
    assert Basis(study="digits").spread("larger") == (None, None)


def test_what_is_known_is_positive():
    for seeds, *spread in known_spreads.KNOWN.values():
        assert seeds > 1
        assert all(one is None or one > 0 for one in spread)
