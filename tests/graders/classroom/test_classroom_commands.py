"""The commands for the server's machine: settings, invitations, the roster, the status and the lines for a hub."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from studium.catalogue.catalogue import load_catalogue
from studium.cli.app import build_app
from studium.errors import CourseError, UnknownNameError, UsageError
from studium_classroom.hub import configuration
from studium_classroom.settings import Settings, read_settings
from traitlets.config import Config
from typer.testing import CliRunner


@pytest.fixture
def classroom(course: Path):
    """classroom("invite", "ada") → what `studium classroom` prints about the course, or the error's sentence."""
    app = build_app(load_catalogue())

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, ["classroom", *words, "--course", str(course)])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.stdout

    return run


def test_an_invitation_is_a_link_of_its_own_for_each(classroom):
    links = json.loads(classroom("invite", "ada", "bob", "--json"))
    assert list(links) == ["ada", "bob"]
    assert all(link.startswith("http://127.0.0.1:8710/join#") for link in links.values())
    assert links["ada"] != links["bob"]
    with pytest.raises(UsageError, match="a role must be student, ta, instructor or owner: got 'boss'"):
        classroom("invite", "ada", "--role", "boss")


def test_a_roster_is_taken_in_from_a_file_and_members_leave(classroom, tmp_path):
    file = tmp_path / "roster.csv"
    file.write_text("\ufeffstudent,role,section\nada,,a\ntom,ta,a\n", "utf-8")
    members = json.loads(classroom("roster", "--import", str(file), "--json"))
    assert [(one["user"], one["role"], one["section"], one["joined"]) for one in members] == [
        ("ada", "student", "a", False),
        ("tom", "ta", "a", False),
    ]
    assert [one["user"] for one in json.loads(classroom("roster", "--remove", "tom", "--json"))] == ["ada"]


def test_a_roster_that_cannot_be_used_changes_nothing(classroom, tmp_path):
    file = tmp_path / "roster.csv"
    for text, sentence in {
        "name,role\nada,ta\n": "line 2",
        "student\n../x\n": "a student's name",
        "student,role\nada,boss\n": "a role must be",
    }.items():
        file.write_text(text)
        with pytest.raises(UsageError, match=sentence):
            classroom("roster", "--import", str(file))
    assert json.loads(classroom("roster", "--json")) == []


def test_the_status_says_who_has_handed_in_and_who_is_stuck_on_what(classroom, course, archive):
    from studium.classroom.messages import CheckAnswer, CheckedExercise
    from studium_classroom.classroom import Classroom

    opened = Classroom([course], course / ".studium" / "classroom")
    opened.submissions.take("course101", "ps1", "ada", archive(), datetime.now(UTC), late=True)
    wrong = CheckAnswer("counting", [CheckedExercise("total", "wrong")])
    for _ in range(3):
        opened.checks.note("course101", "ps1", "bob", wrong, {"total": "counting.total:added-the-sizes"})
    opened.database.close()
    found = json.loads(classroom("status", "ps1", "--json"))
    ada, bob = found["students"]
    assert (ada["student"], ada["state"], ada["late"]) == ("ada", "waiting", True)
    (stuck,) = bob["exercises"]
    assert (stuck["exercise"], stuck["state"], stuck["checks"]) == ("counting.total", "stuck", 3)
    assert stuck["mistake"] == "counting.total:added-the-sizes"
    assert found["queue"] == {"stuck": 1, "waiting": 1, "late": 1}
    shown = classroom("status", "ps1")
    assert "1 of 2 have handed in\n1 stuck, 1 wait for a mark, 1 late\n" in shown


def test_a_status_without_a_class_says_where_it_looked_and_how_to_fill_it(classroom, course):
    shown = classroom("status", "ps1")
    assert "0 of 0 have handed in" in shown
    assert f"nobody is known in {read_settings(course).data} yet" in shown
    assert "classroom roster --import" in shown


def test_the_status_names_who_could_not_be_graded_and_why(classroom, course, archive):
    from studium_classroom.classroom import Classroom
    from studium_classroom.submissions import Graded

    opened, now = Classroom([course], course / ".studium" / "classroom"), datetime.now(UTC)
    opened.submissions.take("course101", "ps1", "ada", archive(), now, late=False)
    batch = opened.submissions.next_batch("course101", "ps1", 9)
    opened.submissions.note(batch, [Graded("ada", problem="the engine was gone", tries=3)], now)
    opened.database.close()
    assert "\nada could not be graded: the engine was gone\n" in classroom("status", "ps1")


