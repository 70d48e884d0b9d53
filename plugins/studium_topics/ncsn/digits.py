"""Handwritten digits from a network that has learned their scores: the settings, the judge, and the experiment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from studium import Profile
from torch import Tensor

from studium_topics.kits.diffusion import BATCH, LEARNING_RATE, STEPS
from studium_topics.kits.digits import split
from studium_topics.kits.training import one_thread
from studium_topics.ncsn.exact import Function
from studium_topics.ncsn.networks import DigitScores

# The ladder: two digits are at most 9.6 apart, and neighbours have the ratio 1 + 2 / sqrt(64).
WIDEST, FINEST, RUNGS = 10.0, 0.1, 22
SHARE, EACH = 0.5, 10  # size of a Langevin step over sigma², and steps at each level


@dataclass(frozen=True)
class Judgement:
    """The median distance from images to the nearest digit that nothing was trained on, by what made the images.

    real: training digits; ladder: annealed Langevin dynamics; plain: as many Langevin steps at the last level alone.
    """

    real: float
    ladder: float
    plain: float
    drawn: Tensor = field(repr=False)

    @property
    def ratio(self) -> float:
        """Return how many times nearer the ladder comes to the digits than the last level alone."""
        return self.plain / self.ladder


def nearest(images: Tensor) -> float:
    """Return the median distance of images (n, 1, 8, 8) to the nearest digit of the judge's half."""
    unseen = split()[1].images.flatten(1)
    return float(torch.cdist(images.flatten(1), unseen).min(1).values.median())


@one_thread()
def digits(
    sigma_ladder: Callable[..., Tensor],
    train_scores: Callable[..., list[float]],
    langevin: Function,
    annealed_langevin: Function,
    *,
    profile: Profile,
    seed: int = 0,
) -> Judgement:
    """Train the kit's U-Net as a score network on 899 digits, and sample with the ladder and with its last level alone.

    Network, start and number of steps are the same for both. Measured at laptop, seeds 0 to 2: real 2.20; ladder 2.76
    2.72 2.77; plain 15.2 10.8 13.8. 25 s of one core a seed.
    """
    training = split()[0].images
    sigmas, generator = sigma_ladder(WIDEST, FINEST, RUNGS).float(), torch.Generator().manual_seed(seed)
    model = DigitScores(sigmas, seed)
    train_scores(model, training, sigmas, steps_of(profile), BATCH, LEARNING_RATE, generator)
    count = profile.choose(smoke=10, laptop=100, gpu=100)
    start = WIDEST * torch.randn(count, 1, 8, 8, generator=generator)
    noise = torch.randn(RUNGS, EACH, *start.shape, generator=generator)
    step, last = SHARE * FINEST**2, sigmas[-1].expand(count)
    with torch.no_grad():
        drawn = annealed_langevin(model, start, sigmas, step, noise)
        plain = langevin(lambda x: model(x, last), start, step, noise.flatten(0, 1))
    return Judgement(nearest(training), nearest(drawn), nearest(plain), drawn)


def steps_of(profile: Profile) -> int:
    """Return how many steps the training takes."""
    return profile.choose(smoke=20, laptop=STEPS, gpu=STEPS)
