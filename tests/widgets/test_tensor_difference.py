"""TensorDifference: its comparison against torch, its words, its view, and how a failed check opens it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from studium import open_lesson
from studium_widgets import TensorDifference
from studium_widgets.plugin import studium_show_difference
from traitlets import TraitError

MATHS = "widgets/studium_widgets/tensor_difference_maths.js"
NAN, INF = float("nan"), float("inf")


def randn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def said(page, start: str) -> str:
    page.wait_for_function("(s) => document.querySelector('.st-summary').textContent.startsWith(s)", arg=start)
    return page.locator(".st-summary").inner_text()


@pytest.mark.browser
def test_what_differs_is_what_torch_says(call_js):
    for rtol, atol in [(0.0, 0.0), (0.1, 0.0), (0.0, 0.3), (0.05, 0.2)]:
        expected = randn(5, 7)
        actual = expected + 0.3 * randn(5, 7, seed=1)
        got = call_js(MATHS, "compare", actual, expected, rtol, atol)
        wrong = ~torch.isclose(actual, expected, rtol=rtol, atol=atol)
        assert got["wrong"] == wrong.int().flatten().tolist()
        assert got["bad"] == wrong.sum()
        assert got["first"] == wrong.flatten().int().argmax()
        gaps = ((actual - expected).abs() * wrong).flatten()
        assert got["largest"] == gaps.argmax()
        np.testing.assert_allclose(got["difference"], (actual - expected).flatten())


@pytest.mark.browser
def test_nan_equals_nan_and_infinity_its_like_alone(open_page):
    page = open_page()
    wrong = """async (url) => {
      const { compare } = await import(url);
      const [actual, expected] = [[NaN, NaN, Infinity, Infinity, -Infinity], [NaN, 1, Infinity, -Infinity, 2]];
      return Array.from(compare(actual, expected, 1, 1).wrong);
    }"""
    assert page.evaluate(wrong, f"http://studium.test/{MATHS}") == [0, 1, 0, 1, 1]


@pytest.mark.browser
def test_places_and_slices_are_those_of_numpy(call_js):
    for shape in [(7,), (3, 4), (2, 3, 4), (2, 3, 4, 5)]:
        array = np.arange(float(np.prod(shape))).reshape(shape)
        for at in (0, array.size // 2, array.size - 1):
            assert tuple(call_js(MATHS, "place", at, list(shape))) == np.unravel_index(at, shape)
        index = [size - 1 for size in shape[:-2]]
        part = call_js(MATHS, "slice", list(shape), index)
        assert array.ravel()[part["start"] :][: part["size"]].tolist() == array[tuple(index)].ravel().tolist()


@pytest.mark.browser
def test_a_simple_reason_for_the_whole_difference_is_found(call_js):
    for change, kind, value in [
        (lambda x: x.mT, "transposed", 0),
        (lambda x: -2.5 * x, "scaled", -2.5),
        (lambda x: x + 0.75, "shifted", 0.75),
        (lambda x: x.flip(-1), "flipped", 0),
        (lambda x: x**3, "", 0),
    ]:
        expected = randn(2, 3, 4)
        actual = change(expected).contiguous()
        sent = [{"data": array.flatten().tolist(), "shape": list(array.shape)} for array in (actual, expected)]
        got = call_js(MATHS, "pattern", *sent, 1e-7, 1e-7)
        assert (got["kind"], got["value"]) == (kind, pytest.approx(value))


def test_the_alternative_text_names_the_first_difference():
    expected = torch.zeros(2, 3, 3)
    actual = expected.clone()
    actual[1, 2, 0] = 5
    widget = TensorDifference.between(actual, expected)
    assert widget.alt == "1 of 18 values differ, first at [1, 2, 0]: yours 5, reference 0."
    assert widget.index == [1]


def test_tensors_of_every_real_type_are_shown_with_its_name():
    for dtype in [torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.bool]:
        widget = TensorDifference.between(torch.ones(2, dtype=dtype), torch.zeros(2))
        assert widget.dtypes == [str(dtype).removeprefix("torch."), "float32"]
        assert "2 of 2 values differ" in widget.alt


def test_small_differences_of_doubles_are_kept():
    widget = TensorDifference.between(torch.tensor([1 + 1e-12], dtype=torch.float64), [1.0], rtol=0, atol=0)
    assert "1 of 1 values differ" in widget.alt


def test_a_large_array_is_cut_to_the_part_around_the_first_difference():
    expected = np.zeros((3, 500, 700))
    actual = expected.copy()
    actual[2, 444, 690] = 1
    widget = TensorDifference.between(actual, expected)
    assert widget.actual.size <= 2**16
    assert "first at [2, 444, 690]" in widget.alt
    assert widget.shapes == [[3, 500, 700]] * 2


def test_what_cannot_be_shown_is_answered_with_what_was_needed():
    for state, sentence in [
        ({"actual": np.zeros((300, 300)), "expected": [0.0]}, "actual needs at most 65536 values, got 90000"),
        ({"actual": [0.0]}, "expected needs float64 numbers, got NoneType None: give an array"),
        ({"actual": ["a"], "expected": [0.0]}, "actual needs float64 numbers, got a list"),
        (
            {"actual": np.zeros((2, 3, 3)), "expected": np.zeros((2, 3, 3)), "index": [2]},
            "from 0 to 1 on axis 0, got 2",
        ),
        ({"actual": [[1.0]], "expected": [[1.0]], "index": [0]}, "index needs 0 numbers"),
        ({"actual": [1.0], "expected": [1.0], "rtol": -1}, "rtol and atol need to be 0 or above"),
    ]:
        with pytest.raises(TraitError, match=sentence):
            TensorDifference(**state)


@pytest.mark.heavy
@pytest.mark.browser
def test_the_first_wrong_value_is_said_and_the_cursor_reads_all_three(mount):
    page = mount(TensorDifference.example())
    assert "yours −0.2265372, reference −0.4530745" in said(page, "First wrong at [1, 4, 5]")
    page.get_by_role("application", name="Reference", exact=True).press("ArrowRight")
    assert said(page, "[1, 0, 0]").endswith("within tolerance.")


@pytest.mark.browser
def test_one_goes_from_wrong_value_to_wrong_value_across_slices(mount):
    expected = np.zeros((3, 2, 2))
    actual = expected.copy()
    actual[0, 1, 1] = actual[2, 0, 1] = 1
    page = mount(TensorDifference.between(actual, expected))
    button = page.get_by_role("button", name="Next wrong value")
    for place in ("[0, 1, 1]", "[2, 0, 1]", "[0, 1, 1]"):
        button.press("Enter")
        said(page, place)
    assert page.state()["index"] == [0]


@pytest.mark.heavy
@pytest.mark.browser
def test_slices_are_chosen_for_each_leading_axis(mount):
    page = mount(TensorDifference.between(np.ones((2, 3, 4, 4)), np.zeros((2, 3, 4, 4))))
    page.get_by_role("button", name="next axis 1").click()
    page.get_by_role("button", name="next axis 0").click()
    assert page.state()["index"] == [1, 1]


@pytest.mark.browser
def test_a_wrong_shape_is_shown_with_its_axis(mount):
    page = mount(TensorDifference.between(randn(4, 3), randn(4, 5)))
    said(page, "Axis 1 is 3 long in yours and 5 in the reference.")
    assert page.locator(".st-wrong").all_inner_texts() == ["shape (4, 3), expected (4, 5)"]
    assert page.locator("canvas:visible").count() == 2


@pytest.mark.heavy
@pytest.mark.browser
def test_a_transposed_answer_is_called_by_its_name(mount):
    page = mount(TensorDifference.between(randn(4, 3), randn(4, 3).T))
    assert "its last two axes changed over" in said(page, "Axis 0 is 4 long")


@pytest.mark.heavy
@pytest.mark.browser
def test_nan_and_infinity_are_counted_and_read(mount):
    page = mount(TensorDifference.between([1.0, NAN, INF, 4.0], [1.0, 2.0, 3.0, NAN]))
    assert said(page, "First wrong at [1]") == "First wrong at [1]: yours NaN, reference 2."
    facts = page.locator(".st-remarks li").all_inner_texts()
    assert facts[-3:] == ["1 NaN in yours", "1 infinite in yours", "1 NaN in the reference"]


@pytest.mark.heavy
@pytest.mark.browser
@pytest.mark.parametrize("shape", [(), (1,), (100,), (2, 0, 3)])
def test_every_shape_is_drawn(mount, shape):
    page = mount(TensorDifference.between(np.ones(shape), np.zeros(shape)), width=320)
    assert page.locator(".st-failure").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def merge(weight, a, b, alpha):
    return weight + alpha * (b @ a)


def test_hook_studium_show_difference_opens_the_arrays_of_a_failed_check(sample):
    lesson = open_lesson("sample", "smoke")
    assert "Run lesson.check(merge) first" in repr(lesson.difference("merge"))
    assert "`lesson.difference(merge)`" in repr(lesson.check(merge))
    shown = lesson.difference(merge)
    assert isinstance(shown, TensorDifference)
    assert "values differ, first at [0, 0]" in shown.alt
    bundle = shown._repr_mimebundle_()[0]
    assert {"application/vnd.jupyter.widget-view+json", "application/vnd.studium.widget+json", "text/html"} <= set(
        bundle
    )


def test_a_check_in_which_no_arrays_differ_has_nothing_to_show(sample):
    def right(weight, a, b, alpha):
        return weight + alpha / len(a) * (b @ a)

    right.__name__ = "merge"
    lesson = open_lesson("sample", "smoke")
    assert "lesson.difference" not in repr(lesson.check(right))
    assert "no arrays that differ" in repr(lesson.difference(right))


def test_values_that_are_no_real_numbers_have_no_picture():
    assert studium_show_difference(torch.ones(1, dtype=torch.complex64), torch.ones(1), 0, 0) is None


@pytest.mark.heavy
@pytest.mark.browser
def test_a_value_beyond_the_colours_is_told_at_their_end_and_the_ring_in_a_corner_is_whole(mount):
    expected = np.linspace(-1, 1, 9).reshape(3, 3)
    actual = expected.copy()
    actual[0, 0] = -55.7
    page = mount(TensorDifference.between(actual, expected))
    bar = page.locator(".st-colour-bar").inner_text()
    assert "≤ −1" in bar
    assert "≥" not in bar
    assert cut_rings(page) == []


@pytest.mark.heavy
@pytest.mark.browser
@pytest.mark.parametrize("size", [1, 2, 3, 400])
def test_the_ring_around_a_value_of_a_vector_is_whole(mount, size):
    page = mount(TensorDifference.between(np.ones(size), np.zeros(size)), width=720)
    assert cut_rings(page) == []


def cut_rings(page) -> list[list[float]]:
    """Return centre and radius of each ring that goes beyond its picture, as all are drawn once more."""
    rings = page.evaluate(RING)
    assert rings["drawn"]
    return rings["cut"]


RING = """() => {
  const cut = [];
  let drawn = 0;
  const { arc } = CanvasRenderingContext2D.prototype;
  CanvasRenderingContext2D.prototype.arc = function (x, y, radius, ...rest) {
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    drawn += radius > 6;
    if (radius > 6 && (x - radius < 0 || y - radius < 0 || x + radius > width || y + radius > height)) cut.push([x, y, radius]);
    arc.call(this, x, y, radius, ...rest);
  };
  document.querySelector("canvas").dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" })); // draws them again
  return new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done({ drawn, cut }))));
}"""  # noqa: E501
