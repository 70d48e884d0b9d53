"""The ladder of a lesson's exercises, their statements and their hints, compared with the standard, as advice."""

import ast
import re
from collections.abc import Iterator

from studium.authoring.findings import Finding
from studium.authoring.subject import Subject
from studium.exercises.model import Exercise
from studium.exercises.sources import solved
from studium.exercises.syntax import parse

MOST_WORDS = 90  # "about 80"
# Decisions: 82 of our 87 core exercises meet the first bound, all 28 integrative ones the second.
FEWEST_OF_CORE, FEWEST_OF_INTEGRATIVE = 7, 18
_DECISIONS = (
    *(ast.BinOp, ast.UnaryOp, ast.Compare, ast.BoolOp, ast.AugAssign),
    *(ast.Call, ast.Subscript),
    *(ast.If, ast.IfExp, ast.For, ast.While, ast.comprehension, ast.With),
)
KINDS = ("find the bug", "derive", "measure", "open")
_CODE = re.compile(r"`([^`\n]+)`|```")
_FENCE = re.compile(r"^\s*```.*?^\s*```", re.MULTILINE | re.DOTALL)
_ROW = re.compile(r"^\s*[|*-].*$", re.MULTILINE)  # rows of a table, or items of a list


def ladder(subject: Subject) -> Finding:
    """Look at levels, kinds, statements and hints."""
    exercises = list(subject.topic.exercises.values())  # a ladder needs all of them
    advice = [*_steps(exercises)] if exercises else []
    for exercise in subject.exercises:
        advice += [*_level(exercise), *_statement(exercise), *_hints(exercise)]
    levels = ", ".join(f"{exercise.id} {exercise.level}" for exercise in exercises)
    opened = "" if any(exercise.report for exercise in exercises) else "; none is open"
    said = f"the exercises form a ladder: {levels}{opened}" if exercises else "there are no exercises"
    return Finding([], said, advice=advice)


def _steps(exercises: list[Exercise]) -> Iterator[str]:
    levels = [exercise.level for exercise in exercises]
    if "integrative" not in levels:
        yield (
            "a lesson needs an integrative exercise, such as a loop, a module or a sampler built from the earlier "
            'parts: none is marked; write one of 15 to 40 lines with level="integrative" [standard.md#the-ladder]'
        )
    if not any(exercise.kind in KINDS for exercise in exercises):
        yield (
            "a lesson needs an exercise in which the learner finds a bug, derives or measures: none is marked; give "
            "one "
            'kind="find the bug", "derive" or "measure" [standard.md#the-ladder]'
        )
    warm = sum(exercise.level == "warm-up" or _is_short(exercise) for exercise in exercises)
    if 2 * warm > len(exercises):
        yield (
            f"at most half of the exercises should be warm-ups: {warm} of {len(exercises)} have fewer than "
            f"{FEWEST_OF_CORE} decisions or are marked as warm-ups; drop or merge those without a trap "
            f"[standard.md#the-ladder]"
        )


def _is_short(exercise: Exercise) -> bool:
    """Return whether an exercise leaves little to decide; exercises that derive, find or measure may be short."""
    return exercise.level == "core" and exercise.kind not in KINDS and decisions_in(exercise) < FEWEST_OF_CORE


def _level(exercise: Exercise) -> Iterator[str]:
    if exercise.level == "integrative" and (count := decisions_in(exercise)) < FEWEST_OF_INTEGRATIVE:
        yield (
            f"{exercise.id} is marked integrative, and its solution has {count} decisions: it should have "
            f"{FEWEST_OF_INTEGRATIVE} or more; let it build more from the earlier parts, or call it core "
            f"[standard.md#the-ladder]"
        )


def _statement(exercise: Exercise) -> Iterator[str]:
    text = _ROW.sub("", _FENCE.sub("", exercise.solution.__doc__ or ""))
    if (words := len(text.split())) > MOST_WORDS:
        yield (
            f"the statement of {exercise.id} should have at most about 80 words: it has {words}; put shapes in a "
            f"table, one line each, and shorten the rest [standard.md#statements]"
        )


def _hints(exercise: Exercise) -> Iterator[str]:
    hints = exercise.hints
    if hints and "?" not in hints[0]:
        yield (
            f"the first hint of {exercise.id} should ask a question, so the learner starts to think: it does not "
            "[standard.md#hints]"
        )
    for number, hint in enumerate(hints[:-1], 1):
        if code := next((found[1] for found in _CODE.finditer(hint) if found[1] and _is_code(found[1])), ""):
            yield (
                f"only the last hint of {exercise.id} should show code: hint {number} of {len(hints)} has `{code}`; "
                f"describe the idea and the shapes there [standard.md#hints]"
            )


def _is_code(text: str) -> bool:
    """Return whether code in backticks does something: a call, an operation, a statement; a bare name does not."""
    try:
        tree = parse(text)
    except SyntaxError:  # part of a statement, such as `for x in`
        return True
    named = (ast.Name, ast.Attribute, ast.Constant, ast.Subscript, ast.Tuple, ast.Slice, ast.UnaryOp)
    return not all(isinstance(statement, ast.Expr) and isinstance(statement.value, named) for statement in tree.body)


def decisions_in(exercise: Exercise) -> int:
    """Count the operations, calls, indexings, branches and loops in a solution, on however many lines."""
    node = parse(solved(exercise)).body[0]
    assert isinstance(node, ast.FunctionDef | ast.ClassDef)
    found = [part for statement in node.body for part in ast.walk(statement)]
    return sum(isinstance(part, _DECISIONS) and not _is_negative(part) for part in found)


def _is_negative(node: ast.AST) -> bool:
    """Return whether a node is a number with its sign, which counts as one number."""
    return isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant)
