from tasks.reporting.contents import page_sections
from tasks.reporting.page import template_environment
from tests.tasks.reporting.conftest import CONFIG


def anchors_of(**changes):
    groups = changes.pop("groups", {"reach": [object()]})
    left_out = changes.pop("left_out", None)
    return [one.anchor for one in page_sections(CONFIG | changes, groups, left_out)]


def test_a_section_is_on_the_page_if_it_was_asked_for_and_not_left_out():
    every = anchors_of()
    assert every[:3] == ["verdicts", "latent_sweep", "depth_sweep"]
    assert every[-3:] == ["reach", "method", "provenance"]
    assert "theory" not in every
    assert "objective_sweep" not in every
    assert "transfer" not in anchors_of(left_out={"transfer": "no labels"})
    assert "reach" not in anchors_of(groups={})
    assert anchors_of(sections=["theory"]) == ["reach", "theory", "provenance"]
    objectives = {"sections": ["objective_sweep"], "objectives": {"bce": {}}}
    assert "objective_sweep" in anchors_of(**objectives)


def test_networks_of_the_study_are_architectures():
    titles = {one.anchor: one.title for one in page_sections(CONFIG, {})}
    assert titles["depth_sweep"] == "Depth"
    own = page_sections(CONFIG | {"architectures": {"small": {}}}, {})
    assert {one.anchor: one.title for one in own}["depth_sweep"] == "Architectures"


def test_every_section_has_a_template_with_its_anchor():
    environment = template_environment()
    config = CONFIG | {"sections": [*CONFIG["sections"], "theory", "objective_sweep"]}
    config["objectives"] = {"bce": {}}
    for one in page_sections(config, {"reach": [object()]}):
        source, _, _ = environment.loader.get_source(environment, one.template)
        assert f'<h2 id="{one.anchor}">' in source
