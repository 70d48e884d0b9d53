"""The board without a browser: where students are, what needs the instructor, who may look, how changes are told."""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest
from nbgrader.api import Gradebook
from sqlalchemy import update
from studium.classroom.client import ClassroomError
from studium.classroom.messages import BoardLink, CheckAnswer, CheckedExercise
from studium_classroom import live
from studium_classroom.findings import Findings
from studium_classroom.members import InvitationError
from studium_classroom.roles import Person, Place, Role
from studium_classroom.schema import BoardPass
from studium_classroom.submissions import Graded, GradedOutcome

from .conftest import Served, tell
from .test_security import refused
from .test_submissions import marked

C, A = "course101", "ps1"
STATUS = f"courses/{C}/assignments/{A}/status"
SIZES = "counting.total:added-the-sizes"


def check(
    served: Served, user: str, outcome: str, mistake: str = "", exercise: str = "total", notebook: str = "counting"
):
    """Write down a check, as the server does."""
    answer = CheckAnswer(notebook, [CheckedExercise(exercise, outcome)])
    served.classroom.checks.note(C, A, user, answer, {exercise: mistake} if mistake else {})
    tell(served.classroom, C, A)


def status(served: Served, user: str = "grace") -> dict:
    return served.ask(user, "GET", STATUS).json()


def states(served: Served, user: str = "grace") -> dict[tuple[str, str], str]:
    rows = status(served, user)["students"]
    return {(row["student"], one["exercise"]): one["state"] for row in rows for one in row["exercises"]}


def needs(served: Served) -> dict[str, list[str]]:
    return {row["student"]: row["needs"] for row in status(served)["students"] if row["needs"]}


# ----------------------------------------------------------------------------------------------- where students are


WRONG, OTHER, UNNAMED, RIGHT = ("wrong", "m"), ("wrong", "other"), ("wrong", ""), ("right", "")


def test_the_newest_finding_decides_and_three_with_one_mistake_are_stuck(served):
    for number, (found, state) in enumerate(
        (
            ([("not attempted", "")], "untouched"),
            ([WRONG], "trying"),
            ([WRONG, WRONG, WRONG], "stuck"),
            ([WRONG, OTHER, WRONG], "trying"),
            ([OTHER, WRONG, WRONG, WRONG], "stuck"),
            ([UNNAMED, UNNAMED, UNNAMED], "trying"),
            ([WRONG, WRONG, WRONG, RIGHT], "right"),
            ([RIGHT, WRONG], "trying"),
        )
    ):
        for outcome, mistake in found:
            check(served, "ada", outcome, mistake, exercise=f"e{number}")
        assert states(served)["ada", f"counting.e{number}"] == state, found


def test_a_graded_submission_counts_as_a_check_does_and_the_later_of_the_two_decides(served, archive):
    served.client("ada").submit(C, A, archive())
    marked(served, "ada", 5.0, exercises={"counting.total": GradedOutcome("right")})
    assert states(served) == {("ada", "counting.total"): "right"}
    check(served, "ada", "wrong", SIZES)
    assert states(served) == {("ada", "counting.total"): "trying"}
    check(served, "ada", "wrong", SIZES)
    served.client("ada").submit(C, A, archive(total="# again"))
    marked(served, "ada", 1.0, exercises={"counting.total": GradedOutcome("wrong", SIZES)})
    assert states(served) == {("ada", "counting.total"): "stuck"}


def test_what_was_read_before_and_what_is_new_give_the_same_as_all_at_once(served):
    for number in range(7):
        check(served, "ada", "wrong", SIZES if number % 4 else "other")
        assert served.classroom.findings.standings(C, A) == Findings(served.classroom.database).standings(C, A)


def test_the_columns_are_the_exercises_of_the_hand_out_in_their_order(served):
    check(served, "ada", "right", notebook="other")  # an exercise of the same name
    assert states(served) == {("ada", "other.total"): "right"}
    counted = status(served)["exercises"][:2]
    assert [one["exercise"] for one in counted] == ["counting.total", "counting.distance"]
    assert [(one["right"], one["wrong"], one["missing"]) for one in counted] == [(0, 0, 2), (0, 0, 2)]


def test_mistakes_are_counted_with_those_that_have_no_name_and_worded_when_shown(served):
    check(served, "ada", "wrong", SIZES)
    check(served, "bob", "wrong")
    found = status(served)
    total = found["exercises"][0]
    assert [(one["mistake"], one["count"]) for one in total["mistakes"]] == [(SIZES, 1)]
    assert (total["wrong"], total["unnamed"]["count"], total["unnamed_of_wrong"]["value"]) == (2, 1, 0.5)
    assert found["sentences"] == {SIZES: "You added the sizes of the numbers, whatever their signs."}


def test_the_history_of_a_cell_has_checks_and_graded_submissions_the_newest_first(served, archive):
    check(served, "ada", "wrong", SIZES)
    served.client("ada").submit(C, A, archive())
    marked(served, "ada", 5.0, exercises={"counting.total": GradedOutcome("right")})
    found = served.ask("grace", "GET", f"{STATUS}/ada/counting.total").json()
    assert [(one["outcome"], one["mistake"], one["attempt"]) for one in found["findings"]] == [
        ("right", "", 1),
        ("wrong", SIZES, 0),
    ]
    assert list(found["sentences"]) == [SIZES]
    assert served.ask("grace", "GET", f"{STATUS}/bob/counting.total").json()["findings"] == []


