"""What speculative decoding yields with trained models, and what becomes of it when a cache is not rolled back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from studium import Profile
from torch import Tensor

from studium_topics.kits.tiny_lm import TinyLM
from studium_topics.kits.training import one_thread
from studium_topics.speculative_decoding.chance import Dice
from studium_topics.speculative_decoding.models import DRAFTS, TRANSFORMER, Pair, Speculate, prose, trained_pair
from studium_topics.speculative_decoding.readers import CachedLM

GAMMAS = (1, 2, 4, 8)
TEMPERATURES = (1.0, 0.0)
PROMPT = 32


@dataclass(frozen=True)
class Run:
    """Texts written with one draft, temperature and gamma.

    kept: of each pass, how many drafted tokens were kept. cost: of a pass of the draft, in passes of the target.
    """

    draft: str
    temperature: float
    gamma: int
    kept: list[int]
    cost: float

    @property
    def share(self) -> float:
        """The share of the drafted tokens that were kept, of those that were judged."""
        return sum(self.kept) / sum(min(count + 1, self.gamma) for count in self.kept)

    @property
    def per_pass(self) -> float:
        """Tokens that a pass of the target added, on average."""
        return sum(self.kept) / len(self.kept) + 1

    @property
    def speedup(self) -> float:
        """Passes of the target that plain decoding would take, over what was spent, in passes of the target."""
        return self.per_pass / (1 + self.gamma * self.cost)


@dataclass(frozen=True)
class Fault:
    """Greedy texts with one thing wrong: the share of tokens that are not the target's own, and tokens a pass."""

    differing: float
    per_pass: float


@dataclass(frozen=True)
class Written:
    """All that is measured with one pair of trained models.

    runs: one for each draft, temperature and gamma. predicted: what `expected_tokens` says of each run, from the share
    that it kept. overlap: the mean of `acceptance` on held-out text, by draft, at temperature 1. faults: by what is
    wrong; "nothing" is right.
    """

    runs: list[Run]
    predicted: list[float]
    overlap: dict[str, float]
    faults: dict[str, Fault]

    def run(self, draft: str, temperature: float, gamma: int) -> Run:
        """Return one of the runs."""
        wanted = (draft, temperature, gamma)
        return next(run for run in self.runs if (run.draft, run.temperature, run.gamma) == wanted)

    @property
    def surprise(self) -> float:
        """The largest relative difference between the tokens of a pass as measured and as predicted."""
        pairs = zip(self.runs, self.predicted, strict=True)
        return max(abs(run.per_pass / predicted - 1) for run, predicted in pairs)


class NeverForgets:
    """A model whose cache says that it was cropped and keeps every token: new ones come behind the rejected ones."""

    def __init__(self, model: CachedLM) -> None:
        self.model, self.length = model, 0

    def read(self, tokens: Sequence[int]) -> Tensor:
        """Read t tokens behind all that the cache has ever held; return (t, V)."""
        self.length += len(tokens)
        return self.model.read(tokens)

    def crop(self, length: int) -> None:
        """Say that there are `length` tokens at most."""
        self.length = min(self.length, length)


class LeavesHoles(NeverForgets):
    """A model that forgets as it should, and reads only the newest of the tokens that it has missed."""

    def read(self, tokens: Sequence[int]) -> Tensor:
        """Read the last of t tokens, or all of them if they are the first; return (t or 1, V)."""
        found = self.model.read(tokens if self.length == 0 else tokens[-1:])
        self.length += len(tokens)
        return found

    def crop(self, length: int) -> None:
        """Forget as many tokens of the cache as the text has lost."""
        self.model.crop(self.model.length - max(0, self.length - length))
        super().crop(length)


@one_thread()
def written(
    speculate: Speculate, acceptance: Callable[[Tensor, Tensor], Tensor],
    expected_tokens: Callable[[float, int], float], *, profile: Profile, seed: int = 0,
) -> Written:  # fmt: skip
    """Train a target and a draft on prose, and measure everything with them.

    Measured at laptop on one thread, seeds 0 to 2, with 4 drafted tokens from the transformer: tokens of a pass,
    sampled, 2.42 2.43 2.22, speed-up 1.68 1.68 1.54, and 1.19 1.37 1.10 times that with 8; the formula is off by .069
    .012 .039 at most; the target's fault changes .42 .82 .73 of the tokens; the draft's changes none, and reduces the
    tokens of a pass to .87 .86 .88 of their number.
    """
    pair = trained_pair(profile, seed)
    runs = lengths(pair, speculate, profile=profile, seed=seed)
    predicted = [float(expected_tokens(run.share, run.gamma)) for run in runs]
    overlap = overlaps(pair, acceptance, profile=profile)
    return Written(runs, predicted, overlap, roll_back(pair, speculate, profile=profile, seed=seed))


