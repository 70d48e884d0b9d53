"""Feedback pages: what they say, what they never say, that they can do nothing, and when they are written again."""

import base64
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from studium.catalogue.catalogue import Catalogue
from studium.errors import CourseError, UnknownNameError

pytest.importorskip("nbgrader")

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from nbgrader.api import Gradebook
from studium_graders.assignments.building import build_assignment
from studium_graders.engine.material import results as engine
from studium_graders.engine.material.results import CellRun, NotebookResult, SubmissionResult
from studium_graders.feedback import write_feedback
from studium_graders.feedback.markdown import show_markdown
from studium_graders.feedback.outputs import clean_html, show_outputs
from studium_graders.feedback.page_limits import Room
from studium_graders.results.safe_outputs import error_output, safe_outputs
from studium_graders.results.store import ResultsStore

from .conftest import PATIENT

pytestmark = pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning")  # nbgrader's own

ZERO, SUM = "counting-total-is-zero-for-no-values", "counting-total-counts-negative-values-as-negative"
SECRET = "the hidden sum of 1 and -4"
WRONG = "def total(values):\n    return sum(abs(value) for value in values)"
MISTAKE = "You added the sizes of the numbers, whatever their signs."
MISTAKE_ID = "counting.total:added-the-sizes"
PNG = base64.b64encode(
    base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
).decode()
MARKS = {"schema_version": 3, "grade": True, "solution": True, "locked": False, "task": False}
LATE = '[late]\npolicy = "per-day"\npenalty_percent = 10\n'


@pytest.fixture(scope="module")
def course(counting: Catalogue, make_course: Callable) -> Path:
    """A course whose ps1 is the counting topic and an essay that a person marks."""
    root: Path = make_course(rest=LATE)
    essay = new_notebook(cells=[new_markdown_cell("# An essay"), *(_by_hand(name) for name in ("why", "plot"))])
    (root / "source" / "ps1").mkdir(parents=True)
    nbformat.write(essay, root / "source" / "ps1" / "essay.ipynb")
    build_assignment(root, "ps1", counting)
    return root


def _by_hand(name: str) -> Any:
    marks = MARKS | {"grade_id": name, "points": 2}
    made = new_markdown_cell if name == "why" else new_code_cell
    return made("### BEGIN SOLUTION\nbecause\n### END SOLUTION", metadata={"nbgrader": marks})


@pytest.fixture
def mark(course: Path) -> Callable[..., Path]:
    """mark("alice", points={grade_id: auto}, sources={…}, outputs={…}) → feedback/alice/ps1 after write_feedback.

    Records the marks and writes the autograded notebooks as nbgrader does: tests with their hidden parts in.
    """

    def record(student: str, points: dict[str, float] | None = None, **more: Any) -> Path:
        _record(course, student, points or {}, more.get("when", "2026-03-01 12:00:00"))
        if "after" in more:
            with _gradebook(course) as book:
                more["after"](book)
                book.db.commit()
        if "results" in more:
            result = SubmissionResult(student, "L2", 0.1, [NotebookResult("counting", **more["results"])])
            ResultsStore(course / ".studium" / "results" / "ps1").save("key", result)
        _write_autograded(course, student, more.get("sources", {}), more.get("outputs", {}), more.get("extra", []))
        write_feedback(course, "ps1", [student])
        return course / "feedback" / student / "ps1"

    return record


def _gradebook(course: Path) -> Gradebook:
    return Gradebook(f"sqlite:///{course / 'gradebook.db'}", "course101")


def _record(course: Path, student: str, points: dict[str, float], when: str) -> None:
    with _gradebook(course) as book:
        book.update_or_create_student(student, first_name="Ada", last_name="<b>Lovelace</b>")
        submission = book.update_or_create_submission("ps1", student, timestamp=when)
        for notebook in submission.notebooks:
            for grade in notebook.grades:
                by_hand = grade.name in ("why", "plot")
                grade.auto_score = None if by_hand else points.get(grade.name, 0.0)
                grade.needs_manual_grade = by_hand
        book.db.commit()


def _write_autograded(course: Path, student: str, sources: dict, outputs: dict, extra: list) -> None:
    folder = course / "autograded" / student / "ps1"
    folder.mkdir(parents=True, exist_ok=True)
    with _gradebook(course) as book:
        full = {cell.name: cell.source for name in ("counting", "essay") for cell in _cells(book, name)}
    for path in (course / "release" / "ps1").glob("*.ipynb"):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
            if cell.metadata.get("nbgrader", {}).get("locked"):
                cell.source = full[name]
            cell.source = sources.get(name, cell.source)
            if name in outputs:
                cell.outputs = outputs[name]
        notebook.cells[1:1] = extra if path.stem == "counting" else []
        nbformat.write(notebook, folder / path.name)


def _cells(book: Gradebook, notebook: str) -> list:
    return book.find_notebook(notebook, "ps1").source_cells


def page_of(folder: Path, notebook: str = "counting") -> str:
    return (folder / f"{notebook}.html").read_text("utf-8")


def text_of(html: str) -> str:
    body = html[html.index("<body>") :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)).replace("&#39;", "'").replace("&#34;", '"')


