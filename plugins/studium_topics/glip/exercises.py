"""Exercises: a caption of names, scores of regions and words, the alignment loss, boxes, and average precision."""

import copy
import dataclasses
import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.glip import scenes
from studium_topics.glip.model import drawn
from studium_topics.glip.scenes import offsets

# ------------------------------------------------------------------------------------------------ build_prompt


@exercise(
    points=4,
    minutes=14,
    importance=2,
    hints=(
        "Where in the caption does the second name start, if you know the lengths of the first name and the separator?",
        "Note where each name starts and ends while you put them together. A token and a name share a character if "
        "each of the two starts before the other one ends.",
        "c spans and M offsets give c × M answers. Searching for a name finds the wrong place if it is part of "
        "another.",
        "`separator.join(names)` makes the caption; `torch.tensor([[start < e and s < end for s, e in tokens] for "
        "start, end in spans])` compares.",
    ),
)
def build_prompt(names, separator, offsets):
    """Return the caption that lists names, and which of its tokens belong to which name.

    The caption has the separator between the names and nowhere else. A token belongs to a name if
    it contains at least one character of that name.

    * names: c strings, at least one; the same name may come twice
    * separator: a string
    * offsets: a function of a caption that returns the (start, end) of each of its M tokens, so that
      a token is `caption[start:end]`; special tokens have (0, 0) and belong to no name
    * returns: the caption, and a bool tensor (c, M)
    """
    ### BEGIN SOLUTION
    spans, start = [], 0
    for name in names:
        spans.append((start, start + len(name)))
        start += len(name) + len(separator)
    caption = separator.join(names)
    tokens = offsets(caption)
    positive = [[start < e and s < end for s, e in tokens] for start, end in spans]
    return caption, torch.tensor(positive)
    ### END SOLUTION


@build_prompt.test("marks the words of two names, and no full stop", points=1)
def _(build_prompt):
    def words(caption):
        table = {"red ring. blue disc": [(0, 3), (4, 8), (8, 9), (10, 14), (15, 19)]}
        assert caption in table, f"the caption of these names must be 'red ring. blue disc', got {caption!r}"
        return table[caption]

    caption, positive = build_prompt(["red ring", "blue disc"], ". ", words)
    assert caption == "red ring. blue disc", f"the caption must be 'red ring. blue disc', got {caption!r}"
    expected = torch.tensor([[True, True, False, False, False], [False, False, False, True, True]])
    assert_close(positive, expected)
    assert positive.dtype == torch.bool, f"the map of tokens and names needs dtype torch.bool, got {positive.dtype}"


@build_prompt.hidden("finds a name inside another one, and the same name twice", points=2)
def _(build_prompt, rng):
    def letters(caption):
        return [(place, place + 1) for place in range(len(caption))]

    order = torch.randperm(3, generator=rng).tolist()
    cases = (
        (["string", "ring", "a ring of string"], ", "),
        (["ring", "disc", "ring"], ". "),
        ([["sun", "sunflower", "flower"][place] for place in order], " | "),
        (["cat"], ". "),
    )
    for names, separator in cases:
        given = list(names)
        caption, positive = build_prompt(names, separator, letters)
        assert caption == separator.join(given), f"the caption of {given} with {separator!r} came out as {caption!r}"
        owners = []
        for place, name in enumerate(given):
            owners += ([None] * len(separator) if place else []) + [place] * len(name)
        expected = torch.tensor([[owner == place for owner in owners] for place in range(len(given))])
        assert_close(positive, expected, message=f"for letters as tokens, names {given} and separator {separator!r}")
        assert names == given, f"the names must stay as they are, and became {names}"


@build_prompt.hidden("gives a name all its pieces, and special tokens to no name", points=1)
def _(build_prompt, rng):
    def pieces(caption):
        found, start = [(0, 0)], 0
        for place, letter in enumerate(caption + " "):
            if not letter.isalpha() or place - start == 3:
                found += [(start, place)] if place > start else []
                found += [(place, place + 1)] if letter == "." else []
                start = place + (not letter.isalpha())
        return [*found, (0, 0)]

    stock = ["purple triangle", "toaster", "sun", "old oak tree"]
    for count in (3, 2, 4):
        names = [stock[place] for place in torch.randperm(4, generator=rng)[:count].tolist()]
        caption, positive = build_prompt(names, ". ", pieces)
        assert caption == ". ".join(names), f"the caption of {names} with '. ' came out as {caption!r}"
        owners = [None]
        for place, name in enumerate(names):
            owners += [None] if place else []
            owners += [place for word in name.split() for _ in range(0, len(word), 3)]
        expected = torch.tensor([[owner == place for owner in [*owners, None]] for place in range(count)])
        assert_close(positive, expected, message=f"for pieces of up to three letters and names {names}")


@build_prompt.misconception(
    'You searched for each name in the caption. "ring" is found inside "string", and a name that comes twice is found '
    "at its first place both times: note the places while you put the caption together.",
    name="searched-for-the-name",
)
def _(names, separator, offsets):
    caption = separator.join(names)
    starts = [caption.find(name) for name in names]
    tokens = offsets(caption)
    return caption, torch.tensor(
        [[a < e and s < a + len(name) for s, e in tokens] for a, name in zip(starts, names, strict=True)]
    )


@build_prompt.misconception(
    "You let a name end where the next one starts, so that the separator belongs to it. A full stop names nothing.",
    name="separator-inside",
)
def _(names, separator, offsets):
    caption, spans = "", []
    for name in names:
        spans.append((len(caption), len(caption) + len(name) + len(separator)))
        caption += name + separator
    caption = caption[: len(caption) - len(separator)]
    tokens = offsets(caption)
    return caption, torch.tensor([[a < e and s < b for s, e in tokens] for a, b in spans])


@build_prompt.misconception(
    "You counted tokens that only touch a name. An end is the place after the last character, so a token that ends "
    "where the name starts has none of its characters.",
    name="touching-counts",
)
def _(names, separator, offsets):
    spans, start = [], 0
    for name in names:
        spans.append((start, start + len(name)))
        start += len(name) + len(separator)
    caption = separator.join(names)
    tokens = offsets(caption)
    return caption, torch.tensor([[a <= e and s <= b for s, e in tokens] for a, b in spans])


@build_prompt.misconception(
    "You marked the first token of each name alone. A name of several words or pieces has them all, and the loss has "
    "to know.",
    name="first-token-alone",
)
def _(names, separator, offsets):
    spans, start = [], 0
    for name in names:
        spans.append((start, start + len(name)))
        start += len(name) + len(separator)
    caption = separator.join(names)
    tokens = offsets(caption)
    return caption, torch.tensor([[s == a and e > s for s, e in tokens] for a, b in spans])


@build_prompt.misconception(
    "You asked whether a token is within the name, and (0, 0) is within the name that starts at 0. A special token has "
    "no character, so it belongs to no name.",
    name="special-tokens-inside",
)
def _(names, separator, offsets):
    spans, start = [], 0
    for name in names:
        spans.append((start, start + len(name)))
        start += len(name) + len(separator)
    caption = separator.join(names)
    tokens = offsets(caption)
    return caption, torch.tensor([[a <= s and e <= b for s, e in tokens] for a, b in spans])


@build_prompt.also_correct
def _(names, separator, offsets):
    caption, owner = "", []
    for number, name in enumerate(names):
        if number:
            caption, owner = caption + separator, owner + [-1] * len(separator)
        caption, owner = caption + name, owner + [number] * len(name)
    tokens = offsets(caption)
    positive = torch.zeros(len(names), len(tokens), dtype=torch.bool)
    for token, (start, end) in enumerate(tokens):
        for place in owner[start:end]:
            if place >= 0:
                positive[place, token] = True
    return caption, positive


@build_prompt.also_correct
def _(names, separator, offsets):
    lengths = torch.tensor([len(name) for name in names])
    ends = (lengths + len(separator)).cumsum(0) - len(separator)
    caption = separator.join(names)
    start, end = torch.tensor(offsets(caption)).unbind(1)
    return caption, torch.minimum(end, ends[:, None]) > torch.maximum(start, (ends - lengths)[:, None])


# ------------------------------------------------------------------------------------------------ align_logits


@exercise(
    points=4,
    minutes=8,
    importance=3,
    hints=(
        "What is a linear classifier's logit for one class, and what takes the place of its row of weights here?",
        "Dot products of all regions with all words, times the scale, plus the bias. Which number has probability 0 "
        "after a sigmoid?",
        "(B, N, d) and (B, M, d) give (B, N, M). The mask (B, M) has no axis for regions: give it one.",
        "`regions @ words.mT` multiplies within each image, and `x.masked_fill(~mask[:, None], -math.inf)` fills.",
    ),
)
def align_logits(regions, words, log_scale, bias, mask):
    """Return the logit of each region with each token of its image's caption.

    A logit is the dot product of the two vectors, as they are, times exp(log_scale), plus the bias.
    A place without a token has the logit −∞ for every region, so that its probability is 0.
    Gradients have to reach the first four arguments; all stay as they are.

    * regions (B, N, d), words (B, M, d)
    * log_scale, bias: tensors with one number each, which are learned
    * mask (B, M): true where there is a token, else false
    * returns: (B, N, M)
    """
    ### BEGIN SOLUTION
    logits = log_scale.exp() * regions @ words.mT + bias
    return logits.masked_fill(~mask[:, None], -math.inf)
    ### END SOLUTION


@align_logits.test("scales dot products, adds the bias, and leaves padding no chance", points=1)
def _(align_logits):
    regions = torch.tensor([[[1.0, 2.0], [0.0, -1.0], [3.0, 0.5]]])
    words = torch.tensor([[[2.0, 1.0], [9.0, 9.0]]])
    found = align_logits(regions, words, torch.tensor(math.log(0.5)), torch.tensor(-3.0), torch.tensor([[True, False]]))
    expected = torch.tensor([[[-1.0, -math.inf], [-3.5, -math.inf], [0.25, -math.inf]]])
    assert_close(found, expected, rtol=1e-4, atol=1e-4)


