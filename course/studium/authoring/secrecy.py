"""Checks that nothing learners read, run or see gives away a solution, a hidden test or a misconception."""

import ast
import contextlib
import itertools
import json
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import Any

from studium.authoring.bare import bare, squeezed, without_comments
from studium.authoring.findings import Finding
from studium.authoring.renamed import holds_renamed, own_part
from studium.authoring.shown import RIGHT, WRONG, Shown
from studium.authoring.shown_code import SNIPPET
from studium.authoring.subject import Subject
from studium.exercises.definitions import definition
from studium.exercises.model import Exercise
from studium.exercises.sources import marked, stub, unwritten
from studium.exercises.syntax import parse
from studium.notebooks.editions import read_lesson
from studium.topics.topic import Topic

SHORTEST = 24  # characters; anybody may write shorter lines, such as "return x @ w.T"
_NOT_HANDED_OUT = ("exercises.py", "reference.py", "test_*.py", "conftest.py", "*.pyc")
_LONGEST = 50_000  # characters
_QUOTED = 60  # characters of code in a message
_LARGEST = 2**20  # bytes; a larger file holds data
_LINE, _SENTENCE = "a line of the solution", "a misconception"
_GAP = ".{0,60}?"  # what may come between two lines of a solution that is given away in a text


@dataclass(frozen=True)
class Answer:
    """What learners must not find out about an exercise: its whole solution, and its telling lines by kind.

    ``bare`` is the text that the learner writes; ``steps`` are its statements; ``lines`` has, for each kind, the bare
    line and the line as written.
    """

    exercise: Exercise
    bare: str
    whole: re.Pattern[str]
    steps: tuple[ast.AST, ...]
    lines: dict[str, dict[str, str]]

    def leak_in(self, place: str, text: str, plain: str) -> str:
        """Describe what a text gives away, or return ""; ``plain`` is the bare text."""
        if self.whole.search(plain) or holds_renamed(self.steps, text):
            return self._whole_in(place)
        for what, lines in self.lines.items():
            if leak := min((line for key, line in lines.items() if key in plain), default=""):
                return self._line_in(place, what, leak)
        return ""

    def solution_in(self, place: str, text: str, plain: str) -> str:
        """Return how a text that is not about this topic gives away the solution or a misconception, or "".

        It gives the solution away if it contains all of it, under any names, or more than half of its telling lines. A
        single line, such as ``losses.append(loss.item())``, appears in everybody's code. A solution with fewer than
        SHORTEST bare characters does not count.
        """
        if len(self.bare) >= SHORTEST and (self.whole.search(plain) or holds_renamed(self.steps, text)):
            return self._whole_in(place)
        own = self.lines[_LINE]
        found = [line for key, line in own.items() if key in plain]
        if 2 * len(found) > len(own):
            return self._line_in(place, f"{len(found)} of the {len(own)} telling lines of the solution", min(found))
        if said := [line for key, line in self.lines[_SENTENCE].items() if key in plain]:
            return self._line_in(place, _SENTENCE, said[0])
        return ""

    def _whole_in(self, place: str) -> str:
        name = self.exercise.id
        return f"{place} must not give away the solution of {name}: it contains all of it; remove it"

    def _line_in(self, place: str, what: str, line: str) -> str:
        return f"{place} must not give away {what} of {self.exercise.id}: it contains {line!r}; remove it"


def answers_of(topic: Topic) -> list[Answer]:
    """Return what must be kept secret in each exercise, except lines of a solution that the author shows on purpose."""
    prose = [cell.source for cell in read_lesson(topic).cells if cell.cell_type == "markdown"]
    shown = bare("\n".join([*prose, *(hint for exercise in topic.exercises.values() for hint in exercise.hints)]))
    return [_answer(exercise, shown) for exercise in topic.exercises.values()]


def _answer(exercise: Exercise, shown: str) -> Answer:
    solution, given = without_comments(marked(exercise)), without_comments(unwritten(exercise))
    start = without_comments(stub(exercise))
    visible = "\n".join(definition(test.function) for test in exercise.tests if not test.hidden)
    hidden = "\n".join(definition(test.function) for test in exercise.tests if test.hidden)
    own = {key: line for key, line in _telling(solution).items() if key not in shown}
    written = _written(solution, given)
    return Answer(
        exercise,
        bare("\n".join(written)),
        _whole(written),
        own_part(exercise),
        {
            _LINE: _without(own, _telling(start)),
            "a line of a hidden test": _without(_telling(hidden), _telling(visible) | _telling(solution)),
            _SENTENCE: {bare(item.message): item.message for item in exercise.misconceptions},
        },
    )


def leaks_in(answers: Iterable[Answer], place: str, text: str) -> Iterator[str]:
    """Describe what a text gives away about each exercise."""
    plain = bare(text)
    yield from filter(None, (answer.leak_in(place, text, plain) for answer in answers))


def solutions_in(answers: Iterable[Answer], place: str, text: str) -> Iterator[str]:
    """Return which solutions and misconceptions of any topic a file gives away, whatever the file is about."""
    if place.endswith((".json", ".ipynb")):
        with contextlib.suppress(ValueError):
            text = "\n".join([text, *texts_in(json.loads(text))])
    plain = bare(text)
    yield from filter(None, (answer.solution_in(place, text, plain) for answer in answers))


def secrecy(subject: Subject) -> Finding:
    """Check that learners neither read nor are shown a solution, a hidden test or a misconception in the lesson."""
    answers = answers_of(subject.topic)
    summary = "what learners get contains no solutions, hidden tests or misconceptions"
    return Finding(list(told(subject, answers)) or list(_shown_by_cells(subject, answers)), summary)


