"""Exercises: the input pipeline of RoBERTa (packing, masking, positions), its batches, its loop, and its tokens."""

from itertools import cycle, islice, pairwise

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import nn

from studium_topics.kits.weights import drawn

# ---------------------------------------------------------------------------------------------------- coverage


@exercise(
    points=2,
    minutes=6,
    level="warm-up",
    importance=2,
    kind="derive",
    hints=(
        "For one token, what is the probability that one mask does not choose it? And that none of three masks does?",
        "Compute the share that is never chosen, and count the masks that differ: an old mask chooses nothing new.",
        "All three arguments are numbers, and so is the result; it lies between 0 and 1.",
        "With `masks` different masks, `(1 - rate) ** masks` of the tokens are never chosen.",
    ),
)
def coverage(rate, epochs, copies):
    """Return the expected share of a text's tokens that the loss asks for at least once in training.

    - rate: the probability with which a mask chooses a token, the same for each token, independently.
    - epochs: how many times training reads the text, 1 or more.
    - copies: how many masks were drawn beforehand; the epochs take them in turn, again and again. With None, each
      epoch draws a mask of its own.
    """
    ### BEGIN SOLUTION
    masks = epochs if copies is None else min(epochs, copies)
    return 1 - (1 - rate) ** masks
    ### END SOLUTION


@coverage.test("knows two masks of one half", points=1)
def _(coverage):
    assert_close(float(coverage(0.5, 4, 2)), 0.75, message="two masks, each of which chooses half of the tokens")
    assert_close(float(coverage(0.5, 3, None)), 0.875, message="three epochs, each with a mask of its own")


@coverage.hidden("agrees with masks that are drawn and counted", points=1)
def _(coverage, rng):
    for rate, epochs, copies in ((0.15, 7, 3), (0.3, 2, 5), (0.2, 6, None), (0.07, 9, 1), (0.15, 40, 10)):
        distinct = [epoch if copies is None else epoch % copies for epoch in range(epochs)]
        masks = torch.rand(max(distinct) + 1, 200_000, generator=rng) < rate
        counted = masks[distinct].any(0).double().mean()
        found = float(coverage(rate, epochs, copies))
        assert abs(found - float(counted)) < 0.008, (
            f"rate {rate}, {epochs} epochs, copies {copies}: drawn masks cover {counted:.3f}, got {found:.3f}"
        )


@coverage.misconception(
    "You added the probabilities of the masks; two masks can choose the same token, which counts once. Multiply the "
    "probabilities of not being chosen.",
    name="added-probabilities",
)
def _(rate, epochs, copies):
    return min(1.0, rate * (epochs if copies is None else min(epochs, copies)))


@coverage.misconception(
    "You counted every epoch as a new mask; with masks drawn beforehand, epochs after the last copy repeat old ones.",
    name="every-epoch-is-new",
)
def _(rate, epochs, copies):
    return 1 - (1 - rate) ** epochs


@coverage.misconception(
    "You counted all copies although training may end before it has used them; no more masks are seen than epochs.",
    name="unused-copies",
)
def _(rate, epochs, copies):
    return 1 - (1 - rate) ** (epochs if copies is None else copies)


@coverage.misconception(
    "You returned the share that is never asked for; the share that is asked for is 1 minus that.",
    name="never-asked",
)
def _(rate, epochs, copies):
    return (1 - rate) ** (epochs if copies is None else min(epochs, copies))


@coverage.also_correct
def _(rate, epochs, copies):
    covered = 0.0
    for epoch in range(epochs):
        if copies is None or epoch < copies:
            covered += rate * (1 - covered)
    return covered


@coverage.also_correct
def _(rate, epochs, copies):
    used = torch.tensor([epochs, epochs if copies is None else copies]).min()
    return -torch.expm1(used * torch.log1p(torch.tensor(-rate, dtype=torch.float64)))


