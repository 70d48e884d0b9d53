"""The page of each topic of ours: no formula that is not understood, nothing leaks, and it runs to its end."""

from __future__ import annotations

import re

import pytest
from studium.catalogue.catalogue import load_catalogue
from studium.notebooks.editions import compile_lesson
from studium.site.building import Options, Site
from studium.site.cells import annotate, read_page

from tests.leaks import leaks

CATALOGUE = load_catalogue()
TOPICS = [entry.topic for entry in CATALOGUE.entries if entry.distribution == "studium"]
each_topic = pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.slug)


@pytest.mark.sample(3)
@each_topic
def test_every_formula_is_understood_and_every_exercise_has_its_place(topic):
    notebook = compile_lesson(topic, CATALOGUE.manager)
    annotate(notebook, topic)
    page = read_page(notebook, topic.title)
    assert page.problems == []
    assert [block.id for block in page.blocks if block.kind == "exercise"] == [
        cell.metadata.studium.exercise for cell in notebook.cells if cell.metadata.studium.get("role") == "prompt"
    ]


@pytest.mark.heavy
@pytest.mark.browser
@each_topic
def test_a_lesson_becomes_a_page_whose_figures_and_widgets_are_alive_offline(topic, tmp_path, chromium):
    written = Site(CATALOGUE, tmp_path, Options(profile="smoke", limit=300)).build([topic])
    assert written.all_problems == []
    texts = [path.read_text("utf-8") for path in tmp_path.rglob("*") if path.suffix in (".html", ".ipynb")]
    assert leaks("\n".join([*texts, (tmp_path / "assets" / "passages.js").read_text("utf-8")]), topic) == []
    context = chromium.new_context(offline=True, viewport={"width": 1440, "height": 900})
    page, errors, asked = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto((tmp_path / f"{topic.slug}.html").as_uri())
    for place in page.locator("figure.plot, .widget iframe").all():
        place.scroll_into_view_if_needed()
    for figure in page.locator("figure.plot").all():
        figure.locator("svg.main-svg").first.wait_for()
    for number in range(page.locator(".widget iframe").count()):
        page.frame_locator(".widget iframe").nth(number).locator("input, button, canvas, svg").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 1440
    context.close()
    assert errors == []
    assert [url for url in asked if not re.match(r"(file|data|blob|about):", url)] == []
