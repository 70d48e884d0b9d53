"""What FlashAttention promises: the same numbers, memory that grows as the text, fewer numbers moved for more work.

Nothing is trained and almost nothing is random: results are exact to rounding, and what is counted is counted exactly.
Times are not judged: on a CPU they say nothing about a graphics card.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from studium import Claim, Profile, Published
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from studium_topics.flash_attention.probe import Traffic
from studium_topics.kits.peak import PeakTensor
from studium_topics.kits.training import one_thread

Block = Callable[..., tuple[Tensor, ...]]
WIDTH, TILE = 32, 64
A100 = 192 * 1024 // 2  # numbers of 16 bits in the shared memory and L1 of one of its multiprocessors


def standard_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention in three operations, S = q kᵀ / √d, P = softmax(S), P v: q, k (N, d), v (N, dv) to (N, dv)."""
    scores = torch.addmm(q.new_zeros(1), q, k.mT, beta=0, alpha=q.shape[1] ** -0.5)
    return scores.softmax(-1) @ v


def drawn(length: int, seed: int, device: str = "cpu", dtype: torch.dtype = torch.float64) -> tuple[Tensor, ...]:
    """Random q, k, v (length, 32), each in memory of its own; queries long enough that rows have favourites."""
    generator = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(length, WIDTH, generator=generator, dtype=dtype) for _ in range(3))
    return (2 * q).to(device), k.to(device), v.to(device)


def slope(lengths: list[int], numbers: list[int]) -> float:
    """The exponent in numbers ~ lengths^exponent, from the first to the last."""
    return math.log(numbers[-1] / numbers[0]) / math.log(lengths[-1] / lengths[0])


@dataclass(frozen=True)
class Exactness:
    """Errors against PyTorch's attention in float64 at each length, and the largest tensors made, in numbers.

    lengths: of the text. forward: the largest error of o. gradients: that of dq, dk and dv, at the first length.
    tiled, standard: the largest tensor. work: operations of tiled attention over those of the standard one, forward and
    backward, in matrix products.
    """

    lengths: list[int]
    forward: list[float]
    gradients: float
    tiled: list[int]
    standard: list[int]
    work: float

    @property
    def error(self) -> float:
        """The largest error of o."""
        return max(self.forward)

    @property
    def memory(self) -> float:
        """The exponent with which the largest tensor of tiled attention grows with the text."""
        return slope(self.lengths, self.tiled)

    @property
    def standard_memory(self) -> float:
        """The same for standard attention."""
        return slope(self.lengths, self.standard)


@one_thread()
def exactness(flash_forward: Block, flash_backward: Block, *, profile: Profile, seed: int = 0) -> Exactness:
    """Hold tiled attention against PyTorch's own, and measure the largest tensor of both.

    Measured at laptop, seeds 0 to 2: the error of o is at most 9e-15, that of gradients 1.2e-14; the rest is exact.
    """
    lengths = profile.choose(smoke=[128, 256, 512], laptop=[512, 1024, 2048, 4096], gpu=[512, 1024, 2048, 4096, 8192])
    errors, tiled, standard = [], [], []
    for length in lengths:
        q, k, v = drawn(length, seed, profile.device)
        with PeakTensor() as meter:
            o, _ = flash_forward(q, k, v, TILE, TILE, True)
        expected = F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True)[0]
        errors.append(float((o - expected).abs().max()))
        tiled.append(meter.largest)
        with PeakTensor() as meter:
            standard_attention(q.float(), k.float(), v.float())
        standard.append(meter.largest)
    gradients = gradient_error(flash_forward, flash_backward, lengths[0], profile.device, seed)
    return Exactness(
        lengths, errors, gradients, tiled, standard, work(flash_forward, flash_backward, profile.device, seed)
    )


