"""The end of a lesson: what one can do now, predictions, mistakes overcome, and the lesson that comes next."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import nbformat
import pytest
from nbformat.v4 import new_markdown_cell, new_notebook
from studium.catalogue.catalogue import load_catalogue
from studium.desk.describing import descriptions
from studium.desk.ending import abilities, section_below
from studium.desk.records import Checked
from studium.desk.syllabus import read_syllabus
from studium.exercises.checking import ExerciseResult

from .answering import MISTAKE, MISTAKE_ID

LIST = """## You can now

* merge an adapter, and
  take it away again;
* count its parameters.

## Open tasks

* Ten minutes.
"""


@pytest.fixture
def lesson(open_lesson):
    return open_lesson()


@pytest.fixture
def ending(lesson, workspace):
    """ending() → the end of the sample lesson as it is now, in a course of the sample alone."""
    catalogue = load_catalogue()
    entries = tuple(entry for entry in catalogue.entries if entry.topic.slug == "sample")
    alone = replace(catalogue, entries=entries)

    def ending():
        syllabus = read_syllabus(alone, descriptions(alone), lesson.journal, workspace, "")
        return lesson.ending(syllabus)

    return ending


def test_the_abilities_are_the_items_of_the_lessons_section_unless_it_stands_right_above(lesson):
    notebook = new_notebook(cells=[new_markdown_cell("# A\n\n* no"), new_markdown_cell(LIST)])
    described = msgspec.structs.replace(lesson.description, notebook=nbformat.writes(notebook))
    assert abilities(described) == ["merge an adapter, and take it away again;", "count its parameters."]
    assert abilities(lesson.description) == []
    last = new_notebook(cells=[new_markdown_cell("# A"), new_markdown_cell(LIST.partition("## Open")[0].rstrip())])
    assert abilities(msgspec.structs.replace(lesson.description, notebook=nbformat.writes(last))) == []
    assert section_below("## Other\n\n* x", "You can now") is None


def test_a_mistake_is_overcome_once_its_exercise_is_right(lesson, ending):
    write = lesson.journal.write
    write("sample", "merge", Checked("wrong", 0, 3, mistake_id=MISTAKE_ID, answer="a"))
    write("sample", "merge", Checked("wrong", 0, 3, mistake_id=MISTAKE_ID, answer="b"))
    assert ending().mistakes == []
    lesson.journal.write_result("sample", ExerciseResult("merge", "right", 3, 3, []), "c")
    assert [(one.exercise, one.sentence) for one in ending().mistakes] == [("merge", MISTAKE)]


def test_predictions_are_told_with_guess_and_value_and_the_last_one_of_a_name_counts(lesson, ending):
    journal = lesson.journal
    journal.predict("sample", "waits", 1)
    for guess, value in ((9, 7), (7, 7)):
        journal.predict("sample", "rank", guess, "Which rank?")
        journal.found("sample", "rank", value)
    (found,) = ending().predictions
    assert (found.question, found.guess, found.value, found.hit) == ("Which rank?", 7, 7, True)


def test_the_next_lesson_is_one_that_is_not_done(lesson, ending):
    assert ending().next is None
    assert ending().title == "Sample"
