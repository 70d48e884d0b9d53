"""What rotary positions give for any weights, measured on random ones: no training, exact at every profile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from studium import Profile
from torch import Tensor

from studium_topics.kits.training import one_thread
from studium_topics.rope.model import VOCABULARY, Cache, Decoder, Sizes, turning

Block = Callable[..., Tensor]
LENGTH = 48


@dataclass(frozen=True)
class Exact:
    """What needs no training, as largest changes of a logit or a score.

    moved, moved_table: all positions moved on by 1000. cached: a padded batch, decoded token by token, against each
    text alone; restarted: the same where new tokens start at 0 again. converted: scores of halves against neighbours.
    one_layer, two_layers: two earlier tokens change places, in models that have a causal mask and no positions.
    """

    moved: float
    moved_table: float
    cached: float
    restarted: float
    converted: float
    one_layer: float
    two_layers: float


@one_thread()
@torch.no_grad()
def exact(
    inv_freq: Block, apply_rope: Block, to_half: Block, decode_positions: Block, relative_score: Block, *,
    profile: Profile, seed: int = 0,
) -> Exact:  # fmt: skip
    """Measure what holds for any weights, on random ones."""
    sizes, generator = Sizes(VOCABULARY), torch.Generator().manual_seed(seed)
    inv = inv_freq(sizes.head).to(profile.device)
    rotary = Decoder(sizes, turn=turning(apply_rope, inv), seed=seed).to(profile.device)
    table = Decoder(sizes, table=1000 + LENGTH, seed=seed).to(profile.device)
    ids = torch.randint(VOCABULARY, (4, LENGTH), generator=generator).to(profile.device)
    places = torch.arange(LENGTH, device=profile.device)
    moved, moved_table = (largest(model(ids, places + 1000) - model(ids, places)) for model in (rotary, table))
    bare = [Decoder(Sizes(VOCABULARY, layers=layers), seed=seed).to(profile.device) for layers in (1, 2)]
    orders = [largest(model(ids, places)[:, -1] - model(exchanged(ids), places)[:, -1]) for model in bare]
    return Exact(
        moved, moved_table, decoding(rotary, ids, decode_positions), decoding(rotary, ids, from_zero),
        conversion(to_half, relative_score, inv, generator), *orders,
    )  # fmt: skip


def from_zero(mask: Tensor, new: int) -> Tensor:
    """Positions (B, new) that forget what is in the cache."""
    return torch.arange(new, device=mask.device).expand(len(mask), new)


def exchanged(ids: Tensor) -> Tensor:
    """ids (B, T) with the tokens 2 and 3 of each text in each other's place."""
    return ids[:, [0, 1, 3, 2, *range(4, ids.shape[1])]]


def largest(change: Tensor) -> float:
    """The largest absolute entry."""
    return float(change.abs().max())


def decoding(model: Decoder, ids: Tensor, decode_positions: Block, prompt: int = 12, steps: int = 8) -> float:
    """How far logits of a padded, cached batch are from those of each text alone.

    ids (B, T): row b brings a prompt of 12 − b tokens, b of them padding at its left, and then `steps` tokens, one call
    each.
    """
    rows = torch.arange(len(ids), device=ids.device)[:, None]
    columns = torch.arange(prompt + steps, device=ids.device)
    mask, ids = columns >= rows, ids[:, : prompt + steps]
    cache, found, seen = Cache(model.sizes.layers), [], 0
    for new in [prompt] + [1] * steps:
        seen += new
        part = mask[:, :seen]
        found.append(model.logits(ids[:, seen - new : seen], decode_positions(part, new), cache, ~part))
    together = torch.cat(found, 1)
    return max(
        largest(together[row, row:] - model(ids[row : row + 1, row:], columns[: prompt + steps - row])[0])
        for row in range(len(ids))
    )


def conversion(to_half: Block, relative_score: Block, inv: Tensor, generator: torch.Generator) -> float:
    """How far scores of converted weights, read by halves, are from those of the weights before, by neighbours."""
    d, heads, width = 2 * len(inv), 3, 20
    wq, wk = torch.randn(2, heads * d, width, generator=generator).to(inv.device) / width**0.5
    x, y = torch.randn(2, 10, width, generator=generator).to(inv.device)
    offsets = torch.arange(10, device=inv.device)[:, None]
    q, k = ((z @ w.T).unflatten(-1, (heads, d)) for z, w in ((x, wq), (y, wk)))
    half_q, half_k = ((z @ to_half(w, heads).T).unflatten(-1, (heads, d)) for z, w in ((x, wq), (y, wk)))
    a, b = (torch.complex(*(part.contiguous() for part in z.chunk(2, -1))) for z in (half_q, half_k))
    angle = offsets[..., None] * inv
    halves = (a * b.conj() * torch.polar(torch.ones_like(angle), angle)).real.sum(-1)
    return largest(halves - relative_score(q, k, offsets, inv))


@dataclass(frozen=True)
class Decay:
    """Scores of two equal vectors over their offset, and the mean length of the partial sums that bounds them."""

    offsets: Tensor
    score: Tensor  # q = k = ones, over d
    bound: Tensor

    @property
    def falls(self) -> float:
        """The bound at offset 0 over that at 1000."""
        return float(self.bound[0] / self.bound[1000])

    @property
    def rises(self) -> float:
        """The largest rise of the score between two offsets, the second one further away."""
        return float((self.score - self.score.cummin(0).values).max())


def decay(inv_freq: Block, relative_score: Block, *, profile: Profile, seed: int = 0) -> Decay:
    """The decay that the paper's section 3.4.3 proves, with d = 128: exact, and the same for every seed."""
    inv, offsets = inv_freq(128).double(), torch.arange(1001)
    ones = torch.ones(128, dtype=torch.float64)
    angle = offsets[:, None] * inv
    partial = torch.polar(torch.ones_like(angle), angle).cumsum(-1)  # S_1 … S_64 of the paper's equation 36
    return Decay(offsets, relative_score(ones, ones, offsets, inv) / 128, partial.abs().mean(-1))
