import math

import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=2,
    hints=(
        "If you sort the tokens by probability, how much probability comes before the last one that you keep?",
        "A token stays if the tokens before it sum to less than top_p, so the token that crosses the line stays, and "
        "so does the first.",
        "Everything is (V,). Whatever you decide in sorted order, you have to bring back to the order of the logits.",
        "`scaled.topk(k).values[-1]` is the smallest logit that top-k keeps; `torch.zeros_like(gone).scatter(0, "
        "order, gone)` undoes the sorting.",
    ),
)
def filter_logits(logits, temperature=1.0, top_k=None, top_p=None):
    """Return the logits to draw the next token from, with -inf for each token that is removed.

    In this order:

    * divide by temperature (> 0);
    * top_k (1 or more): keep the top_k largest, and any that equal the smallest of them;
    * top_p (0 to 1): renormalise the rest and keep the fewest most probable tokens whose probabilities sum to at least
      top_p, but always at least one. Where tokens at the border are equal, any of them may stay.

    None switches a filter off. logits (V,), floats, stay as they are. Return (V,).
    """
    ### BEGIN SOLUTION
    scaled = logits / temperature
    if top_k is not None:
        weakest = scaled.topk(min(top_k, len(scaled))).values[-1]
        scaled = scaled.masked_fill(scaled < weakest, -math.inf)
    if top_p is not None:
        probability, order = scaled.softmax(-1).sort(descending=True)
        gone = probability.cumsum(-1) - probability >= top_p
        gone[0] = False
        scaled = scaled.masked_fill(torch.zeros_like(gone).scatter(0, order, gone), -math.inf)
    return scaled
    ### END SOLUTION


filter_logits.equivalent("probability, order = scaled.softmax(0).sort(descending=True)", "the logits have one axis")


filter_logits.equivalent("gone = probability.cumsum(0) - probability >= top_p", "the logits have one axis")


filter_logits.equivalent(
    "gone = probability.cumsum(-1) - probability > top_p",
    "differs only where probabilities sum to top_p to the last digit, which rounding decides",
)

filter_logits.equivalent(
    "scaled = scaled.masked_fill(torch.ones_like(gone).scatter(0, order, gone), -math.inf)",
    "every place is written over",
)


@filter_logits.test("divides by the temperature, and keeps what top-k and top-p keep", points=1)
def _(filter_logits):
    logits = torch.tensor([0.5, 0.3, 0.2]).log()
    assert_close(filter_logits(logits, 0.5), 2 * logits, message="with temperature 0.5 alone")
    expected = torch.tensor([0.5, 0.3, 0.0]).log()
    assert_close(filter_logits(logits, top_k=2), expected, message="with top_k=2 the third goes")
    assert_close(
        filter_logits(logits, top_p=0.6), expected, message="0.5 is less than 0.6, so the second is needed too"
    )


@filter_logits.hidden("keeps exactly the top k, ties included", points=1)
def _(filter_logits, rng):
    logits = torch.randn(9, generator=rng, dtype=torch.float64)
    kept = logits.clone()
    for k in (3, 1, 9, 20):
        for temperature in (0.3, 1.0, 2.5):
            scaled = logits / temperature
            expected = scaled.masked_fill(scaled < scaled.sort().values[-min(k, 9)], -math.inf)
            what = f"with temperature {temperature:g} and top_k={k}"
            assert_close(filter_logits(logits, temperature, k), expected, rtol=1e-6, atol=1e-6, message=what)
    assert torch.equal(logits, kept), "the argument logits must stay as it is"
    tied = torch.tensor([1.0, 3.0, 2.0, 2.0, 0.0])
    expected = torch.tensor([-math.inf, 3.0, 2.0, 2.0, -math.inf])
    assert_close(filter_logits(tied, top_k=2), expected, message="a token that equals the weakest of the top 2 stays")


