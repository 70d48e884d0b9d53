"""The exercises and the reference against diffusers, autograd and closed forms; the experiments and their parts."""

import math

import pytest
import torch
from studium import Profile
from studium.catalogue.catalogue import load_catalogue
from studium.experiments.building_blocks import run_experiment

from studium_topics.cfg import exact, exercises, experiment, figures, handwriting, reference
from studium_topics.cfg.gaussian import GuidedGaussian
from studium_topics.cfg.network import NULL, DigitDenoiser
from studium_topics.cfg.sampling import cosine_abar, linear_abar, move, stepper
from studium_topics.kits import training
from studium_topics.kits.digits import Digits as Data
from studium_topics.kits.digits import split
from studium_topics.kits.mixture import point_masses, ring

SMOKE = Profile("smoke")
MATHS = "plugins/studium_topics/cfg/gaussian_maths.js"
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


@pytest.fixture(scope="module")
def guiders():
    return pytest.importorskip("diffusers.guiders", reason="diffusers is the oracle")


@pytest.fixture(scope="module")
def schedulers():
    return pytest.importorskip("diffusers.schedulers", reason="diffusers is the oracle")


@pytest.fixture(scope="module")
def written():
    """The digits at smoke size: 60 training steps, 50 digits a scale."""
    return experiment.digits(reference.drop_labels, reference.sample_digits, profile=SMOKE, seed=0)


@pytest.fixture(scope="module")
def repaired(written):
    names = ("drop_labels", "cfg_eps", "sample_digits", "interval_scales", "rescale")
    blocks = [getattr(reference, name) for name in names]
    return experiment.repairs(*blocks, profile=SMOKE, seed=0, model=written.model)


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def row_by_row(x, t, y):
    return torch.sin(x) * (1 + y.view(-1, 1)) + torch.cos(0.1 * t).view(-1, 1)


@BOTH
def test_both_conventions_are_those_of_diffusers(ours, guiders):
    for scale in [0.0, 1.0, 1.5, 7.5]:
        eps_u, eps_c = drawn(2, 3, 4, 8, 8)
        for convention, original in (("s", False), ("w", True)):
            guider = guiders.ClassifierFreeGuidance(guidance_scale=scale, use_original_formulation=original)
            expected = guider.forward(pred_cond=eps_c, pred_uncond=eps_u).pred
            torch.testing.assert_close(ours.cfg_combine(eps_u, eps_c, scale, convention), expected)


@BOTH
def test_rescaling_is_that_of_diffusers(ours, guiders):
    for phi in [0.0, 0.7, 1.0]:
        eps, eps_c = 3 * drawn(5, 4, 8, 8), drawn(5, 4, 8, 8, seed=1)
        expected = guiders.guider_utils.rescale_noise_cfg(eps, eps_c, phi)
        torch.testing.assert_close(ours.rescale(eps, eps_c, phi), expected)


def test_schedules_are_those_of_diffusers(schedulers):
    for kind in ["linear", "cosine"]:
        given = {"linear": {"beta_schedule": "linear"}, "cosine": {"beta_schedule": "squaredcos_cap_v2"}}[kind]
        theirs = schedulers.DDPMScheduler(**given).alphas_cumprod.double()
        ours = {"linear": linear_abar, "cosine": cosine_abar}[kind](1000)
        torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=1e-7)