def failed(message: str = "expected 0") -> list:
    trace = ["\x1b[31m---------\x1b[0m", f"----> 7 assert_close(total([1.0, -4.0]), -3.0, message='{SECRET}')", message]
    return [new_output("error", ename="AssertionError", evalue=f"{SECRET}: {message}", traceback=trace)]


def shown(*tests: engine.TestResult, **more: Any) -> dict[str, Any]:
    return {"verdict": "graded", "tests": list(tests)} | more


def engine_test(grade_id: str, points: float, most: float, outcome: str, **more: Any) -> engine.TestResult:
    return engine.TestResult("total", "a name", points, most, outcome, notebook="counting", grade_id=grade_id, **more)


# What a page says


def test_a_page_names_score_outcomes_mistake_and_the_students_own_code(mark: Callable) -> None:
    tests = (
        engine_test(ZERO, 1, 1, "passed"),
        engine_test(SUM, 0, 2, "failed", message="a hidden test of `total` failed", mistake_id=MISTAKE_ID, hidden=True),
    )
    page = page_of(mark("alice", {ZERO: 1}, sources={"counting-total": WRONG}, results=shown(*tests)))
    text = text_of(page)
    assert "1 of 5 points" in text
    assert f"The likely mistake {MISTAKE}" in text
    assert "is zero for no values ✓ passed 1 of 1" in text
    assert "counts negative values as negative hidden test ✗ failed 0 of 2" in text
    assert "a hidden test of total failed" in text
    assert "return sum ( abs ( value )" in re.sub(r"([()])", r" \1 ", text).replace("  ", " ")
    assert "Handed in 1 March 2026, 13:00 CET" in text
    assert "Graded by Studium, sandbox L2." in text
    assert re.search(r"Feedback written \d+ \w+ 20\d\d, \d\d:\d\d CES?T", text)
    assert "running_secret" not in page  # a line of the solution


def test_a_recorded_mistake_that_is_a_sentence_is_shown_and_one_that_no_topic_has_is_not(mark: Callable) -> None:
    message = "a hidden test of `total` failed"
    for recorded, said in {  # the first is a result of before mistakes had ids
        MISTAKE: f"The likely mistake {MISTAKE}",
        "counting.total:gone": "",
        "no-such-topic.total:added-the-sizes": "",
    }.items():
        test = engine_test(SUM, 0, 2, "failed", message=message, mistake_id=recorded, hidden=True)
        text = text_of(page_of(mark("ben", results=shown(test))))
        assert "a hidden test of total failed" in text
        assert ("The likely mistake" in text) == bool(said)
        assert said in text


@pytest.mark.parametrize(("setting", "of_hidden_ones"), [("", True), ("hidden_sentences = false\n", False)])
def test_what_is_true_of_an_answer_without_a_name_is_on_its_page_unless_it_is_switched_off(
    mark: Callable, course: Path, setting: str, of_hidden_ones: bool
) -> None:
    said = "Yours is the negative of the right result."
    file = course / "course.toml"
    before = file.read_text()
    file.write_text(setting + before)
    try:
        for grade_id, hidden in ((SUM, True), (ZERO, False)):
            test = engine_test(grade_id, 0, 2, "failed", message="a test of `total` failed", said=said, hidden=hidden)
            assert (said in text_of(page_of(mark("kim", results=shown(test))))) is (of_hidden_ones or not hidden)
    finally:
        file.write_text(before)


def test_an_untouched_answer_is_not_attempted_and_one_that_raises_not_implemented_is_failed(mark: Callable) -> None:
    stub = [new_output("error", ename="NotImplementedError", evalue="", traceback=["NotImplementedError"])]
    text = text_of(page_of(mark("bob", outputs={ZERO: stub, SUM: stub})))
    assert "is zero for no values ○ not attempted 0 of 1" in text
    assert "counts negative values as negative hidden test ○ not attempted 0 of 2" in text
    own = "def total(values):\n    raise NotImplementedError"
    text = text_of(page_of(mark("zoe", sources={"counting-total": own}, outputs={ZERO: stub, SUM: stub})))
    assert "is zero for no values ✗ failed 0 of 1" in text


def test_what_waits_for_a_person_is_said_in_words(mark: Callable) -> None:
    text = text_of(page_of(mark("carol", sources={"why": "**So** it is"}), "essay"))
    assert "4 points more wait for marking by a person; until then they count as 0" in text
    assert "waits for marking 0 of 2" in text
    assert "So it is" in text


def test_marks_and_comments_by_hand_are_shown(mark: Callable) -> None:
    def by_hand(book: Gradebook) -> None:
        grade = book.find_grade("why", "essay", "ps1", "dora")
        grade.manual_score, grade.extra_credit, grade.needs_manual_grade = 1.5, 0.5, False
        book.find_comment("why", "essay", "ps1", "dora").manual_comment = "Why <script>alert(1)</script>\nso short?"

    page = page_of(mark("dora", after=by_hand), "essay")
    text = text_of(page)
    assert "marked by hand 2 of 2" in text
    assert "0.5 of these are extra credit" in text
    assert "Comment Why &lt;script&gt;alert(1)&lt;/script&gt; so short?" in text
    assert "<script" not in page


