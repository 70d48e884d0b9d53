"""ImageGrid: levels, counts and pixels against NumPy and torch, its errors, the film and its strip."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from studium_widgets import ImageGrid
from traitlets import TraitError

MATHS = "widgets/studium_widgets/image_grid_maths.js"


def random(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1


def said(page, start: str = "") -> str:
    page.wait_for_function("(s) => document.querySelector('.st-summary').textContent.startsWith(s)", arg=start)
    return page.locator(".st-summary").inner_text()


def sent(widget: ImageGrid) -> dict:
    """The images as a view has them."""
    return {"data": widget.images.flatten().tolist(), "shape": list(widget.images.shape)}


def test_minus_one_is_black_and_one_is_white():
    for kind in [torch.float32, torch.float64, torch.bfloat16]:
        images = torch.tensor([-1.0, 0.0, 1.0, 0.5], dtype=kind).reshape(1, 1, 2, 2)
        assert ImageGrid(images).images.flatten().tolist() == [0, 128, 255, 191]


def test_low_and_high_are_the_ends_of_the_scale():
    widget = ImageGrid(np.array([0.0, 5.0, 10.0, 20.0]).reshape(1, 1, 2, 2), low=0, high=10)
    assert widget.images.flatten().tolist() == [0, 128, 255, 255]
    assert widget.clipped == 1


def test_levels_are_within_half_a_step_of_what_was_given():
    images = random(3, 1, 5, 4)
    back = ImageGrid(images).images[0] / 255 * 2 - 1
    np.testing.assert_allclose(back, images, atol=1 / 255)


def test_what_is_no_finite_number_is_counted_and_black():
    images = torch.tensor([float("nan"), float("inf"), -float("inf"), 1.0]).reshape(1, 1, 2, 2)
    widget = ImageGrid(images)
    assert (widget.missing, widget.clipped) == (3, 0)
    assert widget.images.flatten().tolist() == [0, 0, 0, 255]


def test_whole_bytes_are_taken_as_they_are():
    images = np.arange(12, dtype=np.uint8).reshape(1, 3, 2, 2)
    widget = ImageGrid(images)
    assert widget.images[0].tolist() == images.tolist()
    assert (widget.low, widget.high) == (0, 255)


def test_a_list_of_tensors_is_a_film_that_opens_at_its_end():
    frames = [random(2, 1, 3, 3).requires_grad_() for _ in range(4)]
    widget = ImageGrid(frames, steps=("t = 3", "t = 2", "t = 1", "t = 0"))
    assert widget.images.shape == (4, 2, 1, 3, 3)
    assert widget.step == 3


def test_the_alternative_text_says_what_is_shown():
    frames = np.zeros((2, 3, 1, 4, 5))
    widget = ImageGrid(frames, steps=["noise", "digit"], label="digits", step=0)
    assert widget.alt == "Digits: 3 images of 4 × 5 pixels at step 1 of 2 (noise), mean 0.00."
    assert ImageGrid(frames[0, :1]).alt == "Images: 1 image of 4 × 5 pixels, mean 0.00."


def test_images_that_cannot_be_shown_are_answered_with_what_was_needed():
    for images, state, sentence in [
        (np.zeros((3, 4, 4)), {}, r"images need numbers \(N, C, H, W\), .* got float64 of shape \(3, 4, 4\)"),
        ([["a"]], {}, "images need numbers"),
        (np.zeros((1, 2, 4, 4)), {}, "images need 1 or 3 channels before height and width, got 2: permute"),
        (np.zeros((1, 4, 4, 3)), {}, "got 4: permute the axes"),
        (np.zeros((0, 1, 4, 4)), {}, r"images need 1 to 256 images, and 1 to 200 steps, got \(1, 0, 1, 4, 4\)"),
        (np.zeros((300, 1, 4, 4)), {}, "images need 1 to 256 images"),
        (np.zeros((10, 3, 300, 300)), {}, r"images need at most 2,097,152 numbers, got 2,700,000: show fewer"),
        (np.zeros((2, 1, 4, 4)), {"captions": ["a"]}, "captions need one for each of 2 images, got 1"),
        (np.zeros((2, 1, 1, 4, 4)), {"steps": ["a"]}, "steps need one name for each of 2 steps, got 1"),
        (np.zeros((1, 1, 4, 4)), {"low": 1, "high": 1}, "low needs to be below high, got 1 and 1"),
        (np.zeros((1, 1, 4, 4)), {"step": 1}, "step needs to be from 0 to 0, got 1"),
        (np.zeros((1, 1, 4, 4)), {"image": 1}, "image needs to be from 0 to 0, got 1"),
    ]:
        with pytest.raises(TraitError, match=sentence):
            ImageGrid(images, **state)


def test_a_misspelt_option_is_answered_with_the_nearest():
    with pytest.raises(TypeError, match="did you mean 'captions'"):
        ImageGrid(np.zeros((1, 1, 2, 2)), caption=["a"])


@pytest.mark.browser
def test_pixels_are_those_of_the_array(call_js):
    for channels in [1, 3]:
        widget = ImageGrid(random(2, 3, channels, 4, 5))
        got = call_js(MATHS, "pixels", sent(widget), 1, 2)
        expected = np.broadcast_to(widget.images[1, 2], (3, 4, 5)).transpose(1, 2, 0)
        pixels = np.array(list(got.values()) if isinstance(got, dict) else got).reshape(4, 5, 4)
        assert pixels[..., :3].tolist() == expected.tolist()
        assert (pixels[..., 3] == 255).all()


@pytest.mark.browser
def test_measures_are_those_of_numpy(call_js):
    widget = ImageGrid(random(3, 4, 1, 6, 5) * 3, low=-3, high=3)
    got = call_js(MATHS, "measures", sent(widget), 1, 1, 3, -3, 3)
    part = widget.images[1, 1:3] / 255 * 6 - 3
    expected = {"mean": part.mean(), "spread": part.std(), "least": part.min(), "most": part.max()}
    assert got == pytest.approx(expected)


@pytest.mark.browser
def test_a_row_has_as_many_images_as_can_be_seen(call_js):
    for wanted, images, width, columns in [
        (8, 20, 900, 8),
        (8, 20, 340, 4),
        (10, 20, 346, 5),
        (8, 3, 900, 3),
        (0, 20, 900, 8),
        (0, 20, 340, 4),
        (0, 2, 0, 1),
    ]:
        assert call_js(MATHS, "columnsFor", wanted, images, width) == columns


@pytest.mark.heavy
@pytest.mark.browser
@pytest.mark.parametrize("kernel", [True, False])
def test_what_is_drawn_is_the_array(mount, kernel):
    widget = ImageGrid(random(2, 3, 1, 4, 5), step=0)
    page = mount(widget, kernel=kernel)
    said(page, "Images")
    data = "[...one.getContext('2d').getImageData(0, 0, one.width, one.height).data]"
    read = f"(one) => {data}.filter((_, i) => i % 4 === 0)"
    drawn = [canvas.evaluate(read) for canvas in page.locator(".st-image-grid canvas").all()]
    assert drawn == widget.images[0, :, 0].reshape(3, 20).tolist()


@pytest.mark.browser
def test_the_film_is_moved_by_the_slider_by_the_strip_and_by_keys(mount):
    page = mount(ImageGrid(random(3, 2, 1, 4, 4), steps=["t = 2", "t = 1", "t = 0"], label="digits"))
    assert "Digits, step 3 of 3 (t = 0): 2 images of 4 × 4 pixels, mean" in said(page, "Digits, step 3")
    page.get_by_role("slider", name="Step").press("ArrowLeft")
    assert page.state()["step"] == 1
    strip = page.get_by_role("listbox", name="All steps")
    strip.press("Home")
    assert page.state()["step"] == 0
    assert said(page, "Digits, step 1").startswith("Digits, step 1 of 3 (t = 2)")
    page.get_by_role("option", name="t = 1").click()
    assert page.state()["step"] == 1
    assert page.get_by_role("slider", name="Step").get_attribute("aria-valuetext") == "t = 1"
    page.wait_for_function("document.querySelector('[aria-selected=true]').textContent === 't = 1'")


@pytest.mark.heavy
@pytest.mark.browser
def test_play_goes_from_the_end_to_the_first_step_and_on_to_the_last(mount):
    page = mount(ImageGrid(random(3, 1, 1, 2, 2)))
    page.evaluate("(window.seen = [], views[0].model.on('change:step', () => seen.push(views[0].model.get('step'))))")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("document.querySelector('.st-play').textContent === 'Play'", timeout=30_000)
    assert page.evaluate("seen") == [0, 1, 2]


@pytest.mark.heavy
@pytest.mark.browser
def test_the_strip_shows_another_image(mount):
    page = mount(ImageGrid(random(3, 2, 1, 4, 4), captions=["left", "right"]))
    assert page.locator(".st-stage").inner_text().find("All steps of image 0: left") >= 0
    page.get_by_role("spinbutton", name="Image in the strip").press("ArrowUp")
    page.get_by_role("spinbutton", name="Image in the strip").press("Enter")
    page.get_by_text("All steps of image 1: right").wait_for()


@pytest.mark.heavy
@pytest.mark.browser
def test_still_images_have_neither_a_slider_nor_a_strip(mount):
    page = mount(ImageGrid(random(4, 3, 4, 4)))
    assert page.get_by_role("slider").count() == page.get_by_role("listbox").count() == 0


@pytest.mark.browser
def test_what_was_clipped_and_what_is_no_number_is_said(mount):
    images = torch.tensor([float("nan"), 5.0, 0.0, 0.0]).reshape(1, 1, 2, 2)
    page = mount(ImageGrid(images))
    assert "One number is not finite." in said(page, "Images")
    assert page.get_by_text("Black is −1, white is 1. 25 % of all numbers lie outside and are clipped.").count() == 1
