"""What distinguishes a task from the others of its step, as data, and its text.

``{"depth": 2, "latent_dim": 20, "seed": 0}`` of the step ``train`` becomes the name
``train[depth=2, latent_dim=20, seed=0]``. The values are never parsed from that text.
"""

from collections.abc import Mapping
from typing import Any

Identity = Mapping[str, Any]
SHOWN_WITHOUT_KEY = {"dataset", "pair", "study", "subject"}  # their values say enough


def architecture_label(identity: Identity) -> str:
    """The architecture that an identity names, in words: ``depth 2``, or its name in the study."""
    return f"depth {identity['depth']}" if "depth" in identity else str(identity["architecture"])


def in_metric_name(label: str) -> str:
    """A label of an architecture in the name of a metric: ``depth_2``."""
    return label.replace(" ", "_")


def identity_text(identity: Identity, short_keys: Mapping[str, str] | None = None) -> str:
    """An identity as text, such as ``depth=2, seed=0``.

    ``short_keys`` gives keys shorter names; an empty name shows the value alone.
    """
    parts = []
    for key, value in identity.items():
        shown = "->".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        name = "" if key in SHOWN_WITHOUT_KEY else (short_keys or {}).get(key, key)
        parts.append(f"{name}={shown}" if name else shown)
    return ", ".join(parts)


def task_name(step: str, identity: Identity) -> str:
    """The name of a task everywhere: in Prefect, in MLflow, at the terminal, in patterns."""
    return f"{step}[{identity_text(identity)}]" if identity else step