def test_a_link_to_the_board_comes_from_the_course_folder_or_from_the_server_that_was_joined(
    classroom, served, course, data_folder, monkeypatch
):
    from studium.classroom.connections import join
    from studium_classroom.roles import Place, Role

    with pytest.raises(UnknownNameError, match=r"unknown assignment 'ps2'; did you mean 'ps1'\?"):
        classroom("board", "ps2")
    assert classroom("board", "ps1").startswith("http://127.0.0.1:8710/board/course101/ps1#")

    monkeypatch.chdir(course)
    app = build_app(load_catalogue())
    here = CliRunner().invoke(app, ["classroom", "board", "ps1"])  # no course was joined
    assert here.stdout.startswith("http://127.0.0.1:8710/board/course101/ps1#")

    secret = served.classroom.members.invite("course101", "grace", Place(Role.INSTRUCTOR))
    join(f"{served.url}/join#{secret}")
    done = CliRunner().invoke(app, ["classroom", "board", "ps1", "--json"])
    link = json.loads(done.stdout)["link"]
    assert served.classroom.boards.open(link.partition("#")[2]).user == "grace"


def test_instructors_grade_again_release_and_extend_from_anywhere(served, course, data_folder, archive):
    from studium.classroom.client import ClassroomError
    from studium.classroom.connections import join
    from studium_classroom.roles import Place, Role

    def run(*words: str) -> str:
        done = CliRunner().invoke(build_app(load_catalogue()), ["classroom", *words])
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.stdout

    invite = served.classroom.members.invite
    served.classroom.submissions.take("course101", "ps1", "ada", archive(), datetime.now(UTC), late=False)
    join(f"{served.url}/join#{invite('course101', 'tim', Place(Role.TA))}")
    with pytest.raises(ClassroomError, match="instructor"):
        run("grade", "ps1")
    join(f"{served.url}/join#{invite('course101', 'grace', Place(Role.INSTRUCTOR))}")
    assert run("grade", "ps1") == "1 submission of ps1 in course101 will be graded again\n"
    assert run("release", "ps1") == "students of course101 can see their marks for ps1 now\n"
    assert served.classroom.releases.has("course101", "ps1")
    said = run("extend", "ada", "ps1", "--until", "2099-03-05T12:00", "--reason", "ill")
    assert said == "ada now has until 2099-03-05 12:00 +0100 for ps1, due 2099-03-01 23:59 +0100\n"
    assert 'reason = "ill"' in (course / "course.toml").read_text()


def test_settings_name_several_courses_and_a_course_folder_is_a_server_of_one(course, tmp_path):
    assert read_settings(course) == Settings((str(course),), data=str(course / ".studium" / "classroom"))
    (tmp_path / "classroom.toml").write_text('courses = ["course"]\nport = 9000\nurl = "https://x.example/"\n')
    found = read_settings(tmp_path)
    assert (found.courses, found.data, found.link) == (
        (str(course),),
        str(tmp_path / "classroom-data"),
        "https://x.example",
    )


def test_links_begin_with_the_url_else_with_the_address_that_a_running_server_left(tmp_path):
    named, unnamed = (Settings((".",), data=str(tmp_path), url=url) for url in ("https://x.example/", ""))
    assert unnamed.link == "http://127.0.0.1:8710"
    unnamed.noted.write_text("http://127.0.0.1:9001")
    assert (named.link, unnamed.link) == ("https://x.example", "http://127.0.0.1:9001")


def test_a_server_leaves_its_address_while_it_runs_but_not_behind_a_hub(course, classroom, monkeypatch):
    noted, seen = read_settings(course).noted, []

    async def run(_classroom, _address, _port, _prefix, ready):
        ready(9001)
        seen.append(noted.read_text("utf-8") if noted.exists() else "")

    monkeypatch.setattr("studium_classroom.serving.serve", run)
    classroom("serve", "--port", "0")
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/services/classroom/")
    classroom("serve", "--port", "0")
    assert (seen, noted.exists()) == (["http://127.0.0.1:9001", ""], False)


def test_settings_that_cannot_be_used_are_told_in_a_sentence(tmp_path):
    with pytest.raises(UsageError, match=r"needs classroom.toml or course.toml"):
        read_settings(tmp_path)
    for text, sentence in {
        "cours = []": r"has the unknown key 'cours'; did you mean 'courses'\?",
        "port = 1": "needs the key 'courses'",
        "courses = []": "courses",
        "courses = [": "must be valid TOML",
    }.items():
        (tmp_path / "classroom.toml").write_text(text)
        with pytest.raises(CourseError, match=sentence):
            read_settings(tmp_path)


def test_the_lines_for_a_hub_keep_what_its_configuration_has_already(tmp_path):
    c = Config()
    c.JupyterHub.services = [{"name": "culler"}]
    exec(configuration(Settings((".",), port=9001), tmp_path, "classroom"), {"c": c})
    assert [one["name"] for one in c.JupyterHub.services] == ["culler", "classroom"]
    assert c.JupyterHub.services[1]["url"] == "http://127.0.0.1:9001"
    with pytest.raises(UsageError, match="a service's name may have only lowercase letters"):
        configuration(Settings((".",)), tmp_path, "x'; import os")
