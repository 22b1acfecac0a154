"""HTML pages from templates, and the parts of a page that belong to one invocation."""

import base64
import hashlib
import html
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, TypedDict

from models.measures.glossary import MEASURES, Measure
from tasks.analysis.failures import wilson_interval
from tasks.analysis.scenarios import explained_scenarios
from tasks.analysis.tables import Groups, Row
from tasks.cache.canonical import JsonObject
from tasks.cache.entry import Entry
from tasks.reporting.interval_plot import interval_plot
from tasks.reporting.words import (
    MARKS,
    identity_words,
    setting_name,
    setting_text,
    value_name,
)
from tasks.verdicts.verdict import seeds_text, with_unit
from tasks.verdicts.wording import in_words, shown_reading

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


PAGE = "index.html"
MEDIA_TYPES = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg"}
RUN_LINK = re.compile(r' href="run:([0-9a-f]+)"')
NOTE_PLACE = "<!-- invocation -->"
MAP_SCRIPT = (Path(__file__).parent / "templates" / "map.js").read_text(encoding="utf-8")
# all scripts of our pages, which their policy allows by hash
SCRIPTS: tuple[str, ...] = (MAP_SCRIPT,)
CHARSET = '<meta charset="utf-8">'
PAGE_START = f'<!doctype html>\n<html lang="en">\n<head>\n{CHARSET}\n'
HEAD_TAGS = (
    CHARSET,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<link rel="icon" href="data:,">',
)
STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
# No policy keeps a page from going to another address by these, or from looking up names of hosts.
UNGOVERNED = re.compile(r"<(?=meta|link)", re.IGNORECASE)


