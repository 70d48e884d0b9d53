"""What a reader sees first: a line "Try: …" and one or two controls; the others below *More*."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from studium_widgets import RankExplorer, RotaryDial

ROOT = Path(__file__).parents[2]
MISTAKE = re.compile(r"""select\(ui, "(?:mistake|fault|bug)", \{\s*label: "([^"]*)\"""")


@pytest.mark.browser
def test_a_widget_opens_with_what_carries_its_idea_and_the_keyboard_opens_the_rest(mount):
    page = mount(RotaryDial(), more=False)
    assert page.get_by_text("Try: let the query move on").is_visible()
    assert page.get_by_role("slider").evaluate_all("(all) => all.map((one) => one.ariaLabel)") == ["Query stands at"]
    page.locator(".st-more > summary").focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("slider", name="Base θ").is_visible()


@pytest.mark.heavy
@pytest.mark.browser
def test_a_widget_that_folds_nothing_has_neither_line(mount, gallery):
    page = mount(gallery(), more=False)
    assert not page.locator(".st-more").is_visible()
    assert not page.locator(".st-try").is_visible()


@pytest.mark.heavy
@pytest.mark.browser
def test_a_folded_part_has_its_size_once_it_is_opened_and_is_open_where_the_state_is_about_it(mount):
    page = mount(RankExplorer(), RankExplorer(factors="learned"), more=False)
    loss = page.locator("canvas[role=img]")
    assert [part.is_visible() for part in loss.all()] == [False, True]
    page.get_by_text("Learning A and B").first.press("Enter")
    page.drawn()
    first, second = (part.bounding_box()["width"] for part in loss.all())
    assert first == second > 600


def test_what_can_be_broken_has_one_name_in_all_widgets():
    sources = [*(ROOT / "widgets/studium_widgets").glob("*.js"), *(ROOT / "plugins").rglob("*.js")]
    names = [name for path in sources for name in MISTAKE.findall(path.read_text("utf-8"))]
    assert len(names) > 6
    assert set(names) == {"Put in a mistake"}
