"""Names of settings, tasks and outcomes as a page says them."""

import json
from collections.abc import Mapping

from tasks.analysis.scenarios import SCENARIOS
from tasks.cache.identity import Identity

TRAINED = {"head": "classifier only", "head_and_encoder": "classifier and encoder"}
VALUES: Mapping[str, Mapping[str, str]] = {
    "scenario": {name: kind.label for name, kind in SCENARIOS.items()},
    "trained": TRAINED,
}
WITH_NAME = {
    "latent_dim": "latent size {}",
    "depth": "depth {}",
    "seed": "seed {}",
    "label_budget": "{} labels",
    "objective": "objective {}",
}
NAMES = {"latent_dim": "latent size", "label_budget": "labels"}
# shapes and texts beside colours, so that an outcome is seen without them
MARKS = {
    "confirmed": "\u2713",
    "refuted": "\u2717",
    "equivalent": "\u2248",
    "undecided": "?",
    "not measurable": "\u2298",
    "not measured": "\u2013",
    "measured": "\u25cf",
    "warning": "!",
    "next": "\u2192",
}
LONGEST_VALUE = 200


def value_name(value: object, setting: str = "") -> str:
    """A value of a setting in words, such as "fine-tuned" for ``fine_tune``."""
    text = str(value)
    return VALUES.get(setting, {}).get(text, text.replace("_", " "))


def setting_name(setting: str) -> str:
    """The name of a column or a setting in words, such as "training: batch size"."""
    return NAMES.get(setting, setting.replace(".", ": ").replace("_", " "))


def identity_words(identity: Identity, without: tuple[str, ...] = ("seed",)) -> str:
    """What distinguishes a task from others, in words: "depth 2, latent size 20"."""
    parts = []
    for key, value in identity.items():
        if key not in without:
            shown = " to ".join(map(str, value)) if isinstance(value, list | tuple) else value
            parts.append(WITH_NAME.get(key, "{}").format(value_name(shown, key)))
    return ", ".join(parts)


def setting_text(value: object) -> str:
    """The value of a setting as text: no JSON but for what has parts of its own."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(one, str | int | float) for one in value):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, str | int | float):
        return str(value)
    text = json.dumps(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."
