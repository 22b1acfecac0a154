"""prefect.yaml: its deployments run the shipped studies."""

from pathlib import Path

import pytest
from prefect.flows import load_flow_from_entrypoint

from flows.configuration.load import load_config
from flows.configuration.study_config import StudyConfig
from flows.study import SECTION_FLOWS, study
from tasks.system.yaml_files import read_yaml

ROOT = Path(__file__).parents[3]
DEPLOYMENTS = read_yaml(ROOT / "prefect.yaml", "file")["deployments"]


def flow_of(deployment):
    """The flow, found as Prefect finds it: by module, so that it works without a checkout."""
    return load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)


def test_entrypoints_are_modules_which_an_installed_package_has_too():
    assert not [one["entrypoint"] for one in DEPLOYMENTS if ":" in one["entrypoint"]]


def test_every_flow_has_a_deployment():
    assert {flow_of(one).name for one in DEPLOYMENTS} == {
        flow.name for flow in [study, *SECTION_FLOWS.values()]
    }


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: one["entrypoint"])
def test_a_deployment_runs_the_shipped_study_one_run_at_a_time(deployment):
    config = StudyConfig.model_validate(deployment["parameters"]["config"])
    assert config == load_config(deployment["name"])
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}
    assert deployment["work_pool"]["name"] == "latent-study"


def test_the_form_on_prefects_page_knows_limits_defaults_and_descriptions():
    from prefect.utilities.callables import parameter_schema

    schema = parameter_schema(study).model_dump_for_openapi()
    training = schema["definitions"]["TrainingConfig"]["properties"]
    assert training["epochs"]["minimum"] == 1
    assert training["epochs"]["default"] == load_config("mnist").training.epochs
    assert all(one.get("description") for one in training.values())
    assert all(one.get("description") for one in schema["properties"].values())
