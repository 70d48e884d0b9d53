"""A saved state may hold anything: each widget then shows a picture of numbers or one sentence."""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from studium_widgets.schema import rules

from tests.widgets.conformance.every_widget import WIDGETS, load

pytestmark = pytest.mark.browser

SHOW = """async (snapshots) => {
  const found = [];
  let known = "";
  for (const [what, snapshot] of snapshots) {
    const end = new AbortController();
    const place = document.querySelector("main").appendChild(document.createElement("div"));
    const start = performance.now();
    view.show(place, snapshot, end.signal);
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const said = place.querySelector("[role=alert]")?.textContent;
    const text = said ?? place.innerText;
    known ||= text; // of the untouched picture, which may count what is no number
    const wrong = /\\bNaN\\b|\\bundefined\\b|\\[object|Infinity/.exec(text);
    if (wrong && !known.includes(wrong[0])) found.push(`${what}: ${text.slice(Math.max(0, wrong.index - 60))}`);
    if (!text.trim()) found.push(`${what}: nothing`);
    if (performance.now() - start > 3000) found.push(`${what}: ${Math.round(performance.now() - start)} ms`);
    end.abort();
    place.remove();
  }
  return found;
}"""


def tensor(values: Any, dtype: str) -> dict[str, Any]:
    if np.issubdtype(dtype, np.integer):  # what a cast makes of more than it can hold depends on the processor
        values = np.clip(values, np.iinfo(dtype).min, np.iinfo(dtype).max)
    array = np.ascontiguousarray(values, dtype)
    return {"dtype": dtype, "shape": list(array.shape), "data": base64.b64encode(array.tobytes()).decode()}


def hostile(value: Any, rule: dict[str, Any]) -> Iterator[Any]:
    """Values that keep to the type, and some that do not."""
    kind = rule.get("type")
    yield from ({}, None)
    if kind in ("integer", "number"):
        yield from (-1, 0, 1, 3, 1e12, -1e12, 2**53 - 1)
    if kind == "number":
        yield from (1e300, -1e300, 1e-300, 0.5)
    if kind == "string":
        yield from ("", "constructor", "x" * 1000)
    if kind == "boolean":
        yield not value
    if "enum" in rule:
        yield from (*rule["enum"], "constructor")
    if kind == "array":
        yield from ([], value[:1] * 1000, [1e12] * max(1, len(value)), [-1] * len(value), ["toString"] * 3, [{}], [[]])
    if kind == "object":
        yield from (
            {"x": 1e12},
            {"0": "text"},
            {"toString": -1},
            dict.fromkeys(value, None),
            {key: [] for key in value},
        )
    if kind == "tensor" and value is not None:
        shape = value["shape"]
        yield from (tensor(np.full(shape, fill), value["dtype"]) for fill in (0, -1, 3e38, 1e-38))
        yield from (
            tensor(np.ones(size), value["dtype"]) for size in ([0] * len(shape), [1] * len(shape), [3] * len(shape))
        )
        yield tensor(np.ones([*shape[:-1], 700]), value["dtype"])


def snapshots(widget: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    shot = widget.example().snapshot()
    yield "untouched", shot
    for name, rule in rules(widget, widget.state_names()).items():
        for value in hostile(shot["state"][name], rule):
            changed = copy.deepcopy(shot)
            changed["state"][name] = value
            yield f"{name} = {str(value)[:60]}", changed


@pytest.mark.heavy
@pytest.mark.parametrize("name", WIDGETS)
def test_a_hostile_value_in_any_trait_ends_in_a_picture_or_a_sentence(open_page, name):
    page = open_page()
    widget = load(name)
    page.evaluate(
        "async (source) => (window.view = (await import(URL.createObjectURL("
        "new Blob([source], { type: 'text/javascript' })))).default)",
        widget.module(),
    )
    found = page.evaluate(SHOW, list(snapshots(widget)))
    page.errors.clear()
    assert found == []
