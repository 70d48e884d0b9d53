import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from studium_topics.kits import mixture as kit
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

ABAR = torch.tensor([0.98, 0.5, 0.03], dtype=torch.float64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def lopsided(dimension=3):
    """Four modes that differ in everything, in three classes."""
    means = torch.randn(4, dimension, dtype=torch.float64, generator=generator(1))
    return kit.Mixture(means, [0.3, 0.05, 1.2, 0.4], [0.1, 0.2, 0.3, 0.4], [0, 1, 1, 2])


def torch_mixture(m, scale=1.0, noise=0.0):
    spread = (scale**2 * m.variances + noise).sqrt().unsqueeze(-1).expand_as(m.means)
    return MixtureSameFamily(Categorical(m.weights), Independent(Normal(scale * m.means, spread), 1))


def gradient(log_density, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(log_density(x).sum(), x)[0]


def points(n=7, dimension=3, seed=3):
    return 2 * torch.randn(n, dimension, dtype=torch.float64, generator=generator(seed))


def test_a_vp_marginal_is_the_mixture_that_torch_builds_from_shrunk_means_and_mixed_variances():
    for abar in [1.0, 0.7, 0.01, 0.0]:
        m, x = lopsided(), points()
        torch.testing.assert_close(m.vp(abar).log_prob(x), torch_mixture(m, math.sqrt(abar), 1 - abar).log_prob(x))


def test_a_ve_marginal_is_the_mixture_that_torch_builds_from_added_variance():
    for sigma in [0.0, 0.5, 20.0]:
        m, x = lopsided(), points()
        torch.testing.assert_close(m.ve(sigma).log_prob(x), torch_mixture(m, 1.0, sigma**2).log_prob(x))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 9), st.floats(0.001, 0.999), st.integers(0, 2**31))
def test_the_score_is_the_gradient_of_the_log_density_that_torch_computes(dimension, modes, abar, seed):
    g = generator(seed)
    means = torch.randn(modes, dimension, dtype=torch.float64, generator=g)
    variances = torch.rand(modes, dtype=torch.float64, generator=g) + 0.01
    m = kit.Mixture(means, variances, torch.rand(modes, dtype=torch.float64, generator=g).softmax(0))
    x = points(5, dimension, seed)
    expected = gradient(torch_mixture(m, math.sqrt(abar), 1 - abar).log_prob, x)
    torch.testing.assert_close(m.vp(abar).score(x), expected, rtol=1e-9, atol=1e-9)


def test_the_score_stays_finite_and_right_a_thousand_away():
    m, x = kit.ring(), torch.tensor([[1e3, -1e3]], dtype=torch.float64)
    torch.testing.assert_close(m.score(x), gradient(torch_mixture(m).log_prob, x))


def test_responsibilities_are_the_posterior_over_components():
    m, x = lopsided(), points()
    joint = m.weights * torch_mixture(m).component_distribution.log_prob(x.unsqueeze(1)).exp()
    torch.testing.assert_close(m.responsibilities(x), joint / joint.sum(-1, keepdim=True))


def test_class_log_probabilities_follow_bayes_rule():
    m, x = lopsided(), points()
    prior = torch.tensor([0.1, 0.5, 0.4], dtype=torch.float64)
    joint = torch.stack([p * m.given(y).log_prob(x).exp() for y, p in enumerate(prior)], -1)
    torch.testing.assert_close(m.class_log_prob(x).exp(), joint / joint.sum(-1, keepdim=True))


def test_the_class_gradient_is_the_gradient_of_the_class_log_probability():
    m, x, y = lopsided().vp(0.4), points(), torch.tensor([0, 1, 2, 1, 1, 0, 2])
    expected = gradient(lambda x: m.class_log_prob(x).gather(1, y.unsqueeze(1)), x)
    torch.testing.assert_close(m.class_gradient(x, y), expected)


def test_the_class_score_is_the_gradient_of_the_density_restricted_to_that_class():
    m, x = lopsided(), points()
    second = kit.Mixture(m.means[1:3], m.variances[1:3], [0.4, 0.6])
    torch.testing.assert_close(m.class_score(x, 1), gradient(torch_mixture(second).log_prob, x))


def test_the_mean_denoised_point_agrees_with_numerical_integration():
    m = kit.Mixture([[-1.0], [2.0]], [0.2, 0.5], [0.3, 0.7])
    grid = torch.linspace(-9, 9, 20001, dtype=torch.float64)
    for abar, at in [(0.9, 0.7), (0.3, -0.4), (0.02, 2.5)]:
        likelihood = Normal(math.sqrt(abar) * grid, math.sqrt(1 - abar)).log_prob(torch.tensor(at))
        weight = (torch_mixture(m).log_prob(grid.unsqueeze(1)) + likelihood).softmax(0)
        assert m.x0(torch.tensor([[at]]), abar).item() == pytest.approx(float(weight @ grid), abs=1e-9)


