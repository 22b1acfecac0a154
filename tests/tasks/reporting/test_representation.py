"""The section representation of a report, from made measurements."""

import csv
import html
import json
import re

import pytest
import torch
from PIL import Image

from models.measures.glossary import measured_by
from tasks.artifacts.latent_maps import LatentMaps, save_maps
from tasks.cache.results import check_result
from tasks.reporting.image_grids import save_sprite
from tasks.reporting.page import PAGE, SCRIPTS
from tasks.reporting.report import write_report
from tasks.reporting.representation import MAP_SIDE, MOST_BYTES, compared_models, similarities
from tests.tasks.reporting.conftest import CONFIG, N_TEST, SHAPES, Publisher

REPRESENTATION = {"neighbours": 10, "probe_images": 10_000}
MEASURED = CONFIG | {
    "sections": [*CONFIG["sections"], "representation"],
    "representation": REPRESENTATION,
    "measures": {"smoothness": {"name": "m.py:f", "code": "sha256:1"}},
}


class Later(Publisher):
    """Keys after those of the models."""

    def __init__(self):
        self.count = 1_000


def add_representation(groups, labelled=True):
    """Measurements of every model; two seeds of a shape have a CKA of 0.9, others 0.5."""
    publish, models = Later(), groups["train"]
    groups |= {"encode": [], "probe": [], "own_measure": [], "probe_controls": []}
    for place, model in enumerate(models):
        identity, link = model.identity, {"model": model.fingerprint}
        result = {"latent_dim": identity["latent_dim"], "n_train": place, "n_test": N_TEST}
        groups["encode"].append(publish("encode", identity, result, **link))
        metrics = {one.name: 0.25 for one in measured_by("probe")}
        metrics["linear_probe_accuracy"] = 0.75 + 0.01 * identity["seed"]
        if not labelled:
            metrics |= {name: None for name in metrics if name.endswith("accuracy")}
        result = {"ablation": [0.1], "metrics": metrics}
        groups["probe"].append(publish("probe", identity, result, **link))
        own = {"metrics": {"smoothness": 1.5 + identity["seed"]}}
        groups["own_measure"].append(publish("own_measure", identity, own, **link))
    if labelled:
        control = {"linear_probe_accuracy": 0.9, "knn_accuracy": 0.9, "largest_class": 0.5}
        groups["probe_controls"].append(publish("probe_controls", {}, control))
    n = len(models)
    cka = [[0.5] * (n + 1) for _ in range(n + 1)]
    for i, one in enumerate(models):
        for j, other in enumerate(models):
            same = one.identity | {"seed": 0} == other.identity | {"seed": 0}
            cka[i][j] = 1.0 if i == j else 0.9 if same else 0.5
        cka[i][n] = 0.7 + 0.1 * one.identity["seed"]
    result = {"images": N_TEST, "cka": cka, "floor": 0.01}
    check_result("similarity", result)
    fingerprints = [one.fingerprint for one in groups["encode"]]
    groups["similarity"] = [publish("similarity", {}, result, latents=fingerprints)]
    labels = torch.arange(N_TEST) % 2 if labelled else None
    points = torch.tensor([[0.0, 0], [4, 0], [0, 2], [4, 2]])
    pictures = torch.zeros(N_TEST, 1, 28, 28, dtype=torch.uint8)
    found = LatentMaps({"0 PCA": points}, torch.arange(N_TEST), pictures, labels)
    maps = {"latent_dims": [3], "images": N_TEST}
    groups["latent_map"] = [
        publish("latent_map", {"seed": 0}, maps, lambda folder: save_maps(folder, found))
    ]
    return groups


def report_of(groups, folder):
    found = write_report(folder, MEASURED, groups, [], {}, "study run made")
    page = (folder / PAGE).read_text()
    section = page[page.index('<h2 id="representation">') :].partition("<h2 ")
    return found, section[0] + section[1] + section[2].partition("<h2 ")[0]


@pytest.fixture
def report(groups, tmp_path):
    return report_of(add_representation(groups), tmp_path)


