"""DDPM in miniature: what the network should predict, what a sampler does to a variance, and what the loss asks for.

Five experiments, each built from the functions of the exercises:

* `digits`: a small U-Net learns handwritten digits; two judges disagree about what it draws.
* `wrong_samplers`: what a slip in the step does to the energy distance of samples, and to an exact variance.
* `swiss_roll`: predicting eps against predicting x0 and against a network that is not told the time (DDPM, table 2
  and section 3.2), judged by the energy distance between samples and fresh data.
* `gaussian_variances`: for Gaussian data the perfect eps is known and a sampler is linear, so that its final variance
  is exact: sigma^2 = beta suits N(0, I), the posterior's variance suits a point (DDPM, section 3.2).
* `memorisation`: the network that minimises the training loss returns training points.
* `few_steps`: DDIM with few steps on a mixture whose eps is exact, so that nothing but the sampler errs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from studium import Claim, Profile, Published
from torch import Tensor
from torch.nn import Module

from studium_topics.ddpm.mistakes import samplers
from studium_topics.ddpm.networks import PointDenoiser
from studium_topics.ddpm.sampling import Function, Predictor, eps_from_x0, implicit
from studium_topics.kits.diffusion import BATCH, LEARNING_RATE, STEPS, digit_unet
from studium_topics.kits.digits import split
from studium_topics.kits.mixture import energy_distance, on_mode_fraction, point_masses, ring, within_mode_std
from studium_topics.kits.training import one_thread, train

VARIANTS = ("eps", "x0", "no time")


def roll(n: int, generator: torch.Generator) -> Tensor:
    """Draw n points (n, 2) of the swiss roll: a spiral of one turn and a half, about as wide as N(0, I)."""
    turn = 1.5 * math.pi * (1 + 2 * torch.rand(n, generator=generator))
    spiral = torch.stack([turn * turn.cos(), turn * turn.sin()], -1)  # (n, 2)
    return (spiral + 0.3 * torch.randn(n, 2, generator=generator)) / 8


@dataclass(frozen=True)
class Judgement:
    """How far digits are from 898 digits that nothing was trained on, for "real" (training) digits, "network" and
    "Gaussian": `clouds` (n, 1, 8, 8) from a Gaussian with the training digits' mean and covariance.

    `distance[name]` is the energy distance, `gap[name]` the median distance to the nearest of the 898.
    """

    clouds: Tensor = field(repr=False)
    distance: dict[str, float]
    gap: dict[str, float]


def judge_digits(drawn: Tensor, generator: torch.Generator) -> Judgement:
    """Return what two judges say about digits (n, 1, 8, 8) that a network has drawn."""
    training, unseen = (half.images for half in split())
    clouds = _gaussian_clouds(training.flatten(1), len(drawn), generator).view_as(drawn)
    flat = {"real": training.flatten(1), "network": drawn.flatten(1), "Gaussian": clouds.flatten(1)}
    distance = {name: energy_distance(x, unseen.flatten(1)) for name, x in flat.items()}
    gap = {name: _nearest(x, unseen.flatten(1)) for name, x in flat.items()}
    return Judgement(clouds, distance, gap)


@one_thread()
def digits(make_betas: Function, train: Function, sample: Function, *, profile: Profile, seed: int = 0) -> Judgement:
    """Train a U-Net on 899 digits, T = 100, linear schedule, draw 500 digits with the DDPM sampler and judge them.

    Measured at "laptop", seeds 0 to 2: energy distance of the network .042 to .045, of the Gaussian .028 to .035, which
    is nearer although most of its images are no digits; gap 2.81 to 2.82 against 3.60 to 3.63, real digits 2.18.
    25 s of one core a seed, 540 MB.
    """
    betas, generator = make_betas("linear", 100), torch.Generator().manual_seed(seed)
    steps, count = profile.choose(smoke=20, laptop=STEPS, gpu=STEPS), profile.choose(smoke=50, laptop=500, gpu=500)
    model = digit_unet(len(betas), seed=seed)
    train(model, split()[0].images, betas, steps, BATCH, LEARNING_RATE, generator)
    return judge_digits(sample(model, (count, 1, 8, 8), betas, generator)[-1], generator)


def _gaussian_clouds(x: Tensor, n: int, generator: torch.Generator) -> Tensor:
    factor = torch.linalg.cholesky(x.T.cov().double() + 1e-6 * torch.eye(x.shape[1])).float()
    return x.mean(0) + torch.randn(n, x.shape[1], generator=generator) @ factor.T


@dataclass(frozen=True)
class RollRun:
    """One trained variant: its loss per training step, its samples (N, 2) and how far they are from fresh data.

    `distance` is the energy distance, `gap` the median distance of a sample to the nearest of the N data points.
    """

    history: list[float]
    samples: Tensor
    distance: float
    gap: float
    model: Module


@dataclass(frozen=True)
class RollResult:
    """The three variants by name; `data` (N, 2); `floor`, `gap` and `gaussian`: the energy distance and the
    gap of other fresh data, and the energy distance of a Gaussian with the same moments.

    `losses` (T,) is the loss of "eps" on fresh data at each t.
    """

    runs: dict[str, RollRun]
    data: Tensor
    floor: float
    gap: float
    gaussian: float
    betas: Tensor
    losses: Tensor

    def ratio(self, variant: str) -> float:
        """Return how many times farther from the data `variant` is than eps-prediction."""
        return self.runs[variant].distance / self.runs["eps"].distance


@one_thread()
def swiss_roll(
    make_betas: Function,
    q_sample: Function,
    ddpm_loss: Function,
    sample: Function,
    *,
    profile: Profile,
    seed: int = 0,
) -> RollResult:
    """Train the same MLP three times (38 000 parameters, T = 100, cosine) and sample from it with the DDPM sampler.

    "eps" predicts the noise; "x0" predicts the clean point with a plain squared error; "no time" predicts the noise but
    sees t = 0 throughout.

    Measured at "laptop" (2 cores, CPU; 2000 steps of 512 points), seeds 0 to 5: energy distance
    of eps .0014 .0014 .0040 .0011 .0025 .0015 (fresh data .0005 to .0029, a Gaussian with the right moments .018 to
    .021); x0 5.5 7.2 2.6 5.5 3.2 5.4 times that; no time 32 34 14 43 21 29 times. Gap: eps .015 or .016, fresh data
    .013, x0 .038 to .051, no time .15 to .16. 16 s of one core a seed, 360 MB.
    The learning rate matters: at 2e-3 the distances are .006 to .010, .016 to .021 and .043 to .060, which still keeps
    the order, but the gap of eps is .1, and what it draws is a disc and no spiral.
    """
    betas = make_betas("cosine", 100).to(profile.device)
    generator = torch.Generator().manual_seed(1000 + seed)
    count = profile.choose(smoke=500, laptop=2000, gpu=4000)
    data, fresh = roll(count, generator), roll(count, generator)
    moments = data.mean(0) + torch.randn(count, 2, generator=generator) @ torch.linalg.cholesky(data.T.cov()).T
    blocks = (q_sample, ddpm_loss, sample)
    runs = {name: _run(name, betas, data, blocks, profile, seed) for name in VARIANTS}
    losses = _losses_over_time(runs["eps"].model, fresh.to(profile.device), betas, ddpm_loss, generator)
    floor, gap = energy_distance(fresh, data), _nearest(fresh, data)
    return RollResult(runs, data, floor, gap, energy_distance(moments, data), betas, losses)


def _losses_over_time(
    model: Predictor, x0: Tensor, betas: Tensor, ddpm_loss: Function, generator: torch.Generator
) -> Tensor:
    abar, eps = torch.cumprod(1 - betas, 0), torch.randn(x0.shape, generator=generator).to(x0.device)
    times = (torch.full((len(x0),), t, device=x0.device) for t in range(len(betas)))
    with torch.no_grad():
        return torch.stack([ddpm_loss(model, x0, t, eps, abar) for t in times]).cpu()


def _run(
    variant: str, betas: Tensor, data: Tensor, blocks: tuple[Function, ...], profile: Profile, seed: int
) -> RollRun:
    q_sample, ddpm_loss, sample = blocks
    abar, device = torch.cumprod(1 - betas, 0), profile.device
    model = _seeded_model(len(betas), seed).to(device)
    blind = variant == "no time"

    def predict(x: Tensor, t: Tensor) -> Tensor:
        return model(x, torch.zeros_like(t) if blind else t)

    def loss(generator: torch.Generator) -> Tensor:
        x0 = roll(512, generator).to(device)
        t = torch.randint(0, len(betas), (512,), generator=generator).to(device)
        eps = torch.randn(512, 2, generator=generator).to(device)
        if variant == "x0":
            return (predict(q_sample(x0, t, eps, abar), t) - x0).square().mean()
        return ddpm_loss(predict, x0, t, eps, abar)

    steps = profile.choose(smoke=60, laptop=2000, gpu=10000)
    history = train(model, loss, steps, 8e-3, seed=seed, description=f"swiss roll, {variant}")
    noise = eps_from_x0(predict, abar) if variant == "x0" else predict

    def on_the_cpu(x: Tensor, t: Tensor) -> Tensor:
        return noise(x.to(device), t.to(device)).cpu()

    samples = sample(on_the_cpu, data.shape, betas.cpu(), torch.Generator().manual_seed(2000 + seed))[-1]
    return RollRun(history, samples, energy_distance(samples, data), _nearest(samples, data), model)


def _seeded_model(timesteps: int, seed: int) -> PointDenoiser:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PointDenoiser(timesteps)


SPREADS = (1.0, 0.25, 0.01, 0.0)


@dataclass(frozen=True)
class VarianceResult:
    """The variance of the samples over the true variance at each level.

    `paths[kind]` (T, 4) for kind "beta" and "posterior": row k after k + 1 steps, one column for each of SPREADS;
    `final[kind]` (4,): the finished samples' variance over the data's (nan for a point).
    """

    betas: Tensor
    paths: dict[str, Tensor]
    final: dict[str, Tensor]

    def deviation(self) -> float:
        """Return the largest relative error where the paper has none: beta on N(0, I), the posterior's on a point.

        The last step is left out: it adds no noise, so that its variance is right for a point alone.
        """
        return max(float((self.paths[kind][:-1, k] - 1).abs().max()) for kind, k in (("beta", 0), ("posterior", 3)))


@one_thread()
def gaussian_variances(
    make_betas: Function, posterior: Function, p_step: Function, *, profile: Profile, seed: int = 0
) -> VarianceResult:
    """Follow the variance of Gaussian data N(0, s2) through the DDPM sampler: exact, with no samples.

    The perfect eps of x_t is sqrt(1 - abar) x_t / (abar s2 + 1 - abar), so a step gives a x_t + b z, and a and b
    are read off by handing p_step x and z of size 1. Starts from the true variance at the noisiest level. `seed` is
    not used.
    """
    del seed
    betas = make_betas("linear", profile.choose(smoke=200, laptop=200, gpu=1000))
    return VarianceResult(betas, *_follow_variances(betas, posterior, p_step))


def _follow_variances(
    betas: Tensor, posterior: Function, p_step: Function
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    levels = torch.cat([torch.ones(1, dtype=torch.float64), torch.cumprod(1 - betas, 0)])  # (T + 1,), clean first
    spreads = torch.tensor(SPREADS, dtype=torch.float64)
    truth = levels.unsqueeze(1) * spreads + 1 - levels.unsqueeze(1)  # (T + 1, 4)
    unit = torch.eye(2, dtype=torch.float64).repeat(len(spreads), 1).view(-1, 2, 2)  # (4, 2, 2): rows x and z
    x, z = unit[:, 0], unit[:, 1]  # (4, 2): column 0 follows x, column 1 follows z
    paths, final = {}, {}
    for kind in ("beta", "posterior"):
        variance, path = truth[-1], []
        for t in reversed(range(len(betas))):
            eps = (1 - levels[t + 1]).sqrt() * x / truth[t + 1].unsqueeze(1)
            var = betas[t] if kind == "beta" else posterior(x, x, t, betas)[1]
            moved = p_step(eps, x, t, z, betas, var)  # (4, 2)
            variance = moved[:, 0] ** 2 * variance + moved[:, 1] ** 2
            path.append(variance / truth[t])
        paths[kind], final[kind] = torch.stack(path), variance / spreads
    return paths, final


@dataclass(frozen=True)
class SamplerVerdict:
    """What three judges say about a sampler: `variances` over the true one for the widths 1, 0.25 and 0.01, exact;
    `distances`, the energy distance of its samples in each repetition; and the samples (n, 2) of the last, for the eye.
    """

    variances: list[float]
    distances: list[float]
    samples: Tensor = field(repr=False)


@one_thread()
def wrong_samplers(
    make_betas: Function,
    posterior: Function,
    p_step: Function,
    final_variance: Callable[..., float],
    *,
    profile: Profile,
    seed: int = 0,
) -> dict[str, SamplerVerdict]:
    """Judge a right sampler and six wrong ones, made out of it, on a ring of eight modes with exact eps, T = 200.

    Every sampler gets the same noise and is compared with the same fresh data. Measured at "laptop", four repetitions:
    energy distance of the right one .0010 to .0046, with noise after the last step .0009 to .0046, where the variance
    of narrow data is .814 instead of .764 of the truth; a table off by one row .0009 to .0046, variance .790.
    """
    betas = make_betas("linear", 200)
    mixture, (n, repeats) = ring(), profile.choose(smoke=(200, 1), laptop=(1500, 4), gpu=(1500, 4))
    model = mixture.noise_predictor(torch.cumprod(1 - betas, 0))
    verdicts = {}
    for name, step in samplers(p_step).items():
        distances = []
        for repeat in range(repeats):
            generator = torch.Generator().manual_seed(100 * seed + repeat)
            data, samples = mixture.sample(n, generator)[0], torch.randn(n, 2, dtype=torch.float64, generator=generator)
            for t in reversed(range(len(betas))):
                z = torch.randn(n, 2, dtype=torch.float64, generator=generator)
                samples = step(model(samples, torch.tensor([t])), samples, t, z, betas, posterior(z, z, t, betas)[1])
            distances.append(energy_distance(samples, data))
        variances = [final_variance(step, s2, betas) / s2 for s2 in SPREADS[:3]]
        verdicts[name] = SamplerVerdict(variances, distances, samples)
    return verdicts


@dataclass(frozen=True)
class MemoryResult:
    """What the perfect minimiser of the loss generates from `count` training points, for each count.

    `points[count]` (count, 2), `samples[count]` (n, 2); `to_training[count]` and `fresh[count]`: the median distance to
    the nearest training point, of the samples and of fresh data.
    """

    points: dict[int, Tensor]
    samples: dict[int, Tensor]
    to_training: dict[int, float]
    fresh: dict[int, float]

    def ratio(self, count: int) -> float:
        """Return the samples' median distance over that of fresh data: near 1 if it generalises, 0 if it copies."""
        return self.to_training[count] / self.fresh[count]


