import torch
from studium import exercise


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "How many independent draws does each position need, and what does each draw decide?",
        "The first draw decides whether a position is chosen, the second which of the three kinds it is, and the "
        "third gives the random token.",
        "All three draws have the shape of ids, and so does every condition you build from them.",
        "`torch.rand(ids.shape, generator=generator)` and `torch.randint(vocabulary, ids.shape, "
        "generator=generator)`; a second uniform number below 0.8 means [MASK], and 0.9 or more means a random token.",
    ),
)
def corrupt(ids, mask_id, first, vocabulary, generator):
    """Return a batch with BERT's noise, and the labels of the words that the model has to predict.

    Every word is chosen with probability 15 %, independently; special tokens never are. A chosen word becomes

    | with probability | |
    |---|---|
    | 80 % | `mask_id` |
    | 10 % | any id from 0 to vocabulary − 1, all with equal probability |
    | 10 % | itself |

    - ids (B, T): long, on the CPU; it stays as it is. Words are `first` to `vocabulary` - 1; smaller ids are special
      tokens.
    - generator: provides all the randomness.
    - Returns (noisy, labels), long, (B, T): the label is the original word where it was chosen, and -100 elsewhere.
    """
    ### BEGIN SOLUTION
    chosen = (torch.rand(ids.shape, generator=generator) < 0.15) & (ids >= first)
    kind = torch.rand(ids.shape, generator=generator)
    word = torch.randint(vocabulary, ids.shape, generator=generator)
    noisy = torch.where(chosen & (kind < 0.8), mask_id, ids)
    noisy = torch.where(chosen & (kind >= 0.9), word, noisy)
    return noisy, ids.masked_fill(~chosen, -100)
    ### END SOLUTION


corrupt.equivalent(
    "random = (chance >= 0.12) & (chance <= 0.135)",
    "almost no draw is exactly 0.135",
)

corrupt.equivalent(
    "random = (chance > 0.12) & (chance < 0.135)",
    "almost no draw is exactly 0.12",
)

corrupt.equivalent(
    "noisy = torch.where(chosen & (kind > 0.9), word, noisy)", "a draw of exactly 0.9 has the probability 2 ** -24"
)

corrupt.equivalent(
    "noisy = torch.where(chosen & (kind <= 0.8), mask_id, ids)", "a draw of exactly 0.8 has the probability 2 ** -24"
)

corrupt.equivalent(
    "chosen = (torch.rand(ids.shape, generator=generator) <= 0.15) & (ids >= first)",
    "a draw of exactly 0.15 has the probability 2 ** -24",
)


@corrupt.test("changes chosen words alone, and labels them with what they were", points=1)
def _(corrupt):
    ids = torch.randint(5, 30, (200, 12), generator=torch.Generator().manual_seed(1))
    ids[:, 0], ids[::2, 9:] = 1, 0
    kept = ids.clone()
    noisy, labels = corrupt(ids, 3, 5, 30, torch.Generator().manual_seed(2))
    assert torch.equal(ids, kept), "the argument ids must stay as it is: work on a copy"
    for name, found in (("noisy", noisy), ("labels", labels)):
        assert tuple(found.shape) == (200, 12), (
            f"{name} must have the shape of ids, (200, 12), got {tuple(found.shape)}"
        )
        assert found.dtype == torch.long, f"{name} must be long, got {found.dtype}"
    counts = labels != -100
    assert not counts[ids < 5].any(), "special tokens (ids below 5 here) are never chosen"
    assert torch.equal(labels[counts], ids[counts]), "a label is the word that stood there before the noise"
    assert torch.equal(noisy[~counts], ids[~counts]), "where the label is -100 the word must stay as it is"
    assert counts.any(), "no word was chosen: about 15 % of them should be"


