"""The noise schedule: its maths against torch and diffusers, its controls in a browser, its Python side."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from studium_widgets import NoiseSchedule
from torch import distributions
from traitlets import TraitError

MATHS = "widgets/studium_widgets/noise_schedule_maths.js"
RANDOM = "widgets/studium_widgets/random.js"
SAMPLER = "widgets/studium_widgets/noise_schedule_sampler.js"
SCALED, COSINE = "scaled-linear", "cosine"


def ring(std: float = 0.3) -> dict[str, Any]:
    """Three unequal modes as the browser's maths takes them."""
    means = [[1.4, 0.0], [-0.7, 1.2], [-0.7, -1.2]]
    variances, weights = [std**2, 0.02, 0.2], [0.5, 0.3, 0.2]
    return {"count": 3, "means": sum(means, []), "variances": variances, "weights": weights}  # noqa: RUF017


def torch_betas(kind: str, length: int) -> torch.Tensor:
    if kind == "cosine":
        level = torch.cos((torch.arange(length + 1).double() / length + 0.008) / 1.008 * math.pi / 2) ** 2
        betas = 1 - level[1:] / level[:-1]
    else:
        betas = torch.linspace(1e-4, 0.02, length, dtype=torch.float64) * (1000 / length if kind == SCALED else 1)
    return betas.clamp(max=0.999)


def torch_abar(kind: str, length: int) -> torch.Tensor:
    return torch.cumprod(1 - torch_betas(kind, length), 0)


def torch_eps(mixture: dict[str, Any], abar: float, points: torch.Tensor) -> torch.Tensor:
    """-sqrt(1 - abar) times the gradient of torch's own log density."""
    points = points.clone().requires_grad_()
    means = torch.tensor(mixture["means"], dtype=torch.float64).view(-1, 2) * abar**0.5
    std = (abar * torch.tensor(mixture["variances"], dtype=torch.float64) + 1 - abar).sqrt()
    parts = distributions.Independent(distributions.Normal(means, std[:, None].expand(-1, 2)), 1)
    choice = distributions.Categorical(torch.tensor(mixture["weights"], dtype=torch.float64))
    distributions.MixtureSameFamily(choice, parts).log_prob(points).sum().backward()
    return -((1 - abar) ** 0.5) * points.grad


