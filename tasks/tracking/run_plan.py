"""Which MLflow run shows the result of a task, and the parameters known before it is computed."""

from typing import NamedTuple

from models.specs import ObjectiveSpec, Value
from tasks.cache.canonical import JsonObject
from tasks.cache.entry import Entry
from tasks.cache.identity import Identity, architecture_label, task_name
from tasks.cache.step import Inputs, Step

DATASET_FIELDS = (
    "name",
    "sha256",
    "n_train",
    "n_test",
    "n_validation",
    "n_classes",
    "classes",
    "image_shape",
)


class RunPlan(NamedTuple):
    """The MLflow run of an entry, and the parameters known before computing, as JSON data.

    ``kind`` is the value of the tag ``study.kind``. It is empty if the entry adds its results to
    the run of another entry; ``key``, ``name`` and ``identity`` are those of the other entry then.
    Plans of versions before 0.2, in a spool, have no ``identity``.
    """

    kind: str
    key: str
    name: str
    parameters: JsonObject
    dataset: JsonObject | None
    identity: JsonObject = {}  # noqa: RUF012

    @classmethod
    def for_task(cls, step: Step, key: str, identity: Identity, inputs: Inputs) -> "RunPlan | None":
        """The plan for a task with these inputs, None if the task has no run."""
        if step.logs_to is not None:
            target = inputs[step.logs_to]
            assert isinstance(target, Entry), "logs_to names an input that is an entry"
            return cls("", target.key, target.name, {}, None, target.identity)
        if step.kind is None:
            return None
        dataset = inputs.get("dataset")
        described = describe_dataset(dataset) if isinstance(dataset, Entry) else None
        parameters: JsonObject = {}
        if described is not None:
            parameters["dataset"] = described["name"]
            parameters["dataset_sha256"] = described["sha256"]
        if identity.keys() & {"depth", "architecture"}:
            parameters["architecture"] = architecture_label(identity)
            parameters["objective"] = identity.get("objective", ObjectiveSpec().name)
        for value in inputs.values():
            if isinstance(value, Value):
                parameters.update(value.parameters())
        name = task_name(step.name, identity)
        return cls(step.kind, key, name, parameters, described, dict(identity))


def describe_dataset(dataset: Entry) -> JsonObject:
    """What MLflow shows of an entry of the step ``data``: name, SHA-256, sizes, classes, shape."""
    return {name: dataset.result[name] for name in DATASET_FIELDS}
