"""Gated layers in miniature: products that a crease cannot make, gates that die, and the paper's table with intervals.

Each experiment takes the learner's own functions. The docstrings have what was measured (CPU, one thread, laptop).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from studium import Claim, Profile, Published
from torch import Tensor, nn

from studium_topics.kits import digits, text
from studium_topics.kits.training import one_thread, train
from studium_topics.swiglu.model import UNGATED, FeedForward, Gated, feed_forward_size, language_model

Multiplier = Callable[[int], tuple[Tensor, Tensor, Tensor]]
DeadUnits = Callable[..., Tensor]
MatchedWidth = Callable[..., int]
Interval = tuple[float, float, float]  # mean difference, and the ends of its confidence interval
PairedInterval = Callable[[Sequence[float], Sequence[float], float], Interval]
Pair = tuple[Tensor, Tensor]  # token numbers, and the token that follows each, both (B, T)

FITTED = {"relu": 14, "silu": 14, "glu": 8, "bilinear": 8, "reglu": 8, "geglu": 8, "swiglu": 8}  # 56 parameters each
RATES, GATES = (0.01, 0.05, 0.1), ("reglu", "geglu", "swiglu")
KINDS = ("relu", "silu", "swiglu")
CRITICAL = {2: 12.706, 3: 4.303, 10: 2.262}  # Student's 97.5 % quantile with n - 1 degrees of freedom, by n


@dataclass(frozen=True)
class Products:
    """One hidden layer fitted to x₁ x₂ on [-2, 2]², each kind with 56 parameters.

    mse, largest: of the error on a grid, by kind. line (P,): points t of the diagonal, where the target is t²; fits:
    what each kind makes of them. exact: the largest error of the layer that `multiplier` made, relative to the largest
    product.
    """

    mse: dict[str, float]
    largest: dict[str, float]
    line: Tensor
    fits: dict[str, Tensor]
    exact: float

    @property
    def floor(self) -> float:
        """The largest error on the diagonal that no ReLU layer of that size can go below: 2 / (units + 1)²."""
        return 2 / (FITTED["relu"] + 1) ** 2

    @property
    def advantage(self) -> float:
        """The mean squared error of ReLU over that of SwiGLU."""
        return self.mse["relu"] / self.mse["swiglu"]


@one_thread()
def products(gated: Gated, multiplier: Multiplier, *, profile: Profile, seed: int = 0) -> Products:
    """Fit x₁ x₂ with one hidden layer of each kind of FITTED, whose inputs are x₁, x₂ and 1.

    Measured at laptop, seeds 0 to 4, about 9 s of CPU time each: the squared error of ReLU over that of SwiGLU 13.5,
    35.9, 21.5, 20.5, 222. Squared errors: ReLU 1.4e-3 to 1e-2, SiLU 7e-4 to 4e-3, GLU 4e-4 to 9e-4, ReGLU 3e-5 to 7e-4,
    GEGLU 3e-5 to 5e-5, SwiGLU 5e-5 to 2e-4, Bilinear 1e-14. The multiplier's relative error is at most 4e-16.
    """
    steps = profile.choose(smoke=40, laptop=1500, gpu=1500)
    side = torch.linspace(-2, 2, 81)
    grid, line = torch.cartesian_prod(side, side), side[:, None].expand(-1, 2)
    mse, largest, fits = {}, {}, {}
    for kind, units in FITTED.items():
        generator = torch.Generator().manual_seed(seed)
        layer = FeedForward(kind, 3, units, 1, gated=gated, generator=generator)
        train(layer, _product_loss(layer), steps, 2e-2, seed=seed, quiet=True)
        with torch.no_grad():
            error = _read(layer, grid) - grid.prod(1)
            fits[kind] = _read(layer, line)
        mse[kind], largest[kind] = float(error.square().mean()), float(error.abs().max())
    return Products(mse, largest, side, fits, _exactness(gated, multiplier, seed))


def _read(layer: nn.Module, points: Tensor) -> Tensor:
    """Return what a layer says of points (P, 2), as (P,)."""
    return layer(F.pad(points, (0, 1), value=1.0))[:, 0]


def _product_loss(layer: nn.Module) -> Callable[[torch.Generator], Tensor]:
    def loss(generator: torch.Generator) -> Tensor:
        points = 4 * torch.rand(256, 2, generator=generator) - 2
        return (_read(layer, points) - points.prod(1)).square().mean()

    return loss


def _exactness(gated: Gated, multiplier: Multiplier, seed: int) -> float:
    generator = torch.Generator().manual_seed(seed)
    p, q = 10 * torch.randn(2, 1000, 4, generator=generator, dtype=torch.float64)
    weights = (torch.as_tensor(weight).double() for weight in multiplier(4))
    wanted = (p * q).sum(1)
    found = gated(torch.cat([p, q], 1), *weights, "swiglu")[:, 0]
    return float((found - wanted).abs().max() / wanted.abs().max())


@dataclass(frozen=True)
class DeadGates:
    """Digit classifiers with one gated layer of 64 units: dead units and accuracy by (kind, rate), as fractions."""

    dead: dict[tuple[str, float], float]
    accuracy: dict[tuple[str, float], float]

    def most_dead(self, kind: str) -> float:
        """The largest fraction of dead units of a kind, over the rates."""
        return max(dead for (name, _), dead in self.dead.items() if name == kind)


@one_thread()
def dead_gates(gated: Gated, dead_units: DeadUnits, *, profile: Profile, seed: int = 0) -> DeadGates:
    """Train each of GATES on digits at each of RATES with Adam, and count the units that are dead on all training data.

    Pixels are from 0 to 1, so that a gate whose weights are all negative is closed for every image.
    Measured at laptop, seeds 0 to 4, about 5 s of CPU time each. Dead at rates 0.01, 0.05, 0.1: ReGLU .14 to .36, .55
    to .62, .84 to .88; GEGLU 0, 0 to .02, .30 to .41 (in float32 GELU and its slope are 0 from -6.2 down); SwiGLU 0.
    Accuracies at 0.1: ReGLU .78 to .92, GEGLU .75 to .91, SwiGLU .87 to .92.
    """
    steps = profile.choose(smoke=60, laptop=200, gpu=200)
    seen, unseen = digits.split()
    x, unseen_x = (_pixels(half) for half in (seen, unseen))
    dead, accuracy = {}, {}
    for rate in RATES:
        for kind in GATES:
            layer = FeedForward(kind, 64, 64, 10, gated=gated, generator=torch.Generator().manual_seed(seed))
            loss = _digit_loss(layer, x, seen.labels)
            train(layer, loss, steps, rate, schedule="constant", seed=seed, quiet=True)
            found = torch.as_tensor(dead_units(x, layer.w_gate, layer.w_up, layer.w_down, kind))
            dead[kind, rate] = float(found.double().mean())
            with torch.no_grad():
                right = layer(unseen_x).argmax(1) == unseen.labels
            accuracy[kind, rate] = float(right.double().mean())
    return DeadGates(dead, accuracy)


def _pixels(images: digits.Digits) -> Tensor:
    return (images.images.flatten(1) + 1) / 2


def _digit_loss(layer: nn.Module, x: Tensor, labels: Tensor) -> Callable[[torch.Generator], Tensor]:
    def loss(generator: torch.Generator) -> Tensor:
        rows = torch.randint(len(x), (64,), generator=generator)
        return F.cross_entropy(layer(x[rows]), labels[rows])

    return loss


@dataclass(frozen=True)
class Table:
    """Character models that differ in their feed-forward layers alone, with several seeds each.

    size: parameters of the feed-forward layers by kind. losses: held-out losses in nats a character, seed by seed.
    against_relu, against_silu: the paired difference of each kind from that one, with its 95 % interval.
    """

    size: dict[str, int]
    losses: dict[str, list[float]]
    against_relu: dict[str, Interval]
    against_silu: dict[str, Interval]

    @property
    def unequal(self) -> float:
        """The largest relative difference in size from the ReLU layers."""
        return max(abs(size / self.size["relu"] - 1) for size in self.size.values())

    def mean(self, kind: str) -> float:
        """Return the mean held-out loss of a kind."""
        return sum(self.losses[kind]) / len(self.losses[kind])


@one_thread()
def table(
    gated: Gated, matched_width: MatchedWidth, compare: Callable[..., dict[str, tuple[list[float], Interval]]],
    paired_interval: PairedInterval, *, profile: Profile, seed: int = 0,
) -> Table:  # fmt: skip
    """Train KINDS at equal parameters on the same batches, three runs of each kind at laptop (2 at smoke, 10 at gpu).

    Measured at laptop on six single runs of each kind, about 7 s of CPU time each; the first two are the runs of seed 0
    here, the others had the same distributions of weights and other draws. SwiGLU less ReLU: -.012 -.004 -.053 -.060
    -.012 -.038; SwiGLU less SiLU: -.058 -.061 -.072 -.089 -.064 -.098; SiLU less ReLU: .046 .057 .019 .029 .052 .060.
    """
    data, hidden = Text.of(profile), 4 * profile.choose(smoke=16, laptop=64, gpu=256)
    count = profile.choose(smoke=2, laptop=3, gpu=10)

    def build(kind: str, run: int) -> nn.Module:
        width = hidden if kind in UNGATED else matched_width(hidden)
        sizes = {"vocabulary": data.vocabulary, "width": hidden // 4, "hidden": width}
        return language_model(kind, run, gated=gated, **sizes).to(profile.device)

    seeds = list(range(count * seed, count * (seed + 1)))
    found = compare(
        build, data.batches, data.held_out, list(KINDS), seeds, profile.choose(smoke=1e-2, laptop=1e-2, gpu=2e-3),
        CRITICAL[count],
    )  # fmt: skip
    losses = {kind: [float(loss) for loss in runs] for kind, (runs, _) in found.items()}
    return Table(
        {kind: feed_forward_size(build(kind, 0)) for kind in KINDS},
        losses,
        {kind: _numbers(interval) for kind, (_, interval) in found.items()},
        {kind: _numbers(paired_interval(losses[kind], losses["silu"], CRITICAL[count])) for kind in KINDS},
    )


def _numbers(interval: Sequence[float]) -> Interval:
    mean, low, high = (float(number) for number in interval)
    return mean, low, high


@dataclass(frozen=True)
class Text:
    """English prose as characters: what is drawn from to train, and held-out pairs."""

    seen: Tensor
    held_out: Pair
    vocabulary: int
    steps: int
    batch: int
    length: int

    @classmethod
    def of(cls, profile: Profile) -> Text:
        """Return the data at the size of a profile, on its device."""
        vocabulary = text.character_vocabulary()
        seen, unseen = text.split(vocabulary.encode(text.prose()))
        length, count = profile.choose(smoke=(32, 8), laptop=(64, 200), gpu=(256, 400))
        rows = unseen[: count * (length + 1)].view(-1, length + 1).to(profile.device)
        steps, batch = profile.choose(smoke=(8, 8), laptop=(300, 16), gpu=(4000, 64))
        pair = rows[:, :-1], rows[:, 1:]
        return cls(seen.to(profile.device), pair, vocabulary.size, steps, batch, length)

    def batches(self, seed: int) -> list[Pair]:
        """Return the training batches of a seed, one for each step; the same ones at every call."""
        generator = torch.Generator().manual_seed(seed)
        return [text.next_token_batch(self.seen, self.batch, self.length, generator) for _ in range(self.steps)]


claims = (
    Claim(
        "Two SwiGLU units multiply exactly, without training (largest relative error of a dot product)",
        "2002.05202",
        products,
        lambda result: result.exact,
        at_most=1e-12,
        holds_from="smoke",
    ),
    Claim(
        "At 56 parameters, a SwiGLU layer fits a product better than a ReLU layer (ratio of squared errors)",
        "2002.05202",
        products,
        lambda result: result.advantage,
        at_least=5.0,
    ),
    Claim(
        "Gates with ReLU die at a high rate (largest fraction of dead units)",
        "2002.05202",
        dead_gates,
        lambda result: result.most_dead("reglu"),
        at_least=0.5,
    ),
    Claim(
        "Ablation: with SiLU in their place none dies at the same rates",
        "2002.05202",
        dead_gates,
        lambda result: result.most_dead("swiglu"),
        at_most=0.0,
    ),
    Claim(
        "All feed-forward layers of the table have equal parameters (largest relative difference)",
        "2002.05202",
        table,
        lambda result: result.unequal,
        at_most=0.01,
        holds_from="smoke",
    ),
    Claim(
        "A gate helps at equal parameters: SwiGLU against SiLU without a gate (mean paired difference, nats)",
        "2002.05202",
        table,
        lambda result: result.against_silu["swiglu"][0],
        at_most=-0.02,
        published=Published(
            "Shazeer 2020, Table 1",
            {"ReLU": 1.997, "SiLU (Swish)": 1.994, "SwiGLU": 1.944},
            "log-perplexity of T5 after 65 536 steps",
            lambda result, name: result.mean(name.split()[0].lower()),
            "held-out loss, nats a character",
            "The paper's loss is of a token and ours of a character, after a small part of the steps, so that neither "
            "the losses nor the gaps can be compared in size.",
            spread=0.01,
        ),
    ),
    Claim(
        "SwiGLU is not behind ReLU; three seeds do not make it a winner (mean paired difference, nats)",
        "2002.05202",
        table,
        lambda result: result.against_relu["swiglu"][0],
        at_most=0.02,
    ),
    Claim(
        "Ablation: SiLU without a gate is not ahead of ReLU, so a smooth activation is not the reason (nats)",
        "2002.05202",
        table,
        lambda result: result.against_relu["silu"][0],
        at_least=0.0,
    ),
)
