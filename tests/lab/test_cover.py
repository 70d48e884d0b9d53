"""The cover: no account of what is left before anything was begun, and then what comes next."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("jupyterlab")]


def open_cover(page: Any, lab: Any, right: int) -> Any:
    """The cover of a learner who has so many exercises right."""

    def answer(route: Any) -> None:
        response = route.fetch()
        syllabus = response.json()
        totals, opener = syllabus["totals"], syllabus["opener"]
        route.fulfill(
            response=response,
            json=syllabus
            | {"opener": opener | {"status": "done" if right else "new"}, "due": 0}
            | {"totals": totals | {"right": right, "revealed": 0, "untouched": totals["exercises"] - right}},
        )

    page.route("**/studium/api/syllabus*", answer)
    page.goto(lab.url("lab/tree/START.md"))
    page.locator(".studium-begin:not(:disabled)").wait_for()
    return page.locator(".studium-cover-head")


def test_before_anything_is_begun_nowhere_is_it_said_how_much_is_left(page, lab):
    head = open_cover(page, lab, 0)
    head.get_by_role("button", name="Begin: 4 minutes").wait_for()
    page.locator(".studium-panel .studium-line", has_text=re.compile(r"^\d+ lessons · \d+ exercises$")).wait_for()
    assert page.get_by_text(re.compile(r"0 of \d+ exercises|\d+ h left|Studium: 0 of")).count() == 0


@pytest.mark.heavy
def test_whoever_has_begun_is_told_the_next_exercise_and_its_minutes(page, lab):
    head = open_cover(page, lab, 1)
    head.get_by_text(re.compile(r"^Next: \w+, about \d+ minutes?$")).wait_for()
    assert head.get_by_text("left").count() == 0


@pytest.mark.heavy
def test_each_topic_of_the_large_map_has_the_colour_of_its_track(page, lab):
    open_cover(page, lab, 1)
    page.locator(".studium-key li", has_text="Diffusion").wait_for()
    of = "(node) => getComputedStyle(node).borderLeftColor"
    ncsn, ddpm, clip = (
        page.locator(f".studium-graph [data-slug={slug}]").evaluate(of) for slug in ("ncsn", "ddpm", "clip")
    )
    key = page.locator(".studium-key li", has_text="Diffusion")
    assert key.evaluate("(line) => getComputedStyle(line, '::before').backgroundColor") == ncsn == ddpm != clip
