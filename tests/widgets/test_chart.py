"""Chart: predict, then reveal, by pointer, touch and keyboard; the score against numpy; its errors and its view."""

from __future__ import annotations

import numpy as np
import pytest
from studium_widgets import Chart
from traitlets import TraitError

SCORE = "widgets/studium_widgets/controls/prediction_score.js"
X = np.arange(0, 60, 5.0)
FALL = np.exp(-X / 20)
BARS = {"kind": "bars", "y": [[0.7, 0.1, 0.4]], "names": ["error"], "labels": ["a", "b", "c"], "predict": "error"}


@pytest.fixture
def chart():
    """chart(**state) → two curves of twelve points, the falling one to be predicted."""
    start = {"x": X, "y": [FALL, 1 - FALL], "names": ["fall", "rise"], "x_label": "step", "predict": "fall"}
    return lambda **state: Chart(**(start | state))


def picture(page):
    return page.get_by_role("application")


def reveal(page):
    page.get_by_role("button", name="Reveal").click()
    page.wait_for_function("document.querySelector('.st-summary').textContent.includes('of 100')")
    return page.locator(".st-summary").inner_text()


@pytest.mark.browser
def test_the_score_is_what_the_mean_distance_leaves_of_the_spread(call_js):
    for log in [False, True]:
        rng = np.random.default_rng(0)
        truth, predicted = rng.uniform(0.1, 5, (2, 30))
        got = call_js(SCORE, "judge", predicted, truth, [0.05, 6], log)
        p, t = (np.log10(predicted), np.log10(truth)) if log else (predicted, truth)
        gaps = np.abs(p - t)
        assert got["score"] == round(100 * max(0, 1 - gaps.mean() / np.ptp(t)))
        assert got["distance"] == pytest.approx(10 ** gaps.mean() if log else gaps.mean())
        assert got["worst"] == gaps.argmax()


@pytest.mark.browser
def test_a_flat_truth_is_judged_on_a_tenth_of_the_axis(call_js):
    got = call_js(SCORE, "judge", np.full(10, 0.55), np.full(10, 0.5), [0, 1])
    assert (got["score"], got["rises"]) == (50, [0, 0])


@pytest.mark.browser
def test_ordered_counts_pairs_as_kendall_does(call_js):
    predicted, truth = np.array([3.0, 1, 2, 2, 5]), np.array([4.0, 2, 2, 3, 1])
    signs = [(np.sign(predicted[i] - predicted[j]), np.sign(truth[i] - truth[j])) for i in range(5) for j in range(i)]
    pairs = [(p, t) for p, t in signs if t]
    assert call_js(SCORE, "ordered", predicted, truth) == {"right": sum(p == t for p, t in pairs), "pairs": len(pairs)}


@pytest.mark.browser
def test_drawing_fills_what_the_pointer_jumped_over(call_js):
    assert call_js(SCORE, "drawn", [0, None, None, None, 9], 0, 3, 6) == [0, 2, 4, 6, 9]
    assert call_js(SCORE, "drawn", [None, None, None, 9], 3, 0, 0) == [0, 3, 6, 9]
    assert call_js(SCORE, "drawn", [None, None], -1, 1, 2) == [None, 2]


@pytest.mark.browser
def test_the_truth_is_nowhere_before_it_is_revealed(mount, chart):
    page = mount(chart())
    page.get_by_text("Show as table").click()
    page.wait_for_selector("table td")
    assert page.locator("th").all_inner_texts()[:2] == ["step", "rise"]
    assert f"{FALL[-1]:.3g}" not in page.locator("main").inner_text()
    assert page.get_by_role("button", name="Reveal").is_disabled()


