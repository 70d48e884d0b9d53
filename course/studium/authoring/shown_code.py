"""Code shown to learners that could be an answer: functions, blocks and expressions, by exercise."""

import ast
import re
import textwrap
from collections.abc import Iterable, Iterator

from studium.authoring.shown import Shown
from studium.authoring.subject import Subject
from studium.exercises.model import Exercise
from studium.exercises.sources import answered
from studium.exercises.syntax import parse
from studium.notebooks.editions import role

SNIPPET = re.compile(r"^[ \t]*```\w*\n(.*?)^[ \t]*```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)
_NOT_THE_AUTHORS = ("exercise", "check", "setup", "test")  # roles of cells
_ANYBODYS = (ast.Name, ast.Constant, ast.Attribute)


def shown_code(subject: Subject) -> Iterator[Shown]:
    """Return everything that could be an answer in the lesson's cells and texts, and in each hint but the last."""
    for cell in subject.lesson.cells:
        place = subject.place(str(cell.id))
        if cell.cell_type == "code" and role(cell) not in _NOT_THE_AUTHORS:
            yield from _functions(subject.exercises, f"the code of {place}", cell.source)
        elif cell.cell_type == "markdown":
            yield from _snippets(subject.exercises, f"the text of {place}", cell.source)
    for exercise in subject.exercises:
        for number, hint in enumerate(exercise.hints[:-1], 1):
            yield from _snippets([exercise], f"hint {number} of {exercise.id}", hint)


def definitions(subject: Subject) -> Iterator[str]:
    """Return the imports, definitions and constants of the lesson's own cells, which a function there may need."""
    for cell in subject.lesson.cells:
        if cell.cell_type == "code" and role(cell) not in _NOT_THE_AUTHORS:
            yield from (ast.unparse(node) for node in _parsed(cell.source).body if _defines(node))


def _defines(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return not any(isinstance(part, ast.Call) for part in ast.walk(node.value))
    return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)


def _snippets(exercises: Iterable[Exercise], place: str, text: str) -> Iterator[Shown]:
    for found in SNIPPET.finditer(text):
        code = textwrap.dedent(found[1] or found[2])
        yield from _functions(exercises, place, code)
        yield from _bodies(exercises, place, code, block=bool(found[1]))


def _functions(exercises: Iterable[Exercise], place: str, code: str) -> Iterator[Shown]:
    for node in ast.walk(_parsed(code)):
        if isinstance(node, ast.FunctionDef):
            name, arguments = node.name, node.args
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
            name, arguments = ast.unparse(node.targets[0]), node.value.args
        else:
            continue
        text = "\n".join(code.splitlines()[node.lineno - 1 : node.end_lineno])
        for exercise in exercises:
            own, given = _parameters(exercise), [one.arg for one in (*arguments.posonlyargs, *arguments.args)]
            if len(own) - len(given) in (0, -len(arguments.defaults)):
                answer = f"{ast.unparse(node)}\n{exercise.id} = {name}"
                yield Shown(exercise.id, place, text, answer, whole=own == given)


def _bodies(exercises: Iterable[Exercise], place: str, code: str, *, block: bool) -> Iterator[Shown]:
    """Put lines that name an argument of an exercise into its function; a value at their end is returned."""
    body = _parsed(code).body
    if not body or any(isinstance(node, ast.FunctionDef) for node in body):
        return
    ending: list[ast.stmt]
    match body[-1]:
        case ast.Expr(value=value) if not isinstance(value, _ANYBODYS):
            ending = [ast.Return(value)]
        case ast.Assign(targets=[ast.Name()], value=value):
            ending = [ast.Return(value)]
        case ast.AugAssign(target=ast.Name(id=name)):
            ending = [body[-1], ast.Return(ast.Name(name))]
        case ast.Return():
            ending = [body[-1]]
        case _:
            return
    answer = "\n".join(map(ast.unparse, [*body[:-1], *ending]))
    names = {node.id for part in body for node in ast.walk(part) if isinstance(node, ast.Name)}
    for exercise in exercises:
        if names & set(_parameters(exercise)):
            whole = block and isinstance(body[-1], ast.Return)
            yield Shown(exercise.id, place, code.rstrip(), answered(exercise, answer), whole)


def _parameters(exercise: Exercise) -> list[str]:
    arguments = _parsed(answered(exercise, "pass")).body[0]
    assert isinstance(arguments, ast.FunctionDef)
    return [one.arg for one in (*arguments.args.posonlyargs, *arguments.args.args)]


def _parsed(code: str) -> ast.Module:
    """Parse a piece of code; a text that is not code, such as a formula or magic, is treated as empty."""
    try:
        return parse(code.strip("\n"))
    except (SyntaxError, ValueError):
        return ast.Module([], [])
