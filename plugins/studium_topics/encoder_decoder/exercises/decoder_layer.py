import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.encoder_decoder.exercises.cross_attention import cross_attention
from studium_topics.encoder_decoder.exercises.remember import remember
from studium_topics.encoder_decoder.model import feed_forward, rmsnorm


@exercise(
    points=5,
    minutes=18,
    level="core",
    importance=3,
    hints=(
        "The layer adds to its stream three times. Which of the three sublayers reads the text so far, which one the "
        "source, and which one neither?",
        "Each sublayer reads a normalised copy of the stream and adds its result to the stream. Only the first one "
        "makes new keys and values; they go after the kept ones.",
        "New keys are (B, H, T, d); after P kept ones they become (B, H, P + T, d). The stream is (B, T, D) "
        "throughout.",
        "`keys = torch.cat([kept[0], keys], 2)` if there are kept keys; `cross_attention(z, *memory, "
        'weights["cross_q"], weights["cross_o"], memory_bias)` reads the source.',
    ),
)
def decoder_layer(x, weights, kept, memory, bias, memory_bias):
    """Return the stream after one layer of T5's decoder, and what to keep for the next tokens.

    - x (B, T, D): the stream of T new tokens.
    - weights: a mapping with "self_norm", "cross_norm", "mlp_norm" (D,); "self_q", "self_k", "self_v", "self_o",
      "cross_q", "cross_o" (D, D); "up" (F, D); "down" (D, F).
    - kept: None, or (keys, values) of the P earlier tokens.
    - memory: (keys, values) of the source.
    - bias, memory_bias: for self- and cross-attention.

    Each sublayer reads `rmsnorm(stream, norm)` and adds to the stream: self-attention, cross-attention,
    `feed_forward(z, up, down)`. Returns (B, T, D) and the (keys, values) of all P + T tokens. Gradients must reach the
    weights, x and memory, and x, kept and memory stay as they are.
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
    bias = torch.randn(1, heads, length, length, **draw) + torch.full((length, length), -torch.inf).triu(1)
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
    "You put the new keys and values before the kept ones; put them after, because the bias expects earlier tokens "
    "first.",
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
    "You read the source before the text; in T5's decoder self-attention comes first, so the query for the source "
    "already knows what has been written.",
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
    "You replaced the stream with the output of a sublayer; add the output to the stream, so what was there before "
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
    "You normalised the sum after each sublayer, as BERT does; normalise only the copy that the sublayer reads, and "
    "leave the stream as it is.",
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
    "You made the keys and values from the stream itself; make them from the normalised copy, like the queries.",
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
    "You returned the keys and values of only the new tokens; return those of all tokens so far, because the next "
    "step needs them.",
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