@align_logits.hidden("is a linear layer whose rows are the words", points=2)
def _(align_logits, rng):
    for batch, count, tokens, size, log_scale, bias in ((3, 5, 4, 6, 0.8, -1.5), (2, 3, 7, 2, -1.2, 0.4)):
        regions = torch.randn(batch, count, size, generator=rng, dtype=torch.float64)
        words = torch.randn(batch, tokens, size, generator=rng, dtype=torch.float64)
        mask = torch.rand(batch, tokens, generator=rng) < 0.7
        mask[:, 0], mask[0, -1] = True, False
        kept = regions.clone(), words.clone(), mask.clone()
        given = torch.tensor(log_scale, dtype=torch.float64), torch.tensor(bias, dtype=torch.float64)
        found = align_logits(regions, words, *given, mask)
        expected = torch.full((batch, count, tokens), -math.inf, dtype=torch.float64)
        for row in range(batch):
            layer = F.linear(regions[row], words[row] * math.exp(log_scale), torch.full((tokens,), bias).double())
            expected[row] = torch.where(mask[row], layer, expected[row])
        what = f"for B={batch}, N={count}, M={tokens}, d={size}, log_scale={log_scale} and bias={bias}"
        assert_close(found, expected, rtol=1e-6, atol=1e-6, message=what)
        for name, now, before in zip(("regions", "words", "mask"), (regions, words, mask), kept, strict=True):
            assert torch.equal(now, before), f"{name} must stay as it is"


@align_logits.hidden("lets gradients reach regions, words, scale and bias", points=1)
def _(align_logits, rng):
    regions, words = (torch.randn(2, size, 3, generator=rng, dtype=torch.float64).requires_grad_() for size in (4, 5))
    log_scale, bias = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in (0.6, -0.9))
    mask = torch.tensor([[True, True, True, True, False], [True, True, False, False, False]])
    probabilities = align_logits(regions, words, log_scale, bias, mask).sigmoid()
    assert probabilities.requires_grad, "gradients must reach the arguments: leave `detach` and `no_grad` away"
    inputs = regions, words, log_scale, bias
    found = torch.autograd.grad(probabilities.square().sum(), inputs, allow_unused=True)
    expected = (torch.einsum("bnd,bmd->bnm", regions, words) * log_scale.exp() + bias).sigmoid() * mask[:, None]
    wanted = torch.autograd.grad(expected.square().sum(), inputs)
    for name, gradient, right in zip(("regions", "words", "log_scale", "bias"), found, wanted, strict=True):
        assert gradient is not None, f"no gradient reaches {name}: it must stay a tensor, without `item` or `float`"
        assert_close(gradient, right, rtol=1e-6, atol=1e-6, message=f"the gradient of {name}, of Σ probability²")


@align_logits.misconception(
    "You took cosines, as CLIP does. In GLIP the length of a region's vector says how sure it is that anything is "
    "there, and dividing by it takes that away.",
    name="cosines",
)
def _(regions, words, log_scale, bias, mask):
    logits = log_scale.exp() * F.normalize(regions, dim=-1) @ F.normalize(words, dim=-1).mT + bias
    return logits.masked_fill(~mask[:, None], -math.inf)


@align_logits.misconception(
    "You divided by exp(log_scale); it is what dot products are multiplied by, the inverse of a temperature.",
    name="divided-by-the-scale",
)
def _(regions, words, log_scale, bias, mask):
    logits = regions @ words.mT / log_scale.exp() + bias
    return logits.masked_fill(~mask[:, None], -math.inf)


@align_logits.misconception(
    "You multiplied by log_scale; it is the logarithm of the scale, so take exp of it.",
    name="multiplied-by-log-scale",
)
def _(regions, words, log_scale, bias, mask):
    logits = log_scale * regions @ words.mT + bias
    return logits.masked_fill(~mask[:, None], -math.inf)


@align_logits.misconception(
    "You set padding to the logit 0, and a sigmoid makes that a probability of one half. −∞ has the probability 0.",
    name="padding-at-zero",
)
def _(regions, words, log_scale, bias, mask):
    logits = log_scale.exp() * regions @ words.mT + bias
    return logits.masked_fill(~mask[:, None], 0.0)


@align_logits.misconception(
    "You did not use the mask: a place without a token has a vector too, and regions would be compared with it.",
    name="ignored-the-mask",
)
def _(regions, words, log_scale, bias, mask):
    return log_scale.exp() * regions @ words.mT + bias


@align_logits.misconception(
    "You masked the tokens and kept the padding. True marks a token, so it is where the mask is False that −∞ belongs.",
    name="mask-upside-down",
)
def _(regions, words, log_scale, bias, mask):
    logits = log_scale.exp() * regions @ words.mT + bias
    return logits.masked_fill(mask[:, None], -math.inf)


@align_logits.misconception(
    "You added the bias before scaling. It is a logit of its own: the scale multiplies the dot product alone.",
    name="bias-scaled",
)
def _(regions, words, log_scale, bias, mask):
    logits = log_scale.exp() * (regions @ words.mT + bias)
    return logits.masked_fill(~mask[:, None], -math.inf)


@align_logits.misconception(
    "You left the bias out. Most regions show nothing that the caption names, and the bias is what starts them near 0.",
    name="no-bias",
)
def _(regions, words, log_scale, bias, mask):
    return (log_scale.exp() * regions @ words.mT).masked_fill(~mask[:, None], -math.inf)


@align_logits.also_correct
def _(regions, words, log_scale, bias, mask):
    products = torch.einsum("bnd,bmd->bnm", regions, words)
    return torch.where(mask.unsqueeze(1), products * torch.exp(log_scale) + bias, -torch.inf)


@align_logits.also_correct
def _(regions, words, log_scale, bias, mask):
    pairs = (regions[:, :, None, :] * words[:, None, :, :]).sum(-1)
    padding = torch.zeros(mask.shape, dtype=pairs.dtype, device=pairs.device)
    padding[~mask] = -math.inf
    return pairs * log_scale.exp() + bias + padding[:, None]


# ------------------------------------------------------------------------------------------------- token_focal


@exercise(
    points=4,
    minutes=15,
    importance=3,
    hints=(
        "If a model gives the right answer the probability 0.99, how much smaller is (1 − 0.99)² than 1?",
        "Choose the entries that count first, for −∞ times 0 is not a number. Then compute p, the probability of what "
        "is right, for targets of both kinds.",
        "`mask` (B, M) has to become (B, N, M) before it can choose entries. What remains has one axis.",
        '`F.binary_cross_entropy_with_logits(x, t, reduction="none")` is −ln p, computed stably; '
        "`torch.where(t > 0, a, b)` takes a for positive targets.",
    ),
)
def token_focal(logits, targets, mask, alpha=0.25, gamma=2.0):
    """Return the focal loss of word-region logits, over the number of positive entries.

    An entry costs −w (1 − p)^gamma ln p: p is the probability of what is right, by a sigmoid, and w is
    alpha for target 1, 1 − alpha for target 0. Places without a token, with the logit −∞ or any other,
    do not count. Divide the sum by the number of targets 1 that count, at least 1. Loss and gradients
    are finite for logits of ±100 in float32.

    * logits, targets (B, N, M): targets are 0.0 or 1.0
    * mask (B, M): true where there is a token, else false
    * returns: a tensor with one number
    """
    ### BEGIN SOLUTION
    counts = mask[:, None].expand_as(logits)
    x, t = logits[counts], targets[counts]
    right = torch.where(t > 0, x, -x)
    weight = alpha * t + (1 - alpha) * (1 - t)
    losses = -weight * (-right).sigmoid() ** gamma * F.logsigmoid(right)
    return losses.sum() / t.sum().clamp(min=1)
    ### END SOLUTION


