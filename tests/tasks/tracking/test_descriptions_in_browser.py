"""Markup in what a study logs, on the page of a real MLflow server."""

import pytest

from flows.servers.child_servers import start_mlflow, stop_servers, wait_for_answer
from tasks.tracking.client import DESCRIPTION_TAG, connect
from tasks.tracking.descriptions import study_description
from tasks.tracking.views import experiment_tags
from tests.servers import recorded_requests

pytestmark = [pytest.mark.browser, pytest.mark.slow]
NAME = "<img src=HOST/a.png onerror=\"document.title='ran'\"><script>document.title='ran'</script>"
LINK = "![x](HOST/b.png) [here](javascript:alert(1))"


@pytest.fixture
def logged(home):
    """An experiment and a run whose texts are all markup; a server that records requests."""
    with recorded_requests() as (host, asked):
        text = f"{NAME} {LINK}".replace("HOST", host)
        client = connect()
        experiment = client.create_experiment(f"study {text[:20]}", (home / "artifacts").as_uri())
        for name, value in experiment_tags(experiment, 1).items():
            client.set_experiment_tag(experiment, name, value)
        run = client.create_run(
            experiment, run_name=text, tags={"study.kind": "model", "study.failure": text}
        )
        verdict = {"claim": text, "outcome": text, "reason": text, "trend": {"outcome": text}}
        verdicts = [verdict | {"every_step": {"outcome": text}}]
        described = study_description(text, verdicts, [text], [])
        client.set_tag(run.info.run_id, DESCRIPTION_TAG, described)
        client.log_param(run.info.run_id, "dataset.path", text)
        yield experiment, run.info.run_id, text, asked


def test_markup_shows_as_text_on_mlflows_page(home, browser, logged):
    experiment, run, text, asked = logged
    server = start_mlflow("127.0.0.1")
    try:
        wait_for_answer(server)
        page = browser.new_page()
        for place in (f"/runs/{run}", "/runs?workflowType=machine_learning"):
            page.goto(f"{server.address}/#/experiments/{experiment}{place}")
            page.wait_for_function("document.body.innerText.includes('<script>')", timeout=90_000)
            page.wait_for_timeout(1000)
            assert page.title() != "ran"
            assert page.locator("a[href^='javascript:']").count() == 0
            assert asked == []
            if place == f"/runs/{run}":
                shown = page.locator("body").inner_text()
                assert f"<img src={text.partition('=')[2].partition(' ')[0]}" in shown
                assert shown.count("[here](javascript:alert(1))") >= 3
    finally:
        stop_servers([server])
