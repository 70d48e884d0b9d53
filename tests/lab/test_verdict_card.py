"""The verdict's card in JupyterLab and Notebook: what its buttons do, and the way through the opener by them alone."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .conftest import save, wait_until
from .test_desk_panel import RIGHT, WRONG, answer, axe, cell

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("jupyterlab")]

PAPERS = "def guide(told, untold, scale):\n    return told + scale * (told - untold)\n"
OURS = "def guide(told, untold, scale):\n    return untold + scale * (told - untold)\n"


def press(page: Any, name: str) -> None:
    """Press a button of the only card by keyboard, and find the focus still there."""
    button = page.locator(".studium-verdict-card").get_by_role("button", name=re.compile(name))
    button.focus()
    page.keyboard.press("Enter")


def violations(page: Any, context: str) -> list[str]:
    found = axe.Axe().run(page, context=context)["violations"]
    return [f"{item['id']}: {item['nodes'][0]['html']}" for item in found]


def first_row(page: Any) -> list[Any]:
    """Return the pixels of what the experiment drew at scale 0."""
    images = page.locator(".jp-Cell", has_text="drawings(guide)").locator("figure canvas, .jp-OutputArea-output canvas")
    images.first.wait_for()
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for()
    return [images.nth(i).evaluate("(image) => image.toDataURL()") for i in range(6)]


@pytest.mark.heavy
def test_the_opener_is_done_by_its_buttons_and_its_experiment_changes_with_the_line(lab, page):
    page.goto(lab.url("lab/tree/four-minutes.ipynb"))
    page.locator(".jp-NotebookPanel canvas").first.wait_for()
    answer(page, PAPERS, "guide")
    cell(page, "guide").locator(".studium-badge").click()
    card = page.locator(".studium-verdict-card")
    card.locator(".studium-verdict-sentence", has_text="You started at the told guess").wait_for()
    card.get_by_role("button", name="See the difference").click()
    card.locator("canvas").first.wait_for()
    card.get_by_role("button", name="Run the experiment").click()
    wrong = first_row(page)
    answer(page, OURS, "guide")
    cell(page, "guide").locator(".studium-badge").click()
    card.locator(".studium-verdict-sentence", has_text="guide is the untold guess at scale 0").wait_for()
    card.get_by_text("The experiment below now runs with your guide.").wait_for()
    card.get_by_role("button", name="Run the experiment").click()
    wait_until(page, lambda: first_row(page) != wrong)
    card.get_by_role("button", name="The end of the lesson").click()
    ending = page.locator(".studium-ending")
    assert page.locator(".jp-NotebookPanel").get_by_text("You can now", exact=True).count() == 1
    ending.get_by_text("1 mistake overcome").click()
    ending.get_by_text("You started at the told guess").wait_for()
    assert violations(page, ".studium-ending") == []
    ending.get_by_role("button", name=re.compile("^Next lesson: ")).click()
    page.locator(".jp-Notebook").get_by_role("heading", level=1, name=re.compile("(?!Four minutes)")).first.wait_for()


def test_a_card_is_used_by_keyboard_and_stays_when_the_notebook_is_opened_again(lab, page):
    for name in ("mean", "spread"):
        lab.ask("POST", "reset", {"path": "second-steps.ipynb", "exercise": name})
    page.goto(lab.url("notebooks/second-steps.ipynb"))
    answer(page, WRONG)
    cell(page).locator(".studium-badge").click()
    card = page.locator(".studium-verdict-card")
    card.locator(".studium-verdict-sentence", has_text="You gave the sum; the mean is").wait_for()
    press(page, "Hint")
    card.get_by_text("How many numbers are there?").wait_for()
    press(page, "Solution of mean")
    press(page, "Show it")
    card.locator("pre", has_text="return sum(numbers) / len(numbers)").wait_for()
    assert violations(page, ".studium-verdict-card") == []
    save(page, lab.folder / "second-steps.ipynb", "    return sum(numbers)\\n", "You gave the sum; the mean is")
    page.goto(lab.url("notebooks/second-steps.ipynb"))
    card.locator(".studium-verdict-sentence", has_text="You gave the sum; the mean is").wait_for()
    answer(page, RIGHT)
    cell(page).locator(".studium-badge").click()
    card.locator(".studium-verdict-sentence", has_text="mean knows the mean of three numbers.").wait_for()
    assert card.count() == 1
    card.get_by_role("button", name="The end of the lesson").click()
    page.wait_for_function("() => document.activeElement.matches('.studium-ending')")


def test_what_does_not_run_is_said_first_and_no_experiment_is_offered_and_what_is_blank_is_no_longer_wrong(lab, page):
    lab.ask("POST", "reset", {"path": "four-minutes.ipynb", "exercise": "guide"})
    page.goto(lab.url("lab/tree/four-minutes.ipynb"))
    badge, card = cell(page, "guide").locator(".studium-badge"), page.locator(".studium-verdict-card")
    answer(page, "def guide(told, untold, scale):\n    return (told\n", "guide")
    badge.click()
    why = "The cell does not run: SyntaxError: '(' was never closed (line 2 of the cell)."
    card.locator(".studium-verdict-sentence").get_by_text(why, exact=True).wait_for()
    assert card.get_by_role("button", name="Run the experiment").count() == 0
    answer(page, "def guide(told, untold, scale):\n    return None\n", "guide")
    badge.click()
    card.get_by_text("Not attempted yet: guide").wait_for()
    badge.get_by_text("○ Check", exact=True).wait_for()
    assert badge.get_attribute("title") == "guide is not begun"
    lab.ask("POST", "reset", {"path": "four-minutes.ipynb", "exercise": "guide"})


@pytest.mark.heavy
def test_from_the_click_to_the_result_it_is_said_below_the_cell_that_the_answer_is_checked(lab, page):
    lab.ask("POST", "reset", {"path": "second-steps.ipynb", "exercise": "mean"})
    held: list[Any] = []
    page.route("**/studium/api/checks*", lambda route: held.append(route))

    def request() -> Any:
        wait_until(page, lambda: held)
        return held.pop()

    page.goto(lab.url("lab/tree/second-steps.ipynb"))
    answer(page, RIGHT)
    badge, card = cell(page).locator(".studium-badge"), page.locator(".studium-verdict-card")
    told = card.filter(has_text="Checking mean …")
    badge.click()
    told.wait_for()
    badge.get_by_text("Checking").wait_for()
    request().continue_()
    card.locator(".studium-verdict-sentence", has_text="mean knows the mean of three numbers.").wait_for()
    assert (card.count(), told.count()) == (1, 0)
    answer(page, WRONG)
    badge.click()
    told.wait_for()
    assert card.get_by_role("button").count() == 0
    request().abort()
    card.get_by_role("button", name="Check again").click()
    told.wait_for()
    request().continue_()
    card.locator(".studium-verdict-sentence", has_text="You gave the sum; the mean is").wait_for()
    assert (card.count(), told.count()) == (1, 0)


@pytest.mark.heavy
def test_a_card_says_that_its_answer_has_changed_also_after_the_notebook_is_opened_again(lab, page):
    lab.ask("POST", "reset", {"path": "second-steps.ipynb", "exercise": "mean"})
    page.goto(lab.url("lab/tree/second-steps.ipynb"))
    answer(page, RIGHT)
    cell(page).locator(".studium-badge").click()
    card, told = (
        page.locator(".studium-verdict-card"),
        page.get_by_text("You have changed your answer since this check."),
    )
    card.locator(".studium-verdict-sentence", has_text="mean knows the mean of three numbers.").wait_for()
    assert told.count() == 0
    answer(page, WRONG)
    told.wait_for()
    assert violations(page, ".studium-verdict-card") == []
    with page.expect_response(lambda answer: answer.request.method == "PUT" and "/api/contents/" in answer.url):
        page.keyboard.press("ControlOrMeta+S")
    page.goto(lab.url("lab/tree/second-steps.ipynb"))
    told.wait_for()
    card.get_by_role("button", name="Check again").click()
    card.locator(".studium-verdict-sentence", has_text="You gave the sum; the mean is").wait_for()
    assert told.count() == 0


@pytest.mark.heavy
def test_a_badge_is_called_check_until_something_is_known_of_the_text_and_its_name_says_the_state(lab, page):
    lab.begin_again()
    page.goto(lab.url("lab/tree/second-steps.ipynb"))
    badge = cell(page).locator(".studium-badge")
    badge.get_by_text("○ Check", exact=True).wait_for()
    assert badge.get_attribute("aria-label") == "mean is not begun. Check"
    answer(page, WRONG)
    badge.click()
    badge.get_by_text("✗ Not right yet", exact=True).wait_for()
    answer(page, RIGHT)
    badge.get_by_text("✎ Check again", exact=True).wait_for()
    assert badge.get_attribute("aria-label") == "mean is not checked. Check again"


def right_edge(shown: Any) -> float:
    box = shown.bounding_box()
    return float(box["x"] + box["width"])


@pytest.mark.heavy
def test_code_card_and_widget_end_at_one_edge_on_a_wide_page(lab, page):
    page.set_viewport_size({"width": 1800, "height": 900})
    lab.ask("POST", "reset", {"path": "four-minutes.ipynb", "exercise": "guide"})
    page.goto(lab.url("lab/tree/four-minutes.ipynb"))
    widget = page.locator(".jp-Notebook .studium").first
    widget.wait_for()
    answer(page, PAPERS, "guide")
    cell(page, "guide").locator(".studium-badge").click()
    card = page.locator(".studium-verdict-card", has=page.locator(".studium-verdict-sentence"))
    card.wait_for()
    edge = right_edge(cell(page, "guide").locator(".jp-InputArea-editor"))
    assert right_edge(card) == pytest.approx(edge, abs=2)
    assert right_edge(widget) == pytest.approx(edge, abs=2)
    lab.ask("POST", "reset", {"path": "four-minutes.ipynb", "exercise": "guide"})
