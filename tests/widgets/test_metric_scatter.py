"""MetricScatter: filters and front against plain Python, its errors, and its view by pointer and keyboard."""

from __future__ import annotations

import itertools
import random

import pytest
from studium_widgets import MetricScatter
from traitlets import TraitError

MATHS = "widgets/studium_widgets/metric_scatter_maths.js"
POINTS = [
    {"name": "old", "year": 2019, "fid": 30.0, "size": 1.0, "family": "GAN", "paper": "arXiv:1"},
    {"name": "middle", "year": 2021, "fid": 10.0, "size": 5.0, "family": "diffusion", "paper": "arXiv:2"},
    {"name": "new", "year": 2023, "fid": 12.0, "size": None, "family": "diffusion", "paper": None},
    {"name": "unmeasured", "year": 2024, "fid": None, "size": 2.0, "family": "GAN"},
]


def plane(**state) -> MetricScatter:
    return MetricScatter(**({"points": POINTS, "lower": ["fid", "year"]} | state))


def said(page, start: str) -> str:
    page.wait_for_function("(s) => document.querySelector('.st-summary').textContent.startsWith(s)", arg=start)
    return page.locator(".st-summary").inner_text()


def beats(one, other, signs):
    pairs = [(sign * one[axis], sign * other[axis]) for sign, axis in zip(signs, "xy", strict=True)]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


@pytest.mark.browser
def test_the_front_holds_what_no_other_point_beats(call_js):
    for lower in itertools.product([True, False], repeat=2):
        draw, signs = random.Random(3), [1 if low else -1 for low in lower]
        points = [{"name": str(i), "x": draw.randint(0, 9), "y": draw.randint(0, 9)} for i in range(40)]
        expected = {point["name"] for point in points if not any(beats(other, point, signs) for other in points)}
        options = {"x": "x", "y": "y", "lower": {"x": lower[0], "y": lower[1]}}
        assert {point["name"] for point in call_js(MATHS, "front", points, options)} == expected


@pytest.mark.browser
def test_the_line_of_the_front_turns_where_nothing_beyond_is_beaten(call_js):
    for lower, corner in [(True, {"x": 3, "y": 9}), (False, {"x": 1, "y": 4})]:
        first, second = {"x": 1, "y": 9}, {"x": 3, "y": 4}
        assert call_js(MATHS, "stairs", [first, second], lower) == [first, corner, second]


@pytest.mark.browser
def test_filters_agree_between_python_and_the_browser(call_js):
    for change, names in [
        ({}, ["old", "middle", "new"]),
        ({"hidden": {"family": ["GAN"]}}, ["middle", "new"]),
        ({"limits": {"year": 2021}}, ["old", "middle"]),
        ({"limits": {"size": 2}}, ["old", "new"]),
        ({"x": "size"}, ["old", "middle"]),
    ]:
        widget = plane(**change)
        options = {name: getattr(widget, name) for name in ("x", "y", "hidden", "limits")}
        assert [point["name"] for point in call_js(MATHS, "passing", POINTS, options)] == names
        assert widget.alt.startswith(f"{len(names)} of 4 points")


def test_what_does_not_fit_is_answered_with_what_was_needed():
    for change, sentence in [
        ({"y": "fidd"}, "y needs a field of numbers, got 'fidd': choose from year, fid, size"),
        ({"x": "family"}, "x needs a field of numbers, got 'family'"),
        ({"size": "paper"}, "size needs a field of numbers, got 'paper'"),
        ({"colour": "kind"}, "colour needs a field of the points, got 'kind': choose from name, year"),
        ({"filters": ["kind"]}, "filters needs a field of the points, got 'kind'"),
        ({"limits": {"paper": 1}}, "limits needs a field of numbers, got 'paper'"),
        ({"chosen": "nobody"}, "chosen needs the name of a point or an empty text, got 'nobody'"),
        ({"points": []}, "points need 1 to 500 entries, got 0"),
        ({"points": [{"year": 1, "fid": 2, "family": "x"}]}, 'points need a "name" each'),
        ({"points": [POINTS[0] | {"fid": 0}], "log_y": True}, "a logarithmic axis needs fid above 0, got 0"),
        (
            {"points": [POINTS[0] | {"name": str(i), "family": str(i)} for i in range(7)]},
            "a field with at most 6 values",
        ),
    ]:
        with pytest.raises(TraitError, match=sentence):
            plane(**change)


def test_the_alternative_text_names_the_best():
    assert plane().alt == "3 of 4 points, fid over year; lowest fid: middle with 10."
    assert plane(lower=[]).alt.endswith("highest fid: old with 30.")
    assert plane(limits={"year": 2000}).alt == "No point of 4 passes the filters."


