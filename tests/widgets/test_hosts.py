"""A widget with no kernel: what a saved state may be, and the page that a file from disk shows."""

from __future__ import annotations

import base64
import copy
import json
import re
from pathlib import Path

import numpy as np
import pytest
import studium_widgets
from nbformat.v4 import new_code_cell, new_notebook, new_output
from studium_widgets import Array, AttentionHeatmap, Chart, Widget
from studium_widgets.hosts.installed import UnknownWidgetError, find
from studium_widgets.hosts.page import frame
from studium_widgets.hosts.page import page as page_of
from studium_widgets.hosts.server import first_widget
from studium_widgets.schema import rules
from traitlets import Bool, Dict, Enum, Float, Int, List, Tuple, Unicode

ROOT = Path(__file__).parents[2]
RULES = "widgets/studium_widgets/hosts/rules.js"
STEPS = {"steps": {"type": "integer", "minimum": 1, "maximum": 9}}
GRID = {"grid": {"type": "tensor", "dtype": "float32", "shape": ["n", "n"], "finite": True}}


def tensor(values: object, **change: object) -> dict[str, object]:
    array = np.asarray(values, np.float32)
    data = base64.b64encode(array.tobytes()).decode()
    return {"dtype": "float32", "shape": list(array.shape), "data": data} | change


class Everything(Widget):
    """One trait of each kind."""

    _script = "everything.js"
    alt = "Everything."  # type: ignore[assignment]
    flag = Bool().tag(sync=True)
    count = Int(3, min=1, max=9).tag(sync=True)
    size = Float(allow_none=True).tag(sync=True)
    word = Unicode().tag(sync=True)
    kind = Enum(("a", "b"), "a").tag(sync=True)
    words = List(Unicode(), minlen=1, maxlen=4).tag(sync=True)
    pair = Tuple().tag(sync=True)
    table = Dict().tag(sync=True)
    grid = Array("float32", ("n", 2), optional=True)


def test_the_rules_of_a_state_are_those_of_its_traits():
    assert rules(Everything, Everything.state_names()) == {
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "flag": {"type": "boolean"},
        "grid": {"type": "tensor", "dtype": "float32", "shape": ("n", 2), "finite": True, "nullable": True},
        "kind": {"enum": ["a", "b"]},
        "pair": {"type": "array"},
        "size": {"type": "number", "nullable": True},
        "table": {"type": "object"},
        "word": {"type": "string"},
        "words": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 4},
    }


