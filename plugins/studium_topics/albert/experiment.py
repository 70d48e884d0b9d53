"""Two questions of the ALBERT paper in miniature: what sharing layers costs, and what a sentence-order loss teaches.

Sharing (table 4): three causal language models of characters that differ in nothing but their stack: one layer, four
layers that are one, four layers of their own. A causal mask stands in for ALBERT's masked words because each position
then has a label, and a model of this size learns in the time of one page. Sentence order (table 5): two encoders that
differ in nothing but the second sentence of their negative pairs, each asked both questions afterwards.

Measured at laptop (2 cores, CPU), 30 s of CPU time for sharing and 20 s for the orders. Sharing, seeds 0 to 2: losses
of one layer 1.998 2.008 1.983, four shared 1.884 1.863 1.867, four own 1.788 1.809 1.813 nats a character, so that
sharing keeps .54 .73 .69 of the gain of depth. Sentence order, seeds 0 to 4: trained on order, order 1.000 each time,
next sentence .658 .710 .715 .765 .721; trained on the next sentence, next sentence 1.000 .998 1.000 .974 .923, order
.494 .652 .565 .604 .770. The rule of shared words, seeds 0 to 5: next .849 .856 .830 .839 .841 .845, order always .5;
on the pairs of `sop_pairs`, seeds 0 to 2: order .500 .487 .488 (or .513 .512: the claim has the distance from 1/2).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import chain, pairwise

import torch
import torch.nn.functional as F
from studium import Claim, Profile, Published
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from studium_topics.albert import stories
from studium_topics.albert.model import Sizes, parts
from studium_topics.kits import text, training

Pair = tuple[list[int], list[int], int]
Make = Callable[..., list[Pair]]
Stack = Callable[..., list[Tensor]]
DEPTH = 4
STACKS = {"one layer": (1, 1), "four layers, shared": (1, DEPTH), "four layers of their own": (DEPTH, DEPTH)}
LENGTH = 32


@dataclass(frozen=True)
class Run:
    """One trained stack: its parameters, the FLOPs of a forward pass, its loss in nats a character, and its states.

    states (L + 1, B, T, H): what enters the first layer and leaves each layer, for a batch that it was not trained on.
    """

    name: str
    parameters: int
    flops: int
    loss: float
    states: Tensor


@dataclass(frozen=True)
class Sharing:
    """The three stacks of STACKS, trained alike."""

    one: Run
    shared: Run
    own: Run

    @property
    def recovered(self) -> float:
        """The share of what three more layers gain that remains when all four are one."""
        return (self.one.loss - self.shared.loss) / (self.one.loss - self.own.loss)

    @property
    def parameter_ratio(self) -> float:
        """How many times fewer parameters the shared stack of four has than the other stack of four."""
        return self.own.parameters / self.shared.parameters

    @property
    def flop_ratio(self) -> float:
        """How many times fewer operations it computes."""
        return self.own.flops / self.shared.flops

    @property
    def depth_ratio(self) -> float:
        """How many times more operations it computes than the one layer with the same parameters."""
        return self.shared.flops / self.one.flops


@training.one_thread()
def sharing(shared_stack: Stack, *, profile: Profile, seed: int = 0) -> Sharing:
    """Train the three stacks on the same text, with the same steps, and count what they store and compute."""
    corpus, held_out = (part.to(profile.device) for part in text.split(_corpus()))
    runs = []
    for name, (groups, layers) in STACKS.items():
        made = character_model(groups, seed).to(profile.device)

        def loss(
            generator: torch.Generator, ids: Tensor = corpus, made: nn.ModuleDict = made, layers: int = layers
        ) -> Tensor:
            inputs, wanted = text.next_token_batch(ids, profile.choose(smoke=4, laptop=16, gpu=64), LENGTH, generator)
            logits = predict(shared_stack, made, layers, inputs)[0]
            return F.cross_entropy(logits.flatten(0, 1), wanted.flatten())

        steps = profile.choose(smoke=4, laptop=440, gpu=2000)
        training.train(made, loss, steps, 4e-3, schedule="onecycle", clip=1.0, seed=seed, quiet=True)
        runs.append(measure(shared_stack, made, layers, held_out, name))
    return Sharing(*runs)


def _corpus() -> Tensor:
    return text.character_vocabulary().encode(text.prose())


def character_model(groups: int, seed: int) -> nn.ModuleDict:
    """Return the parts of a causal model of characters: word and position tables, groups of layers, and a head."""
    sizes = Sizes(vocabulary=text.character_vocabulary().size, width=64, hidden=256, groups=groups, causal=True)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        tables = {"word": nn.Embedding(sizes.vocabulary, sizes.width), "position": nn.Embedding(LENGTH, sizes.width)}
        head = nn.Linear(sizes.width, sizes.vocabulary)
    for table in tables.values():
        nn.init.normal_(table.weight, std=0.3, generator=torch.Generator().manual_seed(seed))
    return nn.ModuleDict({**tables, "groups": parts(sizes, seed)["groups"], "head": head})


def predict(shared_stack: Stack, made: nn.ModuleDict, layers: int, ids: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the logits (B, T, V) of the next character, and all states, for ids (B, T)."""
    x = made["word"](ids) + made["position"].weight[: ids.shape[1]]
    states = shared_stack(x, torch.ones_like(ids, dtype=torch.bool), made["groups"], layers)
    return made["head"](states[-1]), list(states)


