"""The documentation as a site: it is complete, links lead somewhere, nothing is from elsewhere."""

import functools
import http.server
import importlib.util
import json
import os
import re
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import typer
import yaml

from flows.commands.main import app
from flows.configuration.study_config import StudyConfig

ROOT = Path(__file__).resolve().parent.parent
LEGIBLE = 4.5  # contrast of text
WIDTHS = (390, 1280)
CONTRAST = """() => {
  const grey = colour => colour.match(/[\\d.]+/g).slice(0, 3)
    .reduce((sum, v, i) => sum + [0.2126, 0.7152, 0.0722][i] * (v / 255) ** 2.2, 0);
  const style = getComputedStyle(document.body);
  const [a, b] = [grey(style.color), grey(style.backgroundColor)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


def build(folder, *options):
    """Build the site into a folder; what mkdocs says."""
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder), *options],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    build(folder)
    return folder


class Links(HTMLParser):
    """The addresses and the anchors of a page."""

    def __init__(self, file):
        super().__init__()
        self.addresses, self.anchors = [], set()
        self.feed(file.read_text("utf-8"))

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name)}
        self.addresses += [given[name] for name in ("href", "src") if given.get(name)]


def pages(site):
    """The pages of the site, by their addresses in it."""
    return sorted(str(file.relative_to(site)) for file in site.rglob("*.html"))


def broken(site):
    """Every link of every page that leads to no file, to no anchor, or out of the site."""
    read = functools.cache(Links)
    for page in pages(site):
        if page == "404.html":
            continue
        for address in read(site / page).addresses:
            parts = urlsplit(address)
            file = (site / page).parent / unquote(parts.path) if parts.path else site / page
            if parts.scheme == "data":
                continue
            if (
                parts.scheme
                or parts.netloc
                or not file.exists()
                or (
                    parts.fragment
                    and file.suffix == ".html"
                    and unquote(parts.fragment) not in read(file.resolve()).anchors
                )
            ):
                yield page, address


OUTSIDE = {  # links for readers; nothing is loaded from there
    "https://squidfunk.github.io/mkdocs-material/",
}


@pytest.mark.slow
def test_every_link_of_the_site_leads_somewhere(site):
    assert [one for one in broken(site) if one[1] not in OUTSIDE] == []


@pytest.mark.slow
def test_a_broken_link_is_found(site, tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html">b</a> <a href="#c">c</a> <p id="d">')
    assert [address for _, address in broken(tmp_path)] == ["b.html", "#c"]


@pytest.mark.slow
def test_every_page_of_the_repository_is_in_the_site(site):
    names = {page.stem for page in (ROOT / "docs").glob("*.md")} - {"README"}
    names |= {"contributing", "changelog", "fast-step", "benchmarks", "index"}
    assert names <= {page.removesuffix(".html") for page in pages(site)}


def settings(schema, part=None, prefix=""):
    """The keys of a model, nested ones with dots, with NAME for names that a user chooses.

    Items of a list are NUMBER.
    """
    part = schema if part is None else part
    for key, one in part["properties"].items():
        yield f"{prefix}{key}"
        for text in re.findall(r'"#/\$defs/(\w+)"', json.dumps(one)):
            inner = schema["$defs"][text]
            named = "Properties" in json.dumps(one)
            if "properties" in inner:
                place = "NAME." if named else "NUMBER." if '"items"' in json.dumps(one) else ""
                yield from settings(schema, inner, f"{prefix}{key}.{place}")


@pytest.mark.slow
def test_every_setting_and_command_is_in_the_references(site):
    page = (site / "configuration.html").read_text("utf-8")
    keys = list(settings(StudyConfig.model_json_schema()))
    assert {"architectures.NAME.encoder", "training.early_stopping.patience"} <= set(keys)
    assert [key for key in keys if f"<code>{key}</code>" not in page] == []
    text = (site / "commands.html").read_text("utf-8")
    for name, command in typer.main.get_command(app).commands.items():
        assert f"study {name}" in text
        for parameter in command.params:
            assert all(option in text for option in parameter.opts if option.startswith("--"))


@pytest.fixture(scope="module")
def hook():
    """The module that makes pages of the site from those of the repository."""
    pytest.importorskip("mkdocs")
    file = ROOT / "docs" / "hooks" / "pages.py"
    spec = importlib.util.spec_from_file_location("pages", file)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(file.parent)  # as mkdocs does
        spec.loader.exec_module(module)
    return module


REPOSITORY = "https://example.org/project"


@pytest.mark.parametrize(
    ("page", "text", "without", "expected"),
    [
        ("a.md", "[b](running.md#c)", "[b](running.md#c)", "[b](running.md#c)"),
        ("a.md", "[data.md](data.md#c)", "[Data](data.md#c)", "[Data](data.md#c)"),
        ("a.md", "[b](../CHANGELOG.md)", "[b](changelog.md)", "[b](changelog.md)"),
        ("a.md", "[b](../models/fit.py)", "b", f"[b]({REPOSITORY}/blob/main/models/fit.py)"),
        ("a.md", "[b](../examples)", "b", f"[b]({REPOSITORY}/tree/main/examples)"),
        ("a.md", "[b](https://b.org) [c](#d)", *["[b](https://b.org) [c](#d)"] * 2),
        ("a.md", "```\n[b](../models/fit.py)\n```", *["```\n[b](../models/fit.py)\n```"] * 2),
        ("contributing.md", "[b](docs/code.md)", "[b](code.md)", "[b](code.md)"),
        ("fast-step.md", "[b](../../docs/code.md)", "[b](code.md)", "[b](code.md)"),
        ("fast-step.md", "[b](step.py)", "b", f"[b]({REPOSITORY}/blob/main/models/fast/step.py)"),
    ],
)
def test_links_of_the_repository_in_the_site(hook, page, text, without, expected):
    assert hook.with_site_links(text, page, None) == without
    assert hook.with_site_links(text, page, REPOSITORY) == expected


def test_what_is_generated_replaces_its_mark(hook):
    assert "`training.epochs`" in hook.filled("<!-- generated: settings -->")
    assert hook.filled("<!-- api: models.specs -->") == "::: models.specs"
    assert hook.filled("<!-- api: models.nothing -->") == ""


def test_the_navigation_lists_no_page_twice():
    class Loader(yaml.SafeLoader):
        """YAML with tags of Python that are not evaluated."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/", lambda *_: None)
    nav = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), Loader)["nav"]
    listed = re.findall(r"[\w.-]+\.md", json.dumps(nav))
    assert len(listed) == len(set(listed))


