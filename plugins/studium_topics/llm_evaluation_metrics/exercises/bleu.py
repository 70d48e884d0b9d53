import math

import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=10,
    importance=2,
    hints=(
        "If one of the four precisions is zero, what should their mean be?",
        "Average the logarithms of the precisions, then multiply by a penalty that is 1 unless the hypotheses are "
        "shorter than the references.",
        "Entries 2, 4, 6, … are the matches and entries 3, 5, 7, … the totals; each log-precision has the weight 1 / "
        "N.",
        "`counts[2::2]` are the matches; the penalty is `min(1.0, math.exp(1 - r / c))`.",
    ),
    mutates_args=(),
)
def bleu(counts):
    """Return BLEU, from 0 to 100, for summed counts.

    counts holds 2 + 2N numbers: c, r, and then, for each n = 1 … N, the matches mₙ and the
    totals tₙ, as `bleu_counts` returns them, added up over the hypotheses.

    BLEU = 100 · min(1, exp(1 − r / c)) · exp( (1/N) Σₙ ln(mₙ / tₙ) )

    It is 0 if any mₙ is 0.

    * counts: a list of numbers; N can be any number from 1
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
    "You took the arithmetic mean of the precisions; take the geometric mean, because precisions fall roughly "
    "exponentially with n.",
    name="arithmetic-mean",
)
def _(counts):
    if min(counts[2::2]) == 0:
        return 0.0
    precisions = [m / t for m, t in zip(counts[2::2], counts[3::2], strict=True)]
    return 100 * min(1.0, math.exp(1 - counts[1] / counts[0])) * sum(precisions) / len(precisions)


@bleu.misconception(
    "You multiplied the precisions without taking the N-th root, so BLEU falls with every n that you count; take the "
    "root.",
    name="product-of-precisions",
)
def _(counts):
    if min(counts[2::2]) == 0:
        return 0.0
    product = math.prod(m / t for m, t in zip(counts[2::2], counts[3::2], strict=True))
    return 100 * min(1.0, math.exp(1 - counts[1] / counts[0])) * product


@bleu.misconception(
    "You let the brevity penalty exceed 1, which rewards long hypotheses. Keep it at most 1: surplus words already "
    "lower the precisions.",
    name="rewarded-length",
)
def _(counts):
    if min(counts[2::2]) == 0:
        return 0.0
    logs = [math.log(m / t) for m, t in zip(counts[2::2], counts[3::2], strict=True)]
    return 100 * math.exp(1 - counts[1] / counts[0] + sum(logs) / len(logs))


@bleu.misconception(
    "You multiplied by c / r for short hypotheses; multiply by exp(1 − r / c), which falls faster.",
    name="linear-penalty",
)
def _(counts):
    if min(counts[2::2]) == 0:
        return 0.0
    logs = [math.log(m / t) for m, t in zip(counts[2::2], counts[3::2], strict=True)]
    return 100 * min(1.0, counts[0] / counts[1]) * math.exp(sum(logs) / len(logs))


@bleu.misconception(
    "You divided c by r in the penalty. exp(1 − c / r) punishes long hypotheses and lets short ones go free; divide r "
    "by c.",
    name="inverted-penalty",
)
def _(counts):
    if min(counts[2::2]) == 0:
        return 0.0
    logs = [math.log(m / t) for m, t in zip(counts[2::2], counts[3::2], strict=True)]
    return 100 * min(1.0, math.exp(1 - counts[0] / counts[1])) * math.exp(sum(logs) / len(logs))


@bleu.misconception(
    "You left out the brevity penalty; without it, a hypothesis of a single safe word would be perfect.",
    name="no-penalty",
)
def _(counts):
    if min(counts[2::2]) == 0:
        return 0.0
    logs = [math.log(m / t) for m, t in zip(counts[2::2], counts[3::2], strict=True)]
    return 100 * math.exp(sum(logs) / len(logs))


@bleu.misconception("You returned a share between 0 and 1; multiply it by 100.", name="a-share")
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
