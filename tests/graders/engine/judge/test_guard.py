"""What a test may do in the judge with text and bytes, and what the audit hook refuses."""

from __future__ import annotations

import contextlib

import pytest
from studium_graders.engine.judge.guard import EvaluationRefusedError, ReachRefusedError, install, watched

HELPERS = """
import ast, collections, dataclasses, marshal, os, pickle, socket, subprocess, typing, unittest.mock
def evaluate(text):
    return eval(text)
def unpickle(data):
    return pickle.loads(data)
def unmarshal(data):
    return marshal.loads(data)
def forked():
    return os.fork() or os._exit(0)
def started(name):
    return subprocess.run([name])
def connected(port):
    return socket.create_connection(("127.0.0.1", port))
"""
EVALUATING = {
    "evaluate(f('1'))": "def f(x):\n    return x",
    "unpickle(f(1))": "import pickle\ndef f(x):\n    return pickle.dumps(print)",
    "unmarshal(f(1))": "import marshal\ndef f(x):\n    return marshal.dumps(x)",
    "f(1).__class__ and evaluate('2' + '3')": "def f(x):\n    return x",
}
REACHING = {
    "forked()": "def f(x):\n    return x",
    "started(f('true'))": "def f(x):\n    return x",
    "connected(f(9))": "def f(x):\n    return x",
}
SAME = "def f(x):\n    return x"


def refused(test, source=SAME):
    """Run a test beside an answer, and return what it was refused, though it catches all."""
    install(compiles=False)
    names = {"__name__": "__main__"}
    exec(HELPERS + source, names)
    code = compile(test, "<a test>", "exec")
    with watched() as refusal, contextlib.suppress(Exception):
        exec(code, names)
    return refusal()


def test_a_test_does_not_evaluate_by_a_detour():
    for test, source in EVALUATING.items():
        assert isinstance(refused(test, source), EvaluationRefusedError), test


def test_a_test_reaches_nothing_outside():
    for test, source in REACHING.items():
        assert isinstance(refused(test, source), ReachRefusedError), test


def test_a_refusal_counts_though_the_test_catches_it():
    for test, source in (EVALUATING | REACHING).items():
        caught = refused(f"try:\n    {test}\nexcept Exception:\n    pass", source)
        assert "in the process that keeps the tests" in str(caught), test


@pytest.mark.parametrize(
    "test",
    [
        "assert ast.literal_eval(str(f([1]))) == [1]",
        "assert collections.namedtuple('P', 'x')(f(1)).x == dataclasses.make_dataclass('Q', ['x'])(f(1)).x",
        "assert typing.Optional['P'] and unittest.mock.create_autospec(f)",
        "import colorsys, scipy.stats\nassert scipy.stats.norm(f(1)).mean() == 1",
    ],
)
def test_what_libraries_generate_and_what_an_import_runs_is_allowed(test):
    assert refused(test) is None


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
