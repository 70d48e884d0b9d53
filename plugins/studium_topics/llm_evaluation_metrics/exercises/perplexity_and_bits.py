import math

import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=3,
    hints=(
        "Which of the two numbers changes if a tokeniser cuts the same text into half as many tokens?",
        "Both start from the total loss of all real tokens, but they divide it by different counts.",
        "The total is one number. Perplexity divides it by the number of real tokens, bits per byte by the bytes and "
        "by ln 2.",
        "`losses[real].sum()` is the total, and `len(text.encode())` counts the bytes of one text.",
    ),
    mutates_args=(),
)
def perplexity_and_bits(losses, real, texts):
    """Return the perplexity per token and the bits per byte of a batch of texts.

    * losses: (B, T), −ln p of each token; at padding they may be anything, even NaN
    * real: (B, T) booleans, False at padding
    * texts: the B strings that the real tokens spell
    * returns: two numbers, the perplexity and the bits per byte

    Treat the whole batch as one long text, and return one number of each kind for it. Count
    bytes in UTF-8.
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
        before, shown = handed.clone(), real.clone()
        perplexity, bits = (float(number) for number in perplexity_and_bits(handed, real, texts))
        assert torch.equal(handed.nan_to_num(), before.nan_to_num()), "losses must stay as they are"
        assert torch.equal(real, shown), "real must stay as it is"
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
    "You averaged the mean losses of the texts, so a token in a short text counts more than a token in a long one; "
    "divide the total loss by all real tokens.",
    name="mean-of-means",
)
def _(losses, real, texts):
    means = torch.stack([row[mask].mean() for row, mask in zip(losses, real, strict=True)])
    total = float(losses[real].sum())
    return math.exp(float(means.mean())), total / math.log(2) / sum(len(text.encode()) for text in texts)


@perplexity_and_bits.misconception(
    "You averaged the perplexities of the texts; take the exponential of one mean over all tokens.",
    name="mean-of-perplexities",
)
def _(losses, real, texts):
    each = [math.exp(float(row[mask].mean())) for row, mask in zip(losses, real, strict=True)]
    total = float(losses[real].sum())
    return sum(each) / len(each), total / math.log(2) / sum(len(text.encode()) for text in texts)


@perplexity_and_bits.misconception(
    "You counted characters with `len(text)`; count bytes instead, because “é” is one character but two bytes.",
    name="characters-for-bytes",
)
def _(losses, real, texts):
    total = float(losses[real].sum())
    return math.exp(total / int(real.sum())), total / math.log(2) / sum(len(text) for text in texts)


@perplexity_and_bits.misconception(
    "You returned nats per byte. The losses are natural logarithms, and a bit is ln 2 nats, so divide by ln 2.",
    name="nats-for-bits",
)
def _(losses, real, texts):
    total = float(losses[real].sum())
    return math.exp(total / int(real.sum())), total / sum(len(text.encode()) for text in texts)


@perplexity_and_bits.misconception(
    "You divided the bits by the number of tokens, which depends on how the tokeniser cuts the text; divide by the "
    "bytes.",
    name="bits-per-token",
)
def _(losses, real, texts):
    mean = float(losses[real].mean())
    return math.exp(mean), mean / math.log(2)


@perplexity_and_bits.misconception("You raised 2 to a loss in nats; for nats the base is e.", name="two-to-the-nats")
def _(losses, real, texts):
    total = float(losses[real].sum())
    return 2 ** (total / int(real.sum())), total / math.log(2) / sum(len(text.encode()) for text in texts)


@perplexity_and_bits.misconception(
    "You counted padding as tokens, so every pad token in the batch makes the perplexity look better; count only the "
    "real ones.",
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