def prompts(profile: Profile) -> list[list[int]]:
    """Return held-out beginnings of 32 characters."""
    count = profile.choose(smoke=1, laptop=4, gpu=32)
    _, held_out = prose()
    return held_out[: count * 1000].view(count, 1000)[:, :PROMPT].tolist()


@one_thread()
def lengths(pair: Pair, speculate: Speculate, *, profile: Profile, seed: int = 0) -> list[Run]:
    """Write texts with each draft, temperature and gamma, and note what each pass kept."""
    new = profile.choose(smoke=24, laptop=96, gpu=512)
    runs = []
    for draft in DRAFTS:
        for temperature in TEMPERATURES:
            for gamma in GAMMAS:
                kept: list[int] = []
                for number, prompt in enumerate(prompts(profile)):
                    chance = Dice(1000 * seed + number)
                    kept += speculate(*pair.readers(draft, temperature), prompt, new, gamma, -1, chance)[1]
                runs.append(Run(draft, temperature, gamma, kept, pair.cost(draft)))
    return runs


@torch.no_grad()
def overlaps(pair: Pair, acceptance: Callable[[Tensor, Tensor], Tensor], *, profile: Profile) -> dict[str, float]:
    """Return the mean probability of keeping a drafted token on held-out text, at temperature 1, by draft."""
    rows = prose()[1][: 1000 * profile.choose(smoke=1, laptop=10, gpu=50)].view(-1, 100).tolist()
    found = {}
    for draft in DRAFTS:
        each = []
        for row in rows:
            target, small = pair.readers(draft, 1.0)
            each.append(torch.as_tensor(acceptance(target.read(row).cpu(), small.read(row).cpu())).mean())
        found[draft] = float(torch.stack(each).mean())
    return found


def greedy(target: CachedLM, prompt: list[int], new: int) -> list[int]:
    """Return `new` greedy tokens of the target alone, one pass for each."""
    found: list[int] = []
    unread = prompt
    while len(found) < new:
        found.append(int(target.read(unread)[-1].argmax()))
        unread = found[-1:]
    return found


@one_thread()
def roll_back(pair: Pair, speculate: Speculate, *, profile: Profile, seed: int = 0) -> dict[str, Fault]:
    """Write greedy texts in double precision, with 4 drafted tokens a pass and one thing wrong at a time.

    "nothing": all is right. "the target forgets nothing", "the draft forgets nothing": rejected tokens stay in its
    cache. "the draft has holes": after a pass in which all was kept it does not read the token that it missed.
    """
    new = profile.choose(smoke=24, laptop=96, gpu=256)
    double = Pair(*(_in_double(model) for model in (pair.target, pair.draft)))
    return {name: _fault(double, speculate, wrong, prompts(profile), new, seed) for name, wrong in WRONG.items()}


WRONG: dict[str, Callable[[CachedLM, CachedLM], Iterable[object]]] = {
    "nothing": lambda target, draft: (target, draft),
    "the target forgets nothing": lambda target, draft: (NeverForgets(target), draft),
    "the draft forgets nothing": lambda target, draft: (target, NeverForgets(draft)),
    "the draft has holes": lambda target, draft: (target, LeavesHoles(draft)),
}


def _fault(
    pair: Pair, speculate: Speculate, wrong: Callable[..., Iterable[object]], texts: list[list[int]], new: int,
    seed: int,
) -> Fault:  # fmt: skip
    wrong_tokens, kept = 0, []
    for number, prompt in enumerate(texts):
        own = greedy(CachedLM(pair.target, temperature=0), prompt, new)
        found, counts = speculate(*wrong(*pair.readers(TRANSFORMER, 0)), prompt, new, 4, -1, Dice(seed + number))
        wrong_tokens += differing(found, own)
        kept += counts
    return Fault(wrong_tokens / (new * len(texts)), sum(kept) / len(kept) + 1)


def differing(one: list[int], other: list[int]) -> int:
    """Return at how many places two texts of one length differ."""
    return sum(a != b for a, b in zip(one, other, strict=True))


def _in_double(model: TinyLM) -> TinyLM:
    return deepcopy(model).double()
