from collections import Counter

import torch
from studium import assert_close, exercise

from studium_topics.llm_evaluation_metrics.surface import grams


@exercise(
    points=4,
    minutes=18,
    importance=3,
    hints=(
        "A hypothesis repeats one word seven times, and the reference contains it twice. How many of the seven are "
        "right?",
        "Each n-gram counts as often as it occurs in the hypothesis, but no more often than in the one reference that "
        "contains it most often.",
        "First the two lengths, then a pair for each n: the clipped matches, and all n-grams of the hypothesis.",
        "For Counters, `a | b` keeps the larger of two counts and `a & b` the smaller, and `.total()` adds them up; "
        "`grams(hyp, n)` makes one.",
    ),
    mutates_args=(),
)
def bleu_counts(hyp, refs, max_n):
    """Return what BLEU counts in one hypothesis.

    * hyp: a list of tokens, possibly empty
    * refs: one or more reference translations, each a list of tokens
    * max_n: the longest n-grams, 1 or more
    * returns: a list of 2 + 2 max_n whole numbers

    The first two are the length of hyp and the length of the reference closest to it in length,
    the shorter one on a tie. Then, for n = 1, 2, …, max_n, come the number of matched n-grams,
    clipped, and the number of all n-grams of hyp.

    `grams(tokens, n)` returns a Counter of the n-grams of a list.
    """
    ### BEGIN SOLUTION
    nearest = min((len(ref) for ref in refs), key=lambda length: (abs(length - len(hyp)), length))
    counts = [len(hyp), nearest]
    for n in range(1, max_n + 1):
        allowed = Counter()
        for ref in refs:
            allowed |= grams(ref, n)
        mine = grams(hyp, n)
        counts += [(mine & allowed).total(), mine.total()]
    return counts
    ### END SOLUTION


@bleu_counts.test("clips a repeated word, with two references", points=1)
def _(bleu_counts):
    hyp = list("TCTCOTTMTT")  # the cat the cat on the the mat the the
    refs = [list("TCIOTM"), list("RIACOTMNTCBTD")]  # …; there is a cat on the mat near the cat by the door
    found = [float(count) for count in bleu_counts(hyp, refs, 2)]
    # T: 3 of 6 as in the second reference, C: 2, O and M: 1; the pairs: T C, C O, O T, T M
    assert_close(found, [10.0, 13.0, 7.0, 10.0, 4.0, 9.0], message="lengths, then matches and totals for n = 1 and 2")


@bleu_counts.hidden("counts as a search through all stretches does, for any number of references", points=2)
def _(bleu_counts, rng):
    def stretches(tokens, n):
        return [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]

    def sentence(low, high):
        length = int(torch.randint(low, high, (), generator=rng))
        return ["abcd"[i] for i in torch.randint(4, (length,), generator=rng).tolist()]

    for number, (references, max_n) in enumerate(((3, 4), (1, 4), (2, 3), (4, 2), (2, 5), (3, 1), (2, 4), (3, 4))):
        hyp, refs = sentence(6, 14), [sentence(5, 16) for _ in range(references)]
        kept = [list(tokens) for tokens in (hyp, *refs)]
        found = [float(count) for count in bleu_counts(hyp, refs, max_n)]
        assert [hyp, *refs] == kept, "hyp and refs must stay as they are"
        assert len(found) == 2 + 2 * max_n, f"max_n = {max_n} needs {2 + 2 * max_n} numbers, got {len(found)}"
        distance = min(abs(len(ref) - len(hyp)) for ref in refs)
        expected = [len(hyp), min(len(ref) for ref in refs if abs(len(ref) - len(hyp)) == distance)]
        for n in range(1, max_n + 1):
            mine = stretches(hyp, n)
            most = {gram: max(stretches(ref, n).count(gram) for ref in refs) for gram in mine}
            expected += [sum(min(mine.count(gram), most[gram]) for gram in set(mine)), len(mine)]
        assert_close(found, [float(count) for count in expected], message=f"case {number}, {references} references")


@bleu_counts.hidden("takes the shorter reference on a tie, and texts with fewer than n tokens", points=1)
def _(bleu_counts):
    words = list("abcdefgh")
    cases = (
        (words[:5], [words[:7], words[:3]], 2, [5, 3, 5, 5, 4, 4]),
        (words[:5], [words[:3], words[:7], words[:8]], 1, [5, 3, 5, 5]),
        (words[:6], [words[:2], words[:7]], 1, [6, 7, 6, 6]),
        (words[:2], [words[:4]], 4, [2, 4, 2, 2, 1, 1, 0, 0, 0, 0]),
        (words[:4], [words[:2]], 3, [4, 2, 2, 4, 1, 3, 0, 2]),
        ([], [words[:4], words[:2]], 2, [0, 2, 0, 0, 0, 0]),
    )
    for hyp, refs, max_n, expected in cases:
        found = [float(count) for count in bleu_counts(hyp, refs, max_n)]
        what = f"{len(hyp)} tokens against references of {', '.join(str(len(ref)) for ref in refs)}"
        assert_close(found, [float(count) for count in expected], message=what)


