import pandas as pd
import pytest

from tasks.reporting.comparison import ComparedStudy, write_comparison
from tests.tasks.reporting.conftest import CONFIG

ARCHITECTURE = {"encoder": "conv", "decoder": "conv", "options": {}}


def with_half_the_loss(entry):
    metrics = {name: value / 2 for name, value in entry.result["metrics"].items()}
    return entry.model_copy(update={"result": entry.result | {"metrics": metrics}})


@pytest.fixture
def studies(groups):
    """A study, and one with other models at half the loss; the second has no classifiers."""
    halved = [with_half_the_loss(entry) for entry in groups["train"]]
    config = CONFIG | {"seeds": [0, 1, 2], "runner": "dask"}
    other = groups | {"train": halved, "evaluate": [], "transfer": []}
    return ComparedStudy("first", CONFIG, groups), ComparedStudy("second", config, other)


def test_the_change_of_every_choice_is_shown(tmp_path, studies):
    page = write_comparison(tmp_path / "compared", *studies)
    table = pd.read_csv(page.parent / "comparison.csv")
    losses = table[table.quantity == "test MSE"].set_index(["architecture", "latent_dim"])
    assert losses.change.tolist() == pytest.approx([-50] * 3)
    assert losses.mean_A["depth 2", 3] == pytest.approx(0.10015)
    assert losses.mean_B["depth 2", 3] == pytest.approx(0.10015 / 2)
    accuracies = table[table.quantity == "test accuracy"]
    assert len(accuracies) == 4  # the choices that only the first has
    assert accuracies.mean_B.isna().all()
    assert accuracies.change.isna().all()
    text = page.read_text(encoding="utf-8")
    assert text.count("-50&thinsp;%") >= 6
    assert 'alt="Test loss by latent size' in text


def test_settings_that_differ_are_listed_except_the_runner(tmp_path, studies):
    text = write_comparison(tmp_path, *studies).read_text(encoding="utf-8")
    assert "seeds" in text
    assert '<td class="word long">0, 1, 2</td>' in text
    assert "runner" not in text
    same = studies[0]
    text = write_comparison(tmp_path, same, same).read_text(encoding="utf-8")
    assert "None: differences below are due to code or machine." in text


def test_each_verdict_stands_beside_the_other(tmp_path, studies):
    text = write_comparison(tmp_path, *studies).read_text(encoding="utf-8")
    row = text[text.index("Fine-tuning beats a frozen encoder.") :].partition("</tr>")[0]
    assert "all labels: frozen encoder to fine-tuned: +21&thinsp;points <small>[" in row
    assert row.index("confirmed") < row.index("not measured")
    assert row.count("<td") == row.count("</td>") - 1  # that of the claim is before the row's start


def test_a_claim_that_one_study_lacks_stands_beside_nothing(tmp_path, studies):
    first, second = studies
    config = second.config | {"architectures": {"small": ARCHITECTURE}, "depths": []}
    of_others = second._replace(config=config | {"architecture": "depth 2"})
    for pair in ((first, of_others), (of_others, first)):
        text = write_comparison(tmp_path, *pair).read_text(encoding="utf-8")
        row = text[text.index("A deeper network has fewer parameters.") :].partition("</tr>")[0]
        places = [row.index("not a claim of this study"), row.index("confirmed")]
        assert (places[0] > places[1]) == (pair[0] is first)
        latent = text.index("A larger latent gives a lower test loss.")
        shared = text[latent:].partition("</tr>")[0]
        assert shared.count(">confirmed") == 2
        assert latent < text.index("A deeper network has fewer parameters.")  # the order is kept


def test_an_earlier_picture_goes_when_there_is_nothing_to_draw(tmp_path, studies):
    first, second = studies
    write_comparison(tmp_path, first, second)
    assert (tmp_path / "rate.svg").exists()
    without = second._replace(groups={"data": second.groups["data"]})
    write_comparison(tmp_path, first, without)
    assert not (tmp_path / "rate.svg").exists()