@pytest.mark.heavy
@pytest.mark.browser
def test_a_curve_is_drawn_by_dragging_and_judged(mount, chart):
    page = mount(chart())
    box = picture(page).bounding_box()
    left, right, height = box["x"] + 54, box["x"] + box["width"] - 15, box["y"] + 0.5 * box["height"]
    page.mouse.move(left, height)
    page.mouse.down()
    page.mouse.move(right, height, steps=3)
    page.mouse.up()
    drawn = page.state()["prediction"]
    assert len(drawn) == 12
    assert max(drawn) - min(drawn) < 0.01
    expected = round(100 * (1 - np.abs(np.array(drawn) - FALL).mean() / np.ptp(FALL)))
    said = reveal(page)
    assert said.startswith(f"{expected} of 100 for fall. It falls; yours ends where it began.")
    assert page.state()["revealed"]


@pytest.mark.browser
def test_a_curve_is_drawn_and_revealed_by_keyboard_alone(mount, chart):
    page = mount(chart())
    picture(page).press("ArrowRight")
    for _ in range(4):
        page.keyboard.press("PageUp")
    for _ in range(11):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
    drawn = page.state()["prediction"]
    assert None not in drawn
    assert drawn == sorted(drawn, reverse=True)
    while "Reveal" not in page.evaluate("document.activeElement.textContent"):
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.st-summary').textContent.includes('You saw that it falls')")
    page.get_by_role("button", name="Predict again").press("Enter")
    assert (page.state()["prediction"], page.state()["revealed"]) == ([], False)


@pytest.mark.heavy
@pytest.mark.browser
def test_a_curve_is_drawn_by_touch(mount, chart):
    page = mount(chart())
    box = picture(page).bounding_box()
    touch = """([kind, clientX, clientY]) => document.querySelector('canvas').dispatchEvent(
      new PointerEvent(kind, { bubbles: true, pointerId: 7, pointerType: "touch", clientX, clientY }))"""
    page.evaluate("HTMLCanvasElement.prototype.setPointerCapture = () => {}")  # a made-up touch cannot be captured
    for kind, share in (("pointerdown", 0.0), ("pointermove", 0.5), ("pointermove", 1.0), ("pointerup", 1.0)):
        page.evaluate(touch, [kind, box["x"] + 54 + share * (box["width"] - 70), box["y"] + 60])
    assert None not in page.state()["prediction"]
    assert page.evaluate("getComputedStyle(document.querySelector('canvas')).touchAction") == "none"


@pytest.mark.heavy
@pytest.mark.browser
def test_bars_are_predicted_with_sliders_by_keyboard(mount):
    page = mount(Chart(**BARS))
    for name, key in (("a", "End"), ("b", "Home"), ("c", "ArrowRight")):
        page.get_by_role("slider", name=f"Your prediction for {name}").press(key)
    assert "0.7" not in page.locator(".st-value").all_inner_texts()
    said = reveal(page)
    assert "The order is right" in said
    assert page.locator(".st-bars .st-value").all_inner_texts() == ["0.7", "0.1", "0.4"]
    assert page.locator(".st-bar-guess:visible").count() == 3


@pytest.mark.heavy
@pytest.mark.browser
def test_the_truth_can_be_shown_without_a_prediction(mount, chart):
    page = mount(chart())
    page.get_by_role("button", name="Show without predicting").click()
    page.wait_for_function("document.querySelector('.st-summary').textContent.startsWith('rise goes')")
    assert page.state()["prediction"] == []


@pytest.mark.heavy
@pytest.mark.browser
def test_a_kept_prediction_comes_back_with_its_score(mount, chart):
    page = mount(chart(prediction=list(FALL.astype(float)), revealed=True))
    page.wait_for_function("document.querySelector('.st-summary').textContent.startsWith('100 of 100')")


@pytest.mark.heavy
@pytest.mark.browser
@pytest.mark.parametrize("kind", ["line", "scatter"])
def test_without_a_question_it_is_a_plain_chart(mount, chart, kind):
    page = mount(chart(predict="", kind=kind))
    page.wait_for_function("document.querySelector('.st-summary').textContent.startsWith('fall goes from 1 to')")
    assert page.locator("button").count() == 0