@token_focal.test("costs little where the model is right, and much where it is wrong", points=1)
def _(token_focal):
    logits = torch.tensor([[[2.0, -1.0, 7.0], [0.5, 3.0, -7.0]]])
    targets = torch.tensor([[[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]])
    mask = torch.tensor([[True, True, False]])
    total = 0.0
    for logit, weight in ((2.0, 0.25), (0.5, 0.25), (1.0, 0.75), (-3.0, 0.75)):  # of what is right
        p = 1 / (1 + math.exp(-logit))
        total += -weight * (1 - p) ** 2 * math.log(p)
    assert_close(token_focal(logits, targets, mask), torch.tensor(total / 2), rtol=1e-4, atol=1e-5)


@token_focal.hidden("is the same for any alpha and gamma, however many captions are padded", points=1)
def _(token_focal, rng):
    cases = ((2, 5, 4, 0.25, 2.0), (3, 4, 6, 0.6, 1.0), (1, 7, 3, 0.5, 0.0), (2, 3, 5, 0.1, 3.5))
    for batch, count, tokens, alpha, gamma in cases:
        logits = 2 * torch.randn(batch, count, tokens, generator=rng, dtype=torch.float64)
        targets = (torch.rand(batch, count, tokens, generator=rng) < 0.3).double()
        mask = torch.rand(batch, tokens, generator=rng) < 0.7
        mask[:, 0], mask[0, -1], targets[:, 0, 0] = True, False, 1.0
        logits = logits.masked_fill(~mask[:, None], -math.inf)
        kept = logits.clone(), targets.clone(), mask.clone()
        total, positives = 0.0, 0
        for row, region, token in mask[:, None].expand_as(logits).nonzero().tolist():
            positive, logit = bool(targets[row, region, token]), float(logits[row, region, token])
            p = 1 / (1 + math.exp(-logit if positive else logit))
            total -= (alpha if positive else 1 - alpha) * (1 - p) ** gamma * math.log(p)
            positives += positive
        what = f"for B={batch}, N={count}, M={tokens}, alpha={alpha} and gamma={gamma}"
        expected = torch.tensor(total / positives, dtype=torch.float64)
        assert_close(token_focal(logits, targets, mask, alpha, gamma), expected, rtol=1e-6, atol=1e-6, message=what)
        for name, now, before in zip(("logits", "targets", "mask"), (logits, targets, mask), kept, strict=True):
            assert torch.equal(now, before), f"{name} must stay as they are"


@token_focal.hidden("has finite gradients with padding and with large logits, in float32", points=1)
def _(token_focal, rng):
    logits = 3 * torch.randn(2, 4, 5, generator=rng)
    logits[0, 0, :4] = torch.tensor([100.0, -100.0, 100.0, -100.0])
    targets = torch.zeros(2, 4, 5)
    targets[0, 0, :2], targets[1, 2, 1] = 1.0, 1.0
    mask = torch.tensor([[True, True, True, True, False], [True, True, False, False, False]])
    logits = logits.masked_fill(~mask[:, None], -math.inf).requires_grad_()
    loss = token_focal(logits, targets, mask)
    assert loss.requires_grad, "gradients must reach the logits: keep the loss a tensor, without `detach` or `item`"
    (found,) = torch.autograd.grad(loss, logits)
    exact = logits.detach().double().masked_fill(~mask[:, None], 0.0).requires_grad_()
    right = exact * (2 * targets - 1)
    weight = 0.25 * targets + 0.75 * (1 - targets)
    costs = weight * F.softplus(-right) * F.softplus(right).neg().exp().square()
    expected = (costs * mask[:, None]).sum() / 3
    (wanted,) = torch.autograd.grad(expected, exact)
    assert_close(loss.detach(), expected.detach().to(torch.float32), rtol=1e-4, atol=1e-5, message="the loss")
    assert_close(found, wanted.to(torch.float32), rtol=1e-3, atol=1e-5, message="the gradient at the logits")


@token_focal.hidden("divides by 1 where no entry is positive, and ignores positive entries of padding", points=1)
def _(token_focal, rng):
    logits = torch.randn(2, 3, 4, generator=rng, dtype=torch.float64)
    targets = torch.zeros(2, 3, 4, dtype=torch.float64)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    targets[:, :, 3] = 1.0
    p = torch.sigmoid(-logits)
    expected = (-0.75 * (1 - p).square() * p.log() * mask[:, None]).sum()
    assert_close(token_focal(logits, targets, mask), expected, rtol=1e-6, atol=1e-6)


@token_focal.misconception(
    "You took a softmax over the words. Then they compete, and a red ring could not be both red and a ring; a sigmoid "
    "judges each word for itself, and all may be absent.",
    name="softmax-over-words",
)
def _(logits, targets, mask, alpha=0.25, gamma=2.0):
    counts = mask[:, None].expand_as(logits)
    p = logits.masked_fill(~counts, -math.inf).softmax(-1)[counts].clamp(1e-7, 1 - 1e-7)
    t = targets[counts]
    right = torch.where(t > 0, p, 1 - p)
    weight = alpha * t + (1 - alpha) * (1 - t)
    return (-weight * (1 - right) ** gamma * right.log()).sum() / t.sum().clamp(min=1)


@token_focal.misconception(
    "You gave alpha to the targets 0. It is the weight of the targets 1, and the others have 1 − alpha.",
    name="alpha-swapped",
)
def _(logits, targets, mask, alpha=0.25, gamma=2.0):
    counts = mask[:, None].expand_as(logits)
    x, t = logits[counts], targets[counts]
    right = torch.where(t > 0, x, -x)
    weight = alpha * (1 - t) + (1 - alpha) * t
    return (-weight * (-right).sigmoid() ** gamma * F.logsigmoid(right)).sum() / t.sum().clamp(min=1)


@token_focal.misconception(
    "You took the mean over the entries. Nearly all of them are easy zeros, so a longer caption would have a smaller "
    "loss; divide by the number of positive entries.",
    name="mean-over-entries",
)
def _(logits, targets, mask, alpha=0.25, gamma=2.0):
    counts = mask[:, None].expand_as(logits)
    x, t = logits[counts], targets[counts]
    right = torch.where(t > 0, x, -x)
    weight = alpha * t + (1 - alpha) * (1 - t)
    return (-weight * (-right).sigmoid() ** gamma * F.logsigmoid(right)).mean()


@token_focal.misconception(
    "You left the factor (1 − p)^gamma out. The loss is then a weighted cross-entropy, in which thousands of easy "
    "zeros together outweigh the few entries that matter.",
    name="no-focusing",
)
def _(logits, targets, mask, alpha=0.25, gamma=2.0):
    counts = mask[:, None].expand_as(logits)
    x, t = logits[counts], targets[counts]
    right = torch.where(t > 0, x, -x)
    weight = alpha * t + (1 - alpha) * (1 - t)
    return (-weight * F.logsigmoid(right)).sum() / t.sum().clamp(min=1)


@token_focal.misconception(
    "You raised p instead of 1 − p to the power gamma, so that the loss concentrates on what the model already does "
    "well.",
    name="focused-on-the-easy",
)
def _(logits, targets, mask, alpha=0.25, gamma=2.0):
    counts = mask[:, None].expand_as(logits)
    x, t = logits[counts], targets[counts]
    right = torch.where(t > 0, x, -x)
    weight = alpha * t + (1 - alpha) * (1 - t)
    return (-weight * right.sigmoid() ** gamma * F.logsigmoid(right)).sum() / t.sum().clamp(min=1)


@token_focal.misconception(
    "You counted all entries. Whatever stands in a place without a token, a logit or a target, must not change the "
    "loss: choose the entries of tokens first.",
    name="padding-counted",
)
def _(logits, targets, mask, alpha=0.25, gamma=2.0):
    right = torch.where(targets > 0, logits, -logits)
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    losses = -weight * (-right).sigmoid() ** gamma * F.logsigmoid(right)
    return losses.sum() / targets.sum().clamp(min=1)


@token_focal.misconception(
    "You took the logarithm of the sigmoid. At a logit of −100 the sigmoid is 0 in float32 and its logarithm −∞; "
    "`F.logsigmoid` and `F.binary_cross_entropy_with_logits` stay finite.",
    name="logarithm-of-zero",
)
def _(logits, targets, mask, alpha=0.25, gamma=2.0):
    counts = mask[:, None].expand_as(logits)
    p, t = logits[counts].sigmoid(), targets[counts]
    right = torch.where(t > 0, p, 1 - p)
    weight = alpha * t + (1 - alpha) * (1 - t)
    return (-weight * (1 - right) ** gamma * right.log()).sum() / t.sum().clamp(min=1)


@token_focal.also_correct
def _(logits, targets, mask, alpha=0.25, gamma=2.0):
    keep = mask.unsqueeze(1).expand(logits.shape)
    x, t = logits[keep], targets[keep]
    cross_entropy = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    p = x.sigmoid()
    wrong = p * (1 - t) + (1 - p) * t
    return (cross_entropy * wrong**gamma * (alpha * t + (1 - alpha) * (1 - t))).sum() / max(1.0, float(t.sum()))


@token_focal.also_correct
def _(logits, targets, mask, alpha=0.25, gamma=2.0):
    keep = mask[:, None, :].to(logits.dtype)
    x = torch.where(mask[:, None, :], logits, 0)
    ones = alpha * targets * torch.sigmoid(-x) ** gamma * F.softplus(-x)
    zeros = (1 - alpha) * (1 - targets) * torch.sigmoid(x) ** gamma * F.softplus(x)
    return ((ones + zeros) * keep).sum() / (targets * keep).sum().clamp(min=1.0)


# ----------------------------------------------------------------------------------------------- phrase_scores


@exercise(
    points=3,
    minutes=6,
    level="warm-up",
    importance=3,
    hints=(
        'A region is surely red and surely no ring. How much of "red ring" is it, and what would the sigmoid of the '
        "mean "
        "logit say?",
        "Turn logits into probabilities first, and then average over the tokens of each phrase.",
        "(c, M) times (M, N) is (c, N), a sum for each phrase and region. Each phrase has its own number of tokens.",
        "`positive.to(logits.dtype) @ logits.sigmoid().mT` adds up; `positive.sum(1, keepdim=True)` counts.",
    ),
)
def phrase_scores(logits, positive):
    """Return how well each region of an image fits each phrase: the mean probability of its tokens.

    A token's probability is the sigmoid of its logit. It may be 0, for a logit of −∞.

    * logits (N, M): regions and tokens of one caption
    * positive (c, M): bool, which tokens belong to which phrase; each phrase has at least one
    * returns: (c, N), from 0 to 1
    """
    ### BEGIN SOLUTION
    inside = positive.to(logits.dtype)
    return inside @ logits.sigmoid().mT / inside.sum(1, keepdim=True)
    ### END SOLUTION


@phrase_scores.test('gives a region that is red and no ring one half of "red ring"', points=1)
def _(phrase_scores):
    logits = torch.tensor([[8.0, -8.0, -20.0], [8.0, 8.0, 0.0]])
    positive = torch.tensor([[True, True, False], [False, False, True], [True, False, False]])
    half, one = 0.5, 1 / (1 + math.exp(-8))
    expected = torch.tensor([[half, one], [0.0, half], [one, one]])
    assert_close(phrase_scores(logits, positive), expected, rtol=1e-4, atol=1e-6)


@phrase_scores.hidden("averages the tokens of each phrase, however many it has", points=2)
def _(phrase_scores, rng):
    for count, tokens, phrases in ((4, 7, 3), (6, 5, 2), (3, 9, 5)):
        logits = 3 * torch.randn(count, tokens, generator=rng, dtype=torch.float64)
        logits[:, -1] = -math.inf
        positive = torch.rand(phrases, tokens, generator=rng) < 0.4
        positive[:, 1] = True
        kept = logits.clone(), positive.clone()
        expected = torch.zeros(phrases, count, dtype=torch.float64)
        for phrase in range(phrases):
            own = positive[phrase].nonzero()[:, 0].tolist()
            for region in range(count):
                odds = [math.exp(float(logits[region, token])) for token in own]
                expected[phrase, region] = sum(odd / (1 + odd) for odd in odds) / len(own)
        what = f"for N={count}, M={tokens} and c={phrases}"
        assert_close(phrase_scores(logits, positive), expected, rtol=1e-6, atol=1e-6, message=what)
        assert torch.equal(logits, kept[0]), "logits must stay as they are"
        assert torch.equal(positive, kept[1]), "positive must stay as it is"


@phrase_scores.misconception(
    "You averaged the logits and took the sigmoid of that. One word that is surely absent then wipes out a word that "
    "is surely there, or the reverse; average probabilities.",
    name="sigmoid-of-the-mean",
)
def _(logits, positive):
    means = [logits[:, own].mean(1) for own in positive]
    return torch.stack(means).sigmoid()


@phrase_scores.misconception(
    'You took the best token. A red disc would then be as good a "red ring" as a red ring; every word has to count.',
    name="best-token",
)
def _(logits, positive):
    return torch.stack([logits[:, own].amax(1) for own in positive]).sigmoid()


@phrase_scores.misconception(
    "You divided by all tokens of the caption. The same phrase would score lower in a longer caption; divide by the "
    "phrase's own number of tokens.",
    name="divided-by-all-tokens",
)
def _(logits, positive):
    return positive.to(logits.dtype) @ logits.sigmoid().mT / logits.shape[1]


@phrase_scores.misconception(
    "You added the probabilities up, so that a phrase of two words reaches 2; take the mean.",
    name="summed-probabilities",
)
def _(logits, positive):
    return positive.to(logits.dtype) @ logits.sigmoid().mT


@phrase_scores.misconception(
    "You averaged the logits as they are. A score is from 0 to 1: a sigmoid makes probabilities of logits first.",
    name="no-sigmoid",
)
def _(logits, positive):
    return torch.stack([logits[:, own].mean(1) for own in positive])


@phrase_scores.misconception(
    "You multiplied the probabilities. The scores of long phrases would then be small for no other reason than their "
    "length.",
    name="multiplied-probabilities",
)
def _(logits, positive):
    return torch.stack([logits[:, own].sigmoid().prod(1) for own in positive])


@phrase_scores.also_correct
def _(logits, positive):
    return torch.stack([torch.sigmoid(logits[:, own]).mean(dim=1) for own in positive])


@phrase_scores.also_correct
def _(logits, positive):
    shares = positive / positive.sum(-1, keepdim=True)
    return torch.einsum("cm,nm->cn", shares.to(logits.dtype), 1 / (1 + torch.exp(-logits)))


# ----------------------------------------------------------------------------------------------------- box_iou


@exercise(
    points=3,
    minutes=10,
    level="warm-up",
    importance=2,
    hints=(
        "Where does the overlap of two boxes begin, and where does it end? When is there none?",
        "The overlap starts at the larger of the two lefts and ends at the smaller of the two rights, and likewise "
        "from top to bottom. The union is both areas less the overlap, which they count twice.",
        "(n, 1, 2) against (m, 2) gives all pairs (n, m, 2).",
        "`torch.maximum(boxes[:, None, :2], others[:, :2])` is where overlaps start; `clamp(min=0)` removes negative "
        "sides.",
    ),
)
def box_iou(boxes, others):
    """Return the intersection over union of each box with each of the others.

    It is the area that two boxes share, over the area that at least one of them covers. Boxes are
    left, top, right, bottom, with left < right and top < bottom.

    * boxes (n, 4), others (m, 4): n and m may be 0
    * returns: (n, m), from 0 to 1
    """
    ### BEGIN SOLUTION
    start = torch.maximum(boxes[:, None, :2], others[:, :2])
    end = torch.minimum(boxes[:, None, 2:], others[:, 2:])
    shared = (end - start).clamp(min=0).prod(-1)
    areas, other_areas = ((box[:, 2:] - box[:, :2]).prod(-1) for box in (boxes, others))
    return shared / (areas[:, None] + other_areas - shared)
    ### END SOLUTION


@box_iou.test("is the shared area over the covered area, and 0 for boxes apart", points=1)
def _(box_iou):
    boxes = torch.tensor([[0.0, 0.0, 4.0, 3.0], [7.0, 6.0, 9.0, 10.0]])
    others = torch.tensor([[1.0, 1.0, 5.0, 6.0], [0.0, 0.0, 4.0, 3.0], [20.0, 20.0, 21.0, 23.0]])
    expected = torch.tensor([[6 / 26, 1.0, 0.0], [0.0, 0.0, 0.0]])
    assert_close(box_iou(boxes, others), expected, rtol=1e-4, atol=1e-5)


@box_iou.hidden("counts the squares of a grid that two boxes share", points=1)
def _(box_iou, rng):
    for count, other_count in ((5, 7), (4, 3)):
        places = torch.randint(8, (count + other_count, 2), generator=rng)
        sides = torch.randint(1, 7, (count + other_count, 2), generator=rng)
        boxes = torch.cat([places, places + sides], 1)
        axis = torch.arange(15)
        across = (axis >= boxes[:, :1]) & (axis < boxes[:, 2:3])
        down = (axis >= boxes[:, 1:2]) & (axis < boxes[:, 3:])
        covered = across[:, None, :] & down[:, :, None]
        first, second = covered[:count, None], covered[None, count:]
        expected = (first & second).sum((2, 3)).double() / (first | second).sum((2, 3))
        found = box_iou(boxes[:count].double(), boxes[count:].double())
        assert_close(found, expected, rtol=1e-6, atol=1e-6, message=f"for {count} and {other_count} boxes on a grid")


@box_iou.hidden("does not depend on the unit or on where zero is, and takes no boxes as well", points=1)
def _(box_iou, rng):
    corners = torch.rand(9, 2, generator=rng, dtype=torch.float64)
    boxes = torch.cat([corners, corners + 0.2 + torch.rand(9, 2, generator=rng, dtype=torch.float64)], 1)
    kept, plain = boxes.clone(), box_iou(boxes[:3], boxes[3:])
    assert_close(box_iou(0.01 * boxes[:3] - 3, 0.01 * boxes[3:] - 3), plain, rtol=1e-5, atol=1e-6)
    assert torch.equal(boxes, kept), "the boxes must stay as they are"
    for count, other_count in ((0, 3), (2, 0)):
        found = box_iou(boxes[:count], boxes[:other_count])
        assert tuple(found.shape) == (count, other_count), (
            f"{count} and {other_count} boxes need shape {(count, other_count)}, got {tuple(found.shape)}"
        )


@box_iou.misconception(
    "You did not stop at 0: two boxes that are apart both ways have two negative sides, and their product is positive.",
    name="negative-sides",
)
def _(boxes, others):
    start = torch.maximum(boxes[:, None, :2], others[:, :2])
    end = torch.minimum(boxes[:, None, 2:], others[:, 2:])
    shared = (end - start).prod(-1)
    areas, other_areas = ((box[:, 2:] - box[:, :2]).prod(-1) for box in (boxes, others))
    return shared / (areas[:, None] + other_areas - shared)


@box_iou.misconception(
    "You divided by the sum of both areas, which counts the shared part twice; subtract it once.",
    name="shared-part-twice",
)
def _(boxes, others):
    start = torch.maximum(boxes[:, None, :2], others[:, :2])
    end = torch.minimum(boxes[:, None, 2:], others[:, 2:])
    shared = (end - start).clamp(min=0).prod(-1)
    areas, other_areas = ((box[:, 2:] - box[:, :2]).prod(-1) for box in (boxes, others))
    return shared / (areas[:, None] + other_areas)


@box_iou.misconception(
    "You added 1 to each side, as for boxes whose right and bottom pixels belong to them. Here a box ends where its "
    "right side is, and the result would depend on the unit.",
    name="one-pixel-more",
)
def _(boxes, others):
    start = torch.maximum(boxes[:, None, :2], others[:, :2])
    end = torch.minimum(boxes[:, None, 2:], others[:, 2:])
    shared = (end - start + 1).clamp(min=0).prod(-1)
    areas, other_areas = ((box[:, 2:] - box[:, :2] + 1).prod(-1) for box in (boxes, others))
    return shared / (areas[:, None] + other_areas - shared)


@box_iou.misconception(
    "You took the last two numbers for width and height; they are the right and the bottom side.",
    name="width-and-height",
)
def _(boxes, others):
    start = torch.maximum(boxes[:, None, :2], others[:, :2])
    ends = [box[:, :2] + box[:, 2:] for box in (boxes, others)]
    shared = (torch.minimum(ends[0][:, None], ends[1]) - start).clamp(min=0).prod(-1)
    areas, other_areas = (box[:, 2:].prod(-1) for box in (boxes, others))
    return shared / (areas[:, None] + other_areas - shared)


@box_iou.misconception(
    "You divided by the smaller area, so that a small box inside a large one counts as the same box.",
    name="over-the-smaller",
)
def _(boxes, others):
    start = torch.maximum(boxes[:, None, :2], others[:, :2])
    end = torch.minimum(boxes[:, None, 2:], others[:, 2:])
    shared = (end - start).clamp(min=0).prod(-1)
    areas, other_areas = ((box[:, 2:] - box[:, :2]).prod(-1) for box in (boxes, others))
    return shared / torch.minimum(areas[:, None], other_areas)


@box_iou.also_correct
def _(boxes, others):
    found = boxes.new_zeros(len(boxes), len(others))
    for i, (a, b, c, d) in enumerate(boxes.tolist()):
        for j, (e, f, g, h) in enumerate(others.tolist()):
            shared = max(0.0, min(c, g) - max(a, e)) * max(0.0, min(d, h) - max(b, f))
            found[i, j] = shared / ((c - a) * (d - b) + (g - e) * (h - f) - shared)
    return found


@box_iou.also_correct
def _(boxes, others):
    left, top, right, bottom = (side[:, None] for side in boxes.unbind(1))
    left2, top2, right2, bottom2 = others.unbind(1)
    wide = torch.relu(torch.minimum(right, right2) - torch.maximum(left, left2))
    high = torch.relu(torch.minimum(bottom, bottom2) - torch.maximum(top, top2))
    total = (right - left) * (bottom - top) + (right2 - left2) * (bottom2 - top2)
    return wide * high / (total - wide * high)


# --------------------------------------------------------------------------------------------------------- nms


@exercise(
    points=3,
    minutes=12,
    importance=2,
    hints=(
        "Three boxes in a row, A over B over C: B overlaps both, A and C do not overlap. B is not the best. Which "
        "stay?",
        "Go through the boxes from the highest score to the lowest, and keep one if it overlaps none of those that you "
        "have kept too much.",
        "All overlaps are one (n, n) matrix. What is kept is a list of places in `boxes`, which grows.",
        "`scores.argsort(descending=True).tolist()` is the order; "
        "`torch.tensor(kept, dtype=torch.long)` works for an empty list as well.",
    ),
)
def nms(boxes, scores, overlap):
    """Return which boxes remain after non-maximum suppression, from the highest score to the lowest.

    A box is removed if its intersection over union with a box that remains and has a higher score is
    more than `overlap`. A box that was removed removes no other one.

    * boxes (n, 4): left, top, right, bottom; n may be 0
    * scores (n,): no two are equal
    * overlap: from 0 to 1
    * returns: a long tensor of places in `boxes`
    """
    ### BEGIN SOLUTION
    table = box_iou(boxes, boxes)
    kept = []
    for place in scores.argsort(descending=True).tolist():
        if all(table[place, other] <= overlap for other in kept):
            kept.append(place)
    return torch.tensor(kept, dtype=torch.long)
    ### END SOLUTION


@nms.test("keeps what only a removed box overlaps", points=1)
def _(nms):
    row = [[8.0, 0.0, 18.0, 6.0], [4.0, 0.0, 14.0, 6.0], [0.0, 0.0, 10.0, 6.0], [30.0, 0.0, 34.0, 9.0]]
    found = nms(torch.tensor(row), torch.tensor([0.5, 0.7, 0.9, 0.8]), 0.3)
    assert isinstance(found, torch.Tensor), f"the places must be a tensor, got a {type(found).__name__}"
    assert [int(place) for place in found] == [2, 3, 0], (
        f"of the boxes 2 (score 0.9), 3 (0.8), 1 (0.7), 0 (0.5) only 1 overlaps a better one that remains, so [2, 3, "
        f"0] remain, got {[int(place) for place in found]}"
    )


@nms.hidden("keeps the boxes that remain, by score, for any overlap", points=1)
def _(nms, rng):
    for count, overlap in ((12, 0.4), (15, 0.2), (9, 0.7), (14, 0.05)):
        corners = 10 * torch.rand(count, 2, generator=rng, dtype=torch.float64)
        sides = 3 + 7 * torch.rand(count, 2, generator=rng, dtype=torch.float64)
        boxes, scores = torch.cat([corners, corners + sides], 1), torch.randperm(count, generator=rng).double()
        kept_boxes, kept_scores = boxes.clone(), scores.clone()
        left = sorted(range(count), key=lambda place: -scores[place])
        expected = []
        while left:
            best, *left = left
            expected.append(best)
            a, b, c, d = boxes[best].tolist()
            rest = []
            for place in left:
                e, f, g, h = boxes[place].tolist()
                shared = max(0.0, min(c, g) - max(a, e)) * max(0.0, min(d, h) - max(b, f))
                if shared / ((c - a) * (d - b) + (g - e) * (h - f) - shared) <= overlap:
                    rest.append(place)
            left = rest
        found = [int(place) for place in nms(boxes, scores, overlap)]
        assert found == expected, f"for {count} boxes and overlap {overlap}: expected {expected}, got {found}"
        assert torch.equal(boxes, kept_boxes), "the boxes must stay as they are"
        assert torch.equal(scores, kept_scores), "the scores must stay as they are"


@nms.hidden("removes nothing at exactly the overlap, and takes no boxes as well", points=1)
def _(nms):
    boxes = torch.tensor([[0.0, 0.0, 4.0, 2.0], [2.0, 0.0, 4.0, 2.0], [0.0, 0.0, 4.0, 2.5]])
    found = nms(boxes, torch.tensor([0.3, 0.9, 0.6]), 0.5)
    assert [int(place) for place in found] == [1, 2], (
        f"box 2 overlaps box 1 by 0.4, box 0 overlaps box 2 by 0.8, so [1, 2] remain at 0.5, got {found.tolist()}"
    )
    found = nms(boxes[:2], torch.tensor([0.3, 0.9]), 0.5)
    assert [int(place) for place in found] == [1, 0], f"an overlap of 0.5 is not more than 0.5, got {found.tolist()}"
    found = nms(boxes[:0], torch.zeros(0), 0.5)
    assert found.dtype == torch.long, f"places need dtype torch.long, got {found.dtype}"
    assert tuple(found.shape) == (0,), f"no boxes leave no places, shape (0,), got {tuple(found.shape)}"


@nms.misconception(
    "You took the boxes in the order in which they came. The first box then removes better ones; begin with the "
    "highest score.",
    name="not-sorted",
)
def _(boxes, scores, overlap):
    table = box_iou(boxes, boxes)
    kept = []
    for place in range(len(boxes)):
        if all(table[place, other] <= overlap for other in kept):
            kept.append(place)
    return torch.tensor(kept, dtype=torch.long)


@nms.misconception(
    "You began with the lowest score. The box that remains of a group should be its best.", name="lowest-first"
)
def _(boxes, scores, overlap):
    table = box_iou(boxes, boxes)
    kept = []
    for place in scores.argsort().tolist():
        if all(table[place, other] <= overlap for other in kept):
            kept.append(place)
    return torch.tensor(kept, dtype=torch.long)


@nms.misconception(
    "You let removed boxes remove others. What only a removed box overlaps is not explained by any box that remains.",
    name="removed-boxes-remove",
)
def _(boxes, scores, overlap):
    order = scores.argsort(descending=True)
    table = box_iou(boxes[order], boxes[order])
    return order[(table.tril(-1) <= overlap).all(1)]


@nms.misconception(
    "You compared with the best box alone. Each box that remains removes what overlaps it.", name="best-box-alone"
)
def _(boxes, scores, overlap):
    order = scores.argsort(descending=True)
    alone = box_iou(boxes[order], boxes[order[:1]])[:, 0] <= overlap if len(order) else order.bool()
    alone[:1] = True
    return order[alone]


@nms.misconception(
    "You returned the places in the order of `boxes`. They are asked for from the highest score to the lowest.",
    name="order-of-the-boxes",
)
def _(boxes, scores, overlap):
    table = box_iou(boxes, boxes)
    kept = []
    for place in scores.argsort(descending=True).tolist():
        if all(table[place, other] <= overlap for other in kept):
            kept.append(place)
    return torch.tensor(sorted(kept), dtype=torch.long)


@nms.also_correct
def _(boxes, scores, overlap):
    kept, left = [], scores.argsort(descending=True)
    while len(left):
        kept.append(left[0])
        left = left[1:][box_iou(boxes[left[:1]], boxes[left[1:]])[0] <= overlap]
    return torch.stack(kept) if kept else torch.zeros(0, dtype=torch.long)


@nms.also_correct
def _(boxes, scores, overlap):
    order = torch.argsort(-scores)
    table = box_iou(boxes, boxes)[order][:, order] > overlap
    alive = [True] * len(order)
    for i in range(len(order)):
        for j in range(i):
            if alive[j] and table[i, j]:
                alive[i] = False
    return order[torch.tensor(alive, dtype=torch.bool)]


# ------------------------------------------------------------------------------------------- average_precision


@exercise(
    points=4,
    minutes=20,
    importance=2,
    kind="find the bug",
    hints=(
        "What does the wrong code return for five boxes on one shape, and three other shapes that nobody found?",
        "Within an image, go from the highest score to the lowest, and remember which truths are taken. A truth that "
        "is never taken adds nothing, but it counts.",
        "overlaps (k, m) has a row for each box. In a row only truths that are free may be chosen, and m may be 0.",
        "`overlaps[place].masked_fill(taken, -1.0)` leaves taken truths no chance; `argmax` names the best of the "
        "rest.",
    ),
)
def average_precision(found, truths, least=0.5):
    """Find the bugs: this function should return the average precision of the boxes found for one name.

    ```python
    def average_precision(found, truths, least=0.5):
        hits = []
        for (boxes, scores), truth in zip(found, truths):
            for row, score in zip(box_iou(boxes, truth).tolist(), scores.tolist()):
                hits.append((score, any(overlap >= least for overlap in row)))
        hits = [hit for _, hit in sorted(hits, reverse=True)]
        precisions = [sum(hits[: n + 1]) / (n + 1) for n, hit in enumerate(hits) if hit]
        return sum(precisions) / len(precisions)
    ```

    In order of score, a box is compared with the truth of its image that it overlaps most, among those
    not yet taken. If that overlap is at least `least`, the box is right and takes the truth; else it
    takes none. The result is the mean over all truths of the precision down to the box that took it,
    and 0 for truths that none took.

    * found: for each image boxes (k, 4) and scores (k,), in any order; no two scores are equal
    * truths: for each image boxes (m, 4); k and m may be 0, but there is a truth in some image
    * returns: a number from 0 to 1
    """
    ### BEGIN SOLUTION
    hits = []
    for (boxes, scores), truth in zip(found, truths, strict=True):
        overlaps, taken = box_iou(boxes, truth), torch.zeros(len(truth), dtype=torch.bool)
        for place in scores.argsort(descending=True).tolist():
            free = overlaps[place].masked_fill(taken, -1.0)
            hit = len(free) > 0 and free.max().item() >= least
            if hit:
                taken[free.argmax()] = True
            hits.append((scores[place].item(), hit))
    right, total = 0, 0.0
    for count, (_, hit) in enumerate(sorted(hits, reverse=True), 1):
        right += hit
        total += hit * right / count
    return total / sum(len(truth) for truth in truths)
    ### END SOLUTION


average_precision.equivalent(
    "for (boxes, scores), truth in zip(found, truths, strict=False):", "both have an entry for each image"
)


@average_precision.test("counts a truth once, and those that nobody found", points=1)
def _(average_precision):
    truth = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0], [40.0, 0.0, 50.0, 10.0]])
    boxes = torch.tensor(
        [[21.0, 0.0, 31.0, 10.0], [0.0, 1.0, 10.0, 11.0], [0.0, 0.0, 10.0, 9.0], [60.0, 0.0, 70.0, 9.0]]
    )
    found = average_precision([(boxes, torch.tensor([0.5, 0.7, 0.9, 0.8]))], [truth])
    assert_close(float(found), (1 / 1 + 2 / 4) / 3, message="right, wrong, a second time the same, right; one missed")


