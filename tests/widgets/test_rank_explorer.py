"""RankExplorer: its maths against torch, its state from Python, and its view in a browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from studium_widgets import RankExplorer
from traitlets import TraitError

ALGEBRA = "widgets/studium_widgets/spectrum_maths.js"
MATHS = "widgets/studium_widgets/rank_explorer_maths.js"
LEARNING = "widgets/studium_widgets/rank_explorer_learning.js"
UPDATES = ["decaying", "low_rank", "noisy", "flat"]


def random(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tied(rows: int, columns: int) -> torch.Tensor:
    """Singular values 3, 3, 3, 1, 1 and zeros."""
    u, _ = torch.linalg.qr(random(rows, 5, 1))
    v, _ = torch.linalg.qr(random(columns, 5, 2))
    return (u * torch.tensor([3.0, 3, 3, 1, 1])) @ v.T


MATRICES = {
    "square": random(64, 64),
    "tall": random(40, 17),
    "wide": random(9, 64),
    "smallest": random(2, 2),
    "rank 3 of 20": random(20, 3, 1) @ random(3, 24, 2),
    "tied": tied(12, 16),
    "identity": torch.eye(8, dtype=torch.float64),
    "graded": random(30, 30) * torch.logspace(0, -8, 30),
    "a column of zeros": random(10, 6) * torch.tensor([1.0, 1, 0, 1, 1, 1]),
    "zero": torch.zeros(5, 4, dtype=torch.float64),
}


def decomposed(call_js: Any, matrix: torch.Tensor) -> tuple[np.ndarray, ...]:
    rows, columns = matrix.shape
    parts = call_js(ALGEBRA, "svd", matrix, rows, columns)
    count = min(rows, columns)
    return np.reshape(parts["u"], (count, rows)), np.array(parts["s"]), np.reshape(parts["v"], (count, columns))


@pytest.mark.browser
def test_the_svd_agrees_with_torch(call_js):
    for name in MATRICES:
        matrix = MATRICES[name]
        u, s, v = decomposed(call_js, matrix)
        expected = torch.linalg.svdvals(matrix).numpy()
        largest = max(expected[0], 1e-300)
        np.testing.assert_allclose(s, expected, atol=1e-13 * largest)
        np.testing.assert_allclose(u.T * s @ v, matrix.numpy(), atol=1e-13 * largest)
        for side in (u, v):
            nonzero = side[s > 1e-12 * largest]
            np.testing.assert_allclose(nonzero @ nonzero.T, np.eye(len(nonzero)), atol=1e-12)


@pytest.mark.browser
def test_singular_vectors_agree_with_torch_up_to_sign(call_js):
    u, _, v = decomposed(call_js, MATRICES["square"])
    expected_u, _, expected_v = torch.linalg.svd(MATRICES["square"])
    assert np.abs((u * expected_u.T.numpy()).sum(1)) == pytest.approx(np.ones(64), abs=1e-10)
    assert np.abs((v * expected_v.numpy()).sum(1)) == pytest.approx(np.ones(64), abs=1e-10)


@pytest.mark.browser
def test_moving_the_rank_step_by_step_gives_the_best_product_of_each_rank(call_js):
    matrix = MATRICES["tall"]
    rows, columns = matrix.shape
    factors = call_js(ALGEBRA, "svd", matrix, rows, columns)
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    product, rank = np.zeros(rows * columns), 0
    for wanted in (3, 4, 17, 1, 8, 0):
        product = np.array(call_js(ALGEBRA, "moveRank", product, factors, rows, columns, rank, wanted))
        rank = wanted
        expected = (u[:, :rank] * s[:rank]) @ v[:rank]
        np.testing.assert_allclose(product.reshape(rows, columns), expected.numpy(), atol=1e-12)
        missed = ((matrix.numpy().ravel() - product) ** 2).sum()
        assert missed == pytest.approx(call_js(ALGEBRA, "tailEnergies", s)[rank], abs=1e-10)


@pytest.mark.browser
def test_a_built_in_update_has_the_singular_values_that_python_names(call_js):
    for update in UPDATES:
        matrix = torch.tensor(call_js(MATHS, "planted", update), dtype=torch.float64).reshape(64, 64)
        expected = RankExplorer(update=update).singular_values()
        np.testing.assert_allclose(torch.linalg.svdvals(matrix).numpy(), expected, atol=1e-12)


@pytest.mark.browser
def test_random_numbers_are_normal_and_follow_the_seed(open_page):
    page = open_page()
    draw = """async ([url, seed]) => {
      const next = (await import(url)).normal(seed);
      return Array.from({ length: 20000 }, next);
    }"""
    first, again, other = (page.evaluate(draw, [f"http://studium.test/{MATHS}", seed]) for seed in (1, 1, 2))
    assert first == again != other
    assert np.mean(first) == pytest.approx(0, abs=0.03)
    assert np.std(first) == pytest.approx(1, abs=0.02)
    assert np.mean(np.array(first) ** 4) == pytest.approx(3, abs=0.2)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.03


@pytest.mark.browser
def test_the_loss_comes_down_to_the_tail_energy_and_no_further(call_js):
    for method, rank, alpha in [("adam", 1, 1), ("adam", 3, 8), ("adam", 8, 4), ("descent", 1, 1), ("descent", 3, 8)]:
        matrix = torch.tensor(call_js(MATHS, "planted", "decaying"), dtype=torch.float64)
        tail = (RankExplorer().singular_values()[rank:] ** 2).sum()
        options = {"rank": rank, "scale": alpha / rank, "method": method, "largest": 4}
        losses = np.array(call_js(LEARNING, "losses", matrix, 64, 64, options))
        assert losses[0] == pytest.approx((matrix**2).sum().item())
        assert losses[-1] / tail == pytest.approx(1, abs=1e-3)
        assert losses.min() >= tail * (1 - 1e-12)


@pytest.mark.browser
def test_learning_does_not_depend_on_the_unit_of_the_update(call_js):
    for method in ["adam", "descent"]:
        matrix, options = random(7, 5), {"rank": 2, "scale": 1.5, "method": method}
        losses = np.array(call_js(LEARNING, "losses", matrix, 7, 5, options))
        small = np.array(call_js(LEARNING, "losses", matrix / 256, 7, 5, options | {"largest": 4 / 256}))
        assert small * 256**2 == pytest.approx(losses, rel=1e-12)


@pytest.mark.heavy
@pytest.mark.browser
@pytest.mark.parametrize("unit", [1e-4, 1, 1e4])
def test_updates_of_every_size_are_learned(mount, unit):
    page = mount(RankExplorer(delta=unit * random(16, 12), rank=3, alpha=6, factors="learned"))
    settled(page)
    page.drawn()
    assert page.locator(".st-rank-sign").inner_text() == "="


@pytest.mark.browser
def test_learning_agrees_with_torch(call_js):
    matrix, rank, scale = random(7, 5), 2, 1.5
    run = call_js(LEARNING, "beginRun", matrix, 7, 5, {"rank": rank, "scale": scale})
    a = torch.tensor(run["a"]["value"], dtype=torch.float64).reshape(rank, 5).requires_grad_()
    b = torch.zeros(7, rank, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([a, b], lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 800)
    expected = []
    for _ in range(200):
        optimiser.zero_grad()
        loss = ((matrix - scale * b @ a) ** 2).sum()
        expected.append(loss.item())
        loss.backward()
        optimiser.step()
        schedule.step()
    losses = call_js(LEARNING, "losses", matrix, 7, 5, {"rank": rank, "scale": scale})
    assert losses[:200] == pytest.approx(expected, rel=1e-8)


@pytest.mark.browser
def test_the_meters_follow_their_formulas(call_js):
    assert call_js(MATHS, "flops", 10, 20, 3) == {"base": 400, "down": 120, "up": 60}


def test_the_alternative_text_says_what_rank_keeps():
    assert RankExplorer(rank=4).alt == (
        "A 64 × 64 update cut at rank 4 keeps 94.2 % of its energy; the squared residual 1.809 is the tail energy."
    )
    assert "floor 1.809" in RankExplorer(factors="learned", steps=20).alt
    assert "used at scale 2 instead of 1" in RankExplorer(factors="rescaled", rank=4, alpha=8).alt
    assert "A 5 × 4 update" in RankExplorer(delta=np.zeros((5, 4)), rank=1).alt


def test_the_rescaled_text_states_the_energy_that_is_missed():
    delta = random(6, 9)
    u, s, v = torch.linalg.svd(delta, full_matrices=False)
    missed = ((delta - 3 * (u[:, :2] * s[:2]) @ v[:2]) ** 2).sum().item()
    assert f"it leaves {missed:.4g}." in RankExplorer(delta=delta, rank=2, alpha=6, factors="rescaled").alt


def test_an_option_out_of_range_is_named():
    for options, message in [
        ({"rank": 65}, "rank needs to be from 1 to 64, got 65: choose another"),
        ({"rank": 0}, "rank needs to be from 1 to 64, got 0: choose another"),
        ({"delta": np.ones((3, 8)), "rank": 4}, "rank needs to be from 1 to 3, got 4: choose another"),
        ({"delta": np.ones((65, 8))}, "delta needs 2 to 64 rows and columns, got 65 × 8: cut out a block of it"),
        (
            {"delta": np.ones((1, 8)), "rank": 1},
            "delta needs 2 to 64 rows and columns, got 1 × 8: cut out a block of it",
        ),
        ({"alpha": 0}, "alpha needs to be finite and above 0, got 0: alpha equal to rank scales by 1"),
        ({"alpha": float("inf")}, "alpha needs to be finite and above 0, got inf: alpha equal to rank scales by 1"),
        ({"steps": 801}, "steps needs to be from 0 to 800, got 801: choose another"),
    ]:
        with pytest.raises(TraitError) as raised:
            RankExplorer(**options)
        assert str(raised.value) == message


def test_a_misspelt_option_is_named():
    with pytest.raises(TypeError, match="did you mean 'alpha'"):
        RankExplorer(alhpa=8)


def numbers(page: Any) -> tuple[float, str, float]:
    """The residual's energy, the sign and the tail energy, as they are shown."""
    page.drawn()
    left, tail = (page.locator(f".st-rank-{name} strong").inner_text() for name in ("left", "tail"))
    return float(left), page.locator(".st-rank-sign").inner_text(), float(tail)


