"""Mixtures of experts in miniature: a task of eight clusters, a router that collapses, and a small language model.

The docstrings of the three experiments have what was measured (CPU). All leave the global random state as it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from studium import Claim, Profile, Published
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from studium_topics.kits import text
from studium_topics.kits.tiny_lm import TinyLM, base_model
from studium_topics.kits.training import one_thread, train
from studium_topics.moe.model import Gated, Layer, Mixture

Function = Callable[..., tuple[Tensor, ...]]
CLUSTERS, WIDTH = 8, 16
EXPERTS, HIDDEN, CHOICES = 8, 16, 2  # of the mixture for the clusters
FAVOUR = 10.0  # the head start of the favoured experts, in logits
RATE, BALANCE = 1e-2, 0.01
SHOWN = {" ": "space", "\n": "newline"}


@dataclass(frozen=True)
class Task:
    """Clusters of points, each with a linear map of its own: the answer for x is the map of x's cluster, times x."""

    centres: Tensor  # (8, 16)
    maps: Tensor  # (8, 16, 16)

    @classmethod
    def drawn(cls, seed: int) -> Task:
        generator = torch.Generator().manual_seed(seed)
        centres = torch.randn(CLUSTERS, WIDTH, generator=generator)
        return cls(centres, torch.randn(CLUSTERS, WIDTH, WIDTH, generator=generator) / WIDTH**0.5)

    def batch(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return x (4, count / 4, 17), whose last number is always 1, the answers (…, 16) and the clusters (…)."""
        cluster = torch.randint(CLUSTERS, (4, count // 4), generator=generator)
        x = self.centres[cluster] + torch.randn(*cluster.shape, WIDTH, generator=generator)
        return F.pad(x, (0, 1), value=1.0), torch.einsum("btij,btj->bti", self.maps[cluster], x), cluster


@dataclass(frozen=True)
class Run:
    """A layer trained on the clusters, and what was measured on points that it had not seen."""

    name: str
    parameters: int
    flops: float  # of the forward pass, for each token
    error: float  # mean squared error over the mean square of the answers
    evenness: float  # entropy of the experts' load over that of an even load; nan without a router
    busiest: float  # the largest share of all choices that one expert gets; nan without a router
    dropped: float
    balance: float  # the balance loss
    logits: Tensor  # (tokens, E) of the router on the test points, empty without one
    clusters: Tensor  # (tokens,)
    history: tuple[float, ...]  # the evenness in each step


@dataclass(frozen=True)
class Layers:
    """The mixture, the dense layers of equal cost and of equal size, and the mixture whose router was never trained."""

    mixture: Run
    equal_cost: Run
    equal_size: Run
    frozen: Run

    @property
    def cost_ratio(self) -> float:
        """What the mixture costs a token over what the dense layer of equal cost does."""
        return self.mixture.flops / self.equal_cost.flops

    @property
    def runs(self) -> tuple[Run, ...]:
        """All four, in the order of the lesson's table."""
        return self.mixture, self.equal_cost, self.equal_size, self.frozen


def evenness(logits: Tensor, k: int) -> tuple[float, float]:
    """Return the entropy of the experts' load over log E, and the largest share, for router logits (N, E)."""
    share = torch.bincount(logits.topk(k).indices.flatten(), minlength=logits.shape[1]) / (logits.shape[0] * k)
    return float(torch.special.entr(share).sum()) / math.log(len(share)), float(share.max())


@one_thread()
def three_layers(
    route: Function,
    mixture: Callable[..., Tensor],
    router_losses: Function,
    dense_twins: Callable[..., tuple[int, int]],
    *,
    profile: Profile,
    seed: int = 0,
) -> Layers:
    """Train a mixture of eight experts, two for each token, and the dense layers that cost and hold as much.

    All have the same data, steps and learning rate. Nothing is dropped, so that the mixture computes exactly two
    experts for each token.
    Measured at laptop on one thread, seeds 0 to 4, about 8 s of CPU time each: error of the mixture .087 .086 .091 .121
    .110, of the dense layer of equal cost .244 .236 .276 .288 .228, of equal size .120 .115 .140 .169 .114, with the
    untrained router .220 .210 .247 .237 .211. Mixture over equal cost .33 to .48, over equal size .65 to .97, over the
    untrained router .37 to .52. FLOPs over those of the dense layer of equal cost: 1.0196.
    """
    task = Task.drawn(seed)

    def dropless(x: Tensor, *parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, float]:
        flat = x.flatten(0, 1)
        logits = flat @ parameters[0].T
        weights, chosen = route(logits, CHOICES)
        return mixture(flat, chosen, weights, *parameters[1:]).view_as(x), *router_losses(logits, chosen), 0.0

    def fresh() -> torch.Generator:
        return torch.Generator().manual_seed(1000 + seed)

    cost, size = dense_twins(HIDDEN, EXPERTS, CHOICES)
    layers: dict[str, nn.Module] = {
        "mixture": Mixture(dropless, WIDTH + 1, HIDDEN, EXPERTS, fresh()),
        "dense, equal cost": Gated(WIDTH + 1, cost, fresh()),
        "dense, equal size": Gated(WIDTH + 1, size, fresh()),
        "router not trained": Mixture(dropless, WIDTH + 1, HIDDEN, EXPERTS, fresh()),
    }
    layers["router not trained"].router.requires_grad_(False)
    return Layers(*(fit(name, layer, task, BALANCE, profile, seed) for name, layer in layers.items()))


def fit(name: str, layer: nn.Module, task: Task, alpha: float, profile: Profile, seed: int) -> Run:
    """Train a layer (4, T, 17) -> (4, T, 17) on a task and measure it; alpha weighs the balance loss."""
    steps = profile.choose(smoke=40, laptop=600, gpu=3000)
    size = profile.choose(smoke=128, laptop=256, gpu=2048)
    layer.to(profile.device)
    history = []

    def loss(generator: torch.Generator) -> Tensor:
        x, answers, _ = (part.to(profile.device) for part in task.batch(size, generator))
        error = _error(layer(x), answers)
        if not isinstance(layer, Mixture):
            return error
        history.append(evenness(layer.logits, CHOICES)[0])
        return error + alpha * layer.balance

    train(layer, loss, steps, RATE, seed=seed, quiet=True)
    count = profile.choose(smoke=512, laptop=4096, gpu=16384)
    batch = task.batch(count, torch.Generator().manual_seed(2000 + seed))
    x, answers, cluster = (part.to(profile.device) for part in batch)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        out = layer(x)
    held = sum(parameter.numel() for parameter in layer.parameters())
    measured = counter.get_total_flops() / count, float(_error(out, answers))
    routed = _routed(layer) if isinstance(layer, Mixture) else (math.nan, math.nan, 0.0, math.nan, torch.zeros(0, 0))
    return Run(name, held, *measured, *routed, cluster.flatten().cpu(), tuple(history))


def _error(out: Tensor, answers: Tensor) -> Tensor:
    return (out[..., :WIDTH] - answers).square().mean() / answers.square().mean()


def _routed(layer: Mixture) -> tuple[float, float, float, float, Tensor]:
    logits = layer.logits.cpu()
    return *evenness(logits, CHOICES), float(layer.dropped), float(layer.balance), logits


@dataclass(frozen=True)
class Collapse:
    """A router with a head start for two experts, trained with three weights of the balance loss."""

    roomy: Run  # without a balance loss, but with seats for all
    collapsed: Run  # without a balance loss
    weak: Run
    balanced: Run

    @property
    def runs(self) -> tuple[Run, ...]:
        """All four, in the order of the lesson's table."""
        return self.roomy, self.collapsed, self.weak, self.balanced


@one_thread()
def collapse(moe_layer: Function, *, profile: Profile, seed: int = 0) -> Collapse:
    """Train the mixture from a router that favours experts 0 and 1 by 10 logits; the balance loss has weight alpha.

    Three of the runs differ in alpha alone, at capacity factor 1.25. The first has alpha 0 and room for every choice.
    Measured at laptop on one thread, seeds 0 to 4, about 10 s of CPU time each. Error: with room for all .264 .243 .288
    .294 .249; collapsed .753 .629 .598 .608 .578; alpha 0.01 .203 .389 .123 .325 .225; alpha 0.1 .107 .085 .115 .151
    .108. Evenness: .333 to .334 with alpha 0, .62 to .87 with 0.01, .957 to .993 with 0.1. Dropped: .688 collapsed, .21
    to .46 with 0.01, .009 to .044 with 0.1. Balanced over collapsed error .14 to .25, over that with room .35 to .51.
    """
    task, room = Task.drawn(seed), EXPERTS / CHOICES

    def favoured(name: str, alpha: float, factor: float = 1.25) -> Run:
        compute = partial(moe_layer, k=CHOICES, factor=factor)
        layer = Mixture(compute, WIDTH + 1, HIDDEN, EXPERTS, torch.Generator().manual_seed(1000 + seed))
        with torch.no_grad():
            layer.router[:CHOICES, -1] += FAVOUR
        return fit(name, layer, task, alpha, profile, seed)

    return Collapse(
        favoured("alpha 0, room for all", 0.0, room),
        favoured("alpha 0", 0.0),
        favoured("alpha 0.01", 0.01),
        favoured("alpha 0.1", 0.1),
    )


@dataclass(frozen=True)
class Model:
    """A small language model with one kind of feed-forward layer."""

    name: str
    parameters: int
    loss: float  # nats a character, on held-out text
    evenness: float  # of the worst of its routers; nan without one
    model: TinyLM


@dataclass(frozen=True)
class Models:
    """The language models: with mixtures, and dense ones whose layers cost or hold as much."""

    mixture: Model
    equal_cost: Model
    equal_size: Model


@one_thread()
def language_models(
    moe_layer: Function, dense_twins: Callable[..., tuple[int, int]], *, profile: Profile, seed: int = 0
) -> Models:
    """Train three small language models on the same batches of English prose; only the feed-forward layers differ.

    The mixture has eight experts, two for each token, and capacity factor 1.25 in training; on held-out text there is
    room for all.
    Measured at laptop on one thread, seeds 0 to 3, about 38 s of CPU time each: mixture 2.104 2.101 2.162 2.101 nats a
    character, equal cost 2.187 2.108 2.145 2.114, equal size 2.078 2.026 2.048 2.040; evenness .987 to .996. No claim
    rests on it.
    """
    hidden = profile.choose(smoke=16, laptop=64, gpu=256)
    cost, size = dense_twins(hidden, EXPERTS, CHOICES)

    def expert_layer(width: int, generator: torch.Generator) -> nn.Module:
        return Mixture(_limited(moe_layer), width, hidden, EXPERTS, generator)

    def dense(hidden: int) -> Callable[[int, torch.Generator], nn.Module]:
        return lambda width, generator: Gated(width, hidden, generator)

    kinds = (("mixture", expert_layer), ("dense, equal cost", dense(cost)), ("dense, equal size", dense(size)))
    return Models(*(_language_model(name, build, profile, seed) for name, build in kinds))


def _limited(moe_layer: Function) -> Layer:
    """Return the layer with capacity factor 1.25 while gradients are computed, and with room for all otherwise."""

    def compute(*tensors: Tensor) -> tuple[Tensor, ...]:
        return moe_layer(*tensors, CHOICES, 1.25 if torch.is_grad_enabled() else EXPERTS / CHOICES)

    return compute


def _language_model(
    name: str, build: Callable[[int, torch.Generator], nn.Module], profile: Profile, seed: int
) -> Model:
    steps, batch = profile.choose(smoke=(8, 8), laptop=(300, 16), gpu=(2000, 64))
    vocabulary = text.character_vocabulary()
    ids = text.split(vocabulary.encode(text.prose()))[0].to(profile.device)
    sizes = profile.choose(smoke={}, laptop={}, gpu={"width": 512, "layers": 8, "heads": 8})
    model = base_model(vocabulary.size, seed, **sizes)
    generator = torch.Generator().manual_seed(3000 + seed)
    for layer in model.layers:
        layer.mlp = build(model.head.in_features, generator)
    model.to(profile.device)
    mixtures = [layer.mlp for layer in model.layers if isinstance(layer.mlp, Mixture)]

    def loss(generator: torch.Generator) -> Tensor:
        inputs, targets = text.next_token_batch(ids, batch, 64, generator)
        nats = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        return nats + BALANCE * sum(mixture.balance for mixture in mixtures)

    train(model, loss, steps, 4e-3, schedule="onecycle", seed=seed, quiet=True)
    windows = held_out_windows(profile)
    with torch.no_grad():
        nats = F.cross_entropy(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())
    worst = min((evenness(mixture.logits, CHOICES)[0] for mixture in mixtures), default=math.nan)
    return Model(name, sum(p.numel() for p in model.parameters()), float(nats), worst, model)


def held_out_windows(profile: Profile) -> Tensor:
    """Return windows (n, 65) of the last tenth of the prose, the same ones at every call."""
    ids = text.split(text.character_vocabulary().encode(text.prose()))[1]
    return ids[: profile.choose(smoke=16, laptop=128, gpu=512) * 65].view(-1, 65).to(profile.device)


@torch.no_grad()
def favourites(model: TinyLM, profile: Profile, layer: int = 0, most: int = 10) -> list[str]:
    """Return, for each expert of a layer, the frequent characters of which it gets the largest share as first choices.

    Of these at most `most` are listed, and only those of which the expert gets at least twice an even share.
    """
    windows = held_out_windows(profile)[:, :-1]
    model(windows)
    logits = model.layers[layer].mlp.logits
    experts, vocabulary = logits.shape[1], text.character_vocabulary()
    pairs = F.one_hot(windows.flatten(), vocabulary.size).T.float() @ F.one_hot(logits.argmax(1), experts).float()
    counts = pairs.sum(1, keepdim=True)  # (V, 1); pairs is (V, E)
    share = torch.where(counts >= 20, pairs / counts.clamp(min=1), 0.0)
    lists = []
    for column in share.T:
        chosen = [int(c) for c in column.argsort(descending=True)[:most] if column[c] >= 2 / experts]
        lists.append(" ".join(SHOWN.get(vocabulary.characters[c], vocabulary.characters[c]) for c in chosen))
    return lists


claims = (
    Claim(
        "A dense layer as wide as `dense_twins` says costs what the mixture costs (ratio of the FLOPs counted)",
        "2401.04088",
        three_layers,
        lambda layers: layers.cost_ratio,
        at_most=1.03,
        holds_from="smoke",
    ),
    Claim(
        "At equal cost, the mixture's error is far below the dense layer's (ratio)",
        "1701.06538",
        three_layers,
        lambda layers: layers.mixture.error / layers.equal_cost.error,
        at_most=0.6,
        published=Published(
            "Fedus et al. 2021, Table 1",
            {"dense layer of equal cost": -1.731, "mixture": -1.561},
            "negative log-perplexity of T5-Base and Switch-Base, where higher is better",
            lambda result, name: (result.mixture if name == "mixture" else result.equal_cost).error,
            "squared error as a share of the answers' squares, where lower is better",
            "The paper's data are text of all kinds; our points come in eight clusters, each with a linear map of its "
            "own, which suits experts, so that the gap is far larger.",
            opposite=True,
        ),
    ),
    Claim(
        "Ablation: with a router that is never trained, the error is higher (trained over untrained)",
        "1701.06538",
        three_layers,
        lambda layers: layers.mixture.error / layers.frozen.error,
        at_most=0.7,
    ),
    Claim(
        "Without a balance loss, a router with a head start keeps to its favourites (evenness of the load)",
        "2101.03961",
        collapse,
        lambda fallen: fallen.collapsed.evenness,
        at_most=0.5,
    ),
    Claim(
        "With a balance loss, the same router uses all experts (evenness of the load)",
        "2101.03961",
        collapse,
        lambda fallen: fallen.balanced.evenness,
        at_least=0.9,
    ),
    Claim(
        "The balanced router's error is far below the collapsed one's (ratio)",
        "2101.03961",
        collapse,
        lambda fallen: fallen.balanced.error / fallen.collapsed.error,
        at_most=0.4,
    ),
    Claim(
        "A collapse costs more than its drops: the balanced error is below the collapsed one with room for all (ratio)",
        "2101.03961",
        collapse,
        lambda fallen: fallen.balanced.error / fallen.roomy.error,
        at_most=0.7,
    ),
)
