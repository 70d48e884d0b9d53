"""Topics are described without importing them again; a change is noticed, a broken topic closes no other."""

from __future__ import annotations

import subprocess
import sys

import pytest
from studium.catalogue.catalogue import Catalogue, load_catalogue
from studium.desk import describing
from studium.desk.describing import description_of, descriptions
from studium.desk.stamps import place
from studium.errors import StudiumError

from ..lab import little_topics

HONOUR = """
from studium import hookimpl


@hookimpl
def studium_edit_notebook(notebook):
    notebook.cells[0].source += " I wrote it myself."
"""


@pytest.fixture
def reads(monkeypatch):
    """The slugs that were read from their topics, not from the disk."""
    found: list[str] = []
    original = describing._read_topics
    monkeypatch.setattr(describing, "_read_topics", lambda c, slugs: found.extend(slugs) or original(c, slugs))
    return found


def test_a_topic_is_read_once_and_again_when_its_files_change(sample, reads):
    first = description_of(load_catalogue(), "sample")
    assert description_of(load_catalogue(), "sample") == first
    assert reads == ["sample"]
    file = sample.folder / "sample_topic" / "lesson.py"
    file.write_text(file.read_text().replace("A question first.", "Something else."))
    assert "Something else." in description_of(load_catalogue(), "sample").notebook
    assert reads == ["sample", "sample"]


def a_few() -> Catalogue:
    """The catalogue as it is now, with three topics at most."""
    catalogue = load_catalogue()
    few = tuple(entry for entry in catalogue.entries if entry.topic.slug in ("sample", "other", "lora"))
    return Catalogue(few, (), catalogue.manager)


def test_another_topic_leaves_what_was_read_and_a_plugin_that_changes_notebooks_has_all_read_again(sample, reads):
    descriptions(a_few())
    reads.clear()
    sample.topic(slug="other", package="other_topic")
    descriptions(a_few())
    assert reads == ["other"]
    reads.clear()
    sample.install("honour-code", {"honour-code": "honour_code"}, {"honour_code.py": HONOUR})
    assert "I wrote it myself." in descriptions(a_few())["sample"].notebook
    assert set(reads) == {"sample", "other", "lora"}


def test_a_description_has_what_the_desk_shows(sample):
    found = description_of(load_catalogue(), "sample")
    merge = found.exercise("merge")
    assert (merge.tests, len(merge.hints), merge.max_points) == (
        ["keeps the shape of weight", "scales with alpha / r"],
        2,
        3,
    )
    assert "NotImplementedError" in merge.stub
    assert "alpha / a.shape[0]" in merge.solution
    assert merge.wrong[0].code.startswith("def merge(weight, a, b, alpha):")
    assert [section.title for section in found.sections] == ["Sample", "Merging"]
    assert [one.optional for one in found.experiments] == [False]


def test_exercises_are_in_the_order_of_the_lesson_and_know_what_is_optional(sample):
    lesson = sample.folder / "sample_topic" / "lesson.py"
    cells = ('exercise="twice"', "[markdown]\n# ## Further", 'exercise="merge"', 'tags=["experiment"]\n1')
    lesson.write_text("".join(f"# %% {cell}\n" for cell in cells))
    found = description_of(load_catalogue(), "sample")
    assert [(item.id, item.optional) for item in found.exercises] == [("twice", False), ("merge", True)]
    assert [one.optional for one in found.experiments] == [True]


def test_a_broken_topic_has_its_problem_and_closes_no_other(site, reads):
    site.topic()
    site.topic("broken", "broken_topic", order=2)
    (site.folder / "broken_topic" / "exercises.py").write_text("import nothing_that_is_there\n")
    for _ in range(2):
        found = descriptions(load_catalogue())
        assert "nothing_that_is_there" in found["broken"].problem
        assert found["sample"].problem == ""
    assert reads.count("broken") == 1
    with pytest.raises(StudiumError, match="nothing_that_is_there"):
        description_of(load_catalogue(), "broken")


def test_the_same_topic_in_another_environment_leaves_what_was_read_here(sample, monkeypatch, reads):
    description_of(load_catalogue(), "sample")
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(describing, "place", lambda package: "elsewhere")
        description_of(load_catalogue(), "sample")
    description_of(load_catalogue(), "sample")
    assert reads == ["sample", "sample"]


def test_a_file_that_was_damaged_is_read_anew(sample, data_folder, reads):
    first = description_of(load_catalogue(), "sample")
    (path,) = (data_folder / "topics").glob(f"sample.{place('sample_topic')}.*.json")
    path.write_text("{")
    assert description_of(load_catalogue(), "sample") == first
    assert reads == ["sample", "sample"]


def test_a_process_that_has_no_torch_lets_another_read(site):
    little_topics.install(site.folder)
    code = (
        "import sys\nfrom studium.catalogue.catalogue import load_catalogue\n"
        "from studium.desk.describing import description_of\n"
        "print(len(description_of(load_catalogue(), 'first-steps').exercises), 'first_steps.exercises' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["2", "False"]
