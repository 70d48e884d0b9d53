"""Answers that do what the solution does after edits: two registered mistakes, or one change that nobody registered.

The changes are those of mutation testing. They are tried one by one until the time is up: a table that is stored with
the topic would have to know every draw of the test data, and would go stale with each change of a test.
"""

import contextlib
import inspect
import itertools
import re
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

from studium.errors import ExerciseError
from studium.exercises.edits import overlapping
from studium.exercises.explaining.as_if import enough
from studium.exercises.explaining.budget import Budget, can_interrupt
from studium.exercises.explaining.cutting import weight
from studium.exercises.explaining.evidence import Case, Evidence, alike, attempt
from studium.exercises.explaining.finding import Finding
from studium.exercises.model import AnyFunction, Exercise


def pair(evidence: Evidence, tried: list[Case], budget: Budget) -> Finding | None:
    """Say which two registered mistakes together do what the answer does in every call."""
    exercise = evidence.exercise
    if not can_interrupt() or not enough(evidence.failed):
        return None
    known = [one for one in exercise.misconceptions if one.edits]
    for one, other in itertools.combinations(known, 2):
        edits = (*one.edits, *other.edits)
        if budget.spent or overlapping(exercise.marked.body, [old for old, _ in edits]):
            continue
        try:
            function = exercise.marked.with_edits(f"{one.name} and {other.name}", edits)
        except ExerciseError:  # together they are not Python
            continue
        if fits(evidence, tried, function, budget):
            return Finding(f"Two mistakes at once. {one.message} {other.message}", "pair")
    return None


def single(evidence: Evidence, tried: list[Case], budget: Budget) -> Finding | None:
    """Say which operation of the solution the answer does otherwise; the solution's own text is not shown."""
    if not can_interrupt() or not enough(evidence.failed):  # a change may loop for ever
        return None
    for words, function in _changed(evidence.exercise):
        if budget.spent:
            return None
        if fits(evidence, tried, function, budget):
            return Finding(f"Your function does what a right one does {words}.", "edit")
    return None


def fits(evidence: Evidence, tried: list[Case], function: AnyFunction, budget: Budget) -> bool:
    """Return whether a function does what the answer does in every call, smallest calls of failed tests first.

    Calls in which several results are acceptable count too: the answer's own is one that a failed test refused.
    """
    failed = sorted((case for case in (*tried, *evidence.cases) if not case.passed), key=_weight)
    passed = [case for case in evidence.cases if case.passed]
    return all(attempt(budget, partial(_does, function, case)) for case in (*failed, *passed))


def _weight(case: Case) -> int:
    return weight(case.call)


def _does(function: AnyFunction, case: Case) -> bool:
    return alike(case.call.replay(function), case.call.observed)


def _changed(exercise: Exercise) -> Iterator[tuple[str, AnyFunction]]:
    """Return the words and the function of each change of a solution that can be told without showing it."""
    function = inspect.unwrap(exercise.solution)
    for words, text in _texts(exercise.file.read_text("utf-8"), exercise.id):
        names: dict[str, Any] = dict(function.__globals__)
        with contextlib.suppress(Exception):  # a default value, say, may fail at once
            exec(compile(text, f"<{exercise.id} changed>", "exec", dont_inherit=True), names)  # noqa: S102 - the author's
            yield words, names[exercise.id]


@lru_cache(maxsize=8)
def _texts(text: str, name: str) -> list[tuple[str, str]]:
    from studium.exercises.mutation import edits_of  # only a wrong answer needs it

    try:
        source, function, edits = edits_of(text, name)
    except StopIteration:  # the solution is no function of its file's own
        return []
    found: dict[str, str] = {}
    for edit, _ in edits:
        old, new = source.text[edit.start : edit.end].decode(), edit.text.decode()
        if words := told(old, new):
            found.setdefault(source.function(function, (edit,)).lstrip("\n"), words)
    return [(words, text) for text, words in found.items()]


_TOKEN = re.compile(r"[-+*/%@<>=!&|~]{1,2}|-?\d[\w.]*|['\"\w.]+|is not|not in")
_LEFT_OUT = {
    "+": "with one term left out",
    "-": "with one term left out",
    "*": "with one factor left out",
    "/": "with one division left out",
    "**": "with one power left out",
    "&": "with one condition left out",
    "|": "with one condition left out",
    "and": "with one condition left out",
    "or": "with one condition left out",
}
_CALLED = re.compile(r"([\w.]+)\(")


def told(old: str, new: str) -> str:
    """Say what a change does, "" where that would show too much or say too little."""
    old, new = old.strip(), new.strip()
    if _TOKEN.fullmatch(old) and _TOKEN.fullmatch(new) and new != "pass":
        return f"with `{new}` in place of `{old}`"
    if new in ("pass", "False", "True"):
        return {"pass": "with one step left out", "False": "with one branch never taken", "True": ""}[new]
    if new == f"not ({old})":
        return "with one condition reversed"
    if new == f"{old} - 1":
        return "with one bound of a range or slice one smaller"
    if not new:
        keyword = re.match(r",?\s*(\w+)\s*=", old)
        return f"without `{keyword[1]}=…`" if keyword else ""
    if sign := re.fullmatch(rf"(-|~|not)\s*{re.escape(new)}", old):
        return "without the minus sign" if sign[1] == "-" else f"without `{sign[1]}`"
    return _left_out(old, new) or _exchanged(old, new)


def _left_out(old: str, new: str) -> str:
    """Say which operation is missing where only an operand of it remains."""
    called = _CALLED.match(old)
    if called and new.startswith("(") and new[1:-1] in old:
        return f"without `{called[1]}`"
    if old.startswith(new):
        rest = old.removeprefix(new).lstrip(")").strip()
        if method := re.match(r"\.(\w+)\(", rest):
            return f"without `.{method[1]}()`"
        if rest in (".T", ".mT"):
            return f"without `{rest}`"
        operator = re.match(r"\*\*|[-+*/&|]|and\b|or\b", rest)
        return _LEFT_OUT.get(operator[0], "") if operator else ""
    if old.endswith(new):
        operator = re.search(r"(\*\*|[-+*/&|]|\band|\bor)$", old.removesuffix(new).rstrip("( "))
        return _LEFT_OUT.get(operator[0], "") if operator else ""
    return ""


def _exchanged(old: str, new: str) -> str:
    if sorted(re.findall(r"\w+|\S", old)) != sorted(re.findall(r"\w+|\S", new)):
        return ""
    return "with the two factors of `@` exchanged" if "@" in old else "with two arguments exchanged"