# --------------------------------------------------------------------------------------- what needs the instructor


def test_the_queue_counts_the_students_by_what_they_need(served, archive):
    assert status(served)["queue"] == {}
    for name in ("ada", "bob"):
        served.client(name).submit(C, A, archive(total=f"# {name}"))
    assert status(served)["queue"] == {"waiting": 2}
    marked(served, "ada", 5.0)
    for _ in range(3):
        check(served, "ada", "wrong", SIZES)
        batch = served.classroom.submissions.next_batch(C, A, 9)
        served.classroom.submissions.note(batch, [Graded("bob", problem="no sandbox")], datetime.now(UTC))
    assert needs(served) == {"ada": ["stuck"], "bob": ["not graded"]}
    assert list(status(served)["queue"].items()) == [("stuck", 1), ("not graded", 1)]
    served.classroom.submissions.take(C, A, "cleo", archive(), datetime.now(UTC), late=True)
    assert needs(served)["cleo"] == ["waiting", "late"]


@pytest.mark.filterwarnings("ignore:Object of type <Submitted:sqlalchemy.exc.SAWarning")  # nbgrader's own
def test_marks_by_hand_that_the_gradebook_waits_for_or_has_already_are_told(served, archive):
    served.client("ada").submit(C, A, archive())
    url = f"sqlite:///{served.classroom.courses[C].root / 'gradebook.db'}"
    with Gradebook(url) as gradebook:
        gradebook.add_student("ada")
        grade, *others = gradebook.add_submission(A, "ada").notebooks[0].grades
        for other in others:
            other.needs_manual_grade = False
        gradebook.db.commit()
        marked(served, "ada", 0.0)
        assert needs(served) == {"ada": ["to mark"]}
        grade.manual_score = 1.0
        gradebook.db.commit()
    assert needs(served) == {"ada": ["would change"]}
    served.classroom.submissions.grade_again(C, A)
    marked(served, "ada", 1.0)
    assert needs(served) == {}


# ------------------------------------------------------------------------------------------------------ who may look


def board(served: Served, user: str = "grace") -> str:
    """Open a board with a link of the user's and return the session's token."""
    link = served.client(user).board(C, A)
    assert link.startswith(f"{served.url}/board/{C}/{A}#")
    body = msgspec.json.encode(BoardLink(link.partition("#")[2]))
    return served.ask("", "POST", "board", content=body).json()["token"]


def at_the_board(served: Served, token: str, method: str, path: str) -> httpx.Response:
    return served.ask("", method, path, headers={"Authorization": f"board {token}"})


def test_a_link_opens_a_board_once_and_the_database_has_neither_link_nor_session(served):
    secret = served.client("grace").board(C, A).partition("#")[2]
    session = served.classroom.boards.open(secret)
    assert (session.user, session.course) == ("grace", C)
    with pytest.raises(InvitationError, match="unknown, used or older than 5 minutes"):
        served.classroom.boards.open(secret)
    with pytest.raises(InvitationError):
        served.classroom.boards.open(session.token)
    assert served.classroom.boards.person(secret) is None
    assert served.classroom.boards.person(session.token) == Person("grace", {C: Place(Role.INSTRUCTOR)})
    content = b"".join(path.read_bytes() for path in served.classroom.blobs._folder.parent.glob("classroom.db*"))
    assert not [one for one in (secret, session.token) if one.encode() in content]


def test_links_and_sessions_end(served):
    secret, token = served.client("grace").board(C, A).partition("#")[2], board(served)
    with served.classroom.database.writing() as session:
        session.execute(update(BoardPass).values(expires=datetime.now(UTC) - timedelta(seconds=1)))
    with pytest.raises(InvitationError):
        served.classroom.boards.open(secret)
    refused(at_the_board(served, token, "GET", STATUS), 401, "the board has been open for 8 hours")


def test_a_board_ends_with_the_place_of_its_owner(served):
    members = served.classroom.members
    for user, change in (
        ("tom", lambda: members.put(C, "tom", Place(Role.STUDENT))),
        ("grace", lambda: members.remove(C, "grace")),
    ):
        token = board(served, user)
        assert at_the_board(served, token, "GET", STATUS).status_code == 200
        change()
        refused(at_the_board(served, token, "GET", STATUS), 401, "its owner's role has changed")


def test_a_student_gets_no_link_of_a_board(served):
    with pytest.raises(ClassroomError, match="the role ta in course101 is needed, but yours is student"):
        served.client("ada").board(C, A)


