import threading

from models.specs import ModelSpec, TrainingRecipe
from tasks.execution.seed_stacks import SeedStacks
from tasks.steps.evaluate import evaluate
from tasks.steps.train import train


def inputs(seed, latent_dim=5, epochs=2):
    return {
        "dataset": object(),
        "spec": ModelSpec.written(latent_dim=latent_dim),
        "recipe": TrainingRecipe(seed=seed, epochs=epochs),
    }


def filled(size, *tasks):
    stacks = SeedStacks(size)
    for name, given in tasks:
        stacks.add(train, {"subject": name}, given)
    stacks.mark_all_submitted()
    return stacks


def peers(stacks, name):
    with stacks.lock_stack(f"train[{name}]") as found:
        return [(peer.identity["subject"], peer.input_with_seed.seed) for peer in found]


def test_only_tasks_that_differ_in_their_seed_alone_are_peers():
    stacks = filled(
        8,
        ("a", inputs(0)),
        ("b", inputs(1)),
        ("other size", inputs(2, latent_dim=6)),
        ("other recipe", inputs(3, epochs=3)),
    )
    assert peers(stacks, "a") == [("b", 1)]
    assert peers(stacks, "b") == []  # a task that was computed is not computed again for a peer
    assert peers(stacks, "other size") == peers(stacks, "other recipe") == []


def test_a_stack_has_a_largest_size():
    stacks = filled(2, *[(str(seed), inputs(seed)) for seed in range(5)])
    assert peers(stacks, "0") == [("1", 1)]
    assert peers(stacks, "3") == [("2", 2)]
    assert peers(stacks, "3") == [("2", 2)]  # retried
    assert peers(stacks, "4") == []


def test_a_size_of_one_and_steps_without_a_seed_have_no_peers():
    assert peers(filled(1, ("a", inputs(0)), ("b", inputs(1))), "a") == []
    stacks = SeedStacks(8)
    stacks.add(evaluate, {"subject": "a"}, {"dataset": object()})
    assert peers(stacks, "a") == []


def test_peers_wait_for_each_other_and_until_all_are_submitted():
    stacks = SeedStacks(2)
    stacks.add(train, {"subject": "a"}, inputs(0))
    entered = threading.Event()
    thread = threading.Thread(target=lambda: (peers(stacks, "a"), entered.set()))
    thread.start()
    assert not entered.wait(0.05)
    stacks.add(train, {"subject": "b"}, inputs(1))
    with stacks.lock_stack("outside"):
        stacks.mark_all_submitted()
    assert entered.wait(5)
    thread.join()
    with stacks.lock_stack("train[b]"):
        thread = threading.Thread(target=lambda: (peers(stacks, "a"), entered.set()))
        entered.clear()
        thread.start()
        assert not entered.wait(0.05)
    assert entered.wait(5)
    thread.join()
