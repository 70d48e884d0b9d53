"""Every widget of the library and of the topics passes the checks: all of them, or those that need no pixel."""

from __future__ import annotations

import pytest
from studium_widgets.conformance import keyboard_checks as keyboard
from studium_widgets.conformance import opening_checks as opening
from studium_widgets.conformance import reading_checks as reading
from studium_widgets.conformance.verdicts import judge

from tests.widgets.conformance.every_widget import WIDGETS, load

pytestmark = pytest.mark.browser
WITHOUT_PIXELS = (
    *(reading.alternative_text_says_it, keyboard.controls_have_names, keyboard.shortcuts_are_kept_away),
    *(keyboard.tab_reaches_controls, reading.table_agrees),
    opening.opens_with_one_idea,
)


def test_the_widgets_are_found():
    assert {"studium_widgets.attention:AttentionHeatmap", "studium_widgets.rank_explorer:RankExplorer"} <= set(WIDGETS)


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", WIDGETS)
def test_it_can_be_read_and_reached(chromium, name):
    verdicts = judge(load(name), chromium, WITHOUT_PIXELS)
    assert [str(verdict) for verdict in verdicts if not verdict.passed] == []


@pytest.mark.heavy
@pytest.mark.parametrize("name", WIDGETS)
def test_it_conforms(conforms, name):
    conforms(load(name))
