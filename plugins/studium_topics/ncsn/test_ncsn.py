"""Exercises and reference against torch.distributions, diffusers and scipy; the experiments; the network."""

import math

import pytest
import torch
from studium import Profile
from studium.catalogue.catalogue import load_catalogue
from studium.exercises.checking import check
from studium.experiments.building_blocks import experiments, run_experiment

from studium_topics.kits.digits import split
from studium_topics.kits.mixture import Mixture, unequal_pair
from studium_topics.kits.training import one_thread
from studium_topics.ncsn import exact, exercises, experiment, reference
from studium_topics.ncsn.digits import nearest
from studium_topics.ncsn.networks import DigitScores, score_net

SMOKE = Profile("smoke")
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])


@pytest.fixture(autouse=True)
def on_one_thread():
    """Small arrays on a busy machine: a second thread only waits for the first."""
    with one_thread():
        yield


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def scheduler():
    """Return the variance-exploding scheduler of diffusers, with eleven levels from 0.5 to 16."""
    schedulers = pytest.importorskip("diffusers.schedulers", reason="diffusers is the oracle")
    made = schedulers.ScoreSdeVeScheduler(num_train_timesteps=11, sigma_min=0.5, sigma_max=16.0, snr=0.3)
    made.set_timesteps(11)
    return made


@pytest.fixture
def crowd():
    """Return three uneven Gaussians in three dimensions."""
    weights = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
    return Mixture(2 * drawn(3, 3), torch.tensor([0.4, 1.0, 2.5]), weights)


def density(mixture, sigma):
    """Return the smoothed mixture as torch.distributions has it, for one sigma."""
    scale = (mixture.variances + sigma**2).sqrt().unsqueeze(-1).expand_as(mixture.means)
    each = torch.distributions.Independent(torch.distributions.Normal(mixture.means, scale), 1)
    return torch.distributions.MixtureSameFamily(torch.distributions.Categorical(mixture.weights), each)


@BOTH
def test_the_score_is_the_gradient_that_autograd_takes_of_torch_distributions(ours, crowd):
    for sigma in [0.1, 1.0, 12.0]:
        x = (3 * drawn(7, 3, seed=1)).requires_grad_(True)
        expected = torch.autograd.grad(density(crowd, sigma).log_prob(x).sum(), x)[0]
        level = torch.full((7,), sigma, dtype=torch.float64)
        found = ours.gmm_score(x.detach(), level, crowd.means, crowd.variances, crowd.weights)
        torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


@BOTH
def test_the_score_is_that_of_the_kit_where_each_row_has_its_own_level(ours, crowd):
    x, sigma = drawn(6, 3, seed=2), torch.tensor([0.1, 0.5, 1.0, 2.0, 5.0, 20.0], dtype=torch.float64)
    found = ours.gmm_score(x, sigma, crowd.means, crowd.variances, crowd.weights)
    torch.testing.assert_close(found, crowd.ve(sigma).score(x), rtol=1e-9, atol=1e-9)


@BOTH
def test_a_ladder_has_the_levels_of_diffusers(ours, scheduler):
    found = ours.sigma_ladder(16.0, 0.5, 11)
    torch.testing.assert_close(found.flip(0).float(), scheduler.discrete_sigmas, rtol=1e-5, atol=1e-6)


@pytest.mark.sample(1)
@BOTH
@pytest.mark.parametrize("shape", [(5, 2), (3, 1, 4, 4)])
def test_a_langevin_step_is_the_corrector_of_diffusers_whose_step_is_half_of_a(ours, scheduler, shape):
    x, score = drawn(*shape).float(), drawn(*shape, seed=1).float()
    theirs = scheduler.step_correct(score, x, generator=torch.Generator().manual_seed(7)).prev_sample
    z = torch.randn(shape, generator=torch.Generator().manual_seed(7))
    lengths = [value.flatten(1).norm(dim=1).mean() for value in (z, score)]
    size = 2 * (0.3 * lengths[0] / lengths[1]) ** 2
    torch.testing.assert_close(ours.langevin(lambda at: score, x, 2 * size, z[None]), theirs, rtol=1e-5, atol=1e-5)


@BOTH
def test_langevin_dynamics_ends_in_the_normal_distribution_that_scipy_expects(ours):
    stats = pytest.importorskip("scipy.stats", reason="scipy is the oracle")
    a, v = 0.5, 2.0
    end = ours.langevin(lambda x: -x / v, 3 * drawn(4000, 1), a, drawn(60, 4000, 1, seed=1))
    settled = stats.norm(scale=math.sqrt(v / (1 - a / (4 * v))))
    assert stats.kstest(end[:, 0].numpy(), settled.cdf).pvalue > 0.01
    assert stats.kstest(end[:, 0].numpy(), stats.norm(scale=math.sqrt(2 * v)).cdf).pvalue < 1e-6