def test_noise_levels_and_classes_may_differ_by_row():
    m, x, abar = lopsided(), points(3), ABAR
    rebuilt = abar.sqrt()[:, None] * m.x0(x, abar) + (1 - abar).sqrt()[:, None] * m.eps(x, abar)
    torch.testing.assert_close(rebuilt, x)
    m, x, y = lopsided(), points(3), torch.tensor([1, 0, 2])
    for together in (m.eps, m.x0):
        alone = torch.cat([together(x[i : i + 1], float(ABAR[i]), int(y[i])) for i in range(3)])
        torch.testing.assert_close(together(x, ABAR, y), alone)


def test_ve_denoising_moves_the_point_by_the_variance_times_the_score_of_the_marginal():
    m, x, sigma = lopsided(), points(2), torch.tensor([0.1, 3.0], dtype=torch.float64)
    moved = torch.stack(
        [row + s**2 * gradient(m.ve(s).log_prob, row[None])[0] for row, s in zip(x, sigma, strict=True)]
    )
    torch.testing.assert_close(m.denoise(x, sigma), moved)


def test_one_gaussian_has_the_noise_predictor_of_the_textbook():
    x, mean = points(4, 2), torch.tensor([1.0, -2.0], dtype=torch.float64)
    for abar in ABAR.tolist():
        expected = math.sqrt(1 - abar) * (x - math.sqrt(abar) * mean) / (abar * 0.25 + 1 - abar)
        torch.testing.assert_close(kit.gaussian([1.0, -2.0], 0.25).eps(x, abar), expected)


def test_the_noise_predictor_takes_a_timestep_or_one_for_each_row():
    m, x = lopsided(), points(3)
    model = m.noise_predictor(ABAR, y=1)
    torch.testing.assert_close(model(x, 2), m.eps(x, 0.03, 1))
    torch.testing.assert_close(model(x, torch.tensor([2, 0, 1])), m.eps(x, ABAR[[2, 0, 1]], 1))


def test_without_signal_the_best_denoiser_says_the_mean_of_the_data():
    m, x = lopsided(), points()
    torch.testing.assert_close(m.x0(x, 0.0), (m.weights @ m.means).expand_as(x))


def test_point_masses_are_denoised_to_the_nearest_point_when_little_noise_is_left():
    data = points(20, 2)
    near = data + 1e-3
    torch.testing.assert_close(kit.point_masses(data).x0(near, 1 - 1e-8), data, atol=1e-6, rtol=0)


def test_samples_have_the_weights_means_and_spreads_that_were_asked_for():
    m = lopsided()
    x, component = m.sample(40_000, generator())
    share = component.bincount(minlength=4) / len(x)
    torch.testing.assert_close(share.double(), m.weights, atol=0.01, rtol=0)
    for k in range(4):
        offset = x[component == k] - m.means[k]
        torch.testing.assert_close(offset.mean(0), torch.zeros(3).double(), atol=0.06, rtol=0)
        assert offset.var().item() == pytest.approx(m.variances[k].item(), rel=0.05)


def test_samples_given_classes_are_of_these_and_sampling_repeats_with_its_generator():
    m, y = lopsided(), torch.arange(3).repeat(50)
    _, component = m.sample(150, generator(), y)
    assert torch.equal(m.classes[component], y)
    state = torch.get_rng_state()
    first, second = (kit.ring().sample(50, generator(5))[0] for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


def test_float32_points_are_read_as_float64():
    m, x = kit.ring(), points(4, 2).float()
    assert m.score(x).dtype == torch.float64
    torch.testing.assert_close(m.score(x), m.score(x.double()))


def test_ready_made_mixtures_keep_full_precision_and_a_ring_puts_neighbours_in_one_class():
    assert kit.ring(std=0.1).variances.tolist() == [0.1**2] * 8
    assert kit.two_classes(distance=0.2).means.tolist() == [[-0.1, 0.0], [0.1, 0.0]]
    assert kit.Mixture(torch.zeros(3, 2), torch.ones(3)).weights.tolist() == [1 / 3] * 3
    assert kit.unequal_pair().weights.tolist() == [0.2, 0.8]
    assert kit.ring(classes=4).classes.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_the_perfect_classifier_of_the_guidance_ring_is_right_for_94_percent():
    m = kit.ring(std=0.35, classes=4)
    x, component = m.sample(20_000, generator())
    right = (m.class_log_prob(x).argmax(-1) == m.classes[component]).double().mean()
    assert right.item() == pytest.approx(0.941, abs=0.007)


def test_energy_distance_is_the_mean_of_scipy_distances():
    x, y = points(40, 3, 1), points(30, 3, 2)
    expected = 2 * cdist(x, y).mean() - cdist(x, x).mean() - cdist(y, y).mean()
    assert kit.energy_distance(x, y) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(1, 6), st.integers(0, 2**31))
