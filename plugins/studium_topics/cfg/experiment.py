"""What classifier-free guidance really samples, and what it does to digits: experiments and their claims.

* `three_variances` and `three_answers` (exact.py): exact eps, so that what is wrong comes from guidance alone. Neither
  DDPM nor DDIM samples the tilted density p(x | c) p(c | x)^(s - 1) (Bradley and Nakkiran 2024).
* `digits` (handwriting.py): a trained network and a perfect one, and the trade of accuracy against diversity that is
  the paper's headline (Ho and Salimans 2022, tables 1 and 2). `repairs`: what helps where the scale is too large.
* `implied` here: with exact eps, what one unit of scale adds is the gradient of the perfect classifier.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from studium import Claim, Profile, Published
from torch import Tensor

from studium_topics.cfg.exact import Block, three_answers, three_variances, tilted
from studium_topics.cfg.handwriting import SCALES, STRONG, Digits, Repairs, digits, repairs
from studium_topics.cfg.sampling import linear_abar
from studium_topics.kits.mixture import ring

__all__ = [
    "PAPER",
    "SCALES",
    "STRONG",
    "Digits",
    "Repairs",
    "claims",
    "digits",
    "implied",
    "repairs",
    "three_answers",
    "three_variances",
    "tilted",
]

# Ho and Salimans 2022, table 1, ImageNet 64 x 64: w, then FID and IS for p_uncond 0.1, then the same for 0.5.
PAPER = (
    (0.0, 1.80, 53.71, 2.21, 47.61),
    (0.1, 1.55, 66.11, 1.91, 56.1),
    (0.2, 2.04, 78.91, 2.08, 65.6),
    (0.3, 3.03, 92.8, 2.65, 74.92),
    (0.4, 4.30, 106.2, 3.44, 84.27),
    (0.5, 5.74, 119.3, 4.34, 92.95),
    (0.6, 7.19, 131.1, 5.27, 102.0),
    (0.7, 8.62, 141.8, 6.23, 109.8),
    (0.8, 10.08, 151.6, 7.25, 116.9),
    (0.9, 11.41, 161.0, 8.21, 124.6),
    (1.0, 12.60, 170.1, 9.13, 131.1),
    (2.0, 21.03, 225.5, 16.16, 183.0),
    (3.0, 24.83, 250.4, 19.75, 208.9),
    (4.0, 26.22, 260.2, 21.48, 225.1),
)


@dataclass(frozen=True)
class Implied:
    """The implied gradient and the perfect classifier's (n, 2), at points of all noise levels of T = 100."""

    found: Tensor
    exact: Tensor

    @property
    def error(self) -> float:
        """Return the largest difference."""
        return float((self.found - self.exact).abs().max())


def implied(cfg_combine: Block, *, profile: Profile, seed: int = 0) -> Implied:
    """Compare what one unit of scale adds to the score with the gradient of the perfect classifier, for exact eps."""
    mixture, abar, n = ring(std=0.35, classes=4), linear_abar(100), profile.choose(smoke=200, laptop=2000, gpu=20000)
    generator = torch.Generator().manual_seed(seed)
    t = torch.randint(0, len(abar), (n,), generator=generator)
    x = 1.5 * torch.randn(n, 2, dtype=torch.float64, generator=generator)
    y = torch.randint(0, mixture.class_count, (n,), generator=generator)
    eps_u, eps_c = mixture.eps(x, abar[t]), mixture.eps(x, abar[t], y)
    added = cfg_combine(eps_u, eps_c, 2.0, "s") - cfg_combine(eps_u, eps_c, 1.0, "s")
    return Implied(-added / (1 - abar[t]).sqrt().unsqueeze(1), mixture.vp(abar[t]).class_gradient(x, y))


