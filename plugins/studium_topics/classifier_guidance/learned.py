"""Digits in 64 dimensions whose noise predictor is exact, so that nothing but the classifier can be to blame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from studium import Profile
from torch import Tensor

from studium_topics.classifier_guidance.digits import DigitJudge, ExactDigits, digit_mixture, trained
from studium_topics.classifier_guidance.sampling import Ddpm
from studium_topics.kits.diffusion import linear_betas
from studium_topics.kits.mixture import gaussian
from studium_topics.kits.training import one_thread

Function = Callable[..., Tensor]
Classifier = Callable[[Tensor, Tensor], Tensor]
Report = Callable[..., tuple[float, float]]
SCALES = (0.0, 1.0, 3.0, 5.0, 10.0)
GUIDES = ("trained on noisy digits", "trained on clean digits")


@dataclass(frozen=True)
class Guided:
    """Digits (n, 64) and what they are worth: the judge's accuracy, the guide's own, the diversity within a class."""

    images: Tensor = field(repr=False)
    accuracy: float
    own: float
    diversity: float


@dataclass(frozen=True)
class Slope:
    """A learned classifier beside the exact one on noisy digits: the accuracy of both, and how far its gradient goes.

    share: the part of its gradient along the exact one, over the exact one's length, towards the next digit's class.
    """

    accuracy: float
    exact: float
    share: float


@dataclass(frozen=True)
class LearnedResult:
    """Digits asked for as `y` (n,).

    real: drawn from their class. unguided: by the exact model alone. exact: guided by the exact classifier, s = 1.
    runs: by each of GUIDES, and by s. ignorant: by the first of GUIDES at the largest s, from a model that has seen no
    digit, but knows how large noise is. slopes: of the first of GUIDES, by t.
    """

    y: Tensor
    real: Guided
    unguided: Guided
    exact: Guided
    runs: dict[str, dict[float, Guided]]
    ignorant: Guided
    slopes: dict[int, Slope]


@one_thread()
def learned_guidance(
    noisy_classifier_loss: Function, class_gradient: Function, guided_sample: Function, class_report: Report, *,
    profile: Profile, seed: int = 0,
) -> LearnedResult:  # fmt: skip
    """Guide an exact model of digits by an exact classifier, and by two that were trained on noisy and on clean digits.

    Measured at "laptop" (CPU), seeds 0 to 4, as judged: real digits .990 .987 .977 .997 .983; the exact guide .993 .980
    .990 .987 .987; trained on noisy digits, s = 1 .660 .637 .613 .660 .663, s = 3 .973 .973 .947 .937 .957, s = 10 .987
    .990 1 .993 .990, where the diversity is .86 .84 .85 .86 .88 of that of real digits; trained on clean digits, s = 1
    .663 .637 .637 .620 .573, s = 3 .783 .743 .777 .710 .750, s = 10 .880 .883 .893 .870 .877, by its own account .987
    .987 .990 .997 1. Without a model of digits .667 .630 .683 .613 .607, by the guide's own account 1. Some 20 s of one
    core a seed, 540 MB.
    """
    keep, each, steps, training = profile.choose(
        smoke=(60, 2, 15, 20), laptop=(300, 30, 100, 400), gpu=(899, 200, 200, 4000)
    )
    device, generator = profile.device, torch.Generator().manual_seed(1000 + seed)
    mixture, ddpm = digit_mixture(keep).to(device), Ddpm(linear_betas(steps).to(device))
    y = torch.arange(10, device=device).repeat_interleave(each)
    drawn = torch.randn(steps + 1, len(y), 64, dtype=torch.float64, generator=generator).to(device)
    judge, plain = DigitJudge(), gaussian(torch.zeros(64, device=device), 1.0).noise_predictor(ddpm.abar)
    exact = ExactDigits(mixture, ddpm.abar)

    def report(images: Tensor, guide: Classifier) -> Guided:
        accuracy, diversity = class_report(images, y, judge, guide)
        own = guide(images, torch.zeros_like(y)).argmax(1) == y
        return Guided(images.cpu(), accuracy, float(own.double().mean()), diversity)

    def guided(guide: Classifier, s: float, model: Classifier = exact.eps) -> Guided:
        return report(guided_sample(model, guide, ddpm.step, drawn[0], y, s, ddpm.betas, drawn[1:])[-1], guide)

    levels = (ddpm.abar, torch.ones_like(ddpm.abar))  # where abar is 1 there is no noise
    noisy, clean = (trained(noisy_classifier_loss, mixture, abar, training, seed) for abar in levels)
    runs = {name: {s: guided(guide, s) for s in SCALES[1:]} for name, guide in zip(GUIDES, (noisy, clean), strict=True)}
    clear = mixture.sample(len(y), generator, y)[0]

    def slope(t: int) -> Slope:
        rows, abar = torch.full_like(y, t), ddpm.abar[t]
        xt = abar.sqrt() * clear + (1 - abar).sqrt() * drawn[0]
        found, truth = (class_gradient(guide, xt, rows, (y + 1) % 10) for guide in (noisy, exact.classify))
        right = [float((guide(xt, rows).argmax(1) == y).double().mean()) for guide in (noisy, exact.classify)]
        return Slope(*right, float((found * truth).sum() / truth.square().sum()))

    return LearnedResult(
        y.cpu(),
        report(clear, exact.classify),
        guided(noisy, 0.0),
        guided(exact.classify, 1.0),
        runs,
        guided(noisy, SCALES[-1], plain),
        {t: slope(t) for t in (steps // 2, 3 * steps // 10, steps // 10)},
    )
