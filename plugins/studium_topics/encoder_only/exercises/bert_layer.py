from functools import partial

import torch
import torch.nn.functional as F
from studium import assert_close, exercise
from torch import nn

from studium_topics.encoder_only.exercises.attention import attention
from studium_topics.kits.weights import drawn


@exercise(
    points=5,
    minutes=20,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "Which weights and biases belong to the attention, and which to the perceptron? Redraw the diagram and label "
        "its arrows with their names.",
        "Post-norm: add the output of each sublayer to its input, then normalise the sum. The second sublayer is up, "
        "GELU, down.",
        "Head h is block h of D / H columns: query, key and value become (B, H, T, D / H), and the result of "
        "`attention` goes back to (B, T, D), one head after another.",
        '`F.linear(x, weights["query.weight"], weights["query.bias"])` applies a linear map; '
        "`torch.stack(q.chunk(heads, -1), 1)` splits into heads, and `torch.cat(y.unbind(1), -1)` joins them again.",
    ),
)
def bert_layer(x, mask, weights, heads, eps=1e-12):
    """Return x after one post-norm layer of BERT, without dropout: attention, then a perceptron.

    | part | names |
    |---|---|
    | linear maps D to D, `x @ weight.T + bias` | query, key, value, output |
    | linear maps D to F and F to D | up, down |
    | LayerNorms over the last axis, with eps | attention_norm, mlp_norm |

    - x (B, T, D).
    - mask: bool, broadcastable to (B, heads, T, T), True where the query (row) may look at the key.
    - weights: a mapping with `"query.weight"`, `"query.bias"` and so on.

    Head h takes columns h · D / heads up to (h + 1) · D / heads. The activation is the exact GELU. Returns (B, T, D).
    The lesson trains through it.
    """

    ### BEGIN SOLUTION
    def linear(name, z):
        return F.linear(z, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name, z):
        return F.layer_norm(z, z.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    query, key, value = (
        torch.stack(linear(name, x).chunk(heads, -1), 1)  # (B, H, T, D / H)
        for name in ("query", "key", "value")
    )
    mixed = torch.cat(attention(query, key, value, mask).unbind(1), -1)  # (B, T, D)
    x = norm("attention_norm", x + linear("output", mixed))
    return norm("mlp_norm", x + linear("down", F.gelu(linear("up", x))))
    ### END SOLUTION


@bert_layer.test("keeps the shape and normalises what it returns", points=1)
def _(bert_layer):
    shapes = {"query": (6, 6), "key": (6, 6), "value": (6, 6), "output": (6, 6), "up": (9, 6), "down": (6, 9)}
    x = torch.linspace(-1, 1, 24).reshape(1, 4, 6) ** 3
    for silent in ("output", "down"):
        weights = {f"{name}.weight": torch.linspace(-1, 1, o * i).reshape(o, i) ** 2 for name, (o, i) in shapes.items()}
        weights |= {f"{name}.bias": torch.zeros(o) for name, (o, _) in shapes.items()}
        for name in ("attention_norm", "mlp_norm"):
            weights |= {f"{name}.weight": torch.ones(6), f"{name}.bias": torch.zeros(6)}
        weights[f"{silent}.weight"] = torch.zeros(shapes[silent])
        found = bert_layer(x, torch.ones(1, 1, 1, 4, dtype=torch.bool), weights, 2)
        assert tuple(found.shape) == (1, 4, 6), f"expected shape (B, T, D) = (1, 4, 6), got {tuple(found.shape)}"
        what = f'of each token after the last LayerNorm, where the weights of "{silent}" are 0'
        assert_close(found.mean(-1), torch.zeros(1, 4), atol=1e-4, message=f"the mean {what}")
        variance = found.var(-1, unbiased=False)
        assert_close(variance, torch.ones(1, 4), atol=1e-3, rtol=1e-3, message=f"the variance {what}")


@bert_layer.hidden("agrees with a post-norm encoder layer of PyTorch", points=2)
def _(bert_layer, rng):
    for batch, length, heads, width, hidden, eps in ((2, 5, 3, 12, 20, 0.2), (3, 4, 2, 8, 14, 1e-12)):
        layer = partial(nn.TransformerEncoderLayer, width, heads, hidden, 0.0, "gelu", eps, dtype=torch.float64)
        oracle = drawn(partial(layer, batch_first=True, norm_first=False), rng, scale=0.6)
        state = {name: value.clone() for name, value in oracle.state_dict().items()}
        parts = {"output": "self_attn.out_proj", "up": "linear1", "down": "linear2"}
        parts |= {"attention_norm": "norm1", "mlp_norm": "norm2"}
        weights = {
            f"{ours}.{kind}": state[f"{its}.{kind}"] for ours, its in parts.items() for kind in ("weight", "bias")
        }
        for kind in ("weight", "bias"):
            for name, part in zip(("query", "key", "value"), state[f"self_attn.in_proj_{kind}"].chunk(3), strict=True):
                weights[f"{name}.{kind}"] = part
        x = torch.randn(batch, length, width, generator=rng, dtype=torch.float64)
        real = torch.rand(batch, length, generator=rng) < 0.7
        real[:, 0] = True
        expected = oracle(x, src_key_padding_mask=~real).detach()
        found = bert_layer(x, real[:, None, None, :], weights, heads, eps)
        assert_close(found, expected, rtol=1e-5, atol=1e-5, message=f"{heads} heads, eps {eps}, with a padding mask")


@bert_layer.hidden("lets a mask of queries and keys decide who sees whom", points=1)
def _(bert_layer, rng):
    batch, length, heads, width = 2, 6, 2, 10
    shapes = {"query": (10, 10), "key": (10, 10), "value": (10, 10), "output": (10, 10), "up": (7, 10), "down": (10, 7)}
    weights = {}
    for name, shape in shapes.items():
        weights[f"{name}.weight"] = 0.5 * torch.randn(shape, generator=rng, dtype=torch.float64)
        weights[f"{name}.bias"] = torch.randn(shape[0], generator=rng, dtype=torch.float64)
    for name in ("attention_norm", "mlp_norm"):
        weights[f"{name}.weight"], weights[f"{name}.bias"] = torch.randn(2, width, generator=rng, dtype=torch.float64)
    x = torch.randn(batch, length, width, generator=rng, dtype=torch.float64)
    causal = torch.ones(length, length, dtype=torch.bool).tril()
    own = torch.rand(batch, heads, length, length, generator=rng) < 0.5
    masks = {
        "a causal mask": causal.expand(batch, 1, length, length),
        "a mask of its own for each head": own | torch.eye(length, dtype=torch.bool),
        "a causal mask of shape (T, T)": causal,
    }
    for what, mask in masks.items():
        found = bert_layer(x, mask, dict(weights), heads)
        q, k, v = (
            F.linear(x, weights[f"{n}.weight"], weights[f"{n}.bias"]).view(batch, length, heads, -1).transpose(1, 2)
            for n in ("query", "key", "value")
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).reshape(batch, length, width)
        norms = [(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in ("attention_norm", "mlp_norm")]
        y = x + F.linear(mixed, weights["output.weight"], weights["output.bias"])
        y = F.layer_norm(y, (width,), *norms[0], 1e-12)
        z = F.linear(y, weights["up.weight"], weights["up.bias"])
        z = z * (1 + torch.erf(z / 2**0.5)) / 2
        z = F.layer_norm(y + F.linear(z, weights["down.weight"], weights["down.bias"]), (width,), *norms[1], 1e-12)
        assert_close(found, z, rtol=1e-4, atol=1e-5, message=f"with {what}")


@bert_layer.hidden("lets gradients reach x and every weight", points=1)
def _(bert_layer, rng):
    layer = partial(nn.TransformerEncoderLayer, 6, 3, 10, 0.0, "gelu", 1e-12, dtype=torch.float64)
    oracle = drawn(partial(layer, batch_first=True, norm_first=False), rng, scale=0.6)
    x = torch.randn(2, 5, 6, generator=rng, dtype=torch.float64).requires_grad_()
    away = torch.randn(2, 5, 6, generator=rng, dtype=torch.float64)
    state = dict(oracle.named_parameters())
    right = dict(zip(["x", *state], torch.autograd.grad((oracle(x) * away).sum(), [x, *state.values()]), strict=True))
    parts = {"output": "self_attn.out_proj", "up": "linear1", "down": "linear2"}
    parts |= {"attention_norm": "norm1", "mlp_norm": "norm2"}
    weights, wanted = {}, {"x": right["x"]}
    for kind in ("weight", "bias"):
        for source, goal in ((state, weights), (right, wanted)):
            joined = source[f"self_attn.in_proj_{kind}"].detach().chunk(3)
            goal |= {f"{n}.{kind}": part for n, part in zip(("query", "key", "value"), joined, strict=True)}
            goal |= {f"{ours}.{kind}": source[f"{its}.{kind}"].detach() for ours, its in parts.items()}
    weights = {name: weight.clone().requires_grad_() for name, weight in weights.items()}
    out = bert_layer(x, torch.ones(1, 1, 1, 5, dtype=torch.bool), weights, 3)
    assert isinstance(out, torch.Tensor), f"a tensor is expected, got {type(out).__name__}"
    assert out.requires_grad, "gradients must reach the weights: leave `detach` and `no_grad` away"
    found = torch.autograd.grad((out * away).sum(), [x, *weights.values()], allow_unused=True)
    for name, one in zip(["x", *weights], found, strict=True):
        assert one is not None, f"no gradient reaches {name}"
        assert_close(one, wanted[name], rtol=1e-4, atol=1e-5, message=f"the gradient of {name}")


@bert_layer.misconception(
    "You normalised before each sublayer (pre-norm, as in GPT-2); BERT adds first and then normalises the sum: norm(x "
    "+ sublayer(x)).",
    name="pre-norm",
)
def _(x, mask, weights, heads, eps=1e-12):
    def linear(name, z):
        return F.linear(z, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name, z):
        return F.layer_norm(z, z.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    z = norm("attention_norm", x)
    query, key, value = (torch.stack(linear(name, z).chunk(heads, -1), 1) for name in ("query", "key", "value"))
    x = x + linear("output", torch.cat(attention(query, key, value, mask).unbind(1), -1))
    return x + linear("down", F.gelu(linear("up", norm("mlp_norm", x))))


@bert_layer.misconception(
    "You used the tanh approximation of GELU from GPT-2; BERT uses the exact GELU, with the error function: "
    "`F.gelu(x)`.",
    name="tanh-gelu",
)
def _(x, mask, weights, heads, eps=1e-12):
    def linear(name, z):
        return F.linear(z, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name, z):
        return F.layer_norm(z, z.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    query, key, value = (torch.stack(linear(name, x).chunk(heads, -1), 1) for name in ("query", "key", "value"))
    x = norm("attention_norm", x + linear("output", torch.cat(attention(query, key, value, mask).unbind(1), -1)))
    return norm("mlp_norm", x + linear("down", F.gelu(linear("up", x), approximate="tanh")))


@bert_layer.misconception(
    "You left out the residual connection around the perceptron, which discards what the attention found; add x "
    "before the second LayerNorm.",
    name="no-second-residual",
)
def _(x, mask, weights, heads, eps=1e-12):
    def linear(name, z):
        return F.linear(z, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name, z):
        return F.layer_norm(z, z.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    query, key, value = (torch.stack(linear(name, x).chunk(heads, -1), 1) for name in ("query", "key", "value"))
    x = norm("attention_norm", x + linear("output", torch.cat(attention(query, key, value, mask).unbind(1), -1)))
    return norm("mlp_norm", linear("down", F.gelu(linear("up", x))))


@bert_layer.misconception(
    "You left out the residual connection around the attention, so each word forgets itself; add x before the first "
    "LayerNorm.",
    name="no-first-residual",
)
def _(x, mask, weights, heads, eps=1e-12):
    def linear(name, z):
        return F.linear(z, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name, z):
        return F.layer_norm(z, z.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    query, key, value = (torch.stack(linear(name, x).chunk(heads, -1), 1) for name in ("query", "key", "value"))
    x = norm("attention_norm", linear("output", torch.cat(attention(query, key, value, mask).unbind(1), -1)))
    return norm("mlp_norm", x + linear("down", F.gelu(linear("up", x))))


@bert_layer.misconception(
    "You divided the scores by sqrt(D); each head works on D / heads columns, so divide its scores by sqrt(D / heads).",
    name="scaled-by-whole-width",
)
def _(x, mask, weights, heads, eps=1e-12):
    def linear(name, z):
        return F.linear(z, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name, z):
        return F.layer_norm(z, z.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    query, key, value = (torch.stack(linear(name, x).chunk(heads, -1), 1) for name in ("query", "key", "value"))
    mixed = torch.cat(attention(query / heads**0.5, key, value, mask).unbind(1), -1)
    x = norm("attention_norm", x + linear("output", mixed))
    return norm("mlp_norm", x + linear("down", F.gelu(linear("up", x))))


@bert_layer.misconception(
    "You joined the heads without moving the token axis back in front of them, which shuffles words and heads; swap "
    "the axes of (B, heads, T, d) before you reshape.",
    name="heads-shuffled",
)
def _(x, mask, weights, heads, eps=1e-12):
    def linear(name, z):
        return F.linear(z, weights[f"{name}.weight"], weights[f"{name}.bias"])

    def norm(name, z):
        return F.layer_norm(z, z.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    query, key, value = (torch.stack(linear(name, x).chunk(heads, -1), 1) for name in ("query", "key", "value"))
    mixed = attention(query, key, value, mask).reshape(x.shape)
    x = norm("attention_norm", x + linear("output", mixed))
    return norm("mlp_norm", x + linear("down", F.gelu(linear("up", x))))


@bert_layer.also_correct
def _(x, mask, weights, heads, eps=1e-12):
    batch, length, width = x.shape
    size = width // heads
    q, k, v = (
        (x @ weights[name + ".weight"].T + weights[name + ".bias"]).view(batch, length, heads, size).transpose(1, 2)
        for name in ("query", "key", "value")
    )
    mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask.expand(batch, heads, length, length))
    x = x + mixed.transpose(1, 2).reshape(batch, length, width) @ weights["output.weight"].T + weights["output.bias"]
    x = F.layer_norm(x, (width,), weights["attention_norm.weight"], weights["attention_norm.bias"], eps)
    hidden = x @ weights["up.weight"].T + weights["up.bias"]
    hidden = 0.5 * hidden * (1 + torch.erf(hidden * 0.5**0.5))
    x = x + hidden @ weights["down.weight"].T + weights["down.bias"]
    return F.layer_norm(x, (width,), weights["mlp_norm.weight"], weights["mlp_norm.bias"], eps)


@bert_layer.also_correct
def _(x, mask, weights, heads, eps=1e-12):
    q, k, v = (F.linear(x, weights[f"{n}.weight"], weights[f"{n}.bias"]) for n in ("query", "key", "value"))
    size = x.shape[-1] // heads
    mixed = torch.zeros_like(x)
    allowed = mask.expand(x.shape[0], heads, x.shape[1], x.shape[1])
    for h in range(heads):
        columns = slice(h * size, (h + 1) * size)
        scores = torch.einsum("bqd,bkd->bqk", q[..., columns], k[..., columns]) * size**-0.5
        scores = scores.masked_fill(~allowed[:, h], -1e30)
        mixed[..., columns] = scores.softmax(-1) @ v[..., columns]
    for name, before in (("attention_norm", "output"), ("mlp_norm", "down")):
        inner = mixed if before == "output" else F.gelu(F.linear(x, weights["up.weight"], weights["up.bias"]))
        x = x + F.linear(inner, weights[f"{before}.weight"], weights[f"{before}.bias"])
        centred = x - x.mean(-1, keepdim=True)
        x = centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()
        x = x * weights[f"{name}.weight"] + weights[f"{name}.bias"]
    return x
