import copy
from itertools import pairwise

import torch
from studium import exercise


@exercise(
    points=4,
    minutes=10,
    level="core",
    importance=3,
    kind="find the bug",
    shows="segments-travel",
    hints=(
        "Print the pairs of one document. From which column can you tell the label without reading the words?",
        "A segment tells which of the two places a token is in: the first or the second.",
        "Segments are 0 for [CLS], the first sentence and its [SEP], and 1 for the rest, whatever the label.",
        "Decide the order first and number the places afterwards: `for segment, sentence in enumerate(...)`.",
    ),
)
def sop_pairs(docs, generator, cls, sep):
    """Return the pairs of sentence-order prediction, a list of (ids, segments, label).

    Find the bug: a model trained on the pairs from the code below is always right after a few steps, yet it has learned
    nothing about order.

    - docs: lists of sentences; a sentence is a list of ids. They stay as they are.
    - Label 0: in order. 1: swapped. Each has probability 1/2, drawn anew for each pair from `generator`.
    """
    ### BEGIN SOLUTION
    pairs = []
    for document in docs:
        for first, second in pairwise(document):
            places = [first, second]
            label = int(torch.randint(2, (), generator=generator))
            if label:
                places.reverse()
            ids, segments = [cls], [0]
            for segment, sentence in enumerate(places):
                ids += [*sentence, sep]
                segments += [segment] * (len(sentence) + 1)
            pairs.append((ids, segments, label))
    return pairs
    ### END SOLUTION


@sop_pairs.test("numbers the places and not the sentences", points=1)
def _(sop_pairs):
    generator = torch.Generator().manual_seed(0)
    for _ in range(12):
        pairs = list(sop_pairs([[[11, 12], [13, 14, 15, 16]]], generator, 1, 2))
        assert len(pairs) == 1, f"two sentences make one pair, got {len(pairs)}"
        ids, segments, label = pairs[0]
        ids, segments, label = [int(i) for i in ids], [int(s) for s in segments], int(label)
        expected = [1, 13, 14, 15, 16, 2, 11, 12, 2] if label else [1, 11, 12, 2, 13, 14, 15, 16, 2]
        assert ids == expected, f"label {label} (1 means swapped) goes with the ids {expected}, got {ids}"
        head = 6 if label else 4
        wanted = [0] * head + [1] * (9 - head)
        assert segments == wanted, f"for the ids {ids} the segments are {wanted}, got {segments}"


@sop_pairs.hidden("pairs all neighbours of a document in order, and no others", points=2)
def _(sop_pairs, rng):
    for sizes in ((4, 1, 5, 2), (2, 3), (1, 6, 1)):
        docs = [
            [[1000 + 100 * d + 10 * s + w for w in range(1 + (2 * d + s) % 4)] for s in range(size)]
            for d, size in enumerate(sizes)
        ]
        keep = copy.deepcopy(docs)
        neighbours = [(document[s], document[s + 1]) for document in docs for s in range(len(document) - 1)]
        for _ in range(6):
            pairs = list(sop_pairs(docs, rng, 7, 8))
            assert docs == keep, "`docs` must stay as it is"
            assert len(pairs) == len(neighbours), f"expected {len(neighbours)} pairs, got {len(pairs)}"
            for (first, second), (ids, segments, label) in zip(neighbours, pairs, strict=True):
                ids, segments, label = [int(i) for i in ids], [int(s) for s in segments], int(label)
                assert label in (0, 1), f"a label is 0 or 1, got {label}"
                a, b = (second, first) if label else (first, second)
                expected = [7, *a, 8, *b, 8]
                assert ids == expected, f"label {label} of the neighbours {first}, {second}: {expected}, got {ids}"
                wanted = [0] * (len(a) + 2) + [1] * (len(b) + 1)
                assert segments == wanted, f"for the ids {ids} the segments are {wanted}, got {segments}"


