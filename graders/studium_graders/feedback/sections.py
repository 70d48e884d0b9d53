"""Turn a notebook's cells, marks and results into the sections of its page."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from studium_graders.engine.material.assignment import Cell
from studium_graders.engine.material.results import NotebookResult, TestResult
from studium_graders.feedback.code import show_code
from studium_graders.feedback.handed_in import HandedIn
from studium_graders.feedback.markdown import show_markdown
from studium_graders.feedback.marks import Mark, NotebookMarks
from studium_graders.feedback.model import Answer, Check, Section, Word
from studium_graders.feedback.outputs import show_outputs
from studium_graders.feedback.page_limits import Room
from studium_graders.feedback.stock import Told, told_by
from studium_graders.results.mistakes import Sentences
from studium_graders.results.safe_outputs import safe_outputs

_MADE_UP = re.compile(r"(?:cell-)?[0-9a-f]*")
_WITHHELD = "<p>The output of this cell is not shown here because a hidden test ran before it.</p>"
_SAID_ONCE = ("missing", "unreadable")  # shown at the top of the page, so tests need not repeat it
_HEADING = re.compile(r"^#+\s+(.+)$", re.MULTILINE)


class Sources(msgspec.Struct):
    """What the sections of a notebook are made from. ``released`` are the template's sources by cell id."""

    cells: tuple[Cell, ...]
    released: Mapping[str, str]
    handed_in: HandedIn
    marks: NotebookMarks
    result: NotebookResult | None
    is_secret: Callable[[str], bool]
    room: Room
    sentences: Sentences


def sections_of(sources: Sources) -> list[Section]:
    """Return the exercises in the notebook's order: answers, each group followed by what was checked in it."""
    sections: list[Section] = []
    names: list[str] = []
    for cell in sources.cells:
        is_answer = cell.kind == "answer" or (cell.kind == "text" and cell.graded) or _is_text_answer(cell, sources)
        if not is_answer and cell.kind != "test":
            continue
        if _opens(cell, is_answer, sections, names):
            sections.append(Section(cell.exercise or _title(cell, sources, len(sections) + 1)))
            names.append(cell.exercise)
        section = sections[-1]
        if cell.exercise and not names[-1]:
            section.title = names[-1] = cell.exercise
        if is_answer and not _was_not_read(sources):
            section.answers.extend(_answers(cell, sources))
        if mark := sources.marks.marks.get(cell.grade_id):
            section.checks.append(_check(cell, mark, sources))
            section.cells.append(cell.grade_id)
    return sections


def _was_not_read(sources: Sources) -> bool:
    """Return whether the cells on disk are the assignment's own, because nothing handed in could be read."""
    return sources.result is not None and sources.result.verdict in _SAID_ONCE


def _title(cell: Cell, sources: Sources, number: int) -> str:
    """Return the cell's name; if nbgrader made it up, the heading in the cell or the nearest one before it."""
    if not _MADE_UP.fullmatch(cell.grade_id):
        return cell.grade_id
    before = [item for item in sources.cells[: sources.cells.index(cell) + 1] if item.kind == "text"]
    headings = [found[-1] for item in before if (found := _HEADING.findall(sources.released.get(item.id, "")))]
    return re.sub(r"[*_`$]", "", headings[-1]).strip() if headings else f"Exercise {number}"


def other_answers(sources: Sources) -> list[Answer]:
    """Return the student's cells that belong to no exercise."""
    return [_answer("Your code", cell, sources) for cell in sources.handed_in.extras if cell["cell_type"] == "code"]


def _is_text_answer(cell: Cell, sources: Sources) -> bool:
    return cell.kind == "text" and cell.grade_id in sources.marks.remarks


def _opens(cell: Cell, is_answer: bool, sections: list[Section], names: list[str]) -> bool:
    if not sections:
        return True
    if is_answer:
        return bool(sections[-1].checks)
    return bool(cell.exercise and names[-1] and names[-1] != cell.exercise)


def _answers(cell: Cell, sources: Sources) -> Iterator[Answer]:
    found = sources.handed_in.cell(cell)
    remark = sources.marks.remarks.get(cell.grade_id)
    if found is not None:
        is_task = cell.kind == "text" and cell.locked
        answer = _answer("The task" if is_task else _label(found), found, sources, cell)
    else:
        answer = Answer("Your answer", "<p>Missing from what you handed in.</p>")
    if remark:
        answer.remark, answer.by_hand = remark.text, remark.by_hand
    yield answer
    if cell.kind == "text" and cell.graded and found is not None:
        yield from (_answer(_label(own), own, sources) for own in sources.handed_in.after(cell))


