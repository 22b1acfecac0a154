"""What a request can hold: numbers in lists, and nothing that takes much more memory than it."""

import json
import tracemalloc

import numpy as np
import pytest

from flows.servers.model_server import RequestError, _batch, _predictions


class Returns:
    """A model that returns these values, or raises this error."""

    def __init__(self, values):
        self.values = values

    def predict(self, batch):
        if isinstance(self.values, BaseException):
            raise self.values
        return np.array(self.values, np.float32)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (b'["' + b"a" * 10**6 + b'"' + b',"b"' * 700 + b"]", "not numbers"),
        (b'[[1, "a"]]', "not numbers"),
        (b"[true]", "not numbers"),
        (b"[null]", "not numbers"),
        (b"[{}]", "not numbers"),
        (b"[" * 900 + b"1" + b"]" * 900, "too many lists in lists"),
        (b"[1, [2]]", "differ in length"),
        (b"[" + b"9" * 4000 + b"]", "not finite"),
        (b"[-1e999]", "not finite"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused_in_little_memory(values, message):
    tracemalloc.start()
    try:
        with pytest.raises(RequestError, match=message) as error:
            _batch(b'{"inputs": ' + values + b"}")
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
    assert len(str(error.value)) < 200


@pytest.mark.parametrize("values", [[[1, 2.5], [3, -4]], [], 7, [[[[[0.1]]]]]])
def test_numbers_become_float32(values):
    found = _batch(json.dumps({"inputs": values}).encode())
    assert found.dtype == np.float32
    assert (found == np.array(values, np.float32)).all()


def test_values_that_are_not_finite_are_null():
    answer = _predictions(Returns([[1.5, np.nan], [np.inf, -np.inf]]), b'{"inputs": [1]}')
    assert json.loads(answer) == {"predictions": [[1.5, None], [None, None]]}


def test_a_lack_of_memory_is_an_answer():
    with pytest.raises(RequestError, match="more memory than there is") as error:
        _predictions(Returns(MemoryError()), b'{"inputs": [1]}')
    assert error.value.status == 413
