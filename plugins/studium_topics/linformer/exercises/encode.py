from functools import partial

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import nn

from studium_topics.kits.weights import drawn
from studium_topics.linformer.exercises.linformer_attention import linformer_attention


@exercise(
    points=6,
    minutes=25,
    level="integrative",
    importance=3,
    hints=(
        "If the norm comes first, in which order does a layer normalise, compute and add?",
        "There are two halves, and each is added to x: attention of the normalised x, then the feed-forward part of "
        "the newly normalised x. Only the step from q, k and v to their mixture depends on attend.",
        "q, k and v are (B, n, D) after their linear layers and (B, H, n, d) for the attention; bring the mixture "
        "back to (B, n, D) before o.",
        "`F.linear(normed, layer['q.weight'], layer['q.bias']).unflatten(-1, (heads, -1)).transpose(1, 2)`, and back "
        "with `.transpose(1, 2).flatten(2)`; `F.layer_norm(x, x.shape[-1:], weight, bias)`.",
    ),
)
def encode(x, pad, layers, heads, attend):
    """Return the states x after the layers of a pre-norm encoder.

    Each layer adds o(attention of norm1(x)) to x, and then adds down(gelu(up(norm2(x)))) to the new x.

    * x (B, n, D); pad (B, n), bool, or None: they stay as they are
    * layers: one dict for each layer, with the "weight" and "bias" of q, k, v, o, norm1, up, down and norm2 under
      names such as "q.weight", shaped as in `nn.Linear` and `nn.LayerNorm`; nothing in them changes
    * heads: H; head h has the columns h · d to (h + 1) · d - 1 of q, k and v
    * attend: attend(q, k, v, pad) returns (B, H, n, d); if it is None, use your `linformer_attention` with the layer's
      "e" and "f"
    * returns: (B, n, D); gradients must reach all weights

    The norms use eps = 1e-5.
    """
    ### BEGIN SOLUTION
    for layer in layers:
        normed = F.layer_norm(x, x.shape[-1:], layer["norm1.weight"], layer["norm1.bias"])
        q, k, v = (
            F.linear(normed, layer[f"{name}.weight"], layer[f"{name}.bias"]).unflatten(-1, (heads, -1)).transpose(1, 2)
            for name in "qkv"
        )  # (B, H, n, d)
        mixed = linformer_attention(q, k, v, layer["e"], layer["f"], pad) if attend is None else attend(q, k, v, pad)
        x = x + F.linear(mixed.transpose(1, 2).flatten(2), layer["o.weight"], layer["o.bias"])
        normed = F.layer_norm(x, x.shape[-1:], layer["norm2.weight"], layer["norm2.bias"])
        hidden = F.gelu(F.linear(normed, layer["up.weight"], layer["up.bias"]))
        x = x + F.linear(hidden, layer["down.weight"], layer["down.bias"])
    return x
    ### END SOLUTION


@encode.test("is PyTorch's own encoder layer if it attends to all tokens", points=1)
def _(encode, rng):
    layer = partial(nn.TransformerEncoderLayer, 6, 2, 10, 0.0, "gelu", dtype=torch.float64)
    theirs = drawn(partial(layer, batch_first=True, norm_first=True), rng)
    state = theirs.state_dict()
    own = {"o": "self_attn.out_proj", "norm1": "norm1", "norm2": "norm2", "up": "linear1", "down": "linear2"}
    layer = {f"{name}.{kind}": state[f"{path}.{kind}"] for name, path in own.items() for kind in ("weight", "bias")}
    for kind in ("weight", "bias"):
        for name, part in zip("qkv", state[f"self_attn.in_proj_{kind}"].chunk(3), strict=True):
            layer[f"{name}.{kind}"] = part
    x = torch.randn(3, 5, 6, generator=rng, dtype=torch.float64)
    expected = theirs(x).detach()
    found = encode(x, None, [layer], 2, lambda q, k, v, pad: F.scaled_dot_product_attention(q, k, v))
    assert_close(found, expected, rtol=1e-6, atol=1e-6, message="one layer of nn.TransformerEncoderLayer, norm first")


