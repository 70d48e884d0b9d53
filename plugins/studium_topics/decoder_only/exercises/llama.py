import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.decoder_only.exercises.llama_block import llama_block
from studium_topics.decoder_only.exercises.rmsnorm import rmsnorm
from studium_topics.decoder_only.rotary import rotate


@exercise(
    points=5,
    minutes=20,
    level="integrative",
    importance=3,
    hints=(
        "Which tensors are outside the layers, and how can you tell the number of layers from the names?",
        "Look up the tokens, pass the stream through the layers in the order of their numbers, normalise once more, "
        "and multiply by the head, or by the embedding if there is no head.",
        "The stream stays (B, T, D) throughout; each layer needs a mapping with the nine names of `llama_block`.",
        'The layers are `{name.split(".")[2] for name in checkpoint if name.startswith("model.layers.")}`; '
        '`checkpoint.get("lm_head.weight", table)` is the head.',
    ),
)
def llama(checkpoint, ids, heads, rotate=None, eps=1e-6):
    """Return the next-token logits of a whole Llama, whose weights have the names used in published checkpoints.

    * checkpoint: a mapping from the names in the table above to tensors; it stays as it is. Layers are numbered from 0
      without gaps, and there may be more than ten. Without "lm_head.weight", the embedding serves as the head.
    * ids (B, T), integers.
    * heads, rotate, eps: as in `llama_block`; the last norm uses the same eps.

    Call `llama_block` and `rmsnorm`. Return (B, T, V). The lesson trains through it.
    """
    ### BEGIN SOLUTION
    names = {f"self_attn.{name}_proj": name for name in ("q", "k", "v", "o")}
    names |= {f"mlp.{name}_proj": name for name in ("gate", "up", "down")}
    names |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}
    layers = len({name.split(".")[2] for name in checkpoint if name.startswith("model.layers.")})
    table = checkpoint["model.embed_tokens.weight"]
    x = table[ids]
    for layer in range(layers):
        weights = {ours: checkpoint[f"model.layers.{layer}.{theirs}.weight"] for theirs, ours in names.items()}
        x = llama_block(x, weights, heads, rotate, eps)
    x = rmsnorm(x, checkpoint["model.norm.weight"], eps)
    head = checkpoint.get("lm_head.weight", table)
    return F.linear(x, head)
    ### END SOLUTION


@llama.test("reads the embedding out again where no layer adds anything", points=1)
def _(llama, rng):
    shapes = {"model.embed_tokens": (5, 4), "model.norm": (4,), "lm_head": (5, 4)}
    for at in ("model.layers.0", "model.layers.1"):
        shapes |= {f"{at}.self_attn.{name}_proj": (4, 4) for name in "qkvo"} | {f"{at}.mlp.down_proj": (4, 6)}
        shapes |= {f"{at}.mlp.{name}_proj": (6, 4) for name in ("gate", "up")}
        shapes |= {f"{at}.{name}_layernorm": (4,) for name in ("input", "post_attention")}
    checkpoint = {f"{name}.weight": torch.randn(shape, generator=rng) for name, shape in shapes.items()}
    for name in checkpoint:
        if "o_proj" in name or "down_proj" in name:
            checkpoint[name] = torch.zeros_like(checkpoint[name])
    ids = torch.tensor([[1, 4, 0], [2, 2, 3]])
    x = F.rms_norm(checkpoint["model.embed_tokens.weight"][ids], (4,), checkpoint["model.norm.weight"], 1e-6)
    expected = x @ checkpoint["lm_head.weight"].T
    what = "with o and down = 0 in both layers, only the embedding, the last norm and the head are left"
    assert_close(llama(checkpoint, ids, 2), expected, rtol=1e-4, atol=1e-4, message=what)


