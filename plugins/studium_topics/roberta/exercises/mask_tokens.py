import torch
from studium import exercise


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "What do you have to decide for each position, and which of these decisions are independent of each other?",
        "One uniform number decides whether a position is chosen, a second one what happens to it, and a random id is "
        "drawn for each position, whether or not it is needed.",
        "All draws and all conditions have the shape of ids, (B, T); special is (S,).",
        "`torch.isin(ids, special)` marks special tokens; `torch.where(condition, a, b)` combines the cases; "
        "`torch.rand(ids.shape, generator=generator)` draws.",
    ),
)
def mask_tokens(ids, special, mask_id, vocabulary, rate, generator):
    """Return a batch with new noise, and the labels of the tokens that the model has to predict.

    Each token that is not special is chosen with probability rate, independently. A chosen token becomes

    | with probability | |
    |---|---|
    | 80 % | `mask_id` |
    | 10 % | any id from 0 to vocabulary − 1, all with equal probability |
    | 10 % | itself |

    - ids (B, T): long; it stays as it is.
    - special (S,): long, the ids that are never chosen.
    - generator: provides all the randomness.
    - Returns (noisy, labels), long, (B, T): the label is the original token where it was chosen, and -100 elsewhere.
    """
    ### BEGIN SOLUTION
    chosen = (torch.rand(ids.shape, generator=generator) < rate) & ~torch.isin(ids, special)
    kind = torch.rand(ids.shape, generator=generator)
    word = torch.randint(vocabulary, ids.shape, generator=generator)
    noisy = torch.where(chosen & (kind < 0.8), mask_id, ids)
    noisy = torch.where(chosen & (kind >= 0.9), word, noisy)
    return noisy, ids.masked_fill(~chosen, -100)
    ### END SOLUTION


mask_tokens.equivalent(
    "noisy = torch.where(chosen & (kind > 0.9), word, noisy)", "a draw of exactly 0.9 has the probability 2 ** -24"
)

mask_tokens.equivalent(
    "noisy = torch.where(chosen & (kind <= 0.8), mask_id, ids)", "a draw of exactly 0.8 has the probability 2 ** -24"
)

mask_tokens.equivalent(
    "chosen = (torch.rand(ids.shape, generator=generator) <= rate) & ~torch.isin(ids, special)",
    "a draw of exactly the rate has the probability 2 ** -24",
)


@mask_tokens.test("changes chosen tokens alone, and labels them with what they were", points=1)
def _(mask_tokens):
    ids = torch.randint(5, 30, (200, 12), generator=torch.Generator().manual_seed(1))
    ids[:, 0], ids[::2, 9:] = 0, 29
    kept, special = ids.clone(), torch.tensor([0, 29, 7])
    noisy, labels = mask_tokens(ids, special, 7, 30, 0.3, torch.Generator().manual_seed(2))
    assert torch.equal(ids, kept), "the argument ids must stay as it is: work on a copy"
    for name, found in (("noisy", noisy), ("labels", labels)):
        assert tuple(found.shape) == (200, 12), (
            f"{name} must have the shape of ids, (200, 12), got {tuple(found.shape)}"
        )
        assert found.dtype == torch.long, f"{name} must be long, got {found.dtype}"
    counts = labels != -100
    never = (ids == 0) | (ids == 29) | (ids == 7)
    assert not counts[never].any(), "special tokens (0, 7 and 29 here) are never chosen"
    assert torch.equal(labels[counts], ids[counts]), "a label is the token that was there before the noise"
    assert torch.equal(noisy[~counts], ids[~counts]), "where the label is -100 the token must stay as it is"


