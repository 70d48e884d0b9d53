"""What must hold for every topic of ours: the checks of `studium topic check`, and what we ask of ourselves besides."""

from __future__ import annotations

import inspect
import re

import pytest
from studium.authoring import answers, secrecy
from studium.authoring.metadata import PLACE
from studium.authoring.runner import checks_of
from studium.authoring.subject import Subject
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import check
from studium.experiments.building_blocks import experiments
from studium.topics.profiles import Profile

CATALOGUE = load_catalogue()
SUBJECTS = [
    Subject(entry.topic, CATALOGUE, Profile("smoke")) for entry in CATALOGUE.entries if entry.distribution == "studium"
]
HERE_ALREADY = ("own tests", "tests run apart")  # collected with these tests; tested with the graders
QUICK = "span-corruption"  # the topic on which every run tries the slow checks
# Each runs the tests many times, but "test cells", which runs them once more, as "solutions" does.
SLOW = (
    *("misconceptions", "repeatability", "robustness", "test cells"),
    *("tolerances", "vacuous answers", "promises"),
)


def checks_of_all(*, apart: bool, slow: bool = False) -> pytest.MarkDecorator:
    cases = [
        (s, check)
        for s in SUBJECTS
        for check in checks_of(s)
        if check.apart == apart and (check.name in SLOW) == slow and check.name not in HERE_ALREADY
    ]
    return pytest.mark.parametrize(
        ("subject", "named"),
        [pytest.param(s, check, id=f"{s.topic.slug}-{check.name}", marks=_marks(s, slow=slow)) for s, check in cases],
    )


def _marks(subject: Subject, *, slow: bool) -> list[pytest.MarkDecorator]:
    return [pytest.mark.heavy] if slow and subject.topic.slug != QUICK else []


each_subject = pytest.mark.parametrize("subject", SUBJECTS, ids=[s.topic.slug for s in SUBJECTS])
LESSONS = [s.topic for s in SUBJECTS if not s.topic.opener]
each_lesson = pytest.mark.parametrize("topic", LESSONS, ids=[topic.slug for topic in LESSONS])
each_exercise = pytest.mark.parametrize(
    ("topic", "exercise"),
    [(subject.topic, exercise) for subject in SUBJECTS for exercise in subject.exercises],
    ids=[f"{subject.topic.slug}.{exercise.id}" for subject in SUBJECTS for exercise in subject.exercises],
)


def faults(subject, named):
    """Return the problems and the advice that a check has."""
    finding = named.run(subject)
    return [*finding.problems, *finding.advice]


@checks_of_all(apart=False)
def test_the_topic_passes_the_check(subject, named, monkeypatch):
    monkeypatch.setattr(answers, "DRAWS", 1)
    assert faults(subject, named) == []


@checks_of_all(apart=False, slow=True)
def test_the_topic_passes_the_check_that_runs_its_tests_many_times(subject, named):
    assert faults(subject, named) == []


@pytest.mark.heavy
@each_subject
def test_the_right_answers_are_right_on_every_draw(subject):
    assert list(answers.right_answers(subject).problems) == []


@pytest.mark.sample(6)
@each_subject
def test_what_learners_read_of_the_topic_gives_nothing_away(subject):
    assert list(secrecy.told(subject, secrecy.answers_of(subject.topic))) == []


@pytest.mark.heavy
@checks_of_all(apart=True)
def test_the_topic_passes_the_check_in_processes_of_its_own(subject, named):
    assert faults(subject, named) == []


@each_subject
def test_an_exercise_has_two_hints_and_names_three_mistakes(subject):
    for exercise in subject.exercises:
        assert len(exercise.hints) >= 2, exercise.id
        assert len(exercise.misconceptions) >= 3, exercise.id


@each_subject
def test_the_cell_of_an_exercise_with_a_bug_starts_with_the_code(subject):
    assert [item.id for item in subject.exercises if (item.kind == "find the bug") != bool(item.shows)] == []
    assert [item.id for item in subject.exercises if item.shows and "```" in item.statement] == []


@pytest.mark.sample(6)
@each_exercise
def test_a_named_mistake_loses_a_hidden_test(topic, exercise):
    hidden = {test.name for test in exercise.tests if test.hidden}
    for misconception in exercise.misconceptions:
        result = check(topic.slug, exercise, misconception.function, seconds=0)
        assert hidden & {test.name for test in result.tests if not test.passed}, misconception.message


@each_lesson
def test_a_topic_has_a_paper_claims_and_five_exercises(topic):
    assert topic.papers
    assert topic.claims
    assert len(topic.exercises) >= 5


@each_lesson
def test_experiments_take_their_blocks_from_the_reference(topic):
    reference = topic.module("reference")
    for experiment, _ in experiments(topic):
        parameters = inspect.signature(experiment).parameters.values()
        wanted = {p.name for p in parameters if p.default is p.empty} - {"profile", "seed"}
        assert {"profile", "seed"} <= {p.name for p in parameters}
        assert [name for name in wanted if not hasattr(reference, name)] == []


PRINTED = {"cfg": "for w, fid, score, other, another in PAPER"}
"""Lessons that print a paper's whole table from a constant, and the line that does."""


@each_lesson
def test_a_papers_numbers_name_their_place_and_stand_in_the_lesson(topic):
    text = topic.lesson.read_text("utf-8")
    for claim in topic.claims:
        if published := claim.published:
            assert PLACE.search(published.source), published.source
            missing = {abs(number) for number in published.values.values() if number} - _numbers(text)
            assert not missing or PRINTED.get(topic.slug, "no line") in text, (published.source, missing)


def _numbers(text: str) -> set[float]:
    return {float(number) for number in re.findall(r"\d+(?:\.\d+)?", text)}


def test_a_number_stands_in_a_text_only_as_a_whole():
    assert _numbers("| 170.4 | 73.0 | 12M, of -1.731.") == {170.4, 73.0, 12.0, 1.731}