# ------------------------------------------------------------------------------------------------- mask_tokens


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "What has to be decided for each position, and which of these decisions are independent of each other?",
        "One uniform number chooses a position, a second one says what happens to it, and a random id is drawn for "
        "each position, whether it is needed or not.",
        "All draws and all conditions have the shape of ids, (B, T); special is (S,).",
        "`torch.isin(ids, special)` marks special tokens; `torch.where(condition, a, b)` puts the cases together; "
        "`torch.rand(ids.shape, generator=generator)` draws.",
    ),
)
def mask_tokens(ids, special, mask_id, vocabulary, rate, generator):
    """Return a batch with new noise, and the labels of the tokens that the model has to name.

    Each token that is not special is chosen with probability rate, independently. A chosen token becomes

    | with probability | |
    |---|---|
    | 80 % | `mask_id` |
    | 10 % | any id from 0 to vocabulary − 1, all with equal probability |
    | 10 % | itself |

    - ids (B, T): long; it stays as it is.
    - special (S,): long, the ids that are never chosen.
    - generator: makes all randomness.
    - Returns (noisy, labels), long, (B, T): a label is the original token where it was chosen, else -100.
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
        for what, found, share in (
            ("mask_id", (noisy == mask_id)[chosen], 0.8 + 0.1 / vocabulary),
            ("itself", (noisy == ids)[chosen], 0.1 + 0.1 / vocabulary),
            ("another id", ((noisy != ids) & (noisy != mask_id))[chosen], 0.1 * (1 - 2 / vocabulary)),
        ):
            spread, found = 5 * (count * share * (1 - share)) ** 0.5, int(found.sum())
            assert abs(found - share * count) < spread, (
                f"about {share * count:.0f} of {count} chosen tokens should be {what}, got {found}"
            )
        others = noisy[chosen & (noisy != ids) & (noisy != mask_id)].bincount(minlength=vocabulary).double()
        for i in range(vocabulary):
            if i != mask_id:
                share = 0.1 * count / vocabulary * (1.0 if i in (0, 5) else 1 - 1 / len(usual))
                assert abs(float(others[i]) - share) < 6 * share**0.5 + 1, (
                    f"id {i} should replace about {share:.0f} tokens, as any id from 0 to {vocabulary - 1} may come, "
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
    "You drew a second time among the tokens that were left, with 0.1; only 2 % of the chosen tokens then become "
    "random. The shares 80, 10 and 10 % are all of the chosen tokens.",
    name="tenth-of-the-rest",
)
def _(ids, special, mask_id, vocabulary, rate, generator):
    chosen = (torch.rand(ids.shape, generator=generator) < rate) & ~torch.isin(ids, special)
    masked = chosen & (torch.rand(ids.shape, generator=generator) < 0.8)
    random = chosen & ~masked & (torch.rand(ids.shape, generator=generator) < 0.1)
    word = torch.randint(vocabulary, ids.shape, generator=generator)
    return torch.where(masked, mask_id, torch.where(random, word, ids)), ids.masked_fill(~chosen, -100)


@mask_tokens.misconception(
    "You drew from a generator of your own with a fixed seed, so that every call makes the same mask: that is static "
    "masking. Draw from the generator that you are given.",
    name="same-mask-each-call",
)
def _(ids, special, mask_id, vocabulary, rate, generator):
    return mask_tokens(ids, special, mask_id, vocabulary, rate, torch.Generator().manual_seed(0))


@mask_tokens.misconception(
    "You returned all of ids as labels; where a token was not chosen the label is -100, or the loss counts tokens that "
    "the model can copy.",
    name="labels-everywhere",
)
def _(ids, special, mask_id, vocabulary, rate, generator):
    return mask_tokens(ids, special, mask_id, vocabulary, rate, generator)[0], ids.clone()


@mask_tokens.misconception(
    "You chose special tokens too; separators and padding are never hidden, because there is nothing to learn there.",
    name="special-chosen",
)
def _(ids, special, mask_id, vocabulary, rate, generator):
    return mask_tokens(ids, special[:0], mask_id, vocabulary, rate, generator)


@mask_tokens.misconception(
    "You labelled only the tokens that look different; the chosen tokens that stay as they are count in the loss, too.",
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


# ------------------------------------------------------------------------------------------------ static_masks


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=2,
    kind="write",
    hints=(
        "When is the noise drawn: while the data are prepared, or when an epoch begins?",
        "Draw all versions first and keep them in a list; each epoch then takes one of them.",
        "With 3 copies, epochs 0, 1, 2, 3, 4 get the versions 0, 1, 2, 0, 1; each is a pair of tensors (N, T).",
        "`[noise(rows, generator) for _ in range(copies)]` draws the versions; the remainder `epoch % copies` says "
        "which one an epoch takes.",
    ),
)
def static_masks(rows, copies, epochs, noise, generator):
    """Return the data of each epoch under static masking, as BERT prepared them.

    - rows (N, T): long.
    - copies: how many versions are drawn beforehand, 1 or more. Draw all, even if there are fewer epochs.
    - noise(rows, generator): returns (noisy, labels), newly drawn at each call.
    - Returns a list with one pair (noisy, labels) for each of the epochs: version 0, version 1, …, and after the last
      version again from the first.
    """
    ### BEGIN SOLUTION
    versions = [noise(rows, generator) for _ in range(copies)]
    return [versions[epoch % copies] for epoch in range(epochs)]
    ### END SOLUTION


@static_masks.test("repeats its masks after the last copy", points=1)
def _(static_masks):
    rows, calls = torch.tensor([[1, 2, 3], [4, 5, 6]]), []

    def noise(some, generator):
        calls.append(1)
        return some + 10 * torch.randint(100, some.shape, generator=generator), some.clone()

    data = static_masks(rows, 3, 8, noise, torch.Generator().manual_seed(1))
    assert len(calls) == 3, f"3 copies are drawn, got {len(calls)} calls of noise"
    again = torch.Generator().manual_seed(1)
    versions = [noise(rows, again) for _ in range(3)]
    expected = [versions[number] for number in (0, 1, 2, 0, 1, 2, 0, 1)]
    assert len(data) == 8, f"8 epochs have 8 pairs, got {len(data)}"
    for epoch, (found, right) in enumerate(zip(data, expected, strict=True)):
        assert_close(found[0], right[0], message=f"the inputs of epoch {epoch}")
        assert_close(found[1], right[1], message=f"the labels of epoch {epoch}")


@static_masks.hidden("gives the versions as they were drawn, for few and for many epochs", points=2)
def _(static_masks, rng):
    for copies, epochs, shape in ((4, 11, (3, 5)), (1, 4, (2, 7)), (7, 3, (5, 3)), (5, 10, (1, 6))):
        rows, calls = torch.randint(9, shape, generator=rng), []
        before, seed = rows.clone(), int(torch.randint(10**6, (), generator=rng))

        def noise(some, generator, calls=calls):
            calls.append(some)
            labels = some.masked_fill(torch.rand(some.shape, generator=generator) < 0.5, -100)
            return torch.randint(1000, some.shape, generator=generator), labels

        data = list(static_masks(rows, copies, epochs, noise, torch.Generator().manual_seed(seed)))
        assert len(calls) == copies, f"noise must be called {copies} times, was called {len(calls)} times"
        assert all(torch.equal(one, before) for one in calls), "every version is drawn from the rows as they came"
        again = torch.Generator().manual_seed(seed)
        versions = [noise(before, again) for _ in range(copies)]
        assert len(data) == epochs, f"{epochs} epochs have {epochs} pairs, got {len(data)}"
        for epoch, (noisy, labels) in enumerate(data):
            right = versions[epoch % copies]
            assert_close(noisy, right[0], message=f"epoch {epoch} with {copies} copies: the inputs")
            assert_close(labels, right[1], message=f"epoch {epoch} with {copies} copies: the labels")


@static_masks.misconception(
    "You drew the noise anew for each epoch; that is dynamic masking. Draw `copies` versions, and use them again.",
    name="drawn-in-each-epoch",
)
def _(rows, copies, epochs, noise, generator):
    return [noise(rows, generator) for _ in range(epochs)]


@static_masks.misconception(
    "You drew one version and used it for all epochs; the rows are masked `copies` times, in different ways.",
    name="one-version",
)
def _(rows, copies, epochs, noise, generator):
    return [noise(rows, generator)] * epochs


@static_masks.misconception(
    "You kept a version for several epochs before you went on to the next; the epochs take the versions in turn.",
    name="divided-by-copies",
)
def _(rows, copies, epochs, noise, generator):
    versions = [noise(rows, generator) for _ in range(copies)]
    return [versions[epoch // copies % copies] for epoch in range(epochs)]


@static_masks.misconception(
    "You stayed with the last version; after it, the epochs begin again with version 0.",
    name="stays-with-the-last",
)
def _(rows, copies, epochs, noise, generator):
    versions = [noise(rows, generator) for _ in range(copies)]
    return [versions[min(epoch, copies - 1)] for epoch in range(epochs)]


@static_masks.also_correct
def _(rows, copies, epochs, noise, generator):
    versions = {}
    for number in range(copies):
        versions[number] = noise(rows.clone(), generator)
    data, number = [], 0
    while len(data) < epochs:
        data.append(versions[number])
        number = number + 1 if number + 1 < copies else 0
    return data


@static_masks.also_correct
def _(rows, copies, epochs, noise, generator):
    return list(islice(cycle([noise(rows, generator) for _ in range(copies)]), epochs))


# -------------------------------------------------------------------------------------------------------- pack


@exercise(
    points=5,
    minutes=18,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "What must still fit into a row when you add a sentence: the sentence alone?",
        "Keep one open row. For each sentence, either it fits with its separators, or the row is closed and a new one "
        "begins. Do not forget the row that is open at the end.",
        "An open row has cls and sentences; closed, it has one sep more, and then pad up to length; all rows together "
        "are (N, length).",
        "`row + [pad] * (length - len(row))` fills a row up; `torch.tensor(rows)` makes the result.",
    ),
)
def pack(documents, length, cls, sep, pad):
    """Return the inputs of FULL-SENTENCES: sentences in order, each row filled with as many as fit.

    A row is cls, whole sentences, sep, and pad up to length. Where a document ends inside a row, one more sep comes
    between its last sentence and the next document's first. A sentence that does not fit, with the separators it
    needs, begins the next row.

    - documents: one or more lists of one or more sentences; a sentence is a list of 1 to length − 2 ids.
    - Returns long (N, length).
    """
    ### BEGIN SOLUTION
    rows, row = [], [cls]
    for document in documents:
        for number, sentence in enumerate(document):
            border = [sep] if number == 0 and len(row) > 1 else []
            if len(row + border) + len(sentence) + 1 > length:
                rows.append([*row, sep])
                row, border = [cls], []
            row = row + border + list(sentence)
    rows.append([*row, sep])
    return torch.tensor([row + [pad] * (length - len(row)) for row in rows])
    ### END SOLUTION


pack.equivalent("row = row + border + (sentence)", "a sentence is a list, as the statement says")


@pack.test("fills a row across a border of documents", points=1)
def _(pack):
    documents = [[[11, 12], [13, 14, 15]], [[21, 22], [23]], [[31, 32, 33, 34, 35, 36]]]
    expected = [[1, 11, 12, 13, 14, 15, 2, 21, 22, 23, 2], [1, 31, 32, 33, 34, 35, 36, 2, 0, 0, 0]]
    assert_close(pack(documents, 11, 1, 2, 0), torch.tensor(expected))
    expected = [
        [1, 11, 12, 13, 14, 15, 2, 0, 0],
        [1, 21, 22, 23, 2, 0, 0, 0, 0],
        [1, 31, 32, 33, 34, 35, 36, 2, 0],
    ]
    assert_close(pack(documents, 9, 1, 2, 0), torch.tensor(expected))
    expected = [[1, 11, 12, 13, 14, 15, 2, 21, 22, 2], [1, 23, 2, 31, 32, 33, 34, 35, 36, 2]]
    assert_close(pack(documents, 10, 1, 2, 0), torch.tensor(expected))


@pack.hidden("packs every sentence once, whole, in order, and as tightly as it can", points=3)
def _(pack, rng):
    for length, longest, cls, sep, pad in ((8, 6, 9, 8, 7), (9, 7, 5, 0, 3), (12, 6, 1, 2, 0), (17, 5, 0, 7, 1)):
        documents, word = [], 100
        for _ in range(9):
            document = []
            for size in torch.randint(1, longest + 1, (int(torch.randint(1, 7, (), generator=rng)),), generator=rng):
                document.append(list(range(word, word + int(size))))
                word += int(size)
            documents.append(document)
        flat = [(d, sentence) for d, document in enumerate(documents) for sentence in document]
        rows, first = [], 0
        while first < len(flat):
            last, best = first, []
            while last < len(flat):  # the longest run of sentences that still fits, tried from scratch each time
                run = [cls]
                for i in range(first, last + 1):
                    run += [sep] if i > first and flat[i][0] != flat[i - 1][0] else []
                    run += flat[i][1]
                if len(run) + 1 > length:
                    break
                best, last = [*run, sep], last + 1
            rows.append(best + [pad] * (length - len(best)))
            first = last
        found = pack([[list(s) for s in document] for document in documents], length, cls, sep, pad)
        assert isinstance(found, torch.Tensor), f"a tensor is expected, got {type(found).__name__}"
        assert found.dtype == torch.long, f"the rows must be long, got {found.dtype}"
        assert_close(found, torch.tensor(rows), message=f"length {length}, cls {cls}, sep {sep}, pad {pad}")


@pack.hidden("counts separators when a sentence just fits, and leaves the documents as they are", points=1)
def _(pack):
    for spare in (3, 2, 1, 0):
        documents = [[[11, 12, 13], [14, 15]], [[21, 22]]]
        length = 1 + 5 + 1 + spare + 1
        found = pack(documents, length, 1, 2, 0)
        if spare < 2:
            expected = [[1, 11, 12, 13, 14, 15, 2] + [0] * (spare + 1), [1, 21, 22, 2] + [0] * (length - 4)]
        else:
            expected = [[1, 11, 12, 13, 14, 15, 2, 21, 22, 2] + [0] * (length - 10)]
        assert_close(found, torch.tensor(expected), message=f"two documents of 5 and 2 ids in rows of {length}")
        assert documents == [[[11, 12, 13], [14, 15]], [[21, 22]]], "the documents must stay as they are"
    assert_close(pack([[[5, 6]]], 4, 1, 2, 0), torch.tensor([[1, 5, 6, 2]]), message="one sentence that just fits")
    twins = pack([[[5]], [[5]]], 5, 1, 2, 0)
    assert_close(twins, torch.tensor([[1, 5, 2, 5, 2]]), message="two documents with the same text")


@pack.misconception(
    "You began a new row for each document; that is the paper's DOC-SENTENCES, whose rows are shorter. Here a row goes "
    "on into the next document.",
    name="row-for-each-document",
)
def _(documents, length, cls, sep, pad):
    return torch.cat([pack([document], length, cls, sep, pad) for document in documents])


@pack.misconception(
    "You joined documents without a separator; an extra sep tells the model that another text begins.",
    name="no-border",
)
def _(documents, length, cls, sep, pad):
    return pack([[sentence for document in documents for sentence in document]], length, cls, sep, pad)


@pack.misconception(
    "You put a separator after each sentence; only where the document ends inside a row is there one more sep.",
    name="separator-after-each-sentence",
)
def _(documents, length, cls, sep, pad):
    return pack([[sentence] for document in documents for sentence in document], length, cls, sep, pad)


@pack.misconception(
    "You cut the text wherever a row was full; FULL-SENTENCES keeps sentences whole and moves one that does not fit to "
    "the next row.",
    name="cut-sentences",
)
def _(documents, length, cls, sep, pad):
    flat = []
    for number, document in enumerate(documents):
        flat += ([sep] if number else []) + [token for sentence in document for token in sentence]
    pieces = [flat[at : at + length - 2] for at in range(0, len(flat), length - 2)]
    return torch.tensor([[cls, *piece, sep] + [pad] * (length - 2 - len(piece)) for piece in pieces])


@pack.misconception(
    "You left out the last row, which was still open when the documents ended; close it and keep it.",
    name="last-row-lost",
)
def _(documents, length, cls, sep, pad):
    return pack(documents, length, cls, sep, pad)[:-1]


@pack.misconception(
    "You made a row for each sentence; then most of a row is padding. Go on as long as the next sentence fits.",
    name="row-for-each-sentence",
)
def _(documents, length, cls, sep, pad):
    return torch.cat([pack([[sentence]], length, cls, sep, pad) for document in documents for sentence in document])


@pack.also_correct
def _(documents, length, cls, sep, pad):
    pieces = [(number == 0, sentence) for document in documents for number, sentence in enumerate(document)]
    groups, room = [], 0
    for begins, sentence in pieces:
        cost = len(sentence) + (1 if begins and groups else 0)
        if groups and cost <= room:
            groups[-1].append((begins, sentence))
            room -= cost
        else:
            groups.append([(False, sentence)])
            room = length - 2 - len(sentence)
    out = torch.full((len(groups), length), pad)
    for number, group in enumerate(groups):
        tokens = [cls]
        for begins, sentence in group:
            tokens.extend([sep] * begins)
            tokens.extend(sentence)
        tokens.append(sep)
        out[number, : len(tokens)] = torch.tensor(tokens)
    return out


@pack.also_correct
def _(documents, length, cls, sep, pad):
    def close(row):
        row = [*row, sep]
        while len(row) < length:
            row.append(pad)
        return row

    def follow(row, rest):
        while rest:
            (begins, sentence), rest = rest[0], rest[1:]
            longer = row + [sep] * (begins and len(row) > 1) + list(sentence)
            if len(longer) < length:
                row = longer
            else:
                return [close(row), *follow([cls, *sentence], rest)]
        return [close(row)]

    pieces = [(number == 0, sentence) for document in documents for number, sentence in enumerate(document)]
    return torch.LongTensor(follow([cls], pieces))


# ------------------------------------------------------------------------------------------------ position_ids


@exercise(
    points=3,
    minutes=7,
    level="core",
    importance=1,
    kind="write",
    hints=(
        "Which number does the third real token of a row get, and does it matter where the padding is?",
        "Count the real tokens from the left up to each position; then give padding its own number.",
        "ids, the mask of real tokens, their counts and the result are all (B, T).",
        "`real.long().cumsum(1)` counts; `torch.where(real, counts + pad, pad)` puts both cases together.",
    ),
)
def position_ids(ids, pad):
    """Return the rows of RoBERTa's position table for each token.

    The real tokens of a row are numbered from the left, beginning with pad + 1. Padding has the number pad, so that it
    shares one row of the table, and is not counted.

    - ids (B, T): long. Padding may be anywhere in a row.
    - pad: the id of the padding token, 0 or more.
    - Returns long (B, T).
    """
    ### BEGIN SOLUTION
    real = (ids != pad).long()
    return real.cumsum(1) * real + pad
    ### END SOLUTION


position_ids.equivalent("real = (ids != pad)", "cumsum makes long of bool, and long times bool is long")


@position_ids.test("numbers real tokens from pad + 1 on", points=1)
def _(position_ids):
    found = position_ids(torch.tensor([[0, 7, 8, 2, 1], [0, 9, 2, 1, 1]]), 1)
    assert_close(found, torch.tensor([[2, 3, 4, 5, 1], [2, 3, 4, 1, 1]]))


@position_ids.hidden("skips padding wherever it is", points=2)
def _(position_ids, rng):
    for batch, length, pad in ((4, 7, 3), (3, 5, 0), (5, 9, 6), (2, 6, 1)):
        ids = torch.randint(8, (batch, length), generator=rng)
        ids[0, :2], ids[1, -2:], ids[1, 1] = pad, pad, pad
        before = ids.clone()
        expected = torch.full_like(ids, pad)
        for row in range(batch):
            places = [at for at in range(length) if int(ids[row, at]) != pad]
            expected[row, places] = torch.arange(pad + 1, pad + 1 + len(places))
        found = position_ids(ids, pad)
        assert isinstance(found, torch.Tensor), f"a tensor is expected, got {type(found).__name__}"
        assert found.dtype == torch.long, f"positions must be long to index a table, got {found.dtype}"
        assert_close(found, expected, message=f"padding {pad} on the left, on the right and inside")
        assert torch.equal(ids, before), "the argument ids must stay as it is"


@position_ids.misconception(
    "You numbered from 0, as BERT does; RoBERTa begins at pad + 1, which is 2 in the published models.",
    name="from-zero",
)
def _(ids, pad):
    return torch.arange(ids.shape[1]).expand(ids.shape)


@position_ids.misconception(
    "You began at pad; that number belongs to padding, and the first real token has pad + 1.",
    name="begins-at-pad",
)
def _(ids, pad):
    real = (ids != pad).long()
    return (real.cumsum(1) - 1) * real + pad


@position_ids.misconception(
    "You numbered the places of the row, padding included; only real tokens are counted.",
    name="counted-padding",
)
def _(ids, pad):
    return torch.where(ids != pad, torch.arange(ids.shape[1]) + pad + 1, pad)


@position_ids.misconception(
    "You gave padding the count of the tokens before it; it has the number pad, the same for all padding.",
    name="padding-keeps-counting",
)
def _(ids, pad):
    return (ids != pad).long().cumsum(1) + pad


@position_ids.also_correct
def _(ids, pad):
    out = torch.empty_like(ids)
    for row, tokens in enumerate(ids.tolist()):
        following = pad
        for at, token in enumerate(tokens):
            following += token != pad
            out[row, at] = following if token != pad else pad
    return out


@position_ids.also_correct
def _(ids, pad):
    real = ids.ne(pad)
    lower = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.long).triu()
    return (real.long() @ lower).add(pad).masked_fill(real.logical_not(), pad)


# -------------------------------------------------------------------------------------------------- accumulate


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    kind="find the bug",
    hints=(
        "Two parts have 1 and 9 chosen tokens. How much does each token count in this version?",
        "Divide the sum of all losses by one number that is known before the first part is run.",
        "The number of chosen tokens is a property of labels (B, T), not of a part (micro, T).",
        '`F.cross_entropy(..., ignore_index=-100, reduction="sum")` adds up; `int((labels != -100).sum())` counts.',
    ),
)
def accumulate(model, inputs, labels, micro):
    """Add the gradient of a big batch's loss to `.grad`, `micro` rows at a time, and return the loss. Find the bug:

    ```python
    def accumulate(model, inputs, labels, micro):
        parts = list(zip(inputs.split(micro), labels.split(micro)))
        total = 0.0
        for some, wanted in parts:
            logits = model(some).flatten(0, 1)
            loss = F.cross_entropy(logits, wanted.flatten(), ignore_index=-100) / len(parts)
            loss.backward()
            total += loss.item()
        return total
    ```

    The loss is the mean over all chosen tokens of the whole batch, whatever micro is.

    - model(rows): logits (b, T, V).
    - inputs, labels (B, T): long; a label is -100 where nothing was chosen. At least one token is chosen.
    - micro: from 1 to B. A part goes forward and backward before the next one begins.
    - Returns a number.
    """
    ### BEGIN SOLUTION
    chosen = int((labels != -100).sum())
    total = 0.0
    for some, wanted in zip(inputs.split(micro), labels.split(micro), strict=True):
        logits = model(some).flatten(0, 1)
        loss = F.cross_entropy(logits, wanted.flatten(), ignore_index=-100, reduction="sum") / chosen
        loss.backward()
        total += loss.item()
    return total
    ### END SOLUTION


accumulate.equivalent(
    "for some, wanted in zip(inputs.split(micro), labels.split(micro), strict=False):",
    "inputs and labels have the same number of rows",
)
accumulate.equivalent(
    'loss = F.cross_entropy(logits, wanted.flatten(), reduction="sum") / chosen', "-100 is ignored by default"
)


@accumulate.test("gives two uneven parts the gradient of the whole", points=1)
def _(accumulate):
    table = drawn(lambda: nn.Embedding(5, 5), torch.Generator().manual_seed(3), scale=1.0)
    inputs = torch.tensor([[0, 1, 2], [3, 4, 0], [1, 1, 3]])
    labels = torch.tensor([[1, 2, 3], [-100, 0, -100], [4, 4, -100]])
    whole = F.cross_entropy(table(inputs).flatten(0, 1), labels.flatten(), ignore_index=-100)
    (expected,) = torch.autograd.grad(whole, table.weight)
    found = accumulate(table, inputs, labels, 2)
    assert_close(float(found), whole.item(), rtol=1e-4, message="the mean loss of the 6 chosen tokens")
    assert_close(table.weight.grad, expected, rtol=1e-4, atol=1e-6, message="the gradient of that mean")


@accumulate.hidden("agrees with the whole batch for every size of the parts", points=2)
def _(accumulate, rng):
    for batch, length, words in ((7, 5, 9), (5, 6, 4)):
        model = drawn(lambda words=words: nn.Sequential(nn.Embedding(words, 6), nn.Linear(6, words)), rng, scale=1.0)
        model = model.double()
        inputs = torch.randint(words, (batch, length), generator=rng)
        labels = torch.randint(words, (batch, length), generator=rng)
        share = torch.linspace(0.1, 0.9, batch)[:, None]  # rows with few and with many chosen tokens
        labels = labels.masked_fill(torch.rand(batch, length, generator=rng) > share, -100)
        labels[1] = -100  # a row in which nothing was chosen
        labels[-1, 0], labels[-1, -1] = 0, words - 1
        logits = model(inputs)
        terms = [
            logits[b, t].logsumexp(0) - logits[b, t, labels[b, t]]
            for b in range(batch)
            for t in range(length)
            if int(labels[b, t]) >= 0
        ]
        whole = sum(terms) / len(terms)
        expected = torch.autograd.grad(whole, list(model.parameters()))
        for micro in (2, 1, 3, batch):
            model.zero_grad()
            found = accumulate(model, inputs, labels, micro)
            assert_close(float(found), whole.item(), rtol=1e-6, message=f"the loss, {micro} of {batch} rows at a time")
            for parameter, right in zip(model.parameters(), expected, strict=True):
                assert parameter.grad is not None, "gradients must be added to `.grad`"
                what = f"the gradient, {micro} of {batch} rows at a time"
                assert_close(parameter.grad, right, rtol=1e-6, atol=1e-9, message=what)


@accumulate.hidden("runs the parts one after the other, and adds to the gradient that is there", points=1)
def _(accumulate, rng):
    model = drawn(lambda: nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 6)), rng, scale=1.0).double()
    inputs = torch.randint(6, (5, 3), generator=rng)
    labels = torch.randint(6, (5, 3), generator=rng)
    sizes, known = [], []

    def watch(module, arguments):
        sizes.append(len(arguments[0]))
        known.append(model[1].bias.grad.clone())

    start = [torch.randn(p.shape, generator=rng, dtype=torch.float64) for p in model.parameters()]
    for parameter, before in zip(model.parameters(), start, strict=True):
        parameter.grad = before.clone()
    handle = model.register_forward_pre_hook(watch)
    accumulate(model, inputs, labels, 2)
    handle.remove()
    assert sizes == [2, 2, 1], f"5 rows, 2 at a time, are parts of 2, 2 and 1 rows, got {sizes}"
    assert not torch.equal(known[0], known[1]), "run a part backward before the next one forward, to free its memory"
    assert not torch.equal(known[1], known[2]), "run a part backward before the next one forward, to free its memory"
    loss = F.cross_entropy(model(inputs).flatten(0, 1), labels.flatten())
    right = torch.autograd.grad(loss, list(model.parameters()))
    for parameter, before, one in zip(model.parameters(), start, right, strict=True):
        assert_close(parameter.grad, before + one, rtol=1e-6, atol=1e-9, message="what `.grad` held, plus the gradient")


@accumulate.misconception(
    "You averaged the means of the parts; a chosen token then counts more in a part with few of them. Divide by the "
    "number of chosen tokens of the whole batch.",
    name="mean-of-means",
)
def _(model, inputs, labels, micro):
    parts = list(zip(inputs.split(micro), labels.split(micro), strict=True))
    total = 0.0
    for some, wanted in parts:
        if (wanted != -100).any():
            loss = F.cross_entropy(model(some).flatten(0, 1), wanted.flatten(), ignore_index=-100) / len(parts)
            loss.backward()
            total += loss.item()
    return total


@accumulate.misconception(
    "You averaged over the rows; the loss is the mean over the chosen tokens, of which rows have different numbers.",
    name="divided-by-rows",
)
def _(model, inputs, labels, micro):
    total = 0.0
    for some, wanted in zip(inputs.split(micro), labels.split(micro), strict=True):
        logits = model(some).flatten(0, 1)
        loss = F.cross_entropy(logits, wanted.flatten(), ignore_index=-100, reduction="sum") / len(inputs)
        loss.backward()
        total += loss.item()
    return total


@accumulate.misconception(
    "You added up the means of the parts without dividing, so that the gradient grows with the number of parts.",
    name="sum-of-means",
)
def _(model, inputs, labels, micro):
    total = 0.0
    for some, wanted in zip(inputs.split(micro), labels.split(micro), strict=True):
        if (wanted != -100).any():
            loss = F.cross_entropy(model(some).flatten(0, 1), wanted.flatten(), ignore_index=-100)
            loss.backward()
            total += loss.item()
    return total


@accumulate.misconception(
    "You counted every token, chosen or not; labels of -100 are no terms of the loss.",
    name="divided-by-all-tokens",
)
def _(model, inputs, labels, micro):
    total = 0.0
    for some, wanted in zip(inputs.split(micro), labels.split(micro), strict=True):
        logits = model(some).flatten(0, 1)
        loss = F.cross_entropy(logits, wanted.flatten(), ignore_index=-100, reduction="sum") / labels.numel()
        loss.backward()
        total += loss.item()
    return total


@accumulate.also_correct
def _(model, inputs, labels, micro):
    chosen = (labels >= 0).sum()
    total = 0.0
    for start in range(0, len(inputs), micro):
        wanted = labels[start : start + micro]
        scores = model(inputs[start : start + micro]).log_softmax(-1)
        right = scores.gather(-1, wanted.clamp(min=0)[..., None]).squeeze(-1)
        loss = -(right * (wanted >= 0)).sum() / chosen
        loss.backward()
        total = total + loss.detach()
    return float(total)


@accumulate.also_correct
def _(model, inputs, labels, micro):
    weights = [float((part != -100).sum()) for part in labels.split(micro)]
    losses = []
    for some, wanted, weight in zip(inputs.split(micro), labels.split(micro), weights, strict=True):
        logits = model(some)
        if weight:
            mean = F.cross_entropy(logits.transpose(1, 2), wanted, ignore_index=-100)
            (mean * weight / sum(weights)).backward()
            losses.append(mean.item() * weight)
    return sum(losses) / sum(weights)


# ---------------------------------------------------------------------------------------------------- pretrain


@exercise(
    points=6,
    minutes=30,
    level="integrative",
    importance=3,
    kind="write",
    hints=(
        "What happens once, what in each epoch, and what in each update?",
        "Outside: two groups of parameters and one optimiser. In an epoch: ask for the data, draw an order, cut it "
        "into batches. In an update: set the rate, clear the gradients, accumulate, step, note the loss.",
        "The order is a vector of N row numbers; a batch is `batch` of them; the loss of an update is one float.",
        "`torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), eps=1e-6)`; `for group in optimizer.param_groups: "
        "group['lr'] = ...`; `for rows in order.split(batch): ... inputs[rows]`; stop at `len(losses) == updates`.",
    ),
)
def pretrain(model, data, updates, batch, micro, lr, generator):
    """Train a model in place with RoBERTa's recipe, and return the loss of each update, as `accumulate` finds it.

    | setting | value |
    |---|---|
    | order | `torch.randperm(N, generator=generator)`, drawn once an epoch; cut into batches, the last may be smaller |
    | gradient of a batch | `accumulate`, micro rows at a time |
    | AdamW | betas 0.9 and 0.98, eps 1e-6, gradients not clipped |
    | weight decay | 0.01 for parameters of two axes or more, else 0 |
    | learning rate of update n = 1 … U | lr · min(n / w, (U + 1 − n) / (U + 1 − w)), where w = max(1, U // 10) |

    - data(epoch): inputs and labels (N, T), for epoch 0, 1, 2, …; call it once an epoch.
    - updates: U, when to stop, perhaps inside an epoch.
    """
    ### BEGIN SOLUTION
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), eps=1e-6)
    warm = max(1, updates // 10)
    losses, epoch = [], 0
    while len(losses) < updates:
        inputs, labels = data(epoch)
        order = torch.randperm(len(inputs), generator=generator)
        for rows in order.split(batch)[: updates - len(losses)]:
            n = len(losses) + 1
            for group in optimizer.param_groups:
                group["lr"] = lr * min(n / warm, (updates + 1 - n) / (updates + 1 - warm))
            optimizer.zero_grad()
            losses.append(float(accumulate(model, inputs[rows], labels[rows], micro)))
            optimizer.step()
        epoch += 1
    return losses
    ### END SOLUTION


pretrain.equivalent(
    "optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6)", "the loop sets the rate before each update"
)


pretrain.equivalent(
    "losses.append((accumulate(model, inputs[rows], labels[rows], micro)))", "accumulate returns a float already"
)


@pretrain.test("learns which token goes with which, epoch by epoch", points=1)
def _(pretrain):
    generator = torch.Generator().manual_seed(5)
    model = drawn(lambda: nn.Sequential(nn.Embedding(7, 9), nn.Linear(9, 7)), generator, scale=0.3)
    ids = torch.randint(7, (10, 8), generator=generator)
    epochs = []

    def data(epoch):
        epochs.append(epoch)
        return ids, (3 * ids + 1) % 7  # each token has one answer

    losses = pretrain(model, data, 50, 4, 3, 0.1, torch.Generator().manual_seed(1))
    assert len(losses) == 50, f"50 updates give 50 losses, got {len(losses)}"
    assert epochs == list(range(17)), (
        f"10 rows in batches of 4 are 3 updates an epoch, so 50 updates ask for epochs 0 to 16 once each, got {epochs}"
    )
    assert losses[-1] < 0.2, f"after 50 updates the loss of this simple task should be below 0.2, got {losses[-1]:.2f}"


@pretrain.hidden("follows AdamW with warm-up and decay, update by update", points=4)
def _(pretrain, rng):
    for updates, rows, batch, micro, lr in ((29, 7, 3, 2, 0.05), (40, 5, 5, 1, 0.02), (7, 6, 4, 9, 0.1)):
        parts = (lambda: nn.Embedding(9, 6)), (lambda: nn.LayerNorm(6)), (lambda: nn.Linear(6, 9))
        model = nn.Sequential(*(drawn(part, rng, scale=1.0) for part in parts)).double()
        all_ids = torch.randint(9, (rows, 5), generator=rng)
        seed = int(torch.randint(10**6, (), generator=rng))

        def data(epoch, all_ids=all_ids):
            inputs = (all_ids + epoch) % 9
            labels = torch.where((inputs + epoch) % 3 == 1, (inputs * inputs) % 9, -100)
            return inputs, labels.index_fill(1, torch.tensor([0]), 4)

        values, expected = [p.detach().clone() for p in model.parameters()], []
        means, squares = ([torch.zeros_like(p) for p in values] for _ in range(2))
        again, epoch, left = torch.Generator().manual_seed(seed), 0, []
        for n in range(1, updates + 1):  # AdamW, written out
            if not left:
                inputs, labels = data(epoch)
                left, epoch = torch.randperm(rows, generator=again).tolist(), epoch + 1
            now, left = left[:batch], left[batch:]
            leaves = [p.clone().requires_grad_() for p in values]
            hidden = F.layer_norm(F.embedding(inputs[now], leaves[0]), (6,), leaves[1], leaves[2], model[1].eps)
            logits = (hidden @ leaves[3].T + leaves[4]).flatten(0, 1)
            loss = F.cross_entropy(logits, labels[now].flatten(), ignore_index=-100)
            grads = torch.autograd.grad(loss, leaves)
            warm = max(1, updates // 10)
            rate = lr * n / warm if n <= warm else lr * (updates + 1 - n) / (updates + 1 - warm)
            for i, g in enumerate(grads):
                means[i], squares[i] = 0.9 * means[i] + 0.1 * g, 0.98 * squares[i] + 0.02 * g * g
                step = means[i] / (1 - 0.9**n) / ((squares[i] / (1 - 0.98**n)).sqrt() + 1e-6)
                values[i] = values[i] * (1 - rate * 0.01 * (i in (0, 3))) - rate * step
            expected.append(loss.item())
        losses = pretrain(model, data, updates, batch, micro, lr, torch.Generator().manual_seed(seed))
        found = [float(loss) for loss in losses]
        assert len(found) == updates, f"{updates} updates give {updates} losses, got {len(found)}"
        for n, (one, right) in enumerate(zip(found, expected, strict=True), 1):
            assert abs(one - right) <= 1e-4 * (1 + abs(right)), (
                f"the loss of update {n} of {updates} (lr {lr}, {rows} rows, batch {batch}) should be {right:.5f}, "
                f"got {one:.5f}"
            )
        names = ("embedding", "norm's scale", "norm's shift", "matrix", "bias")
        for name, parameter, right in zip(names, model.parameters(), values, strict=True):
            what = f"the {name} after {updates} updates"
            assert_close(parameter.detach(), right, rtol=1e-4, atol=1e-5, message=what)


@pretrain.hidden("shrinks the rows of tokens that never come, and runs micro rows at a time", points=1)
def _(pretrain, rng):
    for updates, lr in ((29, 0.5), (44, 0.2)):
        net = drawn(lambda: nn.Sequential(nn.Embedding(8, 4), nn.Linear(4, 8)).double(), rng, scale=1.0)
        unused = net[0].weight[5:].detach().clone()
        ids = torch.randint(5, (6, 4), generator=rng)
        sizes = []
        handle = net.register_forward_pre_hook(lambda _, arguments, sizes=sizes: sizes.append(len(arguments[0])))
        pretrain(net, lambda _, ids=ids: (ids, ids), updates, 5, 2, lr, rng)
        handle.remove()
        rounds = updates // 2
        assert sorted(sizes) == sorted([2, 2, 1, 1] * rounds + [2, 2, 1] * (updates % 2)), (
            "6 rows in batches of 5, 2 at a time, are parts of 2, 2 and 1 rows and then one of 1 row, in each epoch"
        )
        warm, left = updates // 10, 1.0
        for n in range(1, updates + 1):
            left *= 1 - 0.01 * lr * min(n / warm, (updates + 1 - n) / (updates + 1 - warm))
        what = f"in {updates} updates at lr {lr} weight decay alone should leave {left:.4f} of an unused row"
        assert_close(net[0].weight[5:].detach(), left * unused, rtol=1e-5, atol=1e-7, message=what)


@pretrain.misconception(
    "You did not clear the gradients between the updates; `accumulate` adds to what is there, so each update repeats "
    "all earlier ones.",
    name="gradients-add-up",
)
def _(model, data, updates, batch, micro, lr, generator):
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": 0.01},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), eps=1e-6)
    warm, losses, epoch = max(1, updates // 10), [], 0
    while len(losses) < updates:
        inputs, labels = data(epoch)
        for rows in torch.randperm(len(inputs), generator=generator).split(batch)[: updates - len(losses)]:
            n = len(losses) + 1
            for group in optimizer.param_groups:
                group["lr"] = lr * min(n / warm, (updates + 1 - n) / (updates + 1 - warm))
            losses.append(accumulate(model, inputs[rows], labels[rows], micro))
            optimizer.step()
        epoch += 1
    return losses


@pretrain.misconception(
    "You kept the optimiser's default beta2 of 0.999; RoBERTa has 0.98, so that the second moment follows faster.",
    name="default-betas",
)
def _(model, data, updates, batch, micro, lr, generator):
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": 0.01},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=lr, eps=1e-6)
    warm, losses, epoch = max(1, updates // 10), [], 0
    while len(losses) < updates:
        inputs, labels = data(epoch)
        for rows in torch.randperm(len(inputs), generator=generator).split(batch)[: updates - len(losses)]:
            n = len(losses) + 1
            for group in optimizer.param_groups:
                group["lr"] = lr * min(n / warm, (updates + 1 - n) / (updates + 1 - warm))
            optimizer.zero_grad()
            losses.append(accumulate(model, inputs[rows], labels[rows], micro))
            optimizer.step()
        epoch += 1
    return losses


@pretrain.misconception(
    "You made an update for each part of `micro` rows; the parts of a batch share one update, which is the reason to "
    "accumulate.",
    name="update-for-each-part",
)
def _(model, data, updates, batch, micro, lr, generator):
    return pretrain(model, data, updates, min(micro, batch), micro, lr, generator)


@pretrain.misconception(
    "You kept the learning rate at `lr`; it rises in the first tenth of the updates and falls from there.",
    name="constant-rate",
)
def _(model, data, updates, batch, micro, lr, generator):
    groups = [
        {"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": 0.01},
        {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98), eps=1e-6)
    losses, epoch = [], 0
    while len(losses) < updates:
        inputs, labels = data(epoch)
        for rows in torch.randperm(len(inputs), generator=generator).split(batch)[: updates - len(losses)]:
            optimizer.zero_grad()
            losses.append(accumulate(model, inputs[rows], labels[rows], micro))
            optimizer.step()
        epoch += 1
    return losses


@pretrain.misconception(
    "You asked for the data of epoch 0 alone; then every epoch has the same masks. Ask for each epoch's data.",
    name="data-of-epoch-zero",
)
def _(model, data, updates, batch, micro, lr, generator):
    first = data(0)
    return pretrain(model, lambda epoch: first, updates, batch, micro, lr, generator)


@pretrain.misconception(
    "You decayed every parameter; biases and the scales and shifts of norms have a weight decay of 0.",
    name="everything-decays",
)
def _(model, data, updates, batch, micro, lr, generator):
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01)
    warm, losses, epoch = max(1, updates // 10), [], 0
    while len(losses) < updates:
        inputs, labels = data(epoch)
        for rows in torch.randperm(len(inputs), generator=generator).split(batch)[: updates - len(losses)]:
            n = len(losses) + 1
            optimizer.param_groups[0]["lr"] = lr * min(n / warm, (updates + 1 - n) / (updates + 1 - warm))
            optimizer.zero_grad()
            losses.append(accumulate(model, inputs[rows], labels[rows], micro))
            optimizer.step()
        epoch += 1
    return losses


@pretrain.also_correct
def _(model, data, updates, batch, micro, lr, generator):
    decayed = [{"params": [p], "weight_decay": 0.01 * (p.ndim > 1)} for p in model.parameters()]
    optimizer = torch.optim.AdamW(decayed, lr=lr, betas=(0.9, 0.98), eps=1e-6)
    warm = max(1, updates // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: min((done + 1) / warm, (updates - done) / (updates + 1 - warm))
    )

    def batches():
        epoch = 0
        while True:
            inputs, labels = data(epoch)
            order = torch.randperm(inputs.shape[0], generator=generator)
            for start in range(0, len(order), batch):
                rows = order[start : start + batch]
                yield inputs[rows], labels[rows]
            epoch += 1

    losses = []
    for inputs, labels in islice(batches(), updates):
        losses.append(accumulate(model, inputs, labels, micro))
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    return losses


# ---------------------------------------------------------------------------------------------------------- bpe


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=2,
    kind="write",
    hints=(
        "What are the first ids, before any merge, and how many of them can there be?",
        "Find the neighbouring pair whose merge has the lowest number, put its new id wherever the pair occurs, and "
        "look again.",
        "The ids are a list that becomes shorter; merges is a list of pairs, whose place in the list is their number.",
        '`list(text.encode("utf-8"))` are the bytes; `{pair: number for number, pair in enumerate(merges)}` finds a '
        "pair's number.",
    ),
)
def bpe(text, merges):
    """Return the ids of a text in byte-level byte-pair encoding.

    Begin with the bytes of the text in UTF-8, ids 0 to 255. Of all pairs of neighbours, take the one whose merge has
    the lowest number k, and replace it by the id 256 + k wherever it occurs, from left to right. Go on until no merge
    applies.

    - text: any string, the empty one too.
    - merges: a list of pairs of ids. Merge number k uses ids below 256 + k.
    - Returns a list of integers.
    """
    ### BEGIN SOLUTION
    number = {tuple(pair): k for k, pair in enumerate(merges)}
    ids = list(text.encode("utf-8"))
    while True:
        known = [number[pair] for pair in pairwise(ids) if pair in number]
        if not known:
            return ids
        best, merged, at = min(known), [], 0
        while at < len(ids):
            found = tuple(ids[at : at + 2]) == tuple(merges[best])
            merged.append(256 + best if found else ids[at])
            at += 2 if found else 1
        ids = merged
    ### END SOLUTION


bpe.equivalent('ids = (text.encode("utf-8"))', "bytes are read as a list of numbers is")
bpe.equivalent("ids = (text.encode())", "bytes are read as a list of numbers is")


@bpe.test("merges in the order of the numbers, and knows every character", points=1)
def _(bpe):
    # 256 = "bc", 257 = "ab", 258 = "abc", 259 = "yz", 260 = "xy" and 261 = "zq"
    merges = [(98, 99), (97, 98), (97, 256), (121, 122), (120, 121), (122, 113)]
    assert_close(list(bpe("yzqzq", merges)), [259, 113, 261], message='"yzqzq" is "yz", "q" and "zq"')
    assert_close(list(bpe("abcxyz", merges)), [258, 120, 259], message='"abcxyz" is "abc", "x" and "yz"')
    assert_close(list(bpe("xy", merges)), [260], message='"xy" is one token')
    assert_close(list(bpe("é", merges)), [195, 169], message="the two bytes of é, which no merge joins")


@bpe.hidden("agrees with the merges applied one after the other, and loses nothing", points=2)
def _(bpe, rng):
    letters = "abcab é€🙂"
    merges = [(98, 99), (97, 98), (97, 256), (121, 122), (120, 121)]
    found = [int(i) for i in bpe("xyzabc🙂", merges)]
    assert found == [120, 259, 258, 240, 159, 153, 130], f'"xyzabc🙂" is "x", "yz", "abc" and four bytes, got {found}'
    for count, size in ((14, 30), (40, 60), (3, 12)):
        merges, symbols = [], sorted(set("".join(letters).encode()))
        spelled = {i: bytes([i]) for i in range(256)}
        while len(merges) < count:
            pair = tuple(symbols[int(torch.randint(len(symbols), (), generator=rng))] for _ in range(2))
            if pair not in merges:
                spelled[256 + len(merges)] = spelled[pair[0]] + spelled[pair[1]]
                symbols.append(256 + len(merges))
                merges.append(pair)
        for _ in range(5):
            text = "".join(letters[i] for i in torch.randint(len(letters), (size,), generator=rng).tolist())
            expected = list(text.encode())
            for k, (left, right) in enumerate(merges):
                at = 0
                while at < len(expected) - 1:
                    if expected[at] == left and expected[at + 1] == right:
                        expected[at : at + 2] = [256 + k]
                    at += 1
            found = [int(i) for i in bpe(text, merges)]
            assert b"".join(spelled.get(i, b"?") for i in found).decode(errors="replace") == text, (
                "the ids must spell the text again, byte by byte"
            )
            assert found == expected, f"{text!r} with {count} merges should be {expected}, got {found}"


@bpe.hidden("copes with repeats, with nothing to merge, and with an empty text", points=1)
def _(bpe):
    merges = [(97, 97), (256, 256), (98, 256), (98, 99), (97, 98), (97, 259), (121, 122), (120, 121), (122, 113)]
    before = list(merges)
    for text, expected in (
        ("yzqzq", [262, 113, 264]),
        ("abcxyzé", [261, 120, 262, 195, 169]),
        ("aaaaa", [257, 97]),
        ("baab", [258, 98]),
        ("baaaa", [98, 257]),
        ("PqR", [80, 113, 82]),
        ("e\u0301", [101, 204, 129]),
        ("", []),
    ):
        found = [int(i) for i in bpe(text, merges)]
        assert found == expected, f"{text!r} should be {expected}, got {found}"
    assert [int(i) for i in bpe("né", [])] == [110, 195, 169], "without merges the ids are the bytes"
    assert merges == before, "merges must stay as it is"


@bpe.misconception(
    "You began with the code points of the characters; there are more than a million of them. Begin with the bytes of "
    "UTF-8, of which there are 256.",
    name="code-points",
)
def _(text, merges):
    ids = [ord(character) for character in text]
    for k, (left, right) in enumerate(merges):
        at = 0
        while at < len(ids) - 1:
            if (ids[at], ids[at + 1]) == (left, right):
                ids[at : at + 2] = [256 + k]
            at += 1
    return ids


@bpe.misconception(
    "You merged the first pair from the left that has a merge; of all pairs in the text, the merge of the lowest "
    "number comes first.",
    name="leftmost-pair-first",
)
def _(text, merges):
    number, ids = {tuple(pair): k for k, pair in enumerate(merges)}, list(text.encode())
    at = 0
    while at < len(ids) - 1:
        pair = (ids[at], ids[at + 1])
        if pair in number:
            ids[at : at + 2] = [256 + number[pair]]
            at = 0
        else:
            at += 1
    return ids


@bpe.misconception(
    "You took the longest token that the text begins with, again and again, as WordPiece does; BPE replays its merges "
    "in their order.",
    name="longest-token-first",
)
def _(text, merges):
    spelled = {bytes([i]): i for i in range(256)}
    names = {i: bytes([i]) for i in range(256)}
    for k, (left, right) in enumerate(merges):
        names[256 + k] = names[left] + names[right]
        spelled.setdefault(names[256 + k], 256 + k)
    rest, ids = text.encode(), []
    while rest:
        piece = next(rest[:size] for size in range(len(rest), 0, -1) if rest[:size] in spelled)
        ids.append(spelled[piece])
        rest = rest[len(piece) :]
    return ids


@bpe.misconception(
    "You merged pairs of bytes only once; a new token can be merged again, so go on until no merge applies.",
    name="one-round",
)
def _(text, merges):
    return bpe(text, merges[:1])


@bpe.misconception(
    "You replaced characters outside of ASCII by a question mark; with bytes no character is unknown.",
    name="unknown-character",
)
def _(text, merges):
    return bpe(text.encode("ascii", "replace").decode(), merges)


@bpe.also_correct
def _(text, merges):
    ids = list(text.encode())
    for k, pair in enumerate(merges):
        out = []
        while ids:
            if tuple(ids[:2]) == tuple(pair):
                out.append(256 + k)
                ids = ids[2:]
            else:
                out.append(ids[0])
                ids = ids[1:]
        ids = out
    return ids


@bpe.also_correct
def _(text, merges):
    def merged(ids):
        options = [merges.index(pair) for pair in pairwise(ids) if pair in merges]
        if not options:
            return ids
        left, right = merges[min(options)]
        out = []
        for one in ids:
            if out and out[-1] == left and one == right:
                out[-1] = 256 + min(options)
            else:
                out.append(one)
        return merged(tuple(out))

    return list(merged(tuple(text.encode())))
