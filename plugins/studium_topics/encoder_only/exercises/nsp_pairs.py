from itertools import pairwise

import torch
from studium import exercise


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=1,
    kind="write",
    hints=(
        "Which sentences have a successor, and where may the wrong second sentence come from?",
        "The first draw tosses the coin, the second chooses another document, and the third chooses a sentence in it.",
        "The other documents are d + 1 to d + n − 1, modulo n. A pair has len(A) + 2 zeros and len(B) + 1 ones.",
        "`int(torch.randint(n, (), generator=generator))` is a number from 0 to n − 1; `pairwise(document)` gives all "
        "pairs of neighbours.",
    ),
)
def nsp_pairs(docs, generator, cls, sep):
    """Return the pairs for next sentence prediction: a list of (ids, segments, label).

    Every sentence A that has a next sentence in its document makes one pair, in order. Its label is 0 or 1, each with
    probability 1/2:

    | label | B |
    |---|---|
    | 0 | the next sentence |
    | 1 | any sentence of any other document: first choose the document, then the sentence, with equal probabilities |

    - docs: at least 2 documents, each a list of at least 1 sentence; a sentence is a list of ids.
    - generator: provides all the randomness.
    - ids: [cls, *A, sep, *B, sep]; segments: 0 up to and including the first sep, then 1.
    """

    ### BEGIN SOLUTION
    def draw(below):
        return int(torch.randint(below, (), generator=generator))

    pairs = []
    for number, document in enumerate(docs):
        for first, following in pairwise(document):
            label, second = draw(2), following
            if label:
                other = docs[(number + 1 + draw(len(docs) - 1)) % len(docs)]
                second = other[draw(len(other))]
            ids = [cls, *first, sep, *second, sep]
            pairs.append((ids, [0] * (len(first) + 2) + [1] * (len(second) + 1), label))
    return pairs
    ### END SOLUTION


@nsp_pairs.test("packs two sentences with their segments", points=1)
def _(nsp_pairs):
    docs = [[[11, 12], [13]], [[21, 22, 23]]]
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        pairs = list(nsp_pairs(docs, generator, 1, 2))
        assert len(pairs) == 1, f"only sentence [11, 12] has a next one, so 1 pair is expected, got {len(pairs)}"
        ids, segments, label = pairs[0]
        ids, segments, label = [int(i) for i in ids], [int(s) for s in segments], int(label)
        expected = [1, 11, 12, 2, 21, 22, 23, 2] if label else [1, 11, 12, 2, 13, 2]
        assert ids == expected, f"label {label} (0 means IsNext) goes with the ids {expected}, got {ids}"
        wanted = [0, 0, 0, 0] + [1] * (len(ids) - 4)
        assert segments == wanted, f"the first [SEP] belongs to segment 0: expected {wanted}, got {segments}"


@nsp_pairs.hidden("takes negatives from every sentence of every other document, and from no other place", points=2)
def _(nsp_pairs, rng):
    sizes = (4, 1, 5, 2)
    docs = [
        [[100 * d + 10 * s + 1000 + w for w in range(1 + (d + s) % 3)] for s in range(size)]
        for d, size in enumerate(sizes)
    ]
    first_pairs = [(d, s) for d, size in enumerate(sizes) for s in range(size - 1)]
    negatives = {}
    for _ in range(150):
        pairs = list(nsp_pairs(docs, rng, 7, 8))
        assert len(pairs) == len(first_pairs), (
            f"expected {len(first_pairs)} pairs, one for each neighbour, got {len(pairs)}"
        )
        for (d, s), (ids, segments, label) in zip(first_pairs, pairs, strict=True):
            a, ids, segments = docs[d][s], [int(i) for i in ids], [int(i) for i in segments]
            head = [7, *a, 8]
            assert ids[: len(head)] == head, f"expected [CLS] A [SEP] = {head} in front, got {ids}"
            assert ids[-1] == 8, f"B must end with [SEP], got {ids}"
            b = ids[len(head) : -1]
            expected = [0] * len(head) + [1] * (len(b) + 1)
            assert segments == expected, f"expected segments {expected} for {ids}, got {segments}"
            assert int(label) in (0, 1), f"a label is 0 or 1, got {label}"
            if not label:
                assert b == docs[d][s + 1], f"label 0 means IsNext: {docs[d][s + 1]} follows {a}, got {b}"
            else:
                place = next(((x, y) for x, doc in enumerate(docs) for y, one in enumerate(doc) if one == b), None)
                assert place, f"B must be a whole sentence of docs, got {b}"
                assert place[0] != d, f"label 1 (NotNext) needs a sentence of another document, got {b} of the same one"
                negatives.setdefault(d, []).append(place)
    for d, places in negatives.items():
        for other, size in enumerate(sizes):
            for s in range(size if other != d else 0):
                share, found = 1 / 3 / size, places.count((other, s))
                spread = 6 * (len(places) * share * (1 - share)) ** 0.5
                assert abs(found - len(places) * share) <= spread + 1, (
                    f"sentence {s} of document {other} should be drawn for document {d} about "
                    f"{len(places) * share:.0f} times in {len(places)}, came {found} times"
                )


