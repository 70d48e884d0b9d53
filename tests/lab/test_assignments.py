"""The tab "Assignments" in JupyterLab with a real course server: fetch, check, submit, mark and feedback."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytest.importorskip("nbgrader")
from nbformat.v4 import new_code_cell, new_notebook
from studium.classroom.archive import unpack
from studium.classroom.messages import CheckAnswer, CheckedExercise, CheckedTest
from studium_classroom.classroom import Classroom
from studium_classroom.jobs.forms import CheckDone
from studium_classroom.roles import Place, Role
from studium_classroom.submissions import Graded
from studium_graders.course.course_file import read_course

from tests.children import child
from tests.graders.classroom.conftest import Served, join, serving
from tests.lab.conftest import TOKEN, _wait_for, free_port

axe = pytest.importorskip("axe_core_python.sync_playwright")

pytestmark = [pytest.mark.browser, pytest.mark.heavy, pytest.mark.xdist_group("jupyterlab")]

COURSE = """
id = "genai"
title = "Generative AI"

[[assignments]]
name = "ps1"
opens = 2026-01-01T08:00:00
due = 2099-03-01T23:59:00
"""
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A course server whose course hands out one notebook: the student ada, the instructor grace, the TA tom."""
    root = tmp_path_factory.mktemp("genai")
    (root / "course.toml").write_text(COURSE)
    (root / "release" / "ps1").mkdir(parents=True)
    cell = new_code_cell("def mean(numbers):\n    ...", metadata={"studium": {"role": "exercise", "exercise": "mean"}})
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=[cell], metadata=kernel), root / "release" / "ps1" / "means.ipynb")
    classroom = Classroom([root], root / "data")
    with serving(classroom) as url:
        places = {"ada": Place(Role.STUDENT), "grace": Place(Role.INSTRUCTOR), "tom": Place(Role.TA, "A")}
        found = Served(classroom, url, {name: join(classroom, "genai", name, place) for name, place in places.items()})
        yield found
        found.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of the person who uses this JupyterLab."""
    return tmp_path_factory.mktemp("home")


def joined_as(name: str, served: Served, home: Path) -> None:
    """Let the user of the JupyterLab be this member of the course."""
    joined = [{"url": served.url, "token": served.tokens[name], "course": "genai"}]
    (home / "data" / "classroom.json").write_text(json.dumps(joined))


@pytest.fixture(scope="module")
def jupyter(served: Served, home: Path, all_described: Path) -> Iterator[str]:
    """The address of a JupyterLab whose user has joined the course."""
    for name in ("data", "work"):
        (home / name).mkdir()
    (home / "data" / "topics").symlink_to(all_described)
    joined_as("ada", served, home)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}"]
    command += [f"--ServerApp.root_dir={home / 'work'}", f"--IdentityProvider.token={TOKEN}"]
    own = {
        "HOME": str(home),
        "STUDIUM_DATA": str(home / "data"),
        "JUPYTER_CONFIG_DIR": str(home),
        "STUDIUM_PROFILE": "smoke",
    }
    with (home / "log").open("w") as log, child(command, env=os.environ | own, stdout=log, stderr=log):
        _wait_for(f"{address}/api/status?token={TOKEN}", home / "log")
        yield address


async def checked(job: Any) -> CheckDone:
    """Answer as the checking process does, without an engine."""
    tests = [CheckedTest("is 2 for 1, 2, 3", False, "2 was expected")]
    mistake = f"You gave the sum {EVIL}; the mean is the sum through the number."
    one = CheckedExercise(job.exercise or "mean", "wrong", tests, 1, 3, mistake)
    return CheckDone(CheckAnswer(job.notebook, [one]), {"mean": "means.mean:sum"})


def marked(served: Served, score: float) -> None:
    """Write a mark down, as the grading line does."""
    submissions = served.classroom.submissions
    graded = Graded(
        "ada", score, 5.0, 0.5, EVIL, pages={"means": b"<h1>Feedback</h1><script>document.title = 'ran'</script>"}
    )
    submissions.note(submissions.next_batch("genai", "ps1", 9), [graded], datetime.now(UTC))


def picture(page: Any, name: str) -> None:
    """Keep a picture for whoever wants to look."""
    if folder := os.environ.get("STUDIUM_PICTURES"):
        page.screenshot(path=str(Path(folder, f"panel-{name}.png")))


def open_tab(page: Any, jupyter: str) -> Any:
    page.goto(f"{jupyter}/lab?token={TOKEN}&reset")
    page.locator('.lm-TabBar-tab[data-id="studium-desk"]').click()
    page.get_by_role("tab", name="Assignments").click()
    return page.get_by_role("article", name="ps1")


def test_a_student_fetches_checks_submits_and_reads_mark_and_feedback_in_the_panel(
    served, jupyter, new_page, monkeypatch
):
    monkeypatch.setattr(served.classroom._checker, "check", checked)
    page = new_page()
    card = open_tab(page, jupyter)
    card.get_by_text("Not handed in").wait_for()
    card.get_by_role("button", name="Fetch: ps1").click()
    page.locator(".jp-Notebook .cm-content", has_text="def mean").click()

    card.get_by_role("button", name="Check on the server").click()
    card.get_by_text("1 of 3 hidden tests pass").wait_for()
    assert EVIL in card.locator(".studium-mistake").inner_text()

    page.locator(".jp-Notebook .cm-content").fill("def mean(numbers):\n    return 2")
    card.get_by_role("button", name="Submit: ps1").click()
    card.get_by_text("Attempt 1 was received").wait_for()
    card.get_by_text("the mark is on its way · attempt 1").wait_for()
    (row,) = served.classroom.submissions.attempts("genai")["ps1", "ada"]
    assert "return 2" in unpack(served.classroom.submissions.archive(row))["means.ipynb"].decode()

    marked(served, 4.0)
    card.get_by_text("4 of 5, 0.5 taken off for lateness").wait_for()
    assert page.locator("img[src=x]").count() == 0
    card.get_by_text("1 attempt, with receipts and feedback").click()
    with page.expect_popup() as opened:
        card.get_by_role("link", name="Feedback on means").click()
    feedback = opened.value
    feedback.get_by_role("heading", name="Feedback").wait_for()
    assert feedback.title() != "ran"

    card.get_by_text("Ask for a regrade").click()
    card.get_by_label("Which exercise should be marked again, and why?").fill(f"mean is right {EVIL}")
    picture(page, "ask")
    card.get_by_role("button", name="Send the request: ps1").click()
    card.get_by_text("There is no reply yet.").wait_for()
    assert card.get_by_role("button", name="Send the request: ps1").count() == 0
    [request] = served.classroom.regrades.of_assignment("genai", "ps1")
    assert (request.user, request.attempt, request.text) == ("ada", 1, f"mean is right {EVIL}")
    served.classroom.regrades.reply("genai", "ps1", request.id, "One point more.", datetime.now(UTC), lambda _: True)
    page.get_by_role("tab", name="Lessons").click()
    page.get_by_role("tab", name="Assignments").click()
    card.get_by_text("One point more.").wait_for()
    assert page.locator("img[src=x]").count() == 0
    picture(page, "reply")
    found = axe.Axe().run(page, context=".studium-panel")["violations"]
    assert [f"{item['id']}: {item['nodes'][0]['html']}" for item in found] == []


@pytest.mark.parametrize(
    ("name", "button", "address"), [("grace", "Open the board", "board"), ("tom", "Mark by hand", "mark")]
)
def test_staff_open_a_page_in_a_new_tab_and_may_do_so_again(served, home, jupyter, new_page, name, button, address):
    joined_as(name, served, home)
    page = new_page()
    card = open_tab(page, jupyter)
    for _ in range(2):
        with page.expect_popup() as opened:
            card.get_by_role("button", name=f"{button}: ps1").click()
        opened.value.get_by_role("heading", name="ps1").wait_for()
        assert opened.value.url == f"{served.url}/{address}/genai/ps1"
        opened.value.close()
    found = axe.Axe().run(page, context=".studium-panel")["violations"]
    assert [f"{item['id']}: {item['nodes'][0]['html']}" for item in found] == []


def test_a_tab_that_the_browser_blocks_leaves_a_link_to_the_board(served, home, jupyter, new_page):
    joined_as("grace", served, home)
    page = new_page()
    card = open_tab(page, jupyter)
    page.evaluate("window.open = () => null")
    card.get_by_role("button", name="Open the board: ps1").click()
    link = card.get_by_role("link", name="Open the board of ps1").get_attribute("href")
    assert link.startswith(f"{served.url}/board/genai/ps1#")


def test_an_instructor_grades_again_releases_marks_and_gives_more_time_in_the_panel(served, home, jupyter, new_page):
    joined_as("grace", served, home)
    served.classroom.submissions.take("genai", "ps1", "bob", b"bob's", datetime.now(UTC), late=False)
    page = new_page()
    card = open_tab(page, jupyter)
    card.get_by_text("For instructors").click()
    card.get_by_role("button", name="Grade again: ps1").click()
    card.get_by_role("button", name="Cancel").click()
    card.get_by_role("button", name="Grade again: ps1").click()
    card.get_by_role("button", name="Grade everybody again").click()
    card.get_by_text(re.compile(r"\d submissions? will be graded")).wait_for()
    assert served.classroom.audit.of("genai")[0].action == "grade again"

    card.get_by_role("button", name="Release marks: ps1").click()
    assert not served.classroom.releases.has("genai", "ps1")
    card.get_by_role("button", name="Release the marks to students").click()
    card.get_by_text("Students can see their marks and feedback now.").wait_for()
    assert served.classroom.releases.has("genai", "ps1")

    card.get_by_label("Student's id").fill("bob")
    card.get_by_label("may hand in until").fill("2099-04-01T12:00")
    card.get_by_label("Reason, which").fill("ill")
    picture(page, "instructor")
    card.get_by_role("button", name="Give more time").click()
    card.get_by_text("bob can hand in until 2099-04-01 12:00, in the course's time zone.").wait_for()
    [extension] = read_course(served.classroom.courses["genai"].root).extensions
    assert (extension.student, extension.assignment, extension.reason) == ("bob", "ps1", "ill")
    found = axe.Axe().run(page, context=".studium-panel")["violations"]
    assert [f"{item['id']}: {item['nodes'][0]['html']}" for item in found] == []


def asked(page: Any, jupyter: str, what: str) -> str:
    """Return the sentence of a refusal."""
    answer = page.request.post(
        f"{jupyter}/studium/api/classroom/{what}?token={TOKEN}",
        data={"course": "genai", "assignment": "ps1"},
        headers={"Authorization": f"token {TOKEN}"},
    )
    assert answer.status == 400
    return str(answer.json()["message"])


@pytest.mark.parametrize("name", ["ada", "tom"])
def test_only_instructors_have_what_changes_the_whole_class_and_no_student_the_board(
    served, home, jupyter, new_page, name
):
    joined_as(name, served, home)
    page = new_page()
    card = open_tab(page, jupyter)
    card.get_by_role("button").first.wait_for()
    assert card.get_by_text("For instructors").count() == 0
    assert asked(page, jupyter, "grade").startswith("the role instructor in genai is needed")
    if name == "ada":
        assert card.get_by_role("button", name="Open the board").count() == 0
        assert asked(page, jupyter, "board") == "the role ta in genai is needed, but yours is student"
