"""Marking by hand over HTTP: who may, what is sent of an answer, and that nbgrader has the same afterwards."""

import json
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

pytest.importorskip("nbgrader")

from nbgrader.api import Gradebook
from nbgrader.apps.api import NbGraderAPI
from studium.catalogue.catalogue import Catalogue, load_catalogue
from studium.classroom.connections import join as joined
from studium.cli.app import build_app
from studium.errors import UnknownNameError
from studium_classroom.boards import Boards, MarkingPages
from studium_classroom.classroom import Classroom
from studium_classroom.members import InvitationError
from studium_classroom.privacy.gradebook_rows import GradebookRows
from studium_classroom.roles import Person, Place, Role
from studium_graders.course.finding import open_course
from studium_graders.feedback import write_feedback
from typer.testing import CliRunner

from ...redteam.pages import active_content
from .conftest import ASSIGNMENTS, ROLES, Served, join, serving
from .essays import ESSAY, NAMES, PLOT, build_essays
from .test_security import refused

C, A = "course101", "ps1"
MARKING = f"courses/{C}/assignments/{A}/marking"


@pytest.fixture(scope="session")
def essays(counting: Catalogue, make_course: Callable[..., Path]) -> Path:
    """A course in which essays of ada, bob and cleo wait for a person; only to be copied."""
    return build_essays(make_course(ASSIGNMENTS), counting)


@pytest.fixture
def marked_by_hand(essays: Path, tmp_path: Path) -> Iterator[Served]:
    """A server of a copy, with ada and cleo in section a and bob in section b; tom is the assistant of a."""
    classroom = Classroom([shutil.copytree(essays, tmp_path / "course")], tmp_path / "data")
    with serving(classroom) as url:
        places = ROLES | {"cleo": Place(Role.STUDENT, "a"), "eve": Place(Role.TA)}
        found = Served(classroom, url, {name: join(classroom, C, name, place) for name, place in places.items()})
        yield found
        found.close()


def asked(served: Served, user: str, method: str, path: str = "", **body: object) -> httpx.Response:
    return served.ask(user, method, f"{MARKING}{path}", **({"content": json.dumps(body)} if body else {}))