@encode.hidden("projects keys and values in every layer, by that layer's own projections", points=3)
def _(encode, rng):
    for count, heads, width, hidden, tokens, slots in ((2, 2, 6, 5, 7, 3), (1, 3, 12, 8, 5, 4), (3, 1, 4, 9, 6, 2)):
        shapes = dict.fromkeys("qkvo", (width, width)) | {"up": (hidden, width), "down": (width, hidden)}
        layers = []
        for _ in range(count):
            layer = {name: torch.randn(slots, tokens, generator=rng, dtype=torch.float64) for name in "ef"}
            for name, shape in (shapes | {"norm1": (width,), "norm2": (width,)}).items():
                layer[f"{name}.weight"] = torch.randn(shape, generator=rng, dtype=torch.float64)
                layer[f"{name}.bias"] = torch.randn(shape[0], generator=rng, dtype=torch.float64)
            layers.append(layer)
        x = torch.randn(3, tokens, width, generator=rng, dtype=torch.float64)
        real = torch.randint(1, tokens, (3, 1), generator=rng)
        for pad in (torch.arange(tokens) < tokens - real, None):
            kept, states, kept_pad = x.clone(), x, None if pad is None else pad.clone()
            before = [{name: weight.clone() for name, weight in layer.items()} for layer in layers]
            alive = torch.ones(3, tokens, dtype=torch.float64) if pad is None else (~pad).double()
            for layer in layers:
                h = nn.functional.layer_norm(states, (width,), layer["norm1.weight"], layer["norm1.bias"])
                q, k, v = (
                    torch.einsum("bnd,od->bno", h, layer[f"{part}.weight"]) + layer[f"{part}.bias"] for part in "qkv"
                )
                k = torch.einsum("sj,bj,bjd->bsd", layer["e"], alive, k)
                v = torch.einsum("sj,bj,bjd->bsd", layer["f"], alive, v)
                mixed = [
                    F.scaled_dot_product_attention(*parts)
                    for parts in zip(*(part.chunk(heads, -1) for part in (q, k, v)), strict=True)
                ]
                states = states + torch.cat(mixed, -1) @ layer["o.weight"].T + layer["o.bias"]
                h = nn.functional.layer_norm(states, (width,), layer["norm2.weight"], layer["norm2.bias"])
                up = h @ layer["up.weight"].T + layer["up.bias"]
                states = states + 0.5 * up * (1 + torch.erf(up / 2**0.5)) @ layer["down.weight"].T + layer["down.bias"]
            which = "without padding" if pad is None else f"with pad {pad.int().tolist()}"
            what = f"{count} layers of width {width}, H={heads}, n={tokens}, {slots} slots, {which}"
            assert_close(encode(x, pad, layers, heads, None), states, rtol=1e-6, atol=1e-6, message=what)
            assert torch.equal(x, kept), "x must stay as it is"
            assert pad is None or torch.equal(pad, kept_pad), "pad must stay as it is"
            assert_close(layers, before, rtol=0, atol=0, message="the weights must stay as they are")


