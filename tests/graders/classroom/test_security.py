"""What must not be possible on the course server, tried: each attempt is refused in one sentence."""

import re
import socket
from urllib.parse import urlsplit

import msgspec
import pytest
from studium.classroom.archive import unpack
from studium.classroom.client import ClassroomError
from studium.classroom.messages import CheckRequest
from studium.errors import UsageError
from studium_classroom.classroom import Classroom
from studium_classroom.members import InvitationError, Members, require_user
from studium_classroom.people import HubTokens, OwnTokens
from studium_classroom.roles import Place, Role, places_of
from studium_classroom.web.base import ClassroomHandler, rule_of
from studium_classroom.web.routes import PAGES, ROUTES, VERBS
from studium_graders.assignments.building import build_assignment

C, A = "course101", "ps1"
STUDENTS, STAFF = Role.STUDENT, (Role.TA, Role.INSTRUCTOR, Role.OWNER)


def verbs():
    """(path, verb, rule) of everything that can be asked for."""
    for path, handler in ROUTES.items():
        for verb in VERBS:
            if rule := rule_of(handler, verb):
                yield path, verb, rule


def asked_by(wanted):
    """The addresses and verbs whose rule is ``wanted``; there are some."""
    found = [(filled(path), verb.upper()) for path, verb, rule in verbs() if wanted(rule)]
    assert found
    return found


def filled(path):
    parts = {"attempt": 1, "notebook": "counting", "student": "bob", "exercise": "counting.total"}
    return path.format(course=C, assignment=A, answer="0a", item="0b", request=1, **parts)


def refused(response, status, sentence):
    """Whether a refusal is one sentence of ours, in JSON, with this status."""
    assert response.status_code == status, response.text
    message = response.json()["message"]
    assert re.search(sentence, message), message
    assert "\n" not in message
    assert "Traceback" not in message


# ---------------------------------------------------------------------------------------------------- who may ask


def test_every_verb_of_every_address_says_who_may_use_it():
    for path, handler in (ROUTES | PAGES).items():
        own = [verb for verb in VERBS if verb in vars(handler)]
        assert own, path
        assert all(rule_of(handler, verb) for verb in own), path


def test_nothing_is_allowed_by_default(served):
    for path, handler in ROUTES.items():
        for verb in VERBS:
            if rule_of(handler, verb) is None:
                assert served.ask("olga", verb.upper(), filled(path)).status_code == 405


def test_nobody_without_a_token_of_this_server_gets_anything(served):
    for path, verb in asked_by(lambda rule: rule.role):
        refused(served.ask("", verb, path), 401, "a token is needed")
        refused(served.ask("forged-token", verb, path), 401, "this server does not know the token")


def test_a_students_token_is_refused_at_addresses_of_the_staff_and_the_audit_log_says_so(served):
    for path, verb in asked_by(lambda rule: rule.role in STAFF):
        refused(served.ask("ada", verb, path), 403, r"the role \w+ in course101 is needed, but yours is student")
        (line, *_) = served.classroom.audit.of(C)
        assert (line.user, line.refused, line.action, line.subject) == ("ada", True, verb, f"/api/{path}")


def test_the_session_of_a_board_reads_the_board_and_can_do_nothing_else(served):
    boards = served.classroom.boards
    headers = {"Authorization": f"board {boards.open(boards.link(C, 'olga', Place(Role.OWNER))).token}"}
    for path, verb in asked_by(lambda rule: rule.role and not rule.board):
        refused(served.ask("", verb, path, headers=headers), 403, "a board's session can only read the board")


def test_what_a_board_may_read_are_addresses_of_the_staff_that_change_nothing():
    found = {(path.rpartition("{assignment}/")[2], verb, rule.role) for path, verb, rule in verbs() if rule.board}
    paths = ("status", "status/{student}/{exercise}", "live")
    assert found == {(path, "get", Role.TA) for path in paths}


def test_what_is_no_session_of_a_board_opens_nothing_though_it_is_a_token(served):
    for path, verb in asked_by(lambda rule: rule.role):
        for token in ("forged", served.tokens["olga"]):
            headers = {"Authorization": f"board {token}"}
            refused(served.ask("", verb, path, headers=headers), 401, "the board has been open for 8 hours")


def test_a_ta_may_not_do_what_is_an_instructors_nor_an_instructor_what_is_an_owners(served):
    for path in ("assignments/ps1/grade", "assignments/ps1/release", "members"):
        refused(served.ask("tom", "POST", f"courses/{C}/{path}"), 403, "the role instructor")
    refused(served.ask("grace", "GET", f"courses/{C}/audit"), 403, "the role owner")
    body = msgspec.json.encode({"user": "eve", "role": "owner"})
    refused(served.ask("grace", "POST", f"courses/{C}/members", content=body), 403, "only an owner")
    assert served.ask("olga", "POST", f"courses/{C}/members", content=body).status_code == 201