claims = (
    Claim(
        "The difference of the two predictions is the gradient of a perfect classifier where both are perfect "
        "(largest error)",
        "2207.12598",
        implied,
        lambda result: result.error,
        at_most=1e-9,
        holds_from="smoke",
    ),
    Claim(
        "One Gaussian in another: DDPM and DDIM give the variances of theory (largest relative error, T = 1000)",
        "2408.09000",
        three_variances,
        lambda result: result.deviation,
        at_most=0.03,
    ),
    Claim(
        "At s = 5 DDPM's samples are narrower than the tilted density (ratio of variances; theory 1.50)",
        "2408.09000",
        three_variances,
        lambda result: result.narrowing("DDPM"),
        at_least=1.3,
        holds_from="smoke",
    ),
    Claim(
        "At s = 5 DDIM's are narrower still (ratio of variances; theory 5.33)",
        "2408.09000",
        three_variances,
        lambda result: result.narrowing("DDIM"),
        at_least=4.0,
        holds_from="smoke",
    ),
    Claim(
        "With no guidance, s = 1, DDPM samples p(x | c) (energy distance; other draws have 0.001)",
        "2408.09000",
        three_answers,
        lambda result: result.distance["DDPM", 1.0],
        at_most=0.006,
    ),
    Claim(
        "And so does DDIM (energy distance)",
        "2408.09000",
        three_answers,
        lambda result: result.distance["DDIM", 1.0],
        at_most=0.006,
    ),
    Claim(
        "At s = 5 DDPM does not sample p(x | c) p(c | x)^4 (energy distance)",
        "2408.09000",
        three_answers,
        lambda result: result.distance["DDPM", 5.0],
        at_least=0.03,
    ),
    Claim(
        "DDIM is farther from it (times DDPM's energy distance at s = 5)",
        "2408.09000",
        three_answers,
        lambda result: result.apart,
        at_least=7.0,
    ),
    Claim(
        "DDIM's samples leave the data outwards (mean radius at s = 5 over that at s = 1)",
        "2408.09000",
        three_answers,
        lambda result: result.grows,
        at_least=1.3,
    ),
    Claim(
        "Digits: unguided and without a label, a wanted class comes out by chance (accuracy at s = 0; chance 0.1)",
        "2207.12598",
        digits,
        lambda result: result.by_scale[0.0].accuracy,
        at_most=0.2,
    ),
    Claim(
        "Guidance makes the class sure (accuracy at s = 2)",
        "2207.12598",
        digits,
        lambda result: result.by_scale[2.0].accuracy,
        at_least=0.97,
        published=Published(
            "Ho and Salimans 2022, Table 1",
            {f"s = {1 + w:g}": score for w, _, score, *_ in PAPER if 1 + w in SCALES},
            "inception score on ImageNet 64 × 64",
            lambda result, name: result.by_scale[float(name[4:])].accuracy,
            "accuracy of the judge",
            "The inception score can rise to 1000, the number of classes; accuracy ends at 1, and our ten classes are "
            "nearly there without guidance.",
        ),
    ),
    Claim(
        "It costs diversity (mean distance within a class at s = 1, minus that at s = 2)",
        "2207.12598",
        digits,
        lambda result: result.by_scale[1.0].diversity - result.by_scale[2.0].diversity,
        at_least=0.08,
    ),
    Claim(
        "A little guidance is nearest to real digits: not less than s = 1.25 (the best of eight scales)",
        "2207.12598",
        digits,
        lambda result: result.best,
        at_least=1.25,
    ),
    Claim(
        "And not more than s = 3 (the best of eight scales)",
        "2207.12598",
        digits,
        lambda result: result.best,
        at_most=3.0,
    ),
    Claim(
        "Guidance improves the trained network (energy distance at s = 1.5 over that at s = 1)",
        "2207.12598",
        digits,
        lambda result: result.gain("trained"),
        at_most=0.95,
        published=Published(
            "Ho and Salimans 2022, Table 1",
            {f"s = {1 + w:g}": fid for w, fid, *_ in PAPER if 1 + w in SCALES},
            "FID on ImageNet 64 × 64",
            lambda result, name: result.by_scale[float(name[4:])].distance,
            "energy distance to real digits",
            "The paper's network is best at s = 1.1, with an FID of 1.55, and ours at a larger scale: how much "
            "guidance helps depends on how imperfect a network is.",
        ),
    ),
    Claim(
        "And not a perfect one (energy distance at s = 1.5 over that at s = 1)",
        "2408.09000",
        digits,
        lambda result: result.gain("perfect"),
        at_least=0.97,
    ),
    Claim(
        "Much guidance is far from them (energy distance at s = 8 over the smallest)",
        "2207.12598",
        digits,
        lambda result: result.over_best(8.0),
        at_least=3.0,
    ),
    Claim(
        "Guidance at middle noise levels alone repairs a part of it (energy distance at s = 8, over that without)",
        "2404.07724",
        repairs,
        lambda result: result.left,
        at_most=0.5,
    ),
    Claim(
        "The trained difference is the gradient of no classifier (asymmetry of its Jacobian, least of four levels)",
        "2207.12598",
        digits,
        lambda result: min(result.asymmetry.values()),
        at_least=0.2,
    ),
)
