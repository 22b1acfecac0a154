import pytest
from pydantic import BaseModel

from models.specs import ModelSpec
from tasks.cache.canonical import canonical_text, differences, digest, to_json


class Fingerprinted(BaseModel):
    value: int

    @property
    def fingerprint(self):
        return f"fingerprint of {self.value % 10}"


def test_the_text_is_sorted_compact_ascii():
    value = {"b": (1, 2.5, None), "a": "é", 3: [True]}
    assert canonical_text(value) == r'{"3":[true],"a":"\u00e9","b":[1,2.5,null]}'


def test_equal_values_have_one_digest():
    assert digest({"a": (1, 2), "b": 3}) == digest({"b": 3, "a": [1, 2]})
    # the SHA-256 of [1,"a"]; the stores of users contain such digests
    assert digest([1, "a"]) == "2010945388e2de98f5651051478912aa4ff38bb13a2cdb1a2c257bb97fbf98ff"


@pytest.mark.parametrize("other", [[1], [1, 2, 3], [2, 1], ["1", 2], [1, 2.5], {"1": 2}])
def test_other_values_have_other_digests(other):
    assert digest(other) != digest([1, 2])


def test_a_model_counts_by_its_fields():
    spec = ModelSpec.written(latent_dim=7)
    assert to_json([spec]) == [spec.model_dump(mode="json")]
    assert (
        digest(spec)
        == digest(ModelSpec.written(latent_dim=7))
        != digest(ModelSpec.written(latent_dim=8))
    )


def test_a_model_with_a_fingerprint_counts_by_that_alone():
    assert to_json({"data": Fingerprinted(value=3)}) == {"data": "fingerprint of 3"}
    assert digest(Fingerprinted(value=3)) == digest(Fingerprinted(value=13))


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", [print]])
def test_a_value_without_a_canonical_form_is_refused(value):
    with pytest.raises(TypeError, match="has no canonical form"):
        digest(value)


def test_differences_are_leaves_with_dotted_keys():
    before = {"epochs": 5, "runner": {"kind": "local", "width": 2}, "seeds": [0, 1], "gone": 1}
    after = {"epochs": 6, "runner": {"kind": "local", "width": 4}, "seeds": [0, 2], "new": {"a": 1}}
    assert list(differences(before, after)) == [
        ("epochs", 5, 6),
        ("runner.width", 2, 4),
        ("seeds", [0, 1], [0, 2]),
        ("gone", 1, None),
        ("new", None, {"a": 1}),
    ]
    assert list(differences({"a": 1}, {"a": 2}, "training")) == [("training.a", 1, 2)]
    assert list(differences(before, before)) == []