def test_a_ta_sees_the_own_section_alone(served, archive):
    for name in ("ada", "bob"):
        served.client(name).submit(C, A, archive(total=f"# {name}"))
    status = served.ask("tom", "GET", f"courses/{C}/assignments/{A}/status").json()
    assert [row["student"] for row in status["students"]] == ["ada"]
    assert {one["user"] for one in served.ask("tom", "GET", f"courses/{C}/members").json()} == {"ada", "tom"}
    received = f"courses/{C}/assignments/{A}/received"
    assert [one["student"] for one in served.ask("tom", "GET", received).json()] == ["ada"]
    assert served.ask("tom", "GET", f"{received}/ada/1").content == archive(total="# ada")
    refused(
        served.ask("tom", "GET", f"{received}/bob/1"),
        403,
        "attempt 1 of bob at ps1 does not exist, or the student is not in your",
    )
    everybody = served.ask("grace", "GET", f"courses/{C}/assignments/{A}/status").json()
    assert [row["student"] for row in everybody["students"]] == ["ada", "bob"]


# ------------------------------------------------------------------------------------- other people, other courses


def test_nothing_of_other_students_courses_or_places_can_be_asked_for(served, archive):
    served.client("bob").submit(C, A, archive(total="# bob's own"))
    ada = served.ask("ada", "GET", f"courses/{C}/assignments").text
    assert "bob" not in ada
    assert '"attempts":[]' in ada
    refused(
        served.ask("ada", "GET", f"courses/{C}/assignments/{A}/feedback/1/counting"),
        403,
        "you cannot see feedback on attempt 1",
    )
    forged = {"X-Forwarded-User": "bob", "Remote-User": "bob", "Cookie": "user=bob"}
    answer = served.ask("ada", "GET", "me", headers=forged, params={"user": "bob", "student": "bob"})
    assert "bob" not in answer.text
    assert "set-cookie" not in answer.headers
    response = served.ask("", "GET", "me", headers={"Cookie": f"token={served.tokens['ada']}"})
    refused(response, 401, "a token is needed")
    for course in ("other", "nothing"):  # whether there is one is not said
        refused(served.ask("ada", "GET", f"courses/{course}/assignments"), 403, "you are not a member of a course")
    for path in ELSEWHERE:
        response = served.ask("ada", "GET", path)
        assert response.status_code in (403, 404), path
        assert list(response.json()) == ["message"]


def test_a_token_of_one_course_opens_no_other_though_the_name_is_the_same(counting, make_course, tmp_path):
    from .conftest import Served, join, serving

    one, two = make_course(), make_course()
    path = two / "course.toml"
    path.write_text(path.read_text().replace("course101", "course102"))
    build_assignment(one, "ps1", counting)
    classroom = Classroom([one, two], tmp_path / "data")
    with serving(classroom) as url:
        first = join(classroom, "course101", "ada", Place(Role.STUDENT))
        second = join(classroom, "course102", "ada", Place(Role.OWNER))
        served = Served(classroom, url, {"first": first, "second": second})
        refused(served.ask("second", "GET", "courses/course101/assignments"), 403, "not a member")
        refused(served.ask("first", "GET", "courses/course102/audit"), 403, "not a member")
        assert [one["course"] for one in served.ask("second", "GET", "me").json()["courses"]] == ["course102"]
    classroom.database.close()


def test_a_hand_out_that_has_not_opened_is_as_if_it_were_not_there(served):
    later = f"courses/{C}/assignments/later"
    for method, path in (
        ("GET", "handout"),
        ("POST", "submissions"),
        ("POST", "check"),
        ("GET", "feedback/1/counting"),
    ):
        body = msgspec.json.encode(CheckRequest("counting", "{}"))
        if path == "submissions":
            from studium.classroom.archive import pack

            body = pack({"counting.ipynb": b"{}"})
        refused(served.ask("ada", method, f"{later}/{path}", content=body), 404, "unknown assignment 'later'")
    assert "later" not in served.ask("ada", "GET", f"courses/{C}/assignments").text
    assert served.ask("grace", "GET", f"{later}/handout").status_code == 200


def test_a_hand_out_has_no_solution_and_no_hidden_test(served):
    text = b"".join(unpack(served.client("ada").handout(C, A)).values()).decode()
    assert "is zero for no values" in text  # a visible test
    for secret in ("running_secret", "the hidden sum of 1 and -4", "added the sizes", "math.hypot"):
        assert secret not in text


# ---------------------------------------------------------------------------------------------------- invitations


