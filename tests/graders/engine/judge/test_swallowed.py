"""Context managers and iterators of an answer around the assertions of a test: neither keeps them from failing."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, material
from .processes import grade_split

LETS = """
class Timer:
    def __enter__(self): return self
    def __exit__(self, *exc): return exc[0] is KeyError
    def value(self): return 3
class Ticker:
    def __init__(self, n): self.n = n
    def __iter__(self): return self
    def __next__(self):
        if self.n == 0: raise StopIteration
        self.n -= 1
        return self.n
"""
SWALLOWS = LETS.replace("exc[0] is KeyError", "True").replace("return 3", "return 4")
IN_ONE_CASE = SWALLOWS.replace("return True", "return issubclass(exc[0] or int, AssertionError)")
GENERATED = """
import contextlib
@contextlib.contextmanager
def Timer():
    try: yield Ticker(3)
    except AssertionError: pass
"""
PLAIN = "with Timer() as t:\n    assert t.value() == 3"
LOOP = "n = 3\nfor k in Ticker(3):\n    n -= 1\n    assert k == n"


def graded(shell, reference, text, test):
    notebook = material(answer(reference), checked(test))
    return grade_split(shell, notebook, text).only.points


@pytest.mark.parametrize("test", [PLAIN, LOOP])
def test_an_answer_that_lets_assertions_fail_earns_its_points(shell, test):
    assert graded(shell, LETS, LETS, test) == 1


@pytest.mark.parametrize(
    ("text", "test"),
    [
        (SWALLOWS, PLAIN),
        (IN_ONE_CASE, PLAIN),
        (LETS + GENERATED, PLAIN),
    ],
)
def test_an_answer_that_swallows_an_assertion_earns_nothing(shell, text, test):
    assert graded(shell, LETS, text, test) == 0


IN_SECRET = """
import contextlib
from studium_graders.engine.student_side.serving import StudentSide
defines = StudentSide.defines
StudentSide.defines = lambda side, lineage, name: name != "__exit__" and defines(side, lineage, name)
class Timer(contextlib.suppress):
    def __init__(self):
        super().__init__(((AssertionError,),))
"""


def test_an_answer_does_not_swallow_with_what_a_library_does_in_the_process_of_the_test(shell):
    assert graded(shell, LETS, IN_SECRET, "with Timer():\n    assert False") == 0


def test_an_answer_may_swallow_assertions_where_the_reference_does(shell):
    test = "with Timer(): raise AssertionError"
    assert graded(shell, SWALLOWS, SWALLOWS, test) == 1
    assert graded(shell, SWALLOWS, LETS, test) == 0


def test_an_iterator_that_ends_at_once_is_right_where_that_of_the_reference_does(shell):
    assert graded(shell, LETS, LETS, "assert list(Ticker(0)) == [] and list(Ticker(2)) == [1, 0]") == 1


BANK = """
class Overdrawn(Exception): pass
class Account:
    def take(self, amount):
        raise Overdrawn(amount)
"""
TAKES = {
    "try": "try:\n    Account().take(3)\n    assert False\nexcept Overdrawn:\n    pass",
    "suppress": "import contextlib\nwith contextlib.suppress(Overdrawn):\n    Account().take(3)\n    assert False",
    "raises": "import pytest\nwith pytest.raises(Overdrawn):\n    Account().take(3)\n    assert False",
}


@pytest.mark.parametrize("test", TAKES.values(), ids=TAKES)
@pytest.mark.parametrize(
    "name", ["AssertionError", "Exception", "BaseException", "(KeyError, Exception)", "((Exception,),)"]
)
def test_a_class_of_exceptions_catches_no_assertion_of_the_test(shell, test, name):
    text = f"Overdrawn = {name}\nclass Account:\n    def take(self, amount): pass\n"
    assert graded(shell, BANK, text, test) == 0
    assert graded(shell, BANK, BANK.replace("(Exception)", "(ValueError)"), test) == 1


def test_one_that_the_reference_gives_may(shell):
    reference = "def caught(): return Exception\ndef fails(): return 1 / 0\n"
    test = "try:\n    fails()\nexcept caught():\n    pass"
    assert graded(shell, reference, reference, test) == 1