@one_thread()
def memorisation(make_betas: Function, sample: Function, *, profile: Profile, seed: int = 0) -> MemoryResult:
    """Sample with the eps that minimises L_simple on a finite training set: a mixture of point masses, exact.

    Measured at "laptop", seeds 0 to 5: the samples' median distance to the nearest of 64 points is .001 to .003 against
    .072 to .086 for fresh data, a ratio of .008 to .030. With 512 points the ratio is .41 to .47, because the last
    noise level of this schedule, .025, is as large as the distance between points.
    """
    betas = make_betas("cosine", 100)
    generator = torch.Generator().manual_seed(3000 + seed)
    n = profile.choose(smoke=300, laptop=500, gpu=4000)
    points, samples, to_training, fresh = {}, {}, {}, {}
    for count in (64, 512):
        training = roll(count, generator).double()
        model = point_masses(training).noise_predictor(torch.cumprod(1 - betas, 0))
        points[count] = training
        samples[count] = sample(model, (n, 2), betas, generator)[-1]
        to_training[count] = _nearest(samples[count], training)
        fresh[count] = _nearest(roll(n, generator).double(), training)
    return MemoryResult(points, samples, to_training, fresh)


def _nearest(x: Tensor, training: Tensor) -> float:
    return float(torch.cdist(x, training).amin(1).median())


