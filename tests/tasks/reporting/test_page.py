import base64
import hashlib

import pytest
from jinja2 import UndefinedError

from tasks.reporting.comparison import ComparedStudy, write_comparison
from tasks.reporting.page import (
    MAP_SCRIPT,
    NOTE_PLACE,
    PAGE,
    PAGE_START,
    RUN_LINK,
    SCRIPTS,
    data_uri,
    entries_with_seed,
    fill_page,
    pictured_seed,
    render,
    template_environment,
)
from tasks.reporting.report import write_report
from tests.servers import recorded_requests
from tests.tasks.reporting.conftest import CONFIG, Publisher

OURS = f"'sha256-{base64.b64encode(hashlib.sha256(MAP_SCRIPT.encode()).digest()).decode()}'"
START = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'none'; script-src {OURS}; base-uri 'none'; form-action 'none'">
"""
TEXT = '<a href="run:0a1b">0</a><a href="run:ff">1</a><!-- invocation --><a href="run:no">2</a>'


@pytest.fixture
def page(home):
    return Publisher()("report", {}, {}, lambda folder: (folder / PAGE).write_text(TEXT))


NOTE = {"invocation": "2026-a", "written": "today", "tasks": 3, "computed": ["train[<a>]"]}
NOTED = (
    "<p>Written on today by the run 2026-a: 2 of 3 tasks came from the cache.</p>"
    "<details><summary>1 computed</summary><ul><li>train[&lt;a&gt;]</li></ul></details>"
)


def test_links_and_note_of_an_invocation_are_filled_in(page):
    asked = []

    def addresses(keys):
        asked.append(keys)
        return {"0a1b": "http://host/#/a?b&c", "": "http://host/parent"}

    found = fill_page(page, addresses, NOTE)
    assert asked == [{"0a1b", "ff"}]
    assert found == START + (
        '<a href="http://host/#/a?b&amp;c">0</a><a>1</a>'
        f"{NOTED}"
        '<p><a href="http://host/parent">The run in MLflow</a> (while its page is up).</p>'
        '<a href="run:no">2</a>'  # not a key
    )


def test_a_page_without_mlflow_has_its_note_and_no_links(page):
    found = fill_page(page, lambda keys: {}, NOTE)
    assert found == START + f'<a>0</a><a>1</a>{NOTED}<a href="run:no">2</a>'


def test_a_note_is_text_whoever_wrote_it(page):
    refresh = '<meta http-equiv="refresh" content="0;url=http://elsewhere">'
    note = NOTE | {"invocation": refresh, "written": refresh, "computed": [refresh]}
    for one in (note, refresh):  # the second as versions before 0.2 left it in a spool
        assert '<meta http-equiv="refresh' not in fill_page(page, lambda keys: {}, one)


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


def test_a_stored_page_with_the_policy_stays_as_it_is(tmp_path, groups):
    write_report(tmp_path, CONFIG, groups, [], {}, "study run made")
    text = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert text.startswith(PAGE_START + "<meta http-equiv=")
    entry = Publisher()("report", {}, {}, lambda folder: (folder / PAGE).write_text(text))
    without_links = RUN_LINK.sub("", text).replace(NOTE_PLACE, "")
    assert fill_page(entry, lambda keys: {}, "") == without_links


def test_a_page_of_an_earlier_version_gets_the_policy_and_keeps_its_style(home):
    old = '<!doctype html>\n<html><head><meta charset="utf-8"><style>b{}</style></head><b>x</b>'
    entry = Publisher()("report", {}, {}, lambda folder: (folder / PAGE).write_text(old))
    found = fill_page(entry, lambda keys: {}, "")
    digest = base64.b64encode(hashlib.sha256(b"b{}").digest()).decode()
    assert f"style-src 'sha256-{digest}'" in found
    assert found.endswith(old)


# In a browser

SMALL_PAGE = """{% from "parts.html.j2" import page_head -%}
<!doctype html>
<html lang="en">
<head>
{{ page_head("a study") }}
</head>
<body><h1>x</h1></body>
</html>"""
ATTACKS = {
    "script": "<script>document.title = 'ran'</script>",
    "module": "<script type=module>document.title = 'ran'</script>",
    "foreign script": "<script src='HOST/a.js'></script>",
    "picture": "<img src=x onerror=\"document.title = 'ran'\">",
    "foreign picture": "<img src='HOST/a.png'>",
    "link": "<a id=go href=\"javascript:document.title = 'ran'\">here</a>",
    "svg": "<svg onload=\"document.title = 'ran'\"></svg>",
    "svg script": "<svg><script>document.title = 'ran'</script></svg>",
    "details": "<details open ontoggle=\"document.title = 'ran'\">x</details>",
    "inner page": "<iframe srcdoc=\"<script>parent.document.title = 'ran'</script>\"></iframe>",
    "inner foreign page": "<iframe src='HOST/a'></iframe>",
    "inner refresh": ("<iframe srcdoc=\"<meta http-equiv=refresh content='0;HOST/a'>\"></iframe>"),
    "data page": "<iframe src=\"data:text/html,<script>top.name='ran'</script>\"></iframe>",
    "object": "<object data='HOST/a'></object>",
    "base": "<base href='HOST/'><img src=a.png>",
    "refresh": "<meta http-equiv=refresh content='0;url=HOST/a'>",
    "REFRESH": "<META HTTP-EQUIV=refresh content='0;url=HOST/a'>",
    "another policy": '<meta http-equiv=Content-Security-Policy content="script-src *">'
    "<script>document.title = 'ran'</script>",
    "prefetch": "<link rel=prefetch href='HOST/a'>",
    "style": "<style>@import 'HOST/a.css'; b{background:url(HOST/b)}</style><b>b</b>",
    "form": "<form id=form action='HOST/a'><button id=go>go</button></form>",
}
PLACES = {
    "first": lambda text, attack: attack + text,
    "in the head": lambda text, attack: text.replace("</head>", f"{attack}</head>"),
    "in the body": lambda text, attack: text.replace("</h1>", f"</h1>{attack}"),
    "without our head": lambda text, attack: attack + text.partition("</head>")[2],
}


@pytest.fixture
def look(browser, tmp_path):
    """Opens a page."""

    def opened(text):
        file = tmp_path / "seen.html"
        file.write_text(text, encoding="utf-8")
        page = browser.new_page()
        page.goto(file.as_uri())
        page.wait_for_timeout(200)
        return page

    return opened


@pytest.fixture(scope="module")
def foreign():
    """A server on this machine: its address, and the paths that it was asked for."""
    with recorded_requests() as found:
        yield found


def small_page():
    return template_environment().from_string(SMALL_PAGE).render()


@pytest.mark.browser
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_nothing_runs_that_someone_wrote_into_a_stored_page(home, look, foreign, attack):
    host, asked = foreign
    for place in PLACES.values():
        asked.clear()
        text = place(small_page(), attack.replace("HOST", host))
        entry = Publisher()("report", {}, {}, lambda folder, t=text: (folder / PAGE).write_text(t))
        page = look(fill_page(entry, lambda keys: {}, "<p>Written today.</p>"))
        address = page.url
        if page.locator("#go").count():
            page.evaluate("document.getElementById('go').click()")
            page.wait_for_timeout(100)
        assert page.title() != "ran"
        assert page.evaluate("window.name") == ""
        assert page.url.partition("#")[0] == address
        assert asked == []
        page.close()


@pytest.mark.browser
@pytest.mark.parametrize(
    "attack", ["script", "picture", "inner page", "foreign picture", "refresh"]
)
def test_the_attacks_work_on_a_page_without_a_policy(look, foreign, attack):
    host, asked = foreign
    asked.clear()
    page = look("<!doctype html><title>x</title>" + ATTACKS[attack].replace("HOST", host))
    page.wait_for_timeout(200)
    assert asked or page.title() == "ran"


@pytest.mark.browser
def test_our_own_script_runs_and_no_other(tmp_path, groups, look, monkeypatch):
    monkeypatch.setattr("tasks.reporting.page.SCRIPTS", ("document.title = 'ours'",))
    write_report(tmp_path, CONFIG, groups, [], {}, "study run made")
    text = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert look(text).title() == "ours"
    text = text.replace("</h1>", "</h1><script>document.body.id = 'ran'</script>")
    entry = Publisher()("report", {}, {}, lambda folder: (folder / PAGE).write_text(text))
    page = look(fill_page(entry, lambda keys: {}, ""))
    assert page.title() == "ours"
    assert page.evaluate("document.body.id") == ""


@pytest.mark.browser
def test_our_pages_look_right_under_their_policy(tmp_path, groups, look):
    write_report(tmp_path, CONFIG, groups, ["train: failed"], {}, "study run made")
    studies = [ComparedStudy(name, CONFIG, groups) for name in ("first", "second")]
    compared = write_comparison(tmp_path / "compared", *studies)
    for file in (tmp_path / PAGE, compared):
        page = look(file.read_text(encoding="utf-8"))
        broken = "[...document.images].filter(image => !image.naturalWidth).length"
        assert page.evaluate(broken) == 0
        assert page.locator("img").count() >= 1
        assert page.evaluate("getComputedStyle(document.body).fontFamily").startswith("system-ui")
    page = look((tmp_path / PAGE).read_text(encoding="utf-8"))
    details = page.locator("details").first
    details.locator("summary").first.click()
    assert details.evaluate("element => element.open")
    page.locator("nav a").first.click()
    assert page.url.endswith("#findings")


MARKUP = (
    "<img src=x onerror=\"document.title='ran'\"><script>document.title='ran'</script>'\"&{{7*7}}"
)


@pytest.mark.browser
def test_markup_in_names_shows_as_text(tmp_path, groups, look):
    config = CONFIG | {"name": MARKUP, "dataset": {"name": "folder", "path": MARKUP}}
    changed = groups["data"][0].model_copy(
        update={"result": groups["data"][0].result | {"name": MARKUP, "classes": [MARKUP, "dog"]}}
    )
    provenance = dict.fromkeys(("processor", "system", "commit", "python"), MARKUP)
    theory = Publisher()("theory", {}, {"checks": [], "counterexamples": []})
    theory = theory.model_copy(
        update={
            "provenance": provenance | {"versions": {"torch": MARKUP}},
            "result": {
                "checks": [
                    {
                        "name": MARKUP,
                        "statement": MARKUP,
                        "largest_error": 0.0,
                        "tolerance": 1.0,
                        "holds": True,
                    }
                ],
                "counterexamples": [
                    {"claim": MARKUP, "correction": MARKUP, "numbers": {MARKUP: 1.0}}
                ],
            },
        }
    )
    config["sections"] = [*config["sections"], "theory"]
    every = groups | {"data": [changed], "theory": [theory]}
    write_report(tmp_path, config, every, [MARKUP], {"latent_sweep": MARKUP}, MARKUP)
    other = CONFIG | {"name": "other"}
    compared = write_comparison(
        tmp_path / "compared",
        ComparedStudy(MARKUP, config, every),
        ComparedStudy("other", other, groups),
    )
    for file, least in ((tmp_path / PAGE, 11), (compared, 1)):
        text = file.read_text(encoding="utf-8")
        for script in SCRIPTS:  # our own
            text = text.replace(f'<script type="module">{script}</script>', "")
        assert "<img src=x" not in text
        assert "<script" not in text
        page = look(text)
        assert page.title() != "ran"
        assert page.locator("body").inner_text().count("<img src=x onerror") >= least
