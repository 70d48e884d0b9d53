"""A text of an answer's that a test fills in shows what the test offers, and not the test."""

from __future__ import annotations

import pytest
from studium_graders.engine.judge.filling_in import method_of

from .notebooks import answer, checked, given, material
from .processes import grade_split

CLASS = """class Person:
    name = 'Ada'
    def greet(self):
        pass
"""
RENDER = """def render(text):
    return text.format(p=Person())
"""
TEST = "assert f().format(p=Person(), items={'_a.b': 1}, n=3.25) == 'Ada'"
READING = (
    "{p.greet.__globals__}",
    "{p.__class__.greet.__code__.co_consts}",
    "{p.name:{p.__init__.__globals__[Person]}}",
    "{items[_a.b].__class__.__mro__}",
    "{p.gi_frame}",
)


def graded(shell, text, test=TEST):
    notebook = material(given(CLASS + RENDER), answer("def f():\n    return '{p.name}'\n"), checked(test))
    return grade_split(shell, notebook, f"def f():\n    return {text!r}\n").only


@pytest.mark.parametrize("text", READING)
def test_it_does_not_read_the_names_of_the_test(shell, text):
    result = graded(shell, text)
    assert result.points == 0
    assert "cannot read" in result.message


@pytest.mark.parametrize("text", ["{p.name}", "{p.name!s:.3}", "{p.name:{items[_a.b]}}", "{{p.__init__}}", "{0}", "{"])
def test_it_reads_what_it_is_offered(text):
    held = {"p": type("Person", (), {"name": "Ada"})(), "items": {"_a.b": 1}}
    assert outcome(lambda: method_of(text, "format")(**held)) == outcome(lambda: text.format(**held))


def outcome(call):
    try:
        return call()
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize(
    "test",
    [
        "g = f().format\nassert g(p=Person()) == 'Ada'",
        "assert f().format_map({'p': Person()}) == 'Ada'",
        "assert render(f()) == 'Ada'",
        "assert str.format(f(), p=Person()) == 'Ada'",
        "assert list(map(str.format_map, [f()], [{'p': Person()}])) == ['Ada']",
        "from string import Formatter\nassert Formatter().format(f(), p=Person()) == 'Ada'",
        "import string\nassert string.Formatter().vformat(f(), (), {'p': Person()}) == 'Ada'",
    ],
)
def test_so_it_is_wherever_it_is_filled_in(shell, test):
    assert graded(shell, "{p.name}", test).points == 1
    assert "cannot read" in graded(shell, "{p.greet.__globals__}", test).message