@pytest.mark.sample(1)
@BOTH
@pytest.mark.parametrize("sigma", [0.3, 2.0])
def test_the_loss_of_the_exact_score_is_what_scipy_integrates(ours, sigma):
    integrate = pytest.importorskip("scipy.integrate", reason="scipy is the oracle")
    pair = Mixture(torch.tensor([[-1.0], [2.0]]), torch.tensor([0.5, 0.2]), torch.tensor([0.3, 0.7]))
    smoothed = density(pair, sigma)

    def squared(x):
        at = torch.tensor([[x]], dtype=torch.float64, requires_grad=True)
        log = smoothed.log_prob(at)
        return float(log.detach().exp() * torch.autograd.grad(log.sum(), at)[0].square())

    # sigma² |s* + z/sigma|² has the mean D - sigma² E|s*|², for E[s* z] = -sigma E|s*|²
    expected = (1 - sigma**2 * integrate.quad(squared, -14, 14, limit=200)[0]) / 2
    x0, z = pair.sample(200_000, torch.Generator().manual_seed(0))[0], drawn(200_000, 1, seed=1)
    given = (pair.means, pair.variances, pair.weights)
    loss = ours.dsm_loss(
        lambda x, level: ours.gmm_score(x, level, *given), x0, torch.full((200_000,), sigma, dtype=torch.float64), z
    )
    assert float(loss.mean()) == pytest.approx(expected, abs=4 * float(loss.std()) / 200_000**0.5)


@BOTH
def test_the_denoised_point_and_noise_are_the_posterior_means_of_the_mixture(ours, crowd):
    x, sigma = 3 * drawn(5, 3, seed=3), torch.tensor([0.2, 0.7, 1.5, 4.0, 9.0], dtype=torch.float64)
    clean, noise = ours.tweedie(x, sigma, crowd.ve(sigma).score(x))
    torch.testing.assert_close(clean, crowd.denoise(x, sigma), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(clean + sigma[:, None] * noise, x, rtol=1e-10, atol=1e-10)


@pytest.mark.sample(1)
@BOTH
@pytest.mark.parametrize(("step", "variance"), [(0.4, 0.9), (3.0, 1.0), (1.9, 0.5)])
def test_the_settled_variance_is_where_a_long_walk_ends(ours, step, variance):
    unit = torch.eye(2, dtype=torch.float64)[:, :1]
    walkers = 0.3
    for _ in range(400):
        kept, added = ours.langevin(lambda x: -x / variance, unit, step, unit.flip(0)[None])[:, 0].square().tolist()
        walkers = kept * walkers + added
    assert ours.settled_variance(step, variance) == pytest.approx(walkers, rel=1e-9)


@BOTH
def test_walkers_explode_from_four_times_the_variance_on(ours):
    assert ours.settled_variance(2.0, 0.5) == math.inf
    assert ours.settled_variance(1.999, 0.5) < math.inf


def test_a_network_trained_on_two_points_has_their_score():
    class Line(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.points = torch.nn.Parameter(torch.tensor([[0.1], [-0.2]]))

        def forward(self, x, sigma):
            even = torch.full((2,), 0.5)
            return reference.gmm_score(x, sigma, self.points, torch.zeros(2), even)

    model, data = Line(), torch.tensor([[1.5], [-0.5], [-0.5], [1.5]])
    generator = torch.Generator().manual_seed(0)
    exercises.train_scores(model, data, torch.tensor([1.0, 0.3]), 300, 32, 0.05, generator)
    torch.testing.assert_close(model.points.detach(), torch.tensor([[1.5], [-0.5]]), rtol=0, atol=0.05)


def test_exercises_and_reference_walk_the_same_way():
    score = experiment.two_modes(reference.gmm_score)
    sigmas, noise, x = reference.sigma_ladder(20.0, 1.0, 4), drawn(4, 5, 6, 2), 4 * drawn(6, 2, seed=1)
    ends = [ours.annealed_langevin(score, x, sigmas, 0.1, noise) for ours in (exercises, reference)]
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-10, atol=1e-10)


def test_the_sampler_for_many_walkers_is_annealed_langevin_with_noise_drawn_on_the_way():
    for dtype in [torch.float32, torch.float64]:
        score = reference.mixture_score(unequal_pair(), "cpu", dtype)
        sigmas, x = reference.sigma_ladder(20.0, 1.0, 3), drawn(5, 2).to(dtype)
        found = reference.anneal(score, x, sigmas, 0.1, 4, torch.Generator().manual_seed(4))
        generator = torch.Generator().manual_seed(4)
        noise = torch.stack([torch.randn(5, 2, dtype=dtype, generator=generator) for _ in range(12)]).view(3, 4, 5, 2)
        expected = reference.annealed_langevin(score, x, sigmas.to(dtype), 0.1, noise)
        assert found.dtype == dtype
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")  # torch's compiler of its own modules
def test_a_compiled_sampler_walks_as_an_eager_one():
    score = reference.mixture_score(unequal_pair(), "cpu")
    sigmas, x = reference.sigma_ladder(20.0, 1.0, 3), drawn(64, 2).float()
    ends = [
        reference.anneal(score, x, sigmas, 0.1, 4, torch.Generator().manual_seed(4), compiled)
        for compiled in (False, True)
    ]
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-3, atol=1e-3)


