import math

import torch
from studium import assert_close, exercise
from torch import Tensor
from torch.nn import functional as F


@exercise(
    points=6,
    minutes=20,
    hints=(
        "Which side provides the queries, and which the keys and values? An image has H W places, and a caption has L "
        "words.",
        "Each place gets a weighted average of the words' values. The weights of one place over the words sum to 1, "
        "separately in each head.",
        "The queries are (B, heads, H W, C / heads), keys and values (B, heads, L, C / heads), and scores (B, heads, "
        "H W, L). The mask (B, L) is the same for all heads and places.",
        "`x.flatten(2).mT`, `F.linear`, `.unflatten(-1, (heads, -1)).transpose(1, 2)`, "
        "`.masked_fill(~mask[:, None, None], -math.inf).softmax(-1)`, and back with `.unflatten(2, (H, W))`.",
    ),
    level="core",
    importance=3,
)
def cross_attend(
    x: Tensor, context: Tensor, wq: Tensor, wk: Tensor, wv: Tensor, wo: Tensor, heads: int, mask: Tensor
) -> Tensor:
    """Return, for every place of an image, what it reads from the words of its caption.

    * x: (B, C, H, W); context: (B, L, E), one vector for each word
    * wq, wo: (C, C); wk, wv: (C, E), rows are outputs, as in `nn.Linear`
    * heads: divides C; head i has the i-th block of C / heads rows of wq, wk and wv
    * mask: (B, L) bool, True for words, False for padding, which no place may read; each row has a word
    * returns: (B, C, H, W), after wo; gradients flow

    Divide the scores by the root of a head's width. Queries come from the image, keys and values from the words.
    """
    ### BEGIN SOLUTION
    size = x.shape[2:]
    q = F.linear(x.flatten(2).mT, wq)  # (B, H W, C)
    k, v = F.linear(context, wk), F.linear(context, wv)  # (B, L, C)
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))  # (B, heads, ., C / heads)
    scores = q @ k.mT / math.sqrt(q.shape[-1])  # (B, heads, H W, L)
    read = scores.masked_fill(~mask[:, None, None], -math.inf).softmax(-1) @ v
    out = F.linear(read.transpose(1, 2).flatten(2), wo)  # (B, H W, C)
    return out.mT.unflatten(2, size)
    ### END SOLUTION


@cross_attend.test("reads the one word of a caption at every place", points=1)
def _(cross_attend, rng):
    x = torch.randn(2, 4, 3, 5, generator=rng)
    context = torch.randn(2, 3, 6, generator=rng)
    wq, wo = (torch.randn(4, 4, generator=rng) for _ in range(2))
    wk, wv = (torch.randn(4, 6, generator=rng) for _ in range(2))
    mask = torch.tensor([[False, True, False], [False, False, True]])
    got = cross_attend(x, context, wq, wk, wv, wo, 2, mask)
    values = torch.stack([context[0, 1] @ wv.T @ wo.T, context[1, 2] @ wv.T @ wo.T])  # (2, 4)
    expected = values.view(2, 4, 1, 1).expand(2, 4, 3, 5)
    assert_close(got, expected, rtol=1e-4, atol=1e-5, message="image 0 has word 1 alone, image 1 has word 2 alone")


@cross_attend.hidden("is scaled dot-product attention with several heads", points=2)
def _(cross_attend, rng):
    for heads, width, told, places, words in ((2, 6, 5, (3, 4), 7), (3, 12, 4, (3, 2), 5), (1, 4, 7, (1, 5), 2)):
        x = torch.randn(2, width, *places, generator=rng, dtype=torch.float64)
        context = torch.randn(2, words, told, generator=rng, dtype=torch.float64)
        wq, wo = (torch.randn(width, width, generator=rng, dtype=torch.float64) for _ in range(2))
        wk, wv = (torch.randn(width, told, generator=rng, dtype=torch.float64) for _ in range(2))
        mask = torch.rand(2, words, generator=rng) < 0.6
        mask[:, int(torch.randint(words, (), generator=rng))] = True
        rows, allowed = x.movedim(1, -1).reshape(2, -1, width), mask.unsqueeze(1)  # (2, H W, C), (2, 1, L)
        each = [
            F.scaled_dot_product_attention(rows @ q.T, context @ k.T, context @ v.T, allowed)
            for q, k, v in zip(*(weight.chunk(heads) for weight in (wq, wk, wv)), strict=True)
        ]
        expected = (torch.cat(each, -1) @ wo.T).view(2, *places, width).movedim(-1, 1)
        got = cross_attend(x, context, wq, wk, wv, wo, heads, mask)
        assert_close(got, expected, rtol=1e-4, atol=1e-5, message=f"{heads} heads, image {places}, {words} words")