@llama.hidden("is a Llama of any depth, with a head of its own or the embedding as head", points=3)
def _(llama, rng):
    for layers, heads, tied, turn, eps in (
        (3, 2, False, rotate, 1e-5),
        (2, 3, True, None, 0.3),
        (12, 1, True, rotate, 1e-6),
    ):
        shapes = {"lm_head": (7, 12), "model.norm": (12,), "model.embed_tokens": (7, 12)}
        for layer in reversed(range(layers)):
            at = f"model.layers.{layer}"
            shapes |= {f"{at}.{name}_layernorm": (12,) for name in ("post_attention", "input")}
            shapes |= {f"{at}.mlp.{name}_proj": (10, 12) for name in ("up", "gate")} | {f"{at}.mlp.down_proj": (12, 10)}
            shapes |= {f"{at}.self_attn.{name}_proj": (12, 12) for name in "okvq"}
        weights = {n: torch.randn(s, generator=rng, dtype=torch.float64) / s[-1] ** 0.4 for n, s in shapes.items()}
        if tied:
            del weights["lm_head"]
        ids = torch.randint(7, (2, 5), generator=rng)
        x = weights["model.embed_tokens"][ids]
        for layer in range(layers):
            at = f"model.layers.{layer}"
            z = F.rms_norm(x, (12,), weights[f"{at}.input_layernorm"], eps)
            q, k, v = (
                F.linear(z, weights[f"{at}.self_attn.{n}_proj"]).view(2, 5, heads, -1).transpose(1, 2) for n in "qkv"
            )
            q, k = (turn(q), turn(k)) if turn else (q, k)
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(2, 5, 12)
            x = x + F.linear(mixed, weights[f"{at}.self_attn.o_proj"])
            z = F.rms_norm(x, (12,), weights[f"{at}.post_attention_layernorm"], eps)
            gate, up, down = (weights[f"{at}.mlp.{n}_proj"] for n in ("gate", "up", "down"))
            x = x + F.linear(F.silu(F.linear(z, gate)) * F.linear(z, up), down)
        x = F.rms_norm(x, (12,), weights["model.norm"], eps)
        expected = F.linear(x, weights["model.embed_tokens" if tied else "lm_head"])
        checkpoint = {f"{name}.weight": weight for name, weight in weights.items()}
        kept = {name: weight.clone() for name, weight in checkpoint.items()}
        found = llama(checkpoint, ids, heads, turn, eps)
        what = f"with {layers} layers, {heads} heads, eps={eps:g}, "
        what += f"{'no head' if tied else 'a head'} and {'a' if turn else 'no'} rotation"
        assert_close(found, expected, rtol=1e-5, atol=1e-5, message=what)
        assert list(checkpoint) == list(kept), "the names in the checkpoint must stay as they are"
        for name, weight in kept.items():
            assert torch.equal(checkpoint[name], weight), f"the checkpoint must stay as it is, and {name!r} has changed"


@llama.hidden("lets gradients reach every tensor of the checkpoint", points=1)
def _(llama, rng):
    shapes = {"model.embed_tokens": (6, 4), "model.norm": (4,), "lm_head": (6, 4)}
    for at in ("model.layers.0", "model.layers.1"):
        shapes |= {f"{at}.self_attn.{name}_proj": (4, 4) for name in "qkvo"} | {f"{at}.mlp.down_proj": (4, 6)}
        shapes |= {f"{at}.mlp.{name}_proj": (6, 4) for name in ("gate", "up")}
        shapes |= {f"{at}.{name}_layernorm": (4,) for name in ("input", "post_attention")}
    checkpoint = {f"{name}.weight": torch.randn(s, generator=rng).requires_grad_() for name, s in shapes.items()}
    out = llama(checkpoint, torch.randint(6, (2, 4), generator=rng), 2, rotate)
    found = torch.autograd.grad(out.square().sum(), list(checkpoint.values()), allow_unused=True)
    for name, gradient in zip(checkpoint, found, strict=True):
        assert gradient is not None, f"no gradient reaches {name!r}"
        assert bool(gradient.abs().max() > 0), f"the gradient of {name!r} is zero"


llama.mistake(
    "no-last-norm",
    "You passed the output of the last layer straight to the head; apply one more norm, `model.norm`, first.",
    replace='x = rmsnorm(x, checkpoint["model.norm.weight"], eps)',
    by="",
)

llama.mistake(
    "dropped-rotate",
    "You did not pass `rotate` to the layers, so they do not know the positions.",
    replace="llama_block(x, weights, heads, rotate, eps)",
    by="llama_block(x, weights, heads, None, eps)",
)

llama.mistake(
    "dropped-eps",
    "You did not pass `eps` to the layers, so they use their default, 1e-6.",
    replace="llama_block(x, weights, heads, rotate, eps)",
    by="llama_block(x, weights, heads, rotate)",
)


