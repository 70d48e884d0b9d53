"""Requests for a regrade: who may ask when, who reads and replies, and what the student sees of it."""

import json
import re
from datetime import UTC, datetime

import pytest

pytest.importorskip("nbgrader")

from studium.catalogue.catalogue import load_catalogue
from studium.classroom.client import ClassroomError
from studium.classroom.connections import join as joined
from studium.cli.app import build_app
from studium_classroom.roles import Place, Role
from studium_classroom.submissions import Graded
from typer.testing import CliRunner

from .conftest import Served
from .essays import ESSAY, NAMES
from .test_marking import MARKING, A, C, asked, essays, marked_by_hand
from .test_security import refused

__all__ = ["essays", "marked_by_hand"]

ASK, REQUESTS = f"courses/{C}/assignments/{A}/regrade", f"{MARKING}/requests"
WHY = "total: my answer does what the statement says"


@pytest.fixture
def graded(marked_by_hand: Served) -> Served:
    """A server on which ada, bob and cleo have handed in once and have a mark."""
    for name in NAMES:
        handed_in_and_marked(marked_by_hand, name)
    return marked_by_hand


def handed_in_and_marked(served: Served, name: str, content: str = "first") -> None:
    submissions, now = served.classroom.submissions, datetime.now(UTC)
    submissions.take(C, A, name, f"{content} of {name}".encode(), now, late=False)
    submissions.note(submissions.next_batch(C, A, 9), [Graded(name, 3.0, 10.0)], now)


def regrade_of(served: Served, name: str, attempt: int = 1):
    [view] = served.client(name).assignments(C)
    return view.attempts[attempt - 1].regrade


