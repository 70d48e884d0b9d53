"""A router that sends tokens to experts: who gets how many, which experts are full, and what balances them."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from traitlets import Bool, Float, Int, List, TraitError

from studium_widgets.arrays import Array
from studium_widgets.base import Widget

__all__ = ["ExpertRouter"]

TOKENS, EXPERTS = 512, 64
MOST = 8  # experts per token
GROUPS = 6  # of tokens: as many colours as can be told apart


class ExpertRouter(Widget):
    """Tokens flow to their top-k experts; each expert has a capacity, and tokens beyond it are dropped.

    logits: the gate's own, (tokens, experts), up to 512 × 64; a kernel may send new ones while training goes on.
    clusters: a number from 0 to 5 for each token, by which tokens are grouped; [] for one group. experts: how many of
    the columns take part, 0 for all. top_k: experts a token, 1 to 8, or all that take part if there are fewer.
    capacity: the capacity factor c; an expert takes at most floor(c · tokens · k / experts) tokens, first choices
    first, then in the tokens' order. renormalise: the gates of the chosen experts sum to 1. noise: standard deviation
    of what is added to the logits, from `seed`. favour: added to the logits of expert 0. balance: steps of descent
    (rate 2) on the auxiliary loss over a bias for each expert. Theory: Shazeer et al. 2017, arXiv:1701.06538; Fedus et
    al. 2021, 2101.03961; z-loss: Zoph et al. 2022, 2202.08906. Raises TraitError for an option out of range.
    """

    _script = "expert_router.js"
    _style = "expert_router.css"

    logits = Array("float32", ("tokens", "experts"))
    clusters = List(Int()).tag(sync=True, between=(0, GROUPS - 1), each_if_any="tokens")
    experts = Int(0).tag(sync=True, between=(0, EXPERTS))
    top_k = Int(1).tag(sync=True, between=(1, MOST))
    capacity = Float(1.25).tag(sync=True, between=(0.1, 8))
    renormalise = Bool(True).tag(sync=True)
    noise = Float(0.0).tag(sync=True, between=(0, 10))
    favour = Float(0.0).tag(sync=True, between=(-20, 20))
    balance = Int(0).tag(sync=True, between=(0, 40))
    seed = Int(1).tag(sync=True, between=(0, 2**31))

    @classmethod
    def drawn(cls, tokens: int = 128, experts: int = 8, *, clusters: int = 4, seed: int = 0, **state: Any) -> Self:
        """Return random logits in which each cluster of tokens prefers two experts of its own."""
        rng = np.random.default_rng(seed)
        cluster = rng.choice(clusters, tokens, p=_falling(clusters))
        liking = rng.normal(0, 1.5, (clusters, experts))
        logits = liking[cluster] + rng.normal(0, 0.7, (tokens, experts))
        return cls(logits=logits, clusters=[int(c) for c in cluster], seed=seed, **state)

    @classmethod
    def example(cls) -> Self:
        return cls.drawn(top_k=2, favour=1.5)

    @classmethod
    def largest(cls) -> Self:
        return cls.drawn(256, 32, clusters=GROUPS, top_k=2)

    @property
    def alt(self) -> str:
        chosen = self._chosen()
        load = np.bincount(chosen.ravel(), minlength=self.count())
        limit = self.limit()
        busiest, dropped = int(load.argmax()), int(np.maximum(load - limit, 0).sum())
        plain = "" if self.noise == 0 and self.balance == 0 else " before noise and balancing"
        busy = f"expert {busiest} is asked by {load[busiest]} for {limit} places, {dropped} of {load.sum()} are dropped"
        return f"{len(chosen)} tokens go to the top {self.asked()} of {self.count()} experts;{plain} {busy}."

    def count(self) -> int:
        """Experts that take part."""
        logits: Any = self.logits
        return self.experts or int(logits.shape[1])

    def asked(self) -> int:
        """Experts that each token asks for."""
        return int(min(self.top_k, self.count()))

    def limit(self) -> int:
        """Tokens that an expert takes."""
        logits: Any = self.logits
        return max(1, int(self.capacity * len(logits) * self.asked() / self.count() + 1e-9))

    def check(self) -> None:
        logits: Any = self.logits
        tokens, columns = logits.shape
        if not (1 <= tokens <= TOKENS and 2 <= columns <= EXPERTS):
            raise TraitError(f"logits need up to {TOKENS} tokens and 2 to {EXPERTS} experts, got {tokens} × {columns}")
        if self.experts and not 2 <= self.experts <= columns:
            raise TraitError(f"experts needs to be from 2 to {columns}, or 0 for all, got {self.experts}")
        known = all(0 <= cluster < GROUPS for cluster in self.clusters)
        if self.clusters and not (known and len(self.clusters) == tokens):
            raise TraitError(
                f"clusters need a number from 0 to {GROUPS - 1} for each of {tokens} tokens: [] is one group"
            )
        limits: list[tuple[str, float, float]] = [
            ("top_k", 1, min(MOST, columns)),
            ("capacity", 0.1, 8),
            ("noise", 0, 10),
            ("favour", -20, 20),
            ("balance", 0, 40),
        ]
        for name, low, high in limits:
            if not low <= getattr(self, name) <= high:
                raise TraitError(f"{name} needs to be from {low:g} to {high:g}, got {getattr(self, name):g}")

    def _chosen(self) -> NDArray[np.intp]:
        logits: Any = self.logits
        given = logits[:, : self.count()].astype(np.float64)
        given[:, 0] += self.favour
        return np.argsort(-given, axis=1, kind="stable")[:, : self.asked()]


def _falling(count: int) -> NDArray[np.float64]:
    weights = 1 / np.arange(1.0, count + 1)
    return np.asarray(weights / weights.sum())
