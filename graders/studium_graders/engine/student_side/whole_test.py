"""Running a test in the student's shell, and what is said of its error: what it compared, or the line that raised it.

Whatever this says, it is the word of a process in which the student's code has run.
"""

import ast
import linecache
import reprlib
import traceback
from contextlib import suppress
from typing import Any

from studium.exercises.comparison import difference

from studium_graders.engine.kinds.cell_outputs import MOST_OF_ERROR, number_shown, sendable
from studium_graders.engine.student_side.cells import Cells
from studium_graders.engine.student_side.suites import failures_of_suites

_LEFT, _RIGHT = "__studium_left__", "__studium_right__"
_ASSERTION = "AssertionError: "
_LONGEST_LINE = 200


def run_test(cells: Cells, source: str) -> tuple[list[dict[str, Any]], str]:
    """Run a test; return its outputs and its error ("" if it ran to its end)."""
    sides = _Sides()
    cells.shell.ast_transformers.append(sides)
    cells.passing = True
    try:
        with failures_of_suites() as failures:
            outputs, error = cells.run(source)
        if not error and failures and number_shown(outputs) is None:
            return outputs, f"{_ASSERTION}{failures[0]}"[:MOST_OF_ERROR]
        return outputs, _explained(cells, error)[:MOST_OF_ERROR] if error else ""
    finally:
        cells.passing = False
        cells.error = None
        with suppress(ValueError):  # IPython takes one out that fails
            cells.shell.ast_transformers.remove(sides)
        for name in (_LEFT, _RIGHT):
            cells.shell.user_ns.pop(name, None)


class _Sides(ast.NodeTransformer):
    """Keeps what the sides of an assertion were."""

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        match node.test:
            case ast.Compare(left, [_], [right]) if node.msg is None:
                node.test.left = ast.NamedExpr(ast.Name(_LEFT, ast.Store()), left)
                node.test.comparators = [ast.NamedExpr(ast.Name(_RIGHT, ast.Store()), right)]
        return node


def _explained(cells: Cells, said: str) -> str:
    """Return the text of an error with what its assertion compared, or else with the line that raised it."""
    try:
        frames = [*traceback.walk_tb(cells.error.__traceback__)] if cells.error is not None else []
        own = [(frame, line) for frame, line in frames if cells.is_cell(frame.f_code.co_filename)]
        if not own or isinstance(cells.error, NotImplementedError):
            return said
        frame, number = own[-1]
        if said.startswith(_ASSERTION):
            tests = [frame for frame, _ in own if frame.f_code.co_filename == own[0][0].f_code.co_filename]
            return said + ("" if str(cells.error) else _compared(tests[-1].f_locals, cells.assertion))
        line = linecache.getline(frame.f_code.co_filename, number).strip()[:_LONGEST_LINE]
        if frame.f_code.co_filename == own[0][0].f_code.co_filename:
            return sendable(f"{said}, in the test's line `{line}`")
        return sendable(f"your code raised {said}, in the line `{line}`")
    except Exception:  # the student's code has had all of it in its hands
        return said


def _compared(variables: Any, statement: ast.Assert | None) -> str:
    """Say in what the sides of an assertion without words of its author's differ, "" where nothing can be said."""
    if statement is None or statement.msg is not None or not isinstance(statement.test, ast.Compare):
        return ""
    if len(statement.test.ops) != 1 or not {_LEFT, _RIGHT} <= variables.keys():
        return ""
    left, right = variables[_LEFT], variables[_RIGHT]
    both = f"left {reprlib.repr(left)}, right {reprlib.repr(right)}"
    if right is None and isinstance(statement.test.ops[0], ast.IsNot):
        return ""
    if not isinstance(statement.test.ops[0], ast.Eq):
        return sendable(f" ({both})")
    actual, expected = (right, left) if isinstance(statement.test.left, ast.Constant) else (left, right)
    found = ""
    with suppress(Exception):  # the values may be objects of any kind
        found = difference(actual, expected)
    return sendable(f" ({found or both})")
