"""What a lesson asks before an experiment: ``lesson.predict`` in one cell, ``lesson.found`` in another."""

import ast
from collections.abc import Iterator
from typing import TypeGuard

import msgspec
from nbformat import NotebookNode

from studium.exercises.syntax import parse


class Question(msgspec.Struct, frozen=True):
    """A question, the id of the cell that asks it, and whether no number stands there yet."""

    cell: str
    name: str
    text: str
    open: bool


def asked_in(source: str, cell: str = "") -> list[Question]:
    """Return the questions of a cell: its calls ``lesson.predict("name", guess, "question")``."""
    return [
        Question(cell, _text(call.args[:1]) or "", _text(call.args[2:]) or "", _is_open(call))
        for call in _calls(source, "predict")
        if _text(call.args[:1])
    ]


def answered_in(source: str) -> set[str]:
    """Return the names of the predictions that a cell compares with what came out."""
    return {name for call in _calls(source, "found") if (name := _text(call.args[:1]))}


def only_asks(source: str) -> bool:
    """Return whether a cell does nothing but ask."""
    body = _body(source)
    return bool(body) and all(isinstance(line, ast.Expr) and _is_call(line.value, "predict") for line in body)


def with_questions(notebook: NotebookNode, cells: list[str]) -> tuple[list[str], list[Question]]:
    """Return the cells to run together with those that ask what they answer, and the questions that are open.

    Cells that only ask about other experiments are left out.
    """
    sources = {str(cell.get("id")): str(cell.source) for cell in notebook.cells if cell.cell_type == "code"}
    answered = {name for cell in cells for name in answered_in(sources[cell])}
    wanted = [question for name in sources for question in asked_in(sources[name], name) if question.name in answered]
    asking = {question.cell for question in wanted}
    run = [name for name in sources if name in asking or (name in cells and not only_asks(sources[name]))]
    return run, [question for question in wanted if question.open]


def _calls(source: str, name: str) -> Iterator[ast.Call]:
    for line in _body(source):
        for node in ast.walk(line):
            if _is_call(node, name):
                yield node


def _is_call(node: ast.AST, name: str) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == f"lesson.{name}"


def _body(source: str) -> list[ast.stmt]:
    try:
        return parse(source).body
    except SyntaxError:  # magic, or what is not finished
        return []


def _text(arguments: list[ast.expr]) -> str | None:
    match arguments:
        case [ast.Constant(value=str(text)), *_]:
            return text
    return None


def _is_open(call: ast.Call) -> bool:
    match call.args[1:2]:
        case [ast.Constant(value=value)]:
            return value is ...
    return False
