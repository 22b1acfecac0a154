"""Which MLflow run shows what a task computes, and what is known of it beforehand."""

from typing import Any, NamedTuple

from models.specs import Value
from tasks.step import Step
from tasks.store import Entry


class RunPlan(NamedTuple):
    """Which MLflow run an entry is shown in, and the parameters known before computing."""

    kind: str
    key: str
    name: str
    parameters: dict[str, Any]
    dataset: Entry | None

    @classmethod
    def of(cls, step: Step, key: str, name: str, inputs: dict[str, Any]) -> "RunPlan | None":
        """The plan for a task with these inputs, None if the task has no run."""
        if step.logs_to is not None:
            target = inputs[step.logs_to]
            return cls("", target.key, target.name, {}, None)
        if step.kind is None:
            return None
        dataset = inputs.get("dataset")
        parameters: dict[str, Any] = {}
        if isinstance(dataset, Entry):
            parameters["dataset"] = dataset.result["name"]
            parameters["dataset_sha256"] = dataset.result["sha256"]
        for value in inputs.values():
            if isinstance(value, Value):
                parameters.update(value.model_dump(mode="json"))
        return cls(step.kind, key, name, parameters, dataset)