@average_precision.hidden("ranks the boxes of all images together", points=1)
def _(average_precision, rng):
    for images, count, least in ((3, 5, 0.5), (4, 3, 0.5), (2, 6, 0.5)):
        scores = torch.randperm(images * count, generator=rng).double().view(images, count) / 100
        truths, found, listed = [], [], []
        for image in range(images):
            corners = torch.tensor([[20.0 * place, 50.0 * image] for place in range(count)]).double()
            truth = torch.cat([corners, corners + 10], 1)
            away = torch.rand(count, generator=rng) < 0.4
            boxes = truth + torch.tensor([1.0, 1.0, 1.0, 1.0]) + 300.0 * away[:, None]
            found.append((boxes, scores[image]))
            truths.append(truth[: count - image % 2])  # in every other image the last box is there for nothing
            listed += [
                (float(score), not gone and place < len(truths[-1]))
                for place, (score, gone) in enumerate(zip(scores[image], away.tolist(), strict=True))
            ]
        right, total = 0, 0.0
        for place, (_, hit) in enumerate(sorted(listed, reverse=True)):
            right += hit
            total += right / (place + 1) if hit else 0.0
        expected = total / sum(map(len, truths))
        what = f"for {images} images with {count} boxes each"
        kept = [(boxes.clone(), s.clone()) for boxes, s in found]
        assert_close(float(average_precision(found, truths, least)), expected, rtol=1e-6, atol=1e-6, message=what)
        for (boxes, s), (before, s_before) in zip(found, kept, strict=True):
            assert torch.equal(boxes, before), "the boxes must stay as they are"
            assert torch.equal(s, s_before), "the scores must stay as they are"


