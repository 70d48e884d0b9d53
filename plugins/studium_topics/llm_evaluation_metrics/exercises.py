"""The exercises: bits per byte, BLEU, ranking by likelihood, pass@k, paired intervals, a harness, and calibration."""

import math
from collections import Counter

import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.llm_evaluation_metrics.items import Choice, Writing
from studium_topics.llm_evaluation_metrics.surface import grams


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=3,
    hints=(
        "Which of the two numbers changes if a tokeniser cuts the same text into half as many tokens?",
        "Both start from the total loss of all real tokens. They divide it by different counts.",
        "The total is one number. Perplexity divides by the number of real tokens, bits per byte by bytes and by ln 2.",
        "`losses[real].sum()` is the total, and `len(text.encode())` counts the bytes of one text.",
    ),
)
def perplexity_and_bits(losses, real, texts):
    """Return the perplexity per token and the bits per byte of a batch of texts.

    * losses: (B, T), −ln p of each token; at padding they may be anything, NaN too
    * real: (B, T) booleans, False at padding
    * texts: the B strings that the real tokens spell
    * returns: two numbers, the perplexity and the bits per byte

    Each is one number for the whole batch: the batch counts as one long text. Bytes are
    those of UTF-8.
    """
    ### BEGIN SOLUTION
    total = float(losses[real].sum())
    size = sum(len(text.encode()) for text in texts)
    return math.exp(total / int(real.sum())), total / math.log(2) / size
    ### END SOLUTION


@perplexity_and_bits.test("computes both of two texts of different lengths", points=1)
def _(perplexity_and_bits):
    probabilities = torch.tensor([[0.5, 0.25, 0.1, 0.2, 0.4], [0.125, 0.05, 1, 1, 1]], dtype=torch.float64)
    real = torch.tensor([[True] * 5, [True, True, False, False, False]])
    found = perplexity_and_bits(-probabilities.log(), real, ["déjà vu", "né"])
    product = 0.5 * 0.25 * 0.1 * 0.2 * 0.4 * 0.125 * 0.05
    perplexity, bits = (float(number) for number in found)
    assert_close(perplexity, product ** (-1 / 7), rtol=1e-5, message="the perplexity of 7 tokens")
    assert_close(bits, -math.log2(product) / 12, rtol=1e-5, message="the bits per byte of 9 + 3 bytes")


@perplexity_and_bits.hidden("skips padding, whatever its loss, and weighs every token the same", points=1)
def _(perplexity_and_bits, rng):
    alphabet = "aeé ßñ漢😀z"
    for rows, columns, filler in ((3, 7, 9.0), (1, 4, float("nan")), (5, 6, float("inf")), (2, 9, float("nan"))):
        losses = torch.rand(rows, columns, generator=rng, dtype=torch.float64) * 5
        lengths = torch.randint(1, columns + 1, (rows,), generator=rng).tolist()
        real = torch.arange(columns) < torch.tensor(lengths)[:, None]
        picked = torch.randint(len(alphabet), (rows, 5), generator=rng).tolist()
        texts = ["".join(alphabet[i] for i in row) + "x" * n for row, n in zip(picked, lengths, strict=True)]
        values = [losses[row, column].item() for row, n in enumerate(lengths) for column in range(n)]
        handed = torch.where(real, losses, filler)
        before = handed.clone()
        perplexity, bits = (float(number) for number in perplexity_and_bits(handed, real, texts))
        assert torch.equal(handed.nan_to_num(), before.nan_to_num()), "losses must stay as they are"
        size = len("".join(texts).encode())
        assert_close(perplexity, math.exp(math.fsum(values) / len(values)), rtol=1e-5, message="the perplexity")
        assert_close(bits, math.fsum(values) / math.log(2) / size, rtol=1e-5, message="the bits per byte")


@perplexity_and_bits.hidden("gives bits that do not care how a text is cut, and V for a uniform model", points=1)
def _(perplexity_and_bits, rng):
    losses = torch.rand(1, 8, generator=rng, dtype=torch.float64) * 4
    merged = losses.view(1, 4, 2).sum(-1)  # pairs of tokens made one: the probability of the text is the same
    text = "zwölf Bären"
    _, cut = perplexity_and_bits(losses, torch.ones(1, 8, dtype=torch.bool), [text])
    _, whole = perplexity_and_bits(merged, torch.ones(1, 4, dtype=torch.bool), [text])
    assert_close(float(cut), float(whole), rtol=1e-5, message="the bits of one text, cut into 8 or into 4 tokens")
    for size in (7, 50):
        losses = torch.full((2, 6), math.log(size), dtype=torch.float64)
        real = torch.ones(2, 6, dtype=torch.bool)
        perplexity, _ = perplexity_and_bits(losses, real, ["abcdef", "ghijkl"])
        assert_close(float(perplexity), float(size), rtol=1e-5, message=f"the perplexity where {size} tokens are equal")


@perplexity_and_bits.misconception(
    "You averaged the mean losses of the texts, so that a token in a short text counts more than one in a long text; "
    "divide the total loss by all tokens.",
    name="mean-of-means",
)
def _(losses, real, texts):
    means = torch.stack([row[mask].mean() for row, mask in zip(losses, real, strict=True)])
    total = float(losses[real].sum())
    return math.exp(float(means.mean())), total / math.log(2) / sum(len(text.encode()) for text in texts)


@perplexity_and_bits.misconception(
    "You averaged the perplexities of the texts; perplexity is the exponential of one mean over all tokens.",
    name="mean-of-perplexities",
)
def _(losses, real, texts):
    each = [math.exp(float(row[mask].mean())) for row, mask in zip(losses, real, strict=True)]
    total = float(losses[real].sum())
    return sum(each) / len(each), total / math.log(2) / sum(len(text.encode()) for text in texts)


@perplexity_and_bits.misconception(
    "You counted characters with `len(text)`; “é” is one character and two bytes.", name="characters-for-bytes"
)
def _(losses, real, texts):
    total = float(losses[real].sum())
    return math.exp(total / int(real.sum())), total / math.log(2) / sum(len(text) for text in texts)


@perplexity_and_bits.misconception(
    "You returned nats per byte; the losses are natural logarithms, and a bit is ln 2 nats.", name="nats-for-bits"
)
def _(losses, real, texts):
    total = float(losses[real].sum())
    return math.exp(total / int(real.sum())), total / sum(len(text.encode()) for text in texts)


@perplexity_and_bits.misconception(
    "You divided the bits by tokens; then they depend on how the tokeniser cuts the text. Divide them by bytes.",
    name="bits-per-token",
)
def _(losses, real, texts):
    mean = float(losses[real].mean())
    return math.exp(mean), mean / math.log(2)


@perplexity_and_bits.misconception(
    "You raised 2 to the loss in nats; a loss in nats belongs to the base e.", name="two-to-the-nats"
)
def _(losses, real, texts):
    total = float(losses[real].sum())
    return 2 ** (total / int(real.sum())), total / math.log(2) / sum(len(text.encode()) for text in texts)


@perplexity_and_bits.misconception(
    "You counted the padding as tokens, which makes the perplexity better with every pad token in the batch.",
    name="padding-as-tokens",
)
def _(losses, real, texts):
    total = float(losses[real].sum())
    return math.exp(total / real.numel()), total / math.log(2) / sum(len(text.encode()) for text in texts)


@perplexity_and_bits.also_correct
def _(losses, real, texts):
    kept = losses.masked_fill(~real, 0.0)
    mean = kept.sum() / real.sum()
    return mean.exp(), kept.sum() / math.log(2) / len("".join(texts).encode("utf-8"))


@perplexity_and_bits.also_correct
def _(losses, real, texts):
    values = [
        loss
        for row, flags in zip(losses.tolist(), real.tolist(), strict=True)
        for loss, flag in zip(row, flags, strict=True)
        if flag
    ]
    size = sum(len(bytes(text, "utf-8")) for text in texts)
    return math.exp(sum(values) / len(values)), sum(value / math.log(2) for value in values) / size


perplexity_and_bits.equivalent("total = (losses[real].sum())", "math.exp takes a tensor with one number")