def costs(shared_stack: Stack) -> dict[str, tuple[int, int]]:
    """Return, for each of STACKS, the parameters of its layers and the operations of a forward pass, untrained."""
    found = {}
    for name, (groups, layers) in STACKS.items():
        ids = torch.zeros(2, LENGTH, dtype=torch.long)
        made = character_model(groups, seed=0)
        found[name] = stored(made), operations(shared_stack, made, layers, ids)
    return found


def stored(made: nn.ModuleDict) -> int:
    """Return how many parameters the layers of a model have."""
    return sum(weight.numel() for weight in made["groups"].parameters())


@torch.no_grad()
def operations(shared_stack: Stack, made: nn.ModuleDict, layers: int, ids: Tensor) -> int:
    """Return the floating-point operations of one forward pass, as PyTorch counts them."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:  # fused attention counts as nothing
        predict(shared_stack, made, layers, ids)
    return int(counter.get_total_flops())


@torch.no_grad()
def measure(shared_stack: Stack, made: nn.ModuleDict, layers: int, held_out: Tensor, name: str) -> Run:
    """Return what a stack stores, computes and loses, on 200 windows of text that it was not trained on."""
    inputs, wanted = text.next_token_batch(held_out, 200, LENGTH, torch.Generator().manual_seed(0))
    logits, states = predict(shared_stack, made, layers, inputs)
    loss = F.cross_entropy(logits.double().flatten(0, 1), wanted.flatten())
    spent = operations(shared_stack, made, layers, inputs[:2])
    return Run(name, stored(made), spent, float(loss), torch.stack(states)[:, :20].cpu())


def steps_between(states: Tensor) -> tuple[list[float], list[float]]:
    """Return, for each layer, how far it moves a token (L2) and by which angle (degrees), as means; figure 1.

    states (L + 1, B, T, H).
    """
    far = [float((after - before).norm(dim=-1).mean()) for before, after in pairwise(states)]
    cosines = [F.cosine_similarity(before, after, dim=-1).clamp(-1, 1) for before, after in pairwise(states)]
    return far, [float(cosine.acos().rad2deg().mean()) for cosine in cosines]


@dataclass(frozen=True)
class Orders:
    """The share of right answers (task asked) of two encoders, each trained on one of the tasks, and their losses."""

    accuracy: dict[str, dict[str, float]]
    losses: dict[str, list[float]]

    @property
    def gap(self) -> float:
        """How much better sentence order teaches sentence order than next sentence prediction does."""
        return self.accuracy["order"]["order"] - self.accuracy["next"]["order"]

    def answered(self, name: str) -> float:
        """Return a share of right answers by its name in the paper, "trained on SOP, asked NSP" for instance."""
        tasks = {"NSP": "next", "SOP": "order"}
        trained, asked = name.removeprefix("trained on ").split(", asked ")
        return self.accuracy[tasks[trained]][tasks[asked]]


def next_pairs(docs: list[list[list[int]]], generator: torch.Generator, cls: int, sep: int) -> list[Pair]:
    """Return BERT's pairs: label 0 with the next sentence, 1 with one from the next document of the list."""
    found = []
    for number, document in enumerate(docs):
        for first, following in pairwise(document):
            other = docs[number - 1]
            label, at = (int(torch.randint(top, (), generator=generator)) for top in (2, len(other)))
            second = other[at] if label else following
            found.append(([cls, *first, sep, *second, sep], [0] * (len(first) + 2) + [1] * (len(second) + 1), label))
    return found