@pytest.mark.browser
def test_a_state_that_breaks_its_rules_is_named_in_a_sentence(call_js):
    for state, allowed, sentence in [
        ({"steps": 3}, STEPS, ""),
        ({"steps": 10}, STEPS, "steps needs a whole number from 1 to 9, got 10"),
        ({"steps": "3"}, STEPS, 'steps needs a whole number from 1 to 9, got "3"'),
        ({"steps": 2.5}, STEPS, "steps needs a whole number from 1 to 9, got 2.5"),
        ({}, STEPS, "steps needs a whole number from 1 to 9, got nothing"),
        ({"steps": None}, {"steps": STEPS["steps"] | {"nullable": True}}, ""),
        ({"kind": "c"}, {"kind": {"enum": ["a", "b"]}}, 'kind needs one of "a", "b", got "c"'),
        (
            {"words": ["a", 2]},
            {"words": {"type": "array", "items": {"type": "string"}}},
            "words needs text as each item",
        ),
        ({"grid": tensor([[1, 2], [3, 4]])}, GRID, ""),
        ({"grid": tensor([[1, 2]])}, GRID, "grid needs float32 numbers of shape (n, n)"),
        ({"grid": tensor([[1, 2], [3, 4]], shape=[9, 9])}, GRID, "grid needs float32 numbers of shape (n, n)"),
        ({"grid": tensor([[1, 2], [3, 4]], dtype="toString")}, GRID, "grid needs float32 numbers of shape (n, n)"),
        ({"grid": tensor([[1, np.nan], [3, 4]])}, GRID, "grid needs finite numbers"),
        ({"grid": tensor([[1, -np.inf], [3, 4]])}, {"grid": GRID["grid"] | {"finite": False}}, ""),
        (
            {"grid": tensor([[1, 2], [3, 4]]), "row": 1e12},
            GRID | {"row": {"type": "integer", "between": [0, "n"]}},
            "row needs a number from 0 to 1, got 1000000000000",
        ),
        (
            {"steps": 3, "t": 4},
            STEPS | {"t": {"type": "integer", "between": [0, "steps"]}},
            "t needs a number from 0 to",
        ),
        (
            {"grid": tensor([[1, 2], [3, 4]]), "names": ["a"]},
            GRID | {"names": {"type": "array", "each": "n"}},
            "names needs 2 items, got 1",
        ),
        (
            {"grid": tensor([[1, 2], [3, 4]]), "names": []},
            GRID | {"names": {"type": "array", "each_if_any": "n"}},
            "",
        ),
        (
            {"grid": tensor([[1, 2], [3, 4]]), "other": tensor([1, 2, 3])},
            GRID | {"other": {"type": "tensor", "dtype": "float32", "shape": ["n"], "finite": True}},
            "other needs 2 numbers for its n, got 3",
        ),
    ]:
        found = call_js(RULES, "findProblem", state, allowed)
        assert found.startswith(sentence)
        assert bool(found) == bool(sentence)


FRAGMENT = "widgets/studium_widgets/hosts/fragment.js"


@pytest.mark.browser
def test_changes_survive_as_the_fragment_of_an_address(call_js):
    for changes in [
        {},
        {"steps": 3},
        {"word": "not a ring & 50 % = #1 ✓", "flag": True, "size": None},
        {"grid": tensor([[1, 2], [3, 4]]), "words": ["a", "b"]},
    ]:
        fragment = call_js(FRAGMENT, "toFragment", changes)
        assert re.fullmatch(r"[\w.!~*'()%=&-]*", fragment, re.ASCII)
        assert call_js(FRAGMENT, "fromFragment", fragment, {}, {name: {} for name in changes}) == changes


FAILS = """export default { show(place) {
place.textContent = "as it was saved";
const restore = () => (place.innerHTML = "<p class='st-failure'>This picture failed.</p>");
return { fragment: () => "", onChange() {}, restore };
} };"""


@pytest.mark.browser
def test_a_state_in_an_address_that_the_picture_fails_to_draw_is_left_out(chromium, tmp_path):
    path = Path(tmp_path, "widget.html")
    path.write_text(page_of(FAILS, {"alt": "A picture."}), encoding="utf-8")
    view = chromium.new_page()
    with view.expect_console_message() as told:
        view.goto(f"{path.as_uri()}#t=3")
    assert told.value.text == "The state in the address was left out: the picture cannot show it."
    view.get_by_text("as it was saved").wait_for()
    view.close()


def test_an_installed_widget_is_found_by_its_name():
    for widget in [AttentionHeatmap, Chart]:
        assert find(widget.name()) is widget


OURS = [item for item in map(studium_widgets.__getattr__, studium_widgets.__all__) if hasattr(item, "_script")]


@pytest.mark.browser
def test_what_each_widget_saves_keeps_its_own_rules(call_js):
    for widget in OURS:
        state = widget.example().snapshot()["state"]
        assert call_js(RULES, "findProblem", state, rules(widget, widget.state_names())) == ""


def test_every_number_of_a_state_has_bounds():
    for widget in OURS:
        found = rules(widget, widget.state_names())
        numbers = {name: rule for name, rule in found.items() if rule.get("type") in ("integer", "number")}
        assert [name for name, rule in numbers.items() if "between" not in rule and "maximum" not in rule] == []


