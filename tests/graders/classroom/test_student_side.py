"""The student's side: joining, fetching without loss, handing in with a receipt, and servers that do not answer."""

import json
import shutil
import stat
from pathlib import Path

import httpx
import pytest
from studium.classroom import connections, folder
from studium.classroom.client import ClassroomError, Client
from studium.classroom.connections import connection_of, join
from studium.classroom.overview import assignment_named, overview
from studium.errors import UnknownNameError, UsageError
from studium_classroom.classroom import Classroom
from studium_classroom.roles import Place, Role

from .conftest import serving

C, A = "course101", "ps1"


@pytest.fixture
def joined(served):
    """A course server that ada has joined with a link, as with `studium courses --join`."""
    secret = served.classroom.members.invite(C, "ada", Place(Role.STUDENT))
    join(f"{served.url}/join#{secret}")
    return served


def test_what_is_no_link_of_an_invitation_is_refused():
    for link in ("", "https://x.example/join", "join#secret", "ftp://x.example/join#s", "https:///join#s"):
        with pytest.raises(UsageError, match="an invitation is a link"):
            join(link)


def test_the_token_is_kept_in_a_file_of_the_students_own_until_another_one_takes_its_place(joined, data_folder):
    file = data_folder / "classroom.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    (kept,) = json.loads(file.read_text())
    assert (kept["url"], kept["course"]) == (joined.url, C)
    assert [path.name for path in data_folder.glob(".classroom*")] == []
    secret = joined.classroom.members.invite(C, "ada", Place(Role.STUDENT))
    join(f"{joined.url}/join#{secret}")
    assert len(connections.connections()) == 1
    assert [view.name for view in overview().assignments] == [A]