@training.one_thread()
def orders(
    albert: Callable[..., tuple[Tensor, Tensor]],
    sop_pairs: Make,
    train_order: Callable[..., list[float]],
    *,
    profile: Profile,
    seed: int = 0,
) -> Orders:
    """Train one encoder on sentence order and one on the next sentence, from the same start, and ask both both."""
    tasks: dict[str, Make] = {"order": sop_pairs, "next": next_pairs}
    accuracy, losses = {}, {}
    for name, task in tasks.items():
        made = parts(encoder_sizes(), seed).to(profile.device)
        data = batches(task, profile, seed)
        losses[name] = train_order(made, DEPTH, data, LEARNING_RATE, stories.PAD)
        accuracy[name] = {other: ask(albert, made, ask_task, profile, seed) for other, ask_task in tasks.items()}
    return Orders(accuracy, losses)


LEARNING_RATE = 1e-3


def encoder_sizes(groups: int = 1) -> Sizes:
    """Return the sizes of an encoder that reads stories; in the experiment, one group serves for all four layers."""
    return Sizes(vocabulary=stories.VOCABULARY, length=stories.LENGTH, groups=groups)


def batches(task: Make, profile: Profile, seed: int) -> list[list[Pair]]:
    """Return the batches of one training run, one for each step, from stories of two sentences."""
    generator = torch.Generator().manual_seed(seed)
    steps = profile.choose(smoke=8, laptop=400, gpu=1000)
    size = profile.choose(smoke=8, laptop=32, gpu=256)
    return [task(stories.stories(size, generator), generator, stories.CLS, stories.SEP) for _ in range(steps)]


@torch.no_grad()
def ask(
    albert: Callable[..., tuple[Tensor, Tensor]], made: nn.ModuleDict, task: Make, profile: Profile, seed: int
) -> float:
    """Return the share of right answers to a task, on new pairs."""
    generator = torch.Generator().manual_seed(1000 + seed)
    docs = stories.stories(profile.choose(smoke=100, laptop=1000, gpu=4000), generator)
    pairs = task(docs, generator, stories.CLS, stories.SEP)
    ids, segments, labels = (torch.tensor(column, device=profile.device) for column in zip(*pairs, strict=True))
    _, pooled = albert(ids, segments, made, DEPTH, stories.PAD)
    return float((made["order"](pooled).argmax(-1) == labels).double().mean())


@dataclass(frozen=True)
class Overlap:
    """The share of right answers of a rule that counts shared words and knows nothing else."""

    next: float
    order: float


def overlap_rule(*, profile: Profile, seed: int = 0) -> Overlap:
    """Show a rule without parameters a right and a wrong pair of paragraphs, and let it choose by shared words.

    The right pair are neighbours. For "next", the wrong pair has a second paragraph from another document; for "order",
    it is the right pair, swapped. Where both pairs share equally many words, the rule tosses a coin, and counts half.
    """
    generator = torch.Generator().manual_seed(seed)
    documents = _documents()
    points: dict[str, list[float]] = {"next": [], "order": []}
    for number, document in enumerate(documents):
        for first, second in pairwise(document):
            away = 1 + int(torch.randint(len(documents) - 1, (), generator=generator))
            other = documents[(number + away) % len(documents)]
            stranger = other[int(torch.randint(len(other), (), generator=generator))]
            right = overlap(first, second)
            for task, wrong in (("next", overlap(first, stranger)), ("order", overlap(second, first))):
                points[task].append(0.5 if right == wrong else float(right > wrong))
    return Overlap(*(sum(found) / len(found) for found in points.values()))


def shared_words(sop_pairs: Make, *, profile: Profile, seed: int = 0, draws: int = 10) -> Overlap:
    """Show the same rule a pair in order and a swapped one from `sop_pairs`, and let it choose by shared words.

    The paragraphs are those of `overlap_rule`, a number for each word. The share is that of all choices between a pair
    with label 0 and a pair with label 1, in several draws; where both share equally many words, half counts.
    """
    known = set[str]().union(*chain.from_iterable(_documents()))
    numbers = {word: number for number, word in enumerate(sorted(known), 3)}
    docs = [[sorted(numbers[word] for word in paragraph) for paragraph in document] for document in _documents()]
    generator, shared = torch.Generator().manual_seed(seed), ([], [])
    for _ in range(draws):
        for ids, segments, label in sop_pairs(docs, generator, 1, 2):
            pair = list(zip(ids, segments, strict=True))
            first, second = ({number for number, side in pair if number > 2 and side == place} for place in (0, 1))
            shared[label].append(len(first & second))
    in_order, swapped = (torch.tensor(found).double() for found in shared)
    apart = in_order[:, None] - swapped
    order = float(((apart > 0).double() + (apart == 0) / 2).mean())
    return Overlap(overlap_rule(profile=profile, seed=seed).next, order)