def taken(served: Served, user: str = "eve", question: str = ESSAY, **more: object) -> dict:
    answer = asked(served, user, "POST", "/next", question=question, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def pages_of(served: Served, question: str) -> Iterator[str]:
    """The markup of all answers to a question."""
    after = ""
    for _ in NAMES:
        found = taken(served, question=question, after=after)
        after, shown = found["opened"]["answer"], found["shown"]
        yield from (shown["question_html"], shown["test_html"], shown["solution_html"])
        yield from (part for one in shown["answers"] for part in (one["html"], *one["outputs_html"]))


def counts(served: Served, user: str = "eve") -> dict[str, tuple[int, int, int, int]]:
    found = asked(served, user, "GET").json()["questions"]
    return {one["question"]: (one["waiting"], one["marked"], one["mine"], one["held"]) for one in found}


def marked(served: Served, student: str, user: str = "eve", question: str = ESSAY, **mark: object) -> httpx.Response:
    """Mark a student's answer."""
    found = taken(served, user, question, names=True)
    while found["opened"]["student"] != student:
        found = taken(served, user, question, names=True, after=found["opened"]["answer"])
    opened = found["opened"]
    body = {"items": [], "stamp": opened["stamp"]} | mark
    return asked(served, user, "PUT", f"/answers/{opened['answer']}", **body)


# -------------------------------------------------------------------------------------------------------- who may


def test_a_student_gets_403_and_so_does_an_assistant_of_another_course(marked_by_hand):
    served = marked_by_hand
    other = join(served.classroom, "other", "kim", Place(Role.TA))
    for path, method in (("", "GET"), ("/next", "POST"), ("/answers/1", "PUT"), ("/rubric", "POST")):
        refused(served.ask("ada", method, f"{MARKING}{path}"), 403, "the role ta in course101 is needed")
        refused(served.ask(other, method, f"{MARKING}{path}"), 403, "you are not a member of a course 'course101'")
    refused(served.ask("ada", "POST", f"courses/{C}/mark"), 403, "the role ta in course101 is needed")  # for a link


def test_an_assistant_marks_the_own_section_and_cannot_open_anothers_answer(marked_by_hand):
    served = marked_by_hand
    assert counts(served, "tom")[ESSAY] == (2, 0, 0, 0)
    assert counts(served, "grace")[ESSAY] == (3, 0, 0, 0)
    found = taken(served, "grace", names=True)
    while found["opened"]["student"] != "bob":
        found = taken(served, "grace", names=True, after=found["opened"]["answer"])
    path = f"/answers/{found['opened']['answer']}"
    asked(served, "grace", "DELETE", "/next")
    refused(asked(served, "tom", "POST", path, names=True), 404, "no such answer among those that you may see")
    body = {"items": [], "points": 5, "stamp": found["opened"]["stamp"]}
    refused(asked(served, "tom", "PUT", path, **body), 404, "no such answer among those that you may see")
    assert counts(served, "grace")[ESSAY] == (3, 0, 0, 0)


def test_the_session_of_the_page_marks_and_can_do_nothing_else(marked_by_hand):
    served = marked_by_hand
    secret = served.ask("eve", "POST", f"courses/{C}/mark").json()["secret"]
    session = served.ask("", "POST", "mark", content=json.dumps({"secret": secret})).json()
    own = {"headers": {"Authorization": f"mark {session['token']}"}}
    assert served.ask("", "GET", MARKING, **own).json()["person"] == "eve"
    for path in ("me", f"courses/{C}/members", f"courses/{C}/assignments/{A}/status"):
        refused(served.ask("", "GET", path, **own), 403, "a marking page's session can only mark by hand")
    refused(served.ask("", "POST", "mark", content=json.dumps({"secret": secret})), 403, "the link to the marking page")
    for token in (session["token"], secret):
        board = {"Authorization": f"board {token}"}
        refused(served.ask("", "GET", f"courses/{C}/assignments/{A}/status", headers=board), 401, "the board has been")
    refused(served.ask("", "GET", MARKING, headers={"Authorization": "mark forged"}), 401, "the marking page has been")
    served.classroom.members.put(C, "eve", Place(Role.TA, "b"))
    refused(served.ask("", "GET", MARKING, **own), 401, "its owner's role has changed")


def test_a_link_to_a_board_opens_no_marking_page(marked_by_hand):
    classroom = marked_by_hand.classroom
    link = Boards(classroom.database).link(C, "eve", Place(Role.TA))
    with pytest.raises(InvitationError, match="the link to the marking page is unknown"):
        MarkingPages(classroom.database).open(link)


# --------------------------------------------------------------------------------------------- one answer at a time


def test_two_assistants_at_once_never_hold_the_same_answer(marked_by_hand):
    served = marked_by_hand
    his, hers = (taken(served, user)["opened"] for user in ("grace", "eve"))
    assert his["answer"] != hers["answer"]
    assert his["student"] == hers["student"] == ""  # names are sent only if asked for
    refused(asked(served, "eve", "POST", f"/answers/{his['answer']}", names=True), 409, "grace is marking this answer")
    assert counts(served, "eve")[ESSAY] == (3, 0, 0, 1)
    assert taken(served, "eve", names=True)["opened"]["student"] in NAMES


def test_nothing_of_an_answer_is_active_content_and_its_markup_is_shown(marked_by_hand):
    served = marked_by_hand
    shown = {one: "".join(pages_of(served, one)) for one in (ESSAY, PLOT)}
    assert {question: active_content(html) for question, html in shown.items()} == {ESSAY: [], PLOT: []}
    assert "<strong>most directions</strong>" in shown[ESSAY]
    assert "drawn</td>" in shown[PLOT]


def test_an_answer_comes_with_the_question_and_the_courses_solution(marked_by_hand):
    shown = taken(marked_by_hand)["shown"]
    assert "<strong>low rank</strong>" in shown["question_html"]
    [check] = shown["checks"]
    assert (check["word"], check["own"]) == ("waits for marking", True)
    assert "plot(s)" in re.sub("<[^>]*>", "", taken(marked_by_hand, question=PLOT)["shown"]["solution_html"])
    for name in NAMES:
        (marked_by_hand.classroom.courses[C].root / "autograded" / name / "ps1" / "essay.ipynb").unlink()
    assert "Missing from what you handed in" in taken(marked_by_hand)["shown"]["answers"][0]["html"]


# ------------------------------------------------------------------------------------------------- marks and rubric


def test_the_formgrader_the_feedback_and_the_board_have_the_same_mark(marked_by_hand):
    served = marked_by_hand
    root = served.classroom.courses[C].root
    added = asked(served, "eve", "POST", "/rubric", question=ESSAY, text="names `rank`", points=3.0)
    [item] = added.json()["items"]
    done = marked(served, "ada", items=[item["id"]], points=0.5, comment="well put <b>")
    assert done.json() == {"mark": 3.5}
    (line, *_) = served.classroom.audit.of(C)
    assert (line.user, line.action, "ada" in line.subject) == ("eve", "mark", False)
    api = NbGraderAPI(open_course(root, A))
    [mine] = [one for one in api.get_notebook_submissions(A, "essay") if one["student"] == "ada"]
    assert (mine["score"], mine["needs_manual_grade"]) == (3.5, True)  # the plot still waits
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as book:
        grade = book.find_grade("why-low-rank", "essay", A, "ada")
        assert (grade.manual_score, grade.needs_manual_grade) == (3.5, False)
        comment = book.find_comment("why-low-rank", "essay", A, "ada").comment
        assert comment == "+3 names `rank`\nwell put <b>"
    write_feedback(root, A, ["ada"])
    page = (root / "feedback" / "ada" / A / "essay.html").read_text("utf-8")
    assert "+3 names `rank`\nwell put &lt;b&gt;" in page
    changed = asked(served, "eve", "PUT", f"/rubric/{item['id']}", text="names the rank", points=2.0)
    assert changed.json()["again"] == 1
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as book:
        assert book.find_grade("why-low-rank", "essay", A, "ada").manual_score == 2.5
    removed = asked(served, "eve", "DELETE", f"/rubric/{item['id']}").json()
    assert (removed["items"], removed["again"]) == ([], 1)


def test_a_mark_of_an_answer_that_was_handed_in_anew_is_refused_with_409(marked_by_hand):
    served = marked_by_hand
    opened = taken(served, names=True)["opened"]
    path = served.classroom.courses[C].root / "autograded" / opened["student"] / A / "essay.ipynb"
    path.write_text(path.read_text().replace("plot(s)", "plot(t)"))
    body = {"items": [], "points": 1, "stamp": opened["stamp"]}
    refused(asked(served, "eve", "PUT", f"/answers/{opened['answer']}", **body), 409, "has changed since you opened it")


IMPOSSIBLE = (
    ("POST", "/next", {"question": "essay/nothing"}),
    ("POST", "/next", {"question": 3}),
    ("POST", "/answers/unknown", {"names": True}),
    ("PUT", "/answers/unknown", {"items": ["x"], "stamp": ""}),
    ("POST", "/rubric", {"question": ESSAY, "text": " ", "points": 1}),
    ("POST", "/rubric", {"question": ESSAY, "text": "x", "points": 1e9}),
    ("PUT", "/rubric/unknown", {"text": "x", "points": 1}),
    ("DELETE", "/rubric/unknown", {"text": "x", "points": 1}),
)


def test_what_cannot_be_is_refused_in_one_sentence(marked_by_hand):
    for method, path, body in IMPOSSIBLE:
        answer = asked(marked_by_hand, "eve", method, path, **body)
        refused(answer, 400 if body.get("question") == 3 else 404, ".")


# ------------------------------------------------------------------------------------------------------ the command


def test_the_command_lists_what_waits_and_its_link_opens_the_page(marked_by_hand, data_folder):
    served = marked_by_hand

    def run(*words: str) -> str:
        done = CliRunner().invoke(build_app(load_catalogue()), ["classroom", "mark", A, *words])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.stdout

    root = served.classroom.courses[C].root
    shown = run("--course", str(root))
    assert re.search(r"why low rank +3 +0 +0 +0 +5", shown)
    assert f"http://127.0.0.1:8710/mark/{C}/{A}#" in shown
    secret = served.classroom.members.invite(C, "tom", Place(Role.TA, "a"))
    joined(f"{served.url}/join#{secret}")
    found = json.loads(run("--json"))
    assert {one["question"]: one["waiting"] for one in found["questions"]} == {ESSAY: 2, PLOT: 2}
    assert served.classroom.marking_pages.open(found["link"].partition("#")[2]).user == "tom"
    for question in (ESSAY, PLOT):
        for name in NAMES:
            assert marked(served, name, "grace", question, points=1.0).status_code == 200
    assert re.search(r"draw +0 +2 +0 +\d +3", run())


def test_an_assignment_in_which_nothing_waits_says_so(served, data_folder):
    with pytest.raises(UnknownNameError, match="later"):
        served.classroom.marking.questions(served.classroom.courses[C], Person("tom", {C: Place(Role.TA)}), "later")
    root = served.classroom.courses[C].root
    done = CliRunner().invoke(build_app(load_catalogue()), ["classroom", "mark", A, "--course", str(root)])
    assert "no answer to ps1 waits for a person, and none was marked by hand" in done.stdout


# ------------------------------------------------------------------------------------------------- one person's data


def test_an_erased_student_leaves_no_row_of_marking_and_an_erased_assistant_no_name(marked_by_hand):
    served = marked_by_hand
    rows = GradebookRows(f"sqlite:///{served.classroom.courses[C].root / 'gradebook.db'}")
    before = dict(rows.holds("ada"))
    [item] = asked(served, "eve", "POST", "/rubric", question=ESSAY, text="names the rank", points=3.0).json()["items"]
    for name in ("ada", "bob"):
        marked(served, name, items=[item["id"]], comment=f"for {name}")
    assert rows.holds("ada") == before | {"marking": 1, "answer item": 1}
    [exported] = rows.items("ada")
    content = json.loads(exported.content)
    assert [(row["text"], row["points"]) for row in content["studium_answer_item"]] == [("names the rank", 3)]
    assert "bob" not in json.dumps(content)
    rows.erase("ada")
    assert rows.holds("ada") == {}
    with closing(sqlite3.connect(served.classroom.courses[C].root / "gradebook.db")) as database:
        assert database.execute("select mark, user from studium_marking").fetchall() == [(3.0, "eve")]
        assert database.execute("select count(*) from studium_answer_item").fetchall() == [(1,)]
    assert rows.holds("eve") == {"mark given by hand": 1}
    rows.erase("eve")
    assert rows.holds("eve") == {}
    with closing(sqlite3.connect(served.classroom.courses[C].root / "gradebook.db")) as database:
        assert database.execute("select mark, user from studium_marking").fetchall() == [(3.0, "")]
