"""The report page in a real browser: nothing broken, readable on a phone, light and dark."""

import os
import subprocess
import sys

import pytest

from tasks.system.folders import report_path

pytestmark = pytest.mark.browser
BROKEN = "[...document.images].filter(image => !image.naturalWidth).map(image => image.alt)"
LEGIBLE = """() => {
  const grey = colour => colour.match(/\\d+/g).slice(0, 3)
    .reduce((sum, v, i) => sum + [0.2126, 0.7152, 0.0722][i] * (v / 255) ** 2.2, 0);
  const style = getComputedStyle(document.body);
  const [a, b] = [grey(style.color), grey(style.backgroundColor)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    command = [sys.executable, "-m", "flows.commands.main", "run", "smoke", "--set", "seeds=[0,1]"]
    subprocess.run(command, env={**os.environ, "STUDY_HOME": str(home)}, check=True)
    return home


@pytest.fixture
def open_page(browser, page_file, monkeypatch):
    monkeypatch.setenv("STUDY_HOME", str(page_file))

    def opened(**options):
        page = browser.new_context(**options).new_page()
        problems, requests = [], []
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(report_path("smoke").as_uri())
        assert problems == []
        assert [url for url in requests if not url.startswith(("file:", "data:"))] == []
        return page

    return opened


@pytest.mark.parametrize("width", [390, 768, 1280, 1920])
def test_nothing_is_broken_and_nothing_sticks_out(open_page, width):
    page = open_page(viewport={"width": width, "height": 844})
    assert page.evaluate(BROKEN) == []
    assert page.locator("img").count() > 15
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_light_and_dark(open_page, scheme):
    page = open_page(color_scheme=scheme)
    assert page.evaluate(LEGIBLE) > 7
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
    assert dark is (scheme == "dark")


def test_every_section_can_be_reached_from_the_top(open_page):
    page = open_page()
    targets = page.eval_on_selector_all("nav a", "links => links.map(link => link.hash.slice(1))")
    assert len(targets) == 12
    assert all(page.locator(f"#{target}").count() == 1 for target in targets)


def test_the_page_prints(open_page):
    assert open_page().pdf().startswith(b"%PDF")


def test_no_figure_is_wider_than_the_paper(open_page):
    page = open_page(viewport={"width": 700, "height": 1000})  # A4 less its margins, in pixels
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth") <= 700
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert (
        page.evaluate(
            "Math.max(...[...document.querySelectorAll('figure img')].map(one => one.width))"
        )
        <= 700
    )


@pytest.mark.parametrize(("width", "sticky"), [(390, False), (1280, True), (1920, True)])
def test_the_contents_stay_in_view_on_wide_screens(open_page, width, sticky):
    page = open_page(viewport={"width": width, "height": 844})
    page.locator("#provenance").scroll_into_view_if_needed()
    top = page.evaluate("document.querySelector('nav').getBoundingClientRect().bottom")
    assert (top > 0) is sticky


def test_every_finding_leads_to_its_evidence(open_page):
    page = open_page(viewport={"width": 1280, "height": 844})
    links = page.locator(".findings a")
    assert 3 <= links.count() <= 7
    for index in range(links.count()):
        links.nth(index).click()
        place = "document.querySelector(location.hash).getBoundingClientRect().top"
        assert -5 <= page.evaluate(place) < 844


def test_the_page_is_small(page_file):
    assert (page_file / "reports" / "smoke" / "index.html").stat().st_size < 5_000_000