def points(count: int = 64, spread: float = 1.5) -> torch.Tensor:
    return torch.randn(count, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * spread


def options(kind: str = SCALED, length: int = 200, **more: Any) -> dict[str, Any]:
    return {"abar": torch_abar(kind, length).tolist(), "steps": length} | more


@pytest.mark.browser
def test_betas_equal_torchs_at_every_length(call_js):
    for length in [4, 10, 20, 1000]:
        for kind in ["linear", SCALED, COSINE]:
            found = np.array(call_js(MATHS, "betas", kind, length))
            assert found == pytest.approx(torch_betas(kind, length).numpy(), rel=1e-12)
            assert 0 < found.min() <= found.max() <= 0.999


@pytest.mark.heavy
@pytest.mark.browser
def test_cosine_betas_equal_diffusers(call_js):
    for length in [10, 1000]:
        ddpm = pytest.importorskip("diffusers.schedulers.scheduling_ddpm")
        assert call_js(MATHS, "betas", COSINE, length) == pytest.approx(
            ddpm.betas_for_alpha_bar(length).tolist(), rel=1e-5
        )


@pytest.mark.browser
def test_abar_and_snr_equal_torchs_and_betas_come_back(call_js):
    for kind in [SCALED, COSINE]:
        betas, abar = torch_betas(kind, 300), torch_abar(kind, 300)
        assert call_js(MATHS, "abarOf", betas) == pytest.approx(abar.tolist(), rel=1e-12)
        assert call_js(MATHS, "snr", abar) == pytest.approx((abar / (1 - abar)).tolist(), rel=1e-12)
        assert call_js(MATHS, "betasOf", abar) == pytest.approx(betas.tolist(), rel=1e-9)


@pytest.mark.browser
def test_eps_is_the_gradient_of_torchs_log_density(call_js):
    for abar in [0.9999, 0.7, 0.1, 1e-6]:
        x = points()
        found = call_js(MATHS, "eps", ring(), abar, x)
        assert found == pytest.approx(torch_eps(ring(), abar, x).ravel().tolist(), rel=1e-9, abs=1e-12)


@pytest.mark.browser
def test_eps_is_finite_far_from_every_mode(call_js):
    assert np.isfinite(call_js(MATHS, "eps", ring(0.01), 0.9999, points() * 1000)).all()


@pytest.mark.browser
def test_the_density_sums_to_one_and_has_its_top_on_the_heaviest_mode(call_js):
    side, half = 200, 4.0
    grid = np.array(call_js(MATHS, "density", ring(), 0.9, side, half)).reshape(side, side)
    assert grid.sum() * (2 * half / side) ** 2 == pytest.approx(1, abs=1e-3)
    row, column = np.unravel_index(grid.argmax(), grid.shape)
    place = ((column + 0.5) / side * 2 * half - half, half - (row + 0.5) / side * 2 * half)
    assert place == pytest.approx((1.4 * 0.9**0.5, 0), abs=0.05)


@pytest.mark.browser
def test_the_least_loss_of_one_gaussian_has_its_closed_form(call_js):
    for abar in [0.999, 0.5, 0.01]:
        one = {"count": 1, "means": [0.4, -1.0], "variances": [0.25], "weights": [1.0]}
        curve = call_js(MATHS, "leastLoss", one, call_js(MATHS, "draws", one, 10, 0))
        found = call_js(MATHS, "lossAt", curve, np.array([abar]))[0]
        assert found == pytest.approx(abar * 0.25 / (abar * 0.25 + 1 - abar), abs=2e-3)


@pytest.mark.heavy
@pytest.mark.browser
def test_the_least_loss_of_a_mixture_is_the_error_of_its_denoiser(call_js):
    for abar in [0.95, 0.6, 0.2]:
        draws = call_js(MATHS, "draws", ring(), 4000, 1)
        found = call_js(MATHS, "lossAt", call_js(MATHS, "leastLoss", ring(), draws), np.array([abar]))[0]
        x0, noise = (torch.tensor(draws[name], dtype=torch.float64).view(-1, 2) for name in ("x0", "noise"))
        error = noise - torch_eps(ring(), abar, abar**0.5 * x0 + (1 - abar) ** 0.5 * noise)
        assert found == pytest.approx(error.square().mean().item(), rel=0.05)


@pytest.mark.browser
def test_draws_have_the_moments_of_the_mixture(call_js):
    draws = call_js(MATHS, "draws", ring(), 4000, 0)
    x0, noise = (np.array(draws[name]).reshape(-1, 2) for name in ("x0", "noise"))
    weights, means = np.array(ring()["weights"]), np.array(ring()["means"]).reshape(-1, 2)
    assert x0.mean(0) == pytest.approx(weights @ means, abs=0.03)
    assert noise.mean(0) == pytest.approx([0, 0], abs=0.05)
    assert noise.std(0) == pytest.approx([1, 1], abs=0.05)
    assert call_js(MATHS, "draws", ring(), 4, 0) == call_js(MATHS, "draws", ring(), 4, 0)


@pytest.mark.browser
def test_a_particles_normal_numbers_go_on_where_they_stopped(call_js):
    first, longer = call_js(RANDOM, "normals", 3, 5, 10), call_js(RANDOM, "normals", 3, 5, 40)
    assert longer[:10] == first
    assert call_js(RANDOM, "normals", 3, 6, 10) != first


@pytest.mark.heavy
@pytest.mark.browser
def test_timesteps_are_those_of_diffusers(call_js):
    diffusers = pytest.importorskip("diffusers")
    for spacing, length, count in [
        ("leading", 1000, 50),
        ("trailing", 1000, 50),
        ("leading", 100, 7),
        ("trailing", 100, 7),
    ]:
        scheduler = diffusers.DDIMScheduler(length, timestep_spacing=spacing, steps_offset=0)
        scheduler.set_timesteps(count)
        assert call_js(SAMPLER, "timesteps", length, count, spacing) == scheduler.timesteps.tolist()


@pytest.mark.heavy
@pytest.mark.browser
def test_one_step_equals_the_ddpm_scheduler(call_js):
    for variance in ["beta-tilde", "beta"]:
        diffusers = pytest.importorskip("diffusers")
        kind = {"beta-tilde": "fixed_small", "beta": "fixed_large"}[variance]
        betas = torch_betas(SCALED, 200)
        scheduler = diffusers.DDPMScheduler(trained_betas=betas.numpy(), variance_type=kind, clip_sample=False)
        table = call_js(SAMPLER, "plan", options(variance=variance))
        for t in (0, 1, 100, 199):
            x, guess = points(), points(spread=1).flip(0)
            z = torch.randn(64, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
            found = call_js(SAMPLER, "step", table, 199 - t, x, guess, z)
            expected = scheduler.step(guess, t, x, generator=torch.Generator().manual_seed(5)).prev_sample
            assert found == pytest.approx(expected.ravel().tolist(), rel=2e-5, abs=2e-5)


@pytest.mark.heavy
@pytest.mark.browser
def test_one_step_equals_the_ddim_scheduler(call_js):
    for eta in [0.0, 0.4, 1.0]:
        diffusers = pytest.importorskip("diffusers")
        betas = torch_betas(COSINE, 100)
        scheduler = diffusers.DDIMScheduler(100, trained_betas=betas.numpy(), clip_sample=False, set_alpha_to_one=True)
        scheduler.set_timesteps(20)
        table = call_js(SAMPLER, "plan", options(COSINE, 100, steps=20, eta=eta))
        x, guess, z = points(), points(spread=1).flip(0), points(spread=0.8)
        for i, t in enumerate(scheduler.timesteps.tolist()[:-1]):
            expected = scheduler.step(guess, t, x, eta=eta, variance_noise=z).prev_sample
            found = call_js(SAMPLER, "step", table, i, x, guess, z)
            assert found == pytest.approx(expected.ravel().tolist(), rel=1e-4, abs=1e-4)


FINAL = [  # V / s2 after all T steps, linear betas times 1000 / T
    (200, "beta-tilde", [0.958, 0.932, 0.764]),
    (200, "beta", [0.9995, 1.015, 1.082]),
    (1000, "beta-tilde", [0.991, 0.985, 0.928]),
    (1000, "beta", [1.000, 1.003, 1.015]),
]


@pytest.mark.browser
def test_the_variance_recursion_gives_the_known_values(call_js):
    for length, variance, expected in FINAL:
        table = call_js(SAMPLER, "plan", options(SCALED, length, variance=variance))
        found = [call_js(SAMPLER, "varianceRatio", table, torch_abar(SCALED, length), s2) for s2 in (1, 0.25, 0.01)]
        assert found == pytest.approx(expected, abs=6e-4)


@pytest.mark.browser
def test_each_bug_moves_the_variance(call_js):
    for bug, low, high in [
        ("none", 0.763, 0.765),
        ("noise-at-0", 0.813, 0.815),
        ("off-by-one", 0.853, 0.855),
        ("sigma-squared", 0, 0.2),
        ("sqrt-one-minus-alpha", 0, 0.5),
        ("no-noise", 0, 0.5),
    ]:
        table = call_js(SAMPLER, "plan", options(bug=bug))
        assert low < call_js(SAMPLER, "varianceRatio", table, torch_abar(SCALED, 200), 0.01) < high


@pytest.mark.browser
def test_the_first_timesteps_give_too_wide_modes(call_js):
    table = call_js(SAMPLER, "plan", options(SCALED, 1000, steps=50, eta=0, bug="first-timesteps"))
    assert table["times"] == list(range(49, -1, -1))
    assert call_js(SAMPLER, "varianceRatio", table, torch_abar(SCALED, 1000), 0.01) > 2


@pytest.mark.browser
def test_a_clipping_sampler_stays_in_its_box_and_has_no_closed_form(call_js):
    table = call_js(SAMPLER, "plan", options(bug="clip-x", box=1.7))
    x = points(spread=5)
    assert np.abs(call_js(SAMPLER, "step", table, 0, x, x, x)).max() == pytest.approx(1.7)
    assert math.isnan(call_js(SAMPLER, "varianceRatio", table, torch_abar(SCALED, 200), 0.01))


@pytest.mark.browser
def test_a_walk_equals_the_same_walk_in_torch(call_js):
    for eta in [0.0, 1.0]:
        table = call_js(SAMPLER, "plan", options(COSINE, 100, steps=10, eta=eta))
        abar = torch_abar(COSINE, 100)
        levels = call_js(MATHS, "marginals", ring(), abar[table["told"]])
        z = call_js(RANDOM, "normals", 0, 0, 22)
        found = np.array(call_js(SAMPLER, "walk", table, levels, z, np.zeros(22), 0)).reshape(11, 2)
        noise = torch.tensor(z, dtype=torch.float64).view(11, 2)
        x = noise[:1]
        for i, t in enumerate(table["times"]):
            guess = torch_eps(ring(), abar[t].item(), x)
            x = table["A"][i] * x + table["B"][i] * guess + table["S"][i] * noise[i + 1]
            assert found[i + 1] == pytest.approx(x[0].numpy(), rel=1e-9)


@pytest.mark.browser
def test_the_readouts_of_true_samples_are_true(call_js):
    draws = call_js(MATHS, "draws", ring(0.05) | {"variances": [0.0025] * 3}, 4000, 2)
    found = call_js(SAMPLER, "quality", draws["x0"], ring() | {"variances": [0.0025] * 3})
    assert found["onMode"] == pytest.approx(1 - math.exp(-4.5), abs=0.006)
    assert found["ratio"] == pytest.approx(1, abs=0.03)


@pytest.mark.browser
def test_timesteps_lead_from_zero_or_trail_from_the_end(call_js):
    assert call_js(SAMPLER, "timesteps", 100, 7, "leading") == [84, 70, 56, 42, 28, 14, 0]
    assert call_js(SAMPLER, "timesteps", 100, 7, "trailing") == [99, 85, 70, 56, 42, 28, 13]


@pytest.mark.browser
def test_the_state_at_t_is_the_last_level_that_is_not_below_it(call_js):
    times = [80, 60, 40, 20, 0]
    expected = {99: 0, 80: 0, 79: 0, 60: 1, 41: 1, 20: 3, 0: 4, -1: 5}
    assert {t: call_js(SAMPLER, "stateAt", times, t) for t in expected} == expected


def test_python_knows_the_same_schedule():
    for kind in ["linear", SCALED, COSINE]:
        widget = NoiseSchedule(schedule=kind, steps=20, t=7)
        assert widget._signal() == pytest.approx(torch_abar(kind, 20).numpy(), rel=1e-12)


def test_the_alternative_text_says_where_we_are():
    widget = NoiseSchedule(steps=100, t=50, bug="no-noise", eta=0)
    assert widget.alt == (
        "Noise schedule: cosine schedule of 100 steps at t = 50, where abar is 0.478; "
        "beside it a sampler of 50 steps with eta 0 and the mistake no-noise on 8 modes."
    )


def test_t_starts_where_the_modes_are_still_apart_and_stays_inside_when_the_steps_grow_fewer():
    widget = NoiseSchedule()
    assert (widget.t, widget.means.shape) == (200, (8, 2))
    widget.steps = 20
    assert widget.t == 19


def test_variances_and_weights_follow_the_number_of_means():
    widget = NoiseSchedule(means=torch.zeros(3, 2))
    assert widget.weights.tolist() == pytest.approx([1 / 3] * 3)
    assert widget.variances.shape == (3,)


def test_what_does_not_fit_is_said_in_one_sentence():
    for state, message in [
        ({"steps": 2}, "steps needs to be from 4 to 1000, got 2"),
        ({"eta": 1.5}, "eta needs to be from 0 to 1, got 1.5"),
        ({"steps": 10, "t": 10}, r"t needs to be from -1 \(the data\) to 9, got 10"),
        ({"weights": [0.5] * 8}, "sum to 1, got a sum of 4"),
        ({"variances": [0.1]}, "one number for each of the 8 means, got 1"),
        ({"variances": [0.0] * 8}, "variances need to be above 0, got 0"),
        ({"schedule": "yours"}, "'yours' needs abar, got none"),
        ({"abar": [0.9, 0.5, 0.6, 0.1]}, "fall from step to step, got 0.6 after 0.5 at index 2"),
        ({"abar": [1.2, 0.5, 0.3, 0.1]}, "between 0 and 1, got 0.1 to 1.2"),
        ({"losses": [-1.0, 2.0]}, "0 or more and not all 0, got -1"),
    ]:
        with pytest.raises(TraitError, match=message) as caught:
            NoiseSchedule(**state)
        assert str(caught.value)[0].islower()


def test_a_misspelt_option_names_the_nearest():
    with pytest.raises(TypeError, match="did you mean 'schedule'"):
        NoiseSchedule(shedule="cosine")


def fact(page: Any, title: str) -> str:
    return page.locator("dl > div", has_text=title).locator("dd").first.inner_text()


def in_theory(page: Any) -> str:
    return page.locator("dl > div", has_text="Variance in theory").inner_text()


def settled(page: Any) -> Any:
    page.drawn()
    page.wait_for_function("!document.querySelector('dl').textContent.includes('…')")
    return page


@pytest.mark.heavy
@pytest.mark.browser
@pytest.mark.parametrize("kernel", [True, False])
def test_it_shows_the_recursions_value_with_and_without_a_kernel(mount, kernel):
    page = settled(mount(NoiseSchedule(schedule=SCALED, steps=200, sampling_steps=200), kernel=kernel))
    assert "V / s² = 0.764" in in_theory(page)
    assert fact(page, "Samples on a mode").endswith("%")


@pytest.mark.browser
def test_a_bug_from_the_menu_changes_the_readouts(mount):
    page = mount(NoiseSchedule(schedule=SCALED, steps=200, sampling_steps=200))
    page.get_by_label("Put in a mistake").select_option("noise-at-0")
    settled(page)
    assert "V / s² = 0.814; without the mistake 0.764" in in_theory(page)
    assert page.state()["bug"] == "noise-at-0"


@pytest.mark.heavy
@pytest.mark.browser
def test_t_moves_by_keyboard_down_to_the_data(mount):
    page = mount(NoiseSchedule(steps=10, t=1))
    time = page.get_by_role("slider", name="Noise level t")
    time.press("ArrowLeft")
    time.press("ArrowLeft")
    time.press("ArrowLeft")
    assert page.state()["t"] == -1
    page.drawn()
    assert "−1: data" in page.locator(".st-player").inner_text()
    assert time.get_attribute("data-lm-suppress-shortcuts") == "true"


@pytest.mark.browser
def test_t_stays_inside_when_the_steps_grow_fewer_and_is_saved_with_them(mount):
    page = mount(NoiseSchedule(steps=1000, t=900))
    page.get_by_label("Steps T").press("Home")
    saved = page.evaluate("window.views[0].model.saved.map(({ state }) => [state.steps, state.t])")
    assert [page.state()["steps"], page.state()["t"]] == [4, 3]
    assert all(t < steps for steps, t in saved)


ATTACH = """async (source) => {
  const { default: view } = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const el = document.createElement("div");
  view.render({ model: window.views[0].model, el, signal: new AbortController().signal });
  document.querySelector("main").replaceChildren(el);
}"""
BLACK = """() => {
  const curves = document.querySelector("canvas.st-noise-curves");
  const { data } = curves.getContext("2d").getImageData(0, 0, curves.width, curves.height);
  return new Uint32Array(data.buffer).filter((pixel) => pixel === 0xff000000).length;
}"""


@pytest.mark.heavy
@pytest.mark.browser
def test_the_curves_have_the_pages_colours_where_they_come_to_the_page_before_their_first_frame(mount):
    widget = NoiseSchedule(steps=100, t=0)
    page = mount(widget)
    page.evaluate(ATTACH, widget._esm)
    page.drawn()
    assert page.evaluate(BLACK) == 0


@pytest.mark.heavy
@pytest.mark.browser
def test_a_pointer_on_a_chart_moves_t(mount):
    page = mount(NoiseSchedule(steps=100, t=0))
    page.locator(".st-noise-curves").first.click(position={"x": 430, "y": 90})
    assert 30 < page.state()["t"] < 70


@pytest.mark.heavy
@pytest.mark.browser
def test_play_runs_down_and_stops_when_pressed_again(mount):
    page = mount(NoiseSchedule(steps=100, t=99))
    page.get_by_role("button", name="Play").click()
    pause = page.get_by_role("button", name="Pause").element_handle()
    page.wait_for_function("(pause) => views[0].model.state.t < 99 && (pause.click(), true)", arg=pause)
    stopped = page.state()["t"]
    page.wait_for_timeout(150)
    assert 0 < stopped < 99
    assert page.state()["t"] == stopped


@pytest.mark.heavy
@pytest.mark.browser
def test_your_own_schedule_can_drive_the_ladder(mount):
    abar = torch_abar(SCALED, 200)
    page = settled(mount(NoiseSchedule(abar=abar, losses=torch.rand(200), schedule="yours", sampling_steps=200, t=0)))
    assert "V / s² = 0.764" in in_theory(page)
    assert "t = 0 of 200, yours" in page.locator(".st-summary").inner_text()
    assert page.get_by_label("Steps T").is_disabled()
