import pytest
from pydantic import Field, ValidationError, field_validator

from models.messages import cut, dotted_key, plain_message, shown
from models.specs import Value


class Inner(Value):
    epochs: int = 1
    sizes: tuple[int, ...] | list[str] = ()
    pairs: tuple[tuple[int, int], ...] = ()
    few: tuple[int, ...] = Field((1, 2), min_length=2)

    @field_validator("epochs")
    @classmethod
    def _is_even(cls, epochs):
        if epochs % 2:
            raise ValueError(f"{epochs} is odd")
        return epochs


class Outer(Value):
    training: Inner = Inner(epochs=2)


def errors(training):
    with pytest.raises(ValidationError) as caught:
        Outer(training=training)
    return [(dotted_key(error), plain_message(error)) for error in caught.value.errors()]


def test_the_message_of_a_validator_has_no_prefix():
    assert errors({"epochs": 3}) == [("training.epochs", "3 is odd")]


def test_a_message_of_pydantic_is_kept_or_said_in_plain_words():
    ((key, message),) = errors({"epochs": "many"})
    assert key == "training.epochs"
    assert message.startswith("Input should be a valid integer")
    assert errors(7) == [("training", "should hold keys and values")]
    assert errors({"pairs": 7}) == [("training.pairs", "should be a list, like [1, 2]")]
    assert errors({"pairs": ((1,),)}) == [("training.pairs.0.1", "should be a pair, like [3, 5]")]
    assert errors({"pairs": ((1, 2, 3),)}) == [
        ("training.pairs.0", "should be a pair, like [3, 5]")
    ]
    assert errors({"few": (1,)}) == [("training.few", "should list at least 2 values, like [1, 2]")]


def test_a_key_has_positions_and_no_names_of_types():
    # pydantic's places are sizes.tuple[int, ...] and sizes.list[str].0
    assert {key for key, _ in errors({"sizes": [1, "a"]})} == {"training.sizes", "training.sizes.0"}


def test_a_value_in_an_error_is_cut_if_it_is_long_or_nested():
    nested = 1
    for _ in range(5_000):
        nested = [nested]
    for value in ("x" * 10_000, 10**4_000, list(range(10_000)), {n: "x" for n in range(99)}):
        assert "..." in shown(value)
        assert len(shown(value)) < 120
    assert shown(nested) == "[[[[[[[...]]]]]]]"
    assert (shown("a\nb"), shown(True), shown([1, 2])) == (r"'a\nb'", "True", "[1, 2]")
    assert cut("y" * 101) == "y" * 100 + "..."
    assert cut("y" * 100) == "y" * 100