@filter_logits.hidden("keeps the fewest tokens that reach top-p, also after top-k", points=2)
def _(filter_logits, rng):
    for _ in range(3):
        probability = torch.tensor([0.31, 0.24, 0.18, 0.12, 0.08, 0.04, 0.03], dtype=torch.float64)
        place = torch.randperm(7, generator=rng)
        logits = torch.empty(7, dtype=torch.float64).scatter(0, place, probability.log()) + 2.0
        cases = [
            (1.0, None, p, n) for p, n in ((0.3, 1), (0.33, 2), (0.6, 3), (0.75, 4), (0.95, 6), (1.0, 7), (0.0, 1))
        ]
        cases += [
            (1.0, 3, 0.5, 2),
            (1.0, 3, 0.4, 1),
            (1.0, 5, 0.8, 4),
            (1.0, 2, 0.9, 2),
        ]  # renormalised among the top k
        for temperature, top_k, top_p, count in cases:
            expected = torch.full((7,), -math.inf, dtype=torch.float64)
            expected[place[:count]] = logits[place[:count]] / temperature
            found = filter_logits(logits, temperature, top_k, top_p)
            what = f"with probabilities 31, 24, 18, 12, 8, 4, 3 % in some order, top_k={top_k}, top_p={top_p:g}"
            assert_close(found, expected, rtol=1e-6, atol=1e-6, message=what)
        for temperature, top_p, count in ((0.5, 0.6, 2), (0.25, 0.6, 1), (3.0, 0.6, 4)):
            expected = torch.full((7,), -math.inf, dtype=torch.float64)
            expected[place[:count]] = logits[place[:count]] / temperature
            what = f"at temperature {temperature:g}, top_p={top_p:g} is measured on the tempered probabilities"
            assert_close(filter_logits(logits, temperature, None, top_p), expected, rtol=1e-6, atol=1e-6, message=what)


@filter_logits.misconception(
    "You removed the token that crosses the line; keep it, because without it the kept tokens sum to less than top_p.",
    name="dropped-crossing-token",
)
def _(logits, temperature=1.0, top_k=None, top_p=None):
    scaled = logits / temperature
    if top_k is not None:
        scaled = scaled.masked_fill(scaled < scaled.topk(min(top_k, len(scaled))).values[-1], -math.inf)
    if top_p is not None:
        probability, order = scaled.softmax(-1).sort(descending=True)
        gone = probability.cumsum(-1) > top_p
        gone[0] = False
        scaled = scaled.masked_fill(torch.zeros_like(gone).scatter(0, order, gone), -math.inf)
    return scaled


@filter_logits.misconception(
    "You applied top-p before the temperature; apply it afterwards, to the probabilities that the token is really "
    "drawn from.",
    name="filtered-before-temperature",
)
def _(logits, temperature=1.0, top_k=None, top_p=None):
    kept = logits
    if top_k is not None:
        kept = kept.masked_fill(kept < kept.topk(min(top_k, len(kept))).values[-1], -math.inf)
    if top_p is not None:
        probability, order = kept.softmax(-1).sort(descending=True)
        gone = probability.cumsum(-1) - probability >= top_p
        gone[0] = False
        kept = kept.masked_fill(torch.zeros_like(gone).scatter(0, order, gone), -math.inf)
    return kept / temperature


@filter_logits.misconception(
    "You multiplied by the temperature; divide the logits by it, because a low temperature should make the "
    "distribution sharper.",
    name="multiplied-temperature",
)
def _(logits, temperature=1.0, top_k=None, top_p=None):
    scaled = logits * temperature
    if top_k is not None:
        scaled = scaled.masked_fill(scaled < scaled.topk(min(top_k, len(scaled))).values[-1], -math.inf)
    if top_p is not None:
        probability, order = scaled.softmax(-1).sort(descending=True)
        gone = probability.cumsum(-1) - probability >= top_p
        gone[0] = False
        scaled = scaled.masked_fill(torch.zeros_like(gone).scatter(0, order, gone), -math.inf)
    return scaled


