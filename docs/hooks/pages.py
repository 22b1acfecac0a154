"""How the pages of the repository become a site.

- CONTRIBUTING.md, CHANGELOG.md and two READMEs of rooms become pages of the site.
- Links between pages work in the repository and in the site. A link to a source file leads to
  ``repo_url``; without one only its text is left.
- A comment ``<!-- generated: NAME -->`` is replaced by what NAME makes from the code, and
  ``<!-- api: MODULE -->`` by the reference of a module, if it exists.
- Pages in ``OPTIONAL`` join the navigation once they exist.
"""

import os
import posixpath
import re
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # the code of this checkout

from command_reference import commands_page  # noqa: E402  (beside this file)
from settings_reference import (  # noqa: E402
    mlflow_settings,
    networks_table,
    objectives_table,
    settings_page,
)

INCLUDED = {  # file of the repository: page of the site
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "models/fast/README.md": "fast-step.md",
    "tests/benchmarks/README.md": "benchmarks.md",
}
OPTIONAL = {"python.md": "Studies", "pattern.md": "Development"}  # page: its part of the navigation
SOURCES = {page: file for file, page in INCLUDED.items()}
GENERATED: dict[str, Callable[[], str]] = {
    "settings": settings_page,
    "networks": networks_table,
    "objectives": objectives_table,
    "mlflow": mlflow_settings,
    "commands": commands_page,
}
FENCED = re.compile(r"(^ *```.*?^ *```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
MARK = re.compile(r"^<!-- (generated|api): (\S+) -->$", re.MULTILINE)


def repository_path(page: str) -> str:
    """The file of the repository that a page of the site is made from."""
    return SOURCES.get(page, f"docs/{page}")


def site_target(page: str, target: str, repo_url: str | None) -> str | None:
    """The address of a relative link in the site; None if it leads out of the site to nowhere."""
    path, hash_sign, anchor = target.partition("#")
    file = posixpath.normpath(posixpath.join(posixpath.dirname(repository_path(page)), path))
    inside = INCLUDED.get(file)
    if file == "README.md":
        inside = "README.md"  # the repository's front page is the site's
    elif file.startswith("docs/"):
        inside = file.removeprefix("docs/")
    if inside is not None:
        return posixpath.relpath(inside, posixpath.dirname(page) or ".") + hash_sign + anchor
    if not repo_url:
        return None
    kind = "tree" if (ROOT / file).is_dir() else "blob"
    return f"{repo_url.rstrip('/')}/{kind}/main/{quote(file)}{hash_sign}{anchor}"


def title_of(page: str, target: str) -> str:
    """The title of the page that a link leads to, for links whose words are its file."""
    file = ROOT / posixpath.dirname(repository_path(page)) / target
    return file.read_text("utf-8").partition("\n")[0].removeprefix("# ")


def with_site_links(text: str, page: str, repo_url: str | None) -> str:
    """The text of a page with links that work in the site."""

    def replaced(link: re.Match[str]) -> str:
        picture, words, target = link.groups()
        if ":" in target or target.startswith(("#", "/")):
            return link[0]
        address = site_target(page, target, repo_url)
        if address is None:
            return words
        if not picture:  # a picture may be inside the words of a link
            words = LINK.sub(replaced, words)
        if words == (file := target.partition("#")[0]):
            words = title_of(page, file)
        return f"{picture}[{words}]({address})"

    parts = FENCED.split(text)
    parts[::2] = [LINK.sub(replaced, part) for part in parts[::2]]
    return "".join(parts)


def filled(text: str) -> str:
    """The text of a page with what is generated from the code."""

    def made(mark: re.Match[str]) -> str:
        kind, name = mark.groups()
        if kind == "generated":
            return GENERATED[name]()
        return f"::: {name}" if (ROOT / f"{name.replace('.', '/')}.py").exists() else ""

    return MARK.sub(made, text)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add optional pages that exist to the navigation, once."""
    for page, heading in OPTIONAL.items():
        parts = [part[heading] for part in config.nav if isinstance(part, dict) and heading in part]
        if (ROOT / "docs" / page).exists() and page not in parts[0]:
            parts[0].append(page)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add pages from elsewhere in the repository."""
    for file, page in INCLUDED.items():
        files.append(File.generated(config, page, content=(ROOT / file).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Fill in what is generated, and make links work in the site."""
    del files
    return with_site_links(filled(markdown), page.file.src_uri, config.repo_url)


def on_serve(server: object, config: MkDocsConfig, builder: object) -> object:
    """Build again when a page from elsewhere in the repository changes."""
    del config, builder
    for file in INCLUDED:
        server.watch(os.fspath(ROOT / file))
    return server