@nsp_pairs.hidden("tosses a fair coin with the generator that it is given", points=1)
def _(nsp_pairs, rng):
    docs = [[[100 * d + s] for s in range(21)] for d in range(1, 61)]
    seed = int(torch.randint(10**6, (), generator=rng))
    one, two, three = (nsp_pairs(docs, torch.Generator().manual_seed(s), 0, 1) for s in (seed, seed, seed + 1))
    assert [list(map(int, p[0])) for p in one] == [list(map(int, p[0])) for p in two], (
        "the same seed must give the same pairs: take all randomness from the generator"
    )
    assert [list(map(int, p[0])) for p in one] != [list(map(int, p[0])) for p in three], (
        "another seed must give other pairs: take the randomness from the generator"
    )
    labels, others = ([int(p[2]) for p in pairs] for pairs in (one, three))
    assert abs(sum(labels) - 600) <= 87, (  # 5 sigma
        f"about 600 of 1200 pairs should be NotNext (label 1), got {sum(labels)}"
    )
    assert labels != others, "another seed must give other labels: toss the coin with the generator"
    alike = sum(len(set(labels[i : i + 20])) == 1 for i in range(0, 1200, 20))
    assert alike <= 3, f"toss the coin anew for each pair: in {alike} of 60 documents all 20 labels are the same"


@nsp_pairs.misconception(
    "You drew the wrong sentence from the same document; draw it from another one, or it might even be the right "
    "sentence.",
    name="negative-from-same-document",
)
def _(docs, generator, cls, sep):
    pairs = []
    for document in docs:
        for first, following in pairwise(document):
            label, second = int(torch.randint(2, (), generator=generator)), following
            if label:
                second = document[int(torch.randint(len(document), (), generator=generator))]
            ids = [cls, *first, sep, *second, sep]
            pairs.append((ids, [0] * (len(first) + 2) + [1] * (len(second) + 1), label))
    return pairs


@nsp_pairs.misconception(
    "You swapped the labels; in BERT's code 0 is IsNext and 1 is NotNext, which is easy to mix up because 1 feels "
    "like yes.",
    name="labels-swapped",
)
def _(docs, generator, cls, sep):
    return [(ids, segments, 1 - label) for ids, segments, label in nsp_pairs(docs, generator, cls, sep)]


@nsp_pairs.misconception(
    "You put the first [SEP] in segment 1; it closes the first sentence, so it belongs to segment 0.",
    name="first-separator",
)
def _(docs, generator, cls, sep):
    pairs = nsp_pairs(docs, generator, cls, sep)
    return [(i, [0] * i.index(sep) + [1] * (len(i) - i.index(sep)), label) for i, _, label in pairs]


@nsp_pairs.misconception(
    "You left out the last [SEP]; BERT's input is [CLS] A [SEP] B [SEP].",
    name="no-last-separator",
)
def _(docs, generator, cls, sep):
    return [(ids[:-1], segments[:-1], label) for ids, segments, label in nsp_pairs(docs, generator, cls, sep)]


@nsp_pairs.misconception(
    "You drew the wrong sentence from all the documents, including the one that A comes from; leave that one out, or "
    "some pairs labelled NotNext come from a single document.",
    name="negative-from-any-document",
)
def _(docs, generator, cls, sep):
    pairs = []
    for document in docs:
        for first, following in pairwise(document):
            label, second = int(torch.randint(2, (), generator=generator)), following
            if label:
                other = docs[int(torch.randint(len(docs), (), generator=generator))]
                second = other[int(torch.randint(len(other), (), generator=generator))]
            ids = [cls, *first, sep, *second, sep]
            pairs.append((ids, [0] * (len(first) + 2) + [1] * (len(second) + 1), label))
    return pairs


@nsp_pairs.also_correct
def _(docs, generator, cls, sep):
    pairs = []
    for number in range(len(docs)):
        others = [doc for index, doc in enumerate(docs) if index != number]
        for place in range(len(docs[number]) - 1):
            first = list(docs[number][place])
            if torch.rand((), generator=generator).item() < 0.5:
                second, label = docs[number][place + 1], 0
            else:
                other = others[torch.randperm(len(others), generator=generator)[0].item()]
                second, label = other[torch.randperm(len(other), generator=generator)[0].item()], 1
            segments = [0 for _ in range(len(first) + 2)] + [1 for _ in range(len(second) + 1)]
            pairs.append(([cls, *first, sep, *second, sep], segments, label))
    return pairs