def test_similarity_is_between_seeds_and_between_networks(groups):
    groups = add_representation(groups)
    entry = groups["similarity"][0]
    models = compared_models(entry, groups["encode"])
    assert models == [one.identity for one in groups["train"]]
    rows = similarities(entry, models)
    assert [one.model for one in rows] == [f"depth {d}, d = {k}" for d, k in SHAPES]
    for one in rows:
        assert (one.between_seeds, one.least, one.most, one.pairs) == (0.9, 0.9, 0.9, 1)
        assert one.with_pixels.mean == pytest.approx(0.75)
        assert one.with_pixels.n == 2


def test_numbers_are_means_over_seeds_with_intervals(report):
    found, section = report
    assert re.search(r"75\.5\s*<small>&plusmn;", section)
    assert re.search(r"2\.0000\s*<small>&plusmn;", section)  # the study's own measure
    assert ">smoothness</th>" in section
    metrics = found["metrics"]
    assert metrics["linear_probe_accuracy/depth_2/latent_003"] == pytest.approx(0.755)
    assert metrics["smoothness/depth_2/latent_003/seed_1"] == 2.5
    assert metrics["cka_between_seeds/depth_1/latent_002"] == 0.9
    assert metrics["cka_with_pixels/depth_1/latent_002"] == pytest.approx(0.75)


def test_every_pair_is_in_a_table(report, tmp_path):
    with (tmp_path / "similarity.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3 + 3 + 3  # seeds, other networks, pixels
    by_pair = {(row["model"], row["other"]): row for row in rows}
    same = by_pair["depth 1, d = 2", "depth 1, d = 2"]
    assert (same["cka"], same["ci95_low"]) == ("0.9", "")  # pairs share models: no interval
    other = by_pair["depth 1, d = 2", "depth 2, d = 2"]
    assert (other["cka"], other["pairs"], other["ci95_low"]) == ("0.5", "2", "0.5")


def test_dots_are_images_in_the_order_of_the_sprite(report, tmp_path):
    _, section = report
    drawing = section[section.index('<svg class="map"') :].partition("</svg>")[0]
    dots = re.findall(r'<circle cx="(\d+)" cy="(\d+)" r="3" fill="(#\w+)"/>', drawing)
    x, y, colours = zip(*dots, strict=True)
    assert list(map(int, x)) == [8, MAP_SIDE - 8] * 2
    assert y[0] == y[1] > y[2] == y[3]  # up is up
    assert colours[0] == colours[2] != colours[1] == colours[3]
    words = json.loads(html.unescape(re.search(r'data-words="([^"]+)"', section)[1]))
    assert words[1] == "<b>dog, test image 1"
    assert "&lt;b&gt;dog</li>" in section  # the legend
    assert 'src="data:image/jpeg;base64,' in section
    assert f'<script type="module">{SCRIPTS[0]}</script>' in (tmp_path / PAGE).read_text()


def test_without_labels_probes_are_left_out_and_it_is_said(groups, tmp_path):
    _, section = report_of(add_representation(groups, labelled=False), tmp_path)
    assert "Probes are left out: they need labels" in section
    assert "Linear probe, accuracy" not in section
    assert 'class="legend"' not in section
    assert "0.250" in section  # SSIM


@pytest.mark.parametrize(("channels", "n"), [(1, 2_000), (3, 2_000), (3, 3)])
def test_a_sprite_of_noise_is_small_enough_and_in_order(tmp_path, channels, n):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, channels, 32, 32), generator=generator).byte()
    images[1], columns = 255, 45
    save_sprite(images, columns, tmp_path / "sprite.jpg", MOST_BYTES)
    assert (tmp_path / "sprite.jpg").stat().st_size <= 600_000
    with Image.open(tmp_path / "sprite.jpg") as sprite:
        assert sprite.size == (45 * 32, -(-n // 45) * 32)
        second = sprite.convert("L").crop((36, 4, 60, 28))
        assert second.getextrema()[0] > 200