@pytest.fixture(scope="module")
def address(site):
    """The address of the site on this machine."""
    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and prints nothing."""

    def log_message(self, *_):
        """No line for each request."""


@pytest.fixture
def opened(browser, address):
    """Opens pages and collects what they say and ask for."""

    def open_page(name, **options):
        page = browser.new_context(**options).new_page()
        problems = []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "request",
            lambda request: (
                request.url.startswith((address, "data:", "blob:")) or problems.append(request.url)
            ),
        )
        page.on("requestfailed", lambda request: problems.append(request.url))
        page.goto(f"{address}/{name}", wait_until="networkidle")
        return page, problems

    return open_page


@pytest.mark.browser
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_fits_says_nothing_and_asks_for_nothing(site, opened, width):
    found = {}
    for name in pages(site):
        page, problems = opened(name, viewport={"width": width, "height": 844})
        if page.evaluate("document.documentElement.scrollWidth") > width:
            problems.append("is wider than the screen")
        broken_pictures = "[...document.images].filter(one => !one.naturalWidth).length"
        if page.evaluate(broken_pictures):
            problems.append("has a picture that is not shown")
        if problems:
            found[name] = problems
        page.context.close()
    assert found == {}


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_light_and_dark(opened, scheme):
    page, _ = opened("configuration.html", color_scheme=scheme)
    assert page.evaluate(CONTRAST) > LEGIBLE
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background != "rgb(255, 255, 255)") is (scheme == "dark")


@pytest.mark.browser
def test_the_search_finds_a_setting(opened):
    page, problems = opened("index.html")
    page.locator(".md-search__input").click()
    page.keyboard.type("early_stopping")
    page.locator(".md-search-result__link").first.wait_for(state="visible", timeout=30_000)
    assert problems == []