def test_a_step_is_that_of_diffusers(schedulers):
    for eta in [0.0, 1.0]:
        abar = linear_abar(50)
        betas = 1 - abar / torch.cat([torch.ones(1, dtype=torch.float64), abar[:-1]])
        ddim = schedulers.DDIMScheduler(trained_betas=betas.numpy(), num_train_timesteps=50, clip_sample=False)
        ddim.set_timesteps(50)
        eps, x, z = drawn(3, 4, 5)
        for t in (49, 20, 1, 0):
            theirs = ddim.step(eps, t, x, variance_noise=z if eta else None, eta=eta).prev_sample
            ours = move(eps, x, t, abar, eta, z if eta else None)
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@BOTH
def test_digits_are_those_of_guider_and_scheduler_of_diffusers_frame_by_frame(ours, schedulers, guiders):
    abar, y, null = cosine_abar(40), torch.tensor([3, 0, 7]), torch.full((3,), NULL)
    ddpm = schedulers.DDPMScheduler(40, beta_schedule="squaredcos_cap_v2", clip_sample=True)
    guider = guiders.ClassifierFreeGuidance(guidance_scale=2.5)

    def model(x, t, y):
        return 0.7 * x + (0.05 * y + torch.sin(0.3 * t)).view(-1, 1, 1, 1)

    film = ours.sample_digits(model, y, NULL, [2.5] * 40, abar, torch.Generator().manual_seed(7))
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(3, 1, 8, 8, generator=generator)
    for frame, t in enumerate(reversed(range(40)), 1):
        times = torch.full((3,), t)
        eps = guider.forward(pred_cond=model(x, times, y), pred_uncond=model(x, times, null)).pred
        x = ddpm.step(eps, t, x, generator=generator).prev_sample
        torch.testing.assert_close(film[frame], x, rtol=1e-3, atol=1e-4)


@BOTH
def test_guided_sampling_is_a_loop_around_scheduler_and_guider_of_diffusers(ours, schedulers, guiders):
    abar = linear_abar(20)
    betas = 1 - abar / torch.cat([torch.ones(1, dtype=torch.float64), abar[:-1]])
    ddim = schedulers.DDIMScheduler(trained_betas=betas.numpy(), num_train_timesteps=20, clip_sample=False)
    ddim.set_timesteps(20)
    guider = guiders.ClassifierFreeGuidance(guidance_scale=2.5)
    start, y, null = drawn(4, 3), torch.tensor([0, 2, 1, 2]), torch.full((4,), 3)
    x = start
    for t in ddim.timesteps.tolist():
        times = torch.full((4,), t)
        pair = {"pred_cond": row_by_row(x, times, y), "pred_uncond": row_by_row(x, times, null)}
        x = ddim.step(guider.forward(**pair).pred, t, x).prev_sample
    step = stepper(abar, 0.0, torch.Generator())
    found = ours.cfg_sample(row_by_row, step, start, y, 3, [2.5] * 20)
    torch.testing.assert_close(found, x, rtol=2e-3, atol=1e-4)


@BOTH
def test_scale_1_is_conditional_sampling_to_the_last_bit(ours):
    abar, start, y = linear_abar(20), drawn(4, 3), torch.tensor([0, 2, 1, 2])
    runs = []
    for null in (3, 9):
        step = stepper(abar, 1.0, torch.Generator().manual_seed(1))
        runs.append(ours.cfg_sample(row_by_row, step, start, y, null, [1.0] * 20))
    assert torch.equal(*runs)


@BOTH
def test_labels_are_dropped_at_the_rate_of_a_binomial(ours):
    for p in [0.0, 0.15, 1.0]:
        y = torch.arange(10).repeat(1000)
        dropped = ours.drop_labels(y, p, NULL, torch.Generator().manual_seed(3)) == NULL
        by_class = dropped.view(1000, 10).double().mean(0)  # ten binomials of 1000
        assert float((by_class - p).abs().max()) <= 5 * math.sqrt(p * (1 - p) / 1000)


@BOTH
def test_one_unit_of_scale_adds_the_gradient_of_the_perfect_classifier_by_autograd(ours):
    mixture, abar = ring(std=0.35, classes=4), linear_abar(100)
    t, y, x = torch.tensor([5, 40, 70, 99]), torch.tensor([0, 1, 2, 3]), drawn(4, 2).requires_grad_()
    chosen = mixture.vp(abar[t]).class_log_prob(x).gather(1, y.unsqueeze(1))
    expected = torch.autograd.grad(chosen.sum(), x)[0]
    x = x.detach()
    eps_u, eps_c = mixture.eps(x, abar[t]), mixture.eps(x, abar[t], y)
    added = ours.cfg_combine(eps_u, eps_c, 3.5, "s") - ours.cfg_combine(eps_u, eps_c, 1.5, "w")
    torch.testing.assert_close(-added / (1 - abar[t]).sqrt().unsqueeze(1), expected)


