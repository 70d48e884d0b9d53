"""Save as image: the picture on the page as a PNG, with its caption below."""

from __future__ import annotations

import datetime
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from studium_widgets import ImageGrid

LINES = ("Denoising diffusion (DDPM)", "My sampler drew these from noise.", "Loss 0.041")


def grid() -> ImageGrid:
    return ImageGrid(np.linspace(-1, 1, 4 * 64).reshape(4, 1, 8, 8), columns=4)


def saved(page) -> tuple[str, Image.Image]:
    """Press the button: the name of the file and the image."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Save as image").click()
    path = Path(waiting.value.path())
    return waiting.value.suggested_filename, Image.open(io.BytesIO(path.read_bytes())).convert("RGB")


def test_a_caption_has_the_lesson_the_claim_the_number_and_the_date():
    assert grid().captioned(*LINES)._caption.split("\n") == [*LINES, datetime.date.today().isoformat()]


@pytest.mark.heavy
@pytest.mark.browser
def test_only_a_picture_with_a_caption_can_be_saved(mount):
    page = mount(grid(), grid().captioned(*LINES))
    assert page.get_by_role("button", name="Save as image").count() == 1


@pytest.mark.browser
def test_a_saved_image_shows_the_picture_and_below_it_the_caption(mount):
    page = mount(grid().captioned(*LINES))
    page.wait_for_function("document.querySelector('.st-summary').textContent")
    name, image = saved(page)
    pixels = np.asarray(image)
    below = pixels[-4 * 22 * 2 - 24 :]
    assert name == "denoising-diffusion-ddpm.png"
    assert len(np.unique(pixels[: len(pixels) - len(below)].reshape(-1, 3), axis=0)) > 50  # shades of the images
    assert (np.abs(below.astype(int) - below[0, 0]).max(axis=(1, 2)) > 100).sum() > 4 * 10  # rows of ink


@pytest.mark.heavy
@pytest.mark.browser
def test_a_dark_page_is_saved_dark(mount):
    page = mount(grid().captioned(*LINES), dark=True)
    page.wait_for_function("document.querySelector('.st-summary').textContent")
    assert max(saved(page)[1].getpixel((2, 2))) < 80