@mask_tokens.hidden("chooses at the rate, and makes 80, 10 and 10 % of what it chose", points=2)
def _(mask_tokens, rng):
    few = torch.arange(2, 10).view(2, 4)
    times = [int((mask_tokens(few, few[0, :0], 1, 12, 0.25, rng)[1] != -100).sum()) for _ in range(300)]
    varies = float(torch.tensor(times).double().var())
    assert 0.75 < varies < 2.5, (
        "each token is chosen independently, so of 8 tokens at rate 0.25 the number of chosen ones has a variance of "
        f"1.5, got {varies:.2f} in 300 calls"
    )
    for rate, vocabulary, mask_id in ((0.15, 24, 23), (0.5, 6, 2)):  # of 6 ids, one often replaces itself
        special = torch.tensor([0, 5, mask_id])
        usual = torch.tensor([i for i in range(vocabulary) if i not in (0, 5, mask_id)])
        ids = usual[torch.randint(len(usual), (3000, 20), generator=rng)]
        ids[:, 0] = 0
        noisy, labels = mask_tokens(ids, special, mask_id, vocabulary, rate, rng)
        chosen = labels != -100
        words, count = 3000 * 19, int(chosen.sum())
        assert not chosen[:, 0].any(), "special tokens are never chosen"
        spread = 5 * (words * rate * (1 - rate)) ** 0.5
        assert abs(count - rate * words) < spread, (
            f"about {rate * words:.0f} of {words} tokens should be chosen at rate {rate}, got {count}"
        )
        other = (noisy != ids) & (noisy != mask_id) & chosen
        whole = bool(torch.isin(noisy[other], special).any())  # as BERT draws; RoBERTa leaves special tokens out
        drawn = vocabulary if whole else len(usual)
        again = 0.1 / drawn if whole else 0.0  # a random id is mask_id now and then
        for what, found, share in (
            ("mask_id", (noisy == mask_id)[chosen], 0.8 + again),
            ("itself", (noisy == ids)[chosen], 0.1 + 0.1 / drawn),
            ("another id", other[chosen], 0.1 - 0.1 / drawn - again),
        ):
            spread, found = 5 * (count * share * (1 - share)) ** 0.5, int(found.sum())
            assert abs(found - share * count) < spread, (
                f"about {share * count:.0f} of {count} chosen tokens should be {what}, got {found}"
            )
        others = noisy[other].bincount(minlength=vocabulary).double()
        for i in range(vocabulary) if whole else usual.tolist():
            if i != mask_id:
                share = 0.1 * count / drawn * (1.0 if i in (0, 5) else 1 - 1 / len(usual))
                assert abs(float(others[i]) - share) < 6 * share**0.5 + 1, (
                    f"id {i} should replace about {share:.0f} tokens, as each of {drawn} ids may come, "
                    f"got {others[i]:.0f}"
                )


@mask_tokens.hidden("draws anew for every token, with the generator that it is given", points=1)
def _(mask_tokens, rng):
    special = torch.tensor([1])
    ids = torch.randint(2, 40, (3000, 20), generator=rng)
    seed = int(torch.randint(10**6, (), generator=rng))
    again = torch.Generator().manual_seed(seed)
    one = mask_tokens(ids, special, 1, 40, 0.15, again)
    later = mask_tokens(ids, special, 1, 40, 0.15, again)
    two = mask_tokens(ids, special, 1, 40, 0.15, torch.Generator().manual_seed(seed))
    for first, second in zip(one, two, strict=True):
        assert torch.equal(first, second), "the same seed must give the same noise: draw with the generator alone"
    assert not torch.equal(one[1], later[1]), "a second call with the same generator must choose other tokens"
    assert not torch.equal(one[0], later[0]), "a second call with the same generator must give other noise"
    counts = (one[1] != -100).double()
    hidden = ((one[0] == 1) & (one[1] != -100)).double()
    for axis, name, size in ((1, "row", 20), (0, "column", 3000)):
        sums, masked = counts.sum(axis), hidden.sum(axis)
        wanted = size * 0.15 * 0.85
        assert abs(float(sums.var()) - wanted) < 6 * wanted * (2 / (len(sums) - 1)) ** 0.5, (
            f"each token is chosen by itself, so the number chosen in a {name} should have the variance {wanted:.3g}, "
            f"got {float(sums.var()):.3g}"
        )
        spread, share = float(sums.sum()) * 0.8 * 0.2, float((masked - 0.8 * sums).square().sum())
        assert abs(share - spread) < 8 * spread * (2 / len(sums) + 1 / float(sums.sum())) ** 0.5, (
            f"what becomes of a chosen token is drawn for each token by itself, not for a {name}"
        )


