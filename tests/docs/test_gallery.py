"""The gallery of widgets and controls: one page, complete, alive from a file with no network."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
GALLERY = ROOT / "docs" / "gallery"
# Controls that show nothing by themselves: maths, timing, and parts of others.
NOT_SHOWN = {
    *(
        "arrays",
        "axes",
        "canvas",
        "cell_cursor",
        "cut_axes",
        "element",
        "keys",
        "line_names",
        "memo",
        "prediction_drawing",
        "prediction_score",
        "save_image",
    ),
    *("theme", "ticks", "timing", "widget"),
}


@pytest.fixture(scope="module")
def build() -> Any:
    spec = importlib.util.spec_from_file_location("gallery_build", GALLERY / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_control_has_a_live_example_and_a_description(build):
    controls = {path.stem for path in build.CONTROLS.glob("*.js")}
    examples = {path.stem for path in (GALLERY / "controls").glob("*.js")}
    assert examples == controls - NOT_SHOWN
    assert [name for name in examples if not build.described(name)] == []


@pytest.mark.browser
@pytest.mark.heavy
def test_all_examples_are_alive_from_a_file_with_no_network(build, chromium, tmp_path):
    cards = [*build.widget_cards(), *build.control_cards()]
    file = tmp_path / "gallery.html"
    file.write_text(build.page(cards), encoding="utf-8")
    context = chromium.new_context(offline=True, viewport={"width": 400, "height": 900})
    page = context.new_page()
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.goto(file.as_uri())
    for view in page.locator(".view").all():
        view.scroll_into_view_if_needed()
        view.and_(page.locator("[data-shown]")).wait_for()
    assert page.locator("[role=alert]").all_inner_texts() == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    page.locator("#slider input").first.press("ArrowRight")
    page.locator("#slider .st-summary", has_text="6 steps").wait_for()
    assert said == []
    context.close()
