import pytest

from models.theory.counterexamples import counterexamples


@pytest.fixture(scope="module")
def numbers():
    """The numbers of every counterexample by its name."""
    return {example.name: example.numbers for example in counterexamples()}


def test_every_counterexample_has_its_own_name(numbers):
    assert len(numbers) == len(counterexamples()) == 7


def test_without_the_half_the_taylor_remainder_is_of_order_2(numbers):
    half = numbers["taylor_without_half"]
    assert half["square_true"] == pytest.approx(1.21, abs=1e-14)
    assert half["square_with_half"] == pytest.approx(1.21, abs=1e-14)
    assert half["square_without_half"] == pytest.approx(1.22, abs=1e-14)
    assert half["exponential_order_without_half"] == pytest.approx(2, abs=0.01)
    assert half["exponential_order_with_half"] == pytest.approx(3, abs=0.01)


def test_the_written_factor_of_angles_gives_wrong_and_negative_losses(numbers):
    assert numbers["degrees_by_180"] == {
        "loss_of_0_and_2_by_180": pytest.approx(0.07, abs=2e-4),
        "loss_of_0_and_2_by_360": pytest.approx(0.0349, abs=1e-5),
        "loss_of_2_and_360_by_180": pytest.approx(-6.21, abs=5e-3),
        "loss_of_2_and_360_by_360": pytest.approx(0.0349, abs=1e-5),
    }


def test_the_written_loss_does_not_wrap_several_turns(numbers):
    turns = numbers["angles_of_several_turns"]
    assert turns.pop("725_and_5_as_written") == pytest.approx(-6.28, abs=5e-3)
    assert set(turns.values()) == {0}
    assert len(turns) == 5


def test_the_stopping_rule_stops_away_from_a_minimum(numbers):
    assert numbers["stopping_rule_after_a_jump"] == {
        "steps": 1,
        "x": -1,
        "f": 1,
        "gradient": 2,
        "minimum": 0,
    }
    saddle = numbers["stopping_rule_at_a_saddle"]
    assert saddle["x"] == pytest.approx(0.5 ** saddle["steps"])
    assert (saddle["y"], saddle["smallest_eigenvalue"]) == (0, -2)
    assert saddle["gradient"] < 1e-4
    assert saddle["f_at_(0,0.1)"] == pytest.approx(-0.01)
    slow = numbers["stopping_rule_of_a_slow_descent"]
    assert slow["steps"] == 2
    assert slow["x"] == pytest.approx((1 - 1e-4) ** 2)
    assert slow["f"] == pytest.approx((1 - 1e-4) ** 4 / 2)
    assert slow["gradient"] > 0.99


def test_one_semidefinite_hessian_belongs_to_a_minimum_and_to_saddles(numbers):
    hessian = numbers["semidefinite_hessian"]
    for name, rise in {"x2_plus_y4": 1e-4, "x2_minus_y4": -1e-4, "x2_plus_y3": -1e-3}.items():
        assert hessian[f"{name}_smallest_eigenvalue"] == 0
        assert hessian[f"{name}_smallest_rise"] == pytest.approx(rise)
