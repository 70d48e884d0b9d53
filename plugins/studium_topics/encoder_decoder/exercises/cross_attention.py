import math

import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    hints=(
        "One side asks and the other side answers. Which arguments belong to which side?",
        "The queries come from x; the keys and values are already there. Add the bias before the softmax, and join "
        "the heads again afterwards.",
        "The queries are (B, H, T, d), scores and weights (B, H, T, S), and the mixed values (B, H, T, d), then (B, "
        "T, D).",
        "`scores = q @ keys.mT + bias`, `scores.softmax(-1) @ values`, `.transpose(1, 2).flatten(2)`, "
        "`F.linear(mixed, wo)`. T5 does not divide the scores.",
    ),
)
def cross_attention(x, keys, values, wq, wo, bias):
    """Return what each position of x reads from a memory of keys and values, without scaling the scores, as in T5.

    - x (B, T, D): the vectors that the queries come from.
    - keys, values (M, H, S, d), H · d = D: the memory, from `remember`; M is B, or 1 if all rows of x share one memory.
    - wq, wo (D, D): the matrices of queries and output, as in nn.Linear, no biases.
    - bias, broadcastable to (B, H, T, S): added to the scores; -inf where x must not read.

    Returns (B, T, D). The lesson trains through it.
    """
    ### BEGIN SOLUTION
    q = F.linear(x, wq).unflatten(-1, (keys.shape[1], -1)).transpose(1, 2)  # (B, H, T, d)
    weights = (q @ keys.mT + bias).softmax(-1)  # (B, H, T, S)
    mixed = weights @ values  # (B, H, T, d)
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)
    ### END SOLUTION


@cross_attention.test("reads the one slot that the bias leaves", points=1)
def _(cross_attention):
    x = torch.tensor([[[1.0, -1.0], [0.5, 2.0], [3.0, 0.0]]])
    keys, values = torch.tensor([[[[1.0], [2.0]], [[0.0], [1.0]]]]), torch.tensor([[[[4.0], [6.0]], [[7.0], [9.0]]]])
    bias = torch.tensor([[[[-math.inf, 0.0]], [[0.0, -math.inf]]]])
    found = cross_attention(x, keys, values, torch.eye(2), torch.tensor([[0.0, 1.0], [2.0, 0.0]]), bias)
    message = "head 0 may read slot 1 alone, head 1 slot 0; wo swaps the heads and doubles one"
    assert_close(found, torch.tensor([[[7.0, 12.0]] * 3]), message=message)


@cross_attention.hidden("mixes values by softmax(q kᵀ + bias), without a scale", points=1)
def _(cross_attention, rng):
    for batch, memories, heads, queries, slots, size in ((2, 2, 3, 4, 7, 5), (3, 1, 2, 5, 3, 4), (1, 1, 1, 2, 6, 5)):
        width = heads * size
        x = torch.randn(batch, queries, width, generator=rng, dtype=torch.float64)
        keys, values = torch.randn(2, memories, heads, slots, size, generator=rng, dtype=torch.float64)
        wq, wo = torch.randn(2, width, width, generator=rng, dtype=torch.float64) / width**0.5
        for shape in ((heads, queries, slots), (batch, 1, 1, slots)):
            bias = torch.randn(shape, generator=rng, dtype=torch.float64)
            bias[..., 1] = -torch.inf  # closed, and the others only weighed
            q = torch.einsum("bti,hdi->bhtd", x, wq.view(heads, size, width))
            full = [kept.expand(batch, -1, -1, -1) for kept in (keys, values)]
            mixed = F.scaled_dot_product_attention(
                q, *full, attn_mask=bias.expand(batch, heads, queries, slots), scale=1
            )
            expected = torch.einsum("bhtd,ohd->bto", mixed, wo.view(width, heads, size))
            found = cross_attention(x, keys, values, wq, wo, bias)
            what = f"x {tuple(x.shape)}, keys {tuple(keys.shape)}, bias {tuple(shape)}"
            assert_close(found, expected, rtol=1e-5, atol=1e-5, message=what)


@cross_attention.hidden("never reads a slot that the bias closes", points=1)
def _(cross_attention, rng):
    x = torch.randn(2, 3, 6, generator=rng, dtype=torch.float64)
    keys, values = torch.randn(2, 2, 2, 5, 3, generator=rng, dtype=torch.float64)
    wq, wo = torch.randn(2, 6, 6, generator=rng, dtype=torch.float64)
    closed = torch.tensor([[False, True, False, False, True], [True, False, False, True, False]])[:, None, None]
    bias = torch.zeros(closed.shape, dtype=torch.float64).masked_fill(closed, -math.inf)
    loud = closed.transpose(-1, -2) * 500.0
    found = cross_attention(x, keys + loud, values + loud, wq, wo, bias)
    message = "what stands in a closed slot must not change the result"
    assert_close(found, cross_attention(x, keys, values, wq, wo, bias), message=message)
    turned = [z.flip(2) for z in (keys, values)]
    message = "slots in another order, with the bias in that order, must give the same"
    assert_close(cross_attention(x, *turned, wq, wo, bias.flip(-1)), found, rtol=1e-5, atol=1e-5, message=message)


