"""Early stopping: the best epoch by validation loss is kept, also through a kill."""

import pytest
import torch

from models.fit import train_stack
from models.inference import apply
from models.specs import ConfigError, EarlyStopping
from models.training.best_epoch import BestEpoch, better_of, is_over
from tests.models.examples import IMAGES, SPEC, recipe
from tests.models.training.test_loop import (
    CheckpointInMemory,
    Killed,
    have_equal_weights,
    killed_and_continued,
)

EPOCHS, VALIDATION = 12, IMAGES[40:]
RULE = EarlyStopping(patience=2, least_change=1e-4)


def train(seeds=(0,), checkpoints=None, rule=RULE, **options):
    """A training on few images, which soon gets worse on others."""
    chosen = recipe(epochs=EPOCHS, learning_rate=0.02, early_stopping=rule)
    return train_stack(
        SPEC,
        chosen,
        list(seeds),
        IMAGES[:40],
        IMAGES[:10],
        checkpoints=checkpoints,
        **({"validation_images": VALIDATION} | options),
    )


def best_by_rule(losses, rule=RULE):
    """The number of the best epoch, and of the epoch after which the training ends."""
    best, best_loss = 0, float("inf")
    for epoch, loss in enumerate(losses, 1):
        if loss < best_loss - rule.least_change:
            best, best_loss = epoch, loss
        elif epoch - best >= rule.patience:
            return best, epoch
    return best, len(losses)


def test_a_training_ends_with_the_weights_of_its_best_epoch():
    (whole,) = train(rule=None)
    losses = [epoch.validation_loss for epoch in whole.history]
    best, last = best_by_rule(losses)
    assert best < last < EPOCHS
    (stopped,) = train()
    assert stopped.history == whole.history[:last]  # the schedule is that of all epochs
    assert (stopped.best_epoch, stopped.best) == (best, whole.history[best - 1])
    measured = (apply(stopped.model, VALIDATION) - VALIDATION / 255).square().mean().item()
    assert measured == pytest.approx(losses[best - 1], rel=1e-5)
    assert measured != pytest.approx(losses[last - 1], rel=1e-5)
    assert (whole.best_epoch, whole.best) == (EPOCHS, whole.history[-1])


def test_validation_changes_nothing_of_a_training_without_early_stopping():
    (with_validation,) = train(rule=None)
    (without,) = train(rule=None, validation_images=None)
    assert have_equal_weights(with_validation.model, without.model)
    assert {epoch.validation_loss for epoch in without.history} == {None}


@pytest.mark.parametrize("after_best", [-1, 0, 1, 2])
def test_a_killed_training_ends_with_the_same_best_epoch(after_best):
    (whole,) = train()
    killed_after = max(1, min(whole.best_epoch + after_best, len(whole.history)))
    (continued,) = killed_and_continued(
        lambda checkpoint: train(checkpoints=[checkpoint]), killed_after
    )
    assert have_equal_weights(whole.model, continued.model)
    assert whole.history == continued.history
    assert whole.best_epoch == continued.best_epoch


def test_members_of_a_stack_stop_by_themselves_and_resume_together():
    seeds = (0, 1, 2)
    alone = [train([seed])[0] for seed in seeds]
    lengths = [len(one.history) for one in alone]
    assert min(lengths) < max(lengths)
    stack = train(seeds)
    assert [len(one.history) for one in stack] == lengths
    checkpoints = [CheckpointInMemory() for _ in seeds]
    checkpoints[-1].killed_after = min(lengths) + 1
    with pytest.raises(Killed):
        train(seeds, checkpoints)
    checkpoints[-1].killed_after = None
    assert {checkpoint.snapshot.epoch for checkpoint in checkpoints} == {min(lengths) + 1}
    continued = train(seeds, checkpoints)
    for one, lone, resumed in zip(stack, alone, continued, strict=True):
        assert one.best_epoch == lone.best_epoch == resumed.best_epoch
        assert one.best.validation_loss == pytest.approx(lone.best.validation_loss, rel=1e-3)
        assert one.history == resumed.history
        assert have_equal_weights(one.model, resumed.model)


def test_early_stopping_needs_validation_images():
    with pytest.raises(ConfigError, match=r"needs validation images; set dataset\.validation"):
        train(validation_images=None)


def test_an_epoch_is_better_by_more_than_the_least_change():
    rule = EarlyStopping(patience=1, least_change=0.25)
    best = BestEpoch(1, 1.0, {})
    state = {"weight": torch.zeros(1)}
    assert better_of(best, 2, 0.75, rule, lambda: state) is best
    assert better_of(best, 2, 0.74, rule, lambda: state) == BestEpoch(2, 0.74, state)
    assert is_over(best, 2, rule)
    assert not is_over(best, 2, EarlyStopping(patience=2))