def test_an_invitation_works_once_and_what_the_database_has_of_it_opens_nothing(served):
    secret = served.classroom.members.invite(C, "eve", Place(Role.STUDENT))
    client = served.client()
    joined = client.join(secret)
    with pytest.raises(ClassroomError, match="unknown, used or older"):
        client.join(secret)
    content = b"".join(path.read_bytes() for path in served.classroom.blobs._folder.parent.glob("classroom.db*"))
    assert b"eve" in content
    assert secret.encode() not in content
    assert joined.token.encode() not in content


def test_who_is_given_a_place_or_removed_has_no_earlier_invitation(served):
    members = served.classroom.members
    secret = members.invite(C, "olga", Place(Role.OWNER))
    members.remove(C, "olga")
    refused(served.ask("olga", "GET", "me"), 401, "this server does not know the token")
    with pytest.raises(ClassroomError, match="unknown, used or older"):
        served.client().join(secret)
    promoted = members.invite(C, "ada", Place(Role.TA))
    others = members.invite(C, "bob", Place(Role.TA))
    members.put(C, "ada", Place(Role.STUDENT))
    with pytest.raises(ClassroomError, match="unknown, used or older"):
        served.client().join(promoted)
    assert members.places("ada") == {C: Place(Role.STUDENT)}
    assert served.client().join(others).user == "bob"
    assert members.invite(C, "ada", Place(Role.TA))  # one that is made later is good
    assert served.classroom.members.person(served.tokens["ada"]).places == {C: Place(Role.STUDENT)}


def test_who_joins_by_an_invitation_keeps_later_ones_and_no_earlier_one_nor_an_open_board(served):
    members, boards = served.classroom.members, served.classroom.boards
    secrets = [members.invite(C, "eve", Place(role)) for role in (Role.TA, Role.STUDENT, Role.INSTRUCTOR)]
    link = boards.link(C, "eve", Place(Role.TA))
    served.client().join(secrets[1])
    with pytest.raises(ClassroomError, match="unknown, used or older"):
        served.client().join(secrets[0])
    with pytest.raises(InvitationError, match="unknown, used or older"):
        boards.open(link)
    assert members.places("eve") == {C: Place(Role.STUDENT)}
    served.client().join(secrets[2])
    assert members.places("eve") == {C: Place(Role.INSTRUCTOR)}


def test_on_a_hub_whose_groups_say_who_is_who_nobody_joins_by_an_invitation(served, monkeypatch):
    secret = served.classroom.members.invite(C, "ada", Place(Role.TA))
    assert (OwnTokens.invites, HubTokens.invites) == (True, False)
    monkeypatch.setattr(OwnTokens, "invites", False)
    body = msgspec.json.encode({"invitation": secret})
    refused(served.ask("", "POST", "join", content=body), 403, "here a JupyterHub decides who is in a course")
    body = msgspec.json.encode({"user": "ada", "role": "ta"})
    refused(served.ask("grace", "POST", f"courses/{C}/members", content=body), 403, "here a JupyterHub decides who")
    assert served.classroom.members.places("ada") == {C: Place(Role.STUDENT, "a")}


def test_a_name_that_can_be_no_folder_joins_no_course(served):
    sentence = "a student's name may have only letters"
    for name in ("../x", "a/b", "", ".", "..", "-rf", "a\x00", "<b>x</b>", "a b", "x" * 101, "ends.", "é"):
        with pytest.raises(UsageError, match=sentence):
            require_user(name)
        body = msgspec.json.encode({"user": name})
        refused(served.ask("grace", "POST", f"courses/{C}/members", content=body), 404, sentence)


def test_groups_of_a_hub_name_roles_and_others_name_none():
    groups = ["studium:ps:ta:a", "studium:ps:student", "formgrade-nb", "nbgrader-nb", "x:ps:owner", "studium:ps:owners"]
    assert places_of(groups) == {"ps": Place(Role.TA, "a"), "nb": Place(Role.INSTRUCTOR)}


# ------------------------------------------------------------------------------------------------- bodies and paths


def test_a_giant_body_is_refused_before_it_is_read(served):
    head = "POST /api/courses/course101/assignments/ps1/{} HTTP/1.1\r\nHost: x\r\n{}Content-Length: {}\r\n\r\n"
    token = f"Authorization: token {served.tokens['ada']}\r\n"
    for path, size, limit in (
        ("submissions", 70 << 20, "65536 KB"),
        ("check", 20 << 20, "16384 KB"),
        ("check", 10**15, "16384 KB"),
    ):
        assert limit in _raw(served.url, head.format(path, token, size))
    assert "a token is needed" in _raw(served.url, head.format("submissions", "", 60 << 20))


