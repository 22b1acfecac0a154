"""Which MLflow run shows what a task computes, and what is known of it beforehand."""

from typing import Any, NamedTuple

from models.specs import Value
from tasks.cache.entry import Entry
from tasks.cache.identity import Identity, task_name
from tasks.cache.step import Step

DESCRIBED = ("name", "sha256", "n_train", "n_test", "n_classes")


class RunPlan(NamedTuple):
    """The MLflow run of an entry, and the parameters known before computing, as JSON data.

    ``identity`` distinguishes the task whose run it is; plans of versions before 0.2 have none. An
    empty ``kind`` is that of an entry that adds to the run of another.
    """

    kind: str
    key: str
    name: str
    parameters: dict[str, Any]
    dataset: dict[str, Any] | None
    identity: dict[str, Any] = {}  # noqa: RUF012

    @classmethod
    def of(
        cls, step: Step, key: str, identity: Identity, inputs: dict[str, Any]
    ) -> "RunPlan | None":
        """The plan for a task with these inputs, None if the task has no run."""
        if step.logs_to is not None:
            target: Entry = inputs[step.logs_to]
            return cls("", target.key, target.name, {}, None, target.identity)
        if step.kind is None:
            return None
        dataset = inputs.get("dataset")
        described = describe(dataset) if isinstance(dataset, Entry) else None
        parameters: dict[str, Any] = {}
        if described is not None:
            parameters["dataset"] = described["name"]
            parameters["dataset_sha256"] = described["sha256"]
        for value in inputs.values():
            if isinstance(value, Value):
                parameters.update(value.model_dump(mode="json"))
        name = task_name(step.name, identity)
        return cls(step.kind, key, name, parameters, described, dict(identity))


def describe(dataset: Entry) -> dict[str, Any]:
    """What MLflow shows of a prepared dataset."""
    return {name: dataset.result[name] for name in DESCRIBED}
