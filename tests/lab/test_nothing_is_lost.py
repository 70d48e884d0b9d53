"""What was checked is kept. Badge, card, panel and file agree after a reload, after a restart, in a second window."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from .conftest import wait_until
from .test_desk_panel import RIGHT, WRONG, answer, cell, exercise, open_lesson

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("jupyterlab")]

LESSON = "first-steps.ipynb"
STUB = "def mean(numbers):\n    raise NotImplementedError()\n"


@pytest.fixture(autouse=True)
def untouched(lab: Any) -> None:
    lab.ask("POST", "reset", {"path": LESSON, "exercise": "mean"})


def badge(page: Any) -> Any:
    return cell(page).locator(".studium-badge")


def card(page: Any) -> Any:
    return page.locator(".studium-verdict-card:not(.studium-checking)", has_text=": mean")


def check(page: Any, sentence: str) -> None:
    """Check the answer with its badge, and wait until the card says so."""
    badge(page).click()
    card(page).locator(".studium-verdict-sentence", has_text=sentence).wait_for()


def on_the_disk(lab: Any) -> str:
    return (lab.folder / LESSON).read_text("utf-8")


def run(page: Any, cell: Any) -> None:
    """Run a cell, again and again: JupyterLab drops it without a word while the notebook has no kernel yet."""

    def began() -> bool:
        cell.locator(".cm-content").press("Shift+Enter")
        return re.search(r"\[[\d*]+]", cell.locator(".jp-InputPrompt").inner_text()) is not None

    wait_until(page, began)


def all_say_right(page: Any, lab: Any) -> None:
    """Badge, card, panel and file."""
    badge(page).get_by_text("✓ Right").wait_for()
    card(page).get_by_text("The experiment below now runs with your mean.").wait_for()
    exercise(page, "mean").get_by_role("button", name=re.compile("^mean, right, ")).wait_for()
    assert page.locator(".studium-offer").count() == 0
    wait_until(page, lambda: "len(numbers)" in on_the_disk(lab) and "Right: mean" in on_the_disk(lab))


def test_a_check_saves_the_answer_and_its_verdict_which_are_there_after_a_reload_at_once(page, lab):
    open_lesson(page, lab, "lab/tree", "first-steps")
    answer(page, RIGHT)
    check(page, "mean knows the mean of three numbers.")
    all_say_right(page, lab)
    page.goto("about:blank")
    open_lesson(page, lab, "lab/tree", "first-steps")
    all_say_right(page, lab)


@pytest.mark.heavy
def test_running_the_check_cell_saves_too(page, lab):
    open_lesson(page, lab, "lab/tree", "first-steps")
    answer(page, RIGHT)
    run(page, cell(page))
    run(page, page.locator(".jp-CodeCell", has_text="lesson.check(mean)"))
    all_say_right(page, lab)


@pytest.mark.heavy
def test_after_the_servers_restart_all_still_say_the_same(page, lab):
    open_lesson(page, lab, "lab/tree", "first-steps")
    answer(page, RIGHT)
    check(page, "mean knows the mean of three numbers.")
    all_say_right(page, lab)
    page.goto("about:blank")
    lab.restart()
    open_lesson(page, lab, "lab/tree", "first-steps")
    all_say_right(page, lab)


@pytest.mark.heavy
def test_what_is_written_after_a_check_is_nowhere_called_right_until_it_is_undone(page, lab):
    open_lesson(page, lab, "lab/tree", "first-steps")
    answer(page, RIGHT)
    check(page, "mean knows the mean of three numbers.")
    answer(page, WRONG)
    badge(page).get_by_text("✎ Check again").wait_for()
    card(page).get_by_text("You have changed your answer since this check.").wait_for()
    exercise(page, "mean").get_by_text(re.compile("^Not checked · right before · ")).wait_for()
    answer(page, RIGHT)
    all_say_right(page, lab)


@pytest.mark.heavy
def test_a_stub_in_the_place_of_a_right_answer_offers_it_in_one_click_and_loses_nothing(page, lab):
    open_lesson(page, lab, "lab/tree", "first-steps")
    answer(page, RIGHT)
    check(page, "mean knows the mean of three numbers.")
    all_say_right(page, lab)
    page.goto("about:blank")
    file = lab.folder / LESSON
    written = json.loads(file.read_text("utf-8"))  # as an older copy of the notebook has it
    for one in written["cells"]:
        if one["metadata"].get("studium", {}).get("exercise") == "mean" and one["cell_type"] == "code":
            one["outputs"] = []
            one["source"] = STUB if one["metadata"]["studium"]["role"] == "exercise" else one["source"]
    file.write_text(json.dumps(written))
    open_lesson(page, lab, "lab/tree", "first-steps")
    badge(page).get_by_text("✎ Check again").wait_for()
    exercise(page, "mean").get_by_text(re.compile("^Not checked · right before · ")).wait_for()
    answer(page, "def mean(numbers):\n    return 4711\n")
    page.get_by_role("button", name="Put the right answer of mean back").click()
    cell(page).get_by_text("len(numbers)").wait_for()
    all_say_right(page, lab)
    versions = lab.ask("GET", f"history?path={LESSON}&exercise=mean")["versions"]
    assert any("4711" in version["answer"] for version in versions)


def test_a_second_window_calls_its_older_text_not_checked_and_takes_the_right_answer_over(new_page, lab):
    first, second = new_page(), new_page()
    for page in (first, second):
        open_lesson(page, lab, "lab/tree", "first-steps")
    answer(first, RIGHT)
    check(first, "mean knows the mean of three numbers.")
    all_say_right(first, lab)
    badge(second).get_by_text("✎ Check again").wait_for()
    assert card(second).count() == 0
    second.get_by_role("button", name="Put the right answer of mean back").click()
    badge(second).get_by_text("✓ Right").wait_for()
    badge(first).get_by_text("✓ Right").wait_for()


def restart_the_kernel(page: Any) -> None:
    """Begin with a kernel that knows nothing."""
    page.get_by_role("menuitem", name="Kernel", exact=True).click()
    page.locator(".lm-Menu-item", has_text="Restart Kernel…").first.click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()


@pytest.mark.heavy
def test_in_a_new_kernel_exercise_check_and_experiment_first_run_what_they_need(page, lab):
    open_lesson(page, lab, "lab/tree", "first-steps")
    answer(page, RIGHT)
    check(page, "mean knows the mean of three numbers.")
    for part in ("def mean(", "lesson.check(mean)", 'lesson.found("mean"'):
        restart_the_kernel(page)
        all_say_right(page, lab)
        run = page.locator(".jp-CodeCell", has_text=part)
        run.locator(".cm-content").press("Shift+Enter")
        run.locator(".jp-InputPrompt", has_text="[1]").wait_for()
        run.get_by_text(
            "This kernel was new, so the lesson's set-up and what else this cell needs ran first."
        ).wait_for()
        assert page.get_by_text("NameError").count() == 0
        run.locator(".cm-content").press("Shift+Enter")
        run.locator(".jp-InputPrompt", has_text="[2]").wait_for()
        assert run.get_by_text("This kernel was new").count() == 0