def test_a_giant_body_of_unknown_length_is_not_kept_and_refused(served):
    head = (
        f"POST /api/courses/{C}/receipts HTTP/1.1\r\nHost: x\r\nAuthorization: token {served.tokens['ada']}\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    chunk = f"{1 << 15:x}\r\n{'x' * (1 << 15)}\r\n"
    assert "at most 64 KB" in _raw(served.url, head + 3 * chunk + "0\r\n\r\n")


LENGTHS = ["5,6", "5, 5", "-5", "+5", "0x5", "5_0", "five", "\u0665", "9" * 19, "9" * 5000, ""]


def test_a_length_that_is_no_number_is_refused_in_a_sentence_and_leaves_no_traceback(served, caplog):
    head = (
        f"POST /api/courses/{C}/receipts HTTP/1.1\r\nHost: x\r\nAuthorization: token {served.tokens['ada']}\r\n"
        "Content-Length: {}\r\n\r\n12345"
    )
    for length in LENGTHS:
        answer = _raw(served.url, head.format(length))
        assert answer.startswith("HTTP/1.1 400 "), length
        assert "a Content-Length must be a single number" in answer, length
    assert "Traceback" not in caplog.text
    assert [record for record in caplog.records if record.exc_info] == []


def _raw(url: str, text: str) -> str:
    """Send text to a server and return what it answers."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), timeout=30) as connection:
        connection.sendall(text.encode())
        answer = b""
        while b"}" not in answer and (part := connection.recv(4096)):
            answer += part
    return answer.decode()


ELSEWHERE = [
    f"courses/{C}/assignments/../../../etc/handout",
    f"courses/{C}/assignments/..%2f..%2fetc/handout",
    f"courses/{C}/assignments/%2e%2e/handout",
    f"courses/..%2f{C}/assignments",
    f"courses/{C}/assignments/{A}/feedback/1/..%2f..%2fsecret",
    f"courses/{C}/assignments/{A}/feedback/-1/counting",
    f"courses/{C}/assignments/{A}/feedback/99999999999/counting",
    "../secret",
    "static/secret",
    "",
]


def test_a_body_of_another_form_is_refused_in_a_sentence(served):
    for body in (b"", b"[]", b"{", b'{"invitation": 1}', b'{"invitation": "x", "role": "owner"}', b"[" * 60000):
        refused(served.ask("", "POST", "join", content=body), 400, "the body is not what this address expects")


def test_an_archive_with_a_path_that_leads_out_is_refused_and_nothing_is_kept(served):
    from .test_archive import zipped

    refused(
        served.ask(
            "ada", "POST", f"courses/{C}/assignments/{A}/submissions", content=zipped(**{"../../x.ipynb": b"{}"})
        ),
        400,
        "relative paths",
    )
    assert served.classroom.submissions.attempts(C) == {}


# ---------------------------------------------------------------------------------------- browsers and stored scripts


def test_a_page_of_another_site_is_refused_and_gets_no_permission_to_read(served):
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        response = served.ask("ada", "POST", f"courses/{C}/assignments/{A}/submissions", headers=headers, content=b"x")
        refused(response, 403, "pages of other sites may not send requests here")
        preflight = served.ask("", "OPTIONS", "me", headers=headers | {"Access-Control-Request-Method": "GET"})
        assert preflight.status_code in (403, 405)
        for answer in (response, preflight):
            assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_a_script_that_somebody_stored_runs_nowhere(served, archive):
    from .test_submissions import marked

    evil = "<script>alert(1)</script>"
    served.client("ada").submit(C, A, archive())
    marked(served, "ada", 1.0, sentence=evil, pages={"counting": f"<p>{evil}".encode()})
    page = served.ask("ada", "GET", f"courses/{C}/assignments/{A}/feedback/1/counting")
    policy = page.headers["content-security-policy"]
    assert "sandbox" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    listed = served.ask("ada", "GET", f"courses/{C}/assignments")
    assert listed.headers["content-type"].startswith("application/json")
    for answer in (page, listed):
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_a_server_says_cannot_steer_the_terminal(served):
    with pytest.raises(ClassroomError) as caught:
        served.client("ada").handout(C, "x\x1b[2J")
    assert caught.value.status == 404
    assert "\x1b" not in str(caught.value)


def test_an_error_of_our_own_tells_nothing_of_the_inside(served, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("the secret path /srv/courses")

    monkeypatch.setattr(Members, "join", broken)
    response = served.ask("", "POST", "join", content=b'{"invitation": "x"}')
    refused(response, 500, "the request failed")
    assert "secret" not in response.text


def test_only_a_handler_of_ours_is_at_an_address():
    assert all(issubclass(handler, ClassroomHandler) for handler in (ROUTES | PAGES).values())
