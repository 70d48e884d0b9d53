"""The particle field: its maths against torch, its samplers against known results, its controls in a browser."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from studium_widgets import ParticleField
from torch import distributions
from traitlets import TraitError

MATHS = "widgets/studium_widgets/particle_field_maths.js"
MEASURES = "widgets/studium_widgets/particle_field_measures.js"
GROUPS = [0, 0, 1, 2]
MEANS = [[1.4, 0.0], [-0.7, 1.2], [-0.7, -1.2], [0.3, 0.2]]
VARIANCES, WEIGHTS = [0.1, 0.02, 0.2, 0.05], [0.4, 0.3, 0.2, 0.1]
MIXTURE = {"count": 4, "means": np.array(MEANS).ravel().tolist(), "variances": VARIANCES, "weights": WEIGHTS}


def log_density(x: torch.Tensor, signal: float, noise: float, modes: list[int]) -> torch.Tensor:
    """log sum of weight × density over some modes, at x = sqrt(signal) x0 + sqrt(noise) eps."""
    at = [torch.tensor(values, dtype=torch.float64)[modes] for values in (MEANS, VARIANCES, WEIGHTS)]
    std = (signal * at[1] + noise).sqrt()
    parts = distributions.Independent(distributions.Normal(at[0] * signal**0.5, std[:, None].expand(-1, 2)), 1)
    return torch.logsumexp(at[2].log() + parts.log_prob(x), -1)


@pytest.mark.browser
def test_score_and_pull_are_the_gradients_of_torchs_log_densities(call_js):
    for signal, noise in [(0.6, 0.4), (1.0, 9.0), (0.99, 0.01)]:
        field = call_js(MATHS, "fieldOf", MIXTURE, GROUPS, np.array([signal]), np.array([noise]))
        for temperature in (1.0, 2.5):
            x = torch.tensor([0.3, -0.4], dtype=torch.float64, requires_grad=True)
            whole = log_density(x, signal, noise, [0, 1, 2, 3])
            posts = torch.stack([log_density(x, signal, noise, modes) for modes in ([0, 1], [2], [3])]) - whole
            (score,) = torch.autograd.grad(whole, x, retain_graph=True)
            (pull,) = torch.autograd.grad(torch.log_softmax(posts / temperature, 0)[1], x)
            found = call_js(MATHS, "guess", field, 0, 0.3, -0.4, 1, temperature, np.zeros(5))
            expected = [*(-(noise**0.5) * score), *(-(noise**0.5) * pull), posts[1].exp().detach()]
            assert found == pytest.approx([float(value) for value in expected], rel=1e-9)


def guide(call_js: Any, plan: dict[str, Any], **options: Any) -> dict[str, Any]:
    return call_js(MATHS, "guidance", {"kind": "classifier-free", "label": 0, "scale": 3.0} | options, plan)


@pytest.mark.browser
def test_the_plans_of_langevin_and_of_guidance_have_their_formulas(call_js):
    options = {"sampler": "annealed", "steps": 20, "stepSize": 0.1, "sigma": 1, "sigmaMax": 20, "levels": 10}
    plan = call_js(MATHS, "plan", options | {"mistake": "none"})
    sigmas = np.repeat(np.geomspace(20, 1, 10), 2)
    assert plan["noise"][:20] == pytest.approx(sigmas**2, rel=1e-12)
    assert plan["S"] == pytest.approx(np.sqrt(0.1) * sigmas, rel=1e-12)
    assert plan["B"] == pytest.approx(-0.05 * sigmas, rel=1e-12)  # a / 2 times the score, which is -eps / sigma
    constant = call_js(MATHS, "plan", options | {"mistake": "constant-step"})
    assert constant["S"] == pytest.approx([np.sqrt(0.1)] * 20)
    assert call_js(MATHS, "ladder", 20, 1, 3, "linear-ladder") == pytest.approx([20, 10.5, 1])
    ddpm = call_js(MATHS, "plan", {"sampler": "ancestral", "steps": 4, "mistake": "none"})
    assert guide(call_js, ddpm)["factor"] == [3.0] * 4
    assert guide(call_js, ddpm, **{"from": 0.5})["factor"] == [1.0, 1.0, 3.0, 3.0]
    assert guide(call_js, ddpm, mistake="s-for-w")["factor"] == [4.0] * 4
    assert guide(call_js, ddpm, mistake="sum-for-difference")["base"] == [5.0] * 4
    wrong = guide(call_js, ddpm, kind="classifier", mistake="sqrt-beta", scale=1.0)
    assert wrong["factor"] == pytest.approx(np.sqrt(np.array(ddpm["beta"]) / ddpm["noise"][:4]))
    shifted = guide(call_js, ddpm, kind="classifier", mistake="guide-mean", scale=2.0)
    assert shifted["shift"] == pytest.approx(-2 * np.array(ddpm["S"]) ** 2 / np.sqrt(ddpm["noise"][:4]))


@pytest.mark.browser
def test_a_guided_walk_equals_the_same_walk_in_torch(call_js):
    """The probability flow by Heun's rule with rescaling: every part of a step but the noise."""
    plan = call_js(MATHS, "plan", {"sampler": "flow", "steps": 5, "mistake": "none"})
    field = call_js(MATHS, "fieldOf", MIXTURE, GROUPS, np.array(plan["signal"]), np.array(plan["noise"]))
    guided = guide(call_js, plan, rescale=0.7)
    start = {"seed": 3, "particle": 1, "half": 2, "every": 1}
    found = np.array(call_js(MATHS, "walk", plan, field, guided, start, np.zeros(12), 0)).reshape(6, 2)

    def eps(x: torch.Tensor, i: int) -> torch.Tensor:
        level = (plan["signal"][i], plan["noise"][i])
        both = []
        for modes in ([0, 1, 2, 3], [0, 1]):
            leaf = x.clone().requires_grad_()
            (score,) = torch.autograd.grad(log_density(leaf, *level, modes), leaf)
            both.append(-(level[1] ** 0.5) * score)
        whole, own = both
        free = whole + 3 * (own - whole)
        return free * (0.7 * own.norm() / free.norm() + 0.3)

    x = torch.tensor(found[0])
    for i in range(5):
        first = eps(x, i)
        ahead = eps(plan["A"][i] * x + plan["B"][i] * first, i + 1) if i < 4 else first
        x = plan["A"][i] * x + plan["B"][i] * (first + ahead) / 2
        assert found[i + 1] == pytest.approx(x.numpy(), rel=1e-8)


