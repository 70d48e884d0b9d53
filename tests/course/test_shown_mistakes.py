"""A find-the-bug exercise starts with the code of one of its mistakes."""

import importlib
import sys
import textwrap

import pytest
from studium.errors import ExerciseError
from studium.exercises.checking import check
from studium.exercises.model import exercises_of
from studium.exercises.sources import stub, unwritten

MODULE = '''
import math

from studium import exercise


@exercise(points=3, minutes=1, kind="find the bug", shows="SHOWS")
def length(x: list, start=0):
    """Find the bug: this code should return the length of a vector."""
    ### BEGIN SOLUTION
    total = start  # nothing yet
    for value in x:
        total += value**2
    return total**0.5
    ### END SOLUTION


@length.test("leaves its argument as it is", points=1)
def _(length):
    x = [3, 4]
    length(x)
    assert x == [3, 4]


@length.hidden("is 5 for 3 and 4", points=2)
def _(length):
    assert length([3, 4]) == 5


@length.misconception("You added the sizes.", name="sizes")
def _(x, start=0):
    """Wrong."""
    # this is the bug
    return start + math.fsum(map(abs, x))  # no root


length.mistake("no-root", "You left out the root.", replace="total**0.5", by="total")


@length.misconception("You gave it another argument.", name="other-argument")
def _(values, start=0):
    return len(values)


@length.misconception("You gave one line.", name="one-line")
def _(x, start=0): return start
'''
HEAD = """\
def length(x: list, start=0):
    \"\"\"Find the bug: this code should return the length of a vector.\"\"\"
"""
SHOWN = {
    "sizes": "return start + math.fsum(map(abs, x))",
    "no-root": "total = start\nfor value in x:\n    total += value**2\nreturn total",
    "one-line": "return start",
}


@pytest.fixture
def load(tmp_path, monkeypatch):
    """load(shows) → the module with an exercise that shows that mistake."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # the text changes within a second

    def made(shows, old="", new=""):
        (tmp_path / "length_module.py").write_text(MODULE.replace("SHOWS", shows).replace(old, new))
        importlib.invalidate_caches()
        sys.modules.pop("length_module", None)
        return importlib.import_module("length_module")

    yield made
    sys.modules.pop("length_module", None)


def started(exercise, old="", new=""):
    """The function of the cell that the learner starts from, with a change."""
    names = {"math": importlib.import_module("math")}
    exec(stub(exercise).replace(old, new) if old else stub(exercise), names)
    return names["length"]


@pytest.mark.parametrize("shows", SHOWN)
def test_the_learner_starts_with_the_code_of_the_mistake_under_the_exercises_head(shows, load):
    length = load(shows).length
    assert stub(length) == HEAD + textwrap.indent(SHOWN[shows], "    ") + "\n"
    assert "raise NotImplementedError()" in unwritten(length)


def test_the_shown_code_is_not_attempted_whatever_tests_it_passes(load):
    length = load("sizes").length
    result = check("t", length, started(length))
    assert (result.outcome, result.points) == ("not attempted", 0.0)
    commented = started(length, "    return", "\n    # where is it?\n    return")
    assert check("t", length, commented).outcome == "not attempted"
    assert check("t", length, started(length, HEAD, HEAD.replace("Find", "Seek"))).outcome == "wrong"
    changed = check("t", length, started(length, "start + math", "2 * math"))
    assert (changed.outcome, changed.points) == ("wrong", 1.0)


def test_the_stub_of_before_is_still_not_attempted(load):
    length = load("sizes").length
    names = {}
    exec(unwritten(length), names)
    assert check("t", length, names["length"]).outcome == "not attempted"


def test_the_shown_mistake_is_recognised_where_it_is_written_otherwise(load):
    length = load("sizes").length
    assert check("t", length, lambda x, start=0: start + sum(x)).mistake_id == "t.length:sizes"


def test_what_cannot_be_shown_is_an_error_when_the_exercise_is_loaded(load):
    for shows, old, new, why in [
        (
            "sises",
            "",
            "",
            "length can only show one of its mistakes, 'sizes', 'no-root', .*: got 'sises'; name one of them",
        ),
        ("sizes", "find the bug", "write", "length shows 'sizes', so its kind must be \"find the bug\": got 'write'"),
    ]:
        with pytest.raises(ExerciseError, match=why):
            exercises_of(load(shows, old, new))


def test_a_mistake_with_other_arguments_cannot_be_shown(load):
    with pytest.raises(
        ExerciseError, match=r"length shows must take its arguments, .*: got \(values, start=0\); rename"
    ):
        stub(load("other-argument").length)