@cross_attend.hidden("never reads padding, and does not mind the order of the words", points=1)
def _(cross_attend, rng):
    x = torch.randn(2, 4, 3, 2, generator=rng, dtype=torch.float64)
    context = torch.randn(2, 5, 3, generator=rng, dtype=torch.float64)
    wq, wo = (torch.randn(4, 4, generator=rng, dtype=torch.float64) for _ in range(2))
    wk, wv = (torch.randn(4, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    mask = torch.tensor([[True, True, False, True, False], [False, True, True, False, True]])
    first = cross_attend(x, context, wq, wk, wv, wo, 2, mask)
    other = torch.where(mask.unsqueeze(2), context, 100.0)
    assert_close(cross_attend(x, other, wq, wk, wv, wo, 2, mask), first, message="the same words, other padding")
    order = torch.randperm(5, generator=rng)
    turned = cross_attend(x, context[:, order], wq, wk, wv, wo, 2, mask[:, order])
    assert_close(turned, first, rtol=1e-5, atol=1e-6, message="words and mask in another order")


@cross_attend.hidden("lets gradients flow to the image, the words and all weights", points=1)
def _(cross_attend, rng):
    shapes = ((2, 4, 3, 2), (2, 3, 5), (4, 4), (4, 5), (4, 5), (4, 4))
    parts = [torch.randn(shape, generator=rng, dtype=torch.float64).requires_grad_() for shape in shapes]
    mask = torch.tensor([[True, True, False], [True, True, True]])
    got = cross_attend(*parts, 2, mask)
    assert got.requires_grad, "gradients are expected to flow, but the result has none"
    weight = torch.randn(got.shape, generator=rng, dtype=torch.float64)
    (got * weight).sum().backward()
    assert all(part.grad is not None for part in parts), "gradients are expected for image, words and all four weights"
    kept = [part.detach() for part in parts]
    for place in range(6):  # a central difference along one random direction
        step = torch.randn(shapes[place], generator=rng, dtype=torch.float64)
        ahead, behind = (
            float(
                (cross_attend(*[p + e * step if i == place else p for i, p in enumerate(kept)], 2, mask) * weight).sum()
            )
            for e in (1e-5, -1e-5)
        )
        slope = float((parts[place].grad * step).sum())
        assert_close(slope, (ahead - behind) / 2e-5, rtol=1e-3, atol=1e-4, message=f"the slope along argument {place}")


@cross_attend.hidden("leaves its arguments as they are, and treats each image by itself", points=1)
def _(cross_attend, rng):
    x = torch.randn(3, 6, 2, 2, generator=rng, dtype=torch.float64)
    context = torch.randn(3, 4, 5, generator=rng, dtype=torch.float64)
    wq, wo = (torch.randn(6, 6, generator=rng, dtype=torch.float64) for _ in range(2))
    wk, wv = (torch.randn(6, 5, generator=rng, dtype=torch.float64) for _ in range(2))
    mask = torch.tensor([[True, False, True, True], [True, True, False, False], [False, False, False, True]])
    kept = [part.clone() for part in (x, context, mask)]
    got = cross_attend(x, context, wq, wk, wv, wo, 3, mask)
    assert_close([x, context, mask], kept, message="the arguments after the call")
    for row in range(3):
        alone = cross_attend(x[row : row + 1], context[row : row + 1], wq, wk, wv, wo, 3, mask[row : row + 1])
        assert_close(alone[0], got[row], rtol=1e-5, atol=1e-6, message=f"image {row} alone")


@cross_attend.misconception(
    "You took the softmax over the places; each place distributes its own attention over the words, so take it over "
    "the words.",
    name="softmax-over-places",
)
def _(x, context, wq, wk, wv, wo, heads, mask):
    q = F.linear(x.flatten(2).mT, wq)
    q, k, v = (p.unflatten(-1, (heads, -1)).transpose(1, 2) for p in (q, F.linear(context, wk), F.linear(context, wv)))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    read = scores.softmax(2).masked_fill(~mask[:, None, None], 0.0) @ v
    return F.linear(read.transpose(1, 2).flatten(2), wo).mT.unflatten(2, x.shape[2:])


@cross_attend.misconception(
    "You reshaped (B, C, H, W) into rows without moving the channels to the end; a row is then C neighbouring numbers "
    "of some channel instead of a place of the image.",
    name="rows-without-permuting",
)
def _(x, context, wq, wk, wv, wo, heads, mask):
    q = F.linear(x.reshape(len(x), -1, x.shape[1]), wq)
    q, k, v = (p.unflatten(-1, (heads, -1)).transpose(1, 2) for p in (q, F.linear(context, wk), F.linear(context, wv)))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    read = scores.masked_fill(~mask[:, None, None], -math.inf).softmax(-1) @ v
    return F.linear(read.transpose(1, 2).flatten(2), wo).reshape(x.shape)


@cross_attend.misconception(
    "You scaled by the root of all C channels; a score is a sum over one head, so use the root of C / heads.",
    name="scaled-by-all-channels",
)
def _(x, context, wq, wk, wv, wo, heads, mask):
    q = F.linear(x.flatten(2).mT, wq)
    q, k, v = (p.unflatten(-1, (heads, -1)).transpose(1, 2) for p in (q, F.linear(context, wk), F.linear(context, wv)))
    scores = q @ k.mT / math.sqrt(x.shape[1])
    read = scores.masked_fill(~mask[:, None, None], -math.inf).softmax(-1) @ v
    return F.linear(read.transpose(1, 2).flatten(2), wo).mT.unflatten(2, x.shape[2:])


@cross_attend.misconception(
    "You let the places read padding. Give it scores of minus infinity before the softmax, because the empty caption "
    "would otherwise read words that are not there.",
    name="reads-padding",
)
def _(x, context, wq, wk, wv, wo, heads, mask):
    q = F.linear(x.flatten(2).mT, wq)
    q, k, v = (p.unflatten(-1, (heads, -1)).transpose(1, 2) for p in (q, F.linear(context, wk), F.linear(context, wv)))
    read = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1) @ v
    return F.linear(read.transpose(1, 2).flatten(2), wo).mT.unflatten(2, x.shape[2:])


@cross_attend.misconception(
    "You used the mask upside down; True marks the words, and no place may read the padding.", name="mask-inverted"
)
def _(x, context, wq, wk, wv, wo, heads, mask):
    q = F.linear(x.flatten(2).mT, wq)
    q, k, v = (p.unflatten(-1, (heads, -1)).transpose(1, 2) for p in (q, F.linear(context, wk), F.linear(context, wv)))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    read = scores.masked_fill(mask[:, None, None], -math.inf).softmax(-1) @ v
    return F.linear(read.transpose(1, 2).flatten(2), wo).mT.unflatten(2, x.shape[2:])


@cross_attend.misconception(
    "You averaged the words into one vector first. All places then read the same, and none can look at the word that "
    "concerns it; let each place weigh the words.",
    name="pooled-caption",
)
def _(x, context, wq, wk, wv, wo, heads, mask):
    weight = mask.to(x.dtype).unsqueeze(2)
    pooled = (context * weight).sum(1) / weight.sum(1)
    out = F.linear(F.linear(pooled, wv), wo)
    return out[..., None, None].expand(x.shape)


@cross_attend.misconception("You left out wo; after you join the heads, one more matrix mixes them.", name="without-wo")
def _(x, context, wq, wk, wv, wo, heads, mask):
    q = F.linear(x.flatten(2).mT, wq)
    q, k, v = (p.unflatten(-1, (heads, -1)).transpose(1, 2) for p in (q, F.linear(context, wk), F.linear(context, wv)))
    scores = q @ k.mT / math.sqrt(q.shape[-1])
    read = scores.masked_fill(~mask[:, None, None], -math.inf).softmax(-1) @ v
    return read.transpose(1, 2).flatten(2).mT.unflatten(2, x.shape[2:])


@cross_attend.also_correct
def _(x, context, wq, wk, wv, wo, heads, mask):
    B, C, H, W = x.shape

    def split(rows):
        return rows.reshape(B, -1, heads, C // heads).transpose(1, 2)

    q = split(x.permute(0, 2, 3, 1).reshape(B, H * W, C) @ wq.T)
    read = F.scaled_dot_product_attention(q, split(context @ wk.T), split(context @ wv.T), mask[:, None, None])
    return (read.transpose(1, 2).reshape(B, H * W, C) @ wo.T).transpose(1, 2).reshape(B, C, H, W)


@cross_attend.also_correct
def _(x, context, wq, wk, wv, wo, heads, mask):
    width, out = x.shape[1] // heads, torch.zeros_like(x)
    for head in range(heads):
        rows = slice(head * width, (head + 1) * width)
        q = torch.einsum("bchw,dc->bhwd", x, wq[rows])
        k, v = context @ wk[rows].T, context @ wv[rows].T
        scores = torch.einsum("bhwd,bld->bhwl", q, k) / width**0.5
        scores = scores + torch.zeros_like(scores).masked_fill(~mask[:, None, None], -math.inf)
        read = torch.einsum("bhwl,bld->bhwd", scores.softmax(-1), v)
        out = out + torch.einsum("bhwd,cd->bchw", read, wo[:, rows])
    return out