@encode.hidden("hands each layer's heads and the padding to attend, and can be trained", points=2)
def _(encode, rng):
    width, tokens = 6, 4
    shapes = dict.fromkeys("qkvo", (width, width)) | {"up": (5, width), "down": (width, 5)}
    layers = []
    for _ in range(2):
        layer = {
            name: torch.randn(3, tokens, generator=rng, dtype=torch.float64, requires_grad=True) for name in ("e", "f")
        }
        for name, shape in (shapes | {"norm1": (width,), "norm2": (width,)}).items():
            layer[f"{name}.weight"] = torch.randn(shape, generator=rng, dtype=torch.float64, requires_grad=True)
            layer[f"{name}.bias"] = torch.randn(shape[0], generator=rng, dtype=torch.float64, requires_grad=True)
        layers.append(layer)
    x = torch.randn(2, tokens, width, generator=rng, dtype=torch.float64)
    pad = torch.tensor([[False, False, True, True], [False, False, False, True]])
    seen = []

    def attend(q, k, v, pad):
        seen.append((q, k, v, pad))
        return v + q * k

    found = encode(x, pad, layers, 3, attend)
    assert len(seen) == 2, f"two layers attend twice, got {len(seen)} calls of attend"
    h = F.layer_norm(x, (width,), layers[0]["norm1.weight"], layers[0]["norm1.bias"])
    for name, given in zip("qkv", seen[0], strict=False):
        projected = h @ layers[0][f"{name}.weight"].T + layers[0][f"{name}.bias"]
        expected = torch.stack(projected.split(2, -1), 1)
        assert_close(given, expected, rtol=1e-6, atol=1e-6, message=f"{name} of the first layer, as attend gets it")
    assert all(given[3] is not None and torch.equal(given[3], pad) for given in seen), (
        "attend must be given the padding"
    )
    assert found.requires_grad, "gradients must reach the weights: the lesson trains them"
    found.square().sum().backward()
    without = {name for layer in layers for name, weight in layer.items() if weight.grad is None} - {"e", "f"}
    assert not without, f"no gradient reached {', '.join(sorted(without))}"
    encode(x, pad, layers, 3, None).square().sum().backward()
    without = {name for layer in layers for name in "ef" if layer[name].grad is None}
    assert not without, f"no gradient reached {', '.join(sorted(without))} without attend"


@encode.misconception(
    "You normalised after adding, as the first transformers did. Normalise first instead, and leave the sum itself as "
    "it is.",
    name="norm-after-the-sum",
)
def _(x, pad, layers, heads, attend):
    for layer in layers:
        q, k, v = (
            F.linear(x, layer[f"{name}.weight"], layer[f"{name}.bias"]).unflatten(-1, (heads, -1)).transpose(1, 2)
            for name in "qkv"
        )
        own = linformer_attention.solution(q, k, v, layer["e"], layer["f"], pad) if attend is None else None
        mixed = attend(q, k, v, pad) if attend else own
        x = x + F.linear(mixed.transpose(1, 2).flatten(2), layer["o.weight"], layer["o.bias"])
        x = F.layer_norm(x, x.shape[-1:], layer["norm1.weight"], layer["norm1.bias"])
        hidden = F.gelu(F.linear(x, layer["up.weight"], layer["up.bias"]))
        x = x + F.linear(hidden, layer["down.weight"], layer["down.bias"])
        x = F.layer_norm(x, x.shape[-1:], layer["norm2.weight"], layer["norm2.bias"])
    return x


@encode.misconception(
    "You replaced x by the result of each half; add each result to x, so a layer only changes the states.",
    name="nothing-added",
)
def _(x, pad, layers, heads, attend):
    for layer in layers:
        silent = layer | {f"down.{kind}": torch.zeros_like(layer[f"down.{kind}"]) for kind in ("weight", "bias")}
        x = encode.solution(x, pad, [silent], heads, attend) - x
        normed = F.layer_norm(x, x.shape[-1:], layer["norm2.weight"], layer["norm2.bias"])
        hidden = F.gelu(F.linear(normed, layer["up.weight"], layer["up.bias"]))
        x = F.linear(hidden, layer["down.weight"], layer["down.bias"])
    return x


@encode.misconception(
    "You reshaped (B, H, n, d) to (B, n, D) without first bringing the heads back next to d, which mixes up tokens "
    "and heads.",
    name="merged-without-transposing",
)
def _(x, pad, layers, heads, attend):
    for layer in layers:

        def reshaped(q, k, v, pad, layer=layer):
            own = linformer_attention.solution(q, k, v, layer["e"], layer["f"], pad) if attend is None else None
            mixed = attend(q, k, v, pad) if attend else own
            return mixed.reshape(q.shape[0], q.shape[2], heads, -1).transpose(1, 2)

        x = encode.solution(x, pad, [layer], heads, reshaped)
    return x


