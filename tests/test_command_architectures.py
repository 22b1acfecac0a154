"""A study of other networks than the written study's, by the command that users type."""

import html
import re

import pandas as pd
import pytest

from tasks.system.folders import report_path
from tests.conftest import executed, model_runs, study_runs

STUDY = """\
name: networks
dataset: {name: digits, train_limit: 256, test_limit: 128}
latent_dims: [2, 5]
training: {epochs: 2, batch_size: 32}
interpolation: {pairs: [[3, 5]], steps: 5}
transfer: {epochs: 1, minimum_updates: 0, batch_size: 32, label_budgets: [64]}
architectures:
  small: {encoder: conv, decoder: conv, options: {layers: 2, width: 4}}
  flat: {encoder: mlp, decoder: mlp, options: {width: 16}}
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The study file."""
    path = tmp_path_factory.mktemp("a study") / "networks.yaml"
    path.write_text(STUDY, encoding="utf-8")
    return path


def test_networks_are_trained_and_named_by_their_architecture(study, file):
    result = study("run", str(file))
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    names = executed(result)
    assert {name for name in names if name.startswith("train[")} == {
        "train[architecture=small, latent_dim=2, seed=0]",
        "train[architecture=small, latent_dim=5, seed=0]",
        "train[architecture=flat, latent_dim=5, seed=0]",
    }
    assert "evaluate[architecture=flat, latent_dim=5, seed=0]" in names
    assert not [name for name in names if "depth" in name]


def test_a_new_name_computes_only_the_report_again(study, file):
    """What an architecture is called is in no key of a training, an evaluation, a walk."""
    other = file.with_name("renamed.yaml")
    other.write_text(STUDY.replace("small", "tiny"), encoding="utf-8")
    result = study("run", str(other))
    assert result.returncode == 0, result.stderr
    assert [name.partition("[")[0] for name in executed(result)] == ["report"]
    again = study("run", str(file))
    assert [name.partition("[")[0] for name in executed(again)] == []


def test_the_report_and_its_tables_have_the_names_of_the_study(study, file):
    page = html.unescape(report_path("networks").read_text(encoding="utf-8"))
    section = page[page.index('<h2 id="depth_sweep">') : page.index('<h2 id="interpolation">')]
    assert ">Architectures</h2>" in section
    assert "small (conv, layers = 2, width = 4)" in section
    assert "<td>flat</td><td>5</td>" in section
    reach = page[page.index('<h2 id="reach">') :].partition("</table>")[0]
    rows = re.findall(r"<tr><td>(\w+)</td><td>(\d+)</td><td>(\d+)</td>", reach)
    assert sorted(rows) == [("flat", "0", "0"), ("small", "0", "0")]
    assert "Architecture small, latent size d." in page
    assert 'class="missing"' not in page
    claims = re.findall(r'<tr id="claim-([a-z-0-9]+)">', page)
    assert "larger-latent-lower-test-loss" in claims
    assert not [name for name in claims if "deep" in name or "depth" in name]
    folder = report_path("networks").parent
    models = pd.read_csv(folder / "models.csv")
    assert sorted(zip(models.architecture, models.latent_dim, strict=True)) == [
        ("flat", 5),
        ("small", 2),
        ("small", 5),
    ]
    assert set(models.objective) == {"mse"}
    assert models.unreachable_test_loss.tolist() == [0, 0, 0]
    assert set(pd.read_csv(folder / "transfer.csv").architecture) == {"small"}


def test_mlflow_holds_the_architecture_of_every_run(study):
    runs = model_runs()
    assert len(runs) == 3
    found = sorted((run.data.params["architecture"], run.data.params["latent_dim"]) for run in runs)
    assert found == [("flat", "5"), ("small", "2"), ("small", "5")]
    for run in runs:
        assert "depth" not in run.data.params
        note = run.data.tags["mlflow.note.content"]
        assert f"autoencoder of {run.data.params['architecture']}, latent size" in note
    classifiers = model_runs("transfer")
    assert {run.data.params["architecture"] for run in classifiers} == {"small"}
    parent = study_runs("networks")[0]
    assert "- small sees and can change every pixel." in parent.data.tags["mlflow.note.content"]
    assert {"test_loss/small/latent_005", "test_loss/flat/latent_005"} <= set(parent.data.metrics)
    assert not [name for name in parent.data.metrics | parent.data.tags if "depth" in name]


def test_a_wrong_option_is_refused_before_anything_runs(study, file):
    for override, message in (
        ("architectures.small.options.widht=8", "unexpected option 'widht'"),
        ("architectures.small.options.layers=0", "conv: layers: 0 is no whole number from 1 to 8"),
        ("architecture=large", "architecture: there is no 'large'; choose one of small, flat"),
        ("depths=[2]", ""),
    ):
        result = study("plan", str(file), "--set", override)
        assert result.returncode == (2 if message else 0), result.stderr
        assert message in result.stderr
        assert "Traceback" not in result.stderr
        assert result.stderr.count("\n") <= 1
