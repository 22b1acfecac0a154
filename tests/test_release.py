"""What a release states in several places agrees, and forms and citation follow their formats."""

import re
import tomllib
from pathlib import Path

import pytest

from tasks.system.yaml_files import read_yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
HEADING = re.compile(r"^## (\d+\.\d+\.\d+) - (unreleased|\d{4}-\d{2}-\d{2})$")
HEADINGS = [
    line for line in (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines() if line[:3] == "## "
]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))


def citation():
    return read_yaml(ROOT / "CITATION.cff", "file")


def test_versions_agree_and_fall():
    found = [HEADING.match(line) for line in HEADINGS]
    assert all(found), "a heading of CHANGELOG.md is like: ## 0.1.0 - unreleased, or - 2026-11-30"
    versions = [one[1] for one in found]
    assert versions[0] == PROJECT["version"] == str(citation()["version"])
    parts = [tuple(map(int, version.split("."))) for version in versions]
    assert parts == sorted(set(parts), reverse=True)
    assert [one[2] for one in found[1:] if one[2] == "unreleased"] == []


def test_the_project_says_the_same_of_itself_everywhere():
    cited = citation()
    assert cited["title"] == PROJECT["name"]
    assert cited["license"] == PROJECT["license"] == "MIT"
    names = [one["name"] for one in cited["authors"]]
    assert names == [one["name"] for one in PROJECT["authors"]]
    assert all(f"{name}\n" in (ROOT / "LICENSE").read_text("utf-8") for name in names)
    assert set(cited["keywords"]) <= set(PROJECT["keywords"])


# https://github.com/citation-file-format/citation-file-format, version 1.2.0
CITATION_KEYS = set(
    [
        "abstract",
        "authors",
        "cff-version",
        "commit",
        "contact",
        "date-released",
        "doi",
        "identifiers",
        "keywords",
        "license",
        "license-url",
        "message",
        "preferred-citation",
        "references",
        "repository",
        "repository-artifact",
        "repository-code",
        "title",
        "type",
        "url",
        "version",
    ]
)
ENTITY_KEYS = set(
    [
        "address",
        "alias",
        "city",
        "country",
        "date-end",
        "date-start",
        "email",
        "fax",
        "location",
        "name",
        "orcid",
        "post-code",
        "region",
        "tel",
        "website",
    ]
)


def test_the_citation_follows_its_format():
    found = citation()
    assert {"cff-version", "message", "title", "authors"} <= found.keys() <= CITATION_KEYS
    assert found["cff-version"] == "1.2.0"
    assert found["type"] in {"software", "dataset"}
    assert found["authors"]
    for author in found["authors"]:
        assert {"name"} <= author.keys() <= ENTITY_KEYS
    assert len(set(found["keywords"])) == len(found["keywords"])
    for key in ("message", "title", "abstract", "version"):
        assert isinstance(found[key], str)
        assert found[key]


# GitHub's syntax of issue forms: what each element has besides its label
ELEMENTS = {
    "markdown": {"value"},
    "textarea": {"label", "description", "placeholder", "value", "render"},
    "input": {"label", "description", "placeholder", "value"},
    "dropdown": {"label", "description", "multiple", "options", "default"},
    "checkboxes": {"label", "description", "options"},
}


def form_problems(form):
    """What GitHub would refuse in an issue form."""
    if not {"name", "description", "body"} <= form.keys():
        yield "needs name, description and body"
    if extra := form.keys() - {"name", "description", "body", "title", "labels", "assignees"}:
        yield f"unknown keys {extra}"
    ids = [one["id"] for one in form["body"] if "id" in one]
    if len(set(ids)) != len(ids) or not all(re.fullmatch(r"[\w-]+", one) for one in ids):
        yield f"ids {ids}"
    if all(one["type"] == "markdown" for one in form["body"]):
        yield "asks nothing"
    for one in form["body"]:
        attributes = one["attributes"]
        if extra := attributes.keys() - ELEMENTS[one["type"]]:
            yield f"{one['type']}: unknown {extra}"
        if not attributes.get("value" if one["type"] == "markdown" else "label"):
            yield f"{one['type']}: says nothing"
        options = attributes.get("options", ["one"])
        labels = [one["label"] if isinstance(one, dict) else one for one in options]
        if not labels or len(set(labels)) != len(labels):
            yield f"options {labels}"
        if extra := one.keys() - {"type", "id", "attributes", "validations"}:
            yield f"unknown keys {extra}"
        if not all(type(value) is bool for value in one.get("validations", {}).values()):
            yield "validations are true or false"


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_issue_forms_follow_githubs_syntax(path):
    form = read_yaml(path, "file")
    if path.stem == "config":
        assert form.keys() <= {"blank_issues_enabled", "contact_links"}
    else:
        assert list(form_problems(form)) == []


def test_a_form_that_github_refuses_is_found():
    asked = {"type": "input", "id": "a", "attributes": {"label": "A"}}
    form = {"name": "n", "description": "d", "body": [asked]}
    assert list(form_problems(form)) == []
    assert list(form_problems(form | {"body": [asked, asked]}))
    assert list(form_problems(form | {"about": "x"}))
    for wrong in (
        {"attributes": {"label": ""}},
        {"attributes": {"label": "A", "render": "text"}},
        {"type": "dropdown", "attributes": {"label": "A", "options": ["x", "x"]}},
        {"validations": {"required": "yes"}},
    ):
        assert list(form_problems(form | {"body": [asked | wrong]}))


def test_a_bug_report_asks_for_what_is_needed():
    body = read_yaml(ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml", "file")["body"]
    required = {one.get("id") for one in body if one.get("validations", {}).get("required")}
    assert {"status", "versions", "error", "command"} <= required
