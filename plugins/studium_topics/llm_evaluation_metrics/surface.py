"""Metrics of the surface of a text: tokenisers, n-grams, ROUGE, chrF, exact match and token F1.

Every score is between 0 and 1, as in rouge-score; sacrebleu multiplies by 100.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Sequence

TOKENISERS: dict[str, Callable[[str], list[str]]] = {
    "spaces": str.split,
    "punctuation apart": lambda text: re.findall(r"\w+|[^\w\s]", text),
    "lower case": lambda text: re.findall(r"\w+|[^\w\s]", text.lower()),
    "characters": lambda text: list("".join(text.split())),
}
EDGE = string.punctuation


def grams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    """Return how often each stretch of n neighbouring tokens occurs, as a Counter of tuples."""
    return Counter(zip(*(tokens[start:] for start in range(n)), strict=False))


def f_score(shared: float, mine: float, theirs: float, beta: float = 1.0) -> float:
    """Return F-beta of precision shared / mine and recall shared / theirs; 0 where nothing is shared.

    beta is how many times as important recall is as precision (van Rijsbergen 1979).
    """
    if not shared:
        return 0.0
    precision, recall = shared / mine, shared / theirs
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


def rouge_words(text: str) -> list[str]:
    """Return the words of a text as rouge-score has them: lower case, the letters a to z and digits alone."""
    return re.findall(r"[a-z0-9]+", text.lower())


def rouge_n(hypothesis: str, reference: str, n: int) -> float:
    """Return ROUGE-N as the F1 of shared n-grams (Lin 2004, section 2; F1 as in rouge-score)."""
    mine, theirs = (grams(rouge_words(text), n) for text in (hypothesis, reference))
    return f_score((mine & theirs).total(), mine.total(), theirs.total())


def rouge_l(hypothesis: str, reference: str) -> float:
    """Return ROUGE-L, the F1 of the longest common subsequence of words (Lin 2004, section 3.1)."""
    mine, theirs = rouge_words(hypothesis), rouge_words(reference)
    return f_score(longest_common(mine, theirs), len(mine), len(theirs))


def longest_common(mine: Sequence[str], theirs: Sequence[str]) -> int:
    """Return the length of the longest common subsequence, in time O(len(mine) · len(theirs))."""
    best = [0] * (len(theirs) + 1)
    for token in mine:
        before = 0  # the best length one row up and one column to the left
        for column, other in enumerate(theirs, 1):
            above = best[column]
            best[column] = before + 1 if token == other else max(above, best[column - 1])
            before = above
    return best[-1]


def chrf(hypothesis: str, reference: str, words: int = 0) -> float:
    """Return chrF2 of one pair, or chrF++ with words=2 (Popović 2015 and 2017), as sacrebleu computes it.

    Precision and recall are averaged over the character n-grams of lengths 1 to 6, without spaces, and the word
    n-grams of lengths 1 to `words`; lengths that one of the two texts is too short for are left out.
    """
    pair = (hypothesis, reference)
    orders = [[grams("".join(text.split()), length) for text in pair] for length in range(1, 7)]
    orders += [[grams(edges_apart(text), length) for text in pair] for length in range(1, words + 1)]
    precisions, recalls = [], []
    for mine, theirs in orders:
        if mine and theirs:
            shared = (mine & theirs).total()
            precisions.append(shared / mine.total())
            recalls.append(shared / theirs.total())
    if not precisions:
        return 0.0
    precision, recall = (sum(values) / len(values) for values in (precisions, recalls))
    return 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0


def edges_apart(text: str) -> list[str]:
    """Return the words of a text, with one punctuation mark at the end or else the start of a word apart (chrF++)."""
    tokens: list[str] = []
    for word in text.split():
        if len(word) > 1 and word[-1] in EDGE:
            tokens += [word[:-1], word[-1]]
        elif len(word) > 1 and word[0] in EDGE:
            tokens += [word[0], word[1:]]
        else:
            tokens.append(word)
    return tokens


def normalised(text: str) -> list[str]:
    """Return the words of an answer as SQuAD has them: lower case, without punctuation and articles."""
    bare = "".join(character for character in text.lower() if character not in EDGE)
    return [word for word in bare.split() if word not in {"a", "an", "the"}]


def exact_match(hypothesis: str, reference: str) -> float:
    """Return 1 where both answers have the same normalised words (Rajpurkar et al. 2016, section 6.1), else 0."""
    return float(normalised(hypothesis) == normalised(reference))


def token_f1(hypothesis: str, reference: str) -> float:
    """Return the F1 of the normalised words as bags (Rajpurkar et al. 2016, section 6.1); 1 where both are empty."""
    mine, theirs = (grams(normalised(text), 1) for text in (hypothesis, reference))
    if not mine and not theirs:
        return 1.0
    return f_score((mine & theirs).total(), mine.total(), theirs.total())
