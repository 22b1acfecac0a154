from tasks.verdicts import known_spreads
from tasks.verdicts.claim_kinds import Basis
from tasks.verdicts.known_spreads import KnownSpread, known_spread


def test_a_spread_is_known_by_dataset_and_claim(monkeypatch):
    made = KnownSpread(trend=0.02, step=0.05)
    monkeypatch.setattr(known_spreads, "KNOWN", {("mnist", "larger"): made})
    assert known_spread("mnist", "larger") == made
    assert known_spread("digits", "larger") is None
    assert Basis(dataset="mnist").spread("larger") == made
    assert Basis(dataset="digits").spread("larger") == (None, None)


def test_what_is_known_is_positive():
    for spread in known_spreads.KNOWN.values():
        assert all(one is None or one > 0 for one in spread)
