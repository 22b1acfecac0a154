from tasks.cache.identity import identity_text, task_name


def test_a_task_is_named_by_its_step_and_its_choices_in_order():
    identity = {"depth": 2, "latent_dim": 20, "seed": 0}
    assert task_name("train", identity) == "train[depth=2, latent_dim=20, seed=0]"
    assert task_name("report", {}) == "report"


def test_some_values_are_shown_without_their_key():
    identity = {"dataset": "mnist", "pair": (1, 7), "seed": 0}
    assert identity_text(identity) == "mnist, 1->7, seed=0"


def test_keys_may_be_shortened_or_left_out():
    identity = {"scenario": "frozen", "latent_dim": 20, "seed": 0}
    assert identity_text(identity, {"scenario": "", "latent_dim": "d"}) == "frozen, d=20, seed=0"