@sop_pairs.hidden("tosses a fair coin for each pair, with the generator that it is given", points=1)
def _(sop_pairs, rng):
    docs = [[[100 * d + s] for s in range(21)] for d in range(1, 61)]
    seed = int(torch.randint(10**6, (), generator=rng))
    one, two, three = (
        [int(pair[2]) for pair in sop_pairs(docs, torch.Generator().manual_seed(s), 0, 1)]
        for s in (seed, seed, seed + 1)
    )
    assert one == two, "the same seed must give the same labels: take all randomness from the generator"
    assert one != three, "another seed must give other labels: take the randomness from the generator"
    assert abs(sum(one) - 600) <= 87, f"about 600 of 1200 pairs should be swapped (label 1), got {sum(one)}"  # 5 sigma
    alike = sum(len(set(one[i : i + 20])) == 1 for i in range(0, 1200, 20))
    assert alike <= 3, f"toss the coin anew for each pair: in {alike} of 60 documents all 20 labels are the same"
    follow = sum(a != b for a, b in pairwise(one))
    assert abs(follow - 600) <= 87, f"about 600 of 1199 labels should differ from the one before, {follow} do"
    again = torch.Generator().manual_seed(seed)
    twos = [[int(pair[2]) for pair in sop_pairs([[[7], [8], [9]]], again, 0, 1)] for _ in range(60)]
    alike = sum(first == second for first, second in twos)
    assert 10 < alike < 50, f"two labels of one document should be the same in about 30 of 60 calls, {alike} are"


@sop_pairs.misconception(
    "The bug is still there: each sentence keeps its segment when the two change places, so the segment of [CLS] "
    "gives away the label.",
    name="segments-travel",
)
def _(docs, generator, cls, sep):
    pairs = []
    for document in docs:
        for first, second in pairwise(document):
            places = [(first, 0), (second, 1)]
            label = int(torch.randint(2, (), generator=generator))
            if label:
                places.reverse()
            ids, segments = [cls], [places[0][1]]
            for sentence, segment in places:
                ids += [*sentence, sep]
                segments += [segment] * (len(sentence) + 1)
            pairs.append((ids, segments, label))
    return pairs


@sop_pairs.misconception(
    "You took the second sentence of a swapped pair from another document. That is BERT's next sentence prediction, "
    "where the topic gives away the label; here both labels use the same two sentences.",
    name="next-sentence-prediction",
)
def _(docs, generator, cls, sep):
    pairs = []
    for number, document in enumerate(docs):
        for first, second in pairwise(document):
            label = int(torch.randint(2, (), generator=generator))
            if label:
                second = docs[(number + 1) % len(docs)][0]
            pairs.append(([cls, *first, sep, *second, sep], [0] * (len(first) + 2) + [1] * (len(second) + 1), label))
    return pairs


@sop_pairs.misconception(
    "You swapped the labels; as in the library, 0 means in order and 1 means swapped.",
    name="labels-swapped",
)
def _(docs, generator, cls, sep):
    return [(ids, segments, 1 - label) for ids, segments, label in sop_pairs(docs, generator, cls, sep)]


@sop_pairs.misconception(
    "You gave every token segment 0. The label no longer leaks, but the model cannot tell the two sentences apart.",
    name="no-segments",
)
def _(docs, generator, cls, sep):
    return [(ids, [0] * len(ids), label) for ids, _, label in sop_pairs(docs, generator, cls, sep)]


@sop_pairs.misconception(
    "You split the document into pairs, 1 and 2, 3 and 4; pair each sentence with the next one, so most sentences are "
    "in two pairs.",
    name="pairs-do-not-overlap",
)
def _(docs, generator, cls, sep):
    return sop_pairs([d[i : i + 2] for d in docs for i in range(0, len(d) - 1, 2)], generator, cls, sep)


@sop_pairs.also_correct
def _(docs, generator, cls, sep):
    pairs = []
    for document in docs:
        for place in range(len(document) - 1):
            a, b = document[place], document[place + 1]
            swapped = torch.rand((), generator=generator).item() < 0.5
            if swapped:
                a, b = b, a
            head = [cls, *a, sep]
            pairs.append(([*head, *b, sep], [0] * len(head) + [1] * (len(b) + 1), int(swapped)))
    return pairs


@sop_pairs.also_correct
def _(docs, generator, cls, sep):
    neighbours = [both for document in docs for both in pairwise(document)]
    labels = torch.randint(2, (len(neighbours),), generator=generator)
    pairs = []
    for both, label in zip(neighbours, labels, strict=True):
        a, b = both[::-1] if label else both
        ids = torch.tensor([cls, *a, sep, *b, sep])
        pairs.append((ids, (torch.arange(len(ids)) >= len(a) + 2).long(), label))
    return pairs
