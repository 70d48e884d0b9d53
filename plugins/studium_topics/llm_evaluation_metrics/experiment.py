"""What metrics count, and how sure a score is: four small experiments and their claims.

Three take no training and a second or two. `comparison` (in comparison.py) trains four tiny language models. All leave
the global random state as it was.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from studium import Claim, Profile
from torch import Tensor

from studium_topics.llm_evaluation_metrics.comparison import comparison, prose, tokeniser
from studium_topics.llm_evaluation_metrics.surface import TOKENISERS

Counts = Callable[[list[str], list[list[str]], int], Sequence[float]]


@dataclass(frozen=True)
class Noise:
    """BLEU of damaged sentences against the intact ones."""

    corpus: dict[str, float]  # tokeniser to the BLEU of all sentences together
    mean: float  # the mean of the BLEU of each sentence, words and punctuation apart

    @property
    def spread(self) -> float:
        """The largest BLEU less the smallest, over the tokenisers of words."""
        scores = [score for name, score in self.corpus.items() if name != "characters"]
        return max(scores) - min(scores)


def noisy_sentences(bleu_counts: Counts, bleu: Callable[..., float], *, profile: Profile, seed: int = 0) -> Noise:
    """Damage sentences of the held-out prose, and score them under several tokenisers.

    Of the words, 8 % are left out and 8 % change places with the next. Measured at laptop, seeds 0
    to 4: 62.9 to 65.2 cut at spaces, 70.9 to 74.5 with punctuation apart, 8.0 to 11.3 points between them.
    """
    references = [part + " ." for part in prose()[1].split(". ") if 8 <= len(part.split()) <= 40]
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(references), generator=generator)[: profile.choose(smoke=60, laptop=120, gpu=120)]
    references = [references[number] for number in order]
    pairs = [(_damaged(reference, generator), reference) for reference in references]
    corpus, each = {}, []
    for name, cut in TOKENISERS.items():
        counts = [list(bleu_counts(cut(hypothesis), [cut(reference)], 4)) for hypothesis, reference in pairs]
        corpus[name] = float(bleu([sum(column) for column in zip(*counts, strict=True)]))
        if name == "punctuation apart":
            each = [float(bleu(row)) for row in counts]
    return Noise(corpus, sum(each) / len(each))


def _damaged(sentence: str, generator: torch.Generator) -> str:
    words = sentence.split()
    draws = torch.rand(len(words), generator=generator).tolist()
    for place, draw in enumerate(draws[:-1]):
        if draw > 0.92:
            words[place : place + 2] = reversed(words[place : place + 2])
    return " ".join(word for word, draw in zip(words, draws, strict=True) if draw > 0.08)


@dataclass(frozen=True)
class Units:
    """One kind of model, the frequencies of tokens, under several tokenisers: perplexity and bits per byte."""

    perplexity: dict[str, float]
    bits: dict[str, float]

    @property
    def order_turned(self) -> float:
        """How many times the perplexity of the best tokeniser in bits per byte exceeds that of the worst."""
        best, worst = min(self.bits, key=self.bits.get), max(self.bits, key=self.bits.get)
        return self.perplexity[best] / self.perplexity[worst]


def token_frequencies(
    perplexity_and_bits: Callable[..., tuple[float, float]], *, profile: Profile, seed: int = 0
) -> Units:
    """Score held-out passages with the token frequencies of the training text, add-one smoothed.

    Measured at laptop, seeds 0 to 4: characters 27 to 29 and 4.8 bits per byte, 2048 tokens 560 to 630 and 2.5 to 2.6.
    """
    train_text, held_out = prose()
    generator, length = torch.Generator().manual_seed(seed), 300
    starts = torch.randint(len(held_out) - length, (profile.choose(smoke=20, laptop=60, gpu=60),), generator=generator)
    passages = [held_out[start : start + length] for start in starts.tolist()]
    perplexity, bits = {}, {}
    for name, cut in (("characters", list), ("512 tokens", _pieces(512)), ("2048 tokens", _pieces(2048))):
        seen = Counter(cut(train_text))
        total = sum(seen.values()) + len(seen) + 1
        rows = [[-math.log((seen[token] + 1) / total) for token in cut(passage)] for passage in passages]
        losses, real = _padded(rows)
        found = perplexity_and_bits(losses, real, passages)
        perplexity[name], bits[name] = (float(number) for number in found)
    return Units(perplexity, bits)


def _pieces(size: int) -> Callable[[str], list[int]]:
    return lambda passage: tokeniser(size).encode(passage).ids


def _padded(rows: list[list[float]]) -> tuple[Tensor, Tensor]:
    """Return the losses (B, T), padded with 0, and which of them are real."""
    longest = max(map(len, rows))
    losses = torch.tensor([row + [0.0] * (longest - len(row)) for row in rows], dtype=torch.float64)
    return losses, torch.arange(longest) < torch.tensor([len(row) for row in rows])[:, None]


@dataclass(frozen=True)
class Sampling:
    """Estimates of pass@k of many problems whose truth is known, as mean errors."""

    truth: float
    unbiased: float  # the mean estimate less the truth
    plug_in: float  # the same for 1 - (1 - c / n)^k


def repeated_sampling(pass_at_k: Callable[[int, int, int], float], *, profile: Profile, seed: int = 0) -> Sampling:
    """Draw n = 20 samples of 400 problems many times, and estimate pass@10 from each draw.

    The probability of a correct sample is drawn from Beta(0.4, 1.2), so that many problems are hard. Measured at
    laptop, seeds 0 to 4: mean errors of at most 0.0003, and -0.032 to -0.035 for the plug-in estimate.
    """
    n, k, problems, repeats = 20, 10, 400, profile.choose(smoke=500, laptop=2000, gpu=2000)
    generator = torch.Generator().manual_seed(seed)
    gammas = [_gamma(shape, problems, generator) for shape in (0.4, 1.2)]
    p = gammas[0] / (gammas[0] + gammas[1])
    correct = (torch.rand(repeats, problems, n, generator=generator, dtype=torch.float32) < p[:, None]).sum(-1)
    truth = float((1 - (1 - p) ** k).mean())
    table = torch.tensor([float(pass_at_k(n, c, k)) for c in range(n + 1)], dtype=torch.float64)
    plug_in = 1 - (1 - torch.arange(n + 1, dtype=torch.float64) / n) ** k
    return Sampling(truth, float(table[correct].mean()) - truth, float(plug_in[correct].mean()) - truth)


def _gamma(shape: float, count: int, generator: torch.Generator) -> Tensor:
    """Return `count` numbers of the gamma distribution."""
    return torch._standard_gamma(torch.full((count,), shape, dtype=torch.float64), generator=generator)


claims = (
    Claim(
        "the tokeniser alone moves the BLEU of the same sentences by more than 4 points",
        "1804.08771",
        noisy_sentences,
        lambda noise: noise.spread,
        at_least=4.0,
        holds_from="smoke",
    ),
    Claim(
        "the tokeniser with the fewest bits per byte has ten times the perplexity of the one with the most",
        "2101.00027",
        token_frequencies,
        lambda units: units.order_turned,
        at_least=10.0,
        holds_from="smoke",
    ),
    Claim(
        "the mean error of the estimate of pass@10 over all sets of samples",
        "2107.03374",
        repeated_sampling,
        lambda sampling: abs(sampling.unbiased),
        at_most=0.003,
        holds_from="smoke",
    ),
    Claim(
        "the plug-in estimate of pass@10 is too low",
        "2107.03374",
        repeated_sampling,
        lambda sampling: sampling.plug_in,
        at_most=-0.02,
        holds_from="smoke",
    ),
    Claim(
        "ranking per token gets more items right than ranking by the sum",
        "2005.14165",
        comparison,
        lambda result: result.gain(),
        at_least=0.04,
    ),
    Claim(
        "a model that trained on half of the items gains on these items alone",
        "2005.14165",
        comparison,
        lambda result: result.leak(0) - result.leak(1),
        at_least=0.06,
    ),
    Claim(
        "the width of a paired interval as a share of the unpaired one",
        "2411.00640",
        comparison,
        lambda result: result.narrowing,
        at_most=0.95,
    ),
    Claim(
        "most benchmarks of 800 items tell a third of the training from all of it",
        "2411.00640",
        comparison,
        lambda result: result.decided["short"][-1],
        at_least=0.8,
    ),
)