@encode.misconception(
    "You gave head h every H-th column. A head has d adjacent columns: `unflatten(-1, (heads, -1))`.",
    name="columns-of-a-head-apart",
)
def _(x, pad, layers, heads, attend):
    order = torch.arange(x.shape[-1]).view(-1, heads).T.flatten()
    moved = [
        layer
        | {f"{name}.{kind}": layer[f"{name}.{kind}"][order] for name in "qkv" for kind in ("weight", "bias")}
        | {"o.weight": layer["o.weight"][:, order]}
        for layer in layers
    ]
    return encode.solution(x, pad, moved, heads, attend)


@encode.misconception(
    "You projected the values with e as well; they have their own projection, f.", name="values-projected-by-e"
)
def _(x, pad, layers, heads, attend):
    same = [layer | {"f": layer["e"]} if "e" in layer else layer for layer in layers]
    return encode.solution(x, pad, same, heads, attend)


@encode.misconception(
    "You did not pass the padding on, so attention reads the tokens that fill up a text; pass pad to it.",
    name="padding-not-passed-on",
)
def _(x, pad, layers, heads, attend):
    return encode.solution(x, None, layers, heads, attend)


@encode.misconception(
    "You used the projections of the first layer in all layers. The paper has such a variant, but here every layer "
    "has its own.",
    name="projections-of-the-first-layer",
)
def _(x, pad, layers, heads, attend):
    first = {name: layers[0][name] for name in "ef" if name in layers[0]}
    return encode.solution(x, pad, [layer | first for layer in layers], heads, attend)


@encode.misconception(
    "You normalised with norm1 before the feed-forward part too; use norm2, which has different weights.",
    name="norm1-twice",
)
def _(x, pad, layers, heads, attend):
    same = [layer | {f"norm2.{kind}": layer[f"norm1.{kind}"] for kind in ("weight", "bias")} for layer in layers]
    return encode.solution(x, pad, same, heads, attend)


@encode.also_correct
def _(x, pad, layers, heads, attend):
    def linear(h, layer, name):
        return h @ layer[f"{name}.weight"].mT + layer[f"{name}.bias"]

    def norm(h, layer, name):
        centred = h - h.mean(-1, keepdim=True)
        h = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return h * layer[f"{name}.weight"] + layer[f"{name}.bias"]

    for layer in layers:
        batch, tokens, width = x.shape
        h = norm(x, layer, "norm1")
        q, k, v = (linear(h, layer, c).reshape(batch, tokens, heads, width // heads).permute(0, 2, 1, 3) for c in "qkv")
        mixed = attend(q, k, v, pad) if attend else linformer_attention(q, k, v, layer["e"], layer["f"], pad)
        x = linear(mixed.permute(0, 2, 1, 3).reshape(batch, tokens, width), layer, "o") + x
        x = linear(nn.functional.gelu(linear(norm(x, layer, "norm2"), layer, "up")), layer, "down") + x
    return x


@encode.also_correct
def _(x, pad, layers, heads, attend):
    states = x.clone()
    for layer in layers:
        h = F.layer_norm(states, states.shape[-1:], layer["norm1.weight"], layer["norm1.bias"])
        q, k, v = (
            torch.stack(F.linear(h, layer[f"{c}.weight"], layer[f"{c}.bias"]).chunk(heads, -1), 1) for c in "qkv"
        )
        one = attend or (lambda q, k, v, pad, at=layer: linformer_attention(q, k, v, at["e"], at["f"], pad))
        together = torch.cat(one(q, k, v, pad).unbind(1), -1)
        states = states + F.linear(together, layer["o.weight"], layer["o.bias"])
        h = F.layer_norm(states, states.shape[-1:], layer["norm2.weight"], layer["norm2.bias"])
        h = F.linear(
            F.gelu(F.linear(h, layer["up.weight"], layer["up.bias"])), layer["down.weight"], layer["down.bias"]
        )
        states = states + h
    return states
