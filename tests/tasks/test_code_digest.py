import shutil

import pytest

from tasks import code_digest
from tasks.code_digest import ROOT, code_parts

HELPER = "bound = 1 / math.sqrt(layer.weight[0].numel())"


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the project that may be edited; the digest reads it instead."""
    for package in ("models", "tasks"):
        shutil.copytree(ROOT / package, tmp_path / package)
    monkeypatch.setattr(code_digest, "ROOT", tmp_path)

    def edit(path, old, new):
        file = tmp_path / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        forget()

    forget()
    yield edit
    forget()


def forget():
    code_digest._text.cache_clear()
    code_digest._parse.cache_clear()
    code_digest.code_parts.cache_clear()


STEPS = {
    "data": ("tasks.data", "prepare_dataset"),
    "pca": ("tasks.pca", "fit_linear_limit"),
    "train": ("tasks.train", "train_models"),
    "evaluate": ("tasks.evaluate", "evaluate_model"),
    "interpolate": ("tasks.interpolate", "interpolate_pair"),
    "correlate": ("tasks.correlate", "correlate_latents"),
    "transfer": ("tasks.transfer", "train_transfer"),
    "package": ("tasks.package", "package_model"),
    "report": ("tasks.report", "write_report"),
}
USE_CLASSIFIERS = {"transfer", "interpolate", "package"}


def digests():
    return {name: code_parts(*place) for name, place in STEPS.items()}


def changed(edit, path, old, new):
    before = digests()
    edit(path, old, new)
    return {name for name, parts in digests().items() if parts != before[name]}


def test_comments_docstrings_and_formatting_change_nothing(copied):
    assert not changed(copied, "models/autoencoder.py", HELPER, f"# a reason\n            {HELPER}")
    assert not changed(copied, "models/trainers.py", '"""Train one auto', '"""Fit one auto')
    assert not changed(copied, "models/specs.py", "Size of the latent vector", "Latent size")
    assert not changed(copied, "models/autoencoder.py", "1 / math.sqrt", "(1)/(math . sqrt)")


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [
        ("models/autoencoder.py", HELPER, HELPER.replace("1 /", "2 /"), {"train", "transfer"}),
        ("models/metrics.py", "flip(1).T", "flip(0).T", {"pca"}),
        (
            "models/metrics.py",
            "latents.amax(0) ==",
            "latents.amax(0) <=",
            {"evaluate", "correlate"},
        ),
        ("models/classifier.py", "nn.Linear(50, 100)", "nn.Linear(50, 99)", USE_CLASSIFIERS),
        ("tasks/data.py", "TEST_SHARE = 0.2", "TEST_SHARE = 0.3", {"data"}),
        ("tasks/plots.py", "len(counts) <= 12", "len(counts) <= 13", {"transfer"}),
        ("tasks/templates/report.html.j2", ">Depth</h2>", ">Depths</h2>", {"report"}),
        ("tasks/store.py", "time.time_ns()", "time.monotonic_ns()", set()),
        ("tasks/tracking/runs.py", "BATCH = 900", "BATCH = 800", set()),
    ],
)
def test_an_edit_changes_exactly_what_uses_it(copied, path, old, new, expected):
    assert changed(copied, path, old, new) == expected


def test_parts_name_file_and_definition():
    parts = code_parts("tasks.train", "train_models")
    assert "models.autoencoder:Decoder" in parts
    assert "tasks.train:train_models" in parts
    assert not any(name.startswith("tasks.tracking") for name in parts)