def test_parts_that_do_not_fit_are_answered_with_what_was_needed(chart):
    for change, sentence in [
        ({"predict": "fal"}, "predict needs the name of a series, got 'fal': did you mean 'fall'"),
        ({"names": ["fall"]}, "names need one name of its own for each of 2 series"),
        ({"x": X[::-1]}, "x needs to rise, got 50 after 55"),
        ({"x": X[:3]}, "x needs one number for each of 12 points, got 3"),
        ({"log_x": True}, "log_x needs x above 0, got 0"),
        ({"y_range": [1, 0]}, r"y_range needs \[low, high\] with low below high"),
        ({"prediction": [1.0]}, "a prediction needs 12 numbers, got 1"),
        ({"kind": "bars"}, "bars need one series of at most 40 values with a label each, got 2 series, 12 values"),
    ]:
        with pytest.raises(TraitError, match=sentence):
            chart(**change)


def test_bars_below_zero_are_refused():
    with pytest.raises(TraitError, match="bars need values from 0 on"):
        Chart(**BARS | {"y": [[1, -1, 2]]})


def test_the_alternative_text_keeps_the_secret_until_it_is_revealed(chart):
    assert "fall must be predicted first" in chart().alt
    assert "fall goes from 1 to 0.0639" in chart(revealed=True).alt
    assert "to be predicted first" in Chart(**BARS).alt
    assert "a 0.7" in Chart(**BARS, revealed=True).alt


@pytest.mark.browser
def test_ends_that_a_stroke_just_missed_are_filled_and_no_more(call_js):
    for drawn, filled in [
        ([None, *range(8), None], [0, *range(8), 7]),
        ([None, None, *range(8)], [None, None, *range(8)]),
        ([1, None, *range(8)], [1, None, *range(8)]),
        ([None] * 10, [None] * 10),
    ]:
        assert call_js(SCORE, "extended", drawn) == filled


@pytest.mark.heavy
@pytest.mark.browser
def test_a_stroke_that_misses_an_end_by_a_point_can_be_revealed_and_a_shorter_one_is_told_what_is_missing(mount, chart):
    page = mount(chart())
    box = picture(page).bounding_box()
    left, right, height = box["x"] + 54, box["x"] + box["width"] - 15, box["y"] + 0.5 * box["height"]
    page.mouse.move(left + (right - left) / 11, height)
    page.mouse.down()
    page.mouse.move(left + (right - left) * 6 / 11, height, steps=3)
    page.mouse.up()
    page.get_by_text("Still missing: step 35 to step 55.").wait_for()
    assert page.get_by_role("button", name="Reveal").is_disabled()
    page.mouse.down()
    page.mouse.move(left + (right - left) * 10 / 11, height, steps=3)
    page.mouse.up()
    page.get_by_text("Your prediction stands.").wait_for()
    assert page.get_by_role("button", name="Reveal").is_enabled()


@pytest.mark.heavy
@pytest.mark.browser
def test_bars_that_are_not_predicted_yet_are_named(mount):
    page = mount(Chart(**BARS))
    page.get_by_role("slider", name="Your prediction for a").press("End")
    page.get_by_text("Still missing: b to c.").wait_for()


@pytest.mark.heavy
@pytest.mark.browser
def test_an_axis_name_lies_on_no_number(mount, chart):
    page = mount(chart(predict="", y=[100_000 * FALL, FALL], y_label="Largest tensor"))
    page.evaluate(
        """() => {
          window.texts = [];
          const { fillText } = CanvasRenderingContext2D.prototype;
          CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
            const turned = this.getTransform().b !== 0;
            if (turned || this.textAlign === "right") window.texts.push({ text, turned, left: x - this.measureText(text).width });
            fillText.call(this, text, x, y);
          };
          window.views[0].model.set("y_label", "Largest of all tensors");
        }"""  # noqa: E501
    )
    page.drawn()
    texts = page.evaluate("window.texts")
    assert [text["text"] for text in texts if text["turned"]] == ["Largest of all tensors"]
    numbers = [text for text in texts if not text["turned"]]
    assert "100,000" in [text["text"] for text in numbers]
    assert min(text["left"] for text in numbers) >= 16  # the name ends 14 px from the left
