from __future__ import annotations

import re

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from studium.catalogue.catalogue import load_catalogue
from studium.errors import LessonError, TopicError
from studium.notebooks.cell_ids import cell_id
from studium.notebooks.editions import compile_lesson, compile_solution, is_optional, role
from studium.site.cells import annotate, read_page
from studium.site.pages import Lesson


@pytest.fixture
def catalogue(sample):
    return load_catalogue()


@pytest.fixture
def lesson(catalogue):
    return compile_lesson(catalogue["sample"], catalogue.manager)


def write_lesson(site, text):
    (site.folder / "sample_topic" / "lesson.py").write_text(text)


def test_a_lesson_is_a_valid_notebook(lesson):
    nbformat.validate(lesson)


def test_cell_ids_are_the_same_every_time_and_unique(catalogue, lesson):
    again = compile_lesson(catalogue["sample"], catalogue.manager)
    ids = [cell.id for cell in lesson.cells]
    assert ids == [cell.id for cell in again.cells]
    assert len(set(ids)) == len(ids)


def test_cell_ids_tell_topic_exercise_and_role(lesson):
    ids = {cell.id for cell in lesson.cells}
    assert {"sample-import", "sample-merge-prompt", "sample-merge", "sample-merge-check", "sample-in-merging"} <= ids


def test_a_heading_may_be_called_like_an_exercise(sample):
    path = sample.folder / "sample_topic" / "lesson.py"
    path.write_text(path.read_text().replace("## Merging", "## Merge").replace("And then.", "## Merge check"))
    catalogue = load_catalogue()
    ids = [cell.id for cell in compile_lesson(catalogue["sample"], catalogue.manager).cells]
    assert len(set(ids)) == len(ids)


def test_an_exercise_becomes_a_prompt_a_stub_and_a_check(lesson):
    cells = [cell for cell in lesson.cells if cell.metadata.studium.get("exercise") == "merge"]
    assert [role(cell) for cell in cells] == ["prompt", "exercise", "check"]
    assert cells[1].source.endswith("raise NotImplementedError()")
    assert cells[2].source.startswith("lesson.check(merge)")


def test_a_prompt_says_what_kind_of_exercise_it_is_and_states_it(lesson):
    prompt = next(cell for cell in lesson.cells if role(cell) == "prompt")
    assert prompt.source.splitlines() == [
        "### Exercise: `merge`",
        "",
        "*core · write · the lesson uses it · 3 points · about 5 minutes*",
        "",
        "Fold the adapter into the frozen weight.",
    ]


def test_the_setup_cell_follows_the_title_and_imports_what_solutions_need(lesson):
    assert role(lesson.cells[1]) == "setup"
    assert lesson.cells[1].source.splitlines() == [
        "import torch",
        "from studium import open_lesson",
        "",
        'lesson = open_lesson("sample")',
    ]


def test_a_lesson_holds_no_solution_and_no_hidden_test(lesson):
    text = nbformat.writes(lesson)
    assert "b @ a" not in text
    assert "kept + 8 / 3" not in text
    assert not re.search("BEGIN (SOLUTION|HIDDEN)", text)


def test_a_solution_edition_holds_the_solution_without_markers(catalogue):
    text = nbformat.writes(compile_solution(catalogue["sample"], catalogue.manager))
    assert "return weight + alpha / a.shape[0] * (b @ a)" in text
    assert "###" not in text.replace("### Exercise", "")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('# %% exercise="merg"\n', "unknown exercise 'merg'; did you mean 'merge'"),
        ('# %% exercise="merge"\n# %% exercise="merge"\n', "must place 'merge' once, but does so 2 times"),
        ('# %% exercise="merge"\n', "must place the exercise 'twice'; add a cell"),
    ],
)
def test_a_lesson_that_misplaces_an_exercise_is_an_error(sample, text, sentence):
    write_lesson(sample, text)
    catalogue = load_catalogue()
    with pytest.raises(LessonError, match=re.escape(sentence)):
        compile_lesson(catalogue["sample"], catalogue.manager)


FURTHER = """
# %% [markdown]
# ## Merging

# %% tags=["experiment"]
print(1)

# %% [markdown]
# ## Further
#
# ```python
# ## not a heading
# ```

# %% exercise="twice"

# %% [markdown]
# ### A smaller heading

# %% tags=["experiment"]
print(2)

# %% [markdown]
# ## Further reading

# %% exercise="merge"
"""


def test_what_stands_below_further_is_optional_down_to_the_next_section(sample):
    write_lesson(sample, FURTHER)
    catalogue = load_catalogue()
    cells = compile_lesson(catalogue["sample"], catalogue.manager).cells
    optional = [(role(cell), cell.metadata.studium.get("exercise", "")) for cell in cells if is_optional(cell)]
    parts = ["prompt", "exercise", "check"]
    assert optional == [("prose", ""), *((part, "twice") for part in parts), ("prose", ""), ("experiment", "")]
    prompts = [cell.source.splitlines()[2] for cell in cells if role(cell) == "prompt"]
    assert prompts == [
        "*optional · core · write · the lesson uses it · 1 point · about 1 minute*",
        "*core · write · the lesson uses it · 3 points · about 5 minutes*",
    ]


def test_a_page_counts_what_is_optional_apart(sample):
    write_lesson(sample, FURTHER)
    catalogue = load_catalogue()
    notebook = compile_lesson(catalogue["sample"], catalogue.manager)
    annotate(notebook, catalogue["sample"])
    lesson = Lesson(catalogue["sample"], read_page(notebook, "Sample"), "")
    assert (lesson.exercises, lesson.optional) == (1, 1)
    efforts = [block.effort.split(" · ")[0] for block in lesson.page.blocks if block.kind == "exercise"]
    assert efforts == ["optional", "core"]


def test_a_topic_without_a_lesson_says_so(sample):
    (sample.folder / "sample_topic" / "lesson.py").unlink()
    catalogue = load_catalogue()
    with pytest.raises(TopicError, match=r"needs a lesson\.py"):
        compile_lesson(catalogue["sample"], catalogue.manager)


def test_a_plugin_can_edit_every_notebook(sample):
    text = """
        from studium import hookimpl

        @hookimpl
        def studium_edit_notebook(topic, notebook, edition):
            notebook.cells[0].source += f" ({topic.slug}, {edition})"
    """
    sample.install("honour", {"honour": "honour_code"}, {"honour_code.py": text})
    catalogue = load_catalogue()
    assert compile_lesson(catalogue["sample"], catalogue.manager).cells[0].source.endswith("(sample, lesson)")


@given(st.lists(st.text(), min_size=1))
def test_a_cell_id_is_always_one_that_notebooks_allow_or_empty(parts):
    assert re.fullmatch(r"[a-zA-Z0-9_-]{0,64}", cell_id(*parts))


def test_long_cell_ids_that_differ_at_the_end_stay_different():
    assert cell_id("a" * 80, "b") != cell_id("a" * 80, "c")
