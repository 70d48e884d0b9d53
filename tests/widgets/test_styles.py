"""Widgets share a page: the style of one must not reach into another."""

from __future__ import annotations

import json
import re

from studium_widgets import base

from .conformance.every_widget import WIDGETS, load

CLASS = re.compile(r"\.(st-[\w-]+)")
SHARED = set(CLASS.findall(base.STYLE.read_text(encoding="utf-8")))


def style_of(name: str) -> str:
    widget = load(name)
    return widget._beside(widget._style).read_text(encoding="utf-8") if widget._style else ""


SHEETS = {name: style_of(name) for name in WIDGETS}


def selectors(style: str) -> list[str]:
    rules = [rule for rule in re.findall(r"([^{}]+)\{", style) if not rule.strip().startswith("@")]
    return [one.strip() for rule in rules for one in re.split(r",(?![^(]*\))", rule)]


def strangers(style: str, taken: set[str]) -> list[str]:
    """The selectors that name no class but those that are taken."""
    return [one for one in selectors(style) if not set(CLASS.findall(one)) - taken]


def test_each_rule_of_a_widgets_style_names_a_class_that_no_other_widget_has():
    for name, sheet in SHEETS.items():
        others = [set(CLASS.findall(style)) for style in SHEETS.values() if style != sheet]
        assert strangers(sheet, SHARED.union(*others)) == [], name


def test_a_rule_that_other_widgets_would_feel_is_found():
    style = ".st-mine .st-value { top: 0; }\n@container (max-width: 480px) { .st-value, .st-mine p { top: 0; } }\n"
    assert strangers(style, {"st-value"}) == [".st-value"]


def test_a_widget_sends_all_shared_rules_so_that_the_last_one_on_a_page_changes_nothing(monkeypatch):
    monkeypatch.setattr(base, "link", lambda path, source: source)
    shared = json.dumps(base.STYLE.read_text(encoding="utf-8"))[1:-1]
    assert [name for name in WIDGETS if shared not in load(name).module()] == []