NO_WIDGETS = [
    *("", "studium_widgets", "../studium_widgets/chart", "studium_widgets/../chart", "studium_widgets/chart.js"),
    *("/studium_widgets/chart", "os/path", "json/decoder", "__proto__/x", "studium_widgets/chärt", "a/" * 200 + "a"),
]


def test_a_name_that_is_no_installed_widgets_finds_nothing():
    for name in NO_WIDGETS:
        with pytest.raises(UnknownWidgetError, match="it needs an installed widget, got"):
            find(name)


def saved(data: object) -> object:
    return new_output("display_data", {"application/vnd.studium.widget+json": data})


FIRST = {"widget": "studium_widgets/chart", "version": 1, "alt": 'A "chart" {of} two', "state": {"x": [{}]}}


def test_the_first_picture_of_a_notebook_is_found_in_its_text():
    for cells, name in [
        ([new_code_cell("1"), new_code_cell("2", outputs=[saved(FIRST), saved({"widget": "b/b"})])], FIRST["widget"]),
        ([new_code_cell(json.dumps(saved(FIRST)))], None),  # as source it is text
        ([new_code_cell("1", outputs=[saved({"widget": 3})])], None),
        ([new_code_cell("1", outputs=[saved("studium_widgets/chart")])], None),
        ([], None),
    ]:
        notebook = new_notebook(cells=cells)
        assert first_widget(json.dumps(notebook)) == name
        assert first_widget(json.dumps(notebook, indent=1)) == name


def test_a_notebook_that_is_cut_off_names_no_picture():
    for rest in ['{"widget": "studium_widgets/ch', '{"a":' * 100_000, "", "{"]:
        assert first_widget('"application/vnd.studium.widget+json": ' + rest) is None


@pytest.fixture
def from_disk(chromium, tmp_path):
    """from_disk(html, **options) → the page that a browser with no network shows of the file; it asks for nothing."""
    contexts, asked = [], []

    def from_disk(html: str, **options: object):
        path = Path(tmp_path, "page.html")
        path.write_text(f"<!doctype html><meta charset='utf-8'>{html}", encoding="utf-8")
        context = chromium.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        return page

    yield from_disk
    for context in contexts:
        context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:", "about:"))] == []


@pytest.fixture
def snapshot():
    return copy.deepcopy(AttentionHeatmap.example().snapshot())


@pytest.mark.heavy
@pytest.mark.browser
def test_a_file_from_disk_shows_a_picture_twice_and_each_moves_alone(from_disk):
    html = AttentionHeatmap.example()._repr_mimebundle_()[0]["text/html"]
    page = from_disk(html + html, viewport={"width": 1000, "height": 1800})
    sliders = [page.frame_locator("iframe").nth(view).get_by_label("Temperature", exact=True) for view in (0, 1)]
    for slider in sliders:
        slider.focus()  # a touch: what plays by itself ends
    before = sliders[0].input_value()
    picture = page.frame_locator("iframe").first.locator("canvas").first
    seen = picture.screenshot()
    sliders[0].press("ArrowRight")
    box = sliders[0].bounding_box()
    page.mouse.click(box["x"] + box["width"] - 4, box["y"] + box["height"] / 2)
    assert sliders[0].input_value() == sliders[0].get_attribute("max")
    assert sliders[1].input_value() == before
    for _ in range(300):
        if picture.screenshot() != seen:
            return
        page.wait_for_timeout(100)
    raise AssertionError("the image stayed as it was")


@pytest.mark.heavy
@pytest.mark.browser
def test_a_frame_is_as_high_as_its_picture_and_follows_the_theme_that_it_is_told(from_disk):
    page = from_disk(AttentionHeatmap.example()._repr_mimebundle_()[0]["text/html"])
    inside = page.frame_locator("iframe")
    inside.locator(".studium").wait_for()
    page.wait_for_function("document.querySelector('iframe').style.height !== '520px'")
    height = inside.locator("main").evaluate("(main) => Math.ceil(main.getBoundingClientRect().height)")
    page.wait_for_function(f"document.querySelector('iframe').style.height === '{height}px'")
    page.evaluate("document.querySelector('iframe').contentWindow.postMessage({'studium-widget-theme': 'dark'}, '*')")
    inside.locator(".studium[data-theme=dark]").wait_for()