def settled(page: Any) -> None:
    """Waits until the run in the background has ended."""
    page.wait_for_function("document.querySelector('canvas[role=img]').ariaLabel.includes('at step 800')")


@pytest.mark.browser
def test_keys_and_pointer_move_the_cut(mount):
    page = mount(RankExplorer(rank=4))
    cut = page.get_by_role("slider", name="Cut behind singular value")
    cut.press("ArrowRight")
    assert page.state()["rank"] == 5
    cut.press("End")
    assert page.state()["rank"] == 64
    cut.press("Home")
    cut.press("ArrowLeft")
    assert page.state()["rank"] == 1
    box = cut.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 150)
    page.mouse.down()
    page.mouse.move(box["x"] + 46 + (box["width"] - 58) / 2, box["y"] + 150, steps=4)
    page.mouse.up()
    page.mouse.move(box["x"] + 60, box["y"] + 150)
    assert page.state()["rank"] == 32
    page.drawn()
    assert cut.get_attribute("aria-valuenow") == "32"
    assert "rank 32" in cut.get_attribute("aria-valuetext")


@pytest.mark.heavy
@pytest.mark.browser
def test_the_residual_is_the_tail_energy_at_every_rank(mount):
    delta = random(24, 30)
    energies = torch.linalg.svdvals(delta) ** 2
    page = mount(RankExplorer(delta=delta, rank=1))
    rank = page.get_by_role("slider", name="Rank r")
    for r in (1, 2, 3):
        left, sign, tail = numbers(page)
        assert left == tail == pytest.approx(energies[r:].sum().item(), rel=1e-3)
        assert sign == "="
        rank.press("ArrowRight")


