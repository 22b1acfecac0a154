import pytest

from flows.commands.register import register
from models.specs import ConfigError
from tasks.registry.register import RegisteredModel, Registration


@pytest.fixture
def found(monkeypatch):
    """Replaces what is registered; an error is raised."""

    def replace(found):
        def register_best(client, study):
            if isinstance(found, Exception):
                raise found
            return found

        monkeypatch.setattr("tasks.tracking.client.connect", lambda: None)
        monkeypatch.setattr("tasks.registry.register.register_best", register_best)

    return replace


def registered(name, run):
    return RegisteredModel(name, "3", "d5", run, "final_test_loss", 0.12345)


def test_every_model_is_a_line(found, capsys):
    found(Registration([registered("encoder", "train[a]"), registered("m", "train[b]")], []))
    register("smoke")
    assert capsys.readouterr().out.splitlines() == [
        "models:/encoder@d5  version 3, final_test_loss 0.1235, train[a]",
        "models:/m@d5        version 3, final_test_loss 0.1235, train[b]",
    ]


def test_names_of_a_server_are_shown_as_they_are_in_one_line(found, capsys):
    names = registered("m\x1b[2J", "train\nmodels:/forged@d5  version 1\x07")
    found(Registration([names], ["encoder of x\ny\x1b[2J is not loaded"]))
    with pytest.raises(SystemExit, match="1"):
        register("smoke")
    said = capsys.readouterr()
    (line,) = said.out.splitlines()
    assert line.startswith("models:/m?[2J@d5  version 3")
    assert line.endswith(r", train\nmodels:/forged@d5  version 1?")
    (line,) = said.err.splitlines()
    assert line.startswith(
        r"study: encoder of x\ny?[2J is not loaded; not registered, `study run sm"
    )


def test_a_study_without_models_is_a_mistake_of_the_user(found):
    found(LookupError("no study 'smoke' with a dataset is in MLflow"))
    with pytest.raises(ConfigError, match=r"^no study 'smoke' .*; see: study status$"):
        register("smoke")
