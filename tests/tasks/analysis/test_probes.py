import numpy as np
import pytest
import torch

from tasks.analysis.probes import Probed, knn_accuracy, linear_probe_accuracy, tsne_map


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def made(apart, n=300, classes=3, d=4):
    """Classes of equal size around corners that are so far apart."""
    labels = torch.arange(2 * n) % classes
    features = torch.randn(2 * n, d, generator=seeded())
    features[torch.arange(2 * n), labels] += apart
    return Probed(features[:n], labels[:n], features[n:], labels[n:])


def shuffled(of, seed):
    order = torch.randperm(len(of.train_labels), generator=seeded(seed))
    return of._replace(train_labels=of.train_labels[order])


def test_separate_classes_are_found():
    of = made(apart=50)
    assert linear_probe_accuracy(of) == 1
    assert knn_accuracy(of, 10) == 1


@pytest.mark.parametrize("probe", [linear_probe_accuracy, lambda of: knn_accuracy(of, 10)])
def test_shuffled_labels_and_equal_classes_give_chance(probe):
    of = made(apart=2)
    assert probe(of) > 0.8
    assert np.mean([probe(shuffled(of, seed)) for seed in range(20)]) == pytest.approx(
        1 / 3, abs=0.06
    )
    assert probe(made(apart=0, n=3_000)) == pytest.approx(1 / 3, abs=0.05)


def test_a_curved_boundary_is_found_by_neighbours_and_not_by_a_line():
    points = 2 * torch.rand(2_000, 2, generator=seeded()) - 1
    labels = (points.prod(1) > 0).long()
    of = Probed(points[:1_000], labels[:1_000], points[1_000:], labels[1_000:])
    assert linear_probe_accuracy(of) < 0.65
    assert knn_accuracy(of, 10) > 0.95


def test_the_scale_of_a_unit_does_not_matter_to_the_linear_probe():
    of = made(apart=2)
    scales = torch.tensor([1e-3, 1, 1e3, 1])
    scaled = of._replace(train=of.train * scales, test=of.test * scales)
    assert linear_probe_accuracy(scaled) == pytest.approx(linear_probe_accuracy(of), abs=0.01)


def test_constant_features_give_the_share_of_a_class():
    of = made(apart=1)._replace(train=torch.zeros(300, 4), test=torch.zeros(300, 4))
    assert linear_probe_accuracy(of) == pytest.approx(1 / 3, abs=0.01)
    assert knn_accuracy(of, 10) == pytest.approx(1 / 3, abs=0.01)


def test_one_class_and_few_images_do_not_fail():
    few = Probed(torch.rand(3, 2), torch.zeros(3).long(), torch.rand(2, 2), torch.tensor([0, 1]))
    assert linear_probe_accuracy(few) == 0.5
    assert knn_accuracy(few, 10) == 0.5


def test_maps_keep_groups_apart_and_repeat():
    of = made(apart=50, n=60)
    found = tsne_map(of.train, 0)
    assert np.array_equal(found, tsne_map(of.train, 0))
    centres = np.stack([found[of.train_labels == label].mean(0) for label in range(3)])
    spread = max(found[of.train_labels == label].std(0).max() for label in range(3))
    apart = np.linalg.norm(centres[0] - centres[1])
    assert apart > 3 * spread


def test_latents_of_one_unit_and_equal_ones():
    assert tsne_map(torch.rand(20, 1, generator=seeded()), 0).shape == (20, 2)
    assert tsne_map(torch.zeros(20, 3), 0) is None
    dead = torch.cat([torch.zeros(30, 2), torch.rand(10, 2, generator=seeded())])
    assert np.isfinite(tsne_map(dead, 0)).all()
