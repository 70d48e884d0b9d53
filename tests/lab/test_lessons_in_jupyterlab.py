"""Each lesson, opened by `studium lab` in a real browser and run from top to bottom."""

from __future__ import annotations

from typing import Any

import pytest
from studium.catalogue.catalogue import load_catalogue

from .conftest import run_all, wait_until

OURS = [e.topic.slug for e in load_catalogue().entries if e.distribution == "studium" and not e.topic.opener]

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("jupyterlab")]


def test_the_cover_opens_first_with_a_widget_that_moves_and_each_lesson_and_begins_the_course(lab, page):
    page.goto(lab.url(""))
    cover = page.locator(".studium-cover")
    cover.locator(".studium-cover-widget canvas").first.wait_for()
    catalogue = load_catalogue()
    titles = cover.locator(".studium-card .studium-link").all_inner_texts()
    for slug in OURS:
        assert sum(catalogue[slug].title in title for title in titles) == 1
    assert page.get_by_role("menuitem", name="Nbgrader").count() == 0
    assert page.locator(".jp-MarkdownViewer").count() == 0
    assert page.locator(".studium-panel").is_visible()
    begin, resume = cover.locator(".studium-begin"), page.locator(".studium-head .studium-primary")
    assert ("4 minutes" in begin.inner_text()) == (resume.get_attribute("title") == "Four minutes")
    begin.click()  # "Begin", or "Go on" where other tests have begun
    page.locator(".jp-Notebook").get_by_role("heading", level=1).first.wait_for()


@pytest.mark.heavy
def test_notebook_has_no_tools_of_an_instructor(lab, page):
    page.goto(lab.url("notebooks/mqa-gqa.ipynb"))
    page.get_by_role("button", name="Check my work").first.wait_for()
    assert page.get_by_role("menuitem", name="Nbgrader").count() == 0
    assert page.get_by_role("button", name="Validate").count() == 0


@pytest.mark.heavy
@pytest.mark.parametrize(("path", "shown"), [("START.md", ".studium-cover"), ("lora.ipynb", ".jp-NotebookPanel")])
def test_on_a_phone_what_is_opened_has_the_whole_width_between_the_side_bars(lab, page, path, shown):
    page.set_viewport_size({"width": 400, "height": 900})
    page.goto(lab.url(f"lab/tree/{path}"))
    page.locator(shown).wait_for()
    page.wait_for_function(f"document.querySelector('{shown}').clientWidth > 300")


@pytest.mark.heavy
@pytest.mark.parametrize("slug", OURS)
def test_a_lesson_runs_from_top_to_bottom_and_its_widget_answers_a_slider(lab, page, slug):
    page.goto(lab.url(f"lab/tree/{slug}.ipynb"))
    run_all(page)
    assert page.locator("[data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts() == []
    move_first_slider(page)


def move_first_slider(page: Any) -> None:
    """Move the first slider of the lesson by one step, as a drag does, and wait until the widget looks different."""
    widget = page.locator(".jp-OutputArea-output", has=page.locator("input[type=range]")).first
    slider = widget.locator("input[type=range]").first
    slider.scroll_into_view_if_needed()
    before = widget.screenshot(animations="disabled")
    slider.evaluate(MOVE)
    wait_until(page, lambda: widget.screenshot(animations="disabled") != before)


MOVE = """(slider) => {
    slider.value === slider.max ? slider.stepDown() : slider.stepUp();
    slider.dispatchEvent(new Event('input', {bubbles: true}));
}"""