def test_energy_distance_is_symmetric_never_negative_and_zero_for_the_same_sample(n, m, dimension, seed):
    x, y = points(n, dimension, seed), points(m, dimension, seed + 1)
    assert kit.energy_distance(x, y) == pytest.approx(kit.energy_distance(y, x), abs=1e-12)
    assert kit.energy_distance(x, y) >= -1e-12
    assert kit.energy_distance(x, x.flip(0)) == pytest.approx(0, abs=1e-12)


def test_spread_and_on_mode_fraction_are_those_of_true_samples_and_react_to_what_they_measure():
    m = kit.ring()
    x, _ = m.sample(20_000, generator())
    assert kit.within_mode_std(x, m) == pytest.approx(1, abs=0.01)
    assert kit.on_mode_fraction(x, m) == pytest.approx(1 - math.exp(-4.5), abs=0.003)
    m = kit.ring()
    x, component = m.sample(5000, generator())
    tight = m.means[component] + 0.5 * (x - m.means[component])
    assert kit.within_mode_std(tight, m) == pytest.approx(0.5, abs=0.01)
    astray = torch.cat([x[:4000], torch.zeros(1000, 2)])
    assert kit.on_mode_fraction(astray, m) == pytest.approx(0.8 * 0.989, abs=0.005)


def test_ancestral_sampling_with_the_perfect_predictor_ends_with_the_spread_that_the_recursion_predicts():
    """The affine recursion V <- a^2 V + sigma^2, in numpy, predicts what the sampler does to N(m, s2 I)."""
    steps, m = 200, kit.gaussian([0.3, -0.2], 0.01)
    betas = np.linspace(1e-4, 0.02, steps) * 1000 / steps
    abar = np.cumprod(1 - betas)
    model = m.noise_predictor(torch.from_numpy(abar))
    g, variance = generator(), 1.0
    x = torch.randn(20_000, 2, dtype=torch.float64, generator=g)
    for t in reversed(range(steps)):
        tilde = betas[t] * (1 - abar[t - 1]) / (1 - abar[t]) if t else 0.0
        x = (x - betas[t] / np.sqrt(1 - abar[t]) * model(x, t)) / np.sqrt(1 - betas[t])
        x = x + math.sqrt(tilde) * torch.randn(x.shape, dtype=torch.float64, generator=g)
        shrink = (1 - betas[t] / (abar[t] * 0.01 + 1 - abar[t])) / np.sqrt(1 - betas[t])
        variance = shrink**2 * variance + tilde
    assert variance / 0.01 == pytest.approx(0.764, abs=0.001)
    assert kit.within_mode_std(x, m) ** 2 == pytest.approx(variance / 0.01, rel=0.02)


def test_moving_a_mixture_keeps_every_field():
    m = lopsided().to("cpu")
    torch.testing.assert_close(m.means, lopsided().means)
    assert m.classes.tolist() == [0, 1, 1, 2]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_mixture_on_cuda_gives_the_numbers_of_the_cpu():
    m, x = lopsided(), points()
    there = m.to("cuda")
    torch.testing.assert_close(there.eps(x.cuda(), 0.3, 1).cpu(), m.eps(x, 0.3, 1))
    assert there.sample(5, generator())[0].is_cuda


def test_a_wrong_argument_is_answered_by_one_sentence():
    for make, message in [
        (lambda: kit.Mixture(torch.zeros(3), torch.ones(3)), r"means needs shape \(K, D\), got \(3,\)"),
        (lambda: kit.Mixture(torch.zeros(3, 2), torch.ones(2)), "variances needs one number for each of the 3 means"),
        (lambda: kit.Mixture(torch.zeros(2, 2), [1, -1]), "variances need to be 0 or more, got -1"),
        (lambda: kit.Mixture(torch.zeros(2, 2), [1, 1], [0.5, 0.6]), "weights need to be 0 or more and sum to 1"),
        (lambda: kit.Mixture(torch.zeros(2, 2), [1, 1], classes=[0, 2]), "classes need to use every number"),
        (lambda: kit.ring(modes=8, classes=3), "modes needs to be a multiple of classes"),
        (lambda: kit.ring().score(torch.zeros(4, 3)), "x needs 2 coordinates"),
        (lambda: kit.ring().vp(1.5), r"abar needs to lie in \[0, 1\], got 1.5 to 1.5"),
        (lambda: kit.ring().given(1), "y needs to be a class from 0 to 0"),
        (lambda: kit.point_masses(torch.zeros(1, 2)).score(torch.zeros(1, 2)), "a density needs variances above 0"),
        (lambda: kit.energy_distance(torch.zeros(3), torch.zeros(3)), "energy_distance needs"),
    ]:
        with pytest.raises(ValueError, match=message):
            make()
