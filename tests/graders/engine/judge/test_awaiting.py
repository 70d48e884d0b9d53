"""Tests that await what an answer gives: the answer runs in an event loop of its own process."""

from __future__ import annotations

from contextlib import suppress

import msgspec
import pytest
from studium_graders.engine.remote.student_gone import StudentGone

from . import processes
from .notebooks import answer, checked, given, material, submission
from .processes import calibrate, grade_forked, grade_split

REFERENCE = """
async def double(x):
    await asyncio.sleep(0)
    if x < 0:
        raise ValueError("negative")
    return 2 * x
async def countdown(n):
    for k in range(n, 0, -1):
        yield k
async def each(fetch, names):
    return [await fetch(name) for name in names]
async def is_even(x):
    return x % 2 == 0
def run_all(waiting):
    return [one.close() for one in waiting]
"""
DOUBLES = "assert await double(2) == 4"
GATHERS = "assert await asyncio.gather(double(1), double(2)) == [2, 4]"
RAISES = "import pytest\nwith pytest.raises(ValueError, match='negative'):\n    await double(-1)"
COUNTS = "n = 3\nasync for k in countdown(3):\n    assert k == n\n    n -= 1"
CALLS = "async def fetch(name):\n    return name * 2\nassert await each(fetch, ['a', 'b']) == ['aa', 'bb']"
MOCKS = "from unittest.mock import AsyncMock\nm = AsyncMock(return_value=7)\nassert await each(m, [1, 2]) == [7, 7]"
HOLDS = "assert await is_even(2)\nassert not await is_even(3)"
SAME = "class Same:\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False\n"
SIDE = """
import gc
from studium_graders.engine.remote.student import StudentSide
[side] = [one for one in gc.get_objects() if type(one) is StudentSide]
"""
TOLD = "type(side.tasks).turn = lambda self, told: msgspec.msgpack.encode({})\nasync def double(x): return 4"


pytestmark = pytest.mark.usefixtures("nobody_minds_what_is_left")


def graded(shell, text, test):
    notebook = material(given("import asyncio", locked=True), answer(REFERENCE), checked(test))
    return grade_split(shell, notebook, text).only


@pytest.mark.parametrize("test", [DOUBLES, GATHERS, RAISES, COUNTS, CALLS, MOCKS, HOLDS])
def test_what_the_reference_gives_is_awaited_apart_from_it(shell, test):
    result = graded(shell, REFERENCE, test)
    assert (result.points, result.mode) == (1, "split")