def test_a_ta_with_a_section_sees_it_alone_on_the_board_and_behind_its_cells(served):
    for name in ("ada", "bob"):
        for _ in range(3):
            check(served, name, "wrong", SIZES)
    for found in (status(served, "tom"), at_the_board(served, board(served, "tom"), "GET", STATUS).json()):
        assert [row["student"] for row in found["students"]] == ["ada"]
        assert found["queue"] == {"stuck": 1}
        assert found["exercises"][0]["wrong"] == 1
        assert "bob" not in json.dumps(found)
    assert served.ask("tom", "GET", f"{STATUS}/ada/counting.total").status_code == 200
    for name in ("bob", "nobody"):
        refused(served.ask("tom", "GET", f"{STATUS}/{name}/counting.total"), 403, "you are responsible for section 'a'")


# ------------------------------------------------------------------------------------------------------------- live


@contextmanager
def stream(served: Served, user: str) -> Iterator[Callable[[], dict]]:
    """Follow the board; what it gives returns the next event's status."""
    headers = {"Authorization": f"token {served.tokens[user]}"}
    url = f"{served.url}/api/courses/{C}/assignments/{A}/live"
    with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()

        def following() -> dict:
            return json.loads(next(line for line in lines if line.startswith("data: ")).removeprefix("data: "))

        yield following


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have boards wait for nothing but changes."""
    monkeypatch.setattr(live, "AT_MOST", 0.01)


@pytest.mark.usefixtures("quick")
def test_the_whole_status_is_sent_at_first_and_again_when_something_has_changed(served, archive):
    with stream(served, "grace") as following:
        assert [row["needs"] for row in following()["students"]] == [[], []]
        check(served, "ada", "wrong", SIZES)
        assert following()["students"][0]["exercises"][0]["state"] == "trying"
        served.client("bob").submit(C, A, archive())
        assert following()["queue"] == {"waiting": 1}


@pytest.mark.usefixtures("quick")
def test_a_ta_with_a_section_is_told_nothing_of_other_sections(served):
    with stream(served, "tom") as following:
        assert [row["student"] for row in following()["students"]] == ["ada"]
        check(served, "bob", "wrong", SIZES)
        check(served, "ada", "right")
        assert following()["students"][0]["exercises"][0]["state"] == "right"


@pytest.mark.usefixtures("quick")
def test_however_many_look_the_database_is_read_once_for_a_change(served, monkeypatch):
    reads, read = [], served.classroom.live._read
    monkeypatch.setattr(served.classroom.live, "_read", lambda *which: reads.append(which) or read(*which))
    with stream(served, "grace") as one, stream(served, "tom") as two, stream(served, "olga") as three:
        for following in (one, two, three):
            following()
        check(served, "ada", "right")
        for following in (one, two, three):
            following()
    assert reads == [(C, A)] * 2


def test_streams_end_with_the_server_and_after_a_while(served, monkeypatch):
    monkeypatch.setattr(live, "AT_MOST", 0.0)

    async def followed(seconds: float, *, closed: bool) -> int:
        monkeypatch.setattr(live, "LASTS", seconds)
        opened, number = live.Live(served.classroom._state, served.classroom._seen), 0
        async for _ in opened.follow(C, A, Place(Role.OWNER)):
            number += 1
            if closed:
                opened.close()
            opened.changed(C, A)
        return number

    assert asyncio.run(followed(60.0, closed=True)) == 1
    assert asyncio.run(followed(0.2, closed=False)) > 1


def test_a_change_of_which_nobody_was_told_is_seen_after_a_while(served, monkeypatch):
    monkeypatch.setattr(live, "AT_MOST", 0.0)
    monkeypatch.setattr(live, "LOOK_AGAIN", 0.05)
    with stream(served, "grace") as following:
        assert len(following()["students"]) == 2
        thread = threading.Thread(target=served.classroom.members.put, args=(C, "eve", Place(Role.STUDENT)))
        thread.start()
        assert [row["student"] for row in following()["students"]] == ["ada", "bob", "eve"]
        thread.join()


# ------------------------------------------------------------------------------------------------------------- page


def test_the_page_is_the_same_for_everybody_and_every_address_and_runs_our_scripts_alone(served):
    pages = [httpx.get(f"{served.url}/board/{course}/ps1") for course in (C, "unknown")]
    nonces = [re.search(r"'nonce-([\w-]+)'", page.headers["content-security-policy"])[1] for page in pages]
    assert nonces[0] != nonces[1]
    assert pages[0].text == pages[1].text.replace(nonces[1], nonces[0])
    assert not [name for name in ("ada", "course101", "counting") if name in pages[0].text]
    for page in pages:
        policy = page.headers["content-security-policy"]
        assert "unsafe" not in policy
        for directive in ("default-src 'none'", "frame-ancestors 'none'", "connect-src 'self'", "base-uri 'none'"):
            assert directive in policy
        assert page.headers["cross-origin-opener-policy"] == "same-origin"
        assert "set-cookie" not in page.headers


def test_a_link_in_a_message_on_another_site_leads_to_the_page_and_to_nothing_else(served):
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert httpx.get(f"{served.url}/board/{C}/{A}", headers=headers).status_code == 200
    refused(served.ask("grace", "GET", STATUS, headers=headers), 403, "pages of other sites may not")
    body = msgspec.json.encode(BoardLink("x"))
    refused(
        served.ask("", "POST", "board", headers=headers, content=body),
        403,
        "pages of other sites may not send requests here",
    )