@corrupt.hidden("chooses 15 % of the words, and keeps the proportions 80, 10 and 10 %", points=1)
def _(corrupt, rng):
    for mask_id, first, vocabulary in ((2, 6, 40), (4, 5, 16)):
        ids = torch.randint(first, vocabulary, (4000, 50), generator=rng)
        ids[:, ::5] = 1
        noisy, labels = corrupt(ids, mask_id, first, vocabulary, rng)
        counts = labels != -100
        words, chosen = int((ids >= first).sum()), int(counts.sum())
        assert abs(chosen - 0.15 * words) < 6 * (words * 0.15 * 0.85) ** 0.5, (
            f"15 % of the words should be chosen, and {chosen / words:.2%} are"
        )
        original, now = ids[counts], noisy[counts]
        other = (now != mask_id) & (now != original)
        words_alone = not (now[other] < first).any()
        likely = 0.1 / (vocabulary - first if words_alone else vocabulary)  # a random id hits the original now and then
        again = 0.0 if words_alone else likely  # or mask_id
        for what, share, found in (
            ("become mask_id", 0.8 + again, now == mask_id),
            ("become another id", 0.1 - likely - again, other),
            ("stay the same", 0.1 + likely, now == original),
        ):
            spread = 6 * (chosen * share * (1 - share)) ** 0.5
            assert abs(int(found.sum()) - chosen * share) < spread, (
                f"{share:.1%} of the chosen words should {what}, and {int(found.sum()) / chosen:.1%} do"
            )


@corrupt.hidden("draws random tokens from the whole vocabulary, or from all words", points=1)
def _(corrupt, rng):
    first, vocabulary = 4, 14
    ids = torch.randint(4, 9, (5000, 48), generator=rng)  # the words 9 to 13 come from the noise alone
    ids[:, ::6] = 1
    noisy, _ = corrupt(ids, 3, first, vocabulary, rng)
    assert torch.equal(noisy[:, ::6], ids[:, ::6]), "special tokens (ids below 4 here) stay as they are"
    new = noisy[(noisy != ids) & (noisy != 3)]
    assert len(new), "10 % of the chosen words should become a random token, and none does"
    strange = sorted(set(new.tolist()) - set(range(vocabulary)))
    assert not strange, f"random tokens are the ids 0 to {vocabulary - 1}, got {strange} too"
    whole = bool((new < first).any())  # as BERT draws; without special tokens, as RoBERTa does, is correct too
    expected = 5000 * 40 * 0.15 * 0.1 / (vocabulary if whole else vocabulary - first)
    for token in (*range(3 if whole else 0), *range(9, 14)):
        count = int((new == token).sum())
        assert abs(count - expected) < 6 * expected**0.5, (
            f"each id should replace a word about {expected:.0f} times, id {token} does {count} times"
        )


@corrupt.hidden("decides for every word by itself, with the generator that it is given", points=1)
def _(corrupt, rng):
    ids = torch.randint(4, 20, (3000, 20), generator=rng)
    seed = int(torch.randint(10**6, (), generator=rng))
    one, two, three = (corrupt(ids, 3, 4, 20, torch.Generator().manual_seed(s)) for s in (seed, seed, seed + 1))
    assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1]), (  # noqa: PT018 - one statement of the learner's
        "the same seed must give the same noise: take all randomness from the generator"
    )
    assert not torch.equal(one[1], three[1]), "another seed must choose other words: choose with the generator"
    assert not torch.equal(one[0], three[0]), "another seed must give other noise: draw it with the generator"
    counts = (one[1] != -100).double()
    for axis, name, size in ((1, "sentence", 20), (0, "column", 3000)):
        sums = counts.sum(axis)
        variance, wanted = float(sums.var()), size * 0.15 * 0.85
        spread = 6 * wanted * (2 / (len(sums) - 1)) ** 0.5
        assert abs(variance - wanted) < spread, (
            f"each word is chosen by itself, so the number of chosen words of a {name} has the variance {wanted:.3g}, "
            f"and here it has {variance:.3g}"
        )
    hidden = ((one[0] == 3) & (one[1] != -100)).double()
    for axis, name in ((1, "sentence"), (0, "column")):
        chosen, masked = counts.sum(axis), hidden.sum(axis)
        wanted = float(chosen.sum()) * 0.8 * 0.2  # binomial, given how many are chosen
        found = float((masked - 0.8 * chosen).square().sum())
        spread = 8 * wanted * (2 / len(chosen) + 1 / float(chosen.sum())) ** 0.5
        assert abs(found - wanted) < spread, f"the three kinds are drawn for every word by itself, not for a {name}"


