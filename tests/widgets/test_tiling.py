"""Tiled attention: its update and its counts against torch and a plain recount, its controls in a browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from studium_widgets import AttentionTiling
from torch.nn import functional
from traitlets import TraitError

MATHS = "widgets/studium_widgets/tiling_maths.js"


def drawn(size: int = 13, width: int = 6) -> torch.Tensor:
    """q, k, v of a length that no block divides, (3, size, width)."""
    return 1.5 * torch.randn(3, size, width, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def state(call_js: Any, **options: Any) -> dict[str, Any]:
    """A widget's state as its model reads it after `step` tiles, with the browser's own arrays."""
    return call_js("tests/widgets/tiling_run.js", "run", options)


SHAPES = [(4, 5, "rows"), (5, 4, "columns"), (13, 1, "rows"), (1, 13, "columns")]


@pytest.mark.browser
def test_all_tiles_give_torchs_attention_and_every_step_is_exact(call_js):
    for causal in [False, True]:
        q, k, v = drawn()
        expected = functional.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=causal)[0]
        for rows, columns, order in SHAPES:
            shape = {"size": 13, "width": 6, "rows": rows, "columns": columns, "order": order, "causal": causal}
            found = state(call_js, shape=shape | {"mistake": "none"}, q=q.tolist(), k=k.tolist(), v=v.tolist())
            assert np.array(found["out"]).reshape(13, 6) == pytest.approx(expected.numpy(), rel=1e-12, abs=1e-13)
            assert found["worst"] < 1e-13


@pytest.mark.browser
def test_each_mistake_corrupts_rows(call_js):
    for mistake in ["no-rescale", "block-maximum", "inverse"]:
        q, k, v = drawn().tolist()
        shape = {"size": 13, "width": 6, "rows": 4, "columns": 4, "order": "rows", "causal": False, "mistake": mistake}
        assert state(call_js, shape=shape, q=q, k=k, v=v)["worst"] > 0.01


@pytest.mark.browser
def test_traffic_is_what_a_recount_of_the_loads_gives(call_js):
    for causal in (False, True):
        for rows, columns, order in [*SHAPES, (4, 4, "rows"), (4, 4, "columns")]:
            shape = {"size": 13, "width": 6, "rows": rows, "columns": columns, "order": order, "causal": causal}
            tiles = call_js(MATHS, "tiles", shape)
            found = call_js(MATHS, "traffic", tiles, len(tiles), shape)
            assert (found["read"], found["written"], found["flops"]) == recount(tiles, **shape)
            assert call_js(MATHS, "moved", 13, shape) == found["read"] + found["written"]
            seen = np.tri(13) if causal else np.ones((13, 13))
            visited = np.zeros((13, 13))
            for i, j in tiles:
                visited[i * rows : (i + 1) * rows, j * columns : (j + 1) * columns] += 1
                assert seen[i * rows : (i + 1) * rows, j * columns : (j + 1) * columns].any()
            assert (visited[seen > 0] == 1).all()


def recount(tiles: list[list[int]], **shape: Any) -> tuple[int, int, int]:
    """Reads, writes and operations by keeping what is on the chip until another block takes its place."""
    size, width = shape["size"], shape["width"]
    read, written, flops, held = 0, 0, 0, None
    if shape["order"] == "columns":
        written += size * (width + 2)
    for i, j in tiles:
        height = min(size, (i + 1) * shape["rows"]) - i * shape["rows"]
        across = min(size, (j + 1) * shape["columns"]) - j * shape["columns"]
        flops += 4 * height * across * width + height * width
        if shape["order"] == "rows":
            if held != i:
                read, written, held = read + height * width, written + height * (width + 1), i
            read += 2 * across * width
        else:
            if held != j:
                read, held = read + 2 * across * width, j
            read += height * (2 * width + 2)
            written += height * (width + 2)
    return read, written, flops


@pytest.mark.browser
def test_the_known_costs_come_out(call_js):
    """N = 4096, d = 64: the standard algorithm moves 68.2 million numbers, blocks of 32 queries about as many."""
    plain = call_js(MATHS, "standard", 4096, 64)
    assert plain["read"] + plain["written"] == 4 * 4096**2 + 4 * 4096 * 64
    shape = {"width": 64, "columns": 32, "causal": False, "order": "rows"}
    counts = [call_js(MATHS, "moved", 4096, shape | {"rows": rows}) for rows in (32, 64, 128, 256)]
    assert counts[0] / 68.2e6 == pytest.approx(1, abs=0.01)
    assert np.diff(np.log2(counts)) == pytest.approx(-1, abs=0.05)  # half as much with each doubling of the block
    assert call_js(MATHS, "onChip", {"width": 16, "rows": 8, "columns": 4}) == 2 * 128 + 2 * 64 + 32 + 16


@pytest.mark.browser
def test_arrows_and_clicks_go_from_tile_to_tile(mount):
    page = mount(AttentionTiling(), still=True, width=320)
    assert page.state()["step"] == 6
    board = page.get_by_role("application").first
    board.press("ArrowRight")
    assert page.state()["step"] == 7
    box = board.bounding_box()
    board.click(position={"x": box["width"] - 50, "y": box["height"] - 45})
    assert page.state()["step"] == 16
    page.get_by_label("Causal").press("Space")
    assert page.state()["step"] == 10
    page.wait_for_function("document.querySelector('.st-summary').textContent.includes('6 left out by the mask')")
    page.get_by_label("Put in a mistake").select_option("no-rescale")
    page.wait_for_function("document.querySelector('.st-summary').textContent.includes('rows are wrong')")
    page.get_by_role("button", name="Step").click()
    assert page.state()["step"] == 0
    page.get_by_text("Show as table").click()
    page.get_by_role("rowheader", name="standard").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.evaluate("window.views[0].abort()")
    assert page.evaluate("window.views[0].model.listening") == 0


@pytest.mark.heavy
@pytest.mark.browser
def test_your_own_arrays_are_taken(mount):
    q, k, v = drawn(12, 4)
    page = mount(AttentionTiling(q=q, k=k, v=v, block_rows=4, block_columns=4, step=9), kernel=False)
    assert page.get_by_label("Tokens N").count() == 0
    assert "Tile 9 of 9" in page.locator(".st-summary").inner_text()
    top = (q[8] @ k.T).max().item() / 2
    assert page.locator(".st-tiling-rows td").nth(1).inner_text() == f"{top:.3f}".replace("-", "−")


def test_the_alternative_text_counts_tiles():
    widget = AttentionTiling(causal=True, step=3, mistake="no-rescale")
    assert widget.alt == (
        "Tiled causal attention of 32 tokens in tiles of 8 × 8, by rows: "
        "3 of 10 tiles are done, with the mistake no-rescale."
    )
    widget.step = 10
    widget.block_rows = 16
    assert widget.step == widget.tiles() == 6


def test_what_does_not_fit_is_said_in_one_sentence():
    for options, message in [
        ({"length": 65}, "length needs to be from 4 to 64, got 65"),
        ({"block_rows": 0}, "block_rows needs to be from 1 to 64, got 0"),
        ({"step": 17}, "step needs to be from 0 to 16, got 17"),
        ({"q": np.ones((8, 4))}, "q, k and v are needed together, got q"),
        (
            {"q": np.ones((8, 4)), "k": np.ones((8, 4)), "v": np.ones((7, 4))},
            r"v needs the shape of q, \(8, 4\), got \(7, 4\)",
        ),
    ]:
        with pytest.raises(TraitError, match=message) as caught:
            AttentionTiling(**options)
        assert str(caught.value)[0].islower()