@bleu_counts.misconception(
    "You did not clip the counts. Every n-gram that some reference contains then counts as often as the hypothesis "
    "repeats it, and “the the the” would be perfect.",
    name="did-not-clip",
)
def _(hyp, refs, max_n):
    counts = [len(hyp), min((len(ref) for ref in refs), key=lambda length: (abs(length - len(hyp)), length))]
    for n in range(1, max_n + 1):
        known, mine = {gram for ref in refs for gram in grams(ref, n)}, grams(hyp, n)
        counts += [sum(count for gram, count in mine.items() if gram in known), mine.total()]
    return counts


@bleu_counts.misconception(
    "You added up the counts of the references before clipping; clip by the one reference that contains the n-gram "
    "most often.",
    name="summed-the-references",
)
def _(hyp, refs, max_n):
    counts = [len(hyp), min((len(ref) for ref in refs), key=lambda length: (abs(length - len(hyp)), length))]
    for n in range(1, max_n + 1):
        mine = grams(hyp, n)
        counts += [(mine & sum((grams(ref, n) for ref in refs), Counter())).total(), mine.total()]
    return counts


@bleu_counts.misconception(
    "You took all matches from the one reference that shares the most. Clip each n-gram by the reference that "
    "contains it most often; these may be different references.",
    name="one-reference-for-all",
)
def _(hyp, refs, max_n):
    counts = [len(hyp), min((len(ref) for ref in refs), key=lambda length: (abs(length - len(hyp)), length))]
    for n in range(1, max_n + 1):
        counts += [max((grams(hyp, n) & grams(ref, n)).total() for ref in refs), grams(hyp, n).total()]
    return counts


@bleu_counts.misconception(
    "You compared only with the first reference; a match with any reference counts.", name="first-reference-alone"
)
def _(hyp, refs, max_n):
    counts = [len(hyp), min((len(ref) for ref in refs), key=lambda length: (abs(length - len(hyp)), length))]
    for n in range(1, max_n + 1):
        counts += [(grams(hyp, n) & grams(refs[0], n)).total(), grams(hyp, n).total()]
    return counts


@bleu_counts.misconception(
    "You counted distinct n-grams; an n-gram that occurs twice in the hypothesis, and twice in a reference, counts "
    "twice.",
    name="different-ngrams",
)
def _(hyp, refs, max_n):
    counts = [len(hyp), min((len(ref) for ref in refs), key=lambda length: (abs(length - len(hyp)), length))]
    for n in range(1, max_n + 1):
        mine = set(grams(hyp, n))
        counts += [len(mine & {gram for ref in refs for gram in grams(ref, n)}), len(mine)]
    return counts


@bleu_counts.misconception(
    "You took the length of the shortest reference; take the one closest to the length of the hypothesis.",
    name="shortest-reference",
)
def _(hyp, refs, max_n):
    counts = [len(hyp), min(len(ref) for ref in refs)]
    for n in range(1, max_n + 1):
        allowed = Counter()
        for ref in refs:
            allowed |= grams(ref, n)
        counts += [(grams(hyp, n) & allowed).total(), grams(hyp, n).total()]
    return counts


@bleu_counts.misconception(
    "You put the n-grams of the reference into the total, which makes it a recall. BLEU is a precision, so count "
    "those of the hypothesis.",
    name="recall-totals",
)
def _(hyp, refs, max_n):
    nearest = min(refs, key=lambda ref: (abs(len(ref) - len(hyp)), len(ref)))
    counts = [len(hyp), len(nearest)]
    for n in range(1, max_n + 1):
        allowed = Counter()
        for ref in refs:
            allowed |= grams(ref, n)
        counts += [(grams(hyp, n) & allowed).total(), grams(nearest, n).total()]
    return counts


@bleu_counts.also_correct
def _(hyp, refs, max_n):
    lengths = sorted(len(ref) for ref in refs)
    found = [len(hyp), min(lengths, key=lambda length: abs(length - len(hyp)))]
    for n in range(1, max_n + 1):
        mine = Counter(tuple(hyp[i : i + n]) for i in range(len(hyp) - n + 1))
        theirs = [Counter(tuple(ref[i : i + n]) for i in range(len(ref) - n + 1)) for ref in refs]
        matched = 0
        for gram, count in mine.items():
            matched += min(count, max(counter[gram] for counter in theirs))
        found.append(matched)
        found.append(max(0, len(hyp) - n + 1))
    return found


@bleu_counts.also_correct
def _(hyp, refs, max_n):
    gaps = [(abs(len(ref) - len(hyp)), len(ref)) for ref in refs]
    pairs = []
    for n in range(1, max_n + 1):
        left = [grams(ref, n) for ref in refs]
        mine = grams(hyp, n)
        pairs.append((sum(max(min(mine[gram], one[gram]) for one in left) for gram in mine), sum(mine.values())))
    return torch.tensor([len(hyp), min(gaps)[1], *(number for pair in pairs for number in pair)])


bleu_counts.equivalent(
    "mine = Counter(tuple(hyp[i : i + n]) for i in range(len(hyp) + 1))", "shorter stretches match no n-gram"
)
