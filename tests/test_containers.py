"""The container files, as far as they can be read without a container engine."""

import re
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from tasks.system.yaml_files import read_yaml

ROOT = Path(__file__).resolve().parent.parent
COMPOSE = read_yaml(ROOT / "compose.yaml", "file")
OURS = {name: s for name, s in COMPOSE["services"].items() if s["image"] == "latent-study"}


def copied():
    """What the Containerfile copies into the image."""
    lines = re.findall(r"^COPY (.*) \S+$", (ROOT / "Containerfile").read_text("utf-8"), re.M)
    return {name for line in lines for name in line.split()}


def test_the_image_gets_what_the_project_is_made_of():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    found = project["tool"]["setuptools"]["packages"]["find"]["include"]
    packages = {name.removesuffix("*") for name in found}
    needed = packages | {project["project"]["readme"], "pyproject.toml", "constraints.txt"}
    assert needed | {"mlflow.yaml", "prefect.yaml"} <= copied()


def test_only_what_the_image_gets_is_sent_to_the_builder():
    lines = (ROOT / ".containerignore").read_text("utf-8").splitlines()
    assert lines[0] == "*"
    assert {line[1:] for line in lines if line.startswith("!")} == copied()


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_a_program_of_the_image(name):
    programs = {script.name for script in entry_points(group="console_scripts")}
    for command in OURS[name]["command"].removeprefix("sh -c '").split(" || "):
        assert command.split()[0] in programs & {"mlflow", "prefect", "dask", "study"}


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_service_is_for_this_machine_and_names_what_exists(name):
    service = COMPOSE["services"][name]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert set(service.get("depends_on", [])) <= COMPOSE["services"].keys()
    volumes = {volume.split(":")[0] for volume in service.get("volumes", [])}
    assert volumes <= COMPOSE["volumes"].keys()
    for variable, value in service.get("environment", {}).items():
        if "PASSWORD" in variable:
            assert value.startswith("${POSTGRES_PASSWORD:?")
        for host in re.findall(r"http://([a-z-]+):", value):
            assert host in COMPOSE["services"]