def test_a_mark_by_hand_wins_over_a_test_and_says_what_the_test_gave(mark: Callable) -> None:
    def by_hand(book: Gradebook) -> None:
        book.find_grade(SUM, "counting", "ps1", "emil").manual_score = 1.5

    text = text_of(page_of(mark("emil", {ZERO: 1}, after=by_hand)))
    assert "marked by hand 1.5 of 2" in text
    assert "the test itself gave 0" in text
    assert "2.5 of 5 points" in text


def test_a_late_submission_is_told_what_that_costs(mark: Callable) -> None:
    def late(book: Gradebook) -> None:
        book.find_submission_notebook("counting", "ps1", "fay").late_submission_penalty = 0.6

    text = text_of(page_of(mark("fay", {ZERO: 1, SUM: 2}, when="2026-03-03 10:59:00", after=late)))
    assert "3 points earned, less 0.6 points for handing in 1 day 12 hours late" in text
    assert "2.4 of 5 points" in text
    assert "All notebooks of ps1 together: 2.4 of 9 points" in text


def test_a_time_at_the_end_of_the_calendar_is_an_unknown_time(mark: Callable) -> None:
    for when in ("9999-12-31 23:59:59", "0001-01-01 00:00:00"):
        assert "Handed in at an unknown time" in text_of(page_of(mark("eternal", when=when)))


def test_the_sentence_of_a_stopped_notebook_is_shown(mark: Callable) -> None:
    result = shown(verdict="time limit", detail="stopped after 30 s: is there an endless loop?")
    assert "Stopped after 30 s: is there an endless loop?" in text_of(page_of(mark("gus", results=result)))


def test_a_notebook_that_is_not_there_is_said_to_be_missing(mark: Callable, course: Path) -> None:
    folder = mark("hal")
    shutil.rmtree(course / "autograded" / "hal")
    write_feedback(course, "ps1", ["hal"])
    assert "This notebook was missing from what you handed in." in text_of(page_of(folder))


def test_a_notebook_that_could_not_be_read_is_not_shown_as_the_students_code(mark: Callable) -> None:
    tests = [
        engine_test(name, 0, most, "failed", message="the file ends in the middle")
        for name, most in ((ZERO, 1), (SUM, 2))
    ]
    page = page_of(
        mark("xen", results=shown(*tests) | {"verdict": "unreadable", "detail": "the file ends in the middle"})
    )
    assert "The file ends in the middle" in page
    assert "Your code" not in page


def test_why_a_notebook_has_no_marks_is_said_once_with_the_file_named_as_it_is(mark: Callable, course: Path) -> None:
    folder = mark("lou")
    why = "essay.ipynb was not handed in"
    tests = [
        engine.TestResult("essay", name, 0, 2, "failed", why, notebook="essay", grade_id=name)
        for name in ("why", "plot")
    ]
    result = SubmissionResult("lou", "L2", 0.1, [NotebookResult("essay", "missing", tests, detail=why)])
    ResultsStore(course / ".studium" / "results" / "ps1").save("key", result)
    write_feedback(course, "ps1", ["lou"])
    text = text_of(page_of(folder, "essay"))
    assert (text.count(why), "Essay.ipynb was" in text) == (1, False)


def test_what_was_put_right_is_told_and_what_the_engine_noted_is_not(mark: Callable) -> None:
    repairs = ["'counting-final.ipynb' was taken for counting.ipynb", "a test of <total> was missing and was put back"]
    tests = engine_test(ZERO, 0, 1, "failed"), engine_test(SUM, 0, 2, "failed")
    text = text_of(page_of(mark("moe", results=shown(*tests, repairs=repairs, notes=["the start was run again"]))))
    assert "What was put right before grading 'counting-final.ipynb' was taken for counting.ipynb" in text
    assert "a test of &lt;total&gt; was missing and was put back" in text
    assert "run again" not in text


def test_cells_of_the_students_own_are_shown_with_their_outputs(mark: Callable) -> None:
    own = new_code_cell("helper = 41 + 1\nhelper", outputs=[new_output("execute_result", {"text/plain": "42"})])
    text = text_of(page_of(mark("ida", extra=[own])))
    assert "Your other cells" in text
    assert re.search(r"Output 42 Hidden tests", text.replace(" ,", ","))


def test_outputs_of_the_engine_are_shown_where_it_graded(mark: Callable) -> None:
    table = new_output("execute_result", {"text/plain": "a table", "text/html": "<table><td>a table</table>"})
    runs = {"counting-total": CellRun([table])}
    tests = engine_test(ZERO, 0, 1, "failed"), engine_test(SUM, 0, 2, "failed")
    recorded = {"counting-total": nbformat.from_dict(safe_outputs([table]))}
    assert "<table>" in page_of(mark("jon", results=shown(*tests, runs=runs), outputs=recorded))


def test_results_are_found_where_nbgraders_settings_have_the_course(
    mark: Callable, course: Path, tmp_path: Path
) -> None:
    tests = engine_test(ZERO, 0, 1, "failed", message="expected 0, got 1"), engine_test(SUM, 0, 2, "failed")
    folder = mark("jim", results=shown(*tests))
    (folder / "counting.html").unlink()
    (tmp_path / "nbgrader_config.py").write_text(f"get_config().CourseDirectory.root = {str(course)!r}")
    write_feedback(tmp_path, "ps1", ["jim"])
    assert "expected 0, got 1" in text_of(page_of(folder))


