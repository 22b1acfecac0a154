"""Numbers on which torch's own code would crash or hang are refused before it sees them."""

import pytest
import torch

from models.exported.arguments import check_arguments
from models.exported.operators import ATEN, find_operator
from models.exported.schema import ProgramError

X = torch.zeros(2, 1, 4, 4)
HOSTILE = [
    ("softmax.int", {"self": X, "dim": 1, "dtype": 1000}, "'dtype' of 'aten::softmax' is not a dt"),
    ("zeros.default", {"size": [2], "dtype": -1}, "is not a dtype"),
    ("zeros.default", {"size": [2], "layout": 2}, "is not a layout"),
    ("clone.default", {"self": X, "memory_format": 4}, "is not a memory_format"),
    ("to.other", {"self": X, "other": X, "memory_format": 4}, "is not a memory_format"),
    ("replication_pad2d.default", {"self": X, "padding": [2**63 - 1] * 4}, "beyond 4,096"),
    ("max_pool1d.default", {"self": X[0], "kernel_size": [2**31 - 1]}, "beyond 4,096"),
    ("pad.default", {"self": X, "pad": [4096] * 6}, "more than 268,435,456 values"),
    ("select.int", {"self": X, "dim": 0, "index": 2**40}, "beyond 2,147,483,648"),
    ("ones.default", {"size": [2**30]}, "more than 268,435,456 values"),
    ("expand.default", {"self": X, "size": [2**20, 2**20, 4, 4]}, "more than 268,435,456 values"),
    ("repeat.default", {"self": X, "repeats": [1000] * 4}, "more than 268,435,456 values"),
    ("eye.default", {"n": 2**20}, "more than 268,435,456 values"),
    ("arange.start_step", {"start": 0, "end": 1, "step": 1e-12}, "more than 268,435,456 values"),
    (
        "upsample_nearest2d.vec",
        {"input": X, "output_size": None, "scale_factors": [1e6, 1e6]},
        "more than 268,435,456 values",
    ),
    (
        "div.Tensor_mode",
        {"self": torch.tensor([-(2**31)]), "other": torch.tensor([-1]), "rounding_mode": "trunc"},
        "does not take these values",
    ),
    (
        "div.Scalar_mode",
        {"self": torch.tensor([-(2**31)]), "other": -1, "rounding_mode": "trunc"},
        "does not take these values",
    ),
    *(
        ("pad.default", {"self": X, "pad": pad, "mode": "circular"}, "does not take these values")
        for pad in ([-3, 4, 0, 0], [5, 0, 0, 0], [0, 0, 0, 5], [1] * 10)
    ),
    ("relu.default", {"self": torch.zeros([1] * 65)}, "more than 64 dimensions"),
    ("unbind.int", {"self": torch.zeros(20_000)}, "does not take these values"),
    ("split.Tensor", {"self": torch.zeros(20_000), "split_size": 1}, "does not take these values"),
    (
        "_weight_norm.default",
        {"v": torch.zeros(3), "g": torch.zeros(3, 0)},
        "does not take these values",
    ),
]


@pytest.mark.parametrize(("name", "values", "message"), HOSTILE)
def test_hostile_arguments_are_refused(name, values, message):
    with pytest.raises(ProgramError, match=message):
        check_arguments(find_operator(ATEN + name), values)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("softmax.int", {"self": X, "dim": 1, "dtype": torch.float64}),
        ("softmax.int", {"self": X, "dim": 1, "dtype": None}),
        ("slice.Tensor", {"self": X, "dim": 0, "start": 0, "end": 2**63 - 1, "step": 1}),
        ("reflection_pad2d.default", {"self": torch.zeros(1000, 9, 28, 28), "padding": [2] * 4}),
        ("_weight_norm.default", {"v": torch.ones(3, 2), "g": torch.ones(3, 1), "dim": 0}),
        ("add.Scalar", {"self": X, "other": 1.5}),
        ("div.Scalar_mode", {"self": X, "other": 3, "rounding_mode": "trunc"}),
        ("div.Scalar_mode", {"self": X.long(), "other": 3, "rounding_mode": "floor"}),
        ("pad.default", {"self": X, "pad": [4, 1, 0, 2], "mode": "circular"}),
    ],
)
def test_usual_arguments_are_taken(name, values):
    operator = find_operator(ATEN + name)
    check_arguments(operator, values)
    operator(**values)