def _label(cell: Mapping[str, Any]) -> str:
    return "Your code" if cell["cell_type"] == "code" else "Your text"


def _answer(label: str, cell: Mapping[str, Any], sources: Sources, known: Cell | None = None) -> Answer:
    if cell["cell_type"] != "code":
        text = show_markdown(cell["source"], cell.get("attachments") or {}, sources.room)
        return Answer(label, "".join([f'<div class="markup">{text}</div>', *sources.room.notes()]))
    outputs = cell.get("outputs") or []
    runs = sources.result.runs if sources.result else {}
    run = runs.get(known.id if known else cell.get("id", ""))
    is_ours = run is not None and safe_outputs(run.outputs) == outputs  # otherwise it was graded again since
    outputs = run.outputs if run and is_ours else outputs
    code = show_code(cell["source"], sources.room)
    if outputs and not is_ours and sources.handed_in.may_know_hidden_tests(cell):
        shown = [_WITHHELD]
    else:
        shown = show_outputs(outputs, sources.is_secret, sources.room)
    return Answer(label, code, [*shown, *sources.room.notes()])


def _check(cell: Cell, mark: Mark, sources: Sources) -> Check:
    tests = sources.result.tests if sources.result else []
    test = next((test for test in tests if test.grade_id == cell.grade_id), None)
    if cell.kind != "test":
        return _hand_check(mark, test, sources)
    hidden = cell.hidden or bool(test and test.hidden)
    check = Check(cell.test or _test_name(cell), mark.score, mark.max_score, "failed", hidden=hidden)
    if test and (test.hidden or not cell.hidden):
        check.word, check.message = _word(test.outcome), test.message
        check.mistake = sources.sentences.about(test)
    else:
        _tell(check, cell, mark, sources)
    if check.word in ("passed", "not attempted") or _was_not_read(sources):
        check.message = ""
    return _with_hand_marks(check, mark)


def _test_name(cell: Cell) -> str:
    """Return a readable name for a test of a course that is not ours: its id, with spaces."""
    return re.sub(r"[_-]+", " ", cell.grade_id).strip() or cell.grade_id


def _word(outcome: str) -> Word:
    words: dict[str, Word] = {"partial": "partial credit", "manual": "waits for marking", "review": "waits for marking"}
    return words.get(outcome, outcome)  # type: ignore[arg-type]


def _tell(check: Check, cell: Cell, mark: Mark, sources: Sources) -> None:
    """Fill in what nbgrader's own grading left: the points, and the outputs of the test cell."""
    found = sources.handed_in.cell(cell)
    told = told_by(found.get("outputs") or [], cell, sources.released.get(cell.id, "")) if found is not None else Told()
    points = mark.auto or 0.0
    check.word = "passed" if points >= mark.max_score else "partial credit" if points > 0 else "failed"
    if check.word == "failed" and told.stub and (told.by_engine or _stub_before(cell, sources)):
        check.word = "not attempted"
    if check.word != "passed" and not sources.is_secret(told.message + told.trace):
        check.message, check.trace_html = told.message, told.trace


def _stub_before(cell: Cell, sources: Sources) -> bool:
    """Return whether the nearest answer before a test is unchanged since it was handed out."""
    before = [item for item in sources.cells[: sources.cells.index(cell)] if item.kind == "answer"]
    if not before or (found := sources.handed_in.cell(before[-1])) is None:
        return True
    return bool(str(found["source"]).strip() == sources.released.get(before[-1].id, "").strip())


def _hand_check(mark: Mark, test: TestResult | None, sources: Sources) -> Check:
    word: Word = "waits for marking" if mark.waits else "not attempted"
    message = test.message if test and not _was_not_read(sources) else ""
    return _with_hand_marks(Check("your answer", mark.score, mark.max_score, word, message), mark)


def _with_hand_marks(check: Check, mark: Mark) -> Check:
    if mark.manual is not None:
        if check.word not in ("waits for marking", "not attempted") and mark.auto is not None:
            check.notes.append(f"the test itself gave {mark.auto:g}")
        check.word = "marked by hand"
    if mark.extra:
        check.notes.append(f"{mark.extra:g} of these are extra credit")
    return check
