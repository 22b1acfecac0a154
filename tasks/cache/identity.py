"""What distinguishes a task from the others of its step, as data, and how it is written.

``{"depth": 2, "latent_dim": 20, "seed": 0}`` of the step ``train`` is written
``train[depth=2, latent_dim=20, seed=0]``. Nothing reads these values back out of the text.
"""

from collections.abc import Mapping
from typing import Any

Identity = Mapping[str, Any]
WITHOUT_KEY = {"dataset", "pair", "study", "subject"}  # values that speak for themselves


def written(identity: Identity, shorter: Mapping[str, str] | None = None) -> str:
    """The choices of an identity as text.

    ``shorter`` gives keys another name; an empty name shows the value alone.
    """
    parts = []
    for key, value in identity.items():
        shown = "->".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        name = "" if key in WITHOUT_KEY else (shorter or {}).get(key, key)
        parts.append(f"{name}={shown}" if name else shown)
    return ", ".join(parts)


def task_name(step: str, identity: Identity) -> str:
    """How a task is called everywhere: in Prefect, in MLflow, at the terminal, in patterns."""
    return f"{step}[{written(identity)}]"
