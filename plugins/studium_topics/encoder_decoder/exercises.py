"""Exercises: the parts of T5's decoder, the loss that must not leak, and search with a cache of its own."""

import math
from itertools import product

import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.encoder_decoder.model import feed_forward, rmsnorm

# --------------------------------------------------------------------------------------------------- remember


@exercise(
    points=2,
    minutes=6,
    level="warm-up",
    importance=2,
    hints=(
        "Keys and values are computed from the same vectors. What do they need besides the two matrices?",
        "Project twice, cut the width into heads, and bring the axis of heads in front of that of positions.",
        "A projection is (B, S, D); with heads it is (B, S, H, d), and (B, H, S, d) in the end.",
        "`F.linear(states, wk).unflatten(-1, (heads, -1)).transpose(1, 2)`, and the same with wv.",
    ),
)
def remember(states, wk, wv, heads):
    """Return the keys and the values that attention reads from states.

    - states (B, S, D): one vector for each position.
    - wk, wv (D, D): matrices as in nn.Linear, no biases.
    - heads: H, a divisor of D; head h owns the h-th block of d = D / H numbers of each projected vector.

    Returns a pair, keys (B, H, S, d) and values (B, H, S, d). The lesson trains through it.
    """
    ### BEGIN SOLUTION
    keys, values = (F.linear(states, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wk, wv))
    return keys, values
    ### END SOLUTION


@remember.test("cuts two states into two heads", points=1)
def _(remember):
    states = torch.tensor([[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [0.0, 1.0, 0.0, 2.0]]])
    swap = torch.tensor([[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0], [0.0, 0.0, 3.0, 0.0]])
    keys, values = remember(states, torch.eye(4), swap, 2)
    heads = torch.tensor([[[[1.0, 2.0], [5.0, 6.0], [0.0, 1.0]], [[3.0, 4.0], [7.0, 8.0], [0.0, 2.0]]]])
    assert_close(keys, heads, message="the keys, with wk the identity")
    expected = torch.tensor([[[[2.0, 1.0], [6.0, 5.0], [1.0, 0.0]], [[8.0, 9.0], [16.0, 21.0], [4.0, 0.0]]]])
    assert_close(values, expected, message="the values, with a wv that swaps and scales")


@remember.hidden("projects every position as nn.Linear does, and lets gradients through", points=1)
def _(remember, rng):
    for batch, length, heads, size in ((2, 5, 3, 4), (3, 2, 1, 6), (1, 7, 4, 2)):
        width = heads * size
        inputs = [torch.randn(batch, length, width, generator=rng, dtype=torch.float64).requires_grad_()]
        inputs += [torch.randn(width, width, generator=rng, dtype=torch.float64).requires_grad_() for _ in range(2)]
        found = remember(*inputs, heads)
        assert len(found) == 2, f"a pair (keys, values) is expected, got {len(found)} things"
        for name, one, weight in zip(("keys", "values"), found, inputs[1:], strict=True):
            expected = torch.einsum("bsi,hdi->bhsd", inputs[0], weight.view(heads, size, width))
            assert_close(one, expected, rtol=1e-5, atol=1e-5, message=f"the {name}, {heads} heads of {size} numbers")
            assert one.dtype == expected.dtype, f"the {name} must be in {expected.dtype} as states are, got {one.dtype}"
            assert one.requires_grad, f"gradients must reach the arguments through the {name}"
            away = torch.randn(batch, heads, length, size, generator=rng, dtype=torch.float64)
            pair = torch.autograd.grad((one * away).sum(), (inputs[0], weight), retain_graph=True, allow_unused=True)
            wanted = torch.autograd.grad((expected * away).sum(), (inputs[0], weight))
            for gradient, right in zip(pair, wanted, strict=True):
                assert gradient is not None, f"gradients must reach states and weight through the {name}"
                assert_close(gradient, right, rtol=1e-5, atol=1e-5, message=f"a gradient through the {name}")


@remember.misconception(
    "You multiplied by the matrix itself; a weight of nn.Linear has its outputs in rows, so it is transposed: "
    "`F.linear(states, wk)` is states times the transpose of wk.",
    name="not-transposed",
)
def _(states, wk, wv, heads):
    return tuple((states @ weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wk, wv))