def gradient_error(flash_forward: Block, flash_backward: Block, length: int, device: str, seed: int) -> float:
    """The largest error of dq, dk and dv against autograd through PyTorch's attention, causal, in float64."""
    parts = [part.requires_grad_() for part in drawn(length, seed, device)]
    do = torch.randn(length, WIDTH, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64).to(device)
    q, k, v = (part[None, None] for part in parts)
    with sdpa_kernel(SDPBackend.MATH):
        expected = torch.autograd.grad(F.scaled_dot_product_attention(q, k, v, is_causal=True)[0, 0], parts, do)
    q, k, v = (part.detach() for part in parts)
    found = flash_backward(q, k, v, *flash_forward(q, k, v, TILE, TILE, True), do, TILE, TILE, True)
    return max(float((one - other).abs().max()) for one, other in zip(found, expected, strict=True))


def work(flash_forward: Block, flash_backward: Block, device: str, seed: int) -> float:
    """Operations in matrix products, forward and backward, of tiled attention over those of the standard one."""
    q, k, v = drawn(2 * TILE, seed, device)
    with FlopCounterMode(display=False) as tiled:
        flash_backward(q, k, v, *flash_forward(q, k, v, TILE, TILE), v, TILE, TILE)
    learnt = [part.clone().requires_grad_() for part in (q, k, v)]
    with FlopCounterMode(display=False) as standard:
        torch.autograd.grad(standard_attention(*learnt), learnt, v)
    return tiled.get_total_flops() / standard.get_total_flops()


@dataclass(frozen=True)
class Moved:
    """Numbers that cross between slow and fast memory.

    srams: sizes of the fast memory, in numbers. counted: by the probe, on `length` tokens of width 32; predicted: by
    hbm_floats. standard: both for standard attention. curve: hbm_floats at 4096 tokens of width 64, tiled, for each of
    `sizes`. at_paper: (standard, tiled) at the paper's 1024 tokens of width 64 with the fast memory of an A100.
    """

    length: int
    srams: list[int]
    counted: list[int]
    predicted: list[int]
    standard: tuple[int, int]
    sizes: list[int]
    curve: list[int]
    at_paper: tuple[int, int]

    @property
    def paper(self) -> float:
        """Standard over tiled at the paper's size."""
        standard, tiled = self.at_paper
        return standard / tiled

    @property
    def gap(self) -> int:
        """The largest difference between what was counted and what was predicted."""
        pairs = [*zip(self.counted, self.predicted, strict=True), self.standard]
        return max(abs(one - other) for one, other in pairs)

    @property
    def steepness(self) -> float:
        """The exponent with which the numbers moved change with the size of the fast memory."""
        return slope(self.sizes, self.curve)


@one_thread()
def movement(
    flash_forward: Block, hbm_floats: Callable[..., tuple[int, int]], *, profile: Profile, seed: int = 0
) -> Moved:
    """Count what tiled and standard attention move, load by load, and hold it against the formula. Exact."""
    length = profile.choose(smoke=256, laptop=500, gpu=1000)
    srams = [1024, 2048, 4096, 8192]
    q, k, v = drawn(length, seed, profile.device)
    counted = []
    for sram in srams:
        block = sram // (4 * WIDTH)
        with Traffic(sram, q, k, v) as probe:
            probe.results(*flash_forward(q, k, v, block, block))
        counted.append(probe.moved)
    with Traffic(srams[0], q, k, v) as probe:
        probe.results(standard_attention(q, k, v))
    formula = [hbm_floats(length, WIDTH, sram) for sram in srams]
    sizes = [8192, 16384, 32768, 65536]
    return Moved(
        length, srams, counted, [tiled for _, tiled in formula], (probe.moved, formula[0][0]),
        sizes, [hbm_floats(4096, 64, sram)[1] for sram in sizes], hbm_floats(1024, 64, A100),
    )  # fmt: skip


@dataclass(frozen=True)
class Streams:
    """Largest errors of attention that was put together from pieces, against a softmax over all keys.

    blocks: rows that met the keys block by block. forgetful: the same, but acc is never rescaled. workers: attention
    over parts of the keys, merged.
    """

    blocks: float
    forgetful: float
    workers: float