def test_a_notebook_that_nbgrader_graded_since_shows_nothing_of_the_older_result(mark: Callable) -> None:
    runs = {"counting-total": CellRun([new_output("stream", text="printed before")])}
    tests = engine_test(ZERO, 0, 1, "failed", message="expected 0, got 1"), engine_test(SUM, 0, 2, "failed")
    outputs = {
        ZERO: nbformat.from_dict([error_output("TestFailed", "expected 0, got 2")]),
        "counting-total": [new_output("stream", text="printed now")],
    }
    text = text_of(page_of(mark("jan", results=shown(*tests, runs=runs), outputs=outputs)))
    assert "expected 0, got 2" in text
    assert "printed now" in text
    assert "expected 0, got 1" not in text
    assert "printed before" not in text
    passed = engine_test(ZERO, 1, 1, "passed"), engine_test(SUM, 2, 2, "passed")
    text = text_of(page_of(mark("jan", {ZERO: 1.0, SUM: 2.0}, results=shown(*passed, runs=runs))))
    assert "printed before" not in text
    old = engine_test(ZERO, 0, 1, "failed", message="old news"), engine_test(SUM, 2, 2, "passed")
    page = page_of(mark("jan", {ZERO: 1, SUM: 2}, results=shown(*old)))  # which the gradebook does not have
    assert "old news" not in page
    assert "Graded by nbgrader." in page


# What a page never says


def test_a_hidden_test_shows_neither_source_nor_traceback_nor_values(mark: Callable) -> None:
    folder = mark("lea", {ZERO: 1}, sources={"counting-total": WRONG}, outputs={SUM: failed()})
    page = page_of(folder)
    assert "a hidden test stopped with AssertionError" in page
    assert "counts negative values as negative" in page
    for part in (SECRET, "[1.0, -4.0]", "expected 0", "a warning costs nobody a point"):
        assert part not in page
    told = [new_output("error", ename="Input_1_and_minus_4", evalue="1, -4", traceback=["x"])]  # a student's own name
    page = page_of(mark("lea", outputs={SUM: told}))
    assert "in a hidden test, the test stopped at an error" in page
    assert "minus_4" not in page


def test_what_the_engine_left_inside_nbgrader_is_shown(mark: Callable) -> None:
    said = f"a hidden test of `total` failed {MISTAKE}"
    left = [new_output("error", ename="TestFailed", evalue=said, traceback=[f"TestFailed: {said}"])]
    untouched = [new_output("error", ename="NotAttempted", evalue="", traceback=["NotAttempted: "])]
    own = {"counting-total": WRONG}
    text = text_of(page_of(mark("max", sources=own, outputs={SUM: left, ZERO: untouched})))
    assert f"a hidden test of total failed {MISTAKE}" in text
    assert "is zero for no values ○ not attempted 0 of 1" in text


def test_a_visible_test_shows_its_message_and_its_traceback(mark: Callable) -> None:
    told = [new_output("error", ename="AssertionError", evalue="expected 0, got 7", traceback=["line", "\x1b[1mend"])]
    page = page_of(mark("noa", outputs={ZERO: told}))
    assert "AssertionError: expected 0, got 7" in page
    assert "<pre>line\nend</pre>" in page


def test_an_output_that_repeats_a_hidden_test_is_withheld(mark: Callable) -> None:
    line = f'assert_close(total([1.0, -4.0]), -3.0, message="{SECRET}")'
    outputs = [new_output("stream", text="my own print\n"), new_output("stream", text=f"In[7] = {line}\n")]
    page = page_of(mark("oto", outputs={"counting-total": outputs}))
    assert SECRET not in page
    assert "it repeats lines of a hidden test" in page
    assert "my own print" in page


def test_what_a_cell_shows_after_a_hidden_test_is_withheld_because_it_can_show_its_arguments(mark: Callable) -> None:
    leak = [new_output("stream", text="total was called with [1.0, -4.0]\n")]
    page = page_of(mark("uri", outputs={"counting-distance": leak, "counting-total": leak}))
    assert page.count("total was called with") == 1
    assert "is not shown here because a hidden test ran before it" in page


def test_what_a_cell_shows_where_no_hidden_test_had_run_is_shown(mark: Callable) -> None:
    plain = [new_output("stream", text="a line of my own\n")]
    tests = engine_test(ZERO, 0, 1, "failed"), engine_test(SUM, 0, 2, "failed")
    runs = {"counting-distance": CellRun(plain)}
    recorded = {"counting-distance": [nbformat.from_dict(output) for output in safe_outputs(plain)]}
    page = page_of(mark("una", results=shown(*tests, runs=runs), outputs=recorded))
    assert "a line of my own" in page
    assert "a hidden test ran before it" not in page


# That a page can do nothing


