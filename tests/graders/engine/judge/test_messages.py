"""What a student is told: of visible tests everything, of hidden ones nothing that carries their data."""

from __future__ import annotations

import errno

import pytest
from studium_graders.course.limits import Limits
from studium_graders.engine.judge.failing_line import failing_line
from studium_graders.engine.judge.messages import bounded_message, full_message
from studium_graders.engine.judge_side.student_gone import StudentGone
from studium_graders.engine.processes.endings import breach_in
from studium_graders.engine.wire.channel import TooLargeError
from studium_graders.engine.wire.codec import RefusedError

from .notebooks import answer, checked, grade, material, submission

DOUBLE = "def double(x):\n    return 2 * x"
WRONG = "def double(x):\n    return x * x"


def message(student, test, text=WRONG, *, hidden=False):
    notebook = material(answer(DOUBLE), checked(test, hidden=hidden))
    graded = grade(student, notebook, submission(notebook, text))
    assert graded.only.points == 0
    return graded.only.message


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("assert double(3) == 6", "this should hold and does not: double(3) == 6 (expected 6, got 9)"),
        ("assert 6 == double(3)", "this should hold and does not: 6 == double(3) (expected 6, got 9)"),
        ("assert double(1.0000000001) == 1", "double(1.0000000001) == 1 (left 1.0000000002, right 1)"),
        ("assert double(3) < 7", "this should hold and does not: double(3) < 7 (left 9, right 7)"),
        ("assert double(3) == 6, 'twice three'", "twice three"),
        ("x = double(3)\nassert x == 6, x", "this should hold and does not: x == 6 (9)"),
        ("x = double(3)\nassert x == 6, f'not {x}'", "not 9"),
        (
            "try:\n    double(3)\n    assert False\nexcept TypeError:\n    pass",
            "the test came to its line `assert False`",
        ),
        ("assert not double(3)", "this should hold and does not: not double(3)"),
        ("def check():\n    assert double(5) == 10\ncheck()", "double(5) == 10 (expected 10, got 25)"),
        ("[1][double(1)]", "IndexError: list index out of range, in the test's line `[1][double(1)]`"),
    ],
)
def test_a_visible_test_says_what_it_expected(student, test, said):
    assert said in message(student, test)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise ValueError('no file')\n" + DOUBLE, "ValueError: no file"),
        ("def double(x)\n    return 2 * x", "SyntaxError: expected ':'"),
        ("twice = 1 / 0\n" + DOUBLE, "ZeroDivisionError: division by zero"),
    ],
)
def test_a_name_that_is_missing_comes_with_the_error_of_the_cell_that_makes_it(student, text, said):
    found = message(student, "assert double(3) == 6", text)
    assert found.startswith(f"NameError: name 'double' is not defined: the cell that makes it ended with {said}")
    hidden = message(student, "assert double(3) == 6", text, hidden=True)
    assert hidden == "a hidden test failed"


def test_the_error_of_a_cell_does_not_name_the_file_that_it_was_run_from(student):
    found = message(student, "assert double(3) == 6", "def double(x)\n    return 2 * x")
    assert found.endswith("ended with SyntaxError: expected ':' (line 1)")


def test_a_name_that_no_cell_makes_comes_with_the_line_of_the_test(student):
    found = message(student, "assert double(3) == 6", "x = 1")
    assert found == "NameError: name 'double' is not defined, in the test's line `assert double(3) == 6`"


def test_of_several_cells_that_make_a_missing_name_the_first_one_is_the_reason(student):
    notebook = material(answer("items = [1]"), answer("items = sorted(items)"), checked("assert items == [1]"))
    graded = grade(student, notebook, submission(notebook, "items = open('none').read()", "items = sorted(items)"))
    assert "ended with FileNotFoundError: " in graded.only.message


def test_a_visible_message_is_one_short_line(student):
    text = message(student, "import numpy as np\nnp.testing.assert_allclose(double(np.arange(500.0)), 1)")
    assert "\n" not in text
    assert len(text) < 700


ROW = "class P:\n    def __repr__(self): return 'P'\ndef double(x): return f'{x:>6}' if isinstance(x, str) else P()"


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("assert double('a') == '      a'", "(expected '      a', got '     a')"),
        ("assert double('a' * 40) == 'a' * 41", "(at letter 40: expected 'aaaaaaaaaaa', got 'aaaaaaaaaa')"),
        ("x = None\nassert x is not None", "this should hold and does not: x is not None"),
        ("x = 5\nassert x is None", "x is None (left 5, right None)"),
        ("assert double(1) == double(1)", "(P does not define ==, so no two of its objects are equal)"),
    ],
)
def test_a_visible_message_shows_what_differs_and_nothing_that_says_nothing(student, test, said):
    assert message(student, test, ROW).endswith(said)


def test_what_did_not_raise_in_a_visible_test_is_said_with_its_line(student):
    said = message(student, "import pytest\nwith pytest.raises(ValueError): double(1)")
    assert said.startswith("Failed: DID NOT RAISE")


class Words:
    def has_line(self, line):
        return False


def test_names_of_ours_are_not_told():
    error = RefusedError("your f() gives a function where a plain value is needed")
    assert full_message(error, None, Words(), "f") == f"the result could not be used: {error}"
    assert bounded_message(error, None, Words(), "f") == (
        "a hidden test of f failed: a plain value is needed where your code has an object of its own"
    )