@exercise(
    points=4,
    minutes=18,
    importance=3,
    hints=(
        "A hypothesis repeats one word seven times, and the reference has it twice. How many of the seven are right?",
        "Each n-gram counts as often as it occurs in the hypothesis, and no more often than in the one reference that "
        "has most of it.",
        "Two lengths first, then for each n a pair: the clipped matches, and all n-grams of the hypothesis.",
        "For Counters, `a | b` keeps the larger of two counts, `a & b` the smaller, and `.total()` adds up; "
        "`grams(hyp, n)` makes one.",
    ),
)
def bleu_counts(hyp, refs, max_n):
    """Return what BLEU counts in one hypothesis.

    * hyp: a list of tokens, perhaps empty
    * refs: one or more reference translations, each a list of tokens
    * max_n: the longest n-grams, 1 or more
    * returns: a list of 2 + 2 max_n whole numbers

    First the length of hyp and that of the reference whose length is nearest to it, the
    shorter one on a tie. Then for n = 1, 2, …, max_n the number of matched n-grams, clipped,
    and the number of all n-grams of hyp.

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
    "You did not clip: every n-gram that some reference has counts as often as the hypothesis repeats it, so that "
    "“the the the” would be perfect.",
    name="did-not-clip",
)
def _(hyp, refs, max_n):
    counts = [len(hyp), min((len(ref) for ref in refs), key=lambda length: (abs(length - len(hyp)), length))]
    for n in range(1, max_n + 1):
        known, mine = {gram for ref in refs for gram in grams(ref, n)}, grams(hyp, n)
        counts += [sum(count for gram, count in mine.items() if gram in known), mine.total()]
    return counts


@bleu_counts.misconception(
    "You added the counts of the references before clipping; an n-gram is allowed as often as in the one reference "
    "that has most of it.",
    name="summed-the-references",
)
def _(hyp, refs, max_n):
    counts = [len(hyp), min((len(ref) for ref in refs), key=lambda length: (abs(length - len(hyp)), length))]
    for n in range(1, max_n + 1):
        mine = grams(hyp, n)
        counts += [(mine & sum((grams(ref, n) for ref in refs), Counter())).total(), mine.total()]
    return counts


@bleu_counts.misconception(
    "You took all matches from the one reference that shares the most; every n-gram is clipped by the reference that "
    "has most of it, and these may be different references.",
    name="one-reference-for-all",
)
def _(hyp, refs, max_n):
    counts = [len(hyp), min((len(ref) for ref in refs), key=lambda length: (abs(length - len(hyp)), length))]
    for n in range(1, max_n + 1):
        counts += [max((grams(hyp, n) & grams(ref, n)).total() for ref in refs), grams(hyp, n).total()]
    return counts


@bleu_counts.misconception(
    "You compared with the first reference alone; a match with any of them counts.", name="first-reference-alone"
)
def _(hyp, refs, max_n):
    counts = [len(hyp), min((len(ref) for ref in refs), key=lambda length: (abs(length - len(hyp)), length))]
    for n in range(1, max_n + 1):
        counts += [(grams(hyp, n) & grams(refs[0], n)).total(), grams(hyp, n).total()]
    return counts


@bleu_counts.misconception(
    "You counted different n-grams; one that the hypothesis has twice, and a reference too, counts twice.",
    name="different-ngrams",
)
def _(hyp, refs, max_n):
    counts = [len(hyp), min((len(ref) for ref in refs), key=lambda length: (abs(length - len(hyp)), length))]
    for n in range(1, max_n + 1):
        mine = set(grams(hyp, n))
        counts += [len(mine & {gram for ref in refs for gram in grams(ref, n)}), len(mine)]
    return counts


@bleu_counts.misconception(
    "You took the shortest reference for the length; BLEU takes the one that is nearest to the hypothesis.",
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
    "You put the n-grams of the reference into the total; that is recall, and BLEU is a precision, so the total is "
    "that of the hypothesis.",
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


@exercise(
    points=3,
    minutes=10,
    importance=2,
    hints=(
        "If one of four precisions is zero, what should their mean be?",
        "Average the logarithms of the precisions, and multiply by a penalty that is 1 unless the hypotheses are "
        "shorter than the references.",
        "Entries 2, 4, 6, … are matches, entries 3, 5, 7, … totals; each log-precision has the weight 1 / N.",
        "`counts[2::2]` are the matches; the penalty is `min(1.0, math.exp(1 - r / c))`.",
    ),
)
def bleu(counts):
    """Return BLEU, from 0 to 100, of summed counts.

    counts holds 2 + 2N numbers: c, r, then for each n = 1 … N the matches mₙ and the
    totals tₙ, as `bleu_counts` returns them, added up over the hypotheses.

    BLEU = 100 · min(1, exp(1 − r / c)) · exp( (1/N) Σₙ ln(mₙ / tₙ) )

    It is 0 if any mₙ is 0.

    * counts: a list of numbers; any N from 1
    * returns: a number
    """
    ### BEGIN SOLUTION
    matches, totals = counts[2::2], counts[3::2]
    if min(matches) == 0:
        return 0.0
    mean = sum(math.log(m / t) for m, t in zip(matches, totals, strict=True)) / len(matches)
    return 100 * min(1.0, math.exp(1 - counts[1] / counts[0])) * math.exp(mean)
    ### END SOLUTION


@bleu.test("is the geometric mean of the precisions, with a penalty for a short text", points=1)
def _(bleu):
    expected = 100 * math.exp(1 - 25 / 20) * (14 / 20 * 9 / 19 * 5 / 18 * 2 / 17) ** 0.25
    found = bleu([20.0, 25.0, 14.0, 20.0, 9.0, 19.0, 5.0, 18.0, 2.0, 17.0])
    assert_close(float(found), expected, rtol=1e-6, message="c = 20, r = 25, matches 14, 9, 5, 2 of 20, 19, 18, 17")


@bleu.hidden("has any N, no reward for length, and 0 where an order has no match", points=2)
def _(bleu, rng):
    for orders, ratio in ((4, 0.7), (3, 1.4), (1, 0.8), (6, 1.05), (2, 1.0), (4, 1.3)):
        totals = (torch.rand(orders, generator=rng, dtype=torch.float64) * 50 + 20).round().tolist()
        shares = torch.rand(orders, generator=rng, dtype=torch.float64).tolist()
        matches = [float(max(1, round(t * share))) for t, share in zip(totals, shares, strict=True)]
        c = 90.0
        counts = [c, c * ratio, *(x for pair in zip(matches, totals, strict=True) for x in pair)]
        product = math.prod(m / t for m, t in zip(matches, totals, strict=True))
        expected = 100 * product ** (1 / orders) * (math.exp(1 - ratio) if ratio > 1 else 1)
        handed = list(counts)
        assert_close(float(bleu(handed)), expected, rtol=1e-6, message=f"N = {orders}, r / c = {ratio}")
        assert handed == counts, "counts must stay as they are"
        matches[-1] = 0.0
        counts = [c, c * ratio, *(x for pair in zip(matches, totals, strict=True) for x in pair)]
        assert_close(
            float(bleu(counts)), 0.0, atol=1e-9, message=f"N = {orders} without a match of the longest n-grams"
        )
    assert_close(float(bleu([0, 4, 0, 0, 0, 0])), 0.0, atol=1e-9, message="the empty hypothesis")
    assert_close(float(bleu([2, 2, 2, 2, 1, 1, 0, 0])), 0.0, atol=1e-9, message="two tokens, and N = 3")


@bleu.misconception(
    "You took the arithmetic mean of the precisions; the geometric one is used because precisions fall roughly "
    "exponentially with n.",
    name="arithmetic-mean",
)
def _(counts):
    if min(counts[2::2]) == 0:
        return 0.0
    precisions = [m / t for m, t in zip(counts[2::2], counts[3::2], strict=True)]
    return 100 * min(1.0, math.exp(1 - counts[1] / counts[0])) * sum(precisions) / len(precisions)


@bleu.misconception(
    "You multiplied the precisions without taking the N-th root; then BLEU falls with every order that is counted.",
    name="product-of-precisions",
)
def _(counts):
    if min(counts[2::2]) == 0:
        return 0.0
    product = math.prod(m / t for m, t in zip(counts[2::2], counts[3::2], strict=True))
    return 100 * min(1.0, math.exp(1 - counts[1] / counts[0])) * product


@bleu.misconception(
    "You let the brevity penalty exceed 1, so that a long hypothesis is rewarded; it is at most 1, because surplus "
    "words lower the precisions already.",
    name="rewarded-length",
)
def _(counts):
    if min(counts[2::2]) == 0:
        return 0.0
    logs = [math.log(m / t) for m, t in zip(counts[2::2], counts[3::2], strict=True)]
    return 100 * math.exp(1 - counts[1] / counts[0] + sum(logs) / len(logs))


@bleu.misconception(
    "You multiplied by c / r; the penalty for short hypotheses is exp(1 − r / c), which falls faster.",
    name="linear-penalty",
)
def _(counts):
    if min(counts[2::2]) == 0:
        return 0.0
    logs = [math.log(m / t) for m, t in zip(counts[2::2], counts[3::2], strict=True)]
    return 100 * min(1.0, counts[0] / counts[1]) * math.exp(sum(logs) / len(logs))


@bleu.misconception(
    "You divided c by r in the penalty; exp(1 − c / r) punishes long hypotheses, and the short ones go free.",
    name="inverted-penalty",
)
def _(counts):
    if min(counts[2::2]) == 0:
        return 0.0
    logs = [math.log(m / t) for m, t in zip(counts[2::2], counts[3::2], strict=True)]
    return 100 * min(1.0, math.exp(1 - counts[0] / counts[1])) * math.exp(sum(logs) / len(logs))


@bleu.misconception(
    "You left out the brevity penalty; a hypothesis of one certain word would then be perfect.", name="no-penalty"
)
def _(counts):
    if min(counts[2::2]) == 0:
        return 0.0
    logs = [math.log(m / t) for m, t in zip(counts[2::2], counts[3::2], strict=True)]
    return 100 * math.exp(sum(logs) / len(logs))


@bleu.misconception("You returned a share between 0 and 1; here BLEU goes from 0 to 100.", name="a-share")
def _(counts):
    if min(counts[2::2]) == 0:
        return 0.0
    logs = [math.log(m / t) for m, t in zip(counts[2::2], counts[3::2], strict=True)]
    return min(1.0, math.exp(1 - counts[1] / counts[0])) * math.exp(sum(logs) / len(logs))


@bleu.also_correct
def _(counts):
    c, r, *pairs = (float(count) for count in counts)
    if not all(pairs[::2]):
        return 0.0
    product = 1.0
    for match, total in zip(pairs[::2], pairs[1::2], strict=True):
        product *= match / total
    penalty = math.exp(1 - r / c) if c < r else 1.0
    return 100 * penalty * product ** (2 / len(pairs))


@bleu.also_correct
def _(counts):
    numbers = torch.as_tensor(counts, dtype=torch.float64)
    matches, totals = numbers[2:].view(-1, 2).T
    if not matches.all():
        return 0
    return 100 * (torch.clamp(1 - numbers[1] / numbers[0], max=0) + (matches / totals).log().mean()).exp()


bleu.equivalent("c, r, *pairs = ((count) for count in counts)", "the counts are numbers already")


@exercise(
    points=4,
    minutes=12,
    importance=3,
    kind="find the bug",
    hints=(
        "The logits in row 0 are computed from token 0 alone. Which token do they predict?",
        "Row t of the logits is the distribution of token t + 1. The first token of a choice is predicted by the last "
        "row of the context.",
        "For a context of C tokens and a choice of L tokens there are C + L rows, and the L rows that matter end one "
        "before the last.",
        "`logprobs[len(context) - 1 : -1]` are the rows that predict the choice.",
    ),
)
def choice_logprobs(model, context, choices):
    """Find the bug: this function should return ln p(choice | context) of each choice.

    ```python
    def choice_logprobs(model, context, choices):
        scores = []
        for choice in choices:
            ids = torch.cat([context, choice])[None]
            logprobs = model(ids)[0].log_softmax(-1)
            rows = logprobs[len(context) :]
            scores.append(rows.gather(-1, choice[:, None]).sum())
        return torch.stack(scores)
    ```

    * model: takes ids (B, T), returns logits (B, T, V), causal; row t predicts token t + 1
    * context: (C,) token numbers, C ≥ 1
    * choices: a list of tensors (Lᵢ,) of token numbers, Lᵢ ≥ 1
    * returns: a tensor with one number for each choice
    """
    ### BEGIN SOLUTION
    scores = []
    for choice in choices:
        ids = torch.cat([context, choice])[None]
        logprobs = model(ids)[0].log_softmax(-1)
        rows = logprobs[len(context) - 1 : -1]
        scores.append(rows.gather(-1, choice[:, None]).sum())
    return torch.stack(scores)
    ### END SOLUTION


@choice_logprobs.test("multiplies the probabilities of the tokens of each choice", points=1)
def _(choice_logprobs, rng):
    table = torch.randn(9, 9, generator=rng, dtype=torch.float64)
    context, choices = torch.tensor([4, 1, 7, 2]), [torch.tensor([3, 8, 5]), torch.tensor([6, 0])]
    found = choice_logprobs(lambda ids: table[ids], context, choices)
    p = table.exp() / table.exp().sum(-1, keepdim=True)
    expected = torch.stack([p[2, 3] * p[3, 8] * p[8, 5], p[2, 6] * p[6, 0]]).log()
    assert_close(found, expected, rtol=1e-5, atol=1e-5, message="a model that looks at the last token alone")


@choice_logprobs.hidden("agrees with feeding one prefix after the other, for any lengths", points=3)
def _(choice_logprobs, rng):
    for size, length, lengths in ((11, 5, (2, 4, 1)), (7, 1, (3, 1)), (13, 8, (6,)), (5, 3, (1, 1, 2, 5))):
        embedding = torch.randn(size, 6, generator=rng, dtype=torch.float64)
        head = torch.randn(6, size, generator=rng, dtype=torch.float64)

        def model(ids, embedding=embedding, head=head):
            places = torch.arange(1, ids.shape[1] + 1, dtype=torch.float64)[:, None]
            return (embedding[ids] * places.sqrt()).cumsum(1) / places @ head

        context = torch.randint(size, (length,), generator=rng)
        choices = [torch.randint(size, (number,), generator=rng) for number in lengths]
        kept = [tensor.clone() for tensor in (context, *choices)]
        found = choice_logprobs(model, context, choices)
        assert all(map(torch.equal, (context, *choices), kept)), "the arguments must stay as they are"
        expected = []
        for choice in kept[1:]:
            prefix, total = kept[0].tolist(), 0.0
            for token in choice.tolist():
                last = model(torch.tensor([prefix]))[0, -1]
                total += float(last[token] - last.exp().sum().log())
                prefix.append(token)
            expected.append(total)
        what = f"a context of {length} tokens, choices of {', '.join(map(str, lengths))}"
        assert_close(found, torch.tensor(expected), rtol=1e-4, atol=1e-4, message=what)


@choice_logprobs.misconception(
    "You read the rows at the tokens of the choice, as the code above does; row t predicts the token after it, so the "
    "last row of the context is missing.",
    name="rows-of-the-choice",
)
def _(model, context, choices):
    scores = []
    for choice in choices:
        logprobs = model(torch.cat([context, choice])[None])[0].log_softmax(-1)
        scores.append(logprobs[len(context) :].gather(-1, choice[:, None]).sum())
    return torch.stack(scores)


@choice_logprobs.misconception(
    "You shifted twice: the row before the last row of the context predicts the context's last token.",
    name="shifted-twice",
)
def _(model, context, choices):
    scores = []
    for choice in choices:
        logprobs = model(torch.cat([context, choice])[None])[0].log_softmax(-1)
        start = max(len(context) - 2, 0)
        scores.append(logprobs[start : start + len(choice)].gather(-1, choice[:, None]).sum())
    return torch.stack(scores)


@choice_logprobs.misconception(
    "You left out the first token of each choice; it is predicted by the last row of the context.",
    name="without-the-first-token",
)
def _(model, context, choices):
    scores = []
    for choice in choices:
        logprobs = model(torch.cat([context, choice])[None])[0].log_softmax(-1)
        scores.append(logprobs[len(context) : -1].gather(-1, choice[1:, None]).sum())
    return torch.stack(scores)


@choice_logprobs.misconception(
    "You added the log-probabilities of the context's own tokens; they are the same for every choice, and dividing by "
    "a choice's length then compares different things.",
    name="with-the-context",
)
def _(model, context, choices):
    scores = []
    for choice in choices:
        ids = torch.cat([context, choice])
        logprobs = model(ids[None])[0].log_softmax(-1)
        scores.append(logprobs[:-1].gather(-1, ids[1:, None]).sum())
    return torch.stack(scores)


@choice_logprobs.misconception(
    "You averaged over the tokens of a choice; asked for is the logarithm of the product, a sum.", name="took-the-mean"
)
def _(model, context, choices):
    scores = []
    for choice in choices:
        logprobs = model(torch.cat([context, choice])[None])[0].log_softmax(-1)
        scores.append(logprobs[len(context) - 1 : -1].gather(-1, choice[:, None]).mean())
    return torch.stack(scores)


@choice_logprobs.misconception(
    "You added up logits; without the softmax they are not comparable from one row to the next.", name="raw-logits"
)
def _(model, context, choices):
    scores = []
    for choice in choices:
        logits = model(torch.cat([context, choice])[None])[0]
        scores.append(logits[len(context) - 1 : -1].gather(-1, choice[:, None]).sum())
    return torch.stack(scores)


@choice_logprobs.also_correct
def _(model, context, choices):
    found = []
    for choice in choices:
        ids = torch.cat([context, choice])
        losses = F.cross_entropy(model(ids[None, :-1])[0], ids[1:], reduction="none")
        found.append(-losses[-len(choice) :].sum())
    return torch.stack(found)


@choice_logprobs.also_correct
def _(model, context, choices):
    longest, start = max(len(choice) for choice in choices), len(context) - 1
    rows = torch.stack([torch.cat([context, F.pad(choice, (0, longest - len(choice)))]) for choice in choices])
    logprobs = torch.log_softmax(model(rows), dim=-1)
    found = [
        sum(logprobs[i, start + t, token] for t, token in enumerate(choice.tolist()))
        for i, choice in enumerate(choices)
    ]
    return torch.stack(found)


@exercise(
    points=3,
    minutes=12,
    importance=3,
    kind="derive",
    hints=(
        "When does a set of k samples contain no correct one?",
        "Count the sets that hold wrong samples only; every other set contains a correct one.",
        "There are n − c wrong samples, so binomial coefficients of n − c and of n above k give the share.",
        "`math.comb(n, k)` is exact for any size, and it is 0 if k is larger than n.",
    ),
)
def pass_at_k(n, c, k):
    """Return an estimate of the probability that at least one of k samples is correct.

    A model wrote n independent samples, and c of them are correct. Take every set of k of
    these n samples: the estimate is the share of the sets that contain at least one correct
    sample. Its mean over repetitions is exactly 1 − (1 − p)ᵏ, where p is the probability
    that a sample is correct.

    * n, c, k: whole numbers with 0 ≤ c ≤ n, 1 ≤ k ≤ n, and n up to 10 000
    * returns: a number, precise to six digits
    """
    ### BEGIN SOLUTION
    return 1 - math.comb(n - c, k) / math.comb(n, k)
    ### END SOLUTION


@pass_at_k.test("is the share of sets with a correct sample, for seven samples", points=1)
def _(pass_at_k):
    from itertools import combinations

    sets = list(combinations([True, True, False, False, False, False, False], 3))
    expected = sum(any(chosen) for chosen in sets) / len(sets)
    assert_close(float(pass_at_k(7, 2, 3)), expected, rtol=1e-5, message="n = 7, c = 2, k = 3")


@pass_at_k.hidden("agrees with the list of all sets for every n up to 8", points=1)
def _(pass_at_k):
    from itertools import combinations

    cases = [(n, c, k) for n in range(1, 9) for c in range(n + 1) for k in range(1, n + 1)]
    for n, c, k in ((8, 3, 4), *cases):
        sets = list(combinations([True] * c + [False] * (n - c), k))
        expected = sum(any(chosen) for chosen in sets) / len(sets)
        assert_close(float(pass_at_k(n, c, k)), expected, atol=1e-6, message=f"n = {n}, c = {c}, k = {k}")


@pass_at_k.hidden("is finite and precise for many samples", points=1)
def _(pass_at_k, rng):
    from fractions import Fraction

    cases = [(10_000, 3, 100), (10_000, 9_000, 5_000), (5_000, 1, 10), (2_000, 40, 1_999), (10_000, 0, 7)]
    for _ in range(5):
        n = int(torch.randint(200, 400, (), generator=rng))
        cases.append((n, int(torch.randint(1, 20, (), generator=rng)), int(torch.randint(1, 60, (), generator=rng))))
    for n, c, k in cases:
        missed = Fraction(1)
        for wrong in range(c):  # the correct ones, one after the other, each outside the k chosen
            missed *= Fraction(max(0, n - k - wrong), n - wrong)
        found = float(pass_at_k(n, c, k))
        assert_close(found, float(1 - missed), rtol=1e-6, atol=1e-9, message=f"n = {n}, c = {c}, k = {k}")


@pass_at_k.misconception(
    "You put c / n into 1 − (1 − p)ᵏ; that curve bends, so its mean over repetitions is too small.", name="plug-in"
)
def _(n, c, k):
    return 1 - (1 - c / n) ** k


@pass_at_k.misconception(
    "You multiplied c / n by k; that counts a set with two correct samples twice.", name="k-times-the-rate"
)
def _(n, c, k):
    return min(1.0, k * c / n)


@pass_at_k.misconception("You returned the share of correct samples, which is pass@1 for any k.", name="pass-at-one")
def _(n, c, k):
    return c / n


@pass_at_k.misconception(
    "You looked at the first k samples alone; the mean over all sets of k uses every sample.", name="first-k"
)
def _(n, c, k):
    return 1.0 if c > 0 else 0.0


@pass_at_k.misconception(
    "You returned the share of sets without a correct sample; subtract it from 1.", name="share-of-failures"
)
def _(n, c, k):
    return math.comb(n - c, k) / math.comb(n, k)


@pass_at_k.also_correct
def _(n, c, k):
    if n - c < k:
        return 1.0
    return 1.0 - math.prod(1.0 - k / i for i in range(n - c + 1, n + 1))


@pass_at_k.also_correct
def _(n, c, k):
    if n - c < k:
        return 1.0
    log = math.lgamma(n - c + 1) - math.lgamma(n - c - k + 1) + math.lgamma(n - k + 1) - math.lgamma(n + 1)
    return 1.0 - math.exp(log)


@exercise(
    points=5,
    minutes=18,
    importance=3,
    hints=(
        "Both systems answered the same items. When you draw an item for one of them, what belongs to the other?",
        "Draw as many items as there are, with replacement, and compute both scores on the drawn items. Repeat.",
        "One draw gives N row numbers for both a and b; each score comes from K sums. You end with `draws` leads.",
        "`torch.randint(n, (n,), generator=generator)` draws rows; `torch.quantile` with 0.025 and 0.975 ends it.",
    ),
)
def paired_interval(a, b, score, draws, generator):
    """Return how far b leads a, and the paired bootstrap's 95 % interval of the lead.

    * a, b: (N, K) tensors with what was counted in each of N items, for two systems; row i
      of both belongs to item i
    * score: a function of a list of K numbers, the sums of the columns over the items; it
      returns the score of those items
    * draws: how many times the items are drawn again
    * generator: a torch.Generator, the only source of random numbers
    * returns: three numbers: the score of b minus that of a; the 2.5 % and the 97.5 %
      quantile of this difference over the draws
    """
    ### BEGIN SOLUTION
    leads = []
    for _ in range(draws):
        rows = torch.randint(len(a), (len(a),), generator=generator)
        leads.append(score(b[rows].sum(0).tolist()) - score(a[rows].sum(0).tolist()))
    low, high = torch.tensor(leads, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return score(b.sum(0).tolist()) - score(a.sum(0).tolist()), float(low), float(high)
    ### END SOLUTION


@paired_interval.test("finds the lead and a narrow interval where both systems fail at the same items", points=1)
def _(paired_interval, rng):
    size = torch.randint(5, 30, (80,), generator=rng).double()
    a = torch.stack([size * torch.rand(80, generator=rng, dtype=torch.float64), size], 1)
    b = a.clone()
    b[:, 0] += size * (0.02 + 0.03 * torch.randn(80, generator=rng, dtype=torch.float64))

    def ratio(sums):
        return sums[0] / sums[1]

    lead, low, high = (float(x) for x in paired_interval(a, b, ratio, 800, rng))
    assert_close(lead, float(b[:, 0].sum() / size.sum() - a[:, 0].sum() / size.sum()), rtol=1e-6, message="the lead")
    picked = torch.multinomial(torch.ones(4000, 80), 80, replacement=True, generator=rng)
    weights = torch.zeros(4000, 80, dtype=torch.float64).scatter_add_(1, picked, torch.ones(4000, 80).double())
    leads = (weights @ (b - a)[:, 0]) / (weights @ size)
    spread = float(leads.std())
    for name, found, share in (("low", low, 0.025), ("high", high, 0.975)):
        assert_close(found, float(leads.quantile(share)), rtol=0.0, atol=0.45 * spread, message=f"the {name} end")


@paired_interval.hidden("draws items, scores the sums, and takes the outer 5 % off", points=2)
def _(paired_interval, rng):
    def ratio(sums):
        return sums[0] / sums[1]

    def mixed(sums):
        return 10 * (sums[0] / sums[2]) ** 0.5 * (sums[1] / sums[2]) ** 0.5

    offsets = []
    for items, columns, score, noise in ((60, 2, ratio, 0.1), (75, 3, mixed, 0.05), (45, 3, mixed, 0.2)):
        size = torch.randint(2, 40, (items, 1), generator=rng).double()
        shares = torch.rand(items, columns - 1, generator=rng, dtype=torch.float64)
        other = (shares + noise * torch.rand(items, columns - 1, generator=rng, dtype=torch.float64)).clamp(max=1)
        a, b = (torch.cat([size * part, size], 1) for part in (shares, other))
        kept = a.clone(), b.clone()
        lead, low, high = (float(x) for x in paired_interval(a, b, score, 1500, rng))
        assert torch.equal(a, kept[0]), "a must stay as it is"
        assert torch.equal(b, kept[1]), "b must stay as it is"
        what = f"with {items} items and {columns} columns"
        expected = score(kept[1].sum(0).tolist()) - score(kept[0].sum(0).tolist())
        assert_close(lead, expected, rtol=1e-6, message=f"the lead {what}")
        picked = torch.multinomial(torch.ones(8000, items), items, replacement=True, generator=rng)
        weights = torch.zeros(8000, items, dtype=torch.float64).scatter_add_(
            1, picked, torch.ones(picked.shape).double()
        )
        leads = score((weights @ kept[1]).unbind(1)) - score((weights @ kept[0]).unbind(1))
        spread = float(leads.std())
        for name, found, share in (("low", low, 0.025), ("high", high, 0.975)):
            where = f"the {name} end of the interval {what}"
            assert_close(found, float(leads.quantile(share)), rtol=0.0, atol=0.45 * spread, message=where)
            offsets.append((found - float(leads.quantile(share))) / spread)
    for name, each in (("low", offsets[::2]), ("high", offsets[1::2])):
        mean = sum(each) / len(each)
        assert abs(mean) < 0.2, f"on average, the {name} end is {mean:+.2f} standard errors from where it should be"


@paired_interval.hidden("gives no width to two equal systems, and a width to any others", points=1)
def _(paired_interval, rng):
    a = torch.stack([torch.rand(30, generator=rng, dtype=torch.float64), torch.ones(30, dtype=torch.float64)], 1)
    found = [float(x) for x in paired_interval(a, a.clone(), lambda sums: 100 * sums[0] / sums[1], 100, rng)]
    assert_close(found, [0.0, 0.0, 0.0], atol=1e-6, message="a system against itself")
    b = a.clone()
    b[:7, 0] += 0.5
    lead, low, high = (float(x) for x in paired_interval(a, b, lambda sums: sums[0], 400, rng))
    assert_close(lead, 3.5, atol=1e-6, message="where the score is the first sum, 7 of 30 items with 0.5 more")
    assert low < lead < high, f"the interval [{low:.3f}, {high:.3f}] must contain the lead {lead:.3f}"


@paired_interval.hidden("takes its random numbers from the generator, and as many draws as asked for", points=1)
def _(paired_interval, rng):
    a = torch.stack([torch.rand(25, generator=rng, dtype=torch.float64), torch.ones(25, dtype=torch.float64)], 1)
    b = torch.stack([torch.rand(25, generator=rng, dtype=torch.float64), torch.ones(25, dtype=torch.float64)], 1)

    def run(generator, draws=50):
        return [float(x) for x in paired_interval(a, b, lambda sums: sums[0] / sums[1], draws, generator)]

    generator = torch.Generator().manual_seed(5)
    first, second = run(generator), run(generator)
    torch.randn(3)  # an answer that draws from torch's global generator now gives other ends
    assert_close(run(torch.Generator().manual_seed(5)), first, message="the same seed must give the same interval")
    assert first[1:] != second[1:], "a second call with the same generator must draw anew"
    once = run(torch.Generator().manual_seed(6), 1)
    assert_close(once[1], once[2], atol=1e-9, message="with one draw, both ends are the lead of that draw")


@paired_interval.misconception(
    "You drew other items for b than for a; then the difficulty of the items does not cancel, and the interval is far "
    "too wide.",
    name="unpaired",
)
def _(a, b, score, draws, generator):
    leads = []
    for _ in range(draws):
        rows, others = (torch.randint(len(a), (len(a),), generator=generator) for _ in range(2))
        leads.append(score(b[others].sum(0).tolist()) - score(a[rows].sum(0).tolist()))
    low, high = torch.tensor(leads, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return score(b.sum(0).tolist()) - score(a.sum(0).tolist()), float(low), float(high)


@paired_interval.misconception(
    "You scored each item and averaged; the score of a corpus is computed from the sums.", name="mean-of-scores"
)
def _(a, b, score, draws, generator):
    each = [score(y.tolist()) - score(x.tolist()) for x, y in zip(a, b, strict=True)]
    each = torch.tensor(each, dtype=torch.float64)
    picked = torch.randint(len(a), (draws, len(a)), generator=generator)
    low, high = each[picked].mean(1).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return float(each.mean()), float(low), float(high)


@paired_interval.misconception(
    "You drew without replacement; then every draw holds the same items, and the interval has no width.",
    name="without-replacement",
)
def _(a, b, score, draws, generator):
    leads = []
    for _ in range(draws):
        rows = torch.randperm(len(a), generator=generator)
        leads.append(score(b[rows].sum(0).tolist()) - score(a[rows].sum(0).tolist()))
    low, high = torch.tensor(leads, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return score(b.sum(0).tolist()) - score(a.sum(0).tolist()), float(low), float(high)


@paired_interval.misconception(
    "You drew `draws` items each time; a benchmark of more items than yours has a narrower interval than yours.",
    name="draws-as-size",
)
def _(a, b, score, draws, generator):
    leads = []
    for _ in range(draws):
        rows = torch.randint(len(a), (draws,), generator=generator)
        leads.append(score(b[rows].sum(0).tolist()) - score(a[rows].sum(0).tolist()))
    low, high = torch.tensor(leads, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return score(b.sum(0).tolist()) - score(a.sum(0).tolist()), float(low), float(high)


@paired_interval.misconception(
    "You subtracted b from a; the lead of b is positive where b is better.", name="lead-of-a"
)
def _(a, b, score, draws, generator):
    leads = []
    for _ in range(draws):
        rows = torch.randint(len(a), (len(a),), generator=generator)
        leads.append(score(a[rows].sum(0).tolist()) - score(b[rows].sum(0).tolist()))
    low, high = torch.tensor(leads, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return score(a.sum(0).tolist()) - score(b.sum(0).tolist()), float(low), float(high)


@paired_interval.misconception(
    "You returned the smallest and the largest of the draws; they move outwards with every further draw.",
    name="extremes",
)
def _(a, b, score, draws, generator):
    leads = []
    for _ in range(draws):
        rows = torch.randint(len(a), (len(a),), generator=generator)
        leads.append(score(b[rows].sum(0).tolist()) - score(a[rows].sum(0).tolist()))
    return score(b.sum(0).tolist()) - score(a.sum(0).tolist()), min(leads), max(leads)


@paired_interval.also_correct
def _(a, b, score, draws, generator):
    joint, half = torch.cat([a, b], 1), a.shape[1]

    def lead(sums):
        return score(sums[half:]) - score(sums[:half])

    leads = sorted(
        lead(joint[torch.randint(len(a), (len(a),), generator=generator)].sum(0).tolist()) for _ in range(draws)
    )
    cut = round(0.025 * (draws - 1))
    return lead(joint.sum(0).tolist()), leads[cut], leads[draws - 1 - cut]


@paired_interval.also_correct
def _(a, b, score, draws, generator):
    import numpy as np

    drawn = torch.multinomial(torch.ones(draws, len(a)), len(a), replacement=True, generator=generator).numpy()
    weights = np.stack([np.bincount(row, minlength=len(a)) for row in drawn]).astype(float)
    left, right = weights @ a.double().numpy(), weights @ b.double().numpy()
    leads = np.array([score(list(y)) - score(list(x)) for x, y in zip(left, right, strict=True)])
    low, high = np.percentile(leads, [2.5, 97.5])
    return np.array([score(b.sum(0).tolist()) - score(a.sum(0).tolist()), low, high])


paired_interval.equivalent(
    "return score(b.sum(0).tolist()) - score(a.sum(0).tolist()), (low), float(high)",
    "a tensor of one number is a number",
)


paired_interval.equivalent(
    "return score(b.sum(0).tolist()) - score(a.sum(0).tolist()), float(low), (high)",
    "a tensor of one number is a number",
)


@exercise(
    points=6,
    minutes=30,
    level="integrative",
    importance=3,
    hints=(
        "Each item gives each model one number between 0 and 1. What is the score of a model, and what does your "
        "interval need?",
        "Compute the numbers of one model on one task first. The numbers of the first model stay in memory, and every "
        "later model is compared with them.",
        "For your interval, make the numbers a column and put a column of ones beside it: (N, 2). The score is then "
        "the first sum divided by the second.",
        "`isinstance(item, Writing)` tells the two kinds apart; `item.count_correct(model)` is c.",
    ),
)
def evaluate(models, tasks, draws, generator):
    """Return a report on several models: one row for each task and model, in the order given.

    * models: a dict, name to model; the first is the baseline
    * tasks: a dict, name to a list of items

    An item's value for a model: of a `Choice`, 1 if the right choice has the highest
    log-probability *per token*, else 0; of a `Writing`, its pass@k.

    * returns: a list of dicts with `task`, `model`, `score` (the mean value), `lead`, `low`
      and `high` (your interval over the baseline), and `verdict`

    | verdict | where |
    |---|---|
    | `"baseline"` | the first model; lead, low and high are 0 |
    | `"better"` | low > 0 |
    | `"worse"` | high < 0 |
    | `"undecided"` | otherwise |
    """
    ### BEGIN SOLUTION
    rows = []
    for task, items in tasks.items():
        baseline = None
        for name, model in models.items():
            values = []
            for item in items:
                if isinstance(item, Writing):
                    values.append(pass_at_k(item.samples, item.count_correct(model), item.k))
                else:
                    logprobs = choice_logprobs(model, item.context, item.choices)
                    lengths = torch.tensor([len(choice) for choice in item.choices])
                    values.append(float((logprobs / lengths).argmax() == item.answer))
            counts = torch.tensor([[value, 1.0] for value in values], dtype=torch.float64)
            lead, low, high, verdict = 0.0, 0.0, 0.0, "baseline"
            if baseline is None:
                baseline = counts
            else:
                lead, low, high = paired_interval(baseline, counts, lambda sums: sums[0] / sums[1], draws, generator)
                verdict = "better" if low > 0 else "worse" if high < 0 else "undecided"
            score = sum(values) / len(values)
            row = {"task": task, "model": name, "score": score, "lead": lead, "low": low, "high": high}
            rows.append(row | {"verdict": verdict})
    return rows
    ### END SOLUTION


@evaluate.test("reports two models on ranking: scores, lead and verdict", points=2)
def _(evaluate, rng):
    vocabulary = 8
    table = 3 * torch.randn(vocabulary, vocabulary, generator=rng, dtype=torch.float64)
    good, bad = (lambda ids: table[ids]), (lambda ids: -table[ids])
    items = []
    for number in range(21):
        context = torch.randint(vocabulary, (3,), generator=rng)
        likely = table[context[-1]].topk(3).indices
        choices = (likely[:1], torch.stack([likely[1], table[likely[1]].argmin()]), table[context[-1]].argmin()[None])
        items.append(Choice(context, choices[number % 3 :] + choices[: number % 3], (1, 2, 1), -number % 3))
    report = evaluate({"bad": bad, "good": good, "again": bad}, {"next": items}, 50, rng)
    names = [(row["task"], row["model"], row["verdict"]) for row in report]
    assert names == [("next", "bad", "baseline"), ("next", "good", "better"), ("next", "again", "undecided")], (
        f"the rows must be bad (baseline), good (better), again (undecided), got {names}"
    )
    assert_close(float(report[1]["score"]), 1.0, atol=1e-6, message="the score of the good model")
    first = [float(report[0][key]) for key in ("lead", "low", "high")]
    assert_close(first, [0.0, 0.0, 0.0], atol=1e-6, message="lead, low and high of the baseline")
    lead, score = float(report[1]["lead"]), float(report[1]["score"]) - float(report[0]["score"])
    assert_close(lead, score, atol=1e-6, message="the lead of the good model")


@evaluate.hidden("values ranking by log-probability per token and writing by pass@k, task by task", points=2)
def _(evaluate, rng):
    vocabulary = 6
    tables = {name: torch.randn(vocabulary, vocabulary, generator=rng, dtype=torch.float64) for name in "pqr"}
    models = {name: (lambda ids, table=table: table[ids]) for name, table in tables.items()}

    def choices(number, longest):
        items = []
        for _ in range(number):
            lengths = torch.randint(1, longest + 1, (4,), generator=rng).tolist()
            parts = tuple(torch.randint(vocabulary, (length,), generator=rng) for length in lengths)
            answer = int(torch.randint(4, (), generator=rng))
            sizes = tuple(torch.randint(1, 20, (4,), generator=rng).tolist())
            items.append(Choice(torch.randint(vocabulary, (2,), generator=rng), parts, sizes, answer))
        return items

    def writings(number):
        start = torch.randint(vocabulary, (number, 3), generator=rng)
        after = torch.randint(vocabulary, (number, 1), generator=rng)
        return [Writing(start[i], after[i], 9 + i % 3, 2 + i % 4, 100 + i) for i in range(number)]

    tasks = {"long": choices(20, 6), "write": writings(10), "short": choices(15, 2)}
    report = evaluate(models, tasks, 20, rng)
    assert len(report) == 9, f"three tasks and three models make 9 rows, got {len(report)}"
    where = iter(report)
    for task, items in tasks.items():
        base = None
        for name, table in tables.items():
            row, logs, total = next(where), table.log_softmax(-1), 0.0
            assert (row["task"], row["model"]) == (task, name), f"task by task, each with the models in order: {row}"
            for item in items:
                if isinstance(item, Choice):
                    means = []
                    for part in item.choices:
                        path = [int(item.context[-1]), *part.tolist()]
                        means.append(float(logs[path[:-1], path[1:]].mean()))
                    total += means.index(max(means)) == item.answer
                else:
                    wrong = item.samples - item.count_correct(models[name])
                    total += 1 - math.comb(wrong, item.k) / math.comb(item.samples, item.k)
            score = total / len(items)
            base = score if base is None else base
            assert_close(float(row["score"]), score, atol=1e-6, message=f"the score of {name} at {task}")
            assert_close(float(row["lead"]), score - base, atol=1e-6, message=f"the lead of {name} at {task}")


@evaluate.hidden("judges each model against the first, by a paired interval", points=2)
def _(evaluate, rng):
    vocabulary = 12
    table = 2 * torch.randn(vocabulary, vocabulary, generator=rng, dtype=torch.float64)
    noise = torch.randn(vocabulary, vocabulary, generator=rng, dtype=torch.float64)
    models = {
        "base": lambda ids: table[ids] + 2.0 * noise[ids],
        "best": lambda ids: table[ids],
        "twin": lambda ids: table[ids] + 1.8 * noise[ids],
        "worst": lambda ids: -table[ids],
    }
    items = []
    for _ in range(60):
        context = torch.randint(vocabulary, (1,), generator=rng)
        picked = torch.randperm(vocabulary, generator=rng)[:4]
        answer = int(table[context[0], picked].argmax())
        items.append(Choice(context, tuple(picked[:, None]), (1, 1, 1, 1), answer))
    report = {row["model"]: row for row in evaluate(models, {"task": items}, 300, rng)}

    def right(model):
        hits = [
            int(model(item.context[None])[0, -1][torch.cat(item.choices)].argmax()) == item.answer for item in items
        ]
        return torch.tensor(hits, dtype=torch.float64)

    for name in ("best", "twin", "worst"):
        gaps, row = right(models[name]) - right(models["base"]), report[name]
        error = float(gaps.std()) / len(items) ** 0.5
        for key, sign in (("low", -1.96), ("high", 1.96)):
            expected = float(gaps.mean()) + sign * error
            assert_close(float(row[key]), expected, rtol=0.0, atol=0.7 * error + 0.012, message=f"{key} of {name}")
        low, high = float(row["low"]), float(row["high"])
        verdict = "better" if low > 0 else "worse" if high < 0 else "undecided"
        assert row["verdict"] == verdict, f"[{low:.3f}, {high:.3f}] means {verdict}, got {row['verdict']!r}"
    verdicts = (report["best"]["verdict"], report["worst"]["verdict"])
    assert verdicts == ("better", "worse"), f"best and worst must be told from the baseline, got {verdicts}"


@evaluate.misconception(
    "You ranked the choices by the log-probability of the whole choice; each further token lowers it, so that short "
    "choices win. Divide by the number of tokens.",
    name="ranked-by-the-sum",
)
def _(models, tasks, draws, generator):
    class Summed(Writing):
        def count_correct(self, model):
            item = self.answer
            return int(choice_logprobs(model, item.context, item.choices).argmax() == item.answer)

    summed = {
        task: [item if isinstance(item, Writing) else Summed(item.context, item, 1, 1, 0) for item in items]
        for task, items in tasks.items()
    }
    return evaluate(models, summed, draws, generator)


@evaluate.misconception(
    "You divided by `sizes`, the bytes of the choices; asked for is the log-probability per token.",
    name="ranked-per-byte",
)
def _(models, tasks, draws, generator):
    class PerByte(Writing):
        def count_correct(self, model):
            item = self.answer
            scores = choice_logprobs(model, item.context, item.choices) / torch.tensor(item.sizes)
            return int(scores.argmax() == item.answer)

    per_byte = {
        task: [item if isinstance(item, Writing) else PerByte(item.context, item, 1, 1, 0) for item in items]
        for task, items in tasks.items()
    }
    return evaluate(models, per_byte, draws, generator)


@evaluate.misconception(
    "You returned the share of correct samples for a `Writing`; that is pass@1, and the item asks for pass@k with its "
    "own k.",
    name="pass-at-one",
)
def _(models, tasks, draws, generator):
    single = {
        task: [
            Writing(item.context, item.answer, item.samples, 1, item.seed) if isinstance(item, Writing) else item
            for item in items
        ]
        for task, items in tasks.items()
    }
    return evaluate(models, single, draws, generator)


@evaluate.misconception(
    "You compared each model with the one before it; every lead is over the first model, the baseline.",
    name="compared-with-the-previous",
)
def _(models, tasks, draws, generator):
    rows, names = [], list(models)
    for task, items in tasks.items():
        rows += evaluate({names[0]: models[names[0]]}, {task: items}, draws, generator)
        for number in range(1, len(names)):
            pair = {name: models[name] for name in names[number - 1 : number + 1]}
            rows.append(evaluate(pair, {task: items}, draws, generator)[1])
    return rows


@evaluate.misconception(
    "You read the verdict off the sign of the lead; a lead whose interval contains 0 decides nothing.",
    name="verdict-from-the-lead",
)
def _(models, tasks, draws, generator):
    rows = evaluate(models, tasks, draws, generator)
    for row in rows:
        if row["verdict"] != "baseline":
            row["verdict"] = "better" if row["lead"] > 0 else "worse"
    return rows


@evaluate.misconception(
    "You returned the lead of the baseline over the model; the lead is positive where the model is better.",
    name="lead-of-the-baseline",
)
def _(models, tasks, draws, generator):
    turned = {"better": "worse", "worse": "better"}
    return [
        row
        | {"lead": -row["lead"], "low": -row["high"], "high": -row["low"]}
        | {"verdict": turned.get(row["verdict"], row["verdict"])}
        for row in evaluate(models, tasks, draws, generator)
    ]


@evaluate.misconception(
    "You went through the models outside and the tasks inside; the report goes task by task, so that the rows to "
    "compare are neighbours.",
    name="model-by-model",
)
def _(models, tasks, draws, generator):
    rows = evaluate(models, tasks, draws, generator)
    return [row for name in models for row in rows if row["model"] == name]


@evaluate.also_correct
def _(models, tasks, draws, generator):
    def value(model, item):
        if isinstance(item, Choice):
            scores = [
                float(x) / len(c)
                for x, c in zip(choice_logprobs(model, item.context, item.choices), item.choices, strict=True)
            ]
            return float(scores.index(max(scores)) == item.answer)
        return float(pass_at_k(item.samples, item.count_correct(model), item.k))

    def mean(sums):
        return sums[0] / sums[1]

    report = []
    for task, items in tasks.items():
        columns = [torch.tensor([[value(model, item), 1] for item in items]).double() for model in models.values()]
        for number, (name, column) in enumerate(zip(models, columns, strict=True)):
            row = {"task": task, "model": name, "score": mean(column.sum(0).tolist())}
            row.update(lead=0, low=0, high=0, verdict="baseline")
            if number > 0:
                row["lead"], row["low"], row["high"] = paired_interval(columns[0], column, mean, draws, generator)
                row["verdict"] = "undecided"
                if row["low"] > 0:
                    row["verdict"] = "better"
                if row["high"] < 0:
                    row["verdict"] = "worse"
            report.append(row)
    return report


@evaluate.also_correct
def _(models, tasks, draws, generator):
    rows, first = [], {}
    for task in tasks:
        for name in models:
            total, values = 0.0, []
            for item in tasks[task]:
                if hasattr(item, "choices"):
                    logprobs = choice_logprobs(models[name], item.context, item.choices)
                    best = max(range(len(item.choices)), key=lambda i: float(logprobs[i]) / len(item.choices[i]))
                    got = 1.0 if best == item.answer else 0.0
                else:
                    got = pass_at_k(item.samples, item.count_correct(models[name]), item.k)
                values.append([got])
                total += got
            values = torch.tensor(values, dtype=torch.float64)
            first.setdefault(task, values)
            size = len(values)
            lead = paired_interval(first[task], values, lambda sums, size=size: sums[0] / size, draws, generator)
            verdict = "baseline" if values is first[task] else "undecided"
            if verdict == "undecided" and lead[1] > 0:
                verdict = "better"
            elif verdict == "undecided" and lead[2] < 0:
                verdict = "worse"
            rows.append(
                dict(
                    zip(
                        ("task", "model", "score", "lead", "low", "high"),
                        (task, name, total / size, *lead),
                        strict=True,
                    )
                )
            )
            rows[-1]["verdict"] = verdict
    return rows


evaluate.equivalent("values.append(((logprobs / lengths).argmax() == item.answer))", "True counts as 1 and False as 0")


evaluate.equivalent(
    "counts = torch.tensor([[value, 1.0] for value in values])", "float32 is precise enough for counts up to thousands"
)


evaluate.equivalent(
    "counts = torch.tensor([[value, 1.0] for value in values], dtype=torch.float32)",
    "float32 is precise enough for counts up to thousands",
)


@exercise(
    points=4,
    minutes=14,
    importance=2,
    hints=(
        "Of the answers that a model gave with a confidence of about 0.8, how many should be correct?",
        "Sort the answers into bins by confidence. A bin's error is the gap between its share of correct answers and "
        "its mean confidence, and it counts by how many answers it holds.",
        "A confidence in (i / bins, (i + 1) / bins] belongs to bin i, counted from 0.",
        "`torch.ceil(confidence * bins)` is one more than the bin; `.clamp(min=1)` takes care of confidence 0.",
    ),
)
def expected_calibration_error(confidence, correct, bins):
    """Return the expected calibration error of N answers.

    Bin i = 0, 1, … holds the answers with a confidence above i / bins and at most
    (i + 1) / bins; a confidence of 0 belongs to bin 0. The gap of a bin is the absolute
    difference between its share of correct answers and its mean confidence. The result is
    the mean of the gaps, each weighted by the number of answers in its bin.

    * confidence: (N,) numbers from 0 to 1
    * correct: (N,) booleans
    * bins: how many bins
    * returns: a number
    """
    ### BEGIN SOLUTION
    which = torch.ceil(confidence * bins).clamp(min=1)
    total = 0.0
    for number in range(1, bins + 1):
        inside = which == number
        if inside.any():
            gap = correct[inside].to(confidence.dtype).mean() - confidence[inside].mean()
            total += float(gap.abs() * inside.sum())
    return total / len(confidence)
    ### END SOLUTION


@expected_calibration_error.test("weighs the gaps of two bins by their answers", points=1)
def _(expected_calibration_error):
    confidence = torch.tensor([0.9, 0.7, 0.8, 0.95, 0.6, 0.3, 0.15], dtype=torch.float64)
    correct = torch.tensor([True, False, True, True, False, False, True])
    expected = 5 / 7 * abs(3 / 5 - (0.9 + 0.7 + 0.8 + 0.95 + 0.6) / 5) + 2 / 7 * abs(1 / 2 - (0.3 + 0.15) / 2)
    assert_close(float(expected_calibration_error(confidence, correct, 2)), expected, rtol=1e-5, message="two bins")


@expected_calibration_error.hidden("agrees with a count answer by answer, for any number of bins", points=2)
def _(expected_calibration_error, rng):
    for count, bins, power in ((200, 15, 1.0), (37, 10, 0.4), (400, 7, 2.0), (12, 20, 1.0), (90, 1, 0.3)):
        confidence = torch.rand(count, generator=rng, dtype=torch.float64) ** power
        correct = torch.rand(count, generator=rng, dtype=torch.float64) < confidence**2
        kept = confidence.clone(), correct.clone()
        found = float(expected_calibration_error(confidence, correct, bins))
        assert torch.equal(confidence, kept[0]), "confidence must stay as it is"
        assert torch.equal(correct, kept[1]), "correct must stay as it is"
        cells = {}
        for value, hit in zip(kept[0].tolist(), kept[1].tolist(), strict=True):
            place = next(i for i in range(bins) if value <= (i + 1) / bins)
            cells.setdefault(place, []).append(hit - value)
        expected = sum(abs(math.fsum(gaps)) for gaps in cells.values()) / count
        assert_close(found, expected, rtol=1e-5, atol=1e-7, message=f"{count} answers in {bins} bins")


@expected_calibration_error.hidden("puts a confidence on an edge into the lower bin, and 0 into the first", points=1)
def _(expected_calibration_error):
    for edges, hits, bins, expected in (
        ([0.5, 0.75, 1.0, 0.25], [1, 0, 0, 1], 4, (0.5 + 0.75 + 1.0 + 0.75) / 4),
        ([0.25, 0.5, 0.375, 0.5], [0, 1, 1, 0], 2, abs(2 - 1.625) / 4),
        ([0.0, 0.125, 0.25, 1.0], [1, 0, 0, 1], 4, abs(1 - 0.375) / 4),
    ):
        found = float(
            expected_calibration_error(torch.tensor(edges, dtype=torch.float64), torch.tensor(hits).bool(), bins)
        )
        assert_close(found, expected, atol=1e-6, message=f"confidences {edges} in {bins} bins")


@expected_calibration_error.misconception(
    "You averaged the gaps without weights; a bin with one answer then counts as much as one with a thousand.",
    name="unweighted-bins",
)
def _(confidence, correct, bins):
    which, gaps = torch.ceil(confidence * bins).clamp(min=1), []
    for number in range(1, bins + 1):
        inside = which == number
        if inside.any():
            gaps.append(float((correct[inside].double().mean() - confidence[inside].mean()).abs()))
    return sum(gaps) / len(gaps)


@expected_calibration_error.misconception(
    "You compared with the middle of each bin; the answers in a bin have a mean confidence of their own.",
    name="middle-of-the-bin",
)
def _(confidence, correct, bins):
    which, total = torch.ceil(confidence * bins).clamp(min=1), 0.0
    for number in range(1, bins + 1):
        inside = which == number
        if inside.any():
            total += float((correct[inside].double().mean() - (number - 0.5) / bins).abs() * inside.sum())
    return total / len(confidence)


@expected_calibration_error.misconception(
    "You took the largest gap; that is the maximum calibration error.", name="largest-gap"
)
def _(confidence, correct, bins):
    which, gaps = torch.ceil(confidence * bins).clamp(min=1), []
    for number in range(1, bins + 1):
        inside = which == number
        if inside.any():
            gaps.append(float((correct[inside].double().mean() - confidence[inside].mean()).abs()))
    return max(gaps)


@expected_calibration_error.misconception(
    "You compared each answer with its own confidence; a right answer with a confidence of 70 % is no error of 0.3. "
    "Only a group of answers can be calibrated.",
    name="answer-by-answer",
)
def _(confidence, correct, bins):
    return float((correct.double() - confidence).abs().mean())


@expected_calibration_error.misconception(
    "You let gaps of opposite signs cancel; take the absolute value of each bin's gap.", name="signs-cancel"
)
def _(confidence, correct, bins):
    return abs(float(correct.double().mean() - confidence.mean()))


@expected_calibration_error.misconception(
    "You counted an edge to the bin above it; a bin contains its upper end, not its lower one.", name="lower-edges"
)
def _(confidence, correct, bins):
    which, total = torch.floor(confidence * bins).clamp(max=bins - 1), 0.0
    for number in range(bins):
        inside = which == number
        if inside.any():
            gap = correct[inside].double().mean() - confidence[inside].mean()
            total += float(gap.abs() * inside.sum())
    return total / len(confidence)


@expected_calibration_error.also_correct
def _(confidence, correct, bins):
    edges = torch.linspace(0, 1, bins + 1, dtype=confidence.dtype)[1:-1]
    which = torch.bucketize(confidence, edges)
    gaps = torch.zeros(bins, dtype=confidence.dtype).index_add_(0, which, correct.to(confidence.dtype) - confidence)
    return gaps.abs().sum() / len(confidence)


@expected_calibration_error.also_correct
def _(confidence, correct, bins):
    total = 0.0
    for i in range(bins):
        above = confidence > i / bins if i else confidence >= 0
        inside = above & (confidence <= (i + 1) / bins)
        if int(inside.sum()):
            total += abs(correct[inside].sum().item() - confidence[inside].sum().item())
    return total / confidence.numel()


expected_calibration_error.equivalent("for number in range(0, bins + 1):", "no answer is in a bin before the first")


expected_calibration_error.equivalent("for number in range(1, bins + 2):", "no answer is in a bin after the last")


expected_calibration_error.equivalent(
    "total += (gap.abs() * inside.sum())", "the sum is a tensor then, which is a number too"
)