@pytest.mark.browser
def test_the_exact_density_and_its_draws_agree_with_torch(call_js):
    field = call_js(MATHS, "fieldOf", MIXTURE, GROUPS, np.array([1.0]), np.array([1e-4]))
    exact = call_js(MATHS, "grids", field, 0, 0, 60, 2.7)
    centres = torch.tensor([call_js(MATHS, "place", cell, 60, 2.7) for cell in (0, 700, 1834, 3599)])
    whole = log_density(centres.double()[:, None], 1.0, 1e-4, [0, 1, 2, 3])
    post = (log_density(centres.double()[:, None], 1.0, 1e-4, [0, 1]) - whole).exp()
    cells = [0, 700, 1834, 3599]
    assert np.array(exact["whole"])[cells] == pytest.approx(whole.exp().squeeze().numpy(), rel=1e-6)
    assert np.array(exact["posterior"])[cells] == pytest.approx(post.squeeze().numpy(), rel=1e-6, abs=1e-12)
    density = np.array(call_js(MATHS, "tilted", exact, 2))
    draws = np.array(call_js(MATHS, "gridDraws", density, 60, 2.7, 4000, 5)).reshape(-1, 2)
    columns = np.linspace(-2.7, 2.7, 121)[1::2]
    mean = (density.reshape(60, 60).sum(0) / density.sum()) @ columns
    assert draws[:, 0].mean() == pytest.approx(mean, abs=0.01)


@pytest.mark.browser
def test_the_measures_of_a_cloud_are_scipys(call_js):
    distance = pytest.importorskip("scipy.spatial.distance")
    a, b = np.random.default_rng(0).normal(size=(2, 80, 2)) * [[[1, 2]], [[1.5, 1]]]
    expected = 2 * distance.cdist(a, b).mean() - distance.cdist(a, a).mean() - distance.cdist(b, b).mean()
    assert call_js(MEASURES, "energyDistance", a, b) == pytest.approx(expected, rel=1e-9)
    found = call_js(MEASURES, "moments", np.concatenate([a.ravel(), [np.nan, np.nan]]))
    assert found["spread"] == pytest.approx(np.trace(np.cov(a.T, bias=True)))
    assert found["radius"] == pytest.approx(np.linalg.norm(a, axis=1).mean())


def bar(page: Any, name: str) -> float:
    """The share that the bar shows, once all particles have arrived."""
    page.wait_for_function("!document.querySelector('dl').textContent.includes('…')")
    shown = page.get_by_role("listitem").filter(has_text=name).locator(".st-value").inner_text()
    return float(shown.removesuffix("%").strip()) / 100


def put(page: Any, **state: Any) -> None:
    for name, value in state.items():
        page.evaluate("([name, value]) => window.views[0].model.set(name, value)", [name, value])
    page.drawn()


@pytest.mark.heavy
@pytest.mark.browser
def test_the_mountain_pass_gives_the_known_shares(mount):
    """Song and Ermon 2019, figure 3: the truth is 0.8 in the second mode."""
    page = mount(ParticleField.mountain_pass(beside="none", particles=1000))
    assert 0.74 < bar(page, "mode 2") < 0.83
    put(page, mistake="constant-step")
    assert 0.57 < bar(page, "mode 2") < 0.68
    put(page, mistake="reversed")
    bar(page, "mode 2")
    covariance = page.locator("dl > div").nth(1).locator("dd").first.inner_text()
    assert (
        float(covariance.removeprefix("×").partition(",")[0]) > 3
    )  # it ends at the largest noise, and is judged by the smallest
    put(page, mistake="none", sigma_max=2)
    assert 0.50 < bar(page, "mode 2") < 0.60
    put(page, sampler="langevin")
    assert 0.45 < bar(page, "mode 2") < 0.56


