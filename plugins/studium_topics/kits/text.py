"""Two corpora that ship with Python, characters as numbers, random windows, and a small byte-level BPE tokenizer.

Both corpora differ a little between versions of Python, so compare losses within one run, never with a fixed number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

CODE_MODULES = ("argparse", "ast", "inspect", "typing", "tarfile", "zipfile")


@cache
def prose() -> str:
    """The topics of Python's own help, about 465 000 characters of English prose."""
    from pydoc_data.topics import topics

    return "\n".join(topics.values())


@cache
def code() -> str:
    """The sources of six modules of the standard library, about 600 000 characters of Python."""
    return "".join(_source(name) for name in CODE_MODULES)


def _source(module: str) -> str:
    spec = find_spec(module)
    read = getattr(spec and spec.loader, "get_source", None)
    source = read(module) if read else None
    if source is None:
        raise ValueError(f"the corpus needs the source of {module}, got none: use a Python that ships its sources")
    return str(source)


@dataclass(frozen=True)
class Vocabulary:
    """Characters as the numbers 0..size-1, in the order of `characters`."""

    characters: str

    @cached_property
    def _number(self) -> dict[str, int]:
        return {character: number for number, character in enumerate(self.characters)}

    @property
    def size(self) -> int:
        """V, the number of characters."""
        return len(self.characters)

    def encode(self, text: str) -> Tensor:
        """The number of each character, as (T,) long."""
        try:
            return torch.tensor([self._number[character] for character in text], dtype=torch.long)
        except KeyError as missing:
            raise ValueError(
                f"text needs characters of the vocabulary only, got {missing}: add it to `characters`"
            ) from None

    def decode(self, ids: Tensor | Sequence[int]) -> str:
        """The text of ids (T,)."""
        numbers = ids.tolist() if isinstance(ids, Tensor) else ids
        return "".join(self.characters[number] for number in numbers)


@cache
def character_vocabulary() -> Vocabulary:
    """Every character of both corpora, sorted: 108 of them with Python 3.11."""
    return Vocabulary("".join(sorted(set(prose()) | set(code()))))


def split(ids: Tensor, validation: float = 0.1) -> tuple[Tensor, Tensor]:
    """The first part of ids (N,) to train on and the last fraction `validation` to validate on."""
    if not 0 < validation < 1:
        raise ValueError(f"validation needs to lie between 0 and 1, got {validation}")
    cut = round(len(ids) * (1 - validation))
    return ids[:cut], ids[cut:]


def windows(ids: Tensor, batch: int, length: int, generator: torch.Generator) -> Tensor:
    """`batch` stretches of ids (N,) that start anywhere, as (batch, length) on the device of ids."""
    if len(ids) < length:
        raise ValueError(f"windows of {length} need at least as many ids, got {len(ids)}: shorten the windows")
    starts = torch.randint(len(ids) - length + 1, (batch, 1), generator=generator, device=generator.device)
    return ids[starts.to(ids.device) + torch.arange(length, device=ids.device)]  # (batch, length)


def next_token_batch(ids: Tensor, batch: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Inputs and the tokens that follow each of them, both (batch, length)."""
    drawn = windows(ids, batch, length + 1, generator)
    return drawn[:, :-1], drawn[:, 1:]


def byte_pair_tokenizer(text: str, size: int = 1024, special_tokens: Sequence[str] = ()) -> Tokenizer:
    """A byte-level BPE tokenizer trained on text, with `size` tokens; special_tokens take the first numbers.

    Lossless: `decode(encode(s).ids) == s` for any text. A third of a second for the prose.
    """
    needed = 256 + len(special_tokens)
    if size < needed:
        raise ValueError(f"size needs to be at least {needed}, one token for each byte and special token, got {size}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=list(special_tokens),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(text.splitlines(keepends=True), trainer)
    return tokenizer
