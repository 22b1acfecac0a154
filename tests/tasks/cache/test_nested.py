from tasks.cache.nested import leaves, map_leaves

NESTED = {"a": [1, (2, 3)], "b": {"c": 4, "d": "text"}, "e": []}


def test_leaves_are_found_in_lists_tuples_and_mappings():
    assert list(leaves(NESTED)) == [1, 2, 3, 4, "text"]
    assert list(leaves("text")) == ["text"]


def test_every_leaf_is_changed_in_a_copy_of_the_same_form():
    before = repr(NESTED)
    assert map_leaves(NESTED, lambda leaf: [leaf]) == {
        "a": [[1], ([2], [3])],
        "b": {"c": [4], "d": ["text"]},
        "e": [],
    }
    assert repr(NESTED) == before