@pytest.mark.heavy
@pytest.mark.browser
def test_guidance_gives_the_known_accuracies(mount):
    """Eight modes in four classes: the exact conditional has 0.94 of its mass where its class is the likeliest."""
    page = mount(ParticleField.tug_of_war(step=200, particles=800))
    assert 0.92 < bar(page, "class 0") < 0.97
    put(page, scale=0)
    assert 0.21 < bar(page, "class 0") < 0.30
    put(page, scale=5)
    assert bar(page, "class 0") > 0.99
    put(page, scale=1, mistake="sqrt-beta")
    assert bar(page, "class 0") < 0.6
    put(page, mistake="flipped")
    assert bar(page, "class 0") < 0.05
    put(page, mistake="guide-mean")
    assert 0.88 < bar(page, "class 0") < 0.97
    put(page, mistake="none", guidance="classifier-free", scale=5, sampler="ddim")
    far = page.locator("dl dd").first
    bar(page, "class 0")
    assert float(far.inner_text()) > 0.3  # DDIM leaves the exact tilted density far behind
    put(page, scale=1)
    bar(page, "class 0")
    assert float(far.inner_text()) < 0.02


@pytest.mark.browser
def test_probe_steps_and_menus_answer_to_the_keyboard(mount):
    page = mount(ParticleField.tug_of_war(probe_x=0.0), still=True)
    page.get_by_role("application").first.press("ArrowRight")
    assert page.state()["probe_x"] > 0
    page.get_by_role("slider", name="Step", exact=True).press("ArrowRight")
    assert page.state()["step"] == 121
    page.get_by_role("button", name="Step").click()
    assert page.state()["step"] == 141
    page.get_by_role("combobox", name="Class", exact=True).select_option("2")
    assert page.state()["label"] == 2
    menu = page.get_by_label("Put in a mistake")
    assert menu.locator("option:not([disabled])").count() == 9
    menu.select_option("flipped")
    page.locator(".st-effect", has_text="flee from the class").last.wait_for()
    page.get_by_text("Show as table").click()
    names = page.get_by_role("rowheader").all_inner_texts()
    assert names[2:] == [*(f"share in class {label}" for label in range(4)), "mean radius", "covariance, trace"]


@pytest.mark.heavy
@pytest.mark.browser
def test_your_own_run_plays_beside_and_nothing_is_left_when_the_view_closes(mount):
    run = np.random.default_rng(0).normal(size=(11, 60, 2))
    page = mount(ParticleField(trajectory=run, steps=50), width=320)
    page.drawn()
    assert "frame 10 of 10" in page.locator("figcaption").nth(1).inner_text()
    put(page, step=25)
    assert "frame 5 of 10" in page.locator("figcaption").nth(1).inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.get_by_role("button", name="Play").click()
    page.evaluate("window.views[0].abort()")
    before = page.state()["step"]
    page.wait_for_timeout(100)
    assert page.state()["step"] == before
    assert page.evaluate("window.views[0].model.listening") == 0


def test_the_alternative_text_says_what_is_sampled():
    assert ParticleField.three_answers(mistake="s-for-w").alt == (
        "Particle field: 1500 particles on 8 modes at step 200 of 200 of ancestral sampling with classifier-free "
        "guidance of scale 3 and the mistake s-for-w."
    )


def test_steps_take_the_shown_step_with_them():
    widget = ParticleField(steps=100)
    widget.steps = 20
    assert widget.step == 20


def test_what_does_not_fit_is_said_in_one_sentence():
    for state, message in [
        ({"particles": 5000}, "particles needs to be from 50 to 1500, got 5000"),
        ({"step": 300}, "step needs to be from 0 to 200, got 300"),
        ({"weights": [0.5] * 8}, "sum to 1, got a sum of 4"),
        ({"variances": [0.0] * 8}, "variances need to be above 0, got 0"),
        ({"classes": [0, 1]}, "classes need one number for each of the 8 means, got 2"),
        ({"classes": [0, 0, 0, 0, 2, 2, 2, 2]}, r"without a gap, got \[0, 2\]"),
        ({"label": 4}, "label needs to be from 0 to 3, got 4"),
        ({"beside": "yours"}, "'yours' needs trajectory, got none"),
        ({"means": np.zeros((17, 2))}, "means need 1 to 16 rows, got 17"),
    ]:
        with pytest.raises(TraitError, match=message) as caught:
            ParticleField(**state)
        assert str(caught.value)[0].islower()
