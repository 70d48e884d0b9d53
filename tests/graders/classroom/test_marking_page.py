"""Marking by hand in a real Chromium: three answers by keyboard, both themes, and deaf to what students write."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbgrader")
from nbgrader.api import Gradebook
from studium_classroom.roles import Place, Role

from .conftest import Served
from .essays import NAMES
from .test_board_page import is_ours, violations
from .test_marking import essays, marked_by_hand, taken
from .test_regrades import handed_in_and_marked

axe = pytest.importorskip("axe_core_python.sync_playwright")

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("classroom")]
__all__ = ["essays", "marked_by_hand"]

C, A = "course101", "ps1"


@pytest.fixture
def opened(chromium: Any, marked_by_hand: Served) -> Iterator[Callable[..., Any]]:
    """opened(user="eve", width=…, dark=…) → the page; the test fails if a script failed or a policy was broken."""
    contexts, said = [], []

    def opened(user: str = "eve", width: int = 1440, *, dark: bool = False) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text) if is_ours(message) else None)
        secret = marked_by_hand.classroom.marking_pages.link(C, user, Place(Role.TA))
        page.goto(f"{marked_by_hand.url}/mark/{C}/{A}#{secret}")
        return page

    yield opened
    for context in contexts:
        context.close()
    refusals = "Failed to load resource: the server responded with a status of 409"
    assert [text for text in said if not text.startswith(refusals)] == []


def marks(served: Served, cell: str = "why-low-rank") -> dict[str, float | None]:
    with Gradebook(f"sqlite:///{served.classroom.courses[C].root / 'gradebook.db'}") as book:
        return {name: book.find_grade(cell, "essay", A, name).manual_score for name in NAMES}


def press(page: Any, key: str) -> None:
    """Press a key when the page has done what was asked before; it ignores keys until then."""
    page.locator("main[aria-busy='false']").wait_for()
    page.keyboard.press(key)


def begin(page: Any, question: str = "why low rank", button: str = "Mark") -> None:
    page.get_by_role("button", name=f"{button}: {question}", exact=True).click()
    page.locator(".desk .answer").first.wait_for()


def type_item(page: Any, text: str, points: str) -> None:
    """Add an item by keyboard."""
    before = page.locator(".items li").count()
    press(page, "a")
    page.keyboard.type(text)
    press(page, "Tab")
    page.keyboard.type(points)
    press(page, "Enter")
    page.locator(".items li").nth(before).wait_for()


def picture(page: Any, name: str) -> None:
    """Keep a picture for whoever wants to look."""
    if folder := os.environ.get("STUDIUM_PICTURES"):
        page.screenshot(path=str(Path(folder, f"{name}.png")), full_page=True)


def test_three_answers_are_marked_by_keyboard_with_a_rubric_that_is_made_on_the_way(opened, marked_by_hand):
    page = opened()
    begin(page)
    assert page.locator(".top h2").inner_text() == "An answer"  # its student's name stays hidden
    press(page, "Enter")  # on an untouched answer
    page.get_by_text("A mark needs an item of the rubric, or points").wait_for()
    assert set(marks(marked_by_hand).values()) == {None}
    type_item(page, "names the rank", "3")
    type_item(page, "forgets the scale", "-0.5")
    page.locator(".sum", has_text="2.5 of 5").wait_for()
    press(page, "Enter")
    page.get_by_text("1 of 3 are marked").first.wait_for()
    page.locator(".sum", has_text="not marked yet").wait_for()
    press(page, "1")
    press(page, "+")
    page.keyboard.type("1,5")
    press(page, "Escape")
    press(page, "c")
    page.keyboard.type("well put")
    page.locator(".sum", has_text="4.5 of 5").wait_for()
    picture(page, "answer")
    press(page, "Control+Enter")
    page.get_by_text("2 of 3 are marked").first.wait_for()
    page.locator(".sum", has_text="not marked yet").wait_for()
    press(page, "+")
    page.keyboard.type("0")
    press(page, "Enter")
    page.get_by_text("That was the last answer").wait_for()
    assert sorted(marks(marked_by_hand).values()) == [0, 2.5, 4.5]
    press(page, "Escape")
    row = page.locator(".questions tbody tr").first
    row.get_by_text("3 of 3 answers").wait_for()
    assert row.locator("td").all_inner_texts()[2:5] == ["0", "3", "0"]
    page.get_by_label("Hide the students' names").uncheck()
    begin(page, "draw")
    assert page.locator(".top h2").inner_text() in NAMES
    other = page.context.new_page()
    other.goto(f"{marked_by_hand.url}/mark/{C}/{A}")  # a page without a link names the command
    other.get_by_text("studium classroom mark ps1").wait_for()


def test_a_changed_item_marks_the_others_again(opened, marked_by_hand):
    page = opened()
    begin(page)
    type_item(page, "names the rank", "3")
    press(page, "Enter")
    page.get_by_text("1 of 3 are marked").first.wait_for()
    page.locator(".sum", has_text="not marked yet").wait_for()
    page.locator("main[aria-busy='false']").wait_for()
    page.get_by_role("button", name="Change: names the rank").click()
    form = page.locator(".items .item-form")
    form.get_by_label("Points of the item").fill("2")
    form.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("1 answer was marked again.").wait_for()
    assert sorted(marks(marked_by_hand).values(), key=str) == [2, None, None]


def test_going_on_without_saving_asks_once_and_previous_comes_back(opened, marked_by_hand):
    page = opened()
    begin(page)
    first = page.locator(".desk .answer").inner_text()
    press(page, "+")
    page.keyboard.type("4")
    press(page, "Escape")
    press(page, "n")
    page.get_by_text("Not saved: press Enter to save").wait_for()
    press(page, "n")
    page.locator(".sum", has_text="not marked yet").wait_for()
    assert page.locator(".desk .answer").inner_text() != first
    press(page, "p")
    page.wait_for_function("text => document.querySelector('.desk .answer').innerText === text", arg=first)
    press(page, "c")
    page.keyboard.type("hm")
    press(page, "Escape")
    press(page, "Escape")
    page.get_by_text("Not saved: press Enter to save").wait_for()
    press(page, "Escape")
    page.locator(".questions").wait_for()
    assert set(marks(marked_by_hand).values()) == {None}


def test_whoever_comes_while_others_hold_all_other_answers_is_told_so(opened, marked_by_hand):
    held = {taken(marked_by_hand, user)["opened"]["answer"] for user in ("grace", "olga")}
    assert len(held) == 2
    page, late = opened("eve"), opened("kim")
    begin(page)
    late.get_by_role("button", name="Mark: why low rank").click()
    row = late.locator(".questions tbody tr", has_text="why low rank")
    row.get_by_role("cell", name="3", exact=True).nth(1).wait_for()  # three wait, and three are held


@pytest.mark.parametrize("question", ["why low rank", pytest.param("draw", marks=pytest.mark.heavy)])
def test_what_students_write_runs_nothing_and_loads_nothing(opened, question):
    page = opened()
    begin(page, question)
    seen = set()
    for _ in NAMES:
        answer = page.locator(".desk .answer").first.inner_text()
        seen.add(answer)
        press(page, "n")
        page.wait_for_function("text => document.querySelector('.desk .answer').innerText !== text", arg=answer)
    assert len(seen) == 3
    assert page.title() == "ps1: mark by hand"
    assert page.locator(".desk script, .desk img[src], .desk iframe, .desk [onclick]").count() == 0


@pytest.mark.parametrize(
    ("width", "dark"),
    [(400, True), *(pytest.param(*one, marks=pytest.mark.heavy) for one in ((1440, False), (720, True), (400, False)))],
)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(opened, marked_by_hand, width, dark):
    handed_in_and_marked(marked_by_hand, "ada")
    marked_by_hand.client("ada").ask_regrade(C, A, 1, "My answer names the rank, and has " + "a_very_long_word" * 9)
    page = opened(width=width, dark=dark)
    page.get_by_role("heading", name="Requests for a regrade").wait_for()
    page.get_by_role("button", name="Mark: why low rank").wait_for()
    assert violations(page) == []
    picture(page, f"questions-{width}-{'dark' if dark else 'light'}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    begin(page, "draw")
    type_item(page, "has axes with names", "1.5")
    page.get_by_role("button", name="Change: has axes").click()
    page.get_by_text("Keys", exact=True).click()
    assert violations(page) == []
    picture(page, f"answer-{width}-{'dark' if dark else 'light'}")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_request_for_a_regrade_leads_to_its_answer_and_is_replied_to_on_the_page(opened, marked_by_hand):
    handed_in_and_marked(marked_by_hand, "ada")
    why = 'I named the rank <img src=x onerror="document.title=1">'
    marked_by_hand.client("ada").ask_regrade(C, A, 1, why)
    page = opened()
    request = page.get_by_role("listitem", name="Request 1: A student, attempt 1")
    request.get_by_text(why).wait_for()
    request.get_by_label("Answer").select_option(label="why low rank")
    request.get_by_role("button", name="Open the answer").click()
    page.locator(".desk .answer", has_text="most directions").first.wait_for()
    press(page, "+")
    page.keyboard.type("4")
    press(page, "Enter")
    page.get_by_text("Saved: 4 of 5. Now reply to the student.").wait_for()
    assert marks(marked_by_hand)["ada"] == 4
    press(page, "Escape")
    press(page, "Escape")
    request.get_by_label("Reply, which the student reads").fill("One point more.")
    page.get_by_label("Hide the students' names").uncheck()
    named = page.get_by_role("listitem", name="Request 1: ada, attempt 1")
    assert named.get_by_label("Reply, which the student reads").input_value() == "One point more."
    assert violations(page) == []
    picture(page, "requests")
    named.get_by_role("button", name="Reply").click()
    page.get_by_text("The student can read your reply now.").wait_for()
    named.get_by_role("button", name="Change the reply").wait_for()
    [view] = marked_by_hand.client("ada").assignments(C)
    assert view.attempts[0].regrade.reply == "One point more."
    assert page.title() == "ps1: mark by hand"
