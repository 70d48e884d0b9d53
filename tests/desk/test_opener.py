"""The opener: a lesson before all topics, which is written and found, and is in no list and no count."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from studium.catalogue.catalogue import load_catalogue
from studium.desk.describing import descriptions
from studium.desk.syllabus import read_syllabus
from studium.desk.workspace import build_workspace

OPENER = """
from studium import Topic, hookimpl


@hookimpl
def studium_topics():
    yield Topic(slug="first-minutes", title="First minutes", track="Begin here", summary="One.", package=__name__,
                minutes=4, opener=True)
"""
EXERCISES = '''
from studium import exercise


@exercise(points=1, minutes=1)
def twice(x):
    """Return x times two."""
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION


@twice.test("doubles", points=1)
def _(twice):
    assert twice(3) == 6


@exercise(points=1, minutes=1)
def half(x):
    """Return half of x."""
    ### BEGIN SOLUTION
    return x / 2
    ### END SOLUTION


@half.test("halves", points=1)
def _(half):
    assert half(6) == 3
'''
LESSON = """
# %% [markdown]
# # First minutes

# %%
import math

# %% exercise="twice"
from first_minutes.exercises import twice

# %% exercise="half"
from first_minutes.exercises import half

# %% tags=["experiment"]
print(half(6))

# %% tags=["experiment"]
print(*[lesson.mine(function)(3) for function in (twice, half)])
"""


@pytest.fixture
def catalogue(sample):
    """A course of the sample topic and an opener."""
    files = {"__init__.py": OPENER, "exercises.py": EXERCISES, "lesson.py": LESSON}
    parts = {f"first_minutes/{name}": text for name, text in files.items()}
    sample.install("first-minutes", {"first-minutes": "first_minutes"}, parts)
    found = load_catalogue()
    kept = [entry for entry in found.entries if entry.topic.slug in ("sample", "first-minutes")]
    return replace(found, entries=tuple(kept))


@pytest.fixture
def syllabus(catalogue, journal, tmp_path):
    return read_syllabus(catalogue, descriptions(catalogue), journal, tmp_path, "")


def test_the_opener_is_found_by_its_slug_and_is_no_topic(catalogue):
    assert [topic.slug for topic in catalogue.topics] == ["sample"]
    assert catalogue.opener is catalogue["first-minutes"]
    assert [topic.slug for topic in catalogue.lessons] == ["first-minutes", "sample"]
    assert replace(catalogue, entries=catalogue.entries[-1:]).lessons == catalogue.topics


def test_topics_lists_no_opener_but_shows_its_exercises(catalogue, studium):
    listed = json.loads(studium("topics", "--json")[1])["topics"]
    assert {topic["slug"] for topic in listed} & {"sample", "first-minutes"} == {"sample"}
    assert "First minutes" not in studium("topics")[1]
    assert "twice" in studium("topics", "first-minutes")[1]


def test_the_workspace_has_the_opener_and_the_start_page_names_it_first(catalogue, tmp_path):
    made = build_workspace(catalogue, tmp_path / "ws").made
    assert made == ["first-minutes", "sample"]
    start = (tmp_path / "ws" / "START.md").read_text("utf-8")
    assert start.index("first-minutes.ipynb") < start.index("sample.ipynb")


def test_the_syllabus_has_the_opener_apart_and_counts_it_nowhere(syllabus):
    assert syllabus.opener.slug == "first-minutes"
    assert [topic.slug for topic in syllabus.topics] == ["sample"]
    assert syllabus.totals["exercises"] == 2
    assert syllabus.resume.slug == "sample"


def test_an_exercise_knows_the_experiment_that_it_runs_in_and_whether_a_wrong_answer_runs_there_too(syllabus):
    twice, half = syllabus.opener.exercises
    first, second = syllabus.opener.experiments
    assert (half.experiment, half.as_it_is) == (first.cell, True)
    assert (twice.experiment, twice.as_it_is) == (second.cell, False)
    (sample,) = syllabus.topics
    assert [one.experiment for one in sample.exercises] == [sample.experiments[0].cell, ""]


def test_an_openers_code_is_folded_except_for_what_is_written_and_what_runs_it(catalogue):
    cells = descriptions(catalogue)["first-minutes"].lesson().cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    shown = [cell.metadata.studium.role for cell in code if not cell.metadata.get("jupyter", {}).get("source_hidden")]
    assert shown == ["exercise", "exercise", "experiment", "experiment"]
    sample = descriptions(catalogue)["sample"].lesson()
    assert not any("jupyter" in cell.metadata for cell in sample.cells)
