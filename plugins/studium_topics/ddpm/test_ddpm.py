"""The solutions against the schedulers of diffusers, the networks, the image path and the claims."""

import inspect
import math

import pytest
import torch
from studium import Profile

from studium_topics.ddpm import experiment, reference, sampling
from studium_topics.ddpm.mistakes import samplers
from studium_topics.kits.mixture import gaussian
from studium_topics.kits.training import one_thread

SMOKE = Profile("smoke")


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def on_one_thread():
    """Small arrays on a busy machine: a second thread would only be waited for."""
    with one_thread():
        yield


@pytest.fixture(scope="module")
def schedulers():
    return pytest.importorskip("diffusers.schedulers")


@pytest.fixture
def ddpm(schedulers):
    """Return the scheduler of diffusers that has the betas of a kind, for "fixed_small" or "fixed_large"."""

    def build(kind: str, variance_type: str, steps: int = 1000):
        betas = reference.make_betas(kind, steps)
        return schedulers.DDPMScheduler(trained_betas=betas.numpy(), variance_type=variance_type, clip_sample=False)

    return build


def test_the_cosine_schedule_is_that_of_diffusers(schedulers):
    for steps in [4, 50, 1000, 4000]:
        theirs = schedulers.scheduling_ddpm.betas_for_alpha_bar(steps)
        assert reference.make_betas("cosine", steps).numpy() == pytest.approx(theirs.numpy(), rel=1e-4, abs=1e-6)


def test_the_linear_schedule_is_that_of_diffusers(schedulers):
    theirs = schedulers.DDPMScheduler(beta_schedule="linear").betas
    assert reference.make_betas("linear", 1000).numpy() == pytest.approx(theirs.numpy(), rel=1e-5)


def test_noising_is_that_of_diffusers(ddpm):
    for shape in [(5, 3), (4, 2, 4), (6, 1, 8, 8)]:
        scheduler, x0, eps = ddpm("cosine", "fixed_small"), draw(*shape), draw(*shape, seed=1)
        t = torch.randint(0, 1000, shape[:1], generator=torch.Generator().manual_seed(2))
        ours = reference.q_sample(x0, t, eps, torch.cumprod(1 - reference.make_betas("cosine", 1000), 0))
        torch.testing.assert_close(ours, scheduler.add_noise(x0, eps, t), rtol=1e-4, atol=1e-5)


def test_a_ddpm_step_is_that_of_diffusers(ddpm):
    for variance_type in ["fixed_small", "fixed_large"]:
        for kind in ["linear", "cosine"]:
            scheduler, betas = ddpm(kind, variance_type), reference.make_betas(kind, 1000)
            eps, xt = draw(3, 2, 4, 4), draw(3, 2, 4, 4, seed=1)
            for t in (0, 1, 500, 998):
                theirs = scheduler.step(eps, t, xt, generator=torch.Generator().manual_seed(7)).prev_sample
                z = draw(3, 2, 4, 4, seed=7)
                small = reference.posterior(xt, xt, t, betas)[1]
                ours = reference.p_step(eps, xt, t, z, betas, small if variance_type == "fixed_small" else betas[t])
                torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_a_ddim_step_is_that_of_diffusers(schedulers):
    for eta in [0.0, 0.4, 1.0]:
        betas = reference.make_betas("linear", 1000)
        scheduler = schedulers.DDIMScheduler(
            trained_betas=betas.numpy(), clip_sample=False, timestep_spacing="leading", set_alpha_to_one=True
        )
        scheduler.set_timesteps(50)
        steps = reference.ddim_steps(1000, 50)
        assert steps == scheduler.timesteps.tolist()
        eps, xt, z, abar = draw(4, 3), draw(4, 3, seed=1), draw(4, 3, seed=2), torch.cumprod(1 - betas, 0)
        for t, before in zip(steps, [*steps[1:], -1], strict=True):
            theirs = scheduler.step(eps, t, xt, eta=eta, variance_noise=z).prev_sample
            ours = reference.ddim_step(eps, xt, t, before, abar, eta, z)
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


def test_ddim_with_eta_1_and_all_steps_is_ddpm():
    betas = reference.make_betas("linear", 40)
    abar = torch.cumprod(1 - betas, 0)
    exact = gaussian([1.0, -2.0], 0.3).noise_predictor(abar)

    def model(x, t):
        return exact(x.double(), t).float()

    noise = [torch.Generator().manual_seed(5) for _ in range(2)]
    film = reference.sample(model, (20, 2), betas, noise[0])
    start = torch.randn(20, 2, generator=noise[1])
    jumping = sampling.implicit(model, start, abar, reference.ddim_steps(40, 40), reference.ddim_step, 1.0, noise[1])
    torch.testing.assert_close(jumping, film[-1], rtol=1e-4, atol=1e-4)


def test_samples_have_the_variance_that_the_test_bench_predicts():
    bench = experiment.gaussian_variances(reference.make_betas, reference.posterior, reference.p_step, profile=SMOKE)
    betas = bench.betas
    model = gaussian([0.0, 0.0], 0.25).noise_predictor(torch.cumprod(1 - betas, 0))
    film = reference.sample(model, (4000, 2), betas, torch.Generator().manual_seed(1))
    assert float(film[-1].var() / 0.25) == pytest.approx(float(bench.final["posterior"][1]), rel=0.05)


def test_the_test_bench_gives_the_figures_of_the_lesson():
    bench = experiment.gaussian_variances(reference.make_betas, reference.posterior, reference.p_step, profile=SMOKE)
    assert bench.final["posterior"][:3].tolist() == pytest.approx([0.958, 0.932, 0.764], abs=1e-3)
    assert bench.final["beta"][:3].tolist() == pytest.approx([0.9995, 1.015, 1.082], abs=1e-3)


