"""Spectrum: its values and reconstructions against torch, its errors, and its view. The SVD: test_rank_explorer.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from studium_widgets import Spectrum
from traitlets import TraitError

MATHS = "widgets/studium_widgets/spectrum_maths.js"


def random(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def said(page) -> str:
    return page.locator(".st-summary").inner_text()


@pytest.mark.browser
def test_centring_takes_the_mean_of_each_column_away(call_js):
    matrix = random(7, 3) + 5
    got = call_js(MATHS, "centred", matrix, 7, 3)
    np.testing.assert_allclose(got["means"], matrix.mean(0))
    np.testing.assert_allclose(np.reshape(got["data"], (7, 3)), matrix - matrix.mean(0), atol=1e-12)


@pytest.mark.browser
def test_the_cut_for_a_share_is_the_smallest_that_keeps_it(call_js):
    for share, cut in [(0.0, 0), (0.5, 1), (0.51, 2), (0.9, 3), (1.0, 4)]:
        assert call_js(MATHS, "cutFor", np.array([5.0, 3, 1, 1]), share) == cut


def test_the_spectrum_is_that_of_torch():
    for kind in ["singular", "eigenvalues"]:
        matrix = random(30, 12)
        expected = torch.linalg.svdvals(matrix) if kind == "singular" else torch.linalg.eigvalsh(matrix.T.cov()).flip(0)
        widget = Spectrum(matrix=matrix[None], kind=kind, cut=3)
        np.testing.assert_allclose(widget.spectrum(), expected, rtol=1e-5)


@pytest.mark.heavy
@pytest.mark.browser
@pytest.mark.parametrize("kind", ["singular", "eigenvalues"])
def test_the_picture_says_what_python_says(mount, kind):
    widget = Spectrum(matrix=random(1, 20, 12), kind=kind, cut=3)
    share = widget.alt.split(" keep ")[1].split(" %")[0]
    assert f"keep {share} % of the energy" in said(mount(widget))


@pytest.mark.heavy
@pytest.mark.browser
def test_a_cell_is_the_sum_of_what_is_kept_and_what_is_left_out(mount):
    matrix = random(6, 5).float()
    page = mount(Spectrum(matrix=matrix[None], cut=2))
    page.get_by_role("application", name="Left out").press("ArrowRight")
    u, s, v = torch.linalg.svd(matrix)
    kept = ((u[:, :2] * s[:2]) @ v[:2])[0, 0].item()
    page.wait_for_function("document.querySelector('.st-summary').textContent.startsWith('Row 0, column 0')")
    numbers = [
        float(part) for part in said(page).replace("−", "-").split(": ")[1].rstrip(".").replace("=", "+").split("+")
    ]
    assert numbers == pytest.approx([matrix[0, 0].item(), kept, matrix[0, 0].item() - kept], rel=1e-3)


@pytest.mark.browser
def test_the_cut_is_dragged_and_moved_by_keys(mount):
    page = mount(Spectrum(values=[4.0, 3, 2, 1], cut=2))
    cut = page.get_by_role("slider", name="Cut behind value")
    cut.press("ArrowRight")
    assert page.state()["cut"] == 3
    cut.press("Home")
    assert page.state()["cut"] == 0
    box = cut.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 5, box["y"] + 100)
    page.mouse.up()
    assert page.state()["cut"] == 4
    assert cut.get_attribute("aria-valuetext") == "4 kept, 100.0 % of the energy"


@pytest.mark.heavy
@pytest.mark.browser
def test_a_button_cuts_where_a_share_of_the_energy_is_kept(mount):
    page = mount(Spectrum(values=[3.0, 1, 1, 1], cut=4))
    page.get_by_role("button", name="Keep 50 %").click()
    assert page.state()["cut"] == 1


@pytest.mark.heavy
@pytest.mark.browser
def test_each_case_has_its_own_spectrum(mount):
    page = mount(Spectrum(matrix=[np.eye(4), np.outer([1.0, 2, 3, 4], np.ones(4))], names=["even", "thin"], cut=1))
    assert "“even” keep 25.0 %" in said(page)
    page.get_by_role("radio", name="thin").check()
    page.wait_for_function("document.querySelector('.st-summary').textContent.includes('“thin” keep 100.0 %')")


@pytest.mark.heavy
@pytest.mark.browser
def test_rows_are_shown_as_images(mount):
    page = mount(Spectrum(matrix=random(1, 10, 12), kind="eigenvalues", image=[3, 4]), width=320)
    assert page.locator(".st-images canvas").count() == 1
    assert "from 4 of 10 components and the mean" in page.locator(".st-images").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_parts_that_do_not_fit_are_answered_with_what_was_needed():
    for state, sentence in [
        ({}, "one of matrix and values is needed, got neither"),
        ({"values": [1.0, 2.0]}, "values need to fall and be 0 or above"),
        ({"values": [1.0], "cut": 2}, "cut needs to be from 0 to 1, got 2"),
        ({"values": [1.0], "cut": 1, "image": [1, 1]}, "image needs a matrix, got only values"),
        ({"matrix": np.ones((2, 5, 5))}, r"names need one for each of 2 cases, got \[\]"),
        ({"matrix": np.ones((1, 5, 200))}, "matrix needs 1 to 6 cases of 2 to 128 rows and columns"),
        ({"matrix": np.ones((1, 5, 6)), "image": [2, 2]}, "height × width = 6 columns"),
        ({"matrix": np.ones((1, 5, 6)), "case": 1}, "case needs to be from 0 to 0, got 1"),
    ]:
        with pytest.raises(TraitError, match=sentence):
            Spectrum(**state)