def test_a_hub_says_server_and_token_by_its_environment(served, monkeypatch):
    monkeypatch.setenv("STUDIUM_CLASSROOM", served.url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", served.tokens["bob"])
    with connection_of("any").client() as client:
        assert client.me().user == "bob"


def test_a_course_that_was_not_joined_is_told_in_a_sentence(joined):
    with pytest.raises(UsageError, match="you have not joined the course 'other'"):
        connection_of("other")
    with pytest.raises(UnknownNameError, match=r"unknown assignment 'ps2'; did you mean 'ps1'\?"):
        assignment_named("ps2")


def test_without_assignments_there_is_no_head_of_a_table(served, data_folder, studium):
    with pytest.raises(UsageError, match="you have not joined a course yet; run: studium courses --join LINK"):
        assignment_named(A)
    code, out, err = studium("courses")
    assert (code, out, err) == (0, "you have not joined a course yet: pass your invitation link to --join\n", "")


def test_fetching_again_writes_what_is_missing_and_leaves_answers_alone(joined, tmp_path):
    connection, view = assignment_named(A)
    target = tmp_path / "ps1"
    with connection.client() as client:
        assert folder.fetch(client, C, A, target, view.digest).written == ["counting.ipynb"]
        (target / "counting.ipynb").write_text("my answers")
        again = folder.fetch(client, C, A, target)
        assert (again.written, again.kept) == ([], ["counting.ipynb"])
        assert (target / "counting.ipynb").read_text() == "my answers"
        (target / "counting.ipynb").unlink()
        assert folder.fetch(client, C, A, target).written == ["counting.ipynb"]
        with pytest.raises(UsageError, match="holds ps1 of course101; fetch other into another folder"):
            folder.fetch(OtherHandout(), C, "other", target)


class OtherHandout:
    """A client of which nothing else is asked."""

    def handout(self, course: str, assignment: str) -> bytes:
        from studium.classroom.archive import pack

        return pack({"other.ipynb": b"{}"})


def test_a_folder_is_handed_in_with_its_files_and_keeps_the_receipt(joined, tmp_path):
    connection, _ = assignment_named(A)
    target = tmp_path / "ps1"
    with connection.client() as client:
        folder.fetch(client, C, A, target)
    (target / "data.csv").write_text("1")
    (target / ".secret").write_text("of my own")
    receipt = folder.submit(target)
    (row,) = joined.classroom.submissions.attempts(C)[A, "ada"]
    assert set(folder.unpack(joined.classroom.submissions.archive(row))) == {"counting.ipynb", "data.csv"}
    kept = json.loads((target / folder.RECEIPTS / "attempt-1.json").read_text())
    assert kept["signature"] == receipt.signature
    assert folder.submit(target).attempt == 1  # the receipt itself is no part of what is handed in


def test_a_folder_that_was_not_fetched_is_not_handed_in(tmp_path):
    with pytest.raises(UsageError, match="is not an assignment's folder"):
        folder.submit(tmp_path)
    with pytest.raises(UsageError, match="does not exist"):
        folder.folder_of(tmp_path / "nothing")


def answering(status: int, content: bytes, lost: int = 0):
    """A transport that answers so, after losing the first answers; ``asked`` counts."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if len(asked) <= lost:
            raise httpx.ReadError("the connection was lost")
        return httpx.Response(status, content=content)

    return httpx.MockTransport(answer), asked


def test_a_submission_whose_answer_was_lost_is_sent_again_and_no_other_request():
    receipt = (
        b'{"course":"c","assignment":"a","student":"ada","attempt":1,"received":"2026-01-01T00:00:00Z",'
        b'"sha256":"x","size":1,"late":false,"signature":"s"}'
    )
    transport, asked = answering(201, receipt, lost=2)
    with Client("http://x", "token", transport) as client:
        assert client.submit("c", "a", b"zip").attempt == 1
    assert [request.content for request in asked] == [b"zip"] * 3
    transport, asked = answering(200, b"", lost=9)
    with Client("http://x", "token", transport) as client, pytest.raises(ClassroomError, match="did not answer"):
        client.me()
    assert len(asked) == 1


def test_what_another_program_answers_becomes_a_sentence():
    for status, content, sentence in (
        (502, b"<html>bad gateway</html>", "answered with the error 502"),
        (200, b"<html>a login page</html>", "is not a course server of this version"),
        (403, b'{"message": "no\\u001b[2J way"}', r"^no \[2J way$"),
    ):
        transport, _ = answering(status, content)
        with Client("http://x", "token", transport) as client, pytest.raises(ClassroomError, match=sentence):
            client.me()


def test_one_server_that_does_not_answer_takes_nothing_from_the_others(joined, data_folder: Path):
    file = data_folder / "classroom.json"
    kept = json.loads(file.read_text())
    file.write_text(json.dumps([{"url": "http://127.0.0.1:9", "token": "x", "course": "gone"}, *kept]))
    found = overview()
    assert [view.name for view in found.assignments] == [A]
    assert len(found.problems) == 1


def test_a_student_of_two_courses_has_the_assignments_of_both_and_hands_in_to_each_by_its_own_token(
    course, built_course, archive, tmp_path
):
    second = Path(shutil.copytree(built_course, tmp_path / "second"))
    text = (second / "course.toml").read_text()
    (second / "course.toml").write_text(text.replace('"course101"', '"second"'))
    classroom = Classroom([course, second], tmp_path / "both")
    with serving(classroom) as url:
        for id_ in (C, "second"):
            join(f"{url}/join#{classroom.members.invite(id_, 'ada', Place(Role.STUDENT))}")
        found = overview()
        assert [(view.course, view.name) for view in found.assignments] == [(C, A), ("second", A)]
        with pytest.raises(
            UsageError, match="several of your courses have ps1: course101, second; choose one with --id"
        ):
            assignment_named(A)
        connection, view = assignment_named(A, "second")
        with connection.client() as client:
            folder.fetch(client, "second", A, tmp_path / "ps1", view.digest)
            with pytest.raises(ClassroomError, match="you are not a member of a course"):
                client.submit(C, A, archive())
        assert folder.submit(tmp_path / "ps1").course == "second"
        assert [len(view.attempts) for view in overview().assignments] == [0, 1]
    classroom.database.close()
