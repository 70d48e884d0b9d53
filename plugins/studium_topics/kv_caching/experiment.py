"""What a cache changes, the work and the memory, and what it does not: the tokens.

Nothing of this is timed. Tokens are compared one by one, operations are counted by PyTorch's own counter, and memory in
bytes and slots; so the figures are the same on every machine. Sources: Shazeer 2019 (arXiv 1911.02150) and Pope et al.
2022 (2211.05102) for decoding with a cache, Kwon et al. 2023 (2309.06180) for its pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from studium import Claim, Profile, Published
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from studium_topics.kits import text
from studium_topics.kits.tiny_lm import TinyLM, base_model
from studium_topics.kits.training import one_thread
from studium_topics.kv_caching.conversation import conversation
from studium_topics.kv_caching.model import CHUNK, SIZES, VOCABULARY, Block, CachedLM
from studium_topics.kv_caching.pages import paging
from studium_topics.kv_caching.prose import prose_model, reading
from studium_topics.kv_caching.rotary import rotate


@torch.no_grad()
def greedy(model: TinyLM, ids: Tensor, new: int) -> Tensor:
    """Return `new` greedy tokens (B, new) after ids (B, T), without a cache: every step reads the whole text again."""
    for _ in range(new):
        ids = torch.cat([ids, model(ids)[:, -1:].argmax(-1)], 1)
    return ids[:, -new:]


@dataclass(frozen=True)
class Work:
    """Floating-point operations, as counted: those of the weight matrices, and those of attention."""

    matrices: int
    attention: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.matrices + self.attention


@torch.no_grad()
def counted(passes: Iterable[Callable[[], object]]) -> Work:
    """Count the operations of all passes; PyTorch counts nothing inside fused attention, so that is taken apart."""
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        for run in passes:
            run()
    by_operation = counter.get_flop_counts()["Global"]
    matrices = sum(flops for operation, flops in by_operation.items() if operation == torch.ops.aten.mm)
    return Work(matrices, counter.get_total_flops() - matrices)


@dataclass(frozen=True)
class Identity:
    """With a cache against without: tokens that differ, the largest difference of a logit, and the work counted.

    predicted: what `decode_flops` says of the work without and with a cache.
    """

    tokens: int
    differing: int
    gap: float
    without: Work
    cached: Work
    predicted: tuple[int, int]

    @property
    def ratio(self) -> float:
        """How much more the matrices work without a cache."""
        return self.without.matrices / self.cached.matrices

    @property
    def attention_ratio(self) -> float:
        """How much more attention works without a cache."""
        return self.without.attention / self.cached.attention

    @property
    def surprise(self) -> int:
        """The largest difference between the work that was counted and that which was predicted."""
        return max(abs(self.without.total - self.predicted[0]), abs(self.cached.total - self.predicted[1]))


@one_thread()
def identity(
    cached_attention: Block, generate: Callable[..., tuple[Tensor, object]], decode_flops: Callable[..., int], *,
    profile: Profile, seed: int = 0,
) -> Identity:  # fmt: skip
    """Decode with a random model in double precision, in chunks of several sizes, and count the work of T tokens.

    Exact at every profile: seeds 0 to 4 give no token that differs, logits within 4e-15, and the ratios (T + 1) / 2 and
    (2 T + 1) / 3 to the last digit.
    """
    new = profile.choose(smoke=6, laptop=64, gpu=256)
    tokens = profile.choose(smoke=6, laptop=128, gpu=512)
    model = base_model(VOCABULARY, seed, **SIZES).to(profile.device, torch.float64)
    cached = CachedLM(model, cached_attention, max(tokens, 9 + new))
    drawn = torch.randint(VOCABULARY, (4, tokens), generator=torch.Generator().manual_seed(seed)).to(profile.device)
    expected = greedy(model, drawn[:, :9], new)
    found = [generate(cached.step, drawn[:, :9], new, chunk)[0] for chunk in (1, 4, 9)]
    one = drawn[:1]
    without = counted(lambda n=n: model(one[:, :n]) for n in range(1, tokens + 1))
    with_cache = counted([lambda: cached.logits(one, 1)])
    sizes = (SIZES["layers"], SIZES["width"], SIZES["width"], SIZES["hidden"], VOCABULARY, tokens)
    with torch.no_grad():
        gap = max(float((cached.logits(drawn, chunk) - model(drawn)).abs().max()) for chunk in (1, 5, tokens))
    differing = sum(int((tokens_found != expected).sum()) for tokens_found in found)
    predicted = (decode_flops(*sizes, False), decode_flops(*sizes, True))
    return Identity(tokens, differing, gap, without, with_cache, predicted)


def top_left(queries: int, keys: int) -> Tensor:
    """Return the mask of `is_causal=True`, whose triangle starts at the top left corner: (queries, keys)."""
    return torch.ones(queries, keys, dtype=torch.bool).tril()


@dataclass(frozen=True)
class Faults:
    """A small model of prose read through its cache, rightly and with one thing wrong, in nats a character.

    model: the trained TinyLM. plain: its loss without a cache. losses: with one, by what is wrong; "nothing" is right.
    texts: how it continues one prompt, by what is wrong.
    """

    model: TinyLM
    plain: float
    losses: dict[str, float]
    texts: dict[str, str]

    def harm(self, fault: str) -> float:
        """How many nats a character a fault costs."""
        return self.losses[fault] - self.plain


def broken(model: TinyLM, cached_attention: Block, capacity: int) -> dict[str, CachedLM]:
    """Return the same model read through its cache: as it should be, and with one thing wrong."""
    device = model.embedding.weight.device
    ways: dict[str, dict[str, Block]] = {
        "nothing": {},
        "positions start again": {"turn": lambda z, start: rotate(z, 0)},
        "mask at the top left": {"mask": lambda queries, keys: top_left(queries, keys).to(device)},
        "no mask in a chunk": {
            "mask": lambda queries, keys: torch.ones(queries, keys, dtype=torch.bool, device=device)
        },
    }
    return {name: CachedLM(model, cached_attention, capacity, **way) for name, way in ways.items()}


@one_thread()
def faults(
    cached_attention: Block, generate: Callable[..., tuple[Tensor, object]], *, profile: Profile, seed: int = 0
) -> Faults:
    """Train a small model, then read held-out prose through its cache in chunks of 8, with one thing wrong at a time.

    Measured at laptop on one thread, seeds 0 to 4, in nats a character: positions .95 1.16 1.01 1.07 1.14, top left
    1.23 1.25 1.26 1.22 1.30, no mask .49 .59 .50 .60 .66, text left in .83 .94 .82 .95 .97; nothing wrong less than
    1e-6.
    """
    return read_through(prose_model(profile, seed), cached_attention, generate, profile=profile)


@torch.no_grad()
def read_through(
    model: TinyLM, cached_attention: Block, generate: Callable[..., tuple[Tensor, object]], *, profile: Profile
) -> Faults:
    """Read held-out prose through the cache of a trained model, rightly and with one thing wrong at a time.

    "the last text left in": the cache has not been emptied before the next text begins.
    """
    length, count = profile.choose(smoke=(32, 8), laptop=(64, 100), gpu=(256, 100))
    rows = reading(profile).held_out[: count * (length + 1)].view(count, length + 1).to(profile.device)
    ids, following = rows[:, :-1], rows[:, 1:]
    models = broken(model, cached_attention, 2 * length + 64)

    def nats(logits: Tensor) -> float:
        return float(F.cross_entropy(logits.flatten(0, 1), following.flatten()))

    losses = {name: nats(broken_one.logits(ids, CHUNK)) for name, broken_one in models.items()}
    _, old = models["nothing"].step(ids.roll(1, 0), 0, None)
    losses["the last text left in"] = nats(models["nothing"].logits(ids, CHUNK, old, length))
    vocabulary, prompt = text.character_vocabulary(), ids[:1, : length // 2]
    texts = {
        name: vocabulary.decode(generate(broken_one.step, prompt, 48, CHUNK)[0][0].cpu())
        for name, broken_one in models.items()
    }
    return Faults(model, nats(model(ids)), losses, {"the prompt": vocabulary.decode(prompt[0].cpu())} | texts)


@dataclass(frozen=True)
class Ragged:
    """Prompts of different lengths in one batch: the share of new tokens that are not those of each prompt alone.

    unmasked: the same where the pads are not hidden.
    """

    differing: float
    unmasked: float


@one_thread()
def ragged(
    cached_attention: Block, generate: Callable[..., tuple[Tensor, object]], ragged_mask: Callable[..., Tensor], *,
    profile: Profile, seed: int = 0,
) -> Ragged:  # fmt: skip
    """Continue prompts of 3 to 24 tokens, each alone and all together with pads on the left. No training.

    Measured at laptop, seeds 0 to 4: none differs; with visible pads .49 .63 .76 .71 .63 of them do.
    """
    count, new = profile.choose(smoke=(4, 8), laptop=(16, 32), gpu=(64, 64))
    model = base_model(VOCABULARY, seed, **SIZES).to(profile.device, torch.float64)
    generator = torch.Generator().manual_seed(seed)
    lengths = [24, *torch.randint(3, 24, (count - 1,), generator=generator).tolist()]
    prompts = [torch.randint(1, VOCABULARY, (n,), generator=generator).to(profile.device) for n in lengths]
    pads = 24 - torch.tensor(lengths, device=profile.device)
    batch = torch.stack([F.pad(prompt, (24 - len(prompt), 0)) for prompt in prompts])  # token 0 is the pad
    alone = torch.cat([greedy(model, prompt[None], new) for prompt in prompts])

    def differing(mask: Callable[[int, int], Tensor | None]) -> float:
        cached = CachedLM(model, cached_attention, 24 + new, mask=mask)
        return float((generate(cached.step, batch, new, 10)[0] != alone).double().mean())

    return Ragged(
        differing(lambda queries, keys: ragged_mask(pads, queries, keys)[:, None]),
        differing(lambda queries, keys: None),
    )


claims = (
    Claim(
        "Decoding with a cache gives the tokens that decoding without one gives (tokens that differ)",
        "1911.02150",
        identity,
        lambda result: result.differing,
        at_most=0,
        holds_from="smoke",
    ),
    Claim(
        "So it does for every logit, however the text is cut into chunks (largest difference)",
        "1911.02150",
        identity,
        lambda result: result.gap,
        at_most=1e-12,
        holds_from="smoke",
    ),
    Claim(
        "Without a cache the weight matrices work (T + 1) / 2 times as much, exactly (difference of the counted ratio)",
        "2211.05102",
        identity,
        lambda result: abs(result.ratio - (result.tokens + 1) / 2),
        at_most=0,
        holds_from="smoke",
    ),
    Claim(
        "And attention (2 T + 1) / 3 times as much, exactly (difference of the counted ratio)",
        "2211.05102",
        identity,
        lambda result: abs(result.attention_ratio - (2 * result.tokens + 1) / 3),
        at_most=1e-12,
        holds_from="smoke",
    ),
    Claim(
        "A formula predicts the work to the last operation (operations that differ from the counter)",
        "2211.05102",
        identity,
        lambda result: result.surprise,
        at_most=0,
        holds_from="smoke",
    ),
    Claim(
        "A trained model loses nothing by its cache (change of the loss in nats a character)",
        "1911.02150",
        faults,
        lambda result: abs(result.harm("nothing")),
        at_most=1e-5,
        holds_from="smoke",
    ),
    Claim(
        "Ablation: positions that start again with each chunk (nats a character lost)",
        "1911.02150",
        faults,
        lambda result: result.harm("positions start again"),
        at_least=0.4,
    ),
    Claim(
        "Ablation: a mask aligned to the top left (nats a character lost)",
        "1911.02150",
        faults,
        lambda result: result.harm("mask at the top left"),
        at_least=0.5,
    ),
    Claim(
        "Ablation: no mask inside a chunk, so that a token sees those after it (nats a character lost)",
        "1911.02150",
        faults,
        lambda result: result.harm("no mask in a chunk"),
        at_least=0.2,
    ),
    Claim(
        "Ablation: a cache that still holds the text before (nats a character lost)",
        "1911.02150",
        faults,
        lambda result: result.harm("the last text left in"),
        at_least=0.3,
    ),
    Claim(
        "Prompts of different lengths in one batch give what each gives alone (share of tokens that differ)",
        "2211.05102",
        ragged,
        lambda result: result.differing,
        at_most=0,
        holds_from="smoke",
    ),
    Claim(
        "Ablation: with visible pads they do not (share of tokens that differ)",
        "2211.05102",
        ragged,
        lambda result: result.unmasked,
        at_least=0.2,
    ),
    Claim(
        "A chat that keeps its cache gives the answers of one that reads everything again (tokens that differ)",
        "2309.06180",
        conversation,
        lambda result: result.differing,
        at_most=0,
        holds_from="smoke",
    ),
    Claim(
        "It reads no token again, and after an edit only what follows it (tokens read although the cache held them)",
        "2309.06180",
        conversation,
        lambda result: abs(result.wasted),  # one that reads too little is wrong as well
        at_most=0,
        holds_from="smoke",
    ),
    Claim(
        "Texts kept in pages are read back without a mistake (tokens misread)",
        "2309.06180",
        paging,
        lambda result: result.misread,
        at_most=0,
        holds_from="smoke",
    ),
    Claim(
        "Room for the longest text is mostly empty (share of slots that hold a token)",
        "2309.06180",
        paging,
        lambda result: result.reserved,
        at_most=0.382,
        published=Published(
            "Kwon et al. 2023, Figure 2",
            {"room for the longest text": 20.4, "pages": 96.3},
            "share of the cache that holds tokens, Orca (Max) and vLLM, %",
            lambda result, name: 100 * (result.paged if name == "pages" else result.reserved),
            "share of the slots that hold a token, %",
            "The paper measures two servers under load; here lengths are drawn, with a mean of a quarter of the "
            "longest, and that choice decides the first number.",
        ),
    ),
    Claim(
        "Pages are nearly full (share of slots that hold a token)",
        "2309.06180",
        paging,
        lambda result: result.paged,
        at_least=0.96,
    ),
)