def test_a_network_that_ends_in_a_sigmoid_cannot_beat_the_floor_of_the_lesson():
    eps = draw(1_000_000).double()
    density, below = math.exp(-0.5) / math.sqrt(2 * math.pi), 0.5 * (1 + math.erf(1 / math.sqrt(2)))
    floor = 0.5 + 2 * (1 - below) - density
    assert floor == pytest.approx(0.5753, abs=1e-4)
    assert float((eps - eps.clamp(0, 1)).square().mean()) == pytest.approx(floor, abs=5e-3)


def test_an_exact_claim_holds_at_smoke():
    claims = [claim for claim in experiment.claims if claim.holds_from == "smoke"]
    for run in {claim.experiment for claim in claims}:
        wanted = inspect.signature(run).parameters.keys() - {"profile", "seed"}
        result = run(**{name: getattr(reference, name) for name in wanted}, profile=SMOKE, seed=3)
        assert all(claim.holds(claim.measure(result), SMOKE) for claim in claims if claim.experiment is run)


def test_the_swiss_roll_runs_at_smoke_and_leaves_the_random_state_and_the_threads_alone():
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    names = ("make_betas", "q_sample", "ddpm_loss", "sample")
    blocks = {name: getattr(reference, name) for name in names}
    result = experiment.swiss_roll(**blocks, profile=SMOKE, seed=0)
    assert tuple(result.runs) == experiment.VARIANTS
    assert result.runs["eps"].samples.shape == result.data.shape
    assert result.losses.shape == (100,)
    assert result.ratio("no time") > 3
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_a_step_with_clipping_is_that_of_diffusers(schedulers):
    betas = reference.make_betas("linear", 100)
    scheduler = schedulers.DDPMScheduler(100, trained_betas=betas.numpy(), clip_sample=True)
    eps, xt, z = draw(3, 1, 4, 4), 2 * draw(3, 1, 4, 4, seed=1), draw(3, 1, 4, 4, seed=7)
    for t in (99, 40, 1, 0):
        theirs = scheduler.step(eps, t, xt, generator=torch.Generator().manual_seed(7)).prev_sample
        torch.testing.assert_close(reference.clipped_step(eps, xt, t, z, betas), theirs, rtol=1e-3, atol=1e-4)


def test_the_exact_variance_of_a_right_sampler_is_that_of_the_bench():
    bench = experiment.gaussian_variances(reference.make_betas, reference.posterior, reference.p_step, profile=SMOKE)
    for s2, expected in zip((1.0, 0.25, 0.01), bench.final["posterior"].tolist(), strict=False):
        found = reference.final_variance(reference.p_step, s2, bench.betas) / s2
        assert found == pytest.approx(expected, abs=1e-4)


def test_each_wrong_sampler_differs_from_the_right_one_in_the_exact_variance():
    betas = reference.make_betas("linear", 60)
    found = {n: reference.final_variance(step, 0.01, betas) for n, step in samplers(reference.p_step).items()}
    right = found.pop("none")
    assert len(found) == 6
    assert all(abs(wrong / right - 1) > 0.01 for wrong in found.values()), found


def test_the_digits_run_at_smoke():
    judged = experiment.digits(reference.make_betas, reference.train, reference.sample, profile=SMOKE, seed=0)
    assert judged.clouds.shape == (50, 1, 8, 8)
    assert judged.gap["real"] < judged.gap["Gaussian"] < judged.gap["network"]  # 20 steps draw nothing yet


@pytest.mark.heavy
def test_the_claims_of_the_swiss_roll_hold_on_a_laptop():
    names = ("make_betas", "q_sample", "ddpm_loss", "sample")
    result = experiment.swiss_roll(**{n: getattr(reference, n) for n in names}, profile=Profile("laptop"), seed=0)
    for claim in (c for c in experiment.claims if c.experiment is experiment.swiss_roll):
        assert claim.holds(claim.measure(result), Profile("laptop")), claim.text


def test_images_are_in_range_and_repeatable():
    for images in [reference.shapes, reference.large_digits]:
        first, again = (images(6, torch.Generator().manual_seed(1), 16) for _ in range(2))
        assert first.shape == (6, 1, 16, 16)
        assert first.min() >= -1
        assert first.max() <= 1
        assert first.max() > 0
        assert torch.equal(first, again)


def test_the_image_path_trains_and_samples_on_the_cpu():
    run = reference.train_on_images(SMOKE, steps=3)
    assert len(run.history) == 3
    images = reference.draw_images(run, 2, 8, steps=4)
    assert images.shape == (2, 1, 8, 8)
    assert torch.isfinite(images).all()
    assert torch.equal(reference.draw_images(run, 2, 8, steps=4), images)


def test_the_average_of_parameters_follows_the_model():
    model = torch.nn.Linear(2, 1)
    average = reference.Average(model, decay=0.5)
    before = average.model.weight.clone()
    with torch.no_grad():
        model.weight += 1
    average.update(model)
    moved = (average.model.weight - before) / (model.weight - before).detach()
    torch.testing.assert_close(moved, torch.full_like(moved, 1 - 2 / 11))
    assert not average.model.weight.requires_grad


def test_the_lesson_s_schedule_shows_in_the_widget():
    widgets = pytest.importorskip("studium_widgets")
    abar = torch.cumprod(1 - reference.make_betas("cosine", 100), 0)
    shown = widgets.NoiseSchedule(schedule="yours", abar=abar, steps=100, t=30, sampling_steps=100)
    assert "t = 30" in shown.alt
    assert f"abar is {float(abar[30]):.3g}" in shown.alt
