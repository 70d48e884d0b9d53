"""What a student is told: of visible tests everything, of hidden ones nothing that carries their data."""

from __future__ import annotations

import errno

import pytest
from studium_graders.engine.judge.canonical_text import CanonicalText
from studium_graders.engine.judge.failing_line import failing_line
from studium_graders.engine.judge.messages import bounded_message, full_message
from studium_graders.engine.judge_side.student_gone import StudentGone
from studium_graders.engine.material.assignment import Calibration, Permission
from studium_graders.engine.material.limits import Limits
from studium_graders.engine.processes.endings import breach_in
from studium_graders.engine.wire.channel import TooLargeError
from studium_graders.engine.wire.codec import RefusedError

from .notebooks import answer, checked, given, grade, material, submission
from .processes import forked

DOUBLE = "def double(x):\n    return 2 * x"
WRONG = "def double(x):\n    return x * x"


def message(student, test, text=WRONG, *, hidden=False, first=""):
    notebook = material(given(first), answer(DOUBLE), checked(test, hidden=hidden))
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
    assert hidden == "a hidden test failed: NameError was raised"


def test_the_error_of_a_cell_does_not_name_the_file_that_it_was_run_from():
    unmade = {"f": "SyntaxError: invalid syntax (<ipython-input-4-af90e56eccc4>, line 1)"}
    said = full_message(NameError("no f", name="f"), None, CanonicalText(), unmade=unmade)
    assert said == "NameError: no f: the cell that makes it ended with SyntaxError: invalid syntax (line 1)"


def test_a_name_that_no_cell_makes_comes_with_the_line_of_the_test(student):
    found = message(student, "assert double(3) == 6", "x = 1")
    assert found == "NameError: name 'double' is not defined, in the test's line `assert double(3) == 6`"


def test_of_several_cells_that_make_a_missing_name_the_first_one_is_the_reason(student):
    notebook = material(answer("items = [1]"), answer("items = sorted(items)"), checked("assert items == [1]"))
    graded = grade(student, notebook, submission(notebook, "items = open('none').read()", "items = sorted(items)"))
    assert "ended with FileNotFoundError: " in graded.only.message


def test_a_given_cell_that_fails_with_an_answer_is_the_reason_for_what_it_does_not_make(student):
    notebook = material(answer(DOUBLE), given("six = double(3)"), checked("assert six == 6"))
    graded = grade(student, notebook, submission(notebook, "def double(x):\n    return x.size"))
    said = "NameError: name 'six' is not defined: the cell that makes it ended with AttributeError: 'int' object"
    assert graded.only.message.startswith(said)


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


@pytest.mark.parametrize("call", ["pytest.raises(ValueError): double(12345)", "pytest.raises(KeyError): double(12345)"])
def test_what_did_not_raise_in_a_hidden_test_is_not_what_is_expected(student, call):
    said = message(student, f"import pytest\nwith {call}", hidden=True)
    assert said == "a hidden test failed: the result is not what is expected"


def test_what_did_not_raise_in_a_visible_test_is_said_with_its_line(student):
    said = message(student, "import pytest\nwith pytest.raises(ValueError): double(1)")
    assert said.startswith("Failed: DID NOT RAISE")


class Words:
    def has_line(self, line):
        return False


def test_names_of_ours_are_not_told():
    error = RefusedError("your f() gives a function where a plain value is needed")
    assert full_message(error, None, Words()) == str(error)
    assert bounded_message(error, None, Words()) == (
        "a hidden test failed: a plain value is needed where your code has an object of its own"
    )


@pytest.mark.parametrize("body", ["raise RuntimeError('what I like')", "return 3"])
@pytest.mark.parametrize("test", ["assert v.x == 3, v", "raise ValueError(v)"])
def test_an_object_that_has_no_text_leaves_a_sentence(shell, body, test):
    text = f"class V:\n    x = 0\n    def __str__(self):\n        {body}"
    calibration = Calibration(True, frozenset({Permission("object", "V"), Permission("object", "V()")}))
    with forked(shell, calibration) as student:
        said = message(student, f"v = V()\n{test}", text)
    assert said in ("this should hold and does not: v.x == 3", f"ValueError, in the test's line `{test}`")


