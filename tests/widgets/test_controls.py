"""The shared controls in a plain page: pointer, keyboard, two views, both themes, and an end that leaves nothing."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

pytestmark = pytest.mark.browser

FOCUSABLE = ".studium :is(input, select, button, canvas, summary, [tabindex])"
COLOURS = """() => {
  const style = getComputedStyle(document.querySelector(".studium"));
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  return Object.fromEntries(["text", "muted", "accent", "warm", "surface"].map((name) => {
    canvas.fillStyle = style.getPropertyValue("--st-" + name).trim();
    canvas.fillRect(0, 0, 1, 1);
    return [name, [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)];
  }));
}"""


def luminance(rgb: list[int]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in rgb)]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(first: list[int], second: list[int]) -> float:
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_arrow_keys_move_a_slider_and_the_model(mount, gallery):
    page = mount(gallery())
    page.get_by_role("slider", name="Steps").press("ArrowRight")
    page.get_by_role("slider", name="Rate").press("ArrowLeft")
    assert (page.state()["steps"], page.state()["rate"]) == (101, 0.01)


def test_every_other_control_moves_by_keyboard(mount, gallery):
    page = mount(gallery())
    page.get_by_role("spinbutton", name="Layer").press("ArrowUp")
    page.get_by_role("spinbutton", name="Layer").press("Enter")
    page.get_by_role("radio", name="Sine", exact=True).press("ArrowRight")
    page.get_by_role("switch", name="Signed values").press("Space")
    seen = page.state()
    assert (seen["layer"], seen["kind"], seen["signed"]) == (1, "cosine", True)
    assert page.get_by_label("Kind").input_value() == "cosine"


def test_the_stepper_keeps_to_its_range(mount, gallery):
    page = mount(gallery(layer=3))
    assert page.get_by_role("button", name="next layer").is_disabled()
    page.get_by_role("spinbutton", name="Layer").fill("9")
    page.get_by_role("spinbutton", name="Layer").press("Enter")
    assert page.state()["layer"] == 3
    page.get_by_role("button", name="previous layer").click()
    assert page.state()["layer"] == 2


def test_a_change_from_python_moves_the_control_and_the_picture(mount, gallery):
    page = mount(gallery())
    page.evaluate("window.views[0].model.set('steps', 42)")
    page.wait_for_function("document.querySelector('.st-summary').textContent === '42 steps.'")
    assert page.get_by_role("slider", name="Steps").input_value() == "42"


@pytest.mark.heavy
def test_a_slider_is_answered_within_the_next_frame(mount, gallery):
    page = mount(gallery())
    frames = page.evaluate(
        """() => new Promise((done) => {
          const input = document.querySelector('input[aria-label="Steps"]');
          const said = document.querySelector(".st-summary");
          let frames = 0;
          const look = () => {
            frames += 1;
            said.textContent === "150 steps." ? done(frames) : requestAnimationFrame(look);
          };
          input.value = 150;
          input.dispatchEvent(new Event("input", { bubbles: true }));
          requestAnimationFrame(look);
        })"""
    )
    assert frames <= 1


def dragged(page, steps: int) -> list[list[float]]:
    """When each save came, in ms since the first, and with which value, while a slider went up by one every 10 ms."""
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    slider = page.locator('input[aria-label="Steps"]')
    for step in range(1, steps + 1):
        slider.evaluate("(input, step) => { input.value = step; input.dispatchEvent(new Event('input')); }", step)
        page.clock.run_for(10)
    page.clock.run_for(400)
    page.clock.resume()  # it is the clock of the pages to come, too
    saved = page.evaluate("window.views[0].model.saved.map((save) => [save.at, save.state.steps])")
    return [[at - saved[0][0], value] for at, value in saved]


@pytest.mark.heavy
def test_a_drag_is_saved_when_it_begins_and_when_it_rests(mount, gallery):
    saved = dragged(mount(gallery()), 60)
    assert [value for _, value in saved] == [1, 60]


@pytest.mark.heavy
def test_a_long_drag_is_saved_once_a_second_too(mount, gallery):
    saved = dragged(mount(gallery()), 180)
    assert saved[-1][1] == 180
    assert len(saved) == 3
    assert max(later - at for at, later in pairwise(at for at, _ in saved)) <= 1010


def test_abort_saves_what_the_throttle_still_holds(mount, gallery):
    page = mount(gallery())
    steps = page.evaluate(
        """() => {
          const input = document.querySelector('input[aria-label="Steps"]');
          for (const value of [5, 6, 7]) { input.value = value; input.dispatchEvent(new Event("input")); }
          window.views[0].abort();
          return window.views[0].model.saved.at(-1).state.steps;
        }"""
    )
    assert steps == 7


@pytest.mark.heavy
def test_a_saved_page_with_base64_arrays_draws_the_same(mount, gallery):
    pages = [mount(gallery(), kernel=kernel) for kernel in (True, False)]
    for page in pages:
        page.drawn()
    live, saved = [page.evaluate("document.querySelectorAll('canvas')[1].toDataURL()") for page in pages]
    assert live == saved


@pytest.mark.heavy
def test_a_saved_picture_that_was_moved_describes_itself_and_a_live_one_asks_python(mount, gallery):
    for kernel, expected in ((False, "101 steps."), (True, "Two waves of 100 steps.")):
        page = mount(gallery(), kernel=kernel)
        assert page.locator("section.studium").get_attribute("aria-label") == "Two waves of 100 steps."
        page.get_by_role("slider", name="Steps").press("ArrowRight")
        page.wait_for_function("document.querySelector('[role=status]').textContent === '101 steps.'")
        assert page.locator("section.studium").get_attribute("aria-label") == expected


@pytest.mark.heavy
def test_arrow_keys_walk_the_matrix_and_enter_picks(mount, gallery):
    page = mount(gallery())
    canvas = page.get_by_role("application", name="Matrix")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "End", "Enter"):
        canvas.press(key)
    page.wait_for_function("document.querySelector('.st-summary').textContent.startsWith('Row 1, column 11')")
    assert page.state()["layer"] == 1


@pytest.mark.heavy
def test_the_pointer_reads_a_cell_and_leaving_forgets_it(mount, gallery):
    page = mount(gallery())
    canvas = page.get_by_role("application", name="Matrix")
    box = canvas.bounding_box()
    canvas.hover(position={"x": box["width"] - 5, "y": box["height"] - 5})
    page.wait_for_function("document.querySelector('.st-summary').textContent.startsWith('Row 11, column 11')")
    page.mouse.move(1, 1)
    page.wait_for_function("document.querySelector('.st-summary').textContent === '100 steps.'")


@pytest.mark.heavy
@pytest.mark.parametrize(("value", "striped"), [(0.5, False), (np.nan, True)])
def test_what_is_not_a_number_is_striped(mount, gallery, value, striped):
    matrix = np.zeros((12, 12))
    matrix[11, 11] = value
    colours = mount(gallery(matrix=matrix)).evaluate("""() => {
      const canvas = document.querySelector('[aria-label="Matrix"]');
      const { data } = canvas.getContext("2d").getImageData(canvas.width - 24, canvas.height - 24, 14, 14);
      return new Set(new Uint32Array(data.buffer)).size;
    }""")
    assert (colours > 1) == striped


@pytest.mark.heavy
def test_a_screen_reader_hears_the_sentence_once_things_are_still(mount, gallery):
    page = mount(gallery())
    page.wait_for_function("document.querySelector('[aria-live]').textContent === '100 steps.'")


@pytest.mark.heavy
def test_the_table_is_made_only_when_opened(mount, gallery):
    page = mount(gallery())
    assert page.locator("table tr").count() == 0
    page.get_by_text("Show as table").press("Enter")
    page.wait_for_function("document.querySelectorAll('table tr').length === 2")


@pytest.mark.heavy
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_and_accents_stand_out(mount, gallery, dark):
    page = mount(gallery(), dark=dark)
    colours = page.evaluate(COLOURS)
    assert (luminance(colours["surface"]) < 0.2) == dark
    assert contrast(colours["text"], colours["surface"]) >= 7
    assert contrast(colours["muted"], colours["surface"]) >= 4.5
    assert contrast(colours["accent"], colours["surface"]) >= 3
    assert contrast(colours["warm"], colours["surface"]) >= 3


@pytest.mark.parametrize(
    ("marks", "dark"),
    [("data-jp-theme-light='false'", True), ("data-jp-theme-light='true'", False), ("class='vscode-dark'", True)],
)
def test_the_host_theme_outranks_the_system(mount, gallery, marks, dark):
    page = mount(gallery(), dark=not dark, marks=marks)
    assert page.locator(".studium").get_attribute("data-theme") == ("dark" if dark else "light")


@pytest.mark.heavy
def test_a_view_that_is_put_on_the_page_late_has_its_colours(mount, gallery):
    page = mount(gallery())  # the fixture attaches the element after the first frame, as JupyterLab does
    black = page.evaluate(
        """() => {
          const inside = document.querySelectorAll("canvas")[1].getContext("2d").getImageData(200, 100, 200, 200);
          return new Uint32Array(inside.data.buffer).filter((pixel) => pixel === 0xff000000).length;
        }"""
    )
    assert black == 0


@pytest.mark.heavy
def test_a_theme_switch_repaints_at_once(mount, gallery):
    page = mount(gallery(), marks="data-jp-theme-light='true'")
    before = page.evaluate("document.querySelector('canvas').toDataURL()")
    page.evaluate("document.body.dataset.jpThemeLight = 'false'")
    page.wait_for_function("document.querySelector('.studium').dataset.theme === 'dark'")
    page.wait_for_function("(before) => document.querySelector('canvas').toDataURL() !== before", arg=before)


@pytest.mark.heavy
def test_a_sharp_screen_gets_more_pixels(mount, gallery):
    page = mount(gallery(), scale=2)
    ratio = page.evaluate("(() => { const c = document.querySelector('canvas'); return c.width / c.clientWidth; })()")
    assert ratio == pytest.approx(2, abs=0.02)


def test_a_picture_that_fails_says_so_in_its_place(mount, gallery):
    page = mount(gallery())
    page.evaluate("window.views[0].model.set('matrix', 3)")
    page.wait_for_selector("[role=alert]")
    assert "This picture failed" in page.locator("[role=alert]").inner_text()
    page.errors.clear()


def test_ticks_are_round_numbers_inside_the_range(call_js):
    for low, high, expected in [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (-3, 7, [-2, 0, 2, 4, 6]),
        (5, 5, [5]),
        (0, 0.003, [0, 0.001, 0.002, 0.003]),
    ]:
        assert call_js("widgets/studium_widgets/controls/ticks.js", "ticks", low, high) == pytest.approx(expected)


def test_numbers_are_written_short(call_js):
    for value, text in [
        (0, "0"),
        (-0.25, "−0.25"),
        (1e-5, "1e-5"),
        (1234567, "1.2e6"),
        (1200, "1,200"),
        (-16384, "−16,384"),
        (2 / 3, "0.6667"),
    ]:
        assert call_js("widgets/studium_widgets/controls/ticks.js", "short", value) == text


def test_the_sequential_palette_is_in_order_of_lightness(call_js):
    for dark in [False, True]:
        packed = np.array(call_js("widgets/studium_widgets/controls/palette.js", "table", "sequential", dark))
        steps = np.diff([luminance([value & 255, value >> 8 & 255, value >> 16 & 255]) for value in packed.tolist()])
        assert (steps >= 0).all() if dark else (steps <= 0).all()