@pytest.mark.heavy
@pytest.mark.browser
def test_rescaled_factors_miss_the_tail_energy(mount):
    page = mount(RankExplorer(rank=4, alpha=4, factors="rescaled"))
    assert numbers(page)[1] == "="
    page.get_by_role("slider", name="Alpha").press("ArrowRight")
    left, sign, tail = numbers(page)
    assert (sign, tail) == (">", 1.809)
    assert left == pytest.approx(1.809 + 0.25**2 * (31.3725 - 1.809), rel=1e-3)


@pytest.mark.heavy
@pytest.mark.browser
@pytest.mark.parametrize("alpha", [4, 8])
def test_learned_factors_come_down_to_the_tail_energy(mount, alpha):
    page = mount(RankExplorer(rank=4, alpha=alpha, factors="learned"))
    settled(page)
    assert numbers(page) == (1.809, "=", 1.809)
    page.get_by_role("slider", name="Learning steps").press("Home")
    assert numbers(page) == (31.37, ">", 1.809)


@pytest.mark.heavy
@pytest.mark.browser
def test_the_learn_button_plays_and_stops_with_the_view(mount):
    page = mount(RankExplorer())
    button = page.locator(".st-rank-play")
    button.click()
    stop = "(button) => views[0].model.state.steps > 0 && views[0].model.state.steps < 800 && (button.click(), true)"
    page.wait_for_function(stop, arg=button.element_handle())
    assert page.state()["factors"] == "learned"
    stopped = page.state()["steps"]
    page.wait_for_timeout(200)
    assert page.state()["steps"] == stopped
    button.click()
    page.evaluate("window.views[0].abort()")
    stopped = page.state()["steps"]
    page.wait_for_timeout(200)
    assert page.state()["steps"] == stopped
    assert page.evaluate("window.views[0].model.listening") == 0


