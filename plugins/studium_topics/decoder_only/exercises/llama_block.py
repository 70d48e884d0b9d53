import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.decoder_only.exercises.causal_attention import causal_attention
from studium_topics.decoder_only.exercises.rmsnorm import rmsnorm
from studium_topics.decoder_only.rotary import rotate


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    hints=(
        "What does each of the two sublayers take as input, and what do you add its result to?",
        "Both sublayers follow the same pattern: x = x + sublayer(norm(x)). The sum uses x itself, not the normalised "
        "x.",
        "The gate and `up` are (B, T, F); `down` brings their product back to (B, T, D).",
        'The gated product is `F.silu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"])`.',
    ),
)
def llama_block(x, weights, heads, rotate=None, eps=1e-6):
    """Return the stream after one layer of a Llama.

    First x ← x + attention(rmsnorm(x)). Then, with z = rmsnorm(x) of the new x, x ← x + down(silu(gate z) · up z).

    * x (B, T, D); it stays as it is.
    * weights, a mapping: "q", "k", "v", "o" (D, D); "gate", "up" (F, D); "down" (D, F), all used as in `F.linear`; the
      gains "attention_norm", "mlp_norm" (D,).
    * heads, rotate: as in `causal_attention`.
    * eps: for both norms.

    Call `rmsnorm` and `causal_attention`. Return (B, T, D). The lesson trains through it.
    """
    ### BEGIN SOLUTION
    attention = (weights[name] for name in ("q", "k", "v", "o"))
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    gated = F.silu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"])  # (B, T, F)
    return x + F.linear(gated, weights["down"])
    ### END SOLUTION


@llama_block.test("adds the mean of the normed tokens so far, where attention does no more", points=1)
def _(llama_block, rng):
    x = torch.randn(2, 4, 6, generator=rng, dtype=torch.float64)
    same, none = torch.eye(6, dtype=torch.float64), torch.zeros(6, 6, dtype=torch.float64)
    weights = {"q": none, "k": none, "v": same, "o": same, "gate": same, "up": same, "down": none}
    weights |= {name: torch.ones(6, dtype=torch.float64) for name in ("attention_norm", "mlp_norm")}
    normed = x / x.square().mean(-1, keepdim=True).sqrt()
    expected = x + normed.cumsum(1) / torch.arange(1, 5)[:, None]
    what = "with q = k = down = 0 and v = o = 1"
    assert_close(llama_block(x, weights, 2), expected, rtol=1e-4, atol=1e-4, message=what)


@llama_block.hidden("is Llama's layer, at several sizes", points=2)
def _(llama_block, rng):
    for length, width, heads, hidden, eps in ((5, 8, 2, 12, 1e-6), (3, 12, 3, 7, 0.3), (1, 6, 1, 9, 1e-5)):
        shapes = {"gate": (hidden, width), "up": (hidden, width), "down": (width, hidden)}
        shapes |= dict.fromkeys("qkvo", (width, width))
        weights = {n: torch.randn(s, generator=rng, dtype=torch.float64) / s[1] ** 0.5 for n, s in shapes.items()}
        for name in ("attention_norm", "mlp_norm"):
            weights[name] = 0.5 + torch.rand(width, generator=rng, dtype=torch.float64)
        x = 1 + torch.randn(2, length, width, generator=rng, dtype=torch.float64)
        kept = x.clone()
        z = F.rms_norm(x, (width,), weights["attention_norm"], eps)
        q, k, v = (F.linear(z, weights[n]).view(2, length, heads, -1).transpose(1, 2) for n in "qkv")
        for turn in (None, rotate) if width // heads % 2 == 0 else (None,):
            turned = (q, k) if turn is None else (turn(q), turn(k))
            mixed = F.scaled_dot_product_attention(*turned, v, is_causal=True).transpose(1, 2).reshape(2, length, width)
            expected = x + F.linear(mixed, weights["o"])
            z2 = F.rms_norm(expected, (width,), weights["mlp_norm"], eps)
            gated = F.silu(F.linear(z2, weights["gate"])) * F.linear(z2, weights["up"])
            expected = expected + F.linear(gated, weights["down"])
            found = llama_block(x, weights, heads, turn, eps)
            what = f"with T={length}, D={width}, {heads} heads, F={hidden}, {'a' if turn else 'no'} rotation"
            assert_close(found, expected, rtol=1e-5, atol=1e-5, message=what)
            assert torch.equal(x, kept), "the argument x must stay as it is"