@average_precision.hidden("lets a box take the best truth that is free, at any least overlap", points=1)
def _(average_precision):
    truth = torch.tensor([[0.0, 0.0, 10.0, 10.0], [3.0, 0.0, 13.0, 10.0]])
    boxes = torch.tensor([[2.5, 0.0, 12.5, 10.0], [2.0, 0.0, 12.0, 10.0], [30.0, 0.0, 40.0, 10.0]])
    scores = torch.tensor([0.6, 0.9, 0.8])  # overlaps: 0.6, 0.9; 0.67, 0.82
    half = [(torch.tensor([[0.0, 0.0, 1.0, 2.0]]), torch.tensor([0.4]))]
    found = average_precision(half, [torch.tensor([[0.0, 0.0, 1.0, 1.0]])], 0.5)
    assert_close(float(found), 1.0, message="a box whose overlap is exactly least=0.5")
    for least, expected in (
        (0.5, (1 + 2 / 3) / 2),
        (0.85, (1 / 3) / 2),
        (0.7, 1 / 2),
        (0.95, 0.0),
        (0.3, (1 + 2 / 3) / 2),
    ):
        found = average_precision([(boxes, scores)], [truth], least)
        assert_close(float(found), expected, rtol=1e-6, atol=1e-6, message=f"with least={least}")


