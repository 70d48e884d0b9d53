"""Tests of what an answer prints, which put a stream of their own in the place of ``sys.stdout``."""

from __future__ import annotations

import pytest

from .notebooks import answer, checked, material, submission
from .processes import calibrate, grade_forked

REFERENCE = "def greet(name): print('Hello,', name)"
BEGIN = "import io, sys\nfrom contextlib import redirect_stdout\nfrom unittest.mock import patch\n"
INSIDE = "greet('Ada')\n    greet('Bo')\nassert out.getvalue() == 'Hello, Ada\\nHello, Bo\\n'"


@pytest.mark.parametrize(
    "test",
    [
        f"with patch('sys.stdout', new_callable=io.StringIO) as out:\n    {INSIDE}",
        f"with patch('sys.stdout', new=io.StringIO()) as out:\n    {INSIDE}",
        f"with patch.object(sys, 'stdout', io.StringIO()) as out:\n    {INSIDE}",
        f"with redirect_stdout(io.StringIO()) as out:\n    {INSIDE}",
        "@patch('sys.stdout', new_callable=io.StringIO)\n"
        "def check(out):\n    greet('Ada')\n    assert out.getvalue() == 'Hello, Ada\\n'\ncheck()",
    ],
)
@pytest.mark.parametrize(
    ("text", "points"),
    [
        ("def greet(name):\n    import sys\n    sys.stdout.write(f'Hello, {name}\\n')", 1),
        ("def greet(name): print(f'Hello, {name}', end='\\n')", 1),
        ("def greet(name): return f'Hello, {name}\\n'", 0),
        ("def greet(name): print('hello', name)", 0),
        (
            "class Out:\n    def write(self, text): pass\n    def getvalue(self): return 'Hello, Ada\\nHello, Bo\\n'\n"
            "def greet(name):\n    import io, sys\n    io.StringIO = Out\n    sys.stdout = Out()",
            0,
        ),
    ],
)
def test_what_an_answer_prints_is_in_the_stream_of_the_test(shell, test, text, points):
    notebook = material(answer(REFERENCE), checked(BEGIN + test))
    result = grade_forked(shell, notebook, submission(notebook, text), calibrate(shell, notebook)).only
    assert (result.points, result.mode) == (points, "verified")


def test_what_a_test_counts_of_a_mock_in_its_place_is_counted_where_the_answer_writes(shell):
    test = "with patch('sys.stdout') as out:\n    greet('Ada')\nassert out.write.call_count == 4"
    notebook = material(answer(REFERENCE), checked(BEGIN + test))
    calibration = calibrate(shell, notebook)
    assert grade_forked(shell, notebook, submission(notebook, REFERENCE), calibration).only.points == 1
    once = "def greet(name): print(f'Hello, {name}')"
    assert grade_forked(shell, notebook, submission(notebook, once), calibration).only.points == 0
