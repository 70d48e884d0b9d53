"""How much of a cache holds tokens, with room for the longest text each and in pages: Kwon et al. 2023 (2309.06180)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from studium import Profile
from torch import Tensor

from studium_topics.kits.training import one_thread


@dataclass(frozen=True)
class Paging:
    """The share of reserved slots that hold a token, by how they are reserved, and tokens that were misread.

    reserved: room for the longest possible text each. paged: pages of 16 slots. shared: as without pages, the tokens
    that texts think they have, over the slots in use where all begin with one prompt of 128 tokens.
    """

    lengths: list[int]
    reserved: float
    paged: float
    shared: float
    misread: int


@one_thread()
def paging(paged_gather: Callable[..., list[Tensor]], *, profile: Profile, seed: int = 0) -> Paging:
    """Keep texts of random length (a mean near 500, at most 2048) in pages, and read them back.

    The lengths are drawn from an exponential distribution, which is our choice. Measured at laptop, seeds 0 to 4: room
    for the longest holds .250 .261 .233 .245 .263 tokens a slot, pages .986 .987 .984 .985 .987.
    """
    count, slots, longest, prefix = profile.choose(smoke=20, laptop=200, gpu=2000), 16, 2048, 128
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.empty(count).exponential_(1 / 400, generator=generator).long() + prefix
    lengths = drawn.clamp_max(longest)
    pages = -(-lengths // slots)
    own = pages - prefix // slots  # the first pages are the same for all
    pool = torch.randn(int(own.sum()) + prefix // slots, slots, 1, 2, generator=generator)
    order = torch.randperm(len(pool), generator=generator)
    table = torch.full((count, int(pages.max())), -1)
    table[:, : prefix // slots] = order[: prefix // slots]
    for row, free in zip(table, order[prefix // slots :].split(own.tolist()), strict=True):
        row[prefix // slots : prefix // slots + len(free)] = free
    misread = 0
    for row, length, found in zip(table, lengths.tolist(), paged_gather(pool, table, lengths), strict=True):
        expected = torch.stack([pool[row[i // slots], i % slots] for i in range(length)])
        misread += int((found != expected).any((1, 2)).sum()) if found.shape == expected.shape else length
    held = int(lengths.sum())
    return Paging(
        lengths.tolist(),
        held / (count * longest),
        held / (int(pages.sum()) * slots),
        held / (len(pool) * slots),
        misread,
    )