@average_precision.hidden("takes images without boxes and without truths", points=1)
def _(average_precision):
    none, box = torch.zeros(0, 4), torch.tensor([[0.0, 0.0, 4.0, 6.0]])
    found = [(box, torch.tensor([0.9])), (none, torch.zeros(0)), (box, torch.tensor([0.4])), (none, torch.zeros(0))]
    result = average_precision(found, [none, box, box, none])
    assert_close(float(result), (1 / 2) / 2, message="one wrong, one right, one missed")
    assert_close(float(average_precision([(none, torch.zeros(0))], [box])), 0.0, message="nothing found")


@average_precision.misconception(
    "You let several boxes count as right for one truth. Five boxes on one shape are one found shape and four "
    "mistakes.",
    name="one-truth-many-times",
)
def _(found, truths, least=0.5):
    hits = []
    for (boxes, scores), truth in zip(found, truths, strict=True):
        for row, score in zip(box_iou(boxes, truth).tolist(), scores.tolist(), strict=True):
            hits.append((score, any(overlap >= least for overlap in row)))
    right, total = 0, 0.0
    for count, (_, hit) in enumerate(sorted(hits, reverse=True), 1):
        right += hit
        total += hit * right / count
    return total / sum(len(truth) for truth in truths)


@average_precision.misconception(
    "You divided by the truths that were found. A detector that finds one shape of a hundred would have 1; the missed "
    "ones count as 0.",
    name="missed-truths-left-out",
)
def _(found, truths, least=0.5):
    hits = []
    for (boxes, scores), truth in zip(found, truths, strict=True):
        overlaps, taken = box_iou(boxes, truth), torch.zeros(len(truth), dtype=torch.bool)
        for place in scores.argsort(descending=True).tolist():
            free = overlaps[place].masked_fill(taken, -1.0)
            hit = len(free) > 0 and free.max().item() >= least
            if hit:
                taken[free.argmax()] = True
            hits.append((scores[place].item(), hit))
    right, total = 0, 0.0
    for count, (_, hit) in enumerate(sorted(hits, reverse=True), 1):
        right += hit
        total += hit * right / count
    return total / max(1, right)


@average_precision.misconception(
    "You took the boxes of an image in the order in which they came, so that a poor box may take the truth before the "
    "best one does.",
    name="not-sorted-within-an-image",
)
def _(found, truths, least=0.5):
    hits = []
    for (boxes, scores), truth in zip(found, truths, strict=True):
        overlaps, taken = box_iou(boxes, truth), torch.zeros(len(truth), dtype=torch.bool)
        for place in range(len(boxes)):
            free = overlaps[place].masked_fill(taken, -1.0)
            hit = len(free) > 0 and free.max().item() >= least
            if hit:
                taken[free.argmax()] = True
            hits.append((scores[place].item(), hit))
    right, total = 0, 0.0
    for count, (_, hit) in enumerate(sorted(hits, reverse=True), 1):
        right += hit
        total += hit * right / count
    return total / sum(len(truth) for truth in truths)


@average_precision.misconception(
    "You computed the precision image by image. The boxes of all images are ranked together, so that a confident "
    "mistake in one image costs the others.",
    name="image-by-image",
)
def _(found, truths, least=0.5):
    total = 0.0
    for (boxes, scores), truth in zip(found, truths, strict=True):
        overlaps, taken = box_iou(boxes, truth), torch.zeros(len(truth), dtype=torch.bool)
        right = 0
        for count, place in enumerate(scores.argsort(descending=True).tolist(), 1):
            free = overlaps[place].masked_fill(taken, -1.0)
            hit = len(free) > 0 and free.max().item() >= least
            if hit:
                taken[free.argmax()] = True
            right += hit
            total += hit * right / count
    return total / sum(len(truth) for truth in truths)


@average_precision.misconception(
    "You compared a box only with the truth that it overlaps most, taken or not. If that one is taken, another one "
    "that is free may still be overlapped enough.",
    name="best-truth-even-if-taken",
)
def _(found, truths, least=0.5):
    hits = []
    for (boxes, scores), truth in zip(found, truths, strict=True):
        overlaps, taken = box_iou(boxes, truth), set()
        for place in scores.argsort(descending=True).tolist():
            best = int(overlaps[place].argmax()) if len(truth) else -1
            hit = best >= 0 and best not in taken and overlaps[place, best].item() >= least
            if hit:
                taken.add(best)
            hits.append((scores[place].item(), hit))
    right, total = 0, 0.0
    for count, (_, hit) in enumerate(sorted(hits, reverse=True), 1):
        right += hit
        total += hit * right / count
    return total / sum(len(truth) for truth in truths)


@average_precision.also_correct
def _(found, truths, least=0.5):
    ranked = [(s, image, place) for image, (_, scores) in enumerate(found) for place, s in enumerate(scores.tolist())]
    free = [list(range(len(truth))) for truth in truths]
    precisions, right = [], 0
    for count, (_, image, place) in enumerate(sorted(ranked, reverse=True)):
        row = box_iou(found[image][0][place : place + 1], truths[image])[0].tolist()
        best = max(free[image], key=lambda truth: row[truth], default=None)
        if best is not None and row[best] >= least:
            free[image].remove(best)
            right += 1
            precisions.append(right / (count + 1))
    return sum(precisions) / sum(map(len, truths))


@average_precision.also_correct
def _(found, truths, least=0.5):
    scores, hits = [torch.zeros(0)], [torch.zeros(0)]
    for (boxes, given), truth in zip(found, truths, strict=True):
        table = box_iou(boxes, truth).clone()
        right = torch.zeros(len(boxes))
        for place in given.sort(descending=True).indices:
            if table.numel() and table[place].max() >= least:
                right[place] = 1.0
                table[:, table[place].argmax()] = -1.0
        scores, hits = [*scores, given], [*hits, right]
    right = torch.cat(hits)[torch.cat(scores).argsort(descending=True)].double()
    precision = right.cumsum(0) / torch.arange(1, len(right) + 1)
    return float((precision * right).sum() / sum(len(truth) for truth in truths))


# ------------------------------------------------------------------------------------------------------ ground


@exercise(
    points=5,
    minutes=30,
    level="integrative",
    importance=3,
    hints=(
        "Which of your functions serve training alone, which decoding alone, and which both?",
        "For each image of a batch, build the prompt of its own list of names. A region with an owner has that name's "
        "row of the map as its targets, and any other region has zeros. Decode with one prompt for all images.",
        "targets has the shape of the logits (B, N, M), where M is the length of the longest caption; the map of a "
        "shorter one fills the first columns. Boxes are compared only where the owner is not −1.",
        "`targets[row, there, : positive.shape[1]] = positive[batch.owner[row, there]].to(targets.dtype)`, with "
        "`there` the regions of that image that have an owner.",
    ),
)
def ground(model, batches, lr, images, names):
    """Train a detector on captions with boxes, then find each of the names in new images.

    For each batch take one step of `torch.optim.Adam` on your `token_focal`, plus the mean absolute
    error of the boxes of regions with an owner. A caption lists an image's names, separated by ". ".
    Then find the names, as one caption: boxes that score at least 0.3, after `nms` with overlap 0.5.

    * `model.look(images)`: returns regions (B, N, d) and boxes (B, N, 4)
    * `model.read(captions)`: returns words (B, M, d) and mask (B, M)
    * `model.log_scale`, `model.bias`: parameters
    * batches: each has `images`, `names` (a list for each image), `boxes` (B, N, 4) and `owner`
    * `owner` (B, N): the place in its image's list of the name that a region belongs to, or −1
    * returns: for each image and each name (boxes, scores), best first, without a gradient
    * and returns: the loss of each batch before its step, as floats
    """
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for batch in batches:
        prompts = [build_prompt(listed, ". ", offsets) for listed in batch.names]
        words, mask = model.read([caption for caption, _ in prompts])
        regions, boxes = model.look(batch.images)
        targets = torch.zeros(len(regions), regions.shape[1], words.shape[1], dtype=regions.dtype)
        for row, (_, positive) in enumerate(prompts):
            there = batch.owner[row] >= 0
            targets[row, there, : positive.shape[1]] = positive[batch.owner[row, there]].to(targets.dtype)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        there = batch.owner >= 0
        loss = token_focal(logits, targets, mask) + F.l1_loss(boxes[there], batch.boxes[there])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    found = []
    with torch.no_grad():
        caption, positive = build_prompt(names, ". ", offsets)
        words, mask = (part.expand(len(images), *part.shape[1:]) for part in model.read([caption]))
        regions, boxes = model.look(images)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        for row in range(len(images)):
            answers = []
            for scores in phrase_scores(logits[row], positive):
                sure = scores >= 0.3
                kept = nms(boxes[row, sure], scores[sure], 0.5)
                answers.append((boxes[row, sure][kept], scores[sure][kept]))
            found.append(answers)
    return found, losses
    ### END SOLUTION


