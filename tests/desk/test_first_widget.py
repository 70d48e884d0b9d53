"""A lesson opens with its first widget alive and its diagrams drawn, or without, but it opens."""

from __future__ import annotations

import pytest
from studium.catalogue.catalogue import load_catalogue
from studium.desk.describing import description_of
from studium.notebooks.files import SAVED_WIDGET

OURS = [entry.topic.slug for entry in load_catalogue().entries if entry.distribution == "studium"]
WIDGET = '# %% tags=["widget"]\nfrom studium_widgets import NoiseSchedule\nprint("drawn")\nNoiseSchedule(t=7)\n'


DIAGRAM = '# %% tags=["diagram"]\nDiagram.from_package("sample_topic", "flow.svg")\n'
IMPORTS = "# %%\nfrom studium_widgets import Diagram\n"
SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9">
<title>A flow</title><desc>It flows.</desc></svg>"""


def lesson(slug):
    return description_of(load_catalogue(), slug).lesson()


def outputs(slug):
    return [output for cell in lesson(slug).cells for output in cell.get("outputs", ())]


@pytest.fixture
def opened_with(sample):
    """opened_with(text) → the outputs of the sample lesson, with these cells before its first exercise."""

    def read(text):
        lesson = sample.folder / "sample_topic" / "lesson.py"
        lesson.write_text(lesson.read_text().replace("# %% [markdown]\n# ## Merging", f"{text}\n# %% [markdown]\n#"))
        return outputs("sample")

    return read


@pytest.mark.sample(3)
@pytest.mark.parametrize("slug", OURS)
def test_each_of_our_lessons_opens_with_its_first_widget_and_its_diagrams_and_nothing_else(slug):
    tags = [cell.metadata.get("tags") for cell in lesson(slug).cells]
    drawn = (["widget"] in tags) + tags.count(["diagram"])
    assert [set(output.data) for output in outputs(slug)] == [{SAVED_WIDGET, "text/plain"}] * drawn


def test_the_widget_shows_what_the_lesson_gave_it_and_what_the_cell_printed_is_dropped(opened_with, capsys):
    (output,) = opened_with(WIDGET)
    assert output.data[SAVED_WIDGET]["state"]["t"] == 7
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "text",
    ['# %% tags=["widget"]\n3\n', '# %% tags=["widget"]\nx = (\n', WIDGET.replace("t=7", "t=merge")],
    ids=["it is none", "it is not Python", "it needs an answer"],
)
def test_a_widget_that_cannot_be_made_is_left_out(opened_with, text):
    assert opened_with(text) == []


def test_a_cell_that_needs_an_answer_is_passed_over(opened_with):
    assert len(opened_with("# %%\nmerge(1)\n\n" + WIDGET)) == 1


def test_a_widget_among_experiments_is_not_run(opened_with):
    assert opened_with(WIDGET.replace('["widget"]', '["experiment", "widget"]')) == []


def test_every_diagram_is_drawn_with_the_cells_alone_that_it_needs(opened_with, sample):
    (sample.folder / "sample_topic" / "flow.svg").write_text(SVG)
    found = opened_with(f"# %%\nraise SystemExit\n\n{IMPORTS}\n{DIAGRAM}\n{DIAGRAM}")
    assert [output.data[SAVED_WIDGET]["widget"].rpartition("/")[2] for output in found] == ["diagram"] * 2
    assert found[0].data["text/plain"] == "A flow. It flows."


def test_a_diagram_without_a_file_is_left_out(opened_with):
    assert opened_with(f"{IMPORTS}\n{DIAGRAM}") == []


def test_a_changed_diagram_is_drawn_anew(opened_with, sample):
    file = sample.folder / "sample_topic" / "flow.svg"
    file.write_text(SVG)
    assert opened_with(f"{IMPORTS}\n{DIAGRAM}")[0].data["text/plain"] == "A flow. It flows."
    file.write_text(SVG.replace("It flows", "It flows on"))
    assert outputs("sample")[0].data["text/plain"] == "A flow. It flows on."
