"""Before an experiment runs, its card asks what the learner expects; then guess and finding are two marks on a line."""

from __future__ import annotations

from typing import Any

import pytest

from .test_desk_panel import answer, cell

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("jupyterlab")]

RIGHT = "def spread(numbers):\n    return max(numbers) - min(numbers)\n"


def code(page: Any, part: str) -> Any:
    return page.locator(".jp-CodeCell", has_text=part)


@pytest.fixture
def card(page: Any, lab: Any) -> Any:
    """The card of an answer that is right, in a lesson whose experiment has not run."""
    (lab.folder / "second-steps.ipynb").unlink(missing_ok=True)
    lab.ask("POST", "lessons", {"slug": "second-steps"})
    lab.ask("POST", "reset", {"path": "second-steps.ipynb", "exercise": "spread"})
    page.goto(lab.url("lab/tree/second-steps.ipynb"))
    answer(page, RIGHT, "spread")
    cell(page, "spread").locator(".studium-badge").click()
    card = page.locator(".studium-verdict-card", has_text=": spread")
    card.get_by_role("button", name="Run the experiment").click()
    card.get_by_text("What is the spread of 4, 1 and 6?").wait_for()
    assert card.get_by_text("What is the mean of 1, 2 and 6?").count() == 0
    assert code(page, 'lesson.found("spread"').locator(".jp-OutputArea-output").count() == 0
    return card


def test_a_number_in_the_card_is_the_guess_and_both_are_marks_on_one_line(page, card):
    card.get_by_label("What is the spread of 4, 1 and 6?").fill("3")
    page.keyboard.press("Enter")
    found = code(page, 'lesson.found("spread"')
    found.get_by_text("spread is 5; you expected 3.").wait_for()
    found.get_by_text("you 3", exact=True).wait_for()
    found.get_by_text("found 5", exact=True).wait_for()
    code(page, 'lesson.predict("spread", 3,').wait_for()
    card.get_by_role("button", name="Run the experiment").click()
    found.locator(".jp-InputPrompt", has_text="[*]").or_(
        found.get_by_text("spread is 5; you expected 3.")
    ).first.wait_for()
    assert card.locator(".studium-guess").count() == 0


@pytest.mark.heavy
def test_whoever_does_not_want_to_guess_sees_the_finding_and_is_not_told_off(page, card):
    card.get_by_role("button", name="Run it without a guess").click()
    found = code(page, 'lesson.found("spread"')
    found.get_by_text("spread is 5.", exact=True).wait_for()
    assert page.get_by_text("You had not guessed").count() == 0
    assert code(page, 'lesson.predict("spread", ...,').locator(".jp-OutputArea-output").count() == 0
