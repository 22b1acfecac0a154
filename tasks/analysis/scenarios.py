"""The scenarios of transfer: what each trains, on which encoder, and how the report explains it."""

from typing import Literal, NamedTuple

from models.specs import Scenario, Trained

Encoder = Literal["of the study", "new", "as reported"]


class ScenarioKind(NamedTuple):
    """What a scenario is.

    ``label`` is its name in words. ``meaning`` follows its name in a sentence of the report.
    ``trained`` are the parts that are trained, each in a classifier of its own; a scenario of other
    choices has none here. With a ``new`` encoder it starts from new weights. One that is
    ``packaged`` repeats no mistake, so that its classifiers can be used: those of the first seed
    become MLflow models.
    """

    label: str
    meaning: str
    trained: tuple[Trained, ...]
    encoder: Encoder = "of the study"
    packaged: bool = True


SCENARIOS: dict[Scenario, ScenarioKind] = {
    "head_only": ScenarioKind(
        "frozen encoder", "trains the classifier on the frozen encoder", ("head",)
    ),
    "fine_tune": ScenarioKind("fine-tuned", "trains both", ("head_and_encoder",)),
    "from_scratch": ScenarioKind(
        "from new weights", "trains both from new weights", ("head_and_encoder",), encoder="new"
    ),
    "as_reported": ScenarioKind(
        "as reported",
        "repeats the mistake of the written study",
        ("head", "head_and_encoder"),
        encoder="as reported",
        packaged=False,
    ),
    "ablation": ScenarioKind(
        "ablation",
        "varies that mistake and the choices which the written study does not name",
        (),
        encoder="as reported",
        packaged=False,
    ),
}


def explained_scenarios() -> dict[Scenario, str]:
    """The meanings of the scenarios that the report explains in one sentence."""
    return {name: kind.meaning for name, kind in SCENARIOS.items() if kind.packaged}
