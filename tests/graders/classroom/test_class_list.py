"""The class list on the course server: students whom it names are in the course, whether they ever came or not."""

import asyncio
import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from studium.errors import StudiumError, UsageError
from studium_classroom import people
from studium_classroom.classroom import Classroom
from studium_classroom.hub_students import students_of_hub
from studium_classroom.people import HubTokens
from studium_classroom.roles import Place, Role

LIST = {
    "ada": {"section": "b"},
    "nia": {"section": "a"},
    "zoe": {"section": "b"},
    "gus": {"section": "a", "gone": "2026-10-01"},
}


@pytest.fixture
def listed(course):
    (course / ".studium").mkdir(exist_ok=True)
    (course / ".studium" / "class-list.json").write_text(json.dumps(LIST))
    return course


def status(served, user):
    found = served.ask(user, "GET", "courses/course101/assignments/ps1/status").json()
    return [(row["student"], row["section"], row["attempts"]) for row in found["students"]]


def test_the_board_counts_who_never_came_and_not_who_is_gone(listed, served, archive):
    assert status(served, "grace") == [("ada", "b", 0), ("bob", "b", 0), ("nia", "a", 0), ("zoe", "b", 0)]
    served.classroom.submissions.take("course101", "ps1", "gus", archive(), datetime.now(UTC), late=False)
    assert ("gus", "a", 1) in status(served, "grace")


def test_the_list_decides_about_a_students_section_and_a_ta_sees_it_alone(listed, served):
    assert status(served, "tom") == [("nia", "a", 0)]
    roster = {one["user"]: one for one in served.ask("grace", "GET", "courses/course101/members").json()}
    assert roster["gus"] == {
        "user": "gus",
        "role": "student",
        "section": "a",
        "since": None,
        "joined": False,
        "gone": True,
    }
    assert (roster["ada"]["section"], roster["ada"]["joined"], roster["tom"]["role"]) == ("b", True, "ta")


class Hub:
    """What a JupyterHub tells about tokens: everybody is who the token says, in no group."""

    access_scopes = ()

    async def user_for_token(self, token, *, sync):
        return {"kind": "user", "name": token, "groups": ["studium:course101:ta:b"] if token == "zoe" else []}

    def check_scopes(self, scopes, model):
        return True


def test_on_a_hub_the_list_makes_students_until_they_are_gone_and_takes_no_role_away(listed, tmp_path, monkeypatch):
    monkeypatch.setattr(people, "_hub_auth", Hub)
    classroom = Classroom([listed], tmp_path / "data")
    tokens = HubTokens(classroom.members, classroom.courses)
    found = {name: asyncio.run(tokens.person(name)).places for name in ("nia", "gus", "eve", "zoe")}
    classroom.database.close()
    assert found == {
        "nia": {"course101": Place(Role.STUDENT, "a")},
        "gus": {},
        "eve": {},
        "zoe": {"course101": Place(Role.TA, "b")},
    }


def test_a_damaged_list_gives_nobody_a_place_and_stops_nobody(listed, tmp_path, monkeypatch):
    (listed / ".studium" / "class-list.json").write_text("{")
    monkeypatch.setattr(people, "_hub_auth", Hub)
    classroom = Classroom([listed], tmp_path / "data")
    tokens = HubTokens(classroom.members, classroom.courses)
    found = {name: asyncio.run(tokens.person(name)).places for name in ("nia", "zoe")}
    classroom.database.close()
    assert found == {"nia": {}, "zoe": {"course101": Place(Role.TA, "b")}}


GROUPS = [
    {"name": "studium:course101:student:a", "users": ["ada", "nia"]},
    {"name": "nbgrader-course101", "users": ["bob", "tom"]},
    {"name": "studium:course101:ta", "users": ["tom"]},
    {"name": "studium:other:student", "users": ["eve"]},
]


@pytest.fixture
def hub(monkeypatch):
    """The address of a hub's API that shows its groups one at a time, to the token "t" alone."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            url = urlsplit(self.path)
            at = int(parse_qs(url.query).get("offset", ["0"])[0])
            allowed = self.headers["Authorization"] == "token t" and url.path == "/hub/api/groups"
            paged = self.headers["Accept"] == "application/jupyterhub-pagination+json"
            following = (
                {"offset": at + 1, "limit": 1, "url": "http://another.example/"} if at + 1 < len(GROUPS) else None
            )
            body = {"items": GROUPS[at : at + 1], "_pagination": {"next": following}} if paged else GROUPS[:1]
            self.send_response(200 if allowed else 403)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "t")
    yield f"http://127.0.0.1:{server.server_port}/hub/api"
    server.shutdown()
    thread.join(30)
    server.server_close()


def test_the_groups_of_a_hub_become_the_class_list_without_the_staff(hub, course, studium):
    code, out, err = studium("roster", "--course", str(course), "--from-hub", "--hub-url", hub, "--yes")
    assert (code, err) == (0, "")
    assert "added (3):\n  ada, a\n  bob\n  nia, a\n" in out


def test_a_hub_that_refuses_or_does_not_answer_is_told_in_one_sentence(hub, monkeypatch):
    with pytest.raises(StudiumError, match=r"no group of the hub at .* makes anybody a student of course7"):
        students_of_hub("course7", hub)
    with pytest.raises(StudiumError, match="did not list its groups"):
        students_of_hub("course101", "http://127.0.0.1:9/hub/api")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "x")
    with pytest.raises(StudiumError, match="give it the scopes list:groups and read:groups"):
        students_of_hub("course101", hub)
    monkeypatch.delenv("JUPYTERHUB_API_TOKEN")
    with pytest.raises(UsageError, match="needs JUPYTERHUB_API_TOKEN"):
        students_of_hub("course101", hub)
