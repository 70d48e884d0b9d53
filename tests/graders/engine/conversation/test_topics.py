"""Every exercise of the topics through the wire: solutions pass, and each misconception fails a test."""

import importlib

import pytest
from studium.checking import check
from studium.exercises import exercises_of
from studium.sources import definition, solved

TOPICS = ("encoder_only", "ddpm", "lora")


def cases():
    for topic in TOPICS:
        module = importlib.import_module(f"studium_topics.{topic}.exercises")
        for exercise in exercises_of(module).values():
            yield topic, module, exercise


@pytest.fixture(scope="module", params=[f"{t}:{e.id}" for t, _, e in cases()])
def case(request):
    return next(case for case in cases() if f"{case[0]}:{case[2].id}" == request.param)


def run(make_student, module, exercise, **policy):
    names = exercises_of(module).values()
    setup = "import torch, math, itertools, random, string\nimport numpy as np\nfrom torch import nn, Tensor\n"
    setup += "import torch.nn.functional as F\nfrom collections.abc import *\n"
    setup += "from itertools import *\nfrom collections import *\n"
    if "Adapter" in vars(module):
        setup += "from studium_topics.lora.adapter import Adapter\n"
    for other in names:
        setup += solved(other) + "\n\n"
    return make_student(setup, **policy).get(exercise.id)


def test_the_solution_passes_every_test(case, make_student):
    topic, module, exercise = case
    result = check(topic, exercise, run(make_student, module, exercise))
    assert result.outcome == "right", [(t.name, t.message) for t in result.tests if not t.passed]
    learnt = make_student.last().permissions
    known = {"recording": False, "known": True, "granted": learnt.granted, "plain": learnt.plain}
    result = check(topic, exercise, run(make_student, module, exercise, **known))
    assert result.outcome == "right", [(t.name, t.message) for t in result.tests if not t.passed]


def test_each_misconception_fails_a_test_and_each_alternative_passes(case, make_student):
    topic, module, exercise = case
    run(make_student, module, exercise)
    student = make_student.last()
    named = []
    for misconception in exercise.misconceptions:
        student.run(definition(misconception.function).replace("def _(", "def answer(", 1))
        result = check(topic, exercise, student.get("answer"))
        assert result.outcome == "wrong", misconception.message
        assert student.gone is None
        named.append(exercise.sentence_of(result.mistake_id) == misconception.message)
    assert all(named)
    for alternative in exercise.alternatives:
        student.run(definition(alternative).replace("def _(", "def answer(", 1))
        result = check(topic, exercise, student.get("answer"))
        assert result.outcome == "right", [(t.name, t.message) for t in result.tests if not t.passed]
