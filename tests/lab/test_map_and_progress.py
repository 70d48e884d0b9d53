"""What the map and *Progress* show: what builds on what, what is done, and mistakes that were overcome."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .test_desk_panel import answer, axe, button, cell, open_lesson
from .test_panel_reads_well import misnamed, sideways

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("jupyterlab")]

LARGEST = "def spread(numbers):\n    return max(numbers)\n"
RIGHT = "def spread(numbers):\n    return max(numbers) - min(numbers)\n"
BELOW = """(map) => [...map.querySelectorAll("path")].every(({ dataset: { from, to } }) => {
    const place = (slug) => map.querySelector(`.studium-node[data-slug="${slug}"]`).getBoundingClientRect().top;
    return place(from) < place(to);
})"""


def check(page: Any, source: str, state: str) -> None:
    """Answer an exercise that no other test counts the attempts of, and check it by its badge."""
    answer(page, source, "spread")
    badge = cell(page, "spread").locator(".studium-badge")
    badge.click()
    badge.get_by_text(state).wait_for()


@pytest.mark.heavy
def test_progress_shows_lessons_that_fill_with_colour_and_a_mistake_that_was_overcome(page, lab):
    lab.ask("POST", "reset", {"path": "second-steps.ipynb", "exercise": "spread"})
    open_lesson(page, lab, "lab/tree", "second-steps")
    check(page, LARGEST, "Not right yet")
    page.get_by_role("tab", name="Progress").click()
    met = page.locator(".studium-met li", has_text="You gave the largest number")
    met.get_by_role("img", name="not overcome yet").first.wait_for()
    check(page, RIGHT, "✓ Right")
    met.get_by_role("img", name="overcome", exact=True).first.wait_for()
    page.get_by_text(re.compile(r"^[1-9]\d* of \d+ named mistakes? overcome$")).wait_for()
    lora = page.get_by_role("button", name=re.compile(r"^LoRA.* 0 of \d right\. Open the lesson$"))
    assert lora.locator(".studium-image-colour").evaluate("(image) => image.style.clipPath") == "inset(100% 0px 0px)"
    assert lora.locator(".studium-image-grey").evaluate("(image) => image.decode().then(() => image.naturalWidth > 0)")
    assert (sideways(page), misnamed(page)) == (False, [])


@pytest.mark.heavy
def test_a_mistake_of_the_opener_leads_to_its_exercise_too(page, lab):
    met = {"slug": "four-minutes", "exercise": "guide", "sentence": "You swapped the guesses.", "overcome": None}
    page.route("**/studium/api/retrospect*", lambda route: route.fulfill(json={"mistakes": [met], "predictions": []}))
    open_lesson(page, lab, "lab/tree", "first-steps")
    page.get_by_role("tab", name="Progress").click()
    page.locator(".studium-met li", has_text="You swapped").get_by_role("button", name="guide", exact=True).click()
    cell(page, "guide").wait_for()


@pytest.mark.heavy
def test_progress_says_what_the_operator_of_the_machine_has_set(page, lab):
    told = "The operator of this machine has set warm = false."
    page.route("**/studium/api/settings*", lambda route: route.fulfill(json={"sentence": told}))
    open_lesson(page, lab, "lab/tree", "first-steps")
    page.get_by_role("tab", name="Progress").click()
    page.get_by_text(told).wait_for()


def test_the_map_has_titles_and_states_and_each_lesson_stands_below_what_it_needs(page, lab):
    open_lesson(page, lab, "lab/tree", "first-steps")
    page.get_by_role("tab", name="Map").click()
    shown = page.locator(".studium-map")
    shown.locator(".studium-title", has_text="LoRA: low-rank adaptation").wait_for()
    shown.locator("path").first.wait_for(state="attached")
    assert shown.evaluate(BELOW)
    page.mouse.move(1000, 450)  # a row that scrolls under the pointer would light up in its place
    shown.get_by_role("button", name=re.compile("^LoRA")).focus()
    lit = shown.locator("path.studium-lit").evaluate_all("(all) => all.map(({ dataset: { from, to } }) => [from, to])")
    assert ["decoder-only", "lora"] in lit
    assert all("lora" in ends for ends in lit)
    assert (sideways(page), misnamed(page)) == (False, [])


@pytest.mark.heavy
def test_the_large_map_is_on_the_cover_and_axe_finds_nothing_there(page, lab):
    open_lesson(page, lab, "lab/tree", "first-steps")
    page.get_by_role("tab", name="Map").click()
    button(page, "Open the large map").click()
    heading = page.get_by_role("heading", name="The map: what builds on what")
    page.wait_for_function("(heading) => document.activeElement === heading", arg=heading.element_handle())
    assert page.locator(".studium-graph .studium-node").count() == page.locator(".studium-map .studium-node").count()
    found = axe.Axe().run(page, context=".studium-cover")["violations"]
    assert [(item["id"], [node["html"][:90] for node in item["nodes"]]) for item in found] == []


@pytest.mark.heavy
def test_the_panel_is_wide_enough_for_its_tabs_where_there_is_room(page, lab):
    open_lesson(page, lab, "lab/tree", "first-steps")
    page.wait_for_function("document.querySelector('#studium-desk').clientWidth >= 300")
    rows = page.locator(".studium-tabs button:not([hidden])").evaluate_all(
        "(tabs) => new Set(tabs.map((tab) => tab.offsetTop)).size"
    )
    assert rows == 1