@pytest.mark.parametrize(
    ("text", "test"),
    [
        (f"{SAME}async def double(x): return Same()", DOUBLES),
        (f"{SAME}async def double(x): return Same()", GATHERS),
        (f"{SAME}class Now:\n    def __await__(self):\n        yield\n        return Same()\n"
         "def double(x): return Now()", DOUBLES),
        ("class Four(int):\n    __eq__ = lambda self, other: True\nasync def double(x): return Four()", DOUBLES),
        ("asyncio.gather = asyncio.wait_for = asyncio.run = lambda *a: [2, 4]\nasync def double(x): return 0", GATHERS),
        ("import asyncio.tasks\nasyncio.Task.result = lambda self: 4\nasync def double(x): return 0", DOUBLES),
        ("import sys\nasync def double(x):\n    return sys._getframe(1).f_locals.get('expected', 5)", DOUBLES),
        ("class Odd(ValueError):\n    __str__ = lambda self: 'negativ'\nasync def double(x): raise Odd", RAISES),
        ("async def double(x): raise asyncio.CancelledError", RAISES),
        ("async def double(x):\n    for task in asyncio.all_tasks(): task.cancel()\n"
         "    await asyncio.sleep(0)", DOUBLES),
        ("async def double(x):\n    asyncio.get_running_loop().stop()\n    await asyncio.sleep(0)", RAISES),
        ("async def double(x): raise StopAsyncIteration", DOUBLES),
        ("async def double(x): raise StopAsyncIteration", COUNTS.replace("countdown(3)", "double(3)")),
        ("async def countdown(n):\n    return\n    yield", COUNTS),
        ("async def countdown(n):\n    raise asyncio.CancelledError\n    yield", COUNTS),
        ("class countdown:\n    def __init__(self, n): pass\n    def __aiter__(self): return self\n"
         "    async def __anext__(self): raise StopAsyncIteration", COUNTS),
        (f"{SAME}async def each(fetch, names):\n    return [Same() for _ in names]", CALLS),
        ("async def each(fetch, names):\n    c = fetch(names[0])\n    return [c.cr_frame.f_locals, c.cr_code]", CALLS),
        ("async def is_even(x): return is_even", HOLDS),
    ],
)  # fmt: skip
def test_an_answer_earns_nothing_by_how_it_is_awaited(shell, text, test):
    result = graded(shell, text, test)
    assert (result.points, result.mode) == (0, "split")


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("async def double(x): await asyncio.Event().wait()", "time limit"),
        ("async def double(x):\n    while True: await asyncio.sleep(0)", "time limit"),
        ("async def double(x):\n    while True: pass", "time limit"),
        ("async def double(x):\n    while True:\n        try: await asyncio.sleep(1)\n"
         "        except asyncio.CancelledError: pass", "time limit"),
        ("async def double(x): __import__('os')._exit(0)", "ended early"),
        (f"import msgspec\n{SIDE}{TOLD.format([1, 2])}", "broken protocol"),
        (f"import msgspec\n{SIDE}{TOLD.format(([[]], False))}", "broken protocol"),
        (f"{SIDE}async def double(x): return side.request('outcome', 1)", "broken protocol"),
        (f"{SIDE}async def double(x): return side.request('turn', b'')", "broken protocol"),
    ],
)  # fmt: skip
def test_what_never_ends_and_what_is_no_answer_end_the_notebook(shell, monkeypatch, text, verdict):
    monkeypatch.setattr(processes, "LIMITS", msgspec.structs.replace(processes.LIMITS, call_seconds=1))
    with pytest.raises(StudentGone) as gone:
        graded(shell, text, DOUBLES + "\nawait asyncio.wait_for(double(3), 0.2)")
    assert gone.value.verdict == verdict


@pytest.mark.parametrize(
    "asked",
    [
        "'begin', fetch",
        "'begin', fetch('a'), '__anext__'",
        "'begin', fetch('a'), 'send', None",
        "'begin', fetch, '__call__', 'a'",
        "'method', fetch('a'), 'close', (), {}",
        "'getattr', fetch('a'), 'cr_frame'",
        "'cancel', fetch",
    ],
)
def test_a_coroutine_of_a_test_can_be_awaited_and_nothing_else(shell, asked):
    text = f"{SIDE}async def each(fetch, names):\n    side.request({asked})\n    return ['aa', 'bb']"
    with suppress(StudentGone):
        assert graded(shell, text, CALLS).points == 0


def test_a_plain_call_that_runs_what_a_test_awaits_ends_in_time(shell, monkeypatch):
    monkeypatch.setattr(processes, "LIMITS", msgspec.structs.replace(processes.LIMITS, call_seconds=1))
    test = "async def never():\n    await asyncio.Event().wait()\nassert run_all([never()]) == [None]"
    with pytest.raises(StudentGone) as gone:
        graded(shell, "def run_all(waiting): return [asyncio.run(one) for one in waiting]", test)
    assert gone.value.verdict == "time limit"


def test_what_awaits_each_other_takes_turns(shell):
    test = """
seen = []
async def fetch(name):
    seen.append(name)
    await asyncio.sleep(0.01)
    seen.append(name)
    return name * 2
assert await asyncio.gather(each(fetch, ["a"]), each(fetch, ["b"])) == [["aa"], ["bb"]]
assert seen == ["a", "b", "a", "b"]
"""
    assert graded(shell, REFERENCE, test).points == 1
    assert graded(shell, "async def each(fetch, names): return [name * 2 for name in names]", test).points == 0


def test_an_answer_may_let_go_of_what_it_never_awaited_between_two_tests(shell):
    last = answer("n = 0")
    notebook = material(
        given("import asyncio", locked=True), answer(REFERENCE), checked(CALLS), last, checked("n == 0")
    )
    keeps = "kept = []\nasync def each(fetch, names):\n    kept.extend(map(fetch, names))\n    return ['aa', 'bb']"
    canonical = submission(notebook, keeps, "kept.clear()\nprint()\nn = 0")
    assert grade_forked(shell, notebook, canonical, calibrate(shell, notebook)).points == [1, 1]