@mask_tokens.misconception(
    "You drew again with probability 0.1 among the chosen tokens that were left, so only 2 % of all chosen tokens "
    "become random. The shares of 80, 10 and 10 % each refer to all the chosen tokens.",
    name="tenth-of-the-rest",
)
def _(ids, special, mask_id, vocabulary, rate, generator):
    chosen = (torch.rand(ids.shape, generator=generator) < rate) & ~torch.isin(ids, special)
    masked = chosen & (torch.rand(ids.shape, generator=generator) < 0.8)
    random = chosen & ~masked & (torch.rand(ids.shape, generator=generator) < 0.1)
    word = torch.randint(vocabulary, ids.shape, generator=generator)
    return torch.where(masked, mask_id, torch.where(random, word, ids)), ids.masked_fill(~chosen, -100)


@mask_tokens.misconception(
    "You drew from a separate generator with a fixed seed, so every call makes the same mask, as in static masking; "
    "draw from the generator that you are given.",
    name="same-mask-each-call",
)
def _(ids, special, mask_id, vocabulary, rate, generator):
    return mask_tokens(ids, special, mask_id, vocabulary, rate, torch.Generator().manual_seed(0))


@mask_tokens.misconception(
    "You returned all of ids as labels; put -100 where a token was not chosen, or the loss counts tokens that the "
    "model can simply copy.",
    name="labels-everywhere",
)
def _(ids, special, mask_id, vocabulary, rate, generator):
    return mask_tokens(ids, special, mask_id, vocabulary, rate, generator)[0], ids.clone()


@mask_tokens.misconception(
    "You also chose special tokens; never hide separators or padding, because they teach the model nothing.",
    name="special-chosen",
)
def _(ids, special, mask_id, vocabulary, rate, generator):
    return mask_tokens(ids, special[:0], mask_id, vocabulary, rate, generator)


@mask_tokens.misconception(
    "You labelled only the tokens that changed; chosen tokens that keep their id count in the loss too, so label them "
    "as well.",
    name="kept-not-labelled",
)
def _(ids, special, mask_id, vocabulary, rate, generator):
    noisy, _ = mask_tokens(ids, special, mask_id, vocabulary, rate, generator)
    return noisy, ids.masked_fill(noisy == ids, -100)


@mask_tokens.also_correct
def _(ids, special, mask_id, vocabulary, rate, generator):
    chance = torch.rand(ids.shape, generator=generator, dtype=torch.float64)  # one draw can serve both decisions
    for token in special.tolist():
        chance[ids == token] = 1.0
    noisy, labels = ids.clone(), torch.full_like(ids, -100)
    labels[chance < rate] = ids[chance < rate]
    noisy[chance < 0.8 * rate] = mask_id
    random = (chance >= 0.8 * rate) & (chance < 0.9 * rate)
    noisy[random] = torch.randint(vocabulary, (int(random.sum()),), generator=generator)
    return noisy, labels


@mask_tokens.also_correct
def _(ids, special, mask_id, vocabulary, rate, generator):
    free = (ids[..., None] != special).all(-1)
    chosen = torch.bernoulli(rate * free.double(), generator=generator).bool()
    kind = torch.multinomial(torch.tensor([0.8, 0.1, 0.1]), ids.numel(), replacement=True, generator=generator)
    kind = kind.view(ids.shape)
    word = torch.randint(vocabulary, ids.shape, generator=generator)
    noisy = ids.clone()
    noisy[chosen & (kind == 0)] = mask_id
    noisy[chosen & (kind == 1)] = word[chosen & (kind == 1)]
    return noisy, torch.where(chosen, ids, torch.tensor(-100))


@mask_tokens.also_correct
def _(ids, special, mask_id, vocabulary, rate, generator):
    usual = torch.tensor([token for token in range(vocabulary) if token not in special])  # RoBERTa's choice
    chosen = (torch.rand(ids.shape, generator=generator) < rate) & ~torch.isin(ids, special)
    kind = torch.rand(ids.shape, generator=generator)
    word = usual[torch.randint(len(usual), ids.shape, generator=generator)]
    noisy = torch.where(chosen & (kind < 0.8), mask_id, torch.where(chosen & (kind >= 0.9), word, ids))
    return noisy, torch.where(chosen, ids, -100)
