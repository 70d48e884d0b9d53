"""Byte-level BPE, learned from Python's own help, beside the library's encoder and a vocabulary of words."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from studium import Profile
from tokenizers import Tokenizer

from studium_topics.kits import text

Bpe = Callable[[str, list[tuple[int, int]]], list[int]]
SIZE = 1024


@dataclass(frozen=True)
class BytePairs:
    """What became of held-out prose: pieces, the share encoded as the library does, and what cannot be spelled."""

    size: int
    pieces: int
    same: float
    lost: int
    unknown: float  # the share of held-out words that are not among the `size` most frequent training words
    spelled: float  # the share of these words that the merges give back

    def show(self, line: str, bpe: Bpe) -> str:
        """Return the tokens of a line, separated by bars; a byte that is no character is shown as its number."""
        merges, spelled = merges_of(tokenizer())
        return "|".join(shown(spelled[i]) for piece in pieces_of(line) for i in bpe(piece, merges))


def byte_pairs(bpe: Bpe, *, profile: Profile, seed: int = 0) -> BytePairs:
    """Encode the last tenth of the prose with merges that were learned from the rest; seed chooses the pieces.

    Measured, seeds 0 to 4: every piece is encoded as the library does and spelled again.
    """
    learned, held_out = corpus()
    merges, spelled = merges_of(tokenizer())
    pieces = sorted(set(pieces_of(held_out)))[seed :: profile.choose(smoke=20, laptop=4, gpu=1)]
    pieces += [" naïve", " café", " 東京", " 🙂", "ß", " Ωμέγα"]
    numbers = {token: i for i, token in enumerate(_names(tokenizer()))}
    same = lost = 0
    for piece in pieces:
        found = [int(i) for i in bpe(piece, merges)]
        same += found == [numbers[token] for token in tokenizer().encode(piece).tokens]
        lost += b"".join(spelled.get(i, b"") for i in found).decode(errors="replace") != piece
    known = {word for word, _ in Counter(words_of(learned)).most_common(SIZE)}
    words = words_of(held_out)
    unknown = [word for word in words if word not in known]
    back = [b"".join(spelled.get(int(i), b"") for i in bpe(word, merges)).decode(errors="replace") for word in unknown]
    share = sum(map(str.__eq__, back, unknown)) / len(unknown)
    return BytePairs(SIZE, len(pieces), same / len(pieces), lost, len(unknown) / len(words), share)


def corpus() -> tuple[str, str]:
    """Return the prose to learn from and the last tenth of it."""
    prose = text.prose()
    cut = len(prose) * 9 // 10
    return prose[:cut], prose[cut:]


@cache
def tokenizer() -> Tokenizer:
    """Return the library's tokenizer, which has learned the merges."""
    return text.byte_pair_tokenizer(corpus()[0], SIZE)


def pieces_of(line: str) -> list[str]:
    """Return the words of a line with the spaces before them, as the library cuts a text; merges stay inside a word."""
    cut = tokenizer().pre_tokenizer.pre_tokenize_str(line)
    return [line[start:end] for _, (start, end) in cut]


def words_of(line: str) -> list[str]:
    """Return the words and signs of a text."""
    return re.findall(r"\w+|[^\w\s]", line)


def merges_of(library: Tokenizer) -> tuple[list[tuple[int, int]], dict[int, bytes]]:
    """Return the merges as pairs of ids, and the bytes that each id spells: ids below 256 are bytes."""
    names = _names(library)
    numbers = {name: i for i, name in enumerate(names)}
    merges = [(numbers[left], numbers[right]) for left, right in _merges(library)]
    byte_of = {character: i for i, character in enumerate(names[:256])}
    return merges, {i: bytes(byte_of[character] for character in name) for i, name in enumerate(names)}


def _merges(library: Tokenizer) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in json.loads(library.to_str())["model"]["merges"]]


def _names(library: Tokenizer) -> list[str]:
    """Return the library's name of each id: one character for a byte (GPT-2's table), then one string for a merge."""
    shown_as_they_are = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    table = [chr(byte if byte in shown_as_they_are else next(others)) for byte in range(256)]
    return table + [left + right for left, right in _merges(library)]


def shown(spelled: bytes) -> str:
    """Return bytes as text, or as numbers where they are a part of a character."""
    try:
        return spelled.decode()
    except UnicodeDecodeError:
        return " ".join(f"<{byte:02X}>" for byte in spelled)
