"""Two students and an instructor do one assignment through a real hub, each in a real JupyterLab in Chromium."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.lab.conftest import new_page, run_all  # noqa: F401 - a fixture

from .desks import STAFF
from .real_hub import PROXY, WITHOUT_PROXY, Hub, running_hub
from .test_whole_way import RIGHT, WRONG

pytest.importorskip("jupyterhub")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.heavy,
    pytest.mark.timeout(1800),
    pytest.mark.xdist_group("classroom"),
    pytest.mark.skipif(not PROXY, reason=WITHOUT_PROXY),
]
GROUPS = {
    "studium:course101:student": ["ada", "bob"],
    "formgrade-course101": ["grace"],
    "studium:second:student": ["ada"],
}
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


@pytest.fixture
def hub(course: Path, tmp_path: Path, described_topics: Path) -> Iterator[Hub]:
    """A hub with two courses of one server. The ps1 of the first has not been released: only its instructor has it."""
    second = Path(shutil.copytree(course, tmp_path / "second"))
    text = (second / "course.toml").read_text().replace('"course101"', '"second"\ntitle = "Second course"')
    (second / "course.toml").write_text(text.replace("2099-01-01", "2026-01-01"))
    for released in (second / "release" / "ps1", course / "release" / "ps1", course / "release" / "later"):
        shutil.rmtree(released)
    place = tmp_path / "server"
    place.mkdir()
    (place / "classroom.toml").write_text('courses = ["../course", "../second"]\n')
    homes = {user: tmp_path / "homes" / user for user in ("ada", "bob", "grace")}
    for home in homes.values():
        (home / ".local" / "share" / "studium").mkdir(parents=True)
        (home / ".local" / "share" / "studium" / "topics").symlink_to(described_topics)
    instructor(homes["grace"], course)
    command = [sys.executable, "-m", "jupyterhub.singleuser", "--allow-root"]
    with running_hub(place, tmp_path, command, GROUPS) as hub:
        yield hub


def instructor(home: Path, course: Path) -> None:
    """Put an assignment's source and two notebooks with nbgrader's commands into the instructor's home."""
    shutil.move(course / "source" / "ps1", home / "source" / "ps1")
    (home / "nbgrader_config.py").write_text(STAFF)
    for name in ("release_assignment", "collect"):
        cell = new_code_cell(f"!{sys.executable} -m nbgrader {name} ps1")
        nbformat.write(new_notebook(cells=[cell], metadata=KERNEL), home / f"{name}.ipynb")


def lab(hub: Hub, page: Any, user: str) -> None:
    """Log a user in, and wait for the JupyterLab that the hub starts."""
    page.goto(f"{hub.url}/hub/login")
    page.locator("#username_input").fill(user)
    page.locator("#password_input").fill("any")
    page.locator("#login_submit").click()
    page.locator("#jp-main-dock-panel").wait_for(timeout=600_000)


def assignments(hub: Hub, page: Any, user: str) -> Any:
    """Open the tab Assignments and return the card of ps1."""
    lab(hub, page, user)
    page.locator('.lm-TabBar-tab[data-id="studium-desk"]').click()
    page.get_by_role("tab", name="Assignments").click()
    return page.get_by_role("article", name="ps1")


def commanded(hub: Hub, page: Any, name: str) -> str:
    """Have the instructor run a notebook with a command of nbgrader's, and return what it printed."""
    page.goto(f"{hub.url}/user/grace/lab/tree/{name}.ipynb?reset")  # no notebook of before is open
    run_all(page)
    return page.locator(".jp-OutputArea-output").last.inner_text()


def write(page: Any, source: str) -> None:
    page.locator(".jp-Notebook .cm-content", has_text="def total").click()
    page.locator(".jp-Notebook .cm-content", has_text="def total").fill(source)


def test_two_students_and_an_instructor_do_one_assignment_from_release_to_mark_and_feedback(
    hub: Hub,
    new_page: Callable[[], Any],  # noqa: F811 - the fixture
):
    grace, ada, bob = new_page(), new_page(), new_page()
    card = assignments(hub, ada, "ada")
    ada.get_by_role("article", name="later").wait_for()  # of the second course
    assert card.count() == 0  # it was not released yet
    lab(hub, grace, "grace")
    assert "Released as: course101 ps1" in commanded(hub, grace, "release_assignment")

    ada.get_by_role("tab", name="Assignments").click()
    card.get_by_role("button", name="Fetch: ps1").click()
    write(ada, WRONG)
    card.get_by_role("button", name="Check on the server").click()
    card.get_by_text("You added the sizes of the numbers, whatever their signs.").wait_for()
    seconds = [submitted(card, 1, "1 of 5")]
    write(ada, RIGHT)
    seconds.append(submitted(card, 2, "3 of 5"))
    feedback(card, ada)

    other = assignments(hub, bob, "bob")
    other.get_by_role("button", name="Fetch: ps1").click()
    write(bob, RIGHT)
    seconds.append(submitted(other, 1, "3 of 5"))
    assert bob.get_by_role("article", name="later").count() == 0  # he is not in the second course
    print("seconds from Submit to the mark in the panel:", *(f"{one:.1f}" for one in seconds))

    said = commanded(hub, grace, "collect")
    assert "Collecting submission: ada ps1" in said
    assert "Collecting submission: bob ps1" in said
    collected = hub.home("grace") / "submitted" / "ada" / "ps1" / "counting.ipynb"
    assert "return sum(values)" in collected.read_text()


def submitted(card: Any, attempt: int, mark: str) -> float:
    """Hand in and return the seconds until mark and feedback are shown."""
    begin = time.monotonic()
    card.get_by_role("button", name="Submit: ps1").click()
    card.get_by_text(f"Attempt {attempt} was received").wait_for()
    card.get_by_text(mark).first.wait_for()
    return time.monotonic() - begin


def feedback(card: Any, page: Any) -> None:
    """Open the page of feedback of the newest attempt."""
    card.get_by_text("with receipts and feedback").click()
    with page.expect_popup() as opened:
        card.get_by_role("link", name="Feedback on counting").first.click()
    opened.value.get_by_text("counting").first.wait_for()
    opened.value.close()