@one_thread()
def streams(
    online_update: Block, flash_forward: Block, merge_partials: Block, *, profile: Profile, seed: int = 0
) -> Streams:
    """Feed rows block by block, with and without the rescaling, and let workers share the keys.

    Measured at laptop, seeds 0 to 2: the forgetful error is above 1.1, the others below 4e-15.
    """
    length = profile.choose(smoke=256, laptop=2048, gpu=8192)
    q, k, v = drawn(length, seed, profile.device)
    q = q[:TILE]
    scores = q @ k.mT / math.sqrt(WIDTH)
    expected = scores.softmax(1) @ v

    def forgetful(m: Tensor, l: Tensor, acc: Tensor, s: Tensor, values: Tensor) -> tuple[Tensor, ...]:  # noqa: E741
        m, l, fresh = online_update(m, l, torch.zeros_like(acc), s, values)  # noqa: E741
        return m, l, acc + fresh

    def error(update: Block) -> float:
        state = (q.new_full((len(q),), -math.inf), q.new_zeros(len(q)), torch.zeros_like(expected))
        for s, values in zip(scores.split(TILE, 1), v.split(TILE), strict=True):
            state = update(*state, s, values)
        return float((state[2] / state[1][:, None] - expected).abs().max())

    parts = [flash_forward(q, *piece, TILE, TILE) for piece in zip(k.chunk(7), v.chunk(7), strict=True)]
    o, _ = merge_partials(*(torch.stack(part) for part in zip(*parts, strict=True)))
    return Streams(error(online_update), error(forgetful), float((o - expected).abs().max()))


claims = (
    Claim(
        "Tiled attention is attention: the largest difference from PyTorch's own in float64 is rounding",
        "2205.14135",
        exactness,
        lambda result: result.error,
        at_most=1e-12,
        holds_from="smoke",
    ),
    Claim(
        "So are its gradients, from probabilities that were thrown away",
        "2205.14135",
        exactness,
        lambda result: result.gradients,
        at_most=1e-11,
        holds_from="smoke",
    ),
    Claim(
        "Its largest tensor grows as the text (exponent)",
        "2205.14135",
        exactness,
        lambda result: result.memory,
        at_most=1.1,
        holds_from="smoke",
    ),
    Claim(
        "Ablation: that of standard attention grows as its square (exponent)",
        "2205.14135",
        exactness,
        lambda result: result.standard_memory,
        at_least=1.9,
        holds_from="smoke",
    ),
    Claim(
        "It does more arithmetic, not less: 7/6 of the matrix products, forward and backward",
        "2205.14135",
        exactness,
        lambda result: result.work,
        at_least=1.16,
        holds_from="smoke",
    ),
    Claim(
        "The numbers moved are those of the formula, load by load (largest difference)",
        "2205.14135",
        movement,
        lambda result: float(result.gap),
        at_most=0,
        holds_from="smoke",
    ),
    Claim(
        "Twice the fast memory, half the traffic (how far the exponent is from -1)",
        "2205.14135",
        movement,
        lambda result: abs(result.steepness + 1),
        at_most=0.05,
        holds_from="smoke",
    ),
    Claim(
        "At the paper's size it moves many times fewer numbers than standard attention (times)",
        "2205.14135",
        movement,
        lambda result: result.paper,
        at_least=8,
        holds_from="smoke",
        published=Published(
            "Dao et al. 2022, Figure 2",
            {"standard attention": 40.3, "FlashAttention": 4.4},
            "GB moved, forward and backward, GPT-2 medium on an A100",
            lambda result, name: result.at_paper[name == "FlashAttention"] / 1e6,
            "millions of numbers moved by one head, forward",
            "The paper measures all of 64 texts, 16 heads and the backward pass; ours is what the formula, which "
            "agrees with the count above, says of one head at the same length and width.",
        ),
    ),
    Claim(
        "A softmax that meets its row in blocks is exact (largest error)",
        "1805.02867",
        streams,
        lambda result: result.blocks,
        at_most=1e-12,
        holds_from="smoke",
    ),
    Claim(
        "Ablation: without rescaling what was gathered it is far off (largest error)",
        "1805.02867",
        streams,
        lambda result: result.forgetful,
        at_least=0.05,
        holds_from="smoke",
    ),
    Claim(
        "Workers that share the keys find the same (largest error)",
        "2205.14135",
        streams,
        lambda result: result.workers,
        at_most=1e-12,
        holds_from="smoke",
    ),
)