@llama.misconception(
    "You always used the embedding as the head; if the checkpoint has `lm_head.weight`, use that instead.",
    name="always-tied",
)
def _(checkpoint, ids, heads, rotate=None, eps=1e-6):
    names = {f"self_attn.{name}_proj": name for name in ("q", "k", "v", "o")}
    names |= {f"mlp.{name}_proj": name for name in ("gate", "up", "down")}
    names |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}
    layers = len({name.split(".")[2] for name in checkpoint if name.startswith("model.layers.")})
    table = checkpoint["model.embed_tokens.weight"]
    x = table[ids]
    for layer in range(layers):
        weights = {ours: checkpoint[f"model.layers.{layer}.{theirs}.weight"] for theirs, ours in names.items()}
        x = llama_block(x, weights, heads, rotate, eps)
    x = rmsnorm(x, checkpoint["model.norm.weight"], eps)
    return F.linear(x, table)


llama.mistake(
    "one-layer-short",
    "You left out the last layer; the layers are numbered from 0, so their number is the largest index plus 1.",
    replace="range(layers)",
    by="range(layers - 1)",
)

llama.mistake(
    "layers-sorted-as-text",
    "You sorted the layer numbers as text, where 10 comes before 2; sort them as integers.",
    replace="range(layers)",
    by="sorted(map(str, range(layers)))",
)

llama.mistake(
    "layers-in-file-order",
    "You applied the layers in the order in which the checkpoint lists them; apply them in the order of their numbers.",
    edits=[
        (
            'len({name.split(".")[2] for name in checkpoint if name.startswith("model.layers.")})',
            'dict.fromkeys(name.split(".")[2] for name in checkpoint if name.startswith("model.layers."))',
        ),
        ("range(layers)", "layers"),
    ],
)

llama.mistake(
    "swapped-gate-and-up",
    "You swapped `gate_proj` and `up_proj`; the one called gate goes through silu.",
    replace='names |= {f"mlp.{name}_proj": name for name in ("gate", "up", "down")}',
    by="""
        names |= {f"mlp.{name}_proj": name for name in ("gate", "up", "down")}
        names |= {"mlp.gate_proj": "up", "mlp.up_proj": "gate"}
    """,
)

llama.mistake(
    "swapped-norms",
    "You swapped the two norms of a layer; `input_layernorm` comes before the attention.",
    replace='{"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}',
    by='{"input_layernorm": "mlp_norm", "post_attention_layernorm": "attention_norm"}',
)


@llama.misconception(
    "You used the weights of layer 0 in every layer; change the number in the name.",
    name="same-layer-again",
)
def _(checkpoint, ids, heads, rotate=None, eps=1e-6):
    names = {f"self_attn.{name}_proj": name for name in ("q", "k", "v", "o")}
    names |= {f"mlp.{name}_proj": name for name in ("gate", "up", "down")}
    names |= {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}
    layers = len({name.split(".")[2] for name in checkpoint if name.startswith("model.layers.")})
    table = checkpoint["model.embed_tokens.weight"]
    x = table[ids]
    for _ in range(layers):
        weights = {ours: checkpoint[f"model.layers.0.{theirs}.weight"] for theirs, ours in names.items()}
        x = llama_block(x, weights, heads, rotate, eps)
    x = rmsnorm(x, checkpoint["model.norm.weight"], eps)
    head = checkpoint.get("lm_head.weight", table)
    return F.linear(x, head)


llama.mistake(
    "probabilities",
    "You returned probabilities; return logits without a softmax, because the loss and the sampler expect them.",
    replace="F.linear(x, head)",
    by="F.linear(x, head).softmax(-1)",
)


@llama.also_correct
def _(checkpoint, ids, heads, rotate=None, eps=1e-6):
    layers = {}
    for name, weight in checkpoint.items():
        if name.startswith("model.layers."):
            _, _, number, *middle, _ = name.split(".")
            key = middle[-1].removesuffix("_proj")
            key = {"input_layernorm": "attention_norm", "post_attention_layernorm": "mlp_norm"}.get(key, key)
            layers.setdefault(int(number), {})[key] = weight
    x = F.embedding(ids, checkpoint["model.embed_tokens.weight"])
    for number in sorted(layers):
        x = llama_block(x, layers[number], heads, rotate, eps)
    tied = "lm_head.weight" not in checkpoint
    head = checkpoint["model.embed_tokens.weight" if tied else "lm_head.weight"]
    return torch.einsum("btd,vd->btv", rmsnorm(x, checkpoint["model.norm.weight"], eps), head)