@dataclass(frozen=True)
class StepsResult:
    """DDIM on eight narrow modes, by (eta, number of steps).

    `on_mode` is the share of points within three standard deviations of a mode, `spread` their spread within modes over
    the true one, `samples` the points (n, 2); `wrong` is the spread of 50 steps that were the first 50 timesteps.
    """

    on_mode: dict[tuple[float, int], float]
    spread: dict[tuple[float, int], float]
    samples: dict[tuple[float, int], Tensor]
    wrong: float


@one_thread()
def few_steps(
    make_betas: Function, ddim_steps: Callable[..., list[int]], ddim_step: Function, *, profile: Profile, seed: int = 0
) -> StepsResult:
    """Sample a ring of eight modes with 5 to 50 of 1000 steps, with exact eps, at eta 0 and 1.

    Measured at "laptop", seeds 0 to 5: after 50 steps the spread within a mode is .90 to .94 of the truth at eta 0 and
    .76 to .78 at eta 1; the difference is .13 to .18. The share on a mode is the same for both, to .02.
    """
    mixture = ring()
    abar = torch.cumprod(1 - make_betas("linear", 1000), 0)
    model, n = mixture.noise_predictor(abar), profile.choose(smoke=500, laptop=2000, gpu=20000)

    def sample(steps: list[int], eta: float) -> Tensor:
        generator = torch.Generator().manual_seed(4000 + seed)
        start = torch.randn(n, 2, dtype=torch.float64, generator=generator)
        return implicit(model, start, abar, steps, ddim_step, eta, generator)

    samples = {(eta, k): sample(ddim_steps(1000, k), eta) for eta in (0.0, 1.0) for k in (5, 10, 20, 50)}
    return StepsResult(
        {key: on_mode_fraction(x, mixture) for key, x in samples.items()},
        {key: within_mode_std(x, mixture) for key, x in samples.items()},
        samples,
        within_mode_std(sample(list(reversed(range(50))), 0.0), mixture),
    )