@llama_block.hidden("lets gradients reach every weight", points=1)
def _(llama_block, rng):
    shapes = {"gate": (5, 6), "up": (5, 6), "down": (6, 5)} | dict.fromkeys("qkvo", (6, 6))
    weights = {n: torch.randn(s, generator=rng, dtype=torch.float64).requires_grad_() for n, s in shapes.items()}
    for name in ("attention_norm", "mlp_norm"):
        weights[name] = (0.5 + torch.rand(6, generator=rng, dtype=torch.float64)).requires_grad_()
    out = llama_block(torch.randn(2, 4, 6, generator=rng, dtype=torch.float64), weights, 3)
    found = torch.autograd.grad(out.square().sum(), list(weights.values()), allow_unused=True)
    for name, gradient in zip(weights, found, strict=True):
        assert gradient is not None, f"no gradient reaches the weights {name!r}"
        assert bool(gradient.abs().max() > 0), f"the gradient of the weights {name!r} is zero"


@llama_block.misconception(
    "You normalised after adding, as BERT does; in Llama, normalise the input of each sublayer and leave the stream "
    "itself as it is.",
    name="post-norm",
)
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    x = rmsnorm(x + causal_attention(x, *attention, heads, rotate), weights["attention_norm"], eps)
    gated = F.silu(F.linear(x, weights["gate"])) * F.linear(x, weights["up"])
    return rmsnorm(x + F.linear(gated, weights["down"]), weights["mlp_norm"], eps)


@llama_block.misconception(
    "You added to the normalised x; add the result of each sublayer to the stream itself, so the direct path stays "
    "open.",
    name="added-to-normed",
)
def _(x, weights, heads, rotate=None, eps=1e-6):
    x = rmsnorm(x, weights["attention_norm"], eps)
    x = x + causal_attention(x, *(weights[name] for name in "qkvo"), heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    gated = F.silu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"])
    return z + F.linear(gated, weights["down"])


@llama_block.misconception("You applied silu to `up`; apply it to the gate.", name="silu-on-up")
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    return x + F.linear(F.linear(z, weights["gate"]) * F.silu(F.linear(z, weights["up"])), weights["down"])


@llama_block.misconception("You used relu for the gate; Llama uses silu, z · sigmoid(z).", name="relu-gate")
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    return x + F.linear(F.relu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"]), weights["down"])


@llama_block.misconception("You used gelu for the gate; Llama uses silu, z · sigmoid(z).", name="gelu-gate")
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    return x + F.linear(F.gelu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"]), weights["down"])


@llama_block.misconception(
    "You left out `up`; multiply the gate by this second projection.",
    name="no-up",
)
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    return x + F.linear(F.silu(F.linear(z, weights["gate"])), weights["down"])


@llama_block.misconception(
    "You fed both sublayers the original x; the feed-forward network takes the stream after attention has been added.",
    name="parallel-parts",
)
def _(x, weights, heads, rotate=None, eps=1e-6):
    attention = (weights[name] for name in "qkvo")
    after = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *attention, heads, rotate)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    gated = F.silu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"])
    return after + F.linear(gated, weights["down"])


llama_block.mistake(
    "one-gain",
    "You used the gain of the attention for both norms; use `mlp_norm` for the second.",
    edits=[('("q", "k", "v", "o")', '"qkvo"'), ('weights["mlp_norm"]', 'weights["attention_norm"]')],
)


@llama_block.misconception(
    "You did not pass `rotate` to the attention, so it does not know the positions.",
    name="dropped-rotate",
)
def _(x, weights, heads, rotate=None, eps=1e-6):
    x = x + causal_attention(rmsnorm(x, weights["attention_norm"], eps), *(weights[name] for name in "qkvo"), heads)
    z = rmsnorm(x, weights["mlp_norm"], eps)
    gated = F.silu(F.linear(z, weights["gate"])) * F.linear(z, weights["up"])
    return x + F.linear(gated, weights["down"])


@llama_block.also_correct
def _(x, weights, heads, rotate=None, eps=1e-6):
    z = F.rms_norm(x, x.shape[-1:], weights["attention_norm"], eps)
    q, k, v = (torch.stack((z @ weights[name].T).chunk(heads, -1), 1) for name in "qkv")
    if rotate is not None:
        q, k = rotate(q), rotate(k)
    mixed = torch.cat(F.scaled_dot_product_attention(q, k, v, is_causal=True).unbind(1), -1)
    x = torch.add(x, mixed @ weights["o"].T)
    z = F.rms_norm(x, x.shape[-1:], weights["mlp_norm"], eps)
    gate, up = (z @ torch.cat([weights["gate"], weights["up"]]).T).chunk(2, -1)
    return torch.add(x, gate * gate.sigmoid() * up @ weights["down"].T)