def test_draws_of_the_tilted_density_have_its_moments():
    mixture, s = ring(std=0.35, classes=4), 5.0
    line = torch.linspace(-1.5, 3.5, 500, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    density = (mixture.given(0).log_prob(grid) + (s - 1) * mixture.class_log_prob(grid)[:, 0]).softmax(0)
    mean = (density.unsqueeze(1) * grid).sum(0)
    spread = (density * (grid - mean).square().sum(1)).sum()
    points = exact.tilted(mixture, 0, s, 4000, torch.Generator().manual_seed(0))
    torch.testing.assert_close(points.mean(0), mean, rtol=0, atol=0.03)
    torch.testing.assert_close(points.var(0).sum(), spread, rtol=0.08, atol=0)


@BOTH
def test_the_final_variances_solve_the_reverse_equations(ours):
    # Variance exploding, tau = sigma^2: dV/dtau = 2 g V - 1 for the SDE and g V for the flow, -g x the guided score.
    for s in (1.5, 3.0):
        sde = flow = 1e4
        taus = torch.logspace(4, -4, 40_001, dtype=torch.float64).tolist()
        for above, below in zip(taus, [*taus[1:], 0.0], strict=True):
            middle, drop = (above + below) / 2, above - below
            pull = s / (1 + middle) + (1 - s) / (2 + middle)
            flow *= math.exp(-pull * drop)
            decay = math.exp(-2 * pull * drop)
            sde = decay * sde + (1 - decay) / (2 * pull)
        assert ours.final_variances(s, 2.0, 1.0) == pytest.approx((sde, flow), rel=2e-3)


def test_a_perfect_network_is_the_exact_denoiser_of_its_digits():
    data, abar = split()[0], cosine_abar(100)
    few = Data(data.images[:40], data.labels[:40])
    mixture, model = point_masses(few.images.flatten(1)), handwriting.perfect(few, abar)
    x, t = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([30, 60, 90])
    found = model(x, t, torch.full((3,), NULL)).flatten(1).double()
    torch.testing.assert_close(found, mixture.eps(x.flatten(1), abar[t]), rtol=1e-3, atol=1e-3)
    own = point_masses(few.images[few.labels == 4].flatten(1))
    labelled = model(x, t, torch.full((3,), 4)).flatten(1).double()
    torch.testing.assert_close(labelled, own.eps(x.flatten(1), abar[t]), rtol=1e-3, atol=1e-3)


def test_samples_of_a_perfect_network_are_its_digits_of_the_wanted_class():
    data, abar = split()[0], cosine_abar(100)
    y = torch.tensor([3, 8, 3, 0, 1])
    network, generator = handwriting.perfect(data, abar), torch.Generator().manual_seed(0)
    drawn_digits = reference.sample_digits(network, y, NULL, [2.0] * 100, abar, generator)[-1]
    gaps, nearest = torch.cdist(drawn_digits.flatten(1), data.images.flatten(1)).min(1)
    assert float(gaps.max()) < 0.01
    assert data.labels[nearest].tolist() == y.tolist()


@BOTH
def test_samples_have_the_variance_that_is_computed_without_any(ours):
    found = experiment.three_variances(ours.cfg_sample, ours.final_variances, profile=SMOKE)
    abar, column = linear_abar(300), found.scales.index(3.0)

    def model(x, t, y):
        level = abar[t].unsqueeze(1)
        return (1 - level).sqrt() * x / (level * torch.where(y == 1, 1.0, 2.0).unsqueeze(1) + 1 - level)

    start, y = drawn(4000, 1), torch.ones(4000, dtype=torch.long)
    for name, eta in exact.SOLVERS.items():
        step = stepper(abar, eta, torch.Generator().manual_seed(2))
        samples = ours.cfg_sample(model, step, start, y, 0, [3.0] * 300)
        assert float(samples.var()) == pytest.approx(found.found[name][column], rel=0.1)


def test_an_exact_claim_holds_at_smoke():
    for claim in [c for c in experiment.claims if c.holds_from == "smoke"]:
        result = run_experiment(load_catalogue()["cfg"], claim.experiment, SMOKE, 3)
        assert claim.holds(claim.measure(result), SMOKE)


def test_the_ring_runs_at_smoke_and_shows_where_ddim_goes():
    found = experiment.three_answers(exercises.cfg_sample, profile=SMOKE, seed=1)
    assert found.distance["DDIM", 5.0] > 3 * found.distance["DDPM", 5.0]
    assert found.grows > 1.3
    assert found.within["all steps"] > found.within["first 30 %"]
    assert found.within["no steps"] == pytest.approx(found.within["first 30 %"], abs=0.02)
    assert len(figures.answers(found, 5.0).data) == 3


def test_the_digits_run_at_smoke_and_leave_the_random_state_alone(written):
    state = torch.get_rng_state()
    again = handwriting.fitted(reference.drop_labels, cosine_abar(100), SMOKE, 0)[1]
    assert torch.equal(torch.get_rng_state(), state)
    assert again == written.history
    assert written.history[-1] < written.history[0]
    assert set(written.by_scale) == set(experiment.SCALES)
    assert set(written.perfect) == {s for s in experiment.SCALES if s >= 1}
    assert written.perfect[1.0].distance < written.by_scale[1.0].distance
    assert written.gain("perfect") == written.perfect[1.5].distance / written.perfect[1.0].distance
    assert min(written.asymmetry.values()) > 0.01


def test_the_repairs_sample_the_same_digits_in_three_ways(repaired):
    assert set(repaired.samples) == set(repaired.measured) == {"as it is", "rescaled", "interval"}
    assert all(x.shape == (50, 1, 8, 8) and x.abs().max() <= 1.001 for x in repaired.samples.values())
    assert not torch.equal(repaired.samples["as it is"], repaired.samples["interval"])
    assert repaired.left == repaired.measured["interval"].distance / repaired.measured["as it is"].distance


def test_the_figures_show_every_scale_and_both_networks(written):
    ideal, *trained = figures.trade(written).data
    assert list(ideal.x) == list(written.perfect)
    assert [list(curve.x) for curve in trained] == [list(experiment.SCALES)] * 3
    variances = experiment.three_variances(reference.cfg_sample, reference.final_variances, profile=SMOKE)
    assert len(figures.variances(variances).data) == 5


def test_diversity_is_the_mean_distance_of_two_of_a_class():
    x, y = drawn(9, 4), torch.tensor([0, 1, 0, 1, 1, 0, 0, 1, 0])
    pairs = {label: [] for label in (0, 1)}
    for i in range(9):
        for j in range(i):
            if y[i] == y[j]:
                pairs[int(y[i])].append(float((x[i] - x[j]).norm()))
    expected = sum(sum(p) / len(p) for p in pairs.values()) / 2
    assert handwriting.diversity(x, y) == pytest.approx(expected)


def test_a_gradient_has_no_asymmetry_and_a_turning_field_has():
    class Bowl(DigitDenoiser):
        def forward(self, x, t, y):
            return x * (1 + y.view(-1, 1, 1, 1))

    class Turning(DigitDenoiser):
        def forward(self, x, t, y):
            return x.roll(1, -1) * y.view(-1, 1, 1, 1)

    abar = cosine_abar(100)
    assert max(handwriting.asymmetries(Bowl(100, 8), abar).values()) < 1e-6
    assert min(handwriting.asymmetries(Turning(100, 8), abar).values()) > 0.9


def test_an_unknown_convention_is_an_error_that_names_those_there_are():
    with pytest.raises(ValueError, match="""convention needs to be "s" or "w", got 'imagen'"""):
        reference.cfg_combine(drawn(1, 2), drawn(1, 2), 1.0, "imagen")


def test_thresholding_leaves_images_in_range_alone_and_shrinks_those_beyond():
    x = torch.tensor([[0.2, -0.9, 0.5, 0.1], [4.0, -2.0, 1.0, 0.0]])
    found = reference.threshold(x, 1.0)
    torch.testing.assert_close(found, torch.tensor([[0.2, -0.9, 0.5, 0.1], [1.0, -0.5, 0.25, 0.0]]))
    assert float(reference.threshold(4 * x, 0.7).abs().max()) <= 1


@pytest.mark.heavy
def test_a_guided_step_is_timed_in_three_ways_on_the_cpu():
    seconds = reference.step_seconds(DigitDenoiser(100, 16), 8, steps=2)
    assert list(seconds) == ["conditional", "two calls", "one call of 2 B"]
    assert min(seconds.values()) > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_cuda_a_recorded_step_gives_what_the_plain_one_does():
    model = DigitDenoiser(100, 64).cuda()
    x, t, y = torch.randn(8, 1, 8, 8).cuda(), torch.arange(8).cuda() * 10, torch.arange(8).cuda()
    replay = reference.graphed(model, 8, 3.0)
    with torch.no_grad():
        torch.testing.assert_close(replay(x, t, y), reference.cfg_eps(model, x, t, y, NULL, 3.0))


@pytest.mark.sample(1)
@pytest.mark.browser
@pytest.mark.parametrize("high", [200.0, 2.0])
def test_the_gaussians_in_the_browser_are_those_of_the_sampler(call_js, high):
    mean, variance, s, abar = 1.2, 0.6, 4.0, linear_abar(60)
    given = {"mean": mean, "variance": variance, "scale": s, "high": high}
    torch.testing.assert_close(torch.tensor(call_js(MATHS, "linearAbar", 60), dtype=torch.float64), abar)

    def model(x, t, y):
        level = abar[t].unsqueeze(1)
        own = (1 - level).sqrt() * (x - level.sqrt() * mean) / (level * variance + 1 - level)
        return torch.where(y.unsqueeze(1) == 1, own, (1 - level).sqrt() * x / (2 * level + 1 - level))

    start, y = torch.tensor([[0.0], [1.0]], dtype=torch.float64), torch.ones(2, dtype=torch.long)
    step = stepper(abar, 0.0, torch.Generator())
    scales = reference.interval_scales(s, abar, 0.0, high)
    at_0, at_1 = reference.cfg_sample(model, step, start, y, 0, scales).flatten().tolist()
    found = call_js(MATHS, "sampled", given, abar, 0)
    assert found["mean"] == pytest.approx(at_0)
    assert found["variance"] == pytest.approx((at_1 - at_0) ** 2)


@pytest.mark.browser
def test_the_three_variances_in_the_browser_are_those_of_the_experiment(call_js):
    found = experiment.three_variances(reference.cfg_sample, reference.final_variances, profile=SMOKE)
    abar = linear_abar(300)
    for i, s in enumerate(found.scales):
        given = {"mean": 0, "variance": 1, "scale": s, "high": 200}
        assert call_js(MATHS, "tilted", given)["variance"] == pytest.approx(found.theory["tilted"][i])
        for name, eta in exact.SOLVERS.items():
            assert call_js(MATHS, "sampled", given, abar, eta)["variance"] == pytest.approx(found.found[name][i])


@pytest.mark.browser
def test_the_scale_pulls_the_three_densities_apart(mount):
    page = mount(GuidedGaussian(mean=0.0, scale=1.0))
    said = page.locator(".st-summary")
    said.filter(has_text="s = 1 (w = 0), 1,000 steps: the tilted density has variance 1 and mean 0").wait_for()
    page.get_by_role("slider", name="Scale").press("End")
    said.filter(has_text="s = 10 (w = 9), 1,000 steps: the tilted density has variance 0.182").wait_for()
    page.get_by_role("slider", name="Guided up to").press("Home")
    said.filter(has_text="guided nowhere").wait_for()
    assert page.state()["high"] == 0