def test_a_process_that_ends_while_the_message_is_made_is_gone(shell):
    text = "import os\nclass V:\n    def __str__(self):\n        os._exit(0)"
    calibration = Calibration(True, frozenset({Permission("object", "V"), Permission("object", "V()")}))
    with forked(shell, calibration) as student, pytest.raises(StudentGone):
        message(student, "assert False, V()", text)


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("assert double(3) == 6", "this should hold and does not: double(3) == 6"),
        ("assert double(3) == 6, 'twice three'", "twice three"),
        ("def check():\n    raise AssertionError\ncheck()", "an assertion of the test does not hold"),
        ("[1][double(1)]", "IndexError: list index out of range"),
    ],
)
def test_a_visible_test_that_runs_whole_says_what_it_expected(shell, test, said):
    notebook = material(given("pass"), answer(DOUBLE), checked(f"import gc; gc.collect()\n{test}"))
    with forked(shell) as student:
        assert grade(student, notebook, submission(notebook, WRONG), whole=True).only.message == said


def test_a_test_that_runs_whole_says_nothing_of_an_assertion_of_a_hidden_one(shell):
    hidden = checked("def check(x):\n    assert x == 12345\nimport gc; gc.collect()", hidden=True)
    notebook = material(given("pass"), answer(DOUBLE), hidden, checked("gc.collect()\ncheck(double(3))"))
    with forked(shell) as student:
        assert "12345" not in repr(grade(student, notebook, submission(notebook, WRONG), whole=True).results)


@pytest.mark.parametrize("test", ["assert double(12345) == 24690", "assert False, double(12345)", "{}[12345]"])
def test_a_hidden_test_that_runs_whole_says_that_it_failed_and_nothing_of_its_data(shell, test):
    notebook = material(given("pass"), answer(DOUBLE), checked(f"import gc; gc.collect()\n{test}", hidden=True))
    with forked(shell) as student:
        result = grade(student, notebook, submission(notebook, WRONG), whole=True)
    assert (result.only.mode, result.only.message) == ("unverified", "a hidden test failed")
    assert "12345" not in repr(result.results)


SECRET = "assert double(12345) == 24690"


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (SECRET, "a hidden test failed: the result is not what is expected"),
        (f"{SECRET}, 'not twice as much'", "not twice as much"),
        (f"{SECRET}, 'double(12345) is wrong'", "a hidden test failed: the result is not what is expected"),
        (f"{SECRET}, f'got {{double(12345)}}'", "a hidden test failed: the result is not what is expected"),
        (
            "word = 'Eulalia'\nassert not word, 'Eulalia fails'",
            "a hidden test failed: the result is not what is expected",
        ),
        ("assert double(2.5) == 5, 'must work for float64 too'", "must work for float64 too"),
        ("[][double(9)]", "a hidden test failed: IndexError was raised"),
        ("raise KeyError(double(9))", "a hidden test failed: KeyError was raised"),
    ],
)
def test_a_hidden_test_keeps_its_data(student, test, said):
    assert message(student, test, hidden=True) == said


def test_a_hidden_test_shows_nothing_that_was_printed(student):
    notebook = material(answer(DOUBLE), checked("print('secret 12345')\nassert double(3) == 6", hidden=True))
    graded = grade(student, notebook, submission(notebook, "def double(x):\n    print(x)\n    return 0"))
    assert "12345" not in repr(graded.events)
    assert "double(3)" not in repr(graded.events)


def test_a_visible_test_shows_what_was_printed(student):
    notebook = material(answer(DOUBLE), checked("print('trying 3')\nassert double(3) == 6"))
    run = grade(student, notebook, submission(notebook, WRONG)).runs["test1"]
    assert run.outputs == [{"output_type": "stream", "name": "stdout", "text": "trying 3\n"}]
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

    @pytest.mark.parametrize(
        ("error", "verdict"),
        [
            (OSError(errno.ENOSPC, "No space left on device", "12345"), "disk limit"),
            (OSError(errno.EMFILE, "Too many open files", "12345"), "file limit"),
            (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "process limit"),
            (RuntimeError("can't start new thread 12345"), "process limit"),
            (RuntimeError("12345: can't allocate memory"), "memory limit"),
            (TooLargeError("a value of 12345 MB is too large to be sent"), "value limit"),
        ],
    )
    def test_a_limit_of_the_kernels_is_named_in_words_of_ours(self, error, verdict):
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
