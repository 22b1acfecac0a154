"""HTML pages from templates, and what one invocation fills in."""

import base64
import html
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.analysis.tables import Groups
from tasks.cache.entry import Entry
from tasks.cache.identity import written

if TYPE_CHECKING:
    from jinja2 import Environment


PAGE = "index.html"
MEDIA_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}
RUN_LINK = re.compile(r' href="run:([0-9a-f]+)"')
INVOCATION = "<!-- invocation -->"


def environment() -> "Environment":
    """Where templates find each other, and what they may call."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("tasks.reporting"), autoescape=True, undefined=StrictUndefined
    )
    found.filters |= {"data_uri": data_uri, "of_seed": of_seed, "written": written}
    return found


def render(template: str, **values: Any) -> str:
    """A page from a template."""
    return environment().get_template(template).render(**values)


def data_uri(path: Path) -> str:
    """A picture as a data URI, empty if there is none."""
    if not path.is_file():
        return ""
    content = base64.b64encode(path.read_bytes()).decode()
    return f"data:{MEDIA_TYPES[path.suffix]};base64,{content}"


def of_seed(entries: Iterable[Entry], seed: int) -> list[Entry]:
    """The entries of one seed, for pictures: by depth and latent size where they have one."""
    chosen = [entry for entry in entries if entry.identity["seed"] == seed]
    return sorted(chosen, key=_shape_of)


def _shape_of(entry: Entry) -> tuple[int, int]:
    identity = entry.identity
    return identity.get("depth", 0), identity.get("latent_dim", 0)


def pictured_seed(groups: Groups, seeds: list[int]) -> int:
    """The first seed of which there is a model."""
    models = groups.get("train", [])
    return next((seed for seed in seeds if of_seed(models, seed)), seeds[0])


def fill_page(page: Entry, addresses: Callable[[set[str]], dict[str, str]], note: str) -> str:
    """The page with what belongs to one invocation: its note, and links to MLflow's runs.

    The page is cached like any result, so it holds keys in their place. ``addresses`` gives the
    addresses of the runs that show these entries, and that of the parent run as ``""``.
    """
    text = page.path(PAGE).read_text(encoding="utf-8")
    known = addresses(set(RUN_LINK.findall(text)))

    def link(key: str) -> str:
        return f' href="{html.escape(known[key])}"' if key in known else ""

    parent = f"<p><a{link('')}>The run in MLflow</a> (while its page is up).</p>"
    text = text.replace(INVOCATION, note + (parent if "" in known else ""))
    return RUN_LINK.sub(lambda found: link(found[1]), text)
