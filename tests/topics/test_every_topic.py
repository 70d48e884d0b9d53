"""What must hold for every topic of ours (DESIGN, section 4), exercise by exercise."""

from __future__ import annotations

import inspect
import itertools
import re

import nbformat
import pytest
from studium import sources
from studium.catalogue import load_catalogue
from studium.checking import check
from studium.claims import experiments
from studium.editions import compile_lesson, compile_solution
from studium.setup_cell import setup_source

CATALOGUE = load_catalogue()
TOPICS = [entry.topic for entry in CATALOGUE.entries if entry.distribution == "studium"]
EXERCISES = [(topic, exercise) for topic in TOPICS for exercise in topic.exercises.values()]

each_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.slug)
each_exercise = pytest.mark.parametrize(
    ("topic", "exercise"), EXERCISES, ids=[f"{topic.slug}.{exercise.id}" for topic, exercise in EXERCISES]
)


def namespace(topic, exercise, source):
    """The names of a notebook in which every exercise is solved, and this one is answered by ``source``."""
    names: dict[str, object] = {}
    exec(setup_source(topic, list(topic.exercises)), names)
    for other in topic.exercises.values():
        exec(sources.solved(other), names)
    exec(source, names)
    return names


def failures(result):
    return [(test.name, test.message) for test in result.tests if not test.passed]


@each_exercise
def test_the_solution_and_each_other_correct_answer_are_right_on_twenty_draws(topic, exercise):
    assert exercise.alternatives
    for function in (exercise.solution, *exercise.alternatives):
        for draw in range(20):
            result = check(topic.slug, exercise, function, draw=draw)
            assert result.outcome == "right", (draw, failures(result))


@each_exercise
def test_the_stub_is_not_attempted(topic, exercise):
    function = namespace(topic, exercise, sources.stub(exercise))[exercise.id]
    assert check(topic.slug, exercise, function).outcome == "not attempted"


@each_exercise
def test_each_misconception_loses_a_hidden_test_and_hears_its_own_name(topic, exercise):
    hidden = {test.name for test in exercise.tests if test.hidden}
    assert len(exercise.misconceptions) >= 3
    assert len({misconception.message for misconception in exercise.misconceptions}) == len(exercise.misconceptions)
    for misconception in exercise.misconceptions:
        result = check(topic.slug, exercise, misconception.function)
        assert hidden & {name for name, _ in failures(result)}, misconception.message
        assert result.mistake == misconception.message


@each_exercise
def test_each_test_runs_alone_as_a_cell_and_says_nothing(topic, exercise, capsys, recwarn):
    names = namespace(topic, exercise, sources.solved(exercise))
    for test in exercise.tests:
        exec(compile(sources.test_cell(topic.slug, exercise, test), test.name, "exec"), dict(names))
    assert (*capsys.readouterr(), len(recwarn)) == ("", "", 0)


@each_exercise
def test_there_are_hints_and_tests_to_see_and_hidden_ones(topic, exercise):
    assert len(exercise.hints) >= 2
    assert {test.hidden for test in exercise.tests} == {True, False}


@each_topic
def test_a_topic_has_a_paper_claims_and_five_exercises(topic):
    assert topic.papers
    assert topic.claims
    assert len(topic.exercises) >= 5


@each_topic
def test_experiments_take_their_blocks_from_the_reference(topic):
    reference = topic.module("reference")
    for experiment, _ in experiments(topic):
        parameters = inspect.signature(experiment).parameters.values()
        wanted = {p.name for p in parameters if p.default is p.empty} - {"profile", "seed"}
        assert {"profile", "seed"} <= {p.name for p in parameters}
        assert [name for name in wanted if not hasattr(reference, name)] == []


@each_topic
def test_claims_name_papers_of_the_topic(topic):
    assert {claim.paper for claim in topic.claims} <= {paper.arxiv for paper in topic.papers}


@each_topic
def test_the_lesson_has_one_title_headings_in_order_and_unique_ids(topic):
    notebook = compile_lesson(topic, CATALOGUE.manager)
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    levels = [len(mark) for text in prose for mark in re.findall(r"^(#{1,6}) ", text, re.MULTILINE)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)


def secrets_of(exercise):
    """What no learner may get: lines of the solution, what hidden tests assert, the named mistakes."""
    solution = [line for line in sources.solved(exercise).splitlines() if line not in sources.stub(exercise)]
    hidden = [sources.definition(test.function) for test in exercise.tests if test.hidden]
    asserted = [line for text in hidden for line in text.splitlines() if line.strip().startswith("assert")]
    lines = {line.strip() for line in solution + asserted if len(line.strip()) > 25}
    return lines | {misconception.message for misconception in exercise.misconceptions}


@each_topic
def test_the_lesson_gives_away_no_solution_hidden_test_or_misconception(topic):
    code = "\n".join(cell.source for cell in compile_lesson(topic, CATALOGUE.manager).cells if cell.cell_type == "code")
    leaks = [line for exercise in topic.exercises.values() for line in secrets_of(exercise) if line in code]
    assert leaks == []


@each_topic
def test_the_leak_test_sees_a_leak(topic):
    text = nbformat.writes(compile_solution(topic, CATALOGUE.manager))
    first = next(iter(topic.exercises.values()))
    assert any(line.replace('"', '\\"') in text for line in secrets_of(first))