@pytest.mark.browser
def test_a_frame_cannot_reach_the_page_around_it_or_the_network(from_disk, snapshot):
    snapshot["alt"] = '"></iframe><script>window.struck = 1</script>'
    snapshot["state"]["tokens"][0] = "</script><img src=https://example.com/x.png onerror='parent.struck = 1'>"
    page = from_disk(frame(AttentionHeatmap.module(), snapshot))
    page.frame_locator("iframe").get_by_label("Temperature", exact=True).wait_for()
    assert page.evaluate("window.struck") is None
    assert page.locator("iframe").count() == 1


HOSTILE = {
    "null": "null",
    "a list": "[]",
    "text": '"x"',
    "no state": '{"widget": "studium_widgets/attention", "version": 1, "alt": "x"}',
    "a prototype": '{"__proto__": {"widget": "studium_widgets/attention", "version": 1, "alt": "x", "state": {}}}',
    "another widget": '{"widget": "__proto__", "version": 1, "alt": "x", "state": {}}',
    "another version": '{"widget": "studium_widgets/attention", "version": "1", "alt": "x", "state": {}}',
    "no arrays": '{"widget": "studium_widgets/attention", "version": 1, "alt": "x", "state": {}}',
    "no sentence": '{"widget": "studium_widgets/attention", "version": 1, "alt": {}, "state": {}}',
}

SHOW = """async ([module, text]) => {
  const view = (await import(URL.createObjectURL(new Blob([module], { type: "text/javascript" })))).default;
  const place = document.querySelector("main").appendChild(document.createElement("div"));
  view.show(place, JSON.parse(text));
  return place.innerText;
}"""


@pytest.mark.browser
def test_data_that_are_no_snapshot_end_in_one_sentence(open_page):
    page = open_page()
    said = {name: page.evaluate(SHOW, [AttentionHeatmap.module(), text]) for name, text in HOSTILE.items()}
    assert {name for name, text in said.items() if not text.startswith("This saved picture cannot be shown: ")} == set()
    assert {name for name, text in said.items() if text.count("\n")} == set()


@pytest.mark.heavy
@pytest.mark.browser
def test_fifty_megabytes_of_state_end_in_one_sentence(open_page, snapshot):
    for kind in ["one text", "many texts", "many numbers", "deep"]:
        make = {
            "one text": "'x'.repeat(5e7)",
            "many texts": "Array(1e6).fill('x'.repeat(50))",
            "many numbers": "Array(2.5e7).fill(1)",
            "deep": "(() => { let deep = []; for (let i = 0; i < 1.3e7; i++) deep = [deep]; return deep; })()",
        }[kind]
        huge = f"Object.assign(JSON.parse(text), {{ state: {{ tokens: {make} }} }})"
        script = SHOW.replace("JSON.parse(text)", huge)
        said = open_page().evaluate(script, [AttentionHeatmap.module(), json.dumps(snapshot)])
        assert said == "This saved picture cannot be shown: it needs at most 24 MB of state, got more."


SCRIPTS = [path for folder in ("widgets/studium_widgets", "plugins") for path in Path(ROOT, folder).rglob("*.js")]


def test_no_script_of_a_widget_writes_markup_from_text():
    parts = [path for path in SCRIPTS if "conformance" not in path.parts]
    writes = re.compile(r"innerHTML\s*=|outerHTML\s*=|insertAdjacentHTML|document\.write")
    assert len(parts) > 40
    assert [path.name for path in parts if writes.search(path.read_text(encoding="utf-8"))] == []
