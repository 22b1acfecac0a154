"""Objectives by name: those of this package, and a user's own that were registered."""

from collections.abc import Callable

from pydantic import ValidationError

from models.messages import described, dotted_key, plain_message, shown
from models.objectives.objective import Objective
from models.objectives.pixel_losses import AbsoluteError, BinaryCrossEntropy
from models.objectives.regularized import Denoising, Sparse
from models.objectives.squared_error import SquaredError
from models.objectives.variational import Variational
from models.specs import ConfigError, ObjectiveSpec, Value

OBJECTIVES: dict[str, type[Value]] = {
    "mse": SquaredError,
    "bce": BinaryCrossEntropy,
    "l1": AbsoluteError,
    "denoising": Denoising,
    "sparse": Sparse,
    "vae": Variational,
}
_registered: dict[str, Callable[..., Objective]] = {}


def register_objective(digest: str, factory: Callable[..., Objective]) -> None:
    """Make a user's own objective known in this process, under the digest of its code."""
    _registered[digest] = factory


def make_objective(spec: ObjectiveSpec) -> Objective:
    """The objective of a name with its settings.

    Raises ConfigError, in one line, for a name that is not known, settings that it does not take,
    and what a user's own code raises.
    """
    if spec.name in OBJECTIVES:
        return _shipped(spec)
    factory = _registered.get(spec.name)
    if factory is None:
        known = ", ".join(OBJECTIVES)
        raise ConfigError(
            f"objective {shown(spec.name)} is not known; there are {known}, and your own by path, "
            "like losses.py:Huber"
        )
    try:
        made = factory(**spec.settings)
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(f"objective: {described(error, factory)}") from error
    if not callable(made):
        kind = type(made).__name__
        raise ConfigError(f"objective: called with its settings it returned {kind}, no function")
    return made


def _shipped(spec: ObjectiveSpec) -> Objective:
    kind = OBJECTIVES[spec.name]
    try:
        made = kind(**spec.settings)
    except ValidationError as error:
        first = error.errors()[0]
        settings = ", ".join(kind.model_fields) or "none"
        raise ConfigError(
            f"objective {spec.name}: {dotted_key(first)}: {plain_message(first)}; "
            f"its settings: {settings}"
        ) from None
    assert callable(made)
    return made


def name_of(objective: object) -> str:
    """The name of an objective for messages."""
    for name, kind in OBJECTIVES.items():
        if type(objective) is kind:
            return name
    return str(getattr(objective, "__name__", type(objective).__name__))
