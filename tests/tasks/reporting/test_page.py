import base64

import pytest
from jinja2 import UndefinedError

from tasks.reporting.page import (
    PAGE,
    data_uri,
    entries_with_seed,
    fill_page,
    pictured_seed,
    render,
    template_environment,
)
from tests.tasks.reporting.conftest import Publisher

TEXT = '<a href="run:0a1b">0</a><a href="run:ff">1</a><!-- invocation --><a href="run:no">2</a>'


@pytest.fixture
def page(home):
    return Publisher()("report", {}, {}, lambda folder: (folder / PAGE).write_text(TEXT))


def test_links_and_note_of_an_invocation_are_filled_in(page):
    asked = []

    def addresses(keys):
        asked.append(keys)
        return {"0a1b": "http://host/#/a?b&c", "": "http://host/parent"}

    found = fill_page(page, addresses, "<p>Written today.</p>")
    assert asked == [{"0a1b", "ff"}]
    assert found == (
        '<a href="http://host/#/a?b&amp;c">0</a><a>1</a><p>Written today.</p>'
        '<p><a href="http://host/parent">The run in MLflow</a> (while its page is up).</p>'
        '<a href="run:no">2</a>'  # not a key
    )


def test_a_page_without_mlflow_has_its_note_and_no_links(page):
    found = fill_page(page, lambda keys: {}, "<p>Written today.</p>")
    assert found == '<a>0</a><a>1</a><p>Written today.</p><a href="run:no">2</a>'


def test_a_picture_becomes_part_of_the_page(tmp_path):
    (tmp_path / "a.svg").write_bytes(b"<svg/>")
    start, _, content = data_uri(tmp_path / "a.svg").partition(",")
    assert (start, base64.b64decode(content)) == ("data:image/svg+xml;base64", b"<svg/>")
    assert data_uri(tmp_path / "missing.png") == ""


def test_entries_of_a_seed_are_sorted_by_depth_and_latent_size(home):
    publish = Publisher()
    shapes = [(3, 5), (1, 9), (1, 2)]
    made = [
        publish("train", {"depth": depth, "latent_dim": latent_dim, "seed": seed}, {})
        for depth, latent_dim in shapes
        for seed in (0, 1)
    ]
    found = [entry.identity for entry in entries_with_seed(made, 1)]
    assert [(one["depth"], one["latent_dim"]) for one in found] == sorted(shapes)
    assert {one["seed"] for one in found} == {1}
    groups = {"train": [entry for entry in made if entry.identity["seed"] == 1]}
    assert pictured_seed(groups, [0, 1]) == 1
    assert pictured_seed({}, [7, 8]) == 7


def test_a_value_that_a_template_lacks_is_an_error():
    with pytest.raises(UndefinedError, match="'command' is undefined"):
        render("provenance.html.j2", config={})


def test_text_from_results_is_no_markup():
    parts = template_environment().get_template("parts.html.j2").module
    assert parts.text_cell("<b>&") == '<td class="word">&lt;b&gt;&amp;</td>'