HOSTILE = [
    "<script>fetch('https://evil.test')</script>",
    "<img src=x onerror=alert(1)>",
    "<img src='https://evil.test/a.png'>",
    "<img src='//evil.test/a.png' srcset='https://evil.test/b.png 2x'>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='JaVa&#10;ScRiPt:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<iframe src='https://evil.test'></iframe><iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data='https://evil.test'></object><embed src='https://evil.test'>",
    "<svg onload=alert(1)><script>alert(1)</script><image href='https://evil.test'/></svg>",
    "<math><mtext><style><img src=x onerror=alert(1)></style></mtext></math>",
    "<style>@import 'https://evil.test/a.css'; body { background: url(https://evil.test) }</style>",
    "<p style='background:url(https://evil.test)'>x</p>",
    "<link rel=stylesheet href='https://evil.test/a.css'><meta http-equiv=refresh content='0;https://evil.test'>",
    "<form action='https://evil.test'><input name=a autofocus onfocus=alert(1)><button>go</button></form>",
    "<video src='https://evil.test' autoplay></video><audio src='https://evil.test'></audio>",
    "<base href='https://evil.test'><table background='https://evil.test'><tr><td>x</table>",
    "</div></section></main><script>alert(1)</script>",
    "<img src='data:image/svg+xml;base64,PHN2Zz48L3N2Zz4='>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<b id='score' class='mistake' name='x'>clobber</b>",
    "<details open ontoggle=alert(1)>x</details>",
]
FORBIDDEN = re.compile(
    r"<(script|iframe|object|embed|svg|math|style|link|meta|form|input|button|video|audio|base)\b|\son\w+\s*=|"
    r"javascript:|evil\.test|\sstyle=|\sid=|\sclass=|srcset|href=[\"'](?!https?:|mailto:)|src=[\"'](?!data:image/(png|jpeg|gif);)",
    re.IGNORECASE,
)


def test_markup_that_could_run_or_load_something_is_removed() -> None:
    for markup in HOSTILE:
        assert FORBIDDEN.search(markup), markup
        cleaned = clean_html(f"<p>kept</p>{markup}", Room())
        assert "kept" in cleaned, markup
        assert not FORBIDDEN.search(cleaned), markup
        assert "data:text" not in cleaned, markup
        assert not FORBIDDEN.search(show_markdown(f"kept\n\n{markup}\n", {}, Room())), markup


def test_a_table_keeps_its_cells_and_loses_its_empty_heading() -> None:
    made = clean_html("<table border=1><tr><th></th><th>a</th></tr><tr><td colspan=2>1</td></tr></table>", Room())
    assert "<td></td><th>a</th>" in made
    assert '<td colspan="2">1</td>' in made


