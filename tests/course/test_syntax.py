"""Threads that parse at the same time get their trees."""

from __future__ import annotations

import ast
import gc
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from studium.exercises.syntax import fault, parse

LONG = "def f(x):\n    return [[i**2 for i in range(x)] if x > 3 else {'a': (x, -x)} for x in g(x)]\n" * 40


@pytest.fixture
def switching():
    """Let threads take turns often, and whenever garbage is collected, as finalizers and callbacks make them do."""

    def work(phase: str, info: dict) -> None:
        sum(range(300))

    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    gc.callbacks.append(work)
    yield
    gc.callbacks.remove(work)
    sys.setswitchinterval(before)


@pytest.mark.heavy
def test_threads_that_parse_at_once_get_their_trees(switching) -> None:
    expected = ast.dump(ast.parse(LONG))
    with ThreadPoolExecutor(3) as pool:
        trees = list(pool.map(parse, [LONG, "x = 1\n" * 50] * 300))
    assert ast.dump(trees[0]) == ast.dump(trees[-2]) == expected


def test_what_is_no_python_raises_as_it_does_elsewhere() -> None:
    with pytest.raises(SyntaxError):
        parse("def f(:")
    assert ast.dump(parse("x = 1")) == ast.dump(ast.parse("x = 1"))


def test_what_keeps_a_text_from_being_python_is_said_with_its_line():
    for source, said in [
        ("def f(x):\n    return (x\n", "line 2: '(' was never closed"),
        ("x = 1\0", "null byte"),
        ("def f(x):\n    return x\n", ""),
    ]:
        assert said in fault(source)
        assert bool(fault(source)) == bool(said)