ground.equivalent("targets = torch.zeros(len(regions), regions.shape[1], words.shape[1])", "single precision is enough")
ground.equivalent(
    "loss = token_focal(logits, targets, mask) + F.l1_loss(batch.boxes[there], boxes[there])",
    "a difference of absolute value has no sign",
)
ground.equivalent("sure = scores > 0.3", "a score is hardly ever exactly 0.3")
ground.equivalent(
    "padded = F.pad(positive, (0, words.shape[1] - positive.shape[1], 0, 2))",
    "the last row of zeros is the one that -1 names",
)


@ground.test("lowers the loss, and finds shapes of the images that it was trained on", points=1)
def _(ground, rng):
    model = drawn(int(torch.randint(1000, (1,), generator=rng)))
    batch = scenes.batch(3, rng)
    found, losses = ground(model, [batch] * 30, 4e-3, batch.images[:3], list(scenes.SEEN[:4]))
    assert len(losses) == 30, f"30 batches have 30 losses, got {len(losses)}"
    assert losses[-1] < losses[0], f"training must lower the loss: from {losses[0]:.3f} to {losses[-1]:.3f}"
    assert [len(answers) for answers in found] == [4, 4, 4], (
        f"three images and four names need 3 × 4 answers, got {[len(answers) for answers in found]}"
    )
    for answers in found:
        for boxes, scores in answers:
            assert tuple(boxes.shape) == (len(scores), 4), f"k scores need boxes (k, 4), got {tuple(boxes.shape)}"
            assert not boxes.requires_grad, "the boxes must come without a gradient"


@ground.hidden("trains on both losses, and decodes by score and overlap", points=4)
def _(ground, rng):
    for count, size, lr, names in ((3, 4, 4e-3, ["red ring", "ring", "old blue disc"]), (2, 3, 8e-3, ["cross", "red"])):
        model = drawn(int(torch.randint(1000, (1,), generator=rng))).double()
        with torch.no_grad():
            model.bias.fill_(-0.3)
            model.box.bias.fill_(2.0)
        batches = []
        for _ in range(count):
            batch = scenes.batch(size, rng)
            listed = [row[: 3 + place % 3] for place, row in enumerate(batch.names)]
            owner = torch.stack(
                [torch.where(own < len(row), own, -1) for own, row in zip(batch.owner, listed, strict=True)]
            )
            parts = {"images": batch.images.double(), "boxes": batch.boxes.double(), "names": listed, "owner": owner}
            batches.append(dataclasses.replace(batch, **parts))
        given, images = copy.deepcopy(batches), scenes.batch(3, rng).images.double()
        expected, losses = copy.deepcopy(model), []
        optimizer = torch.optim.Adam(expected.parameters(), lr=lr)
        for batch in given:
            words, _ = expected.read([". ".join(row) for row in batch.names])
            regions, boxes = expected.look(batch.images)
            logits = torch.einsum("bnd,bmd->bnm", regions, words) * expected.log_scale.exp() + expected.bias
            total, positives, off, owned = 0, 0, 0, 0
            for row, listed in enumerate(batch.names):
                owners = [place for place, name in enumerate(listed) for _ in [*name.split(), "."]][:-1]
                owners = torch.tensor([-2 if (k + 1) % 3 == 0 else owner for k, owner in enumerate(owners)])
                right = owners == batch.owner[row, :, None]
                x = logits[row, :, : len(owners)] * torch.where(right, 1, -1)
                total = total - (torch.where(right, 0.25, 0.75) * x.neg().sigmoid() ** 2 * F.logsigmoid(x)).sum()
                positives += int(right.sum())
                inside = batch.owner[row] >= 0
                off = off + (boxes[row, inside] - batch.boxes[row, inside]).abs().sum()
                owned += 4 * int(inside.sum())
            loss = total / max(1, positives) + off / owned
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        found = ground(model, batches, lr, images, list(names))
        what = f"with {count} batches of {size} images, a rate of {lr} and the names {names}"
        assert_close(found[1], losses, rtol=1e-4, atol=1e-5, message=f"the loss of each batch {what}")
        with torch.no_grad():
            words = expected.read([". ".join(names)])[0][0]
            regions, boxes = expected.look(images)
            odds = ((regions @ words.T) * expected.log_scale.exp() + expected.bias).sigmoid()
        for row in range(len(images)):
            start = 0
            for place, name in enumerate(names):
                length = len(name.split())
                scores = odds[row, :, start : start + length].mean(1)
                start += length + 1
                left = [box for box in scores.argsort(descending=True).tolist() if scores[box] >= 0.3]
                kept = []
                for box in left:
                    a, b, c, d = boxes[row, box].tolist()
                    free = True
                    for other in kept:
                        e, f, g, h = boxes[row, other].tolist()
                        shared = max(0.0, min(c, g) - max(a, e)) * max(0.0, min(d, h) - max(b, f))
                        free = free and shared <= 0.5 * ((c - a) * (d - b) + (g - e) * (h - f) - shared)
                    kept += [box] if free else []
                which = f"for {name!r} in image {row}, {what}"
                assert_close(found[0][row][place][0], boxes[row, kept], rtol=1e-4, atol=1e-4, message=f"boxes {which}")
                assert_close(found[0][row][place][1], scores[kept], rtol=1e-4, atol=1e-4, message=f"scores {which}")
        for batch, before in zip(batches, given, strict=True):
            assert batch.names == before.names, "the names of the batches must stay as they are"
            for part in ("images", "owner", "boxes"):
                same = torch.equal(getattr(batch, part), getattr(before, part))
                assert same, f"the {part} of the batches must stay as they are"