@cross_attention.hidden("lets gradients reach both sides, and keeps the dtype", points=1)
def _(cross_attention, rng):
    for dtype, close in ((torch.float64, 1e-5), (torch.float32, 1e-3)):
        shapes = {"x": (2, 3, 4), "keys": (2, 2, 5, 2), "values": (2, 2, 5, 2), "wq": (4, 4), "wo": (4, 4)}
        inputs = {name: torch.randn(shape, generator=rng).to(dtype) for name, shape in shapes.items()}
        inputs["bias"] = torch.randn(1, 2, 3, 5, generator=rng).to(dtype)
        inputs = {name: tensor.requires_grad_() for name, tensor in inputs.items()}
        found = cross_attention(*inputs.values())
        assert found.dtype == dtype, f"for arguments in {dtype} the result must be in {dtype}, got {found.dtype}"
        assert found.requires_grad, "gradients must reach the arguments: leave `detach` and `no_grad` away"
        away = torch.randn(2, 3, 4, generator=rng).to(dtype)
        gradients = torch.autograd.grad((found * away).sum(), list(inputs.values()), allow_unused=True)
        x, keys, values, wq, wo, bias = inputs.values()
        q = torch.stack((x @ wq.T).split(2, -1), 1)
        mixed = torch.exp(torch.log_softmax(torch.einsum("bhtd,bhsd->bhts", q, keys) + bias, -1)) @ values
        wanted = torch.autograd.grad((torch.cat(mixed.unbind(1), -1) @ wo.T * away).sum(), list(inputs.values()))
        for name, gradient, right in zip(inputs, gradients, wanted, strict=True):
            assert gradient is not None, f"no gradient reaches {name}"
            assert_close(gradient, right, rtol=close, atol=close, message=f"the gradient of {name}")


@cross_attention.misconception(
    "You divided the scores by √d; leave out the division, because T5's queries start out smaller by that factor, and "
    "with published weights it would make every attention too flat.",
    name="scaled",
)
def _(x, keys, values, wq, wo, bias):
    q = F.linear(x, wq).unflatten(-1, (keys.shape[1], -1)).transpose(1, 2)
    mixed = (q @ keys.mT / q.shape[-1] ** 0.5 + bias).softmax(-1) @ values
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cross_attention.misconception(
    "You took the softmax over the queries; take it over the slots of the memory (the last axis), because each query "
    "shares out a total weight of 1 among them.",
    name="softmax-over-queries",
)
def _(x, keys, values, wq, wo, bias):
    q = F.linear(x, wq).unflatten(-1, (keys.shape[1], -1)).transpose(1, 2)
    mixed = (q @ keys.mT + bias).softmax(-2) @ values
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cross_attention.misconception(
    "You added the bias after the softmax, which gives a blocked slot a weight of -inf; add the bias to the scores, so "
    "the slot gets no weight.",
    name="bias-after-softmax",
)
def _(x, keys, values, wq, wo, bias):
    q = F.linear(x, wq).unflatten(-1, (keys.shape[1], -1)).transpose(1, 2)
    mixed = ((q @ keys.mT).softmax(-1) + bias) @ values
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cross_attention.misconception(
    "You joined the heads without swapping the axes back, so numbers from different positions end up in one vector; "
    "transpose to (B, T, H, d) before you flatten.",
    name="heads-joined-wrongly",
)
def _(x, keys, values, wq, wo, bias):
    q = F.linear(x, wq).unflatten(-1, (keys.shape[1], -1)).transpose(1, 2)
    return F.linear(((q @ keys.mT + bias).softmax(-1) @ values).reshape(x.shape), wo)


@cross_attention.misconception(
    "You made the cross-attention causal; block only what the bias blocks, because the source is complete before the "
    "decoder begins, so each position may read all of it.",
    name="causal",
)
def _(x, keys, values, wq, wo, bias):
    q = F.linear(x, wq).unflatten(-1, (keys.shape[1], -1)).transpose(1, 2)
    ahead = torch.ones(q.shape[-2], keys.shape[-2], dtype=torch.bool).triu(1)
    mixed = (q @ keys.mT + bias).masked_fill(ahead, -math.inf).softmax(-1) @ values
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cross_attention.misconception(
    "You left out the bias, so padding is read as if it were text; add the bias to the scores.",
    name="without-bias",
)
def _(x, keys, values, wq, wo, bias):
    q = F.linear(x, wq).unflatten(-1, (keys.shape[1], -1)).transpose(1, 2)
    return F.linear(((q @ keys.mT).softmax(-1) @ values).transpose(1, 2).flatten(2), wo)


@cross_attention.misconception(
    "You used the bias only as a mask; add it to the scores, because what it holds for the open slots counts too.",
    name="bias-as-a-mask",
)
def _(x, keys, values, wq, wo, bias):
    q = F.linear(x, wq).unflatten(-1, (keys.shape[1], -1)).transpose(1, 2)
    scores = q @ keys.mT
    scores = scores.masked_fill(bias.expand_as(scores) < -1e4, -torch.inf)
    return F.linear((scores.softmax(-1) @ values).transpose(1, 2).flatten(2), wo)


@cross_attention.also_correct
def _(x, keys, values, wq, wo, bias):
    batch, length, width = x.shape
    heads, size = keys.shape[1], keys.shape[3]
    q = (x @ wq.T).view(batch, length, heads, size)
    scores = torch.einsum("bthd,bhsd->bhts", q, keys.expand(batch, -1, -1, -1)) + bias
    mixed = torch.einsum("bhts,bhsd->bthd", torch.softmax(scores, dim=-1), values.expand(batch, -1, -1, -1))
    return mixed.reshape(batch, length, width) @ wo.T


@cross_attention.also_correct
def _(x, keys, values, wq, wo, bias):
    heads, size = keys.shape[1], keys.shape[3]
    out = 0
    for head in range(heads):
        part = slice(head * size, (head + 1) * size)
        scores = F.linear(x, wq[part]) @ keys[:, head].mT
        scores = scores + bias.broadcast_to(len(x), heads, *scores.shape[1:])[:, head]
        out = out + F.linear(scores.softmax(-1) @ values[:, head], wo[:, part])
    return out