@pytest.mark.heavy
@pytest.mark.browser
def test_one_cursor_reads_all_three_pictures(mount):
    delta = np.arange(12.0).reshape(3, 4)
    page = mount(RankExplorer(delta=delta, rank=1, alpha=1))
    page.get_by_role("application", name="Residual").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.drawn()
    assert page.locator(".st-summary").inner_text().startswith("Row 1, column 0: ΔW 4 = product")


@pytest.mark.heavy
@pytest.mark.browser
def test_the_meters_answer_their_switches(mount):
    page = mount(RankExplorer(rank=4, model_size="175B"))
    memory, work = page.locator(".st-rank-total").all()
    page.drawn()
    assert memory.inner_text() == "350 GB of 2.1 TB: fills 5 cards of 80 GB"
    page.get_by_role("switch", name="LoRA").press("Space")
    page.drawn()
    assert memory.inner_text() == "2.1 TB of 2.1 TB: fills 27 cards of 80 GB"
    assert work.inner_text() == "9,216 FLOPs: 12.5 % more than without"
    page.get_by_role("switch", name="Merge").press("Space")
    page.drawn()
    assert work.inner_text() == "8,192 FLOPs: no more than without an adapter"


@pytest.mark.heavy
@pytest.mark.browser
@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("delta", [np.zeros((3, 5)), np.eye(2), 1e-20 * np.ones((64, 2)), 1e6 * np.ones((4, 64))])
def test_extreme_updates_are_drawn(mount, delta, kernel):
    page = mount(RankExplorer(delta=delta, rank=1, factors="learned", logarithmic=True), kernel=kernel)
    settled(page)
    assert page.locator(".st-failure").count() == 0