def requests_of(served: Served, user: str, names: int = 1) -> list[dict]:
    answer = served.ask(user, "GET", f"{REQUESTS}?names={names}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def needs(served: Served, user: str = "grace") -> dict[str, list[str]]:
    status = served.ask(user, "GET", f"courses/{C}/assignments/{A}/status").json()
    return {row["student"]: row["needs"] for row in status["students"]}


# ---------------------------------------------------------------------------------------------------------- asking


def test_a_student_asks_is_seen_gets_a_reply_and_reads_it_beside_the_mark(graded):
    assert regrade_of(graded, "ada") is None
    assert "regrade" not in needs(graded)["ada"]
    graded.client("ada").ask_regrade(C, A, 1, f"  {WHY}\n")
    assert (regrade_of(graded, "ada").text, regrade_of(graded, "ada").replied) == (WHY, None)
    assert [name for name, own in needs(graded).items() if "regrade" in own] == ["ada"]
    [request] = requests_of(graded, "eve")
    assert (request["student"], request["attempt"], request["text"]) == ("ada", 1, WHY)
    assert "ada" not in json.dumps(requests_of(graded, "eve", names=0))  # names are sent only if asked for
    done = graded.ask("eve", "PUT", f"{REQUESTS}/{request['id']}", json={"text": "You are right: 2 points more."})
    assert done.status_code == 200
    replied, asked_for, *_ = graded.classroom.audit.of(C)
    assert (replied.user, replied.action, replied.subject) == ("eve", "reply to a request", "ps1 ada")
    assert (asked_for.user, asked_for.action) == ("ada", "ask for a regrade")
    assert regrade_of(graded, "ada").reply == "You are right: 2 points more."
    assert regrade_of(graded, "ada").replied
    assert "regrade" not in needs(graded)["ada"]
    graded.ask("eve", "PUT", f"{REQUESTS}/{request['id']}", json={"text": "One point more."})
    assert regrade_of(graded, "ada").reply == "One point more."
    assert regrade_of(graded, "bob") is None


def test_nobody_asks_before_the_mark_is_shown(graded):
    root = graded.classroom.courses[C].root
    text = (root / "course.toml").read_text()
    (root / "course.toml").write_text(f'{text}\n[classroom]\nmarks = "when released"\n')
    body = {"attempt": 1, "text": WHY}
    refused(graded.ask("ada", "POST", ASK, json=body), 403, "your newest attempt at ps1 once you see its mark")
    graded.ask("grace", "POST", f"courses/{C}/assignments/{A}/release")
    assert graded.ask("ada", "POST", ASK, json=body).status_code == 201


def test_only_the_newest_attempt_can_be_asked_about_and_each_once(graded):
    ada = graded.client("ada")
    ada.ask_regrade(C, A, 1, WHY)
    ada.ask_regrade(C, A, 1, WHY)  # its answer was lost, so it is sent again
    assert len(requests_of(graded, "grace")) == 1
    with pytest.raises(ClassroomError, match="you have asked for a regrade of attempt 1 already"):
        ada.ask_regrade(C, A, 1, "something else")
    graded.classroom.submissions.take(C, A, "ada", b"second of ada", datetime.now(UTC), late=False)
    with pytest.raises(ClassroomError, match="once you see its mark"):
        ada.ask_regrade(C, A, 2, WHY)
    handed_in_and_marked(graded, "ada", "second")
    with pytest.raises(ClassroomError, match="your newest attempt"):
        ada.ask_regrade(C, A, 1, "something else")
    ada.ask_regrade(C, A, 2, "something else")
    assert [regrade_of(graded, "ada", attempt).text for attempt in (1, 2)] == [WHY, "something else"]


def test_a_request_and_a_reply_need_a_text_that_is_not_too_long(graded):
    texts = {"": "got 0", " \n": "got 0", "x" * 2001: "got 2,001"}
    for text, said in texts.items():
        refused(graded.ask("ada", "POST", ASK, json={"attempt": 1, "text": text}), 404, said)
    graded.client("ada").ask_regrade(C, A, 1, WHY)
    [request] = requests_of(graded, "eve")
    for text, said in texts.items():
        refused(graded.ask("eve", "PUT", f"{REQUESTS}/{request['id']}", json={"text": text}), 404, said)
    assert regrade_of(graded, "ada").replied is None


# --------------------------------------------------------------------------------------------------------- replying


def test_an_assistant_sees_and_answers_the_own_section_alone(graded):
    for name in ("ada", "bob"):
        graded.client(name).ask_regrade(C, A, 1, f"{WHY}, {name}")
    assert [one["student"] for one in requests_of(graded, "tom")] == ["ada"]
    found = {one["student"]: one["id"] for one in requests_of(graded, "eve")}
    assert set(found) == {"ada", "bob"}
    refused(graded.ask("tom", "PUT", f"{REQUESTS}/{found['bob']}", json={"text": "no"}), 404, "no such request among")
    refused(graded.ask("eve", "PUT", f"{REQUESTS}/{found['bob'] + 7}", json={"text": "no"}), 404, "no such request")
    other = f"{REQUESTS.replace(f'/{A}/', '/ps2/')}/{found['bob']}"  # the request is none of that assignment's
    assert graded.ask("eve", "PUT", other, json={"text": "no"}).status_code == 404
    refused(graded.ask("ada", "GET", REQUESTS), 403, "the role ta in course101 is needed")
    assert regrade_of(graded, "bob").replied is None


def test_a_request_leads_to_the_answers_of_the_one_who_asks_in_their_order(graded):
    graded.client("bob").ask_regrade(C, A, 1, WHY)
    [request] = requests_of(graded, "eve")
    assert [one["question"] for one in request["answers"]][-2:] == [ESSAY, "essay/draw"]
    for one in request["answers"]:
        page = asked(graded, "eve", "POST", f"/answers/{one['answer']}", names=True).json()
        assert (page["opened"]["student"], page["opened"]["question"]) == ("bob", one["question"])


def test_requests_without_a_reply_come_first(graded):
    for name in NAMES:
        graded.client(name).ask_regrade(C, A, 1, WHY)
    first = requests_of(graded, "eve")[0]
    graded.ask("eve", "PUT", f"{REQUESTS}/{first['id']}", json={"text": "no"})
    assert requests_of(graded, "eve")[-1]["id"] == first["id"]
    assert len(requests_of(graded, "eve")) == 3


# ---------------------------------------------------------------------------------------------------------- commands


def run(*words: str) -> str:
    done = CliRunner().invoke(build_app(load_catalogue()), list(words))
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def test_the_commands_ask_list_reply_and_show_the_reply(graded, data_folder):
    def join(name: str, role: Role) -> None:
        (data_folder / "classroom.json").unlink(missing_ok=True)
        joined(f"{graded.url}/join#{graded.classroom.members.invite(C, name, Place(role))}")

    join("ada", Role.STUDENT)
    assert "your instructors will see your request about attempt 1 at ps1" in run("regrade", A, WHY)
    assert "ps1, attempt 1: no reply to your request yet" in run("courses")
    join("eve", Role.TA)
    listed = run("classroom", "mark", A)
    assert WHY in listed
    number = re.search(r"request (\d+): ada asked for a regrade of attempt 1", listed)[1]
    assert [one["text"] for one in json.loads(run("classroom", "mark", A, "--json"))["requests"]] == [WHY]
    run("classroom", "reply", A, number, "You are right.")
    assert WHY not in run("classroom", "mark", A)
    join("ada", Role.STUDENT)
    assert "ps1, attempt 1: You are right." in run("courses")


def test_a_student_who_handed_nothing_in_is_told_so(served, data_folder):
    joined(f"{served.url}/join#{served.classroom.members.invite(C, 'ada', Place(Role.STUDENT))}")
    with pytest.raises(Exception, match="you have not handed in ps1, so there is nothing to mark again"):
        run("regrade", A, WHY)