@corrupt.misconception(
    "You drew again with probability 0.1 among the chosen words that were left, so only 2 % of all chosen words "
    "become random. The shares of 80, 10 and 10 % each refer to all the chosen words.",
    name="tenth-of-the-rest",
)
def _(ids, mask_id, first, vocabulary, generator):
    chosen = (torch.rand(ids.shape, generator=generator) < 0.15) & (ids >= first)
    masked = chosen & (torch.rand(ids.shape, generator=generator) < 0.8)
    random = chosen & ~masked & (torch.rand(ids.shape, generator=generator) < 0.1)
    word = torch.randint(vocabulary, ids.shape, generator=generator)
    return torch.where(masked, mask_id, torch.where(random, word, ids)), ids.masked_fill(~chosen, -100)


@corrupt.misconception(
    "You replaced every chosen word with [MASK]; one fifth of them must show a real word, or the model can rely on "
    "[MASK] to know which words to predict.",
    name="always-mask",
)
def _(ids, mask_id, first, vocabulary, generator):
    chosen = (torch.rand(ids.shape, generator=generator) < 0.15) & (ids >= first)
    return torch.where(chosen, mask_id, ids), ids.masked_fill(~chosen, -100)


@corrupt.misconception(
    "You labelled only the positions that changed; chosen words that keep their id count in the loss too, so label "
    "them as well.",
    name="kept-not-labelled",
)
def _(ids, mask_id, first, vocabulary, generator):
    noisy, _ = corrupt(ids, mask_id, first, vocabulary, generator)
    return noisy, ids.masked_fill(noisy == ids, -100)


@corrupt.misconception(
    "You also chose special tokens; never hide [CLS], [SEP] or padding, because they teach the model nothing.",
    name="special-chosen",
)
def _(ids, mask_id, first, vocabulary, generator):
    chosen = torch.rand(ids.shape, generator=generator) < 0.15
    kind = torch.rand(ids.shape, generator=generator)
    word = torch.randint(vocabulary, ids.shape, generator=generator)
    noisy = torch.where(chosen & (kind < 0.8), mask_id, torch.where(chosen & (kind >= 0.9), word, ids))
    return noisy, ids.masked_fill(~chosen, -100)


@corrupt.misconception(
    "You returned all of ids as labels; put -100 where a word was not chosen, or the loss counts words that the model "
    "can simply copy.",
    name="labels-everywhere",
)
def _(ids, mask_id, first, vocabulary, generator):
    return corrupt(ids, mask_id, first, vocabulary, generator)[0], ids.clone()


@corrupt.misconception(
    "You chose the same positions for the whole batch; choose each word of each sentence independently.",
    name="same-positions",
)
def _(ids, mask_id, first, vocabulary, generator):
    chosen = (torch.rand(ids.shape[1], generator=generator) < 0.15) & (ids >= first)
    kind = torch.rand(ids.shape, generator=generator)
    word = torch.randint(vocabulary, ids.shape, generator=generator)
    noisy = torch.where(chosen & (kind < 0.8), mask_id, torch.where(chosen & (kind >= 0.9), word, ids))
    return noisy, ids.masked_fill(~chosen, -100)


@corrupt.also_correct
def _(ids, mask_id, first, vocabulary, generator):
    chance = torch.rand(ids.shape, generator=generator, dtype=torch.float64)  # one draw can serve both decisions
    chance = chance.masked_fill(ids < first, 1.0)
    noisy, labels = ids.clone(), torch.full_like(ids, -100)
    labels[chance < 0.15] = ids[chance < 0.15]
    noisy[chance < 0.12] = mask_id
    random = (chance >= 0.12) & (chance < 0.135)
    noisy[random] = torch.randint(vocabulary, (int(random.sum()),), generator=generator)
    return noisy, labels


@corrupt.also_correct
def _(ids, mask_id, first, vocabulary, generator):
    words = (ids >= first).double()
    chosen = torch.bernoulli(0.15 * words, generator=generator).bool()
    kind = torch.multinomial(torch.tensor([0.8, 0.1, 0.1]), ids.numel(), replacement=True, generator=generator)
    kind = kind.view(ids.shape)
    word = torch.randint(first, vocabulary, ids.shape, generator=generator)  # RoBERTa's choice: words alone
    noisy = ids.clone()
    noisy[chosen & (kind == 0)] = mask_id
    noisy[chosen & (kind == 1)] = word[chosen & (kind == 1)]
    return noisy, torch.where(chosen, ids, torch.tensor(-100))
