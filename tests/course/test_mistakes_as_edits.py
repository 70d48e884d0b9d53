"""A misconception that is written as an edit of the solution."""

import importlib
import inspect
import linecache
import re
import sys
import textwrap

import pytest
from studium.desk.description import _wrong_answer
from studium.errors import ExerciseError
from studium.exercises.definitions import definition

MODULE = '''
from __future__ import annotations

import functools
from studium import exercise

OFFSET = 100


@exercise(points=1, minutes=1)
@functools.lru_cache
def count(x: Sequence, step=1):
    """Return how many
    steps there are."""
    start = 0  # given
    ### BEGIN SOLUTION
    # the first step
    if x <= 0:
        return start
    return step + count(
        x - 1,
        step=step,
    )
    ### END SOLUTION


@count.test("works", points=1)
def _(count):
    assert count(3) == 3


@count.misconception("You returned x.", name="first")
def _(x, step=1):
    return x


count.mistake("too-many", "You started above 0.", replace="return start", by="return start + OFFSET")
'''
ARGUMENTS = {
    "none": ({}, "got neither"),
    "half": ({"replace": "x"}, "got half of the first"),
    "the other half": ({"by": "x"}, "got half of the first"),
    "both": ({"replace": "x", "by": "y", "edits": [("x", "y")]}, "got both"),
    "no place": (
        {"replace": "y + 1", "by": "y"},
        r"between the markers: 'y \+ 1' does not occur; copy it from the sol",
    ),
    "outside": ({"replace": "start = 0", "by": ""}, "between the markers: 'start = 0' does not occur"),
    "comment": ({"replace": "# the first step", "by": ""}, "does not occur"),
    "half brackets": ({"replace": "count(", "by": "sum("}, "with all its brackets"),
    "two places": ({"replace": "step", "by": "1"}, "'step' occurs in 3 places; include more of the code around it"),
    "one of two": ({"edits": [("return start", ""), ("x", "")]}, "'x' occurs in 2 places"),
    "overlap": (
        {"edits": [("x - 1", "x"), ("step + count(x - 1, step=step)", "0")]},
        r"must not overlap: 'step \+ count.*' and 'x - 1' do; combine them",
    ),
}


@pytest.fixture
def load(tmp_path, monkeypatch):
    """load(more) → the exercise of a module with more text at its end."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # the text changes within a second

    def made(more=""):
        (tmp_path / "counting_module.py").write_text(MODULE + more)
        importlib.invalidate_caches()
        sys.modules.pop("counting_module", None)
        return importlib.import_module("counting_module").count

    yield made
    sys.modules.pop("counting_module", None)


def test_an_edit_is_a_misconception_between_the_others_and_says_what_it_edits(load):
    count = load('\n\n@count.misconception("You returned 0.", name="last")\ndef _(x):\n    return 0\n')
    assert [item.name for item in count.misconceptions] == ["first", "too-many", "last"]
    assert [item.edits for item in count.misconceptions] == [(), (("return start", "return start + OFFSET"),), ()]
    assert count.sentence_of("a.count:too-many") == "You started above 0."


def test_the_edited_solution_has_the_signature_the_decorators_and_the_names_of_the_solution(load):
    count = load()
    edited = count.misconceptions[1].function
    assert inspect.signature(edited) == inspect.signature(count.solution)
    assert (edited.__module__, edited.__name__, edited.__doc__) == ("counting_module", "count", None)
    assert edited.cache_info().hits == 0
    assert edited.__wrapped__.__globals__ is count.solution.__wrapped__.__globals__
    assert "_as_it_is" not in vars(sys.modules["counting_module"])


def test_an_edited_solution_that_calls_itself_gets_the_right_one(load):
    edited = load().misconceptions[1].function
    assert (edited(0), edited(3)) == (100, 3)


def test_the_source_of_an_edited_solution_is_shown_without_docstring_comments_and_markers(load):
    edited = load().misconceptions[1].function
    shown = """\
        @functools.lru_cache
        def count(x: Sequence, step=1):
            start = 0
            if x <= 0:
                return start + OFFSET
            return step + count(
                x - 1,
                step=step,
            )
        """
    assert definition(edited) == textwrap.dedent(shown)
    assert inspect.getsource(edited).startswith("@count.mistake('too-many')\n@functools.lru_cache\ndef count(")
    assert _wrong_answer("a", "count", load().misconceptions[1]).code == textwrap.dedent(shown)


def test_a_traceback_shows_the_line_of_an_edited_solution(load):
    count = load('\ncount.mistake("divided", "You divided.", replace="x - 1", by="x / 0")\n')
    with pytest.raises(ZeroDivisionError) as caught:
        count.misconceptions[2].function(3)
    frame = caught.traceback[-1]
    assert linecache.getline(str(frame.frame.code.raw.co_filename), frame.lineno + 1).strip() == "x / 0,"


def test_an_edit_is_compiled_on_first_use_and_once(load):
    count = load('\ncount.mistake("broken", "You broke it.", replace="return start", by="return (")\n')
    said = "the mistake 'broken' of count must still be Python after the edit: .* in `return \\(`; correct the edit"
    with pytest.raises(ExerciseError, match=said):
        count.misconceptions[2].function  # noqa: B018
    assert count.misconceptions[1].function is count.misconceptions[1].function


def test_several_edits_and_blocks_are_made_together(load):
    block = '"""\n        if x < 1:\n            return -1\n    """'
    count = load(
        f'\ncount.mistake("two", "Two.", edits=[("if x <= 0:\\n    return start", {block}), ("x - 1", "x - 2")])'
    )
    edited = count.misconceptions[2].function
    assert "    if x < 1:\n        return -1\n    return step + count(\n        x - 2,\n" in definition(edited)


def test_a_solution_that_is_defined_in_a_function_keeps_what_is_around_it(load):
    count = load(
        textwrap.dedent('''
        def around(size):
            @exercise(points=1, minutes=1)
            def f(x):
                """Add."""
                ### BEGIN SOLUTION
                return x + size
                ### END SOLUTION

            f.mistake("subtracted", "You subtracted.", replace="x + size", by="x - size")
            return f
        ''')
    )
    assert count.solution.__wrapped__.__globals__["around"](2).misconceptions[0].function(5) == 3


def test_an_edit_that_does_not_fit_is_an_error_where_the_exercise_is_loaded(load):
    for arguments, said in ARGUMENTS.values():
        words = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        with pytest.raises(ExerciseError, match=re.escape("'bad'") + ".* of count .*" + said):
            load(f'\ncount.mistake("bad", "You …", {words})\n')


def test_two_mistakes_of_one_name_are_an_error(load):
    with pytest.raises(ExerciseError, match="needs its own name: 'first' appears twice"):
        load('\ncount.mistake("first", "You …", replace="x - 1", by="x")\n')


def test_a_mistake_of_a_solution_without_markers_is_an_error(load):
    bare = '\n@exercise(points=1, minutes=1)\ndef f(x):\n    return x\n\nf.mistake("m", "You …", replace="x", by="0")\n'
    with pytest.raises(ExerciseError, match="between ### BEGIN SOLUTION and ### END SOLUTION: these are missing"):
        load(bare)