@remember.misconception(
    "You reshaped to (B, H, S, d) directly, so that a head gets numbers of several positions. Split the last axis "
    "first, then swap the two axes.",
    name="reshaped-over-positions",
)
def _(states, wk, wv, heads):
    batch, length, width = states.shape
    return tuple(F.linear(states, weight).reshape(batch, heads, length, width // heads) for weight in (wk, wv))


@remember.misconception(
    "You gave head h every H-th number, beginning with the h-th; in published weights a head owns one block of "
    "neighbouring numbers.",
    name="interleaved-heads",
)
def _(states, wk, wv, heads):
    return tuple(F.linear(states, weight).unflatten(-1, (-1, heads)).permute(0, 3, 1, 2) for weight in (wk, wv))


@remember.also_correct
def _(states, wk, wv, heads):
    batch, length, width = states.shape
    keys = (states @ wk.T).view(batch, length, heads, width // heads).permute(0, 2, 1, 3)
    values = (states @ wv.T).view(batch, length, heads, width // heads).permute(0, 2, 1, 3)
    return keys, values


@remember.also_correct
def _(states, wk, wv, heads):
    keys = [torch.einsum("bsi,di->bsd", states, part) for part in wk.chunk(heads)]
    values = [torch.einsum("bsi,di->bsd", states, part) for part in wv.chunk(heads)]
    return torch.stack(keys, 1), torch.stack(values, 1)


# -------------------------------------------------------------------------------------------- cross_attention


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    hints=(
        "One side asks and the other side answers. Which of the arguments belong to which side?",
        "Queries come from x, keys and values are there already. The bias is added before the softmax, and the "
        "heads are joined again afterwards.",
        "The queries are (B, H, T, d), scores and weights (B, H, T, S), the mixed values (B, H, T, d) and then "
        "(B, T, D).",
        "`scores = q @ keys.mT + bias`, `scores.softmax(-1) @ values`, `.transpose(1, 2).flatten(2)`, "
        "`F.linear(mixed, wo)`. T5 divides by nothing.",
    ),
)
def cross_attention(x, keys, values, wq, wo, bias):
    """Return what each position of x reads from a memory of keys and values, as T5 does: unscaled.

    - x (B, T, D): the vectors that ask.
    - keys, values (M, H, S, d), H · d = D: the memory, from `remember`; M is B, or 1 for one memory that all rows of x
      share.
    - wq, wo (D, D): the matrices of queries and output, as in nn.Linear, no biases.
    - bias, broadcastable to (B, H, T, S): added to the scores; hugely negative where nothing may be read.

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
    bias = torch.tensor([[[[-1e9, 0.0]], [[0.0, -1e9]]]])
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
    bias = closed * -1e9
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
    "You divided the scores by √d; T5 does not, because its queries start out smaller by that factor. With published "
    "weights the division makes every attention too flat.",
    name="scaled",
)
def _(x, keys, values, wq, wo, bias):
    q = F.linear(x, wq).unflatten(-1, (keys.shape[1], -1)).transpose(1, 2)
    mixed = (q @ keys.mT / q.shape[-1] ** 0.5 + bias).softmax(-1) @ values
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cross_attention.misconception(
    "You took the softmax over the positions that ask; each of them spreads one unit of attention over the slots of "
    "the memory, which are the last axis.",
    name="softmax-over-queries",
)
def _(x, keys, values, wq, wo, bias):
    q = F.linear(x, wq).unflatten(-1, (keys.shape[1], -1)).transpose(1, 2)
    mixed = (q @ keys.mT + bias).softmax(-2) @ values
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cross_attention.misconception(
    "You added the bias after the softmax; a closed slot then gets a hugely negative weight instead of none. Add it to "
    "the scores.",
    name="bias-after-softmax",
)
def _(x, keys, values, wq, wo, bias):
    q = F.linear(x, wq).unflatten(-1, (keys.shape[1], -1)).transpose(1, 2)
    mixed = ((q @ keys.mT).softmax(-1) + bias) @ values
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cross_attention.misconception(
    "You joined the heads without swapping the axes back, so that the numbers of different positions end up in one "
    "vector. Transpose to (B, T, H, d) before you flatten.",
    name="heads-joined-wrongly",
)
def _(x, keys, values, wq, wo, bias):
    q = F.linear(x, wq).unflatten(-1, (keys.shape[1], -1)).transpose(1, 2)
    return F.linear(((q @ keys.mT + bias).softmax(-1) @ values).reshape(x.shape), wo)


@cross_attention.misconception(
    "You made the cross-attention causal; the source is complete before the decoder begins, so each position may read "
    "all of it. The bias alone says what is closed.",
    name="causal",
)
def _(x, keys, values, wq, wo, bias):
    q = F.linear(x, wq).unflatten(-1, (keys.shape[1], -1)).transpose(1, 2)
    ahead = torch.ones(q.shape[-2], keys.shape[-2], dtype=torch.bool).triu(1)
    mixed = (q @ keys.mT + bias).masked_fill(ahead, -1e9).softmax(-1) @ values
    return F.linear(mixed.transpose(1, 2).flatten(2), wo)


@cross_attention.misconception(
    "You left out the bias, so padding is read as if it were text.",
    name="without-bias",
)
def _(x, keys, values, wq, wo, bias):
    q = F.linear(x, wq).unflatten(-1, (keys.shape[1], -1)).transpose(1, 2)
    return F.linear(((q @ keys.mT).softmax(-1) @ values).transpose(1, 2).flatten(2), wo)


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


# -------------------------------------------------------------------------------------------- relative_bucket


@exercise(
    points=4,
    minutes=18,
    level="core",
    importance=2,
    kind="derive",
    hints=(
        "How many buckets has one side, how many of them are for exact distances, and how many are left for the rest?",
        "On a logarithmic scale the far buckets are equally wide. Express ln(n) as a fraction of the way from the "
        "first far distance to `farthest`, then multiply by the number of far buckets and round down.",
        "Everything is elementwise, in the shape of distance; the two cases meet in one `torch.where`.",
        "`near + (torch.log(n / near) / math.log(farthest / near) * far).long()` is the bucket of a far distance n, "
        "before it is held below the number of buckets; `n.clamp(min=1)` keeps the logarithm finite.",
    ),
)
def relative_bucket(distance, bidirectional, buckets=32, farthest=128):
    """Return the bucket (long) of each distance: key position minus query position.

    One side has K buckets. n is how far away the key is.

    - If bidirectional, K = buckets / 2; keys after the query (distance > 0) get their bucket plus K.
    - Else K = buckets; keys after the query are never read, and count as n = 0.
    - n < K / 2: bucket n.
    - Other n: the remaining K / 2 buckets divide the range from K / 2 to farthest into steps that are equal on a
      logarithmic scale, rounding down.
    - n ≥ farthest: the last of the K.

    distance: long, any shape; K is even; farthest > K / 2.
    """
    ### BEGIN SOLUTION
    side = buckets // 2 if bidirectional else buckets
    near = side // 2
    n = distance.abs() if bidirectional else (-distance).clamp(min=0)
    position = torch.log(n.clamp(min=1) / near) / math.log(farthest / near)  # 0 at near, 1 at farthest
    far = (near + (position * (side - near)).long()).clamp(max=side - 1)
    behind = side * (distance > 0) if bidirectional else 0
    return torch.where(n < near, n, far) + behind
    ### END SOLUTION


relative_bucket.equivalent(
    "position = torch.log(n.clamp(min=2) / near) / math.log(farthest / near)  # 0 at near, 1 at farthest",
    "n = 1 is near, or in the only far bucket",
)
relative_bucket.equivalent(
    "position = torch.log(n.clamp(min=0) / near) / math.log(farthest / near)  # 0 at near, 1 at farthest",
    "n = 0 is near, so its position is not used",
)
relative_bucket.equivalent("return torch.where(n <= near, n, far) + behind", "the bucket of n = near is near")


@relative_bucket.test("tells left from right, and near from far", points=1)
def _(relative_bucket):
    distance = torch.tensor([-1000, -130, -50, -3, 0, 1, 12, 129])
    found = relative_bucket(distance, True)
    assert_close(found, torch.tensor([15, 15, 13, 3, 0, 17, 25, 31]), message="both directions, 32 buckets")
    found = relative_bucket(distance, False)
    assert_close(found, torch.tensor([31, 31, 24, 3, 0, 0, 0, 0]), message="one direction, 32 buckets")


@relative_bucket.hidden("divides the far distances evenly on a logarithmic scale", points=2)
def _(relative_bucket):
    for bidirectional, buckets, farthest in ((True, 32, 128), (False, 32, 128), (True, 12, 50), (False, 20, 37)):
        side = buckets // 2 if bidirectional else buckets
        near = side // 2
        edges = [near * (farthest / near) ** (step / (side - near)) for step in range(side - near)]
        distances, expected = [], []
        for distance in range(-300, 301):
            n = abs(distance) if bidirectional else max(-distance, 0)
            bucket = n if n < near else near - 1 + sum(n >= edge for edge in edges)
            if n < near or min(abs(n / edge - 1) for edge in edges) > 1e-6 or n == near:
                distances.append(distance)
                expected.append(min(bucket, side - 1) + side * (bidirectional and distance > 0))
        found = relative_bucket(torch.tensor(distances), bidirectional, buckets, farthest)
        assert torch.as_tensor(found).dtype == torch.long, f"buckets must be long, got {found.dtype}"
        way = "both directions" if bidirectional else "one direction"
        message = f"{way}, {buckets} buckets, farthest {farthest}, distances -300 to 300"
        assert_close(found, torch.tensor(expected), message=message)


@relative_bucket.hidden("keeps the shape of a table of distances", points=1)
def _(relative_bucket):
    distance = torch.arange(7)[None] - torch.arange(5)[:, None]
    kept = distance.clone()
    found = relative_bucket(distance, True, 8, 10)
    rows = [[0, 5, 6, 6, 6, 7, 7], [1, 0, 5, 6, 6, 6, 7], [2, 1, 0, 5, 6, 6, 6], [2, 2, 1, 0, 5, 6, 6]]
    assert_close(found[:4], torch.tensor(rows), message="4 rows of distances, 8 buckets, farthest 10")
    assert tuple(found.shape) == (5, 7), f"for distances (5, 7) the buckets must be (5, 7), got {tuple(found.shape)}"
    assert torch.equal(distance, kept), "the argument distance must stay as it is"


@relative_bucket.misconception(
    "You swapped the sides: the distance is key minus query, so positive distances are keys after the query, and they "
    "get the upper buckets.",
    name="sides-swapped",
)
def _(distance, bidirectional, buckets=32, farthest=128):
    return relative_bucket(-distance, bidirectional, buckets, farthest)


@relative_bucket.misconception(
    "You gave both directions the same buckets, so the model cannot tell the next word from the last one. Keys after "
    "the query get K more.",
    name="both-sides-alike",
)
def _(distance, bidirectional, buckets=32, farthest=128):
    if bidirectional:
        return relative_bucket(-distance.abs(), True, buckets, farthest)
    return relative_bucket(distance, False, buckets, farthest)


@relative_bucket.misconception(
    "You cut the distances off at K - 1, one bucket each; then all distances beyond it look alike. The far buckets "
    "grow wider on a logarithmic scale, up to `farthest`.",
    name="clipped",
)
def _(distance, bidirectional, buckets=32, farthest=128):
    side = buckets // 2 if bidirectional else buckets
    n = distance.abs() if bidirectional else (-distance).clamp(min=0)
    return n.clamp(max=side - 1) + (side * (distance > 0) if bidirectional else 0)


@relative_bucket.misconception(
    "You made the far buckets equally wide in distance; they are equally wide in its logarithm, so that nearby "
    "distances are told apart more finely.",
    name="linear-steps",
)
def _(distance, bidirectional, buckets=32, farthest=128):
    side = buckets // 2 if bidirectional else buckets
    near = side // 2
    n = distance.abs() if bidirectional else (-distance).clamp(min=0)
    far = near + ((n - near) / (farthest - near) * (side - near)).long()
    far = torch.where(n < near, n, far.clamp(max=side - 1))
    return far + (side * (distance > 0) if bidirectional else 0)


@relative_bucket.misconception(
    "You did not halve the number of buckets for two directions; each side then reaches as many as the decoder has, "
    "and the table has no rows for them.",
    name="not-halved",
)
def _(distance, bidirectional, buckets=32, farthest=128):
    return relative_bucket(distance, bidirectional, 2 * buckets if bidirectional else buckets, farthest)


@relative_bucket.misconception(
    "You rounded to the nearest bucket; a distance belongs to the step that it is in, so round down.",
    name="rounded-to-nearest",
)
def _(distance, bidirectional, buckets=32, farthest=128):
    side = buckets // 2 if bidirectional else buckets
    near = side // 2
    n = distance.abs() if bidirectional else (-distance).clamp(min=0)
    far = near + (torch.log(n.clamp(min=1) / near) / math.log(farthest / near) * (side - near)).round().long()
    far = torch.where(n < near, n, far.clamp(max=side - 1))
    return far + (side * (distance > 0) if bidirectional else 0)


@relative_bucket.also_correct
def _(distance, bidirectional, buckets=32, farthest=128):
    out = torch.zeros_like(distance)
    if bidirectional:
        buckets //= 2
        out = out + (distance > 0).long() * buckets
        n = distance.abs()
    else:
        n = torch.maximum(-distance, torch.zeros_like(distance))
    half = buckets // 2
    ratio = torch.log(n.double().clamp(min=half) / half) / math.log(farthest / half)
    far = torch.clamp(half + torch.floor(ratio * (buckets - half) + 1e-9).long(), max=buckets - 1)
    return out + torch.where(n < half, n, far)


@relative_bucket.also_correct
def _(distance, bidirectional, buckets=32, farthest=128):
    side = buckets // 2 if bidirectional else buckets
    half = side // 2
    found = []
    for d in distance.flatten().tolist():
        n = abs(d) if bidirectional else max(-d, 0)
        if n >= half:
            n = min(side - 1, half + int(math.log(n / half) / math.log(farthest / half) * (side - half) + 1e-9))
        found.append(n + side * (bidirectional and d > 0))
    return torch.tensor(found).reshape(distance.shape)


# ---------------------------------------------------------------------------------------------- position_bias


@exercise(
    points=3,
    minutes=10,
    level="core",
    importance=2,
    hints=(
        "A decoder that has cached 6 tokens reads 1 more. At which position is the query, and at which the keys?",
        "Make the table of distances, look its buckets up, and bring the heads to the front. Causal means that keys "
        "after the query are closed.",
        "Positions of queries are (T, 1), of keys (S,); distances (T, S); looked up (T, S, H); result (1, H, T, S).",
        "`torch.arange(keys) - torch.arange(keys - queries, keys)[:, None]` are the distances; "
        "`table[relative_bucket(distance, not causal, len(table))]` looks up; `masked_fill(distance > 0, -1e9)`.",
    ),
)
def position_bias(table, queries, keys, causal):
    """Return the bias that says to each head how far every key is away.

    - table (N, H): for each of N buckets, one number for each head.
    - keys: S, at positions 0 to S − 1. queries: T, at the *last* T of these positions, because a decoder's earlier
      queries have been answered before.
    - causal: True in the decoder, whose buckets have one direction; keys after their query get -1e9. False in the
      encoder, whose buckets have two.

    Use `relative_bucket` with farthest 128. Returns (1, H, T, S). The lesson trains through it.
    """
    ### BEGIN SOLUTION
    at = torch.arange(keys, device=table.device)
    distance = at - at[keys - queries :, None]  # (T, S): key minus query
    bias = table[relative_bucket(distance, not causal, len(table))]  # (T, S, H)
    bias = bias.permute(2, 0, 1)[None]
    return bias.masked_fill(distance > 0, -1e9) if causal else bias
    ### END SOLUTION


@position_bias.test("has one number for each distance, and closes what comes later", points=1)
def _(position_bias):
    table = torch.stack([torch.arange(8.0), 10 * torch.arange(8.0)], 1)
    found = position_bias(table, 2, 4, True)
    rows = torch.tensor([[2.0, 1.0, 0.0, -1e9], [3.0, 2.0, 1.0, 0.0]])
    expected = torch.stack([rows, torch.where(rows < 0, rows, 10 * rows)])[None]
    assert_close(found, expected, message="2 queries at positions 2 and 3, of 4 keys; causal")
    found = position_bias(table, 3, 3, False)[0, 0]
    rows = torch.tensor([[0.0, 5.0, 6.0], [1.0, 0.0, 5.0], [2.0, 1.0, 0.0]])
    assert_close(found, rows, message="3 queries and 3 keys in both directions, with the bucket itself as bias")


@position_bias.hidden("agrees for one new query with the last row of the whole text", points=1)
def _(position_bias, rng):
    for buckets, heads, length in ((32, 3, 40), (8, 2, 9), (16, 5, 30)):
        table = torch.randn(buckets, heads, generator=rng, dtype=torch.float64)
        for causal in (True, False):
            side = buckets if causal else buckets // 2
            whole = position_bias(table, length, length, causal)
            assert whole.dtype == table.dtype, f"the bias must be in {table.dtype}, as table is, got {whole.dtype}"
            assert tuple(whole.shape) == (1, heads, length, length), (
                f"the bias must have shape {(1, heads, length, length)}, got {tuple(whole.shape)}"
            )
            for query, key in ((5, 3), (5, 5), (length - 1, 0), (2, 7), (0, length - 1)):
                n = abs(key - query)
                far = side // 2 + int(math.log(max(n, 1) / (side // 2)) / math.log(256 / side) * (side // 2) + 1e-6)
                bucket = n if n < side // 2 else min(far, side - 1)
                expected = table[bucket + (0 if causal or key <= query else side)]
                expected = torch.full_like(expected, -1e9) if causal and key > query else expected
                message = f"query {query}, key {key}, {'causal' if causal else 'both directions'}, {buckets} buckets"
                assert_close(whole[0, :, query, key], expected, message=message)
            for queries in (1, 4):
                part = position_bias(table, queries, length, causal)
                message = f"the last {queries} of {length} queries, {'causal' if causal else 'both directions'}"
                assert_close(part, whole[:, :, -queries:], message=message)


@position_bias.hidden("lets gradients reach the table", points=1)
def _(position_bias, rng):
    for causal in (True, False):
        table = torch.randn(8, 2, generator=rng, dtype=torch.float64).requires_grad_()
        bias = position_bias(table, 2, 5, causal)
        assert bias.requires_grad, "gradients must reach the table: look rows up by indexing it"
        (gradient,) = torch.autograd.grad(bias[bias > -5e8].sum(), table)
        counts = [2, 2, 2, 2, 1, 0, 0, 0] if causal else [2, 2, 5, 0, 0, 1, 0, 0]
        message = "how often each bucket is used by 2 queries at positions 3 and 4, of 5 keys"
        assert_close(gradient, torch.tensor(counts, dtype=torch.float64)[:, None].expand(8, 2), message=message)


@position_bias.misconception(
    "You put the queries at positions 0 to T - 1; the new queries of a decoder are at the end of the text, at the last "
    "T of the S positions.",
    name="queries-from-zero",
)
def _(table, queries, keys, causal):
    distance = torch.arange(keys) - torch.arange(queries)[:, None]
    bias = table[relative_bucket(distance, not causal, len(table))].permute(2, 0, 1)[None]
    return bias.masked_fill(distance > 0, -1e9) if causal else bias


@position_bias.misconception(
    "You took query minus key; a distance is key minus query, and the wrong sign exchanges the past and the future.",
    name="sign-of-distance",
)
def _(table, queries, keys, causal):
    distance = torch.arange(keys - queries, keys)[:, None] - torch.arange(keys)
    bias = table[relative_bucket(distance, not causal, len(table))].permute(2, 0, 1)[None]
    return bias.masked_fill(distance > 0, -1e9) if causal else bias


@position_bias.misconception(
    "You left the later keys open; in the decoder each query must not read what comes after it, so those get -1e9.",
    name="not-causal",
)
def _(table, queries, keys, causal):
    distance = torch.arange(keys) - torch.arange(keys - queries, keys)[:, None]
    return table[relative_bucket(distance, not causal, len(table))].permute(2, 0, 1)[None]


@position_bias.misconception(
    "You used buckets of two directions in the decoder as well; half of its table is then never read, and every weight "
    "of a published decoder is at another place.",
    name="always-bidirectional",
)
def _(table, queries, keys, causal):
    distance = torch.arange(keys) - torch.arange(keys - queries, keys)[:, None]
    bias = table[relative_bucket(distance, True, len(table))].permute(2, 0, 1)[None]
    return bias.masked_fill(distance > 0, -1e9) if causal else bias


@position_bias.misconception(
    "You closed the query's own position as well; it may read itself, at distance 0.",
    name="itself-closed",
)
def _(table, queries, keys, causal):
    distance = torch.arange(keys) - torch.arange(keys - queries, keys)[:, None]
    bias = table[relative_bucket(distance, not causal, len(table))].permute(2, 0, 1)[None]
    return bias.masked_fill(distance >= 0, -1e9) if causal else bias


@position_bias.also_correct
def _(table, queries, keys, causal):
    key = torch.arange(keys).unsqueeze(0).expand(queries, keys)
    query = torch.arange(queries).unsqueeze(1) + (keys - queries)
    buckets = relative_bucket(key - query, bidirectional=not causal, buckets=table.shape[0])
    bias = F.embedding(buckets, table).movedim(-1, 0)
    if causal:
        bias = torch.where(key > query, torch.full_like(bias, -1e9), bias)
    return bias.unsqueeze(0)


@position_bias.also_correct
def _(table, queries, keys, causal):
    rows = []
    for query in range(keys - queries, keys):
        distance = torch.arange(keys) - query
        row = table[relative_bucket(distance, not causal, table.size(0))].T
        rows.append(row.where(distance <= 0, torch.tensor(-1e9, dtype=table.dtype)) if causal else row)
    return torch.stack(rows, 1)[None]


# ---------------------------------------------------------------------------------------------- decoder_layer


@exercise(
    points=5,
    minutes=18,
    level="core",
    importance=3,
    hints=(
        "The layer adds three times to its stream. Which of the three parts reads the text so far, which the source, "
        "and which neither?",
        "Each part reads a normalised copy of the stream and adds its result to the stream. Only the first part makes "
        "new keys and values; they go after the kept ones.",
        "New keys are (B, H, T, d); after P kept ones, (B, H, P + T, d). The stream is (B, T, D) throughout.",
        '`keys = torch.cat([kept[0], keys], 2)` if something is kept; `cross_attention(z, *memory, weights["cross_q"], '
        'weights["cross_o"], memory_bias)` reads the source.',
    ),
)
def decoder_layer(x, weights, kept, memory, bias, memory_bias):
    """Return the stream after one layer of T5's decoder, and what to keep for the next tokens.

    - x (B, T, D): the stream of T new tokens.
    - weights: a mapping of "self_norm", "cross_norm", "mlp_norm" (D,); "self_q", "self_k", "self_v", "self_o",
      "cross_q", "cross_o" (D, D); "up" (F, D); "down" (D, F).
    - kept: None, or (keys, values) of the P earlier tokens.
    - memory: (keys, values) of the source.
    - bias, memory_bias: for self- and cross-attention.

    Each part reads `rmsnorm(stream, norm)` and adds to the stream: self-attention, cross-attention,
    `feed_forward(z, up, down)`. Returns (B, T, D) and the (keys, values) of all P + T tokens.
    """
    ### BEGIN SOLUTION
    z = rmsnorm(x, weights["self_norm"])
    keys, values = remember(z, weights["self_k"], weights["self_v"], memory[0].shape[1])
    if kept is not None:
        keys, values = torch.cat([kept[0], keys], 2), torch.cat([kept[1], values], 2)
    x = x + cross_attention(z, keys, values, weights["self_q"], weights["self_o"], bias)
    z = rmsnorm(x, weights["cross_norm"])
    x = x + cross_attention(z, *memory, weights["cross_q"], weights["cross_o"], memory_bias)
    z = rmsnorm(x, weights["mlp_norm"])
    return x + feed_forward(z, weights["up"], weights["down"]), (keys, values)
    ### END SOLUTION


decoder_layer.equivalent(
    'keys, values = remember(z, weights["self_k"], weights["self_v"], memory[1].shape[1])',
    "keys and values of the memory have the same shape",
)


@decoder_layer.test("adds all three parts, and keeps keys and values after the earlier ones", points=1)
def _(decoder_layer):
    names = ("self_q", "self_k", "self_v", "self_o", "cross_q", "cross_o", "up", "down")
    weights = {name: torch.eye(2) * (1 + n % 3) for n, name in enumerate(names)} | {"self_q": torch.zeros(2, 2)}
    weights |= {
        "self_norm": torch.ones(2),
        "cross_norm": torch.tensor([2.0, 1.0]),
        "mlp_norm": torch.tensor([1.0, 3.0]),
    }
    x = torch.tensor([[[3.0, 3.0]]])
    kept = torch.tensor([[[[9.0], [8.0]], [[7.0], [6.0]]]]), torch.tensor([[[[2.0], [3.0]], [[5.0], [1.0]]]])
    memory = torch.zeros(1, 2, 3, 1), torch.tensor([[[[6.0], [0.0], [3.0]], [[0.0], [0.0], [9.0]]]])
    found, (keys, values) = decoder_layer(x, weights, kept, memory, torch.zeros(3), torch.zeros(3))
    assert_close(keys, torch.tensor([[[[9.0], [8.0], [2.0]], [[7.0], [6.0], [2.0]]]]), message="the keys, new one last")
    message = "the values, new one last"
    assert_close(values, torch.tensor([[[[2.0], [3.0], [3.0]], [[5.0], [1.0], [3.0]]]]), message=message)
    stream = torch.tensor([3 + 8 / 3 + 3 * 3, 3 + 9 / 3 + 3 * 3])
    z = stream / stream.square().mean().sqrt() * torch.tensor([1.0, 3.0])
    assert_close(found[0, 0], stream + 2 * z, rtol=1e-4, atol=1e-4, message="the stream of one token after two")


@decoder_layer.hidden("computes self-attention, cross-attention and feed-forward, in this order", points=2)
def _(decoder_layer, rng):
    for batch, memories, heads, size, new, before, slots in ((2, 2, 3, 2, 4, 0, 5), (3, 1, 2, 3, 1, 4, 6)):
        width, hidden, draw = heads * size, 7, {"generator": rng, "dtype": torch.float64}
        attention = ("self_q", "self_k", "self_v", "self_o", "cross_q", "cross_o")
        weights = {name: torch.randn(width, width, **draw) / width**0.5 for name in attention}
        weights |= {name: 0.5 + torch.rand(width, **draw) for name in ("self_norm", "cross_norm", "mlp_norm")}
        weights |= {"up": torch.randn(hidden, width, **draw), "down": torch.randn(width, hidden, **draw) / 3}
        x = torch.randn(batch, new, width, **draw)
        kept = tuple(torch.randn(2, batch, heads, before, size, **draw)) if before else None
        memory = tuple(torch.randn(2, memories, heads, slots, size, **draw))
        bias = torch.randn(1, heads, new, before + new, **draw)
        memory_bias = torch.randn(memories, 1, 1, slots, **draw)
        copies = x.clone(), [part.clone() for part in (*memory, *(kept or ()))]

        def reads(stream, keys, values, kind, add, weights=weights, heads=heads):
            z = F.rms_norm(stream, stream.shape[-1:], weights[f"{kind}_norm"], 1e-6)
            q = (z @ weights[f"{kind}_q"].T).unflatten(-1, (heads, -1)).transpose(1, 2)
            full = [part.expand(len(stream), -1, -1, -1) for part in (keys, values)]
            shape = (len(stream), heads, q.shape[2], keys.shape[2])
            mixed = F.scaled_dot_product_attention(q, *full, attn_mask=add.expand(shape), scale=1.0)
            return stream + mixed.transpose(1, 2).flatten(2) @ weights[f"{kind}_o"].T

        z = F.rms_norm(x, (width,), weights["self_norm"], 1e-6)
        pair = [(z @ weights[name].T).unflatten(-1, (heads, -1)).transpose(1, 2) for name in ("self_k", "self_v")]
        pair = [torch.cat([old, one], 2) for old, one in zip(kept, pair, strict=True)] if kept else pair
        stream = reads(reads(x, *pair, "self", bias), *memory, "cross", memory_bias)
        z = F.rms_norm(stream, (width,), weights["mlp_norm"], 1e-6)
        expected = stream + (z @ weights["up"].T).clamp(min=0) @ weights["down"].T
        found, (keys, values) = decoder_layer(x, weights, kept, memory, bias, memory_bias)
        what = f"{new} new tokens after {before}, {heads} heads, a source of {slots}"
        assert_close(found, expected, rtol=1e-5, atol=1e-5, message=f"the stream: {what}")
        assert_close(keys, pair[0], rtol=1e-5, atol=1e-5, message=f"the keys: {what}")
        assert_close(values, pair[1], rtol=1e-5, atol=1e-5, message=f"the values: {what}")
        parts = [*memory, *(kept or ())]
        same = torch.equal(x, copies[0]) and all(map(torch.equal, parts, copies[1]))
        assert same, "x, kept and memory must stay as they are"


@decoder_layer.hidden("gives one token at a time what it gives the whole text", points=1)
def _(decoder_layer, rng):
    width, heads, length, draw = 8, 2, 6, {"generator": rng, "dtype": torch.float64}
    attention = ("self_q", "self_k", "self_v", "self_o", "cross_q", "cross_o")
    weights = {name: torch.randn(width, width, **draw) / 3 for name in attention}
    weights |= {name: 0.5 + torch.rand(width, **draw) for name in ("self_norm", "cross_norm", "mlp_norm")}
    weights |= {"up": torch.randn(5, width, **draw), "down": torch.randn(width, 5, **draw)}
    x, memory = torch.randn(3, length, width, **draw), tuple(torch.randn(2, 3, heads, 4, 4, **draw))
    bias = torch.randn(1, heads, length, length, **draw) + torch.full((length, length), -1e9).triu(1)
    nothing = torch.zeros(1, 1, 1, 4, dtype=torch.float64)
    whole, _ = decoder_layer(x, weights, None, memory, bias, nothing)
    kept, start = None, 0
    for size in (2, 1, 1, 2):
        end = start + size
        part, kept = decoder_layer(x[:, start:end], weights, kept, memory, bias[..., start:end, :end], nothing)
        message = f"tokens {start} to {end - 1}, read after what was kept"
        assert_close(part, whole[:, start:end], rtol=1e-5, atol=1e-5, message=message)
        start = end


@decoder_layer.hidden("lets gradients reach all weights and both inputs", points=1)
def _(decoder_layer, rng):
    names = ("self_q", "self_k", "self_v", "self_o", "cross_q", "cross_o")
    shapes = dict.fromkeys(names, (4, 4)) | dict.fromkeys(("self_norm", "cross_norm", "mlp_norm"), (4,))
    shapes |= {"up": (9, 4), "down": (4, 9)}
    weights = {name: torch.randn(shape, generator=rng).double().requires_grad_() for name, shape in shapes.items()}
    x, keys, values = (torch.randn(s, generator=rng).double() for s in ((2, 3, 4), (2, 2, 5, 2), (2, 2, 5, 2)))
    inputs = weights | {"x": x.requires_grad_(), "memory's keys": keys.requires_grad_()}
    inputs["memory's values"] = values.requires_grad_()
    stream, _ = decoder_layer(x, weights, None, (keys, values), torch.zeros(3, 3), torch.zeros(5))
    away = torch.randn(2, 3, 4, generator=rng).double()
    assert stream.requires_grad, "gradients must reach the arguments: leave `detach` and `no_grad` away"
    gradients = torch.autograd.grad((stream * away).sum(), list(inputs.values()), allow_unused=True)
    for name, gradient in zip(inputs, gradients, strict=True):
        assert gradient is not None, f"no gradient reaches {name}"
        assert gradient.abs().sum() > 0, f"the gradient of {name} must not be zero"
    small = {name: 1e-6 * torch.randn(tensor.shape, generator=rng).double() for name, tensor in inputs.items()}
    sums = []
    for sign in (-1, 1):
        moved = {name: tensor.detach() + sign * small[name] for name, tensor in inputs.items()}
        pair = moved["memory's keys"], moved["memory's values"]
        stream, _ = decoder_layer(moved["x"], moved, None, pair, torch.zeros(3, 3), torch.zeros(5))
        sums.append(float((stream * away).sum()))
    slope = sum(float((gradient * small[name]).sum()) for name, gradient in zip(inputs, gradients, strict=True))
    message = "what a small step of all inputs changes, in millionths, by the gradients: no part may be detached"
    assert_close(1e6 * slope, 1e6 * (sums[1] - sums[0]) / 2, rtol=1e-3, atol=1e-3, message=message)


@decoder_layer.misconception(
    "You put the new keys and values before the kept ones; earlier tokens come first, and the bias counts on it.",
    name="new-before-kept",
)
def _(x, weights, kept, memory, bias, memory_bias):
    z = rmsnorm(x, weights["self_norm"])
    pair = remember(z, weights["self_k"], weights["self_v"], memory[0].shape[1])
    if kept is not None:
        pair = tuple(torch.cat([new, old], 2) for old, new in zip(kept, pair, strict=True))
    x = x + cross_attention(z, *pair, weights["self_q"], weights["self_o"], bias)
    x = x + cross_attention(
        rmsnorm(x, weights["cross_norm"]), *memory, weights["cross_q"], weights["cross_o"], memory_bias
    )
    return x + feed_forward(rmsnorm(x, weights["mlp_norm"]), weights["up"], weights["down"]), pair


@decoder_layer.misconception(
    "You read the source first and the text second; in T5's decoder, self-attention comes first, so that the query for "
    "the source knows what has been written.",
    name="source-first",
)
def _(x, weights, kept, memory, bias, memory_bias):
    x = x + cross_attention(
        rmsnorm(x, weights["cross_norm"]), *memory, weights["cross_q"], weights["cross_o"], memory_bias
    )
    z = rmsnorm(x, weights["self_norm"])
    pair = remember(z, weights["self_k"], weights["self_v"], memory[0].shape[1])
    if kept is not None:
        pair = tuple(torch.cat([old, new], 2) for old, new in zip(kept, pair, strict=True))
    x = x + cross_attention(z, *pair, weights["self_q"], weights["self_o"], bias)
    return x + feed_forward(rmsnorm(x, weights["mlp_norm"]), weights["up"], weights["down"]), pair


@decoder_layer.misconception(
    "You replaced the stream by what a part computed; each part adds to the stream, so that what was there before "
    "remains.",
    name="without-residual",
)
def _(x, weights, kept, memory, bias, memory_bias):
    z = rmsnorm(x, weights["self_norm"])
    pair = remember(z, weights["self_k"], weights["self_v"], memory[0].shape[1])
    if kept is not None:
        pair = tuple(torch.cat([old, new], 2) for old, new in zip(kept, pair, strict=True))
    x = cross_attention(z, *pair, weights["self_q"], weights["self_o"], bias)
    x = cross_attention(rmsnorm(x, weights["cross_norm"]), *memory, weights["cross_q"], weights["cross_o"], memory_bias)
    return feed_forward(rmsnorm(x, weights["mlp_norm"]), weights["up"], weights["down"]), pair


@decoder_layer.misconception(
    "You normalised the sum after each part, as BERT does; T5 normalises the copy that a part reads and leaves the "
    "stream as it is.",
    name="post-norm",
)
def _(x, weights, kept, memory, bias, memory_bias):
    pair = remember(x, weights["self_k"], weights["self_v"], memory[0].shape[1])
    if kept is not None:
        pair = tuple(torch.cat([old, new], 2) for old, new in zip(kept, pair, strict=True))
    x = rmsnorm(x + cross_attention(x, *pair, weights["self_q"], weights["self_o"], bias), weights["self_norm"])
    read = cross_attention(x, *memory, weights["cross_q"], weights["cross_o"], memory_bias)
    x = rmsnorm(x + read, weights["cross_norm"])
    return rmsnorm(x + feed_forward(x, weights["up"], weights["down"]), weights["mlp_norm"]), pair


@decoder_layer.misconception(
    "You made keys and values from the stream itself; they come from the normalised copy, as the queries do.",
    name="keys-not-normalised",
)
def _(x, weights, kept, memory, bias, memory_bias):
    pair = remember(x, weights["self_k"], weights["self_v"], memory[0].shape[1])
    if kept is not None:
        pair = tuple(torch.cat([old, new], 2) for old, new in zip(kept, pair, strict=True))
    z = rmsnorm(x, weights["self_norm"])
    x = x + cross_attention(z, *pair, weights["self_q"], weights["self_o"], bias)
    x = x + cross_attention(
        rmsnorm(x, weights["cross_norm"]), *memory, weights["cross_q"], weights["cross_o"], memory_bias
    )
    return x + feed_forward(rmsnorm(x, weights["mlp_norm"]), weights["up"], weights["down"]), pair


@decoder_layer.misconception(
    "You returned the keys and values of the new tokens alone; the next step needs those of all tokens so far.",
    name="kept-new-alone",
)
def _(x, weights, kept, memory, bias, memory_bias):
    stream, (keys, values) = decoder_layer(x, weights, kept, memory, bias, memory_bias)
    return stream, (keys[:, :, -x.shape[1] :], values[:, :, -x.shape[1] :])


@decoder_layer.also_correct
def _(x, weights, kept, memory, bias, memory_bias):
    heads = memory[0].size(1)

    def unit(stream, gain):
        return stream / torch.sqrt(stream.pow(2).mean(dim=-1, keepdim=True) + 1e-6) * gain

    def read(z, pair, kind, add):
        q = (z @ weights[kind + "_q"].T).unflatten(2, (heads, -1)).permute(0, 2, 1, 3)
        odds = torch.softmax(torch.matmul(q, pair[0].transpose(2, 3)) + add, dim=3)
        return torch.matmul(odds, pair[1]).permute(0, 2, 1, 3).flatten(2) @ weights[kind + "_o"].T

    z = unit(x, weights["self_norm"])
    new = [(z @ weights[name].T).unflatten(2, (heads, -1)).permute(0, 2, 1, 3) for name in ("self_k", "self_v")]
    pair = (
        tuple(new) if kept is None else tuple(torch.cat([old, one], dim=2) for old, one in zip(kept, new, strict=True))
    )
    x = x + read(z, pair, "self", bias)
    x = x + read(unit(x, weights["cross_norm"]), memory, "cross", memory_bias)
    return x + (unit(x, weights["mlp_norm"]) @ weights["up"].T).relu() @ weights["down"].T, pair


@decoder_layer.also_correct
def _(x, weights, kept, memory, bias, memory_bias):
    normed = F.rms_norm(x, x.shape[-1:], weights["self_norm"], 1e-6)
    keys, values = remember(normed, weights["self_k"], weights["self_v"], memory[1].shape[1])
    if kept:
        old_keys, old_values = kept
        keys, values = torch.concat((old_keys, keys), -2), torch.concat((old_values, values), -2)
    stream = x.add(cross_attention(normed, keys, values, weights["self_q"], weights["self_o"], bias))
    normed = F.rms_norm(stream, x.shape[-1:], weights["cross_norm"], 1e-6)
    source_keys, source_values = memory
    out = cross_attention(normed, source_keys, source_values, weights["cross_q"], weights["cross_o"], memory_bias)
    stream = stream.add(out)
    normed = F.rms_norm(stream, x.shape[-1:], weights["mlp_norm"], 1e-6)
    return stream.add(F.linear(F.linear(normed, weights["up"]).relu(), weights["down"])), [keys, values]


# ---------------------------------------------------------------------------------------- teacher_forced_loss


@exercise(
    points=3,
    minutes=10,
    level="core",
    importance=3,
    kind="find the bug",
    hints=(
        "Take three labels. What does the decoder read at the second position, and what is it asked for there?",
        "At each position the decoder may read the label before, never the label itself. And padding is no target.",
        "The inputs are (B, T): the start token, then the first T - 1 labels. All T labels are targets.",
        "`torch.cat([torch.full_like(labels[:, :1], start), labels[:, :-1]], 1)` shifts; `F.cross_entropy` ignores "
        "-100 by itself.",
    ),
)
def teacher_forced_loss(decoder, labels, start, pad):
    """Return the mean cross-entropy of the labels, each predicted from the start token and the labels before it.

    This version has two bugs. Its loss falls to almost nothing, and the trained model writes nonsense:

    ```python
    def teacher_forced_loss(decoder, labels, start, pad):
        inputs = labels.masked_fill(labels == -100, pad)
        inputs[:, 0] = start
        logits = decoder(inputs)
        targets = labels.masked_fill(labels == -100, pad)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    ```

    - decoder(ids (B, T)) → logits (B, T, V): position t reads ids 0 to t.
    - labels (B, T): tokens; -100 after the end of a row, no target. They stay as they are.
    - start: the first input. pad: what the decoder reads in place of -100.

    Returns a scalar: the mean over all targets, each counted once. The lesson trains through it.
    """
    ### BEGIN SOLUTION
    known = labels.masked_fill(labels == -100, pad)
    inputs = torch.cat([torch.full_like(labels[:, :1], start), known[:, :-1]], 1)
    logits = decoder(inputs)  # (B, T, V)
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
    ### END SOLUTION


teacher_forced_loss.equivalent(
    "return F.cross_entropy(logits.flatten(0, 1), labels.flatten())", "-100 is what cross_entropy ignores by default"
)


@teacher_forced_loss.test("feeds the start token and then the labels, one place to the right", points=1)
def _(teacher_forced_loss):
    read = []

    def decoder(ids):
        read.append(ids)
        return torch.zeros(*ids.shape, 8)

    labels = torch.tensor([[5, 6, 7, 1], [4, 1, -100, -100]])
    found = teacher_forced_loss(decoder, labels, 2, 0)
    assert len(read) == 1, f"the decoder needs to be called once, got {len(read)} calls"
    message = "what the decoder reads for the labels [[5, 6, 7, 1], [4, 1, -100, -100]], with start 2 and pad 0"
    assert_close(read[0], torch.tensor([[2, 5, 6, 7], [2, 4, 1, 0]]), message=message)
    assert_close(found, torch.tensor(math.log(8)), message="a decoder that knows nothing of 8 tokens has loss ln 8")


@teacher_forced_loss.hidden("averages -log p(label | labels before it) over the targets alone", points=1)
def _(teacher_forced_loss, rng):
    for batch, length, vocabulary, start, pad in ((2, 4, 9, 3, 5), (3, 5, 7, 0, 0), (4, 6, 5, 4, 2)):
        table = 3 * torch.randn(vocabulary, vocabulary, generator=rng, dtype=torch.float64)
        labels = torch.randint(vocabulary, (batch, length), generator=rng)
        labels[0, 2:], labels[1, -1], labels[1, 0] = -100, -100, pad
        before = labels.clone()
        terms = []
        for row in labels.tolist():
            known = [start, *row]
            for t, target in enumerate(row):
                context = sum(known[: t + 1]) % vocabulary
                terms += [] if target == -100 else [-table[context].log_softmax(-1)[target]]

        def decoder(ids, table=table, vocabulary=vocabulary):
            return table[ids.cumsum(1) % vocabulary]

        found = teacher_forced_loss(decoder, labels, start, pad)
        what = f"{batch} rows of {length} labels, start {start}, pad {pad}"
        assert_close(found, torch.stack(terms).mean(), rtol=1e-5, atol=1e-5, message=what)
        assert torch.equal(labels, before), "labels must stay as they are: change a copy"


@teacher_forced_loss.hidden("trains the decoder at every target, and nowhere else", points=1)
def _(teacher_forced_loss, rng):
    logits = torch.randn(2, 4, 6, generator=rng, dtype=torch.float64).requires_grad_()
    labels = torch.tensor([[3, 2, 5, 1], [4, 1, -100, -100]])
    loss = teacher_forced_loss(lambda ids: logits, labels, 0, 0)
    assert loss.ndim == 0, f"the loss must be a scalar, got shape {tuple(loss.shape)}"
    (gradient,) = torch.autograd.grad(loss, logits)
    counted = labels != -100
    expected = (logits.softmax(-1) - F.one_hot(labels.clamp(min=0), 6)) * counted[..., None] / counted.sum()
    assert_close(gradient, expected, rtol=1e-5, atol=1e-6, message="the gradient of the logits, (p - label) / targets")


@teacher_forced_loss.misconception(
    "You wrote the start token over the first label, as the code above does; from the second position on, the decoder "
    "still reads the label that it is asked for. Shift the labels to the right.",
    name="start-overwrites",
)
def _(decoder, labels, start, pad):
    inputs = labels.masked_fill(labels == -100, pad)
    inputs[:, 0] = start
    return F.cross_entropy(decoder(inputs).flatten(0, 1), labels.flatten())


@teacher_forced_loss.misconception(
    "You counted padding as targets, as the code above does; the model is then rewarded for writing pad, and a batch "
    "of short rows has a small loss. Leave -100 in the targets.",
    name="padding-is-target",
)
def _(decoder, labels, start, pad):
    known = labels.masked_fill(labels == -100, pad)
    inputs = torch.cat([torch.full_like(labels[:, :1], start), known[:, :-1]], 1)
    return F.cross_entropy(decoder(inputs).flatten(0, 1), known.flatten())


@teacher_forced_loss.misconception(
    "You rolled the labels around, so that the last label became the first input. In a full row that is the answer's "
    "last token; the first input is the start token.",
    name="rolled-around",
)
def _(decoder, labels, start, pad):
    inputs = labels.masked_fill(labels == -100, pad).roll(1, 1)
    return F.cross_entropy(decoder(inputs).flatten(0, 1), labels.flatten())


@teacher_forced_loss.misconception(
    "You shifted twice: the inputs were moved to the right and the targets to the left, so that the first label is "
    "never learned. Either one is enough.",
    name="shifted-twice",
)
def _(decoder, labels, start, pad):
    known = labels.masked_fill(labels == -100, pad)
    logits = decoder(torch.cat([torch.full_like(labels[:, :1], start), known[:, :-1]], 1))
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


@teacher_forced_loss.misconception(
    "You ignored the pad token in the targets; a real token may have the same id, and T5 even starts with it. The "
    "labels mark padding by -100.",
    name="ignored-pad",
)
def _(decoder, labels, start, pad):
    known = labels.masked_fill(labels == -100, pad)
    inputs = torch.cat([torch.full_like(labels[:, :1], start), known[:, :-1]], 1)
    return F.cross_entropy(decoder(inputs).flatten(0, 1), known.flatten(), ignore_index=pad)


@teacher_forced_loss.misconception(
    "You took the mean of each row and then the mean of those; a target in a short row then counts more than one in a "
    "long row.",
    name="mean-of-row-means",
)
def _(decoder, labels, start, pad):
    known = labels.masked_fill(labels == -100, pad)
    logits = decoder(torch.cat([torch.full_like(labels[:, :1], start), known[:, :-1]], 1))
    return torch.stack([F.cross_entropy(row, one) for row, one in zip(logits, labels, strict=True)]).mean()


@teacher_forced_loss.also_correct
def _(decoder, labels, start, pad):
    inputs = torch.empty_like(labels)
    inputs[:, 1:] = labels[:, :-1]
    inputs[:, 0] = start
    inputs = torch.where(inputs == -100, torch.full_like(inputs, pad), inputs)
    logp = decoder(inputs).log_softmax(-1)
    counted = labels != -100
    return -logp[counted].gather(-1, labels[counted][:, None]).mean()


@teacher_forced_loss.also_correct
def _(decoder, labels, start, pad):
    shifted = F.pad(labels[:, :-1], (1, 0), value=start)
    shifted = shifted.masked_fill(shifted.eq(-100), pad)
    return F.cross_entropy(decoder(shifted).transpose(1, 2), labels)


# ----------------------------------------------------------------------------------------------------- greedy


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=2,
    hints=(
        "Some answers are complete before others. What do those rows write meanwhile, and when does the loop end?",
        "Remember which rows still write. After each step their newest token is the likeliest one; all other rows get "
        "pad.",
        "newest and the flags are (B,); the answers, stacked along a second axis, (B, t).",
        "`torch.where(writing, logits.argmax(-1), pad)` is the newest token; `writing & (newest != eos)` goes on.",
    ),
)
def greedy(step, start, eos, pad, longest):
    """Return the likeliest token at each step, for a batch of answers that end at different times.

    - step(newest (B,), kept) → (logits (B, V), kept): feeds each row its newest token. kept is None at first, then
      what the last call returned.
    - start (B,): the first tokens to feed.
    - eos ends a row; after it, the row gets pad, a different token.
    - Stop as soon as all rows have ended, or after `longest` tokens.

    Returns (B, t), long: the answers without the start tokens, with eos.
    """
    ### BEGIN SOLUTION
    newest, kept, found = start, None, []
    writing = torch.ones_like(start, dtype=torch.bool)
    while writing.any() and len(found) < longest:
        logits, kept = step(newest, kept)
        newest = torch.where(writing, logits.argmax(-1), pad)
        writing = writing & (newest != eos)
        found.append(newest)
    return torch.stack(found, 1)
    ### END SOLUTION


@greedy.test("lets each row end by itself", points=1)
def _(greedy):
    fed = []

    def step(newest, kept):
        """Count down to 1, which is eos."""
        fed.append(newest.tolist())
        return F.one_hot((newest - 1).clamp(min=1), 9).float(), len(fed)

    found = greedy(step, torch.tensor([4, 6, 3]), 1, 0, 10)
    expected = torch.tensor([[3, 2, 1, 0, 0], [5, 4, 3, 2, 1], [2, 1, 0, 0, 0]])
    assert_close(found, expected, message="three rows that count down from 4, 6 and 3; eos is 1, pad is 0")
    assert len(fed) == 5, f"after 5 steps all rows have ended, got {len(fed)} calls of step"


@greedy.hidden("passes newest tokens and kept states on, row by row", points=2)
def _(greedy, rng):
    for batch, vocabulary, eos, pad, longest in ((3, 6, 2, 5, 9), (2, 4, 0, 3, 6), (5, 7, 6, 0, 12), (2, 9, 8, 1, 1)):
        table = torch.randn(53, vocabulary, generator=rng)

        def step(newest, kept, table=table):
            seen = newest + 1 if kept is None else kept * 3 + newest + 1
            return table.to(newest.device)[seen % 53], seen

        starts = torch.randint(vocabulary, (batch,), generator=rng)
        before, rows, calls = starts.clone(), [], 0
        for token in starts.tolist():
            row, seen = [], 0
            while len(row) < longest and (not row or row[-1] != eos):
                seen = seen * 3 + token + 1
                token = int(table[seen % 53].argmax())
                row.append(token)
            rows.append(row)
            calls = max(calls, len(row))
        found = greedy(step, starts, eos, pad, longest)
        expected = torch.tensor([row + [pad] * (calls - len(row)) for row in rows])
        what = f"{batch} rows, {vocabulary} tokens, eos {eos}, pad {pad}, {longest} at most"
        assert torch.as_tensor(found).dtype == torch.long, f"the answers must be long, got {found.dtype}"
        assert_close(found, expected, message=what)
        assert torch.equal(starts, before), "the argument start must stay as it is"


@greedy.hidden("calls step no more often than answers need", points=1)
def _(greedy):
    for starts, longest, expected in (([3, 2], 8, 3), ([7, 9], 4, 4), ([1, 1, 1], 5, 1)):
        calls = []

        def step(newest, kept, calls=calls):
            calls.append(len(newest))
            return F.one_hot((newest - 1).clamp(min=0), 12).double(), kept

        greedy(step, torch.tensor(starts), 0, 11, longest)
        message = f"rows that need {starts} tokens, {longest} at most: calls of step, as sizes of newest"
        assert_close(calls, [len(starts)] * expected, message=message)


@greedy.misconception(
    "You stopped when the first row ended; the others are not complete yet. Stop when all have ended.",
    name="stops-with-the-first",
)
def _(step, start, eos, pad, longest):
    newest, kept, found = start, None, []
    while len(found) < longest:
        logits, kept = step(newest, kept)
        newest = logits.argmax(-1)
        found.append(newest)
        if (newest == eos).any():
            break
    return torch.stack(found, 1)


@greedy.misconception(
    "You let finished rows go on writing; what comes after eos is not part of the answer, so those rows get pad.",
    name="writes-after-eos",
)
def _(step, start, eos, pad, longest):
    newest, kept, found, ended = start, None, [], torch.zeros_like(start, dtype=torch.bool)
    while not ended.all() and len(found) < longest:
        logits, kept = step(newest, kept)
        newest = logits.argmax(-1)
        ended = ended | (newest == eos)
        found.append(newest)
    return torch.stack(found, 1)


@greedy.misconception(
    "You never stopped before `longest`; once all rows have ended, every further step only writes padding.",
    name="always-longest",
)
def _(step, start, eos, pad, longest):
    newest, kept, found, writing = start, None, [], torch.ones_like(start, dtype=torch.bool)
    for _ in range(longest):
        logits, kept = step(newest, kept)
        newest = torch.where(writing, logits.argmax(-1), pad)
        writing = writing & (newest != eos)
        found.append(newest)
    return torch.stack(found, 1)


@greedy.misconception(
    "You put pad in the place of eos itself; the answer includes its eos, and pad begins after it.",
    name="eos-overwritten",
)
def _(step, start, eos, pad, longest):
    found = greedy(step, start, eos, pad, longest)
    return found.masked_fill(found == eos, pad)


@greedy.misconception(
    "You fed the start tokens at every step; each step needs the token that was written last.",
    name="feeds-start-again",
)
def _(step, start, eos, pad, longest):
    kept, found, writing = None, [], torch.ones_like(start, dtype=torch.bool)
    while writing.any() and len(found) < longest:
        logits, kept = step(start, kept)
        newest = torch.where(writing, logits.argmax(-1), pad)
        writing = writing & (newest != eos)
        found.append(newest)
    return torch.stack(found, 1)


@greedy.also_correct
def _(step, start, eos, pad, longest):
    answers = torch.full((len(start), longest), pad, dtype=torch.long, device=start.device)
    ended, newest, kept = [False] * len(start), start, None
    for t in range(longest):
        logits, kept = step(newest, kept)
        newest = logits.topk(1).indices[:, 0].clone()
        for row in range(len(start)):
            if ended[row]:
                newest[row] = pad
            ended[row] = ended[row] or int(newest[row]) == eos
        answers[:, t] = newest
        if all(ended):
            return answers[:, : t + 1]
    return answers


@greedy.also_correct
def _(step, start, eos, pad, longest):
    done = start != start
    logits, kept = step(start, None)
    answers = logits.max(-1).indices.unsqueeze(1)
    done = done | (answers[:, -1] == eos)
    while answers.shape[1] < longest and not bool(done.all()):
        logits, kept = step(answers[:, -1], kept)
        chosen = logits.max(-1).indices.masked_fill(done, pad)
        done |= chosen == eos
        answers = torch.cat([answers, chosen.unsqueeze(1)], 1)
    return answers


# ------------------------------------------------------------------------------------------------ beam_search


@exercise(
    points=6,
    minutes=35,
    level="integrative",
    importance=3,
    hints=(
        "Several extensions of one answer may stay in the beam, and none of another. Which cache does each need?",
        "Add the log-probabilities of all next tokens to the totals of their answers, take the best of all of them at "
        "once, and find from the flat index which answer and which token it was. Then everything that belongs to an "
        "answer moves with it.",
        "Scores are (n, V), flat (n · V,); parents, newest tokens and totals are (n',); the answers (n', t).",
        "`scores.flatten().topk(min(width, scores.numel()))`; the parent is `flat // V`, the token `flat % V`; "
        "`[part[parents] for part in kept]`. Take out the rows with eos, in all of these.",
    ),
)
def beam_search(step, start, eos, width, longest, alpha=0.0):
    """Return the best answer that a beam of `width` finds, and its log-probability.

    - step(newest (n,), kept) → (logits (n, V), kept): feeds n answers one token each, first `start`; call it once for
      the whole beam. kept is None, then a list of tensors (n, …), a row for each answer: the cache of self-attention.
      That of the source is inside of step, the same for all.
    - Each step keeps the `width` likeliest extensions of all answers in the beam. Those that end in eos leave it,
      finished. After `longest` tokens all are finished. Stop when the beam is empty.
    - The best: the highest log p / lengthᵅ, counting eos.

    Returns its tokens, a list with eos if it has one, and log p, a float.
    """
    ### BEGIN SOLUTION
    newest, kept, finished = torch.tensor([start]), None, []
    answers, total = newest[None, :0], torch.zeros(1)
    for _ in range(longest):
        logits, kept = step(newest, kept)
        scores = total[:, None] + logits.log_softmax(-1)  # (n, V)
        total, flat = scores.flatten().topk(min(width, scores.numel()))
        parents, newest = flat // scores.shape[1], flat % scores.shape[1]
        answers = torch.cat([answers[parents], newest[:, None]], 1)
        ended = newest == eos
        finished += zip(answers[ended].tolist(), total[ended].tolist(), strict=True)
        if ended.all():
            break
        answers, total, newest, parents = (one[~ended] for one in (answers, total, newest, parents))
        kept = [part[parents] for part in kept]
    else:
        finished += zip(answers.tolist(), total.tolist(), strict=True)
    return max(finished, key=lambda one: one[1] / len(one[0]) ** alpha)
    ### END SOLUTION


beam_search.equivalent(
    "finished += zip(answers[ended].tolist(), total[ended].tolist(), strict=False)", "each answer has one total"
)
beam_search.equivalent(
    "finished += zip(answers.tolist(), total.tolist(), strict=False)", "each answer has one total here as well"
)


beam_search.equivalent("continue", "an empty beam has no extensions, and after `longest` tokens the loop ends anyway")


@beam_search.test("finds what greedy search walks past", points=1)
def _(beam_search):
    after = {
        (): [0.0, 0.0, 0.55, 0.45],
        (2,): [0.0, 0.25, 0.4, 0.35],
        (3,): [0.0, 0.9, 0.1, 0.0],
    }

    def step(newest, kept):
        """Token 2 is likelier than 3 at first, but only 3 has a likely end. Nothing else is possible afterwards."""
        texts = torch.cat([kept[0], newest[:, None]], 1) if kept else newest[:, None]
        rows = [after.get(tuple(text[1:].tolist()), [0.0, 1.0, 0.0, 0.0]) for text in texts]
        return torch.tensor(rows).log(), [texts]

    tokens, total = beam_search(step, 0, 1, 2, 5)
    assert_close(list(map(int, tokens)), [3, 1], message="a beam of 2: the tokens (1 is eos)")
    assert_close(float(total), math.log(0.45 * 0.9), rtol=1e-4, message="a beam of 2: log p = ln(0.45 · 0.9)")
    tokens, _ = beam_search(step, 0, 1, 1, 5)
    assert_close(list(map(int, tokens)), [2, 2, 1], message="a beam of 1 is greedy search: the tokens")


@beam_search.hidden("keeps the likeliest extensions of the whole beam, and their caches with them", points=2)
def _(beam_search, rng):
    cases = ((5, 4, 6, 2, 3), (7, 4, 6, 5, 2), (4, 3, 7, 3, 2), (5, 2, 6, 1, 3), (6, 1, 8, 4, 0), (5, 8, 4, 0, 1))
    reads = []
    for alpha, (vocabulary, width, longest, eos, start) in product((1.0, 0.6, 0.0, 0.0), cases):
        table = 1.5 * torch.randn(97, vocabulary, generator=rng, dtype=torch.float64)
        table[:, eos] -= 1 if alpha else 2  # so that answers grow long
        fed, wanted = [], []

        def step(newest, kept, table=table, fed=fed):
            hashes, same = kept or (torch.zeros(len(newest), 1, dtype=torch.long), torch.zeros(len(newest)).long())
            assert len(newest) == len(hashes), f"kept has {len(hashes)} rows for {len(newest)} newest tokens"
            assert torch.equal(hashes[:, 0], same), "row i of every tensor in kept must belong to the same answer"
            hashes = hashes * 5 + newest[:, None] + 1
            fed.append(sorted(hashes[:, 0].tolist()))
            return table[hashes[:, 0] % 97], [hashes, hashes[:, 0]]

        beam, finished = [((), 0.0, start + 1)], []
        for _ in range(longest):
            pool = []
            wanted.append(sorted(seen for _, _, seen in beam))
            for tokens, total, seen in beam:
                for token, logp in enumerate(table[seen % 97].log_softmax(-1).tolist()):
                    pool.append(((*tokens, token), total + logp, seen * 5 + token + 1))
            best = sorted(pool, key=lambda one: -one[1])[:width]
            finished += [one for one in best if one[0][-1] == eos]
            beam = [one for one in best if one[0][-1] != eos]
        expected = max(finished + beam, key=lambda one: one[1] / len(one[0]) ** alpha)
        tokens, total = beam_search(step, start, eos, width, longest, alpha)
        what = f"{vocabulary} tokens, a beam of {width}, {longest} at most, alpha {alpha}"
        assert_close(list(map(int, tokens)), list(expected[0]), message=f"the tokens: {what}")
        assert_close(float(total), expected[1], rtol=1e-4, atol=1e-4, message=f"log p: {what}")
        reads.append((what, fed, wanted))
    for what, fed, wanted in reads:
        same = all(one == two for one, two in zip(fed, wanted, strict=False))
        assert same, f"each newest token needs the rows of kept that belong to its own answer: {what}"


@beam_search.hidden("finds the likeliest of all answers when the beam is wide enough", points=1)
def _(beam_search, rng):
    for vocabulary, longest, alpha in ((3, 4, 0.0), (4, 3, 0.0), (3, 4, 0.7), (4, 3, 1.5)):
        table = torch.randn(211, vocabulary, generator=rng, dtype=torch.float64)
        eos = vocabulary - 1

        def step(newest, kept, table=table):
            seen = newest + 1 if kept is None else kept[0] * 7 + newest + 1
            return table[seen % 211], [seen]

        answers, stack = [], [((), 0.0, 1)]
        while stack:
            tokens, total, seen = stack.pop()
            if tokens and (tokens[-1] == eos or len(tokens) == longest):
                answers.append((tokens, total))
                continue
            for token, logp in enumerate(table[seen % 211].log_softmax(-1).tolist()):
                stack.append(((*tokens, token), total + logp, seen * 7 + token + 1))
        expected = max(answers, key=lambda one: one[1] / len(one[0]) ** alpha)
        tokens, total = beam_search(step, 0, eos, vocabulary**longest, longest, alpha)
        what = f"all {len(answers)} answers of {vocabulary} tokens, {longest} at most, alpha {alpha}"
        assert_close(list(map(int, tokens)), list(expected[0]), message=f"the tokens: {what}")
        assert_close(float(total), expected[1], rtol=1e-4, atol=1e-4, message=f"log p, not divided: {what}")


@beam_search.hidden("divides by length to the power alpha, eos included", points=1)
def _(beam_search):
    ends = (0.1, 0.35, 0.45, 0.6, 0.45)

    def step(newest, kept):
        """Offer eos with these probabilities at the first 5 steps, then end."""
        t = 0 if kept is None else int(kept[0][0])
        rows = torch.tensor([1 - ends[t], ends[t]] if t < 5 else [1e-9, 1.0]).log().expand(len(newest), 2)
        return rows, [torch.full((len(newest),), t + 1)]

    logp = [math.log(math.prod([1 - end for end in ends[:t]]) * [*ends, 1.0][t]) for t in range(6)]
    for alpha in (0.0, 0.5, 1.0, 2.0):
        length = max(range(6), key=lambda t: logp[t] / (t + 1) ** alpha)
        tokens, total = beam_search(step, 0, 1, 2, 9, alpha)
        message = f"alpha {alpha}: the answers are 0 to 5 zeros and eos"
        assert_close(list(map(int, tokens)), [0] * length + [1], message=message)
        assert_close(float(total), logp[length], rtol=1e-4, atol=1e-5, message=f"log p, alpha {alpha}")


@beam_search.hidden("feeds each answer in the beam once a step, and no finished one", points=1)
def _(beam_search, rng):
    for width, longest in ((3, 5), (1, 30), (2, 40), (1, 4)):
        table, calls = torch.randn(61, 4, generator=rng), []

        def step(newest, kept, table=table, calls=calls):
            seen = newest + 1 if kept is None else kept[0] * 5 + newest + 1
            calls.append(newest.tolist())
            return table[seen % 61], [seen]

        beam_search(step, 3, 2, width, longest)
        assert calls[0] == [3], f"the first call feeds the start token alone, [3], got {calls[0]}"
        assert len(calls) <= longest, f"at most {longest} calls of step are needed, got {len(calls)}"
        for newest in calls[1:]:
            assert newest, "step was called without any answer: stop when the beam is empty"
            assert len(newest) <= width, f"a beam of {width} feeds at most {width} tokens, got {len(newest)}"
            assert 2 not in newest, f"eos, here 2, ends an answer and is never fed, got {newest}"


@beam_search.misconception(
    "You left the cache in its old order; after a step, row i continues the answer of another row, and must read that "
    "answer's keys and values. Take the rows of the parents.",
    name="cache-not-reordered",
)
def _(step, start, eos, width, longest, alpha=0.0):
    newest, kept, finished = torch.tensor([start]), None, []
    answers, total = torch.empty(1, 0, dtype=torch.long), torch.zeros(1)
    for _ in range(longest):
        logits, kept = step(newest, kept)
        scores = total[:, None] + logits.log_softmax(-1)
        total, flat = scores.flatten().topk(min(width, scores.numel()))
        parents, newest = flat // scores.shape[1], flat % scores.shape[1]
        answers = torch.cat([answers[parents], newest[:, None]], 1)
        ended = newest == eos
        finished += zip(answers[ended].tolist(), total[ended].tolist(), strict=True)
        answers, total, newest = answers[~ended], total[~ended], newest[~ended]
        if not len(newest):
            break
        kept = [part[torch.arange(len(newest)) % len(part)] for part in kept]
    finished += zip(answers.tolist(), total.tolist(), strict=True)
    return max(finished, key=lambda one: one[1] / len(one[0]) ** alpha)


@beam_search.misconception(
    "You gave each answer its own best extension; the beam takes the best of all extensions together, so one answer "
    "may be extended several times and another not at all.",
    name="best-of-each",
)
def _(step, start, eos, width, longest, alpha=0.0):
    newest, kept, finished = torch.tensor([start]), None, []
    answers, total = torch.empty(1, 0, dtype=torch.long), torch.zeros(1)
    for t in range(longest):
        logits, kept = step(newest, kept)
        scores = total[:, None] + logits.log_softmax(-1)
        if t == 0:
            total, newest = scores[0].topk(min(width, scores.shape[1]))
            parents = torch.zeros_like(newest)
        else:
            total, newest = scores.max(1)
            parents = torch.arange(len(newest))
        answers = torch.cat([answers[parents], newest[:, None]], 1)
        ended = newest == eos
        finished += zip(answers[ended].tolist(), total[ended].tolist(), strict=True)
        answers, total, newest, parents = (one[~ended] for one in (answers, total, newest, parents))
        if not len(newest):
            break
        kept = [part[parents] for part in kept]
    finished += zip(answers.tolist(), total.tolist(), strict=True)
    return max(finished, key=lambda one: one[1] / len(one[0]) ** alpha)


@beam_search.misconception(
    "You compared the answers by their last step alone; what counts is the sum of the log-probabilities of all tokens.",
    name="last-step-alone",
)
def _(step, start, eos, width, longest, alpha=0.0):
    newest, kept, finished = torch.tensor([start]), None, []
    answers, total = torch.empty(1, 0, dtype=torch.long), torch.zeros(1)
    for _ in range(longest):
        logits, kept = step(newest, kept)
        scores = logits.log_softmax(-1)
        last, flat = scores.flatten().topk(min(width, scores.numel()))
        parents, newest = flat // scores.shape[1], flat % scores.shape[1]
        answers, total = torch.cat([answers[parents], newest[:, None]], 1), total[parents] + last
        ended = newest == eos
        finished += zip(answers[ended].tolist(), total[ended].tolist(), strict=True)
        answers, total, newest, parents = (one[~ended] for one in (answers, total, newest, parents))
        if not len(newest):
            break
        kept = [part[parents] for part in kept]
    finished += zip(answers.tolist(), total.tolist(), strict=True)
    return max(finished, key=lambda one: one[1] / len(one[0]) ** alpha)


@beam_search.misconception(
    "You added logits; they are log-probabilities only after log_softmax, and a row with large logits would win for "
    "that reason alone.",
    name="logits-added",
)
def _(step, start, eos, width, longest, alpha=0.0):
    newest, kept, finished = torch.tensor([start]), None, []
    answers, total = torch.empty(1, 0, dtype=torch.long), torch.zeros(1)
    for _ in range(longest):
        logits, kept = step(newest, kept)
        scores = total[:, None] + logits
        total, flat = scores.flatten().topk(min(width, scores.numel()))
        parents, newest = flat // scores.shape[1], flat % scores.shape[1]
        answers = torch.cat([answers[parents], newest[:, None]], 1)
        ended = newest == eos
        finished += zip(answers[ended].tolist(), total[ended].tolist(), strict=True)
        answers, total, newest, parents = (one[~ended] for one in (answers, total, newest, parents))
        if not len(newest):
            break
        kept = [part[parents] for part in kept]
    finished += zip(answers.tolist(), total.tolist(), strict=True)
    return max(finished, key=lambda one: one[1] / len(one[0]) ** alpha)


@beam_search.misconception(
    "You forgot the answers that are still in the beam after `longest` tokens; they are finished as well, without eos, "
    "and the best may be one of them.",
    name="unfinished-left-out",
)
def _(step, start, eos, width, longest, alpha=0.0):
    newest, kept, finished = torch.tensor([start]), None, []
    answers, total = torch.empty(1, 0, dtype=torch.long), torch.zeros(1)
    for _ in range(longest):
        logits, kept = step(newest, kept)
        scores = total[:, None] + logits.log_softmax(-1)
        total, flat = scores.flatten().topk(min(width, scores.numel()))
        parents, newest = flat // scores.shape[1], flat % scores.shape[1]
        answers = torch.cat([answers[parents], newest[:, None]], 1)
        ended = newest == eos
        finished += zip(answers[ended].tolist(), total[ended].tolist(), strict=True)
        answers, total, newest, parents = (one[~ended] for one in (answers, total, newest, parents))
        if not len(newest):
            break
        kept = [part[parents] for part in kept]
    return max(finished, key=lambda one: one[1] / len(one[0]) ** alpha, default=([], 0.0))


@beam_search.misconception(
    "You returned the first answer that ended; a longer one in the beam may be likelier. Go on until the beam is "
    "empty, and compare all finished answers.",
    name="first-finished",
)
def _(step, start, eos, width, longest, alpha=0.0):
    newest, kept = torch.tensor([start]), None
    answers, total = torch.empty(1, 0, dtype=torch.long), torch.zeros(1)
    for _ in range(longest):
        logits, kept = step(newest, kept)
        scores = total[:, None] + logits.log_softmax(-1)
        total, flat = scores.flatten().topk(min(width, scores.numel()))
        parents, newest = flat // scores.shape[1], flat % scores.shape[1]
        answers = torch.cat([answers[parents], newest[:, None]], 1)
        if (newest == eos).any():
            first = int((newest == eos).int().argmax())
            return answers[first].tolist(), float(total[first])
        kept = [part[parents] for part in kept]
    return answers[0].tolist(), float(total[0])


@beam_search.misconception(
    "You divided by the length to the power of alpha in the number that you returned as well; the power chooses the "
    "answer, but log p is the sum.",
    name="returned-the-score",
)
def _(step, start, eos, width, longest, alpha=0.0):
    tokens, total = beam_search(step, start, eos, width, longest, alpha)
    return tokens, total / len(tokens) ** (alpha or 1.0)


@beam_search.also_correct
def _(step, start, eos, width, longest, alpha=0.0):
    logits, kept = step(torch.tensor([start]), None)
    beam, finished = [([], 0.0)], []
    for t in range(longest):
        logp = torch.log_softmax(logits, dim=-1).tolist()
        pool = [
            (total + logp[row][token], row, token)
            for row, (_, total) in enumerate(beam)
            for token in range(len(logp[row]))
        ]
        pool = sorted(pool, reverse=True)[:width]
        made = [([*beam[row][0], token], total, row) for total, row, token in pool]
        finished += [(tokens, total) for tokens, total, _ in made if tokens[-1] == eos]
        made = [one for one in made if one[0][-1] != eos]
        beam = [(tokens, total) for tokens, total, _ in made]
        if not beam or t == longest - 1:
            break
        rows = torch.tensor([row for _, _, row in made])
        kept = [part.index_select(0, rows) for part in kept]
        logits, kept = step(torch.tensor([tokens[-1] for tokens, _ in beam]), kept)
    return max(finished + beam, key=lambda one: one[1] / len(one[0]) ** alpha)


@beam_search.also_correct
def _(step, start, eos, width, longest, alpha=0.0):
    best, score = None, -math.inf
    texts, totals, rows, kept = [[start]], [0.0], None, None
    while texts:
        if kept is not None:
            kept = [part[rows] for part in kept]
        logits, kept = step(torch.tensor([text[-1] for text in texts]), kept)
        sums = torch.tensor(totals, dtype=torch.float64)[:, None] + F.log_softmax(logits.double(), -1)
        order = sums.flatten().argsort(descending=True)[:width].tolist()
        heirs, totals, rows = [], [], []
        for flat in order:
            row, token = divmod(flat, sums.shape[1])
            text, total = [*texts[row], token], float(sums[row, token])
            if token == eos or len(text) > longest:
                if total / (len(text) - 1) ** alpha > score:
                    best, score = (text[1:], total), total / (len(text) - 1) ** alpha
            else:
                heirs.append(text), totals.append(total), rows.append(row)
        texts = heirs
    return best
