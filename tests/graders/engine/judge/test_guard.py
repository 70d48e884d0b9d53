"""What a test may do in the judge with text and bytes, and what the audit hook refuses."""

from __future__ import annotations

import pytest
from studium_graders.engine.judge.guard import EvaluationRefusedError, ReachRefusedError, install, watched
from studium_graders.engine.material.assignment import Calibration, Permission

from .notebooks import answer, checked, given, grade, material, submission
from .processes import forked

HELPERS = """
import ast, collections, contextlib, dataclasses, marshal, os, pickle
import socket, sqlite3, subprocess, sys, typing, unittest.mock
def evaluate(text):
    return eval(text)
def unpickle(data):
    return pickle.loads(data)
def unmarshal(data):
    return marshal.loads(data)
def hints(f):
    return typing.get_type_hints(f)
def opened(path):
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute("select 1").fetchone()[0]
def started(name):
    return subprocess.run([name])
def connected(port):
    return socket.create_connection(("127.0.0.1", port))
"""
EVALUATING = {
    "evaluate(f('1'))": "def f(x):\n    return x",
    "unpickle(f(1))": "import pickle\ndef f(x):\n    return pickle.dumps(print)",
    "unmarshal(f(1))": "import marshal\ndef f(x):\n    return marshal.dumps(x)",
    "hints(f)": "def f(x: 'print(1) or int'):\n    return x",
    "f(1).__class__ and evaluate('2' + '3')": "def f(x):\n    return x",
}
REACHING = {
    "opened(f('/etc/passwd'))": "def f(x):\n    return x",
    "opened(f('file:/etc/passwd'))": "def f(x):\n    return x",
    "started(f('true'))": "def f(x):\n    return x",
    "connected(f(9))": "def f(x):\n    return x",
}


F = frozenset({Permission("object", "f")})


def judged(shell, test, source, *, known=False):
    install(compiles=False)
    notebook = material(given(HELPERS), answer(source), checked(test))
    with forked(shell, Calibration(known=known, permissions=F)) as student:
        both = (grade(student, notebook, submission(notebook, source), whole=whole) for whole in (False, True))
        return next(graded.only for graded in both if graded.results)


@pytest.mark.parametrize("test", EVALUATING)
def test_a_test_that_evaluates_by_a_detour_is_for_review_where_no_reference_has_shown_it(shell, test):
    result = judged(shell, f"assert {test}", EVALUATING[test])
    assert (result.mode, result.outcome, result.points) == ("verified", "review", 0)


FRAME = "import pandas as pd\ndef f():\n    return pd.DataFrame({'a': [1, 2, 3]})"
QUERIES = {
    "a literal": ("assert len(f().query('a > 1')) == 2", "verified", "passed"),
    "a literal with a local name": ("low = 1\nassert len(f().query('a > @low')) == 2", "verified", "passed"),
    "an expression": ("assert f().eval('b = 2 * a')['b'].tolist() == [2, 4, 6]", "verified", "passed"),
    "a text that is made": ("text = 'a > ' + str(1)\nassert len(f().query(text)) == 2", "verified", "review"),
    "a text of the answer's": ("assert len(f().query(f().columns[0] + ' > 1')) == 2", "verified", "review"),
    "a text that pandas is given": (
        "import pandas as pd\nassert pd.eval('1 + 1') == 2 and len(f()) == 3",
        "unverified",
        "passed",
    ),
}


@pytest.mark.parametrize(("test", "mode", "outcome"), QUERIES.values(), ids=QUERIES)
def test_pandas_evaluates_what_stands_in_the_test_and_nothing_else(shell, test, mode, outcome):
    result = judged(shell, test, FRAME)
    assert (result.mode, result.outcome) == (mode, outcome)


@pytest.mark.parametrize("test", [*EVALUATING, *REACHING])
def test_a_refusal_counts_though_the_test_catches_it(shell, test):
    source = (EVALUATING | REACHING)[test]
    result = judged(shell, f"try:\n    {test}\nexcept Exception:\n    pass", source, known=True)
    assert (result.points, result.mode) == (0, "verified")
    assert "in the process that keeps the tests" in result.message


@pytest.mark.parametrize("test", REACHING)
def test_what_an_answer_chooses_moves_no_test_into_its_process(shell, test):
    assert judged(shell, f"assert {test}", REACHING[test]).mode == "verified"


@pytest.mark.parametrize(
    "test",
    [
        "assert eval('f(1)') == 1",
        "assert ast.literal_eval(str(f([1]))) == [1]",
        "assert collections.namedtuple('P', 'x')(f(1)).x == dataclasses.make_dataclass('Q', ['x'])(f(1)).x",
        "assert typing.Optional['P'] and unittest.mock.create_autospec(f)",
        "import colorsys, scipy.stats\nassert scipy.stats.norm(f(1)).mean() == 1",
        "assert opened(':memory:') == f(1)",
        "assert opened('own.db') == f(1)",
    ],
)
def test_what_libraries_generate_and_what_the_test_says_itself_is_allowed(shell, test):
    result = judged(shell, test, "def f(x):\n    return x", known=True)
    assert (result.points, result.message) == (1, "")


def test_nothing_is_refused_but_while_a_test_runs():
    install(compiles=False)
    text = " + ".join("11")
    with watched() as refusal, pytest.raises(EvaluationRefusedError):
        eval(text)
    assert isinstance(refusal(), EvaluationRefusedError)
    assert not issubclass(ReachRefusedError, EvaluationRefusedError)
    assert eval(text) == 2
    with watched() as refusal:
        pass
    assert refusal() is None


def test_a_file_that_a_test_has_opened_is_open_to_it(shell):
    test = "import tempfile\nnumber, _ = tempfile.mkstemp()\nwith open(number, 'w') as file:\n    file.write(f('x'))"
    assert judged(shell, test, "def f(x):\n    return x").points == 1
