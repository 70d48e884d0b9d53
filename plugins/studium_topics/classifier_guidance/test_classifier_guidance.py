"""The exercises and the reference against PyTorch, diffusers and scipy, the experiments, and what the lesson says."""

import math

import pytest
import torch
from studium import Profile
from studium.exercises.checking import check

from studium_topics.classifier_guidance import exercises, experiment, figures, reference
from studium_topics.classifier_guidance.digits import DigitJudge, ExactDigits, digit_mixture
from studium_topics.classifier_guidance.networks import seeded
from studium_topics.classifier_guidance.sampling import Ddpm
from studium_topics.kits import training
from studium_topics.kits.diffusion import linear_betas
from studium_topics.kits.mixture import ring

SMOKE = Profile("smoke")
AT_NIGHT = pytest.param(exercises, id="exercises", marks=pytest.mark.heavy)  # has tests of its own
BOTH = pytest.mark.parametrize("ours", [AT_NIGHT, pytest.param(reference, id="reference")])
EXACT = {"rtol": 1e-9, "atol": 1e-9}


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads on a busy machine wait for each other longer than they compute."""
    with training.one_thread():
        yield


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def schedulers():
    return pytest.importorskip("diffusers.schedulers", reason="diffusers is the oracle")


@pytest.fixture(scope="module")
def net():
    """A classifier with random weights, in float64: 6 pixels, 5 classes, 20 timesteps."""
    return seeded(3, 6, 5, 20, width=16).double().eval()


@BOTH
def test_the_loss_is_the_cross_entropy_of_what_diffusers_noised(ours, schedulers, net):
    for shape in [(4, 6), (3, 1, 2, 3)]:
        betas = linear_betas(20)
        scheduler = schedulers.DDPMScheduler(20, trained_betas=betas.numpy())
        x0, eps = drawn(*shape), drawn(*shape, seed=1)
        t, y = torch.tensor([0, 19, 7, 3])[: len(x0)], torch.tensor([4, 0, 2, 2])[: len(x0)]
        expected = torch.nn.functional.cross_entropy(net(scheduler.add_noise(x0, eps, t), t), y)
        found = ours.noisy_classifier_loss(net, x0, y, t, eps, (1 - betas).cumprod(0))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@BOTH
def test_the_gradient_is_that_of_torch_func_row_by_row(ours, net):
    x, t, y = drawn(7, 6), torch.arange(7), torch.tensor([0, 1, 2, 3, 4, 0, 1])

    def log_p(x, t, y):
        return net(x[None], t[None]).log_softmax(-1)[0].gather(0, y[None])[0]

    expected = torch.func.vmap(torch.func.grad(log_p))(x, t, y)
    with torch.no_grad():
        torch.testing.assert_close(ours.class_gradient(net, x, t, y), expected.detach(), **EXACT)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_the_reference_differentiates_a_bfloat16_classifier_and_works_in_inference_mode(net):
    x, t, y = drawn(7, 6), torch.arange(7), torch.tensor([0, 1, 2, 3, 4, 0, 1])
    expected = reference.class_gradient(net, x, t, y)
    half = seeded(3, 6, 5, 20, width=16).bfloat16()
    with torch.inference_mode():
        found = reference.class_gradient(lambda x, t: half(x.bfloat16(), t), x.float(), t, y)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=0.1, atol=0.02)


@BOTH
def test_the_exact_classifier_is_that_of_torch_distributions(ours):
    mixture = ring(std=0.35, classes=4).vp(0.6)
    x, y = drawn(40, 2), torch.arange(40) % 4

    def classifier(x, _t):
        joint = []
        for k in range(4):
            of = mixture.classes == k
            parts = torch.distributions.Independent(
                torch.distributions.Normal(mixture.means[of], mixture.variances[of].sqrt()[:, None].expand(-1, 2)), 1
            )
            chosen = torch.distributions.Categorical(mixture.weights[of])
            joint.append(torch.distributions.MixtureSameFamily(chosen, parts).log_prob(x))
        return torch.stack(joint, 1)  # classes are equally likely

    found = ours.class_gradient(classifier, x, torch.zeros(40, dtype=torch.long), y)
    torch.testing.assert_close(found, mixture.class_gradient(x, y), **EXACT)


@BOTH
def test_a_guided_prediction_has_the_guided_score(ours):
    betas, eps, gradient = linear_betas(30), drawn(4, 3), drawn(4, 3, seed=1)
    noise = (1 - (1 - betas).cumprod(0)).sqrt()
    for t in (0, 12, 29):
        found = ours.guide_eps(eps, gradient, t, betas, 2.5)
        torch.testing.assert_close(-found / noise[t], -eps / noise[t] + 2.5 * gradient, **EXACT)


@BOTH
def test_a_guided_step_is_the_normal_distribution_of_torch_tilted(ours):
    mean, gradient, z = drawn(4, 3), drawn(4, 3, seed=1), drawn(4, 3, seed=2)
    variance = drawn(4, 3, seed=3).square()
    found = ours.guided_step(mean, variance, gradient, 1.5, z)
    grid = mean + torch.linspace(-9, 9, 4001, dtype=torch.float64).view(-1, 1, 1)
    log = torch.distributions.Normal(mean, variance.sqrt()).log_prob(grid) + 1.5 * gradient * grid
    middle = (log.softmax(0) * grid).sum(0)
    torch.testing.assert_close(found, middle + variance.sqrt() * z, rtol=1e-3, atol=1e-3)


@pytest.mark.sample(1)
@BOTH
@pytest.mark.parametrize("name", ["DDPMScheduler", "DDIMScheduler"])
def test_guided_sampling_is_that_of_a_scheduler_of_diffusers_with_the_conditional_prediction(ours, schedulers, name):
    mixture, betas = ring(std=0.35, classes=4), linear_betas(25)
    abar, y = (1 - betas).cumprod(0), torch.tensor([0, 3, 1, 2, 2])
    scheduler = getattr(schedulers, name)(25, trained_betas=betas.numpy(), clip_sample=False)
    scheduler.set_timesteps(25)
    random = [torch.Generator().manual_seed(4) for _ in range(2)]

    def step(generator):
        return lambda eps, x, t, z: scheduler.step(eps, t, x, generator=generator).prev_sample

    def classifier(x, t):
        return mixture.vp(abar[t]).class_log_prob(x)

    start, noise = drawn(5, 2), torch.zeros(25, 5, 2, dtype=torch.float64)
    model = mixture.noise_predictor(abar)
    found = ours.guided_sample(model, classifier, step(random[0]), start, y, 1.0, betas, noise)[-1]
    x = start
    for t in scheduler.timesteps.tolist():
        x = step(random[1])(mixture.eps(x, abar[t], y), x, t, None)
    torch.testing.assert_close(found, x, rtol=1e-5, atol=1e-6)


def test_the_step_of_the_topic_is_that_of_diffusers(schedulers):
    ddpm = Ddpm(linear_betas(50))
    scheduler = schedulers.DDPMScheduler(50, trained_betas=ddpm.betas.numpy(), clip_sample=False)
    eps, x = drawn(3, 2), drawn(3, 2, seed=1)
    for t in (49, 20, 1, 0):
        theirs = scheduler.step(eps, t, x, generator=torch.Generator().manual_seed(7)).prev_sample
        torch.testing.assert_close(ddpm.step(eps, x, t, drawn(3, 2, seed=7)), theirs, rtol=1e-4, atol=1e-5)


@BOTH
def test_the_report_is_that_of_sklearn_and_scipy(ours):
    metrics = pytest.importorskip("sklearn.metrics")
    distance = pytest.importorskip("scipy.spatial.distance", reason="scipy is the oracle")
    x, y, scores = drawn(60, 1, 2, 3), torch.arange(60) % 7, drawn(60, 7, seed=1)
    accuracy, diversity = ours.class_report(x, y, lambda x: scores, None)
    assert accuracy == pytest.approx(metrics.accuracy_score(y.numpy(), scores.numpy().argmax(1)))
    gaps = [gap for k in range(7) for gap in distance.pdist(x[y == k].flatten(1).numpy())]
    assert diversity == pytest.approx(sum(gaps) / len(gaps))
    with pytest.raises(ValueError, match="judge"):
        ours.class_report(x, y, DigitJudge, DigitJudge)


def test_the_noise_of_one_step_as_the_factor_is_told():
    def copied(eps, gradient, t, betas, s):
        sigma_t = betas[t] ** 0.5
        return eps - s * sigma_t * gradient

    result = check("classifier-guidance", exercises.guide_eps, copied)
    assert result.mistake_id == "classifier-guidance.guide_eps:one-step-noise"
    assert result.points == 0


@BOTH
def test_the_training_loop_is_that_of_the_kit(ours):
    """With a constant rate, the loop of `kits.training` takes the same steps of Adam."""
    images, labels, abar = drawn(30, 1, 2, 3).float(), torch.arange(30) % 5, (1 - linear_betas(20)).cumprod(0)
    mine, theirs = (seeded(3, 6, 5, 20, width=16) for _ in range(2))

    def loss(generator):
        chosen = torch.randint(30, (8,), generator=generator)
        t = torch.randint(20, (8,), generator=generator)
        eps = torch.randn(8, 1, 2, 3, generator=generator)
        return ours.noisy_classifier_loss(theirs, images[chosen], labels[chosen], t, eps, abar)

    expected = training.train(theirs, loss, 12, 2e-3, schedule="constant", seed=4, quiet=True)
    found = ours.train_classifier(mine, images, labels, abar, 12, 8, 2e-3, torch.Generator().manual_seed(4))
    assert found == pytest.approx(expected, rel=1e-5)
    assert not any(parameter.requires_grad for parameter in mine.parameters())
    for ours_now, theirs_now in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours_now, theirs_now.detach(), rtol=1e-4, atol=1e-5)


@BOTH
def test_each_frame_of_the_film_leads_to_the_next(ours, net):
    betas, start, noise = linear_betas(20), drawn(4, 6), drawn(20, 4, 6, seed=1)
    ddpm, y = Ddpm(betas), torch.tensor([4, 0, 2, 1])
    film = ours.guided_sample(lambda x, t: 0.3 * x, net, ddpm.step, start, y, 2.0, betas, noise)
    assert film.shape == (21, 4, 6)
    for frame, t in enumerate(reversed(range(20))):
        gradient = ours.class_gradient(net, film[frame], torch.full((4,), t), y)
        guided = ours.guide_eps(0.3 * film[frame], gradient, t, betas, 2.0)
        torch.testing.assert_close(film[frame + 1], ddpm.step(guided, film[frame], t, noise[t]), **EXACT)


def test_gradients_left_in_the_classifier_are_told():
    def careless(classifier, x, t, y):
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            classifier(x, t).log_softmax(-1).gather(1, y[:, None]).sum().backward()
        return x.grad

    failing = [
        test for test in check("classifier-guidance", exercises.class_gradient, careless).tests if not test.passed
    ]
    assert [test.message for test in failing] == [
        "no gradient may be left in the classifier's weights: ask for that of x alone"
    ]


def exact(ours, profile=SMOKE, seed=0):
    return experiment.exact_guidance(
        ours.guided_step, ours.guided_sample, ours.class_report, profile=profile, seed=seed
    )


@pytest.fixture(scope="module")
def small():
    return exact(reference)


def test_the_exact_experiment_is_the_same_with_the_exercises(small):
    ours = exact(exercises)
    for s, cloud in small.scales.items():
        torch.testing.assert_close(ours.scales[s].samples, cloud.samples, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(ours.mean_form.samples, small.mean_form.samples, rtol=1e-6, atol=1e-6)
    assert ours.mistakes.keys() == small.mistakes.keys()


def test_guidance_raises_accuracy_and_takes_spread_away(small):
    accuracies = [cloud.accuracy for cloud in small.scales.values()]
    assert accuracies == sorted(accuracies)
    assert small.scales[10.0].spread < small.scales[1.0].spread < small.scales[0.0].spread
    assert small.path_gap < 1e-6
    assert small.mistakes["sign flipped"].accuracy < 0.15


def test_a_claim_that_needs_no_chance_holds_at_smoke(small):
    forms = experiment.two_forms(reference.guide_eps, reference.guided_step, profile=SMOKE)
    results = {experiment.two_forms: forms, experiment.exact_guidance: small}
    for claim in [c for c in experiment.claims if c.holds_from == "smoke"]:
        result = results[claim.experiment]
        assert claim.holds(claim.measure(result), SMOKE)


def test_both_forms_differ_by_the_root_of_alpha():
    forms = experiment.two_forms(reference.guide_eps, reference.guided_step, profile=SMOKE)
    for steps, gap in forms.beta.items():
        assert gap == pytest.approx(float((1 - (1 - linear_betas(steps)).sqrt()).mean()), rel=1e-6)


def test_the_judge_in_the_plane_agrees_with_the_exact_classifier_of_clean_points():
    mixture, betas = ring(std=0.35, classes=4), linear_betas(25)
    bench = experiment.Bench(mixture, Ddpm(betas), drawn(1, 2), drawn(25, 1, 2), 0, None, None)
    x, component = mixture.sample(2000, torch.Generator().manual_seed(0))
    same = bench.judge(x).argmax(1) == mixture.class_log_prob(x).argmax(1)
    assert float(same.double().mean()) > 0.999
    assert 0.92 < float((bench.judge(x).argmax(1) == mixture.classes[component]).double().mean()) < 0.96


def test_the_learned_experiment_runs_at_smoke_and_leaves_the_random_state_alone():
    state = torch.get_rng_state()
    blocks = ("noisy_classifier_loss", "class_gradient", "guided_sample", "class_report")
    result = experiment.learned_guidance(*(getattr(exercises, name) for name in blocks), profile=SMOKE)
    assert torch.equal(torch.get_rng_state(), state)
    assert tuple(result.runs) == experiment.GUIDES
    assert all(tuple(runs) == experiment.SCALES[1:] for runs in result.runs.values())
    assert result.real.images.shape == (20, 64)
    images, names = figures.digit_rows(result, experiment.GUIDES[0])
    assert images.shape == (70, 1, 8, 8)
    assert names[::10] == ["real: 0", "unguided: 0", "s = 1: 0", "s = 3: 0", "s = 5: 0", "s = 10: 0", "no model: 0"]
    assert len(figures.trade(result).data) == 4


def test_the_exact_digits_are_those_of_the_mixture():
    mixture, abar = digit_mixture(60), (1 - linear_betas(10)).cumprod(0)
    exact, t = ExactDigits(mixture, abar), torch.tensor([0, 3, 9, 6])
    x = abar[t].sqrt()[:, None] * mixture.means[:4] + (1 - abar[t]).sqrt()[:, None] * drawn(4, 64)
    torch.testing.assert_close(exact.eps(x, t), mixture.eps(x, abar[t]), **EXACT)
    torch.testing.assert_close(exact.classify(x, t), mixture.vp(abar[t]).class_log_prob(x), rtol=1e-8, atol=1e-8)


def test_a_sample_of_the_digit_mixture_looks_like_a_digit_to_the_judge():
    mixture = digit_mixture(300)
    assert mixture.means.shape == (300, 64)
    assert mixture.class_count == 10
    x, component = mixture.sample(300, torch.Generator().manual_seed(0))
    assert float((DigitJudge()(x).argmax(1) == mixture.classes[component]).double().mean()) > 0.9


def test_the_figures_show_real_points_and_every_scale(small):
    made = figures.clouds(small, ring(std=0.35, classes=4))
    assert len(made.data) == 2 * (1 + len(experiment.SCALES))
    lines = figures.sizes(linear_betas(200)).data
    assert lines[0].y[0] == pytest.approx(lines[1].y[0])
    assert 4 < lines[0].y[100] / lines[1].y[100] < 4.6  # as the lesson says


@pytest.mark.heavy
def test_a_step_is_timed_on_the_cpu():
    for way in ["none", "classifier", "classifier-free"]:
        seconds = reference.step_seconds(way, device="cpu", pixels=12, batch=2, width=32, steps=1, dtype=torch.float32)
        assert math.isfinite(seconds)
        assert seconds > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_guidance_on_cuda_is_that_on_the_cpu():
    on_cpu, on_cuda = (exact(reference, Profile("smoke", device)) for device in ("cpu", "cuda"))
    torch.testing.assert_close(on_cuda.scales[1.0].samples, on_cpu.scales[1.0].samples, rtol=1e-6, atol=1e-6)
    assert reference.step_seconds("classifier", pixels=64, batch=8, width=64, steps=2) > 0


@pytest.mark.heavy
def test_every_claim_holds_at_laptop_size():
    from studium.catalogue.catalogue import load_catalogue
    from studium.experiments.building_blocks import experiments, run_experiment

    laptop, topic = Profile("laptop"), load_catalogue()["classifier-guidance"]
    for run, judged in experiments(topic):
        result = run_experiment(topic, run, laptop, 3)
        assert [claim.holds(claim.measure(result), laptop) for claim in judged] == [True] * len(judged)
