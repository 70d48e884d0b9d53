"""Facts learned by heart, and facts looked up in an index."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from studium import Profile

from studium_topics.kits import grammar
from studium_topics.kits.training import one_thread
from studium_topics.llm_tasks import tape
from studium_topics.llm_tasks.model import TapeLM
from studium_topics.llm_tasks.tape import Conversation
from studium_topics.llm_tasks.tuning import Finetune, Matches, Render, match, pretrained, tuned


@dataclass(frozen=True)
class Knowledge:
    """Exact matches on questions about facts, before and after a third of the facts changed."""

    facts: list[list[str]]
    memory: float  # a model that was fine-tuned on the facts, without a document
    memory_changed: float  # the same model, on the changed facts
    retrieved: float  # a model that reads, with the document that the index finds
    retrieved_changed: float
    wrong_document: float  # the reading model with a document drawn at random
    reader: TapeLM


@one_thread()
def knowledge(
    finetune: Finetune,
    render: Render,
    greedy_matches: Matches,
    retrieve: Callable[..., list[int]],
    *,
    profile: Profile,
    seed: int = 0,
) -> Knowledge:
    """Learn 99 facts by heart, or learn to read and look them up; then change 33 of them.

    Measured at laptop, seeds 0 to 2, about 6 s of CPU time: by heart 0.91, 0.80 and 0.90, on the changed facts at most
    0.06; read 1.00, 1.00 and 0.90, on the changed facts at least 0.94; with a random document 0.10 to 0.11.
    """
    base, chance = pretrained(profile), random.Random(seed)
    facts, later = new_facts(chance), new_facts(chance)
    changed = [at for at in range(len(facts)) if facts[at] != later[at]][:33]
    updated = [later[at] if at in changed else fact for at, fact in enumerate(facts)]
    rounds = profile.choose(smoke=1, laptop=100, gpu=200)
    by_heart = [question(fact) for _ in range(rounds) for fact in chance.sample(facts, len(facts))]
    memory, _, found = tuned(finetune, base, by_heart, [question(fact) for fact in facts], seed)
    read = [question(fact, fact) for _ in range(max(1, rounds // 3)) for fact in new_facts(chance)]
    reader, _, _ = tuned(finetune, base, read, read[:1], seed)

    def looked_up(index: list[list[str]], asked: Sequence[list[str]]) -> float:
        found = [retrieve([*fact[:2], "?"], index, 1)[0] for fact in asked]
        talks = [question(fact, index[at]) for fact, at in zip(asked, found, strict=True)]
        return match(reader, talks, render, greedy_matches)

    asked = [updated[at] for at in changed]
    return Knowledge(
        facts,
        found,
        match(memory, [question(fact) for fact in asked], render, greedy_matches),
        looked_up(facts, facts),
        looked_up(updated, asked),
        match(reader, [question(fact, chance.choice(facts)) for fact in facts], render, greedy_matches),
        reader,
    )


def new_facts(chance: random.Random) -> list[list[str]]:
    """Return 99 facts, such as "clever teachers wait .": a verb for each pair of an adjective and a plural noun."""
    pairs = [(adjective, noun) for adjective in grammar.ADJECTIVES for noun in grammar.NOUNS[1]]
    return [[adjective, noun, chance.choice(grammar.VERBS[1]), "."] for adjective, noun in pairs]


def question(fact: Sequence[str], document: Sequence[str] = ()) -> Conversation:
    """Return the question for the verb of a fact and its answer, with a document in front or without."""
    return tape.ask(" ".join([*document, "answer", ":", *fact[:2], "?"]), fact[2])