@pytest.mark.heavy
@pytest.mark.browser
def test_arrow_keys_read_each_point_and_enter_keeps_its_details(mount):
    page = mount(plane())
    canvas = page.get_by_role("application", name="Models")
    for key in ("ArrowRight", "ArrowRight"):
        canvas.press(key)
    assert said(page, "middle") == "middle: year 2021, fid 10, diffusion."
    canvas.press("Enter")
    assert page.state()["chosen"] == "middle"
    canvas.press("Escape")
    page.wait_for_function("document.querySelector('.st-details').textContent.includes('arXiv:2')")


@pytest.mark.heavy
@pytest.mark.browser
def test_a_point_under_the_pointer_is_described(mount):
    page = mount(plane())
    box = page.get_by_role("application", name="Models").bounding_box()
    left, right = box["x"] + 52, box["x"] + box["width"] - 14
    share = (2023 - (2019 - 0.4)) / (5 + 0.8)  # the axis has a margin of 8 % on either side
    low, high = 10 - 1.6, 30 + 1.6
    top = box["y"] + 12 + (1 - (12 - low) / (high - low)) * (box["height"] - 50)
    page.mouse.move(left + share * (right - left), top)
    said(page, "new: year 2023")


@pytest.mark.browser
def test_a_value_is_hidden_by_its_chip_and_a_number_by_its_slider(mount):
    page = mount(plane(filters=["family"], limits={"year": 2024}))
    chip = page.get_by_role("checkbox", name="diffusion")
    chip.press("Space")
    said(page, "1 of 4 are shown")
    chip.press("Space")
    page.get_by_role("slider", name="Up to year").press("Home")
    said(page, "1 of 4 are shown; lowest fid: old")
    assert page.state()["limits"] == {"year": 2019}


@pytest.mark.heavy
@pytest.mark.browser
def test_the_front_is_named_and_follows_the_axes(mount):
    page = mount(plane(front=True))
    assert said(page, "3 of 4").endswith("On the front: old, middle.")
    page.get_by_role("combobox", name="Up").select_option("size")
    page.wait_for_function("document.querySelector('.st-summary').textContent.includes('highest size')")


@pytest.mark.heavy
@pytest.mark.browser
def test_nothing_left_is_said(mount):
    page = mount(plane(limits={"year": 2000}), width=320)
    said(page, "No point of 4 passes the filters.")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


RECORD = """() => {
  window.texts = [];
  window.path = [];
  const { fillText, lineTo, setLineDash } = CanvasRenderingContext2D.prototype;
  let dashed = false;
  Object.assign(CanvasRenderingContext2D.prototype, {
    setLineDash(dash) {
      dashed = dash.length > 0;
      setLineDash.call(this, dash);
    },
    lineTo(x, y) {
      if (dashed) window.path.push([x, y]);
      lineTo.call(this, x, y);
    },
    fillText(text, x, y) {
      const width = this.measureText(text).width;
      const upright = this.getTransform().b === 0;
      window.texts.push({ text, x: this.textAlign === "right" ? x - width : x, y, width, upright });
      fillText.call(this, text, x, y);
    },
  });
}"""


def drawn(page, **state):
    """What a canvas writes and the front that it draws: ([{text, x, y, width, upright}], [[x, y]])."""
    page.evaluate(RECORD)
    page.evaluate(
        "(state) => Object.entries(state).forEach(([name, value]) => window.views[0].model.set(name, value))", state
    )
    page.drawn()
    return page.evaluate("[window.texts, window.path]")


def crosses(box, start, end):
    """Whether a line passes through a box: of 200 points on it, one lies inside."""
    left, top, right, bottom = box
    points = (
        (start[0] + (end[0] - start[0]) * step / 200, start[1] + (end[1] - start[1]) * step / 200)
        for step in range(201)
    )
    return any(left < x < right and top < y < bottom for x, y in points)


@pytest.mark.heavy
@pytest.mark.browser
def test_the_front_goes_through_no_name(mount):
    page = mount(MetricScatter.example())
    texts, path = drawn(page, chosen="none")
    names = {point["name"] for point in MetricScatter.example().points}
    written = [text for text in texts if text["text"] in names]
    assert len(written) > 3
    assert len(path) > 2
    for text in written:
        box = (text["x"], text["y"] - 6, text["x"] + text["width"], text["y"] + 6)
        assert not any(crosses(box, *ends) for ends in itertools.pairwise(path)), text


@pytest.mark.browser
def test_a_limit_stops_at_round_numbers_that_part_the_values(call_js):
    assert call_js(MATHS, "stops", [2022.46, 2019.2, 2022.9, 2022.46]) == [2020, 2022.5, 2023]
    assert call_js(MATHS, "stops", [0.84, 5, 1.5]) == [1, 2, 5]