@filter_logits.misconception(
    "You removed every token when top_p is 0, because even the first token is past the line; always keep at least one.",
    name="nothing-left",
)
def _(logits, temperature=1.0, top_k=None, top_p=None):
    scaled = logits / temperature
    if top_k is not None:
        scaled = scaled.masked_fill(scaled < scaled.topk(min(top_k, len(scaled))).values[-1], -math.inf)
    if top_p is not None:
        probability, order = scaled.softmax(-1).sort(descending=True)
        gone = probability.cumsum(-1) - probability >= top_p
        scaled = scaled.masked_fill(torch.zeros_like(gone).scatter(0, order, gone), -math.inf)
    return scaled


@filter_logits.misconception(
    "You computed the top-p line from the probabilities before top-k; renormalise what top-k leaves first, so its "
    "probabilities sum to 1.",
    name="nucleus-before-top-k",
)
def _(logits, temperature=1.0, top_k=None, top_p=None):
    scaled = logits / temperature
    probability, order = scaled.softmax(-1).sort(descending=True)
    if top_k is not None:
        scaled = scaled.masked_fill(scaled < scaled.topk(min(top_k, len(scaled))).values[-1], -math.inf)
    if top_p is not None:
        gone = probability.cumsum(-1) - probability >= top_p
        gone[0] = False
        scaled = scaled.masked_fill(torch.zeros_like(gone).scatter(0, order, gone), -math.inf)
    return scaled


@filter_logits.misconception(
    "You made the decision in sorted order but applied it to the logits in their original order; use the indices from "
    "the sort to bring it back.",
    name="sorted-order",
)
def _(logits, temperature=1.0, top_k=None, top_p=None):
    scaled = logits / temperature
    if top_k is not None:
        scaled = scaled.masked_fill(scaled < scaled.topk(min(top_k, len(scaled))).values[-1], -math.inf)
    if top_p is not None:
        probability, _ = scaled.softmax(-1).sort(descending=True)
        gone = probability.cumsum(-1) - probability >= top_p
        gone[0] = False
        scaled = scaled.masked_fill(gone, -math.inf)
    return scaled


@filter_logits.misconception(
    "You set the removed logits to 0, where a token can still be drawn; only -inf has probability 0.",
    name="zeroed",
)
def _(logits, temperature=1.0, top_k=None, top_p=None):
    scaled = logits / temperature
    if top_k is not None:
        scaled = scaled.masked_fill(scaled < scaled.topk(min(top_k, len(scaled))).values[-1], 0.0)
    if top_p is not None:
        probability, order = scaled.softmax(-1).sort(descending=True)
        gone = probability.cumsum(-1) - probability >= top_p
        gone[0] = False
        scaled = scaled.masked_fill(torch.zeros_like(gone).scatter(0, order, gone), 0.0)
    return scaled


@filter_logits.also_correct
def _(logits, temperature=1.0, top_k=None, top_p=None):
    scaled = logits.clone().div_(temperature)
    order = sorted(range(len(scaled)), key=lambda i: -float(scaled[i]))
    keep = set(order)
    if top_k is not None:
        weakest = scaled[order[min(top_k, len(order)) - 1]]
        keep = {i for i in keep if scaled[i] >= weakest}
    if top_p is not None:
        left = [i for i in order if i in keep]
        share = scaled[left].softmax(0)
        count = min(int((share.cumsum(0) < top_p).sum()) + 1, len(left))
        keep = set(left[:count])
    for i in range(len(scaled)):
        if i not in keep:
            scaled[i] = -math.inf
    return scaled


@filter_logits.also_correct
def _(logits, temperature=1.0, top_k=None, top_p=None):
    scaled = logits / temperature
    if top_k is not None and top_k < scaled.numel():
        scaled = torch.where(
            scaled < torch.topk(scaled, top_k)[0][-1], torch.tensor(-math.inf, dtype=scaled.dtype), scaled
        )
    if top_p is not None:
        ascending, order = torch.sort(scaled)
        remove = ascending.softmax(-1).cumsum(-1) <= (1 - top_p)
        remove[-1] = False
        scaled = scaled.masked_fill(remove.scatter(0, order, remove), -math.inf)
    return scaled
