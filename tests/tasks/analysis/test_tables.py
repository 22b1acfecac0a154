from tasks.analysis.tables import means_over_pairs


def walk(latent_dim, to, sharpness, seed=0):
    return {"from": 0, "to": to, "latent_dim": latent_dim, "seed": seed, "sharpness": sharpness}


def test_latent_sizes_are_compared_by_the_pairs_that_all_of_them_have():
    rows = [walk(20, 1, 0.5), walk(20, 2, 0.9), walk(100, 1, 0.5)]  # one walk failed
    rows += [walk(20, 2, 0.2, seed=1), walk(20, 3, 0.4, seed=1)]
    found = means_over_pairs(rows).set_index(["latent_dim", "seed"]).sharpness
    assert found[20, 0] == found[100, 0] == 0.5
    assert found[20, 1] == (0.2 + 0.4) / 2
    assert means_over_pairs([]).empty


def test_labels_are_not_averaged():
    found = means_over_pairs([walk(20, 1, 0.5), walk(20, 2, 0.9)])
    assert list(found.columns) == ["latent_dim", "seed", "sharpness"]
