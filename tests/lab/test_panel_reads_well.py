"""The panel at its default width: nothing is cut off, names are what is written, search and review read as prose."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .test_desk_panel import answer, axe, button, exercise, open_lesson

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("jupyterlab")]

MIDDLE = "def mean(numbers):\n    return sorted(numbers)[len(numbers) // 2]\n"
NAMED = {"runOnly": {"type": "rule", "values": ["label-content-name-mismatch"]}}


def sideways(page: Any) -> bool:
    """Whether the panel scrolls sideways."""
    return page.locator(".studium-desk").evaluate("(desk) => desk.scrollWidth > desk.clientWidth")


def misnamed(page: Any) -> list[str]:
    """What is named otherwise than it is labelled (WCAG 2.5.3)."""
    found = axe.Axe().run(page, context=".studium-panel", options=NAMED)["violations"]
    return [node["html"] for item in found for node in item["nodes"]]


def choose_wrongly(page: Any) -> Any:
    """Answer the review's question about the middle number by another sentence."""
    review = page.locator(".studium-review")
    page.get_by_role("tab", name="Review").click()
    review.locator(".studium-choice").first.wait_for()
    while not review.locator("pre", has_text="return sorted(numbers)").count():
        review.locator(".studium-choice").first.click()
        review.get_by_role("button", name="Next").click()
    review.locator(".studium-choice", has_text="You gave the sum").click()
    return review


@pytest.mark.heavy
def test_solution_search_and_review_stay_inside_the_panel_and_read_as_prose(page, lab):
    open_lesson(page, lab, "lab/tree", "first-steps")
    answer(page, MIDDLE)
    button(page, "Check mean").click()
    row = exercise(page, "mean")
    row.locator(".studium-mistake", has_text="You gave the middle number").wait_for()
    row.get_by_role("button", name="Solution of mean", exact=True).click()  # not that of the card
    shown, asked = row.locator("pre"), row.get_by_role("button", name="Show it")
    shown.or_(asked).first.wait_for()
    if asked.count():
        asked.click()
    shown.wait_for()
    assert not sideways(page)
    assert misnamed(page) == []
    assert page.get_by_role("button", name=re.compile(r"^spread, .*, 1 point\. Go there$")).count() == 1
    page.get_by_role("searchbox", name="Search the lessons").fill("softmax")
    page.locator(".studium-results mjx-container").first.wait_for()
    said = " ".join(page.locator(".studium-results li").all_inner_texts())
    assert re.findall(r"`|\$|##|\\operatorname", said) == []
    assert not sideways(page)
    page.get_by_role("tab", name="Map").click()
    assert misnamed(page) == []
    review = choose_wrongly(page)
    review.get_by_text(
        "✗ Your choice: You gave the sum; the mean is the sum divided by how many numbers there are."
    ).wait_for()
    assert review.inner_text().count("You gave the middle number") == 1
    assert review.get_by_text(re.compile(r"^Again (today at \d|on \w+)")).count() == 1
    assert review.locator("pre").evaluate("(code) => code.scrollWidth <= code.clientWidth")


@pytest.mark.heavy
@pytest.mark.parametrize("where", ["lab/tree", "notebooks"])
def test_a_check_from_the_prose_says_how_the_whole_lesson_came_out(page, lab, where):
    page.goto(lab.url(f"{where}/second-steps.ipynb"))
    page.locator(".studium-badge").first.wait_for()
    page.locator(".jp-MarkdownCell", has_text="A sentence that").click()
    button(page, "Check my work").first.click()
    told = page.locator(".Toastify__toast", has_text=re.compile(r"\d of 2 exercises are right"))
    told.wait_for()
    warns = "Toastify__toast--warning" in str(told.get_attribute("class"))
    assert warns == ("not right yet" in told.inner_text())  # what is not begun is no fault


@pytest.mark.heavy
def test_the_lesson_that_is_open_is_in_view_below_the_tabs(page, lab):
    open_lesson(page, lab, "lab/tree", "text-to-image")
    page.locator(".studium-topic[open] > summary", has_text="Text-to-image").wait_for()
    page.wait_for_function(
        """() => {
          const { top, bottom } = document.querySelector(".studium-topic[open] > summary").getBoundingClientRect();
          return top >= document.querySelector(".studium-tabs").getBoundingClientRect().bottom && bottom < innerHeight;
        }"""
    )


@pytest.mark.heavy
def test_a_tab_shows_its_beginning_though_the_panel_was_scrolled_far_down(page, lab):
    open_lesson(page, lab, "lab/tree", "text-to-image")
    page.wait_for_function("document.querySelector('.studium-desk').scrollTop > 600")
    for name in ("Map", "Progress"):
        page.get_by_role("tab", name=name).click()
        top = page.get_by_role("tabpanel", name=name).bounding_box()["y"]
        tabs = page.locator(".studium-tabs").bounding_box()
        assert tabs["y"] + tabs["height"] <= top < tabs["y"] + tabs["height"] + 20


@pytest.mark.heavy
def test_on_a_phone_the_panels_tabs_stand_beside_each_other(page, lab):
    page.set_viewport_size({"width": 400, "height": 900})
    open_lesson(page, lab, "lab/tree", "first-steps")
    assert page.locator(".studium-tabs").bounding_box()["height"] < 44


@pytest.mark.heavy
def test_on_a_phone_the_panel_gives_way_to_the_large_map(page, lab):
    page.set_viewport_size({"width": 400, "height": 900})
    open_lesson(page, lab, "lab/tree", "first-steps")
    page.get_by_role("tab", name="Map").click()
    button(page, "Open the large map").click()
    page.locator("#studium-desk").wait_for(state="hidden")
    assert page.locator(".studium-cover").bounding_box()["width"] > 300


@pytest.mark.heavy
def test_a_toolbar_without_room_does_not_lie_over_the_lesson(page, lab):
    page.set_viewport_size({"width": 720, "height": 900})
    page.goto(lab.url("lab/tree/four-minutes.ipynb"))
    page.locator(".jp-NotebookPanel canvas").first.wait_for()
    assert page.locator(".jp-NotebookPanel-toolbar").evaluate("(bar) => bar.scrollHeight <= bar.clientHeight")


@pytest.mark.heavy
def test_a_folded_line_of_code_ends_at_the_edge_of_a_narrow_page(page, lab):
    page.set_viewport_size({"width": 400, "height": 900})
    page.goto(lab.url("lab/tree/four-minutes.ipynb"))
    folded = page.locator(".jp-InputPlaceholder", has_text="DenoisingFilm")
    folded.wait_for()
    cell = page.locator(".jp-Cell", has=folded).bounding_box()
    box = folded.locator(".jp-Placeholder-content").bounding_box()
    assert box["x"] + box["width"] <= cell["x"] + cell["width"] + 1


@pytest.mark.heavy
def test_what_is_found_stands_clear_of_the_search_field(page, lab):
    open_lesson(page, lab, "lab/tree", "first-steps")
    search = page.get_by_role("searchbox", name="Search the lessons")
    search.fill("softmax")
    found = page.locator(".studium-found > p")
    found.wait_for()
    field = search.bounding_box()
    assert found.bounding_box()["y"] >= field["y"] + field["height"] + 4
