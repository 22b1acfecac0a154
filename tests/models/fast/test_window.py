import torch

from models.fast.window import OverlapAdd


def test_overlapping_frames_add_up_and_the_rest_is_zero():
    frames = torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    target = torch.full((8,), 7.0)
    OverlapAdd(frames, target, hop=2)()
    assert target.tolist() == [1, 2, 13, 20, 30, 0, 0, 0]