@pytest.mark.heavy
def test_walkers_are_timed_for_each_number_of_them():
    timed = dict(reference.walkers_per_second(unequal_pair(), SMOKE, counts=(16, 32)))
    assert set(timed) == {16, 32}
    assert min(timed.values()) > 0


def test_the_height_of_the_barrier_is_that_of_the_log_density():
    found = exact.sight(reference.gmm_score, profile=SMOKE)
    for sigma in (1.0, 3.0, 5.0):
        line = torch.linspace(-5.0, 5.0, 4001, dtype=torch.float64).unsqueeze(-1).expand(-1, 2)
        log = density(Mixture([[-5.0, -5.0], [5.0, 5.0]], torch.zeros(2), torch.tensor([0.2, 0.8])), sigma).log_prob(
            line
        )
        expected = float((log.cummax(0).values - log)[: int(log.argmax()) + 1].max())
        assert found.height[sigma] == pytest.approx(expected, abs=1e-2)
    assert found.height[20.0] == 0


def test_a_network_s_scores_grow_as_one_over_sigma_and_leave_the_random_state_alone():
    state = torch.get_rng_state()
    net = score_net(5.0, 0)
    assert torch.equal(torch.get_rng_state(), state)
    x, sigma = drawn(4, 2).float(), torch.tensor([0.5, 1.0, 2.0, 20.0])
    found = net(x, sigma)
    scaled = torch.cat([x / (25 + sigma[:, None] ** 2).sqrt(), sigma[:, None].log()], -1)
    torch.testing.assert_close(found * sigma[:, None], net.net(scaled))


def test_a_network_of_digits_scales_by_its_level_and_leaves_the_random_state_alone():
    state = torch.get_rng_state()
    net = DigitScores(reference.sigma_ladder(10.0, 0.1, 5), 3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.nn.init.ones_(net.unet.leave[-1].bias)
    x, sigma = drawn(3, 1, 8, 8).float(), torch.tensor([10.0, 1.05, 0.1])
    asked = []
    net.unet.register_forward_pre_hook(lambda module, given: asked.append(given))
    torch.testing.assert_close(net(x, sigma), torch.ones(3, 1, 8, 8) / sigma.view(-1, 1, 1, 1))
    assert asked[0][1].tolist() == [0, 2, 4]
    torch.testing.assert_close(asked[0][0][1], x[1] / math.sqrt(0.85**2 + 1.05**2))


def test_a_digit_is_nearest_to_itself():
    unseen = split()[1].images[:5]
    assert nearest(unseen) == pytest.approx(0, abs=1e-2)
    assert nearest(torch.full((2, 1, 8, 8), 3.0)) > 20


def test_exact_claims_hold_at_smoke_and_experiments_leave_the_random_state_and_the_threads_alone():
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    topic = load_catalogue()["ncsn"]
    for run, judged in experiments(topic):
        result = run_experiment(topic, run, SMOKE, 3)
        assert False not in [claim.holds(claim.measure(result), SMOKE) for claim in judged if claim.judged_at(SMOKE)]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads


def test_a_walk_level_by_level_ends_where_the_whole_ladder_does():
    score = experiment.two_modes(reference.gmm_score)
    sigmas, noise, x = reference.sigma_ladder(20.0, 1.0, 4), drawn(4, 3, 5, 2), 4 * drawn(5, 2, seed=1)
    frames = experiment.level_by_level(reference.annealed_langevin, score, x, sigmas, 0.1 * sigmas**2, noise)
    assert frames.shape == (5, 5, 2)
    expected = reference.annealed_langevin(score, x, sigmas, 0.1, noise)
    torch.testing.assert_close(frames[-1], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.sample(1)
@pytest.mark.parametrize("wrong", ["no ladder at all", "every other step"])
def test_a_sampler_that_skips_its_work_is_wrong(wrong):
    def lazy(score, x, sigmas, step, noise):
        if wrong == "no ladder at all":
            return reference.annealed_langevin(score, x, sigmas[-1:], step, noise[-1:])
        return reference.annealed_langevin(score, x, sigmas, step, noise[:, ::2])

    assert check("ncsn", exercises.annealed_langevin, lazy).outcome == "wrong"


def test_the_whole_sampler_in_one_function_is_right():
    def by_hand(score, x, sigmas, step, noise):
        walkers = torch.empty_like(x).copy_(x)
        for level in range(noise.shape[0]):
            size = float(step) * float(sigmas[level] / sigmas[-1]) ** 2
            for number in range(noise.shape[1]):
                told = torch.ones(len(x), dtype=x.dtype) * sigmas[level]
                walkers = walkers + 0.5 * size * score(walkers, told) + math.sqrt(size) * noise[level, number]
        return walkers

    assert check("ncsn", exercises.annealed_langevin, by_hand).outcome == "right"


def test_the_lesson_s_widget_has_the_mixture_of_figure_3():
    widgets = pytest.importorskip("studium_widgets")
    shown = widgets.ParticleField.mountain_pass()
    pair = unequal_pair()
    assert torch.equal(torch.tensor(shown.means).double(), pair.means)
    assert shown.weights.tolist() == pytest.approx(pair.weights.tolist())