def told(subject: Subject, answers: list[Answer]) -> Iterator[str]:
    """Return what the texts learners read give away: cells, hints, files, names and messages of tests."""
    leaks = list(_in_places(subject, answers))
    yield from leaks or _right_answers(subject.shown)
    for exercise in subject.exercises:  # these are in the author's file, and are shown to anybody who fails a test
        for place, text in _messages(exercise):
            yield from leaks_in(
                [replace(answer, lines={_LINE: answer.lines[_LINE]}) for answer in answers], place, text
            )
        for misconception in exercise.misconceptions:  # whoever has got that far may be shown a line, as in a hint
            place = f"the message {misconception.message!r}"
            yield from leaks_in([replace(answer, lines={}) for answer in answers], place, misconception.message)


def _in_places(subject: Subject, answers: Iterable[Answer]) -> Iterator[str]:
    """Look for answers in what learners get, except in code that fails the tests: a wrong answer shown on purpose."""
    wrong: defaultdict[str, list[str]] = defaultdict(list)
    for exercise in subject.exercises:
        if exercise.shown is not None:
            wrong[exercise.id].append(stub(exercise).rstrip())
    for one in subject.shown:
        if one.whole and one.verdict == WRONG:
            wrong[one.exercise].append(one.text)
    for place, text in _places(subject):
        plain = bare(text)
        for answer in answers:
            left, left_plain = text, plain
            for code in wrong[answer.exercise.id]:
                left, left_plain = left.replace(code, ""), left_plain.replace(bare(code), "")
            if leak := answer.leak_in(place, left, left_plain):
                yield leak


def _right_answers(shown: Iterable[Shown]) -> Iterator[str]:
    for one in shown:
        if one.verdict == RIGHT:
            line = squeezed(one.text)
            yield (
                f"{one.place} must not give away the solution of {one.exercise}: "
                f"`{line if len(line) <= _QUOTED else line[:_QUOTED] + '…'}` earns full marks; remove it "
                "[standard.md#shown-code]"
            )


def _shown_by_cells(subject: Subject, answers: list[Answer]) -> Iterator[str]:
    for event in subject.lesson_run.events:
        if event.edition == "lesson":
            shown = (text for text in texts_in(event.outputs) if len(text) < _LONGEST)  # anything longer is data
            yield from leaks_in(answers, f"what {subject.place(event.cell)} shows", "\n".join(shown))


def _places(subject: Subject) -> Iterator[tuple[str, str]]:
    """Return the name and text of everything learners get: cells and what is attached to them, hints, files."""
    for cell in subject.lesson.cells:
        if cell.cell_type == "markdown":
            for found in SNIPPET.finditer(cell.source):
                yield f"the text of {subject.place(str(cell.id))}", textwrap.dedent(found[1] or found[2])
    for kind, name in (("code", "code"), ("markdown", "text")):
        cells = [cell.source for cell in subject.lesson.cells if cell.cell_type == kind]
        yield f"the {name} of the lesson", "\n".join(cells)
    hung_on = [{k: v for k, v in cell.items() if k != "source"} for cell in subject.lesson.cells]
    yield "the metadata of the lesson", "\n".join(texts_in([subject.lesson.metadata, hung_on]))
    for exercise in subject.exercises:
        yield f"the hints of {exercise.id}", "\n".join(exercise.hints)
    for path in sorted(subject.folder.rglob("*")):
        name = path.relative_to(subject.folder).as_posix()
        if path.is_file() and _is_handed_out(name) and path.stat().st_size <= _LARGEST:
            with contextlib.suppress(UnicodeDecodeError):
                yield name, path.read_text("utf-8")


def _is_handed_out(name: str) -> bool:
    """Return whether learners get a file of the topic unchanged."""
    last = name.rpartition("/")[2]
    return not name.startswith("exercises/") and not any(fnmatch(last, pattern) for pattern in _NOT_HANDED_OUT)


def _messages(exercise: Exercise) -> Iterator[tuple[str, str]]:
    for test in exercise.tests:
        yield f"the name of the test {test.name!r}", test.name
        strings = [n.value for n in ast.walk(parse(definition(test.function))) if isinstance(n, ast.Constant)]
        yield f"a message of the test {test.name!r}", "\n".join(text for text in strings if isinstance(text, str))


def texts_in(value: Any) -> Iterator[str]:
    """Return all strings in nested tables and lists, together with the keys of the tables."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from itertools.chain.from_iterable(map(texts_in, itertools.chain(value, value.values())))
    elif isinstance(value, list | tuple):
        yield from itertools.chain.from_iterable(map(texts_in, value))


def _written(solution: str, given: str) -> list[str]:
    """Return the lines between the markers."""
    known = [line.strip() for line in given.splitlines()]
    lines = (line.strip() for line in solution.splitlines())
    return [line for line in lines if line and line not in known]


def _whole(lines: Sequence[str]) -> re.Pattern[str]:
    """Match all lines in order; for a single `return`, what it returns."""
    text = squeezed("\n".join(lines))
    if text.count("return ") == 1 and text.startswith("return ") and len(text) > SHORTEST:
        return re.compile(re.escape(bare(text.removeprefix("return "))))
    gap = _GAP if len(text) > SHORTEST else ""
    return re.compile(gap.join(re.escape(bare(line)) for line in lines))


def _telling(text: str) -> dict[str, str]:
    """Return the telling lines, bare and as written."""
    lines = (squeezed(line) for line in text.splitlines())
    telling = (line for line in lines if len(line) >= SHORTEST and not line.startswith(("def ", "#", "for ", '"""')))
    return {bare(line): line for line in telling}


def _without(lines: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    return {key: line for key, line in lines.items() if key not in known}
