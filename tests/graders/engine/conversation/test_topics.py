"""Every exercise of the topics through the wire: solutions pass, and each misconception fails a test."""

import importlib
import re

import pytest
from studium.checking import check
from studium.exercises import exercises_of
from studium.sources import definition, imports_used

TOPICS = ("encoder_only", "ddpm", "lora")


def cases():
    for topic in TOPICS:
        module = importlib.import_module(f"studium_topics.{topic}.exercises")
        for exercise in exercises_of(module).values():
            yield topic, module, exercise


@pytest.fixture(scope="module", params=[f"{t}:{e.id}" for t, _, e in cases()])
def case(request):
    return next(case for case in cases() if f"{case[0]}:{case[2].id}" == request.param)


def answer_under(name, function, known):
    """Return the source of an answer as a student writes it: its imports, and the function under ``name``."""
    written = re.sub(r"^def \w+\(", f"def {name}(", definition(function), count=1, flags=re.MULTILINE)
    return "\n".join([*imports_used(function, known, f"an answer to {name}"), "", "", written])


def run(make_student, module, exercise, **policy):
    known = exercises_of(module)
    setup = [answer_under(other.id, other.solution, known) for other in known.values()]
    return make_student("\n\n".join(setup), **policy).get(exercise.id)


def hand_in(student, module, function):
    """Let a student write ``function`` as their answer, and return it."""
    cell = student.run(answer_under("answer", function, exercises_of(module)))
    assert not cell.error, cell.error
    return student.get("answer")


@pytest.mark.sample(4)
def test_the_solution_passes_every_test(case, make_student):
    topic, module, exercise = case
    result = check(topic, exercise, run(make_student, module, exercise))
    assert result.outcome == "right", [(t.name, t.message) for t in result.tests if not t.passed]
    learnt = make_student.last().permissions
    known = {"recording": False, "known": True, "granted": learnt.granted, "plain": learnt.plain}
    result = check(topic, exercise, run(make_student, module, exercise, **known))
    assert result.outcome == "right", [(t.name, t.message) for t in result.tests if not t.passed]


@pytest.mark.sample(4)
def test_each_misconception_fails_a_test_and_each_alternative_passes(case, make_student):
    topic, module, exercise = case
    run(make_student, module, exercise)
    student = make_student.last()
    named = []
    for misconception in exercise.misconceptions:
        result = check(topic, exercise, hand_in(student, module, misconception.function), seconds=0)
        assert result.outcome == "wrong", misconception.message
        assert student.gone is None
        named.append(exercise.sentence_of(result.mistake_id) == misconception.message)
    assert all(named)
    for alternative in exercise.alternatives:
        result = check(topic, exercise, hand_in(student, module, alternative))
        assert result.outcome == "right", [(t.name, t.message) for t in result.tests if not t.passed]
