"""prefect.yaml and the shipped automations, as far as they are right without a server."""

import importlib
from pathlib import Path

import pytest

from flows.configuration.load import load_config
from flows.configuration.study_config import StudyConfig
from flows.study import SECTION_FLOWS, study
from models.specs import ConfigError
from tasks.system.yaml_files import read_yaml

ROOT = Path(__file__).parents[3]
DEPLOYMENTS = read_yaml(ROOT / "prefect.yaml", "file")["deployments"]


def flow_of(deployment):
    path, _, name = deployment["entrypoint"].partition(":")
    return getattr(importlib.import_module(path.removesuffix(".py").replace("/", ".")), name)


def test_every_flow_has_a_deployment():
    assert {flow_of(one).name for one in DEPLOYMENTS} == {
        flow.name for flow in [study, *SECTION_FLOWS.values()]
    }


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: one["entrypoint"])
def test_a_deployment_runs_the_shipped_study_one_run_at_a_time(deployment):
    config = StudyConfig.model_validate(deployment["parameters"]["config"])
    assert config == load_config(deployment["name"])
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    assert deployment["work_pool"]["name"] == "latent-study"


def test_the_form_on_prefects_page_knows_limits_defaults_and_descriptions():
    from prefect.utilities.callables import parameter_schema

    schema = parameter_schema(study).model_dump_for_openapi()
    training = schema["definitions"]["TrainingConfig"]["properties"]
    assert training["epochs"]["minimum"] == 1
    assert training["epochs"]["default"] == load_config("mnist").training.epochs
    assert all(one.get("description") for one in training.values())
    assert all(one.get("description") for one in schema["properties"].values())


@pytest.mark.parametrize(
    ("cron", "interval", "timezone"),
    [("61 * * * *", None, "UTC"), ("* * * * *", 5, "UTC"), ("* * * * *", None, "Nowhere/City")],
)
def test_what_is_no_schedule_is_refused(cron, interval, timezone):
    from flows.scheduled_runs import make_schedule

    with pytest.raises(ConfigError, match=r"cron|timezone"):
        make_schedule(cron, interval, timezone)


def test_the_shipped_automation_waits_for_three_heartbeats():
    from flows.launch import HEARTBEAT_SECONDS
    from flows.lifecycle.automations import AUTOMATIONS

    (shipped,) = read_yaml(AUTOMATIONS, "file")["automations"]
    assert shipped["trigger"]["within"] == 3 * int(HEARTBEAT_SECONDS)