@cache
def _documents() -> list[list[frozenset[str]]]:
    from pydoc_data.topics import topics  # the prose of kits.text, one document a topic

    paragraphs = [[one for one in text.split("\n\n") if len(one) > 200] for text in topics.values()]
    return [[words(one) for one in document] for document in paragraphs if len(document) > 1]


def words(paragraph: str) -> frozenset[str]:
    """Return the different words of at least four letters, in lower case."""
    return frozenset(word for word in re.findall("[a-z]+", paragraph.lower()) if len(word) > 3)


def overlap(first: frozenset[str], second: frozenset[str]) -> int:
    """Return how many words two paragraphs share."""
    return len(first & second)


claims = (
    Claim(
        "Four layers that share their parameters store a quarter of what four layers of their own store (ratio)",
        "1909.11942",
        sharing,
        lambda result: result.parameter_ratio,
        at_least=4,
        holds_from="smoke",
        published=Published(
            "Lan et al. 2019, Table 4",
            {"everything shared": 12, "nothing shared": 89},
            "millions of parameters, ALBERT-base with E = 128",
            lambda result, name: (result.shared if name == "everything shared" else result.own).parameters / 1000,
            "thousands of parameters in the layers",
            "ALBERT-base has twelve layers and its numbers contain the word table; ours has four, and the table is not "
            "counted, so that the ratio is exactly 4.",
        ),
    ),
    Claim(
        "They compute exactly as much: operations of the one over those of the other, distance from 1",
        "1909.11942",
        sharing,
        lambda result: abs(result.flop_ratio - 1),
        at_most=0,
        holds_from="smoke",
    ),
    Claim(
        "Using one layer four times is better than using it once: nats a character gained",
        "1909.11942",
        sharing,
        lambda result: result.one.loss - result.shared.loss,
        at_least=0.05,
    ),
    Claim(
        "Sharing keeps part of the gain of depth, at no parameter more (share of what four own layers gain)",
        "1909.11942",
        sharing,
        lambda result: result.recovered,
        at_least=0.3,
    ),
    Claim(
        "Sharing has its price: layers of their own are better at equal depth (nats a character)",
        "1909.11942",
        sharing,
        lambda result: result.shared.loss - result.own.loss,
        at_least=0.03,
    ),
    Claim(
        "Trained on sentence order, the encoder answers it (share of right answers)",
        "1909.11942",
        orders,
        lambda result: result.accuracy["order"]["order"],
        at_least=0.9,
    ),
    Claim(
        "Trained on the next sentence, it answers that (share of right answers)",
        "1909.11942",
        orders,
        lambda result: result.accuracy["next"]["next"],
        at_least=0.85,
    ),
    Claim(
        "The next sentence teaches less about order than order does (gap in the share of right answers)",
        "1909.11942",
        orders,
        lambda result: result.gap,
        at_least=0.12,
        published=Published(
            "Lan et al. 2019, Table 5",
            {
                "trained on NSP, asked NSP": 90.5,
                "trained on NSP, asked SOP": 52.0,
                "trained on SOP, asked NSP": 78.9,
                "trained on SOP, asked SOP": 86.5,
            },
            "right answers, %",
            lambda result, name: 100 * result.answered(name),
            "right answers, %",
            "The paper trains on hidden words as well, with large amounts of text; our encoders train on one of the "
            "two tasks alone, with stories of two sentences.",
        ),
    ),
    Claim(
        "Shared words find the next paragraph of prose, and say nothing about the order in pairs for sentence order "
        "(share of right answers, difference)",
        "1909.11942",
        shared_words,
        lambda result: result.next - result.order,
        at_least=0.25,
        holds_from="smoke",
    ),
    Claim(
        "Pairs for sentence order do not leak it through shared words: distance of the share of right answers from 1/2",
        "1909.11942",
        shared_words,
        lambda result: abs(result.order - 0.5),
        at_most=0.05,
        holds_from="smoke",
    ),
)