@pytest.mark.parametrize("body", ["raise RuntimeError('what I like')", "return 3"])
@pytest.mark.parametrize("test", ["assert v.x == 3, v", "raise ValueError(v)"])
def test_an_object_that_has_no_text_leaves_a_sentence(student, body, test):
    assert message(student, f"v = V()\n{test}", f"class V:\n    x = 0\n    def __str__(self):\n        {body}")


def test_a_process_that_ends_while_the_message_is_made_is_gone(student):
    text = "import os\nclass V:\n    def __str__(self):\n        os._exit(0)"
    with pytest.raises(StudentGone):
        message(student, "assert False, V()", text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("raise ValueError(x)", "your code raised ValueError: 3, in the line `raise ValueError(x)`"),
        ("assert x > 5", "this should hold and does not: double(3) == 6"),
    ],
)
def test_an_error_of_the_answers_comes_with_its_own_line(student, text, said):
    assert message(student, "assert double(3) == 6", f"def double(x):\n    {text}") == said


def test_what_an_earlier_assertion_compared_is_not_said_of_another(student):
    test = "assert double(0) == 0\ndef same(x): return x == 6\nassert same(double(3))"
    assert message(student, test) == "this should hold and does not: same(double(3))"


def test_nothing_of_what_was_kept_of_an_assertion_is_left(student):
    message(student, "assert double(3) == 6")
    assert student.run("assert not [name for name in globals() if 'studium' in name]").error == ""


def test_a_test_says_nothing_of_an_assertion_of_a_hidden_one(student):
    hidden = checked("def check(x):\n    assert x == 12345", hidden=True)
    notebook = material(answer(DOUBLE), hidden, checked("check(double(3))"))
    assert "12345" not in repr(grade(student, notebook, submission(notebook, WRONG), released=False).results)


SECRET = "assert double(12345) == 24690"


@pytest.mark.parametrize("test", [SECRET, f"{SECRET}, 'not twice as much'", "assert False, double(12345)", "{}[12345]"])
def test_a_hidden_test_says_that_it_failed_and_nothing_of_its_data(student, test):
    assert message(student, test, hidden=True) == "a hidden test failed"


def test_a_hidden_test_shows_nothing_that_was_printed(student):
    notebook = material(answer(DOUBLE), checked("print('secret 12345')\nassert double(3) == 6", hidden=True))
    graded = grade(student, notebook, submission(notebook, "def double(x):\n    print(x)\n    return 0"))
    assert "12345" not in repr(graded.events)
    assert "double(3)" not in repr(graded.events)


def test_a_visible_test_shows_what_was_printed(student):
    notebook = material(answer(DOUBLE), checked("print('trying 3')\nassert double(3) == 6"))
    run = grade(student, notebook, submission(notebook, WRONG)).runs["test1"]
    assert run.outputs[0] == {"output_type": "stream", "name": "stdout", "text": "trying 3\n"}
    assert run.error


class TestErrorsOfTheStudents:
    """The judge is not to repeat a name or a line that the student's process made up."""

    class Text:
        def has_line(self, line):
            return line == "return 1 / x"

    def error(self, kind, line):
        error = kind("x was 12345")
        error.student_line = line
        return error

    def test_a_line_of_the_notebook_is_shown(self):
        said = bounded_message(self.error(ZeroDivisionError, "return 1 / x"), None, self.Text(), "f")
        assert said == "a hidden test of f failed: ZeroDivisionError was raised in the line `return 1 / x`"

    def test_a_line_that_is_not_in_the_notebook_is_not(self):
        assert "12345" not in bounded_message(self.error(ValueError, "x = 12345"), None, self.Text(), "f")

    LIMITS = (
        (OSError(errno.ENOSPC, "No space left on device", "12345"), "disk limit"),
        (OSError(errno.EMFILE, "Too many open files", "12345"), "file limit"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "process limit"),
        (RuntimeError("can't start new thread 12345"), "process limit"),
        (RuntimeError("12345: can't allocate memory"), "memory limit"),
        (TooLargeError("a value of 12345 MB is too large to be sent"), "value limit"),
    )

    def test_a_limit_of_the_kernels_is_named_in_words_of_ours(self):
        for error, verdict in self.LIMITS:
            said = bounded_message(error, None, self.Text(), "f")
            assert breach_in(said, Limits()).verdict == verdict
            assert "12345" not in said

    def test_a_text_that_is_no_plain_text_is_not_asked_for(self):
        class Asking:
            def __str__(self):
                raise AssertionError("the student's process was asked")

        said = bounded_message(ValueError(Asking()), None, self.Text(), "f")
        assert said == "a hidden test of f failed: ValueError was raised"

    def test_a_class_of_the_students_is_called_after_its_base(self):
        leak = type("Leak12345", (ValueError,), {"__module__": "builtins"})
        said = bounded_message(self.error(leak, ""), None, self.Text(), "f")
        assert said == "a hidden test of f failed: ValueError was raised"


def test_the_failing_line_is_found_without_asking_the_students_process_for_a_name():
    class Asking(dict):
        def keys(self):
            raise AssertionError("the student's process was asked")

        __iter__ = keys

    names = Asking(x=1)
    with pytest.raises(ZeroDivisionError) as raised:
        exec(compile("y = 2\nx / 0", "<test a>", "exec"), names, names)
    found = failing_line(raised.value.__traceback__, "<test a>".__eq__)
    assert (found.number, found.variables["x"], found.variables["y"]) == (2, 1, 2)