PICTURES: list[tuple[str, Any, str]] = [
    ("image/png", PNG, "data:image/png;base64,"),
    ("image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "data:image/svg+xml;base64,"),
    ("image/png", base64.b64encode(b"<script>").decode(), "cannot be shown"),
    ("image/png", "not base64!", "cannot be shown"),
    ("image/jpeg", PNG, "cannot be shown"),
    ("application/javascript", "alert(1)", "cannot be shown"),
    ("application/vnd.jupyter.widget-view+json", {"model_id": "1"}, ""),
]


def test_pictures_are_embedded_and_what_is_no_picture_is_not() -> None:
    for mime, content, expected in PICTURES:
        output = {"output_type": "display_data", "data": {mime: content}}
        (made,) = show_outputs([output], lambda text: False, Room()) or [""]
        assert expected in made
        assert "<script" not in made
        assert "alert(1)" not in made


def test_text_loses_terminal_codes_and_keeps_the_last_state_of_a_line() -> None:
    text = "\x1b[31mred\x1b[0m\n 10%\r 99%\r\n\x07<b>\ud800"
    (made,) = show_outputs([{"output_type": "stream", "name": "stdout", "text": text}], lambda text: False, Room())
    assert made == "<pre>red\n 99%\n\ufffd&lt;b&gt;\ufffd</pre>"


def test_long_output_is_cut_and_says_so() -> None:
    (made,) = show_outputs([{"output_type": "stream", "text": "x" * 50_000}], lambda text: False, Room())
    assert made.endswith("… 30000 more characters</pre>")
    many = show_outputs([{"output_type": "stream", "text": "x"}] * 100, lambda text: False, Room())
    assert (len(many), "60 more outputs" in many[-1]) == (41, True)


def test_outputs_of_no_known_shape_are_survived() -> None:
    odd = [{"output_type": "stream"}, {"output_type": "display_data", "data": "x"}, {"output_type": "error"}, {}]
    for output in odd:
        assert isinstance(show_outputs([output], lambda text: False, Room()), list)


def test_markup_that_is_too_deep_is_left_out() -> None:
    assert clean_html("<div>" * 90 + "deep", Room())
    for markup in ("<div>" * 10_000, "<div></x>" * 10_000, "<div>" * 10_000 + "</div>" * 10_000):
        assert clean_html(f"{markup}deep", Room()) == ""
        assert "deep" in show_markdown(f"{markup[:15_000]}deep", {}, Room())


def test_markdown_shows_formulas_pictures_and_headings() -> None:
    text = "# Head\n\n$a_1 * b_1 * c$ and ![mine](attachment:a.png) and ![far](https://evil.test/a.png)\n\n|a|b|\n|-|-|\n|1|2|\n"
    made = show_markdown(text, {"a.png": {"image/png": PNG}}, Room())
    assert "<p><strong>Head</strong></p>" in made
    assert "<code>a_1 * b_1 * c</code>" in made
    assert 'alt="mine"' in made
    assert "data:image/png;base64," in made
    assert "<td>1</td>" in made
    assert "evil.test" not in made


def test_a_picture_that_is_pasted_in_is_found_by_any_name_and_whatever_its_size() -> None:
    big = base64.b64encode(base64.b64decode(PNG) + bytes(1_500_000)).decode()
    made = show_markdown("so ![mine](<attachment:mein Bild ü.png>)", {"mein Bild ü.png": {"image/png": big}}, Room())
    assert f'src="data:image/png;base64,{big}"' in made
    assert "so <img" in made


def test_pictures_referred_to_again_and_again_fill_no_more_than_a_page_holds() -> None:
    big = base64.b64encode(base64.b64decode(PNG) + bytes(1_500_000)).decode()
    essay = new_markdown_cell("(attachment:a)" * 50 + "![b](attachment:a)" * 50, attachments={"a": {"image/png": big}})
    room = Room()
    made = show_markdown(essay.source, essay.attachments, room)
    assert made.count("data:image/png") == 9
    assert len(made) < 21_000_000
    assert ["a page shows at most 20 MB of them" in sentence for sentence in room.notes()] == [True]
    assert room.notes() == []


def test_what_is_slow_to_render_is_plain_text_from_some_size_of_the_page_on(mark: Callable) -> None:
    table = "a|" * 100 + "\n" + "-|" * 100 + "\n" + "a\n" * 9700
    markup = [new_output("display_data", {"text/html": f"<i>{'x' * 290_000}</i>", "text/plain": "plain"})] * 4
    own = new_code_cell("helper = 1", outputs=markup)
    pages = mark("zed", sources={"why": table, "counting-total": "x = 1\n" * 3000}, extra=[own])
    assert page_of(pages).count("<i>") == 1
    assert "<pre>plain</pre>" in page_of(pages)
    assert "parts of it appear as plain text" in page_of(pages)
    assert "parts of it appear as plain text" in page_of(pages, "essay")


# When pages are written


def test_the_same_feedback_is_not_written_again_and_another_is_after_a_regrade(mark: Callable, course: Path) -> None:
    path = mark("quinn") / "counting.html"
    assert "0 of 5 points" in text_of(page_of(path.parent))
    before = path.stat().st_mtime_ns
    assert not any(page.written for page in write_feedback(course, "ps1", ["quinn"]).pages)
    assert path.stat().st_mtime_ns == before
    assert "3 of 5 points" in text_of(page_of(mark("quinn", {ZERO: 1, SUM: 2})))


def test_a_page_of_a_notebook_that_is_gone_is_removed(mark: Callable, course: Path) -> None:
    folder = mark("sam")
    (folder / "older.html").write_text("stale")
    (folder / "data.csv").write_text("kept")
    write_feedback(course, "ps1", ["sam"])
    found = sorted(path.name for path in folder.iterdir())
    assert found == ["counting.html", "data.csv", "essay.html", "submission_secret.txt", "timestamp.txt"]


def test_what_release_needs_lies_beside_the_pages_but_no_link_is_followed(mark: Callable, course: Path) -> None:
    autograded = course / "autograded" / "tom" / "ps1"
    autograded.mkdir(parents=True)
    (autograded / "submission_secret.txt").write_text("s3cret")
    (autograded / "timestamp.txt").symlink_to(course / "course.toml")
    folder = mark("tom")
    assert (folder / "submission_secret.txt").read_text() == "s3cret"
    assert (folder / "timestamp.txt").read_text() == "no time"


def test_a_submission_that_was_sent_by_mail_gets_a_secret_that_stays(mark: Callable) -> None:
    found = {(mark(student) / "submission_secret.txt").read_text() for student in ("ted", "tim", "ted")}
    assert [len(secret) for secret in found] == [64, 64]


def test_the_instructor_is_told_of_a_newer_submission(mark: Callable, course: Path) -> None:
    mark("uma")
    submitted = course / "submitted" / "uma" / "ps1"
    submitted.mkdir(parents=True)
    (submitted / "timestamp.txt").write_text("2026-03-01 12:00:00 UTC")
    assert write_feedback(course, "ps1", ["uma"]).problems == []
    (submitted / "timestamp.txt").write_text("2026-03-01 12:30:00 UTC")
    said = "1 submission of ps1 is newer than the marks (uma): run studium grade ps1"
    assert write_feedback(course, "ps1", ["uma"]).problems == [said]


def test_a_renamed_notebook_has_its_page_under_the_name_that_the_exchange_asks_for(mark, course: Path) -> None:
    submitted = course / "submitted" / "yan" / "ps1"
    shutil.copytree(course / "release" / "ps1", submitted)
    (submitted / "counting.ipynb").rename(submitted / "my counting.ipynb")
    folder = mark("yan")
    assert (folder / "my counting.html").read_bytes() == (folder / "counting.html").read_bytes()
    (submitted / "my counting.ipynb").rename(submitted / "counting.ipynb")
    write_feedback(course, "ps1", ["yan"])
    assert sorted(path.name for path in folder.glob("*.html")) == ["counting.html", "essay.html"]
    shutil.rmtree(course / "submitted" / "yan")


@pytest.mark.nbgrader
def test_nbgraders_own_feedback_has_no_hidden_test_in_a_course_of_ours(mark, course: Path, nbgrader: Callable) -> None:
    mark("zed", sources={"total": WRONG})
    assert SECRET in (course / "autograded" / "zed" / "ps1" / "counting.ipynb").read_text("utf-8")
    nbgrader(course, "generate_feedback", "ps1", "--student=zed", "--force")
    page = (course / "feedback" / "zed" / "ps1" / "counting.html").read_text("utf-8")
    assert "is zero for no values" in page
    assert SECRET not in page


def test_a_class_that_is_not_graded_to_its_end_does_not_look_finished(mark: Callable, course: Path, studium) -> None:
    mark("vera")
    shutil.copytree(course / "release" / "ps1", course / "submitted" / "wim" / "ps1")
    code, _, err = studium("feedback", "ps1", "--course", str(course))
    shutil.rmtree(course / "submitted" / "wim")
    assert code == 1
    assert "studium: 1 submission of ps1 is not graded (wim): run studium grade ps1\n" in err


def test_odd_names_get_their_page(mark: Callable) -> None:
    for student in ("Zoë Ü. 李", "-dash", "dot.", "a" * 120, "'quote\"<b>&"):
        page = page_of(mark(student))
        assert "<b>&" not in page
        assert "<b>Lovelace" not in page


def test_a_name_that_is_no_folder_gets_a_note_and_no_page(mark: Callable, course: Path) -> None:
    _record(course, "../vic", {}, "2026-03-01")
    found = write_feedback(course, "ps1", ["../vic"])
    assert (found.pages, "that cannot be the name of a folder" in found.notes[0]) == ([], True)
    assert not (course / "feedback" / "vic").exists()


def test_unknown_names_are_usage_errors(mark: Callable, course: Path) -> None:
    mark("will")
    with pytest.raises(UnknownNameError, match=r"unknown student of ps1 'wil'; did you mean 'will'\?"):
        write_feedback(course, "ps1", ["wil"])
    with pytest.raises(UnknownNameError, match=r"unknown assignment 'ps2'; did you mean 'ps1'\?"):
        write_feedback(course, "ps2")


def test_a_course_without_marks_is_told_so(make_course: Callable, tmp_path: Path) -> None:
    with pytest.raises(CourseError, match="ps1 must be built first"):
        write_feedback(make_course(), "ps1")
    with pytest.raises(CourseError, match="a course folder has"):
        write_feedback(tmp_path, "ps1")


def test_an_assignment_of_which_nobody_has_marks_is_told_what_to_do(
    counting: Catalogue, make_course: Callable, studium: Callable
) -> None:
    root = make_course()
    build_assignment(root, "ps1", counting)
    code, out, err = studium("feedback", "ps1", "--course", str(root))
    assert (code, out, err) == (1, "", "studium: ps1 has no marks to write about; run: studium grade ps1\n")


def test_the_command_prints_a_table_or_json(mark: Callable, course: Path, studium: Callable) -> None:
    mark("xia", {ZERO: 1})
    code, out, _ = studium("feedback", "ps1", "--course", str(course), "--student", "xia")
    assert (code, "0 of 2 pages were written" in out) == (0, True)
    assert "0 of 4, 4 to mark  unchanged" in out
    code, out, _ = studium("feedback", "ps1", "--course", str(course), "--student", "xia", "--json")
    pages = {page["notebook"]: page for page in json.loads(out)["pages"]}
    assert (pages["counting"]["score"], pages["counting"]["max_score"], pages["counting"]["written"]) == (1, 5, False)


def test_what_fails_for_one_student_costs_nobody_else_a_page(mark: Callable, course: Path, studium: Callable) -> None:
    pages = {name: mark(name) / "counting.html" for name in ("ann", "ben", "cem")}
    for page in pages.values():
        page.unlink()
    pages["ben"].mkdir()
    wanted = [part for name in pages for part in ("--student", name)]
    code, out, err = studium("feedback", "ps1", "--course", str(course), *wanted, "--json")
    told = json.loads(out)
    assert code == 1
    assert {page["student"] for page in told["pages"] if page["notebook"] == "counting"} == {"ann", "cem"}
    assert [page.is_file() for page in pages.values()] == [True, False, True]
    (problem,) = told["problems"]
    assert "the feedback for ben could not be written, and the existing page may be older: IsADirectoryError" in problem
    assert problem in err


# How a page looks to a browser


@pytest.fixture
def rich(mark: Callable) -> Path:
    """A page with everything that a page may have, hostile outputs included."""
    frame = "<style>a{}</style><table class=dataframe><thead><tr><th></th><th>loss</th></tr></thead>"
    frame += "<tbody><tr><th>0</th><td>0.5</td></tr></tbody></table>"
    outputs = [
        new_output("stream", text="epoch 1\repoch 2\n" + "wide " * 60),
        new_output("stream", name="stderr", text="a warning\n"),
        new_output("display_data", {"image/png": PNG, "text/plain": "<Figure>"}),
        new_output("display_data", {"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"}),
        new_output("execute_result", {"text/html": frame, "text/plain": "loss"}),
        *(new_output("display_data", {"text/html": f"<p>kept</p>{markup}"}) for markup in HOSTILE),
    ]
    own = new_code_cell("helper = 1  # " + "long " * 40, outputs=outputs)
    tests = (
        engine_test(ZERO, 0.5, 1, "partial", message="`total([])` gave 1 where 0 was expected"),
        engine_test(SUM, 0, 2, "failed", message="a hidden test of `total` failed", mistake_id=MISTAKE_ID, hidden=True),
    )
    repairs = [f"{name}.ipynb was taken for {'c' * 90}.ipynb" for name in "abc"]
    result = shown(
        *tests, verdict="time limit", detail="stopped after 30 s: is there an endless loop?", repairs=repairs
    )

    def by_hand(book: Gradebook) -> None:
        book.find_comment("counting-total", "counting", "ps1", "yan").manual_comment = "Nearly there."
        book.find_submission_notebook("counting", "ps1", "yan").late_submission_penalty = 0.1

    sources = {"counting-total": WRONG}
    late = "2026-03-03 10:59:00"
    return mark("yan", {ZERO: 0.5}, sources=sources, results=result, extra=[own], after=by_hand, when=late) / (
        "counting.html"
    )


@pytest.mark.browser
@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("light", 1000),
        ("dark", 400),
        *(pytest.param(*one, marks=pytest.mark.heavy) for one in (("light", 400), ("dark", 1000))),
    ],
)
def test_a_page_is_accessible_fits_and_asks_for_nothing(rich: Path, chromium: Any, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_core_python.sync_playwright").Axe()
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: asked.append("a dialog"))
    page.on("console", lambda message: asked.append(message.text))
    page.goto(rich.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [rich.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = axe.run(page)["violations"]
    assert [(problem["id"], problem["nodes"][0]["html"]) for problem in found] == []
    page.close()


@pytest.mark.browser
def test_the_policy_of_a_page_stops_what_a_hole_would_let_through(rich: Path, chromium: Any, tmp_path: Path) -> None:
    hole = (
        "<script>document.title='run'</script><img src='https://evil.test/a.png'><p id=styled style='color:red'>x</p>"
    )
    broken = tmp_path / "hole.html"
    broken.write_text(rich.read_text("utf-8").replace("</main>", f"{hole}</main>"), "utf-8")
    page = chromium.new_page()
    asked: list[str] = []
    page.on("requestfinished", lambda request: asked.append(request.url))
    page.goto(broken.as_uri())
    assert page.title().startswith("Feedback on ps1")
    assert not any("evil.test" in url for url in asked)
    assert page.evaluate("getComputedStyle(document.querySelector('#styled')).color") != "rgb(255, 0, 0)"
    assert page.evaluate("getComputedStyle(document.body).maxWidth") != "none"  # our own style is allowed
    page.close()


# With stock nbgrader around it


@pytest.mark.heavy
@pytest.mark.nbgrader
def test_pages_of_a_course_that_nbgrader_graded_can_be_released(ps1_course: Path, nbgrader: Callable) -> None:
    (ps1_course / "submitted" / "bitdiddle" / "ps1" / "submission_secret.txt").write_text("secret of bitdiddle")
    for name in ("timestamp.txt", "submission_secret.txt"):  # a submission that was sent by mail has neither
        (ps1_course / "submitted" / "hacker" / "ps1" / name).unlink(missing_ok=True)
    nbgrader(ps1_course, "autograde", "ps1", *PATIENT)
    pages = {(page.student, page.notebook): page.score for page in write_feedback(ps1_course, "ps1").pages}
    assert (pages["bitdiddle", "problem1"], pages["hacker", "problem1"]) == (1.5, 3)
    text = text_of(page_of(ps1_course / "feedback" / "bitdiddle" / "ps1", "problem1"))
    assert "`" not in text
    assert "assert squares(1) == [1] failed with AssertionError" in text
    with (ps1_course / "nbgrader_config.py").open("a") as config:
        config.write(f'c.Exchange.root = "{ps1_course / "exchange"}"\n')
    (ps1_course / "exchange").mkdir(mode=0o777)
    (ps1_course / "exchange").chmod(0o777)
    nbgrader(ps1_course, "release_feedback", "ps1")
    released = list((ps1_course / "exchange" / "course101" / "feedback").glob("*.html"))
    assert len(released) == 4
    assert all("Content-Security-Policy" in path.read_text("utf-8") for path in released)


def test_who_counts_the_submissions_sees_each_of_them_once(mark: Callable, course: Path) -> None:
    mark("rita"), mark("sam")
    seen = []

    def passing(submissions):
        for submission in submissions:
            seen.append(submission.student)
            yield submission

    written = write_feedback(course, "ps1", ["rita", "sam"], passing)
    assert seen == ["rita", "sam"]
    assert {page.student for page in written.pages} == {"rita", "sam"}