# The docstrings of the experiments have the figures of each seed.
claims = (
    Claim(
        "A small U-Net learns digits (median distance of its samples to the nearest unseen digit; a Gaussian has 3.6)",
        "2006.11239",
        digits,
        lambda run: run.gap["network"],
        at_most=3.1,
    ),
    Claim(
        "Energy distance ranks a Gaussian cloud before the digits (distance of the Gaussian over that of the network)",
        "2006.11239",
        digits,
        lambda run: run.distance["Gaussian"] / run.distance["network"],
        at_most=0.95,
    ),
    Claim(
        "Noise after the last step escapes the energy distance (that of its samples over the right sampler's)",
        "2006.11239",
        wrong_samplers,
        lambda found: max(found["noise after the last step"].distances) / max(found["none"].distances),
        at_most=1.1,
    ),
    Claim(
        "Noise after the last step shows in the exact variance of narrow data (its excess, over the true variance)",
        "2006.11239",
        wrong_samplers,
        lambda found: found["noise after the last step"].variances[2] - found["none"].variances[2],
        at_least=0.04,
        holds_from="smoke",
    ),
    Claim(
        "A network that predicts the noise learns the swiss roll (energy distance to fresh data)",
        "2006.11239",
        swiss_roll,
        lambda result: result.runs["eps"].distance,
        at_most=0.008,
    ),
    Claim(
        "Its samples lie on the roll (median distance to the nearest of 2000 points; fresh data have 0.013)",
        "2006.11239",
        swiss_roll,
        lambda result: result.runs["eps"].gap,
        at_most=0.025,
    ),
    Claim(
        "Predicting x0 is worse than predicting the noise (ratio of energy distances)",
        "2006.11239",
        swiss_roll,
        lambda result: result.ratio("x0"),
        at_least=1.5,
    ),
    Claim(
        "A network that is not told the time is worse still (ratio of energy distances)",
        "2006.11239",
        swiss_roll,
        lambda result: result.ratio("no time"),
        at_least=5,
    ),
    Claim(
        "Variance beta is exact for N(0, I), the posterior's for a point (largest relative error on the way)",
        "2006.11239",
        gaussian_variances,
        lambda result: result.deviation(),
        at_most=1e-9,
        holds_from="smoke",
    ),
    Claim(
        "The minimiser of the loss copies its 64 training points (distance to them over that of fresh data)",
        "2006.11239",
        memorisation,
        lambda result: result.ratio(64),
        at_most=0.1,
        holds_from="smoke",
    ),
    Claim(
        "With 50 steps, DDIM keeps more of the spread within a mode than DDPM (difference of the ratios to the truth)",
        "2010.02502",
        few_steps,
        lambda result: result.spread[0.0, 50] - result.spread[1.0, 50],
        at_least=0.08,
        published=Published(
            "Song et al. 2020, Table 1",
            {"10 steps, η = 0": 13.36, "10 steps, η = 1": 41.07, "50 steps, η = 0": 4.67, "50 steps, η = 1": 8.01},
            "FID on CIFAR-10, where lower is better",
            lambda result, name: abs(1 - result.spread[float(name[-1]), int(name[:2])]),
            "distance of the spread within a mode from the truth, as a share of it",
            "FID counts the errors of the paper's network, too; our noise is exact, so that only the width of the "
            "modes can be wrong.",
        ),
    ),
)