def template_environment() -> "Environment":
    """Jinja's environment: where the templates are, and the filters that they use."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    found = Environment(
        loader=PackageLoader("tasks.reporting"), autoescape=True, undefined=StrictUndefined
    )
    found.globals |= {
        "policy_tag": policy_tag,
        "scripts": SCRIPTS,
        "explained_scenarios": explained_scenarios,
        "no_failure": no_failure,
        "table_measures": table_measures,
        "seeds_text": seeds_text,
        "with_unit": with_unit,
        "shown_reading": shown_reading,
        "interval_plot": interval_plot,
        "marks": MARKS,
    }
    found.filters |= {
        "data_uri": data_uri,
        "with_seed": entries_with_seed,
        "few": few,
        "identity_words": identity_words,
        "in_words": in_words,
        "setting_name": setting_name,
        "setting_text": setting_text,
        "value_name": value_name,
        "networks_text": networks_text,
        "settings_text": settings_text,
    }
    return found


def render(template: str, **values: object) -> str:
    """A page from a template. Raises jinja2.UndefinedError for a value that is not given."""
    return template_environment().get_template(template).render(**values)


def networks_text(architecture: JsonObject) -> str:
    """The networks of a configured architecture: ``conv, width = 16``."""
    parts = [PurePath(str(architecture[part])).name for part in ("encoder", "decoder")]
    options = [f"{name} = {value}" for name, value in architecture["options"].items()]
    return ", ".join([*dict.fromkeys(parts), *options])


HIDDEN = {"name", "code"}  # of the settings of an objective


def settings_text(objective: JsonObject) -> str:
    """A configured objective with its settings: ``vae, beta = 4``."""
    settings = [f"{name} = {value}" for name, value in objective.items() if name not in HIDDEN]
    return ", ".join([PurePath(str(objective["name"])).name, *settings])


def table_measures(rows: Iterable[Row]) -> list[Measure]:
    """The measures with a column of their own in a table of autoencoders.

    One that is optional has none where no row has a value.
    """
    known = {name for row in rows for name, value in row.items() if value is not None}
    return [one for one in MEASURES if one.heading and (not one.optional or one.name in known)]


def no_failure(n: int) -> float:
    """The largest probability of a failure that n trainings without one still allow."""
    return wilson_interval(0, n)[1]


def policy_tag(styles: Iterable[str]) -> "Markup":
    """The Content-Security-Policy of a page, which allows these styles and our own scripts.

    Pictures must be inside the page. It loads and sends nothing, and contains no other page. The
    policy binds only what comes after it, so it must be first.
    """
    from markupsafe import Markup

    policy = (
        f"default-src 'none'; img-src data:; style-src {_sources(styles)}; "
        f"script-src {_sources(SCRIPTS)}; base-uri 'none'; form-action 'none'"
    )
    return Markup(f'<meta http-equiv="Content-Security-Policy" content="{policy}">')


def _sources(texts: Iterable[str]) -> str:
    """Inline styles or scripts as a policy names them: by hash, each once."""
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts]
    return " ".join(dict.fromkeys(f"'sha256-{digest}'" for digest in digests)) or "'none'"


def _guarded(text: str) -> str:
    """A page that begins with our policy, whoever wrote it: others may write to a shared store."""
    start = f"{PAGE_START}{policy_tag(STYLE.findall(text))}\n"
    rest = UNGOVERNED.sub("&lt;", text.removeprefix(start))
    for tag in HEAD_TAGS:
        rest = rest.replace(f"&lt;{tag[1:]}", tag, 1)
    return start + rest


def data_uri(path: Path) -> str:
    """A PNG, SVG or JPEG file as a data URI, empty if there is no such file."""
    if not path.is_file():
        return ""
    content = base64.b64encode(path.read_bytes()).decode()
    return f"data:{MEDIA_TYPES[path.suffix]};base64,{content}"


def entries_with_seed(entries: Iterable[Entry], seed: int) -> list[Entry]:
    """The entries of one seed, sorted by depth, architecture and latent size if they have one."""
    chosen = [entry for entry in entries if entry.identity["seed"] == seed]
    return sorted(chosen, key=_place)


def few(entries: Sequence[Entry]) -> list[Entry]:
    """The first, the middle and the last, or all if there are no more."""
    if len(entries) <= 3:
        return list(entries)
    return [entries[0], entries[len(entries) // 2], entries[-1]]


def _place(entry: Entry) -> tuple[int, str, int]:
    identity = entry.identity
    name = identity.get("architecture", "")
    return identity.get("depth", 0), name, identity.get("latent_dim", 0)


def pictured_seed(groups: Groups, seeds: list[int]) -> int:
    """The seed whose pictures are shown: the first that has a trained model, or the first."""
    models = groups.get("train", [])
    return next((seed for seed in seeds if entries_with_seed(models, seed)), seeds[0])


class PageNote(TypedDict):
    """What a page says of the invocation that wrote it: when, with how many tasks.

    ``computed`` names those tasks that were not in the store.
    """

    invocation: str
    written: str
    tasks: int
    computed: list[str]


def _note_text(note: PageNote) -> str:
    cached = note["tasks"] - len(note["computed"])
    text = f"<p>Written on {html.escape(note['written'])} by the run "
    text += f"{html.escape(note['invocation'])}: "
    text += f"{int(cached)} of {int(note['tasks'])} tasks came from the cache.</p>"
    if note["computed"]:
        listed = "</li><li>".join(html.escape(name) for name in note["computed"])
        text += f"<details><summary>{len(note['computed'])} computed</summary>"
        text += f"<ul><li>{listed}</li></ul></details>"
    return text


def fill_page(
    page: Entry, addresses: Callable[[set[str]], dict[str, str]], note: PageNote | str
) -> str:
    """The page's HTML with the note of one invocation and links to its runs in MLflow.

    The stored page has a key in place of each link, because it is the same for every invocation.
    ``addresses`` takes keys and gives the addresses of the runs that show these entries, as far as
    they are known, and that of the parent run as ``""``. Whatever the stored page
    contains, no script in it runs. Versions before 0.2 left notes as texts, which are not shown.
    """
    text = _guarded(page.path(PAGE).read_text(encoding="utf-8"))
    known = addresses(set(RUN_LINK.findall(text)))

    def link(key: str) -> str:
        return f' href="{html.escape(known[key])}"' if key in known else ""

    said = "" if isinstance(note, str) else _note_text(note)
    parent = f"<p><a{link('')}>The run in MLflow</a> (while its page is up).</p>"
    text = text.replace(NOTE_PLACE, said + (parent if "" in known else ""))
    return RUN_LINK.sub(lambda found: link(found[1]), text)
