"""Score matching and annealed Langevin dynamics in miniature.

Built from the functions of the exercises:

* `figure_3`: figure 3 of Song and Ermon 2019. With exact scores, Langevin dynamics misses the weights of two modes;
  annealed Langevin dynamics finds them; with one of its parts broken, it does not.
* `regression`: denoising score matching has its minimum at the score of the smoothed density (Vincent 2011).
* `learned`: the whole method. A network learns scores from data alone, and samples are drawn with it; without the
  weight sigma² it does not learn the large levels.
* `digits` of digits.py: the same on images of handwritten digits, with the ladder and without it.
* `sight` and `stationary` of exact.py need no samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from studium import Claim, Profile
from torch import Tensor

from studium_topics.kits.mixture import unequal_pair
from studium_topics.kits.training import one_thread, train
from studium_topics.ncsn.digits import digits
from studium_topics.ncsn.exact import LIGHT, Function, sight, stationary
from studium_topics.ncsn.networks import ScoreNet, score_net

Score = Callable[[Tensor, Tensor], Tensor]

FIRST, LAST, LEVELS = 20.0, 1.0, 10  # the ladder of Song's script for figure 3
STEP, EACH = 0.1, 100  # size of a step at the last level, and steps at each level
HALF = 8.0  # walkers start uniformly over [-8, 8]²


def two_modes(gmm_score: Function, variance: float = 0.0, device: str = "cpu") -> Score:
    """Return the exact score, at any noise level, of modes at (-5, -5) and (5, 5) with weights 0.2 and 0.8.

    Modes without variance are two points; with noise of sigma = 1 these are the mixture of figure 3.
    """
    means = torch.tensor([[-5.0, -5.0], [5.0, 5.0]], dtype=torch.float64, device=device)
    weights = torch.tensor([LIGHT, 1 - LIGHT], dtype=torch.float64, device=device)
    return lambda x, sigma: gmm_score(x, sigma, means, torch.full_like(weights, variance), weights)


def heavy(x: Tensor) -> float:
    """Return the share of walkers x (B, 2) that are nearer to (5, 5) than to (-5, -5)."""
    return float((x.sum(-1) > 0).double().mean())


def scattered(count: int, generator: torch.Generator) -> Tensor:
    """Return where `count` walkers start: anywhere in the square, (count, 2)."""
    return 2 * HALF * torch.rand(count, 2, dtype=torch.float64, generator=generator) - HALF


def level_by_level(
    annealed_langevin: Function, score: Score, x: Tensor, sigmas: Tensor, sizes: Tensor, noise: Tensor
) -> Tensor:
    """Return where walkers x (B, *) are at first and after each level, (L + 1, B, *), with a step size (L,) for each.

    A ladder of one level walks with the step that is handed to it.
    """
    frames = [x]
    for rung in range(len(sigmas)):
        alone = slice(rung, rung + 1)
        frames.append(annealed_langevin(score, frames[-1], sigmas[alone], float(sizes[rung]), noise[alone]))
    return torch.stack(frames)


@dataclass(frozen=True)
class Crossing:
    """Where walkers end by way of walking, (B, 2), and `share`, how many of them are in the mode of weight 0.8.

    `start` (B, 2): where they started; `by_level` (L + 1,): the share at the start and after each level of the ladder
    `sigmas` (L,).
    """

    samples: dict[str, Tensor]
    start: Tensor
    sigmas: Tensor
    by_level: Tensor

    def share(self, way: str) -> float:
        """Return the share of the heavy mode; the truth is 0.8."""
        return heavy(self.samples[way])

    def off(self, way: str) -> float:
        """Return how far the share is from 0.8."""
        return abs(self.share(way) - (1 - LIGHT))


@one_thread()
def figure_3(
    gmm_score: Function,
    langevin: Function,
    sigma_ladder: Callable[..., Tensor],
    annealed_langevin: Function,
    *,
    profile: Profile,
    seed: int = 0,
) -> Crossing:
    """Walk on two points of weights 0.2 and 0.8 with their exact scores, 1000 steps each, in several ways.

    Settings of toy_runner.py in github.com/ermongroup/ncsn: start uniform on [-8, 8]², a = 0.1, ten levels from 20 to
    1. It widens the modes to the standard deviation sigma, which is exactly noise of sigma on two points.

    Measured at laptop, seeds 0 to 4, share of the heavy mode: exact draws .792 to .811; Langevin .489 to .502, and 0
    from (-5, -5); annealed .789 .805 .780 .766 .775; annealed from (-5, -5) .790 .772 .772 .800 .788; 20 steps a level
    .724 to .743; levels evenly spaced .762 to .777; the same step .601 to .633; first level at 2 .530 to .548.
    """
    count, device = profile.choose(smoke=200, laptop=2000, gpu=20000), profile.device
    generator, score = torch.Generator().manual_seed(seed), two_modes(gmm_score, device=device)
    start = scattered(count, generator).to(device)
    light = (torch.randn(start.shape, dtype=torch.float64, generator=generator) - 5).to(device)
    ladder, low = (sigma_ladder(first, LAST, LEVELS).to(device) for first in (FIRST, 2.0))
    even = torch.linspace(FIRST, LAST, LEVELS, dtype=torch.float64, device=device)

    def noise(each: int = EACH) -> Tensor:
        return torch.randn(LEVELS, each, count, 2, dtype=torch.float64, generator=generator).to(device)

    def plain(x: Tensor) -> Tensor:
        return langevin(lambda at: score(at, torch.full_like(at[:, 0], LAST)), x, STEP, noise().flatten(0, 1))

    def annealed(x: Tensor, sigmas: Tensor, each: int = EACH) -> Tensor:
        return annealed_langevin(score, x, sigmas, STEP, noise(each))

    same, growing = torch.full_like(ladder, STEP), STEP * (ladder / LAST) ** 2
    path = level_by_level(annealed_langevin, score, start, ladder, growing, noise())
    exact = unequal_pair(LIGHT).sample(count, generator)[0]
    samples = {
        "exact": exact,
        "Langevin": plain(start),
        "Langevin from (-5, -5)": plain(light),
        "annealed": annealed(start, ladder),
        "annealed from (-5, -5)": annealed(light, ladder),
        "20 steps a level": annealed(start, ladder, EACH // 5),
        "levels evenly spaced": annealed(start, even),
        "same step at all levels": level_by_level(annealed_langevin, score, start, ladder, same, noise())[-1],
        "first level at 2": annealed(start, low),
    }
    shares = torch.tensor([heavy(frame) for frame in path])
    return Crossing({way: x.cpu() for way, x in samples.items()}, start.cpu(), ladder.cpu(), shares)


@dataclass(frozen=True)
class Regression:
    """By wrong answer: by how much its loss exceeds that of the exact score, and theory: half of sigma² |s - s*|².

    `floor` (L,): the loss of the exact score at each of `sigmas` (L,); an answer of 0 has 1 everywhere.
    """

    excess: dict[str, float]
    theory: dict[str, float]
    sigmas: Tensor
    floor: Tensor

    @property
    def gap(self) -> float:
        """Return the largest relative difference between excess and theory."""
        return max(abs(self.excess[name] / self.theory[name] - 1) for name in self.excess)


@one_thread()
def regression(
    gmm_score: Function, sigma_ladder: Callable[..., Tensor], dsm_loss: Function, *, profile: Profile, seed: int = 0
) -> Regression:
    """Compare the loss of wrong answers with that of the exact score of the smoothed mixture of figure 3.

    The loss never sees the smoothed score; its targets are the noise of single draws. Measured, seeds 0 to 4: largest
    relative gap .002 to .008 at laptop, .003 to .011 at smoke.
    """
    mixture, generator = unequal_pair(LIGHT), torch.Generator().manual_seed(100 + seed)
    count = profile.choose(smoke=100_000, laptop=200_000, gpu=1_000_000)
    sigmas = sigma_ladder(FIRST, LAST, LEVELS)
    x0, z = mixture.sample(count, generator)[0], torch.randn(count, 2, dtype=torch.float64, generator=generator)
    rung = torch.randint(LEVELS, (count,), generator=generator)
    level = sigmas[rung]

    def exact(x: Tensor, sigma: Tensor) -> Tensor:
        return gmm_score(x, sigma, mixture.means, mixture.variances, mixture.weights)

    wrong: dict[str, Score] = {
        "0": lambda x, sigma: torch.zeros_like(x),
        "0.7 of the score": lambda x, sigma: 0.7 * exact(x, sigma),
        "pushed to the right": lambda x, sigma: exact(x, sigma) + torch.tensor([1.0, 0.0]) / sigma.unsqueeze(-1),
    }
    least, right, noisy = dsm_loss(exact, x0, level, z), {}, x0 + level.unsqueeze(-1) * z
    best = exact(noisy, level)
    excess = {name: float((dsm_loss(score, x0, level, z) - least).mean()) for name, score in wrong.items()}
    for name, score in wrong.items():
        distance = (score(noisy, level) - best).square().sum(-1)
        right[name] = float((level**2 * distance).mean() / 2)
    floor = torch.stack([least[rung == i].mean() for i in range(LEVELS)])
    return Regression(excess, right, sigmas, floor)


@dataclass(frozen=True)
class Learned:
    """Networks trained with and without the weight sigma², by name: their error at each of `sigmas` (L,), (L,), the
    samples that annealed Langevin dynamics draws with each, (B, 2), and the loss of each training step.

    An error is the root mean square of network minus exact score over that of the exact score, under the noisy density.
    `plain` (B, 2): what Langevin dynamics without annealing draws with the first network.
    """

    errors: dict[str, Tensor]
    samples: dict[str, Tensor]
    plain: Tensor
    sigmas: Tensor
    history: dict[str, list[float]]

    def share(self, way: str) -> float:
        """Return the share of samples in the heavy mode; the truth is 0.8."""
        return heavy(self.samples[way])

    @property
    def worse(self) -> float:
        """Return how many times larger the error at the largest level is without the weight."""
        return float(self.errors["unweighted"][0] / self.errors["weighted"][0])


@one_thread()
def learned(
    gmm_score: Function,
    langevin: Function,
    sigma_ladder: Callable[..., Tensor],
    annealed_langevin: Function,
    dsm_loss: Function,
    *,
    profile: Profile,
    seed: int = 0,
) -> Learned:
    """Train a score network on draws of the mixture of figure 3, with and without the weight sigma², and sample.

    Measured at laptop on one thread, seeds 0 to 4: error at the largest level .021 to .025 with the weight, .166 to
    .256 without, a ratio of 6.7 11.9 9.7 9.3 9.4; at the smallest level .057 to .061 and .032 to .036. Share of the
    heavy mode .764 .772 .770 .793 .797 with it, .771 to .797 without, .483 to .529 with it and no ladder. 16 s of one
    core a seed.
    """
    device = profile.device
    sigmas = sigma_ladder(FIRST, LAST, LEVELS).float().to(device)
    nets, history = {}, {}
    for way in ("weighted", "unweighted"):
        nets[way] = score_net(5.0, seed).to(device)
        history[way] = _fit(nets[way], sigmas, dsm_loss, way == "weighted", profile, seed)
    generator = torch.Generator().manual_seed(300 + seed)
    count = profile.choose(smoke=100, laptop=1000, gpu=20000)
    start = scattered(count, generator).float().to(device)
    noise = torch.randn(LEVELS, EACH, count, 2, generator=generator).to(device)
    last = sigmas[-1].expand(count)
    with torch.no_grad():
        errors = {way: _errors(net, gmm_score, sigmas, profile, seed) for way, net in nets.items()}
        samples = {way: annealed_langevin(net, start, sigmas, STEP, noise).cpu() for way, net in nets.items()}
        plain = langevin(lambda x: nets["weighted"](x, last), start, STEP, noise.flatten(0, 1)).cpu()
    return Learned(errors, samples, plain, sigmas.cpu(), history)


def _fit(net: ScoreNet, sigmas: Tensor, dsm_loss: Function, weighted: bool, profile: Profile, seed: int) -> list[float]:
    mixture = unequal_pair(LIGHT)

    def loss(generator: torch.Generator) -> Tensor:
        x0 = mixture.sample(512, generator)[0].float().to(sigmas.device)
        z = torch.randn(512, 2, generator=generator).to(sigmas.device)
        level = sigmas[torch.randint(LEVELS, (512,), generator=generator).to(sigmas.device)]
        rows = dsm_loss(net, x0, level, z)
        return (rows if weighted else rows / level**2).mean()

    steps = profile.choose(smoke=30, laptop=1500, gpu=10000)
    return train(net, loss, steps, 3e-3, seed=seed, description="with σ²" if weighted else "without σ²")


def _errors(net: ScoreNet, gmm_score: Function, sigmas: Tensor, profile: Profile, seed: int) -> Tensor:
    mixture, generator = unequal_pair(LIGHT), torch.Generator().manual_seed(200 + seed)
    given = [value.float().to(sigmas.device) for value in (mixture.means, mixture.variances, mixture.weights)]
    found = []
    for sigma in sigmas:
        x0 = mixture.sample(profile.choose(smoke=200, laptop=4000, gpu=4000), generator)[0].float().to(sigmas.device)
        x = x0 + sigma * torch.randn(x0.shape, generator=generator).to(sigmas.device)
        exact, answer = gmm_score(x, sigma.expand(len(x)), *given), net(x, sigma.expand(len(x)))
        found.append(((answer - exact).square().mean() / exact.square().mean()).sqrt())
    return torch.stack(found).cpu()


# The docstrings of the experiments have the figures of each seed.
claims = (
    Claim(
        "With exact scores, Langevin dynamics misses the weights of two modes (share of the mode of weight 0.8)",
        "1907.05600",
        figure_3,
        lambda result: result.share("Langevin"),
        at_most=0.60,
    ),
    Claim(
        "Annealed Langevin dynamics finds them (distance of the share from 0.8)",
        "1907.05600",
        figure_3,
        lambda result: result.off("annealed"),
        at_most=0.05,
    ),
    Claim(
        "Wherever it starts: from the mode of weight 0.2 alone (distance of the share from 0.8)",
        "1907.05600",
        figure_3,
        lambda result: result.off("annealed from (-5, -5)"),
        at_most=0.05,
    ),
    Claim(
        "Ablation: with the same step at all levels it does not (share)",
        "1907.05600",
        figure_3,
        lambda result: result.share("same step at all levels"),
        at_most=0.70,
    ),
    Claim(
        "Ablation: a ladder that begins at 2, with modes 14 apart, does not (share)",
        "2006.09011",
        figure_3,
        lambda result: result.share("first level at 2"),
        at_most=0.70,
    ),
    Claim(
        "At the last level the score hardly depends on the weights (its relative change if they are exchanged)",
        "1907.05600",
        sight,
        lambda result: result.change[1.0],
        at_most=1e-3,
        holds_from="smoke",
    ),
    Claim(
        "At the first level it does (its relative change)",
        "1907.05600",
        sight,
        lambda result: result.change[20.0],
        at_least=0.3,
        holds_from="smoke",
    ),
    Claim(
        "Denoising score matching has its minimum at the smoothed score: the loss of a wrong answer exceeds the "
        "minimum by half of its weighted squared distance from that score (largest relative difference)",
        "1907.05600",
        regression,
        lambda result: result.gap,
        at_most=0.05,
        holds_from="smoke",
    ),
    Claim(
        "Large Langevin steps end in the variance that theory gives for them (largest relative difference)",
        "1907.05600",
        stationary,
        lambda result: result.deviation,
        at_most=1e-9,
        holds_from="smoke",
    ),
    Claim(
        "With scores learned from data alone, annealing finds the weights (distance of the share from 0.8)",
        "1907.05600",
        learned,
        lambda result: abs(result.share("weighted") - 0.8),
        at_most=0.1,
    ),
    Claim(
        "Images need the ladder, too (how many times nearer to unseen digits than with as many steps at the last "
        "level alone)",
        "1907.05600",
        digits,
        lambda result: result.ratio,
        at_least=2,
    ),
    Claim(
        "Digits drawn with learned scores and the ladder (median distance to the nearest unseen digit)",
        "1907.05600",
        digits,
        lambda result: result.ladder,
        at_most=3.2,
    ),
    Claim(
        "Ablation: without the weight sigma² the score of the largest level is learned worse (ratio of the errors)",
        "1907.05600",
        learned,
        lambda result: result.worse,
        at_least=3,
    ),
)