@ground.misconception(
    "You compared the boxes of all regions. A region without an owner has no box to learn, so it has to be left out.",
    name="boxes-of-all-regions",
)
def _(model, batches, lr, images, names):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for batch in batches:
        prompts = [build_prompt(listed, ". ", offsets) for listed in batch.names]
        words, mask = model.read([caption for caption, _ in prompts])
        regions, boxes = model.look(batch.images)
        targets = torch.zeros(len(regions), regions.shape[1], words.shape[1], dtype=regions.dtype)
        for row, (_, positive) in enumerate(prompts):
            there = batch.owner[row] >= 0
            targets[row, there, : positive.shape[1]] = positive[batch.owner[row, there]].to(targets.dtype)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        loss = token_focal(logits, targets, mask) + F.l1_loss(boxes, batch.boxes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    found = []
    with torch.no_grad():
        caption, positive = build_prompt(names, ". ", offsets)
        words, mask = (part.expand(len(images), *part.shape[1:]) for part in model.read([caption]))
        regions, boxes = model.look(images)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        for row in range(len(images)):
            answers = []
            for scores in phrase_scores(logits[row], positive):
                sure = scores >= 0.3
                kept = nms(boxes[row, sure], scores[sure], 0.5)
                answers.append((boxes[row, sure][kept], scores[sure][kept]))
            found.append(answers)
    return found, losses


@ground.misconception(
    "You used the owner −1 as a place. Python counts −1 from the end, so each empty region learned the last name of "
    "its caption.",
    name="last-name-for-the-empty",
)
def _(model, batches, lr, images, names):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for batch in batches:
        prompts = [build_prompt(listed, ". ", offsets) for listed in batch.names]
        words, mask = model.read([caption for caption, _ in prompts])
        regions, boxes = model.look(batch.images)
        targets = torch.zeros(len(regions), regions.shape[1], words.shape[1], dtype=regions.dtype)
        for row, (_, positive) in enumerate(prompts):
            targets[row, :, : positive.shape[1]] = positive[batch.owner[row]].to(targets.dtype)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        there = batch.owner >= 0
        loss = token_focal(logits, targets, mask) + F.l1_loss(boxes[there], batch.boxes[there])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    found = []
    with torch.no_grad():
        caption, positive = build_prompt(names, ". ", offsets)
        words, mask = (part.expand(len(images), *part.shape[1:]) for part in model.read([caption]))
        regions, boxes = model.look(images)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        for row in range(len(images)):
            answers = []
            for scores in phrase_scores(logits[row], positive):
                sure = scores >= 0.3
                kept = nms(boxes[row, sure], scores[sure], 0.5)
                answers.append((boxes[row, sure][kept], scores[sure][kept]))
            found.append(answers)
    return found, losses


@ground.misconception(
    "You gave all images the caption of the first one. Each image has its own list of names, and its owners are "
    "places in that list.",
    name="one-caption-for-the-batch",
)
def _(model, batches, lr, images, names):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for batch in batches:
        prompts = [build_prompt(listed, ". ", offsets) for listed in batch.names]
        words, mask = model.read([prompts[0][0]] * len(prompts))
        regions, boxes = model.look(batch.images)
        targets = torch.zeros(len(regions), regions.shape[1], words.shape[1], dtype=regions.dtype)
        for row, (_, positive) in enumerate([prompts[0]] * len(prompts)):
            there = batch.owner[row] >= 0
            targets[row, there, : positive.shape[1]] = positive[
                batch.owner[row, there].clamp(max=len(positive) - 1)
            ].to(targets.dtype)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        there = batch.owner >= 0
        loss = token_focal(logits, targets, mask) + F.l1_loss(boxes[there], batch.boxes[there])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    found = []
    with torch.no_grad():
        caption, positive = build_prompt(names, ". ", offsets)
        words, mask = (part.expand(len(images), *part.shape[1:]) for part in model.read([caption]))
        regions, boxes = model.look(images)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        for row in range(len(images)):
            answers = []
            for scores in phrase_scores(logits[row], positive):
                sure = scores >= 0.3
                kept = nms(boxes[row, sure], scores[sure], 0.5)
                answers.append((boxes[row, sure][kept], scores[sure][kept]))
            found.append(answers)
    return found, losses


@ground.misconception(
    "You never set the gradients to zero, so each step follows the sum of all gradients so far.",
    name="gradients-added-up",
)
def _(model, batches, lr, images, names):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for batch in batches:
        prompts = [build_prompt(listed, ". ", offsets) for listed in batch.names]
        words, mask = model.read([caption for caption, _ in prompts])
        regions, boxes = model.look(batch.images)
        targets = torch.zeros(len(regions), regions.shape[1], words.shape[1], dtype=regions.dtype)
        for row, (_, positive) in enumerate(prompts):
            there = batch.owner[row] >= 0
            targets[row, there, : positive.shape[1]] = positive[batch.owner[row, there]].to(targets.dtype)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        there = batch.owner >= 0
        loss = token_focal(logits, targets, mask) + F.l1_loss(boxes[there], batch.boxes[there])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    found = []
    with torch.no_grad():
        caption, positive = build_prompt(names, ". ", offsets)
        words, mask = (part.expand(len(images), *part.shape[1:]) for part in model.read([caption]))
        regions, boxes = model.look(images)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        for row in range(len(images)):
            answers = []
            for scores in phrase_scores(logits[row], positive):
                sure = scores >= 0.3
                kept = nms(boxes[row, sure], scores[sure], 0.5)
                answers.append((boxes[row, sure][kept], scores[sure][kept]))
            found.append(answers)
    return found, losses


@ground.misconception(
    "You trained on the words alone. The boxes of the regions need a loss of their own.",
    name="words-alone",
)
def _(model, batches, lr, images, names):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for batch in batches:
        prompts = [build_prompt(listed, ". ", offsets) for listed in batch.names]
        words, mask = model.read([caption for caption, _ in prompts])
        regions, boxes = model.look(batch.images)
        targets = torch.zeros(len(regions), regions.shape[1], words.shape[1], dtype=regions.dtype)
        for row, (_, positive) in enumerate(prompts):
            there = batch.owner[row] >= 0
            targets[row, there, : positive.shape[1]] = positive[batch.owner[row, there]].to(targets.dtype)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        loss = token_focal(logits, targets, mask)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    found = []
    with torch.no_grad():
        caption, positive = build_prompt(names, ". ", offsets)
        words, mask = (part.expand(len(images), *part.shape[1:]) for part in model.read([caption]))
        regions, boxes = model.look(images)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        for row in range(len(images)):
            answers = []
            for scores in phrase_scores(logits[row], positive):
                sure = scores >= 0.3
                kept = nms(boxes[row, sure], scores[sure], 0.5)
                answers.append((boxes[row, sure][kept], scores[sure][kept]))
            found.append(answers)
    return found, losses


@ground.misconception(
    "You kept every region with a score of at least 0.3. Neighbouring regions show the same shape, and each brings "
    "its own box of it.",
    name="no-suppression",
)
def _(model, batches, lr, images, names):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for batch in batches:
        prompts = [build_prompt(listed, ". ", offsets) for listed in batch.names]
        words, mask = model.read([caption for caption, _ in prompts])
        regions, boxes = model.look(batch.images)
        targets = torch.zeros(len(regions), regions.shape[1], words.shape[1], dtype=regions.dtype)
        for row, (_, positive) in enumerate(prompts):
            there = batch.owner[row] >= 0
            targets[row, there, : positive.shape[1]] = positive[batch.owner[row, there]].to(targets.dtype)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        there = batch.owner >= 0
        loss = token_focal(logits, targets, mask) + F.l1_loss(boxes[there], batch.boxes[there])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    found = []
    with torch.no_grad():
        caption, positive = build_prompt(names, ". ", offsets)
        words, mask = (part.expand(len(images), *part.shape[1:]) for part in model.read([caption]))
        regions, boxes = model.look(images)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        for row in range(len(images)):
            answers = []
            for scores in phrase_scores(logits[row], positive):
                sure = scores >= 0.3
                kept = scores[sure].argsort(descending=True)
                answers.append((boxes[row, sure][kept], scores[sure][kept]))
            found.append(answers)
    return found, losses


@ground.misconception(
    "You returned the best box of each name. A name may be in an image several times, or not at all.",
    name="best-box-alone",
)
def _(model, batches, lr, images, names):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for batch in batches:
        prompts = [build_prompt(listed, ". ", offsets) for listed in batch.names]
        words, mask = model.read([caption for caption, _ in prompts])
        regions, boxes = model.look(batch.images)
        targets = torch.zeros(len(regions), regions.shape[1], words.shape[1], dtype=regions.dtype)
        for row, (_, positive) in enumerate(prompts):
            there = batch.owner[row] >= 0
            targets[row, there, : positive.shape[1]] = positive[batch.owner[row, there]].to(targets.dtype)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        there = batch.owner >= 0
        loss = token_focal(logits, targets, mask) + F.l1_loss(boxes[there], batch.boxes[there])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    found = []
    with torch.no_grad():
        caption, positive = build_prompt(names, ". ", offsets)
        words, mask = (part.expand(len(images), *part.shape[1:]) for part in model.read([caption]))
        regions, boxes = model.look(images)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        for row in range(len(images)):
            answers = []
            for scores in phrase_scores(logits[row], positive):
                sure = scores == scores.max()
                kept = nms(boxes[row, sure], scores[sure], 0.5)
                answers.append((boxes[row, sure][kept], scores[sure][kept]))
            found.append(answers)
    return found, losses


@ground.misconception(
    "You removed boxes of one name because they overlap boxes of another one. Suppression is for boxes of the same "
    'name: a region may be "red" and "ring".',
    name="suppressed-across-names",
)
def _(model, batches, lr, images, names):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    losses = []
    for batch in batches:
        prompts = [build_prompt(listed, ". ", offsets) for listed in batch.names]
        words, mask = model.read([caption for caption, _ in prompts])
        regions, boxes = model.look(batch.images)
        targets = torch.zeros(len(regions), regions.shape[1], words.shape[1], dtype=regions.dtype)
        for row, (_, positive) in enumerate(prompts):
            there = batch.owner[row] >= 0
            targets[row, there, : positive.shape[1]] = positive[batch.owner[row, there]].to(targets.dtype)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        there = batch.owner >= 0
        loss = token_focal(logits, targets, mask) + F.l1_loss(boxes[there], batch.boxes[there])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    found = []
    with torch.no_grad():
        caption, positive = build_prompt(names, ". ", offsets)
        words, mask = (part.expand(len(images), *part.shape[1:]) for part in model.read([caption]))
        regions, boxes = model.look(images)
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        for row in range(len(images)):
            table = phrase_scores(logits[row], positive)
            best, own = table.max(0)
            sure = best >= 0.3
            kept = sure.nonzero()[:, 0][nms(boxes[row, sure], best[sure], 0.5)]
            ours = [kept[own[kept] == place] for place in range(len(names))]
            found.append([(boxes[row, place], best[place]) for place in ours])
    return found, losses


@ground.also_correct
def _(model, batches, lr, images, names):
    optimizer = torch.optim.Adam(list(model.parameters()), lr)

    def compare(regions, captions):
        words, mask = model.read(captions)
        words, mask = words.expand(len(regions), -1, -1), mask.expand(len(regions), -1)
        return align_logits(regions, words, model.log_scale, model.bias, mask), mask

    def step(batch):
        prompts = [build_prompt(row, ". ", offsets) for row in batch.names]
        regions, boxes = model.look(batch.images)
        logits, mask = compare(regions, [prompt[0] for prompt in prompts])
        targets = torch.zeros_like(logits)
        for row, region in (batch.owner >= 0).nonzero().tolist():
            own = prompts[row][1][batch.owner[row, region]]
            targets[row, region, : len(own)] = own.to(logits.dtype)
        mine = batch.owner >= 0
        loss = token_focal(logits, targets, mask) + (boxes - batch.boxes)[mine].abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    losses = [step(batch) for batch in batches]
    caption, positive = build_prompt(names, ". ", offsets)
    regions, boxes = (part.detach() for part in model.look(images))
    logits = compare(regions, [caption])[0].detach()

    def find(row, scores):
        kept = [place for place in nms(boxes[row], scores, 0.5).tolist() if scores[place] >= 0.3]
        return boxes[row][kept], scores[kept]

    return [
        [find(row, scores) for scores in phrase_scores(logits[row], positive)] for row in range(len(images))
    ], losses


@ground.also_correct
def _(model, batches, lr, images, names):
    losses, optimizer = [], torch.optim.Adam(model.parameters(), lr=lr)
    for batch in batches:
        optimizer.zero_grad()
        regions, boxes = model.look(batch.images)
        captions, maps = zip(*(build_prompt(row, ". ", offsets) for row in batch.names), strict=True)
        words, mask = model.read(list(captions))
        logits = align_logits(regions, words, model.log_scale, model.bias, mask)
        rows = []
        for own, positive in zip(batch.owner, maps, strict=True):
            padded = F.pad(positive, (0, words.shape[1] - positive.shape[1], 0, 1))
            rows.append(padded[own])  # −1 is the row of zeros
        owned = batch.owner != -1
        loss = token_focal(logits, torch.stack(rows).to(logits.dtype), mask)
        loss = loss + F.l1_loss(boxes[owned], batch.boxes[owned])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    found = []
    caption, positive = build_prompt(names, ". ", offsets)
    with torch.no_grad():
        for image in images:
            regions, boxes = model.look(image[None])
            words, mask = model.read([caption])
            table = phrase_scores(align_logits(regions, words, model.log_scale, model.bias, mask)[0], positive)
            answers = []
            for scores in table:
                places = (scores >= 0.3).nonzero()[:, 0]
                places = places[nms(boxes[0, places], scores[places], 0.5)]
                answers.append((boxes[0, places], scores[places]))
            found.append(answers)
    return found, losses
