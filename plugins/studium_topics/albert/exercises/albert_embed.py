from functools import partial

import torch
import torch.nn.functional as F
from studium import assert_close, at_most_mb, exercise
from torch import nn

from studium_topics.kits.weights import drawn


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=3,
    kind="write",
    hints=(
        "Which of the five parts work on vectors of width E, and which one leads to width H?",
        "Add three rows of width E, normalise the sum, and only then go to width H.",
        "word and segment rows are (B, T, E), and position rows (T, E); `project` turns (B, T, E) into (B, T, H).",
        'You call an `nn.Embedding` with ids: `parts["position"](torch.arange(ids.shape[1]))`; you call a '
        "LayerNorm and a Linear with vectors.",
    ),
)
def albert_embed(ids, segments, parts):
    """Return the input of ALBERT's first layer: word + position + segment at width E, normalised, then at width H.

    | part | what it is |
    |---|---|
    | word, position, segment | `nn.Embedding`, rows of width E |
    | norm | `nn.LayerNorm` of E |
    | project | `nn.Linear` from E to H |

    - ids (B, T): token ids; segments (B, T): 0 or 1.
    - parts: a mapping with these names.
    - Returns (B, T, H). The lesson trains through it.

    Never make an array of V · H numbers.
    """
    ### BEGIN SOLUTION
    places = torch.arange(ids.shape[1], device=ids.device)
    x = parts["word"](ids) + parts["position"](places) + parts["segment"](segments)  # (B, T, E)
    return parts["project"](parts["norm"](x))
    ### END SOLUTION


@albert_embed.test("adds, normalises and projects, in this order", points=1)
def _(albert_embed):
    generator = torch.Generator().manual_seed(2)
    sizes = {"word": (9, 4), "position": (6, 4), "segment": (2, 4)}
    made = {name: drawn(partial(nn.Embedding, *size), generator) for name, size in sizes.items()}
    made |= {"norm": drawn(lambda: nn.LayerNorm(4), generator), "project": drawn(lambda: nn.Linear(4, 7), generator)}
    ids, segments = torch.tensor([[3, 8, 1], [5, 5, 0]]), torch.tensor([[0, 0, 1], [0, 1, 1]])
    found = albert_embed(ids, segments, made)
    assert tuple(found.shape) == (2, 3, 7), f"expected shape (B, T, H) = (2, 3, 7), got {tuple(found.shape)}"
    z = made["word"].weight[5] + made["position"].weight[1] + made["segment"].weight[1]  # second sentence, token 1
    z = (z - z.mean()) / (z.var(unbiased=False) + made["norm"].eps).sqrt()
    z = z * made["norm"].weight + made["norm"].bias
    expected = made["project"].weight @ z + made["project"].bias
    assert_close(found[1, 1], expected, rtol=1e-4, atol=1e-5, message="sentence 1, token 1")


@albert_embed.hidden("is right for every token, and gradients reach every part", points=1)
def _(albert_embed, rng):
    for batch, length, embedding, width in ((3, 5, 4, 9), (2, 7, 6, 3), (4, 4, 5, 5)):
        sizes = {"word": (11, embedding), "position": (8, embedding), "segment": (2, embedding)}
        made = {name: drawn(partial(nn.Embedding, *size), rng).double() for name, size in sizes.items()}
        made["norm"] = drawn(partial(nn.LayerNorm, embedding, eps=0.1), rng).double()
        made["project"] = drawn(partial(nn.Linear, embedding, width), rng).double()
        ids = torch.randint(11, (batch, length), generator=rng)
        segments = torch.randint(2, (batch, length), generator=rng)
        found = albert_embed(ids, segments, made)
        rows = []
        for sentence, kinds in zip(ids.tolist(), segments.tolist(), strict=True):
            for place, (word, kind) in enumerate(zip(sentence, kinds, strict=True)):
                z = made["word"].weight[word] + made["position"].weight[place] + made["segment"].weight[kind]
                z = F.layer_norm(z, (embedding,), made["norm"].weight, made["norm"].bias, made["norm"].eps)
                rows.append(made["project"].weight @ z + made["project"].bias)
        expected = torch.stack(rows).reshape(batch, length, width)
        assert_close(found, expected, rtol=1e-4, atol=1e-5)
        away = torch.randn(expected.shape, generator=rng, dtype=torch.float64)
        weights = [weight for part in made.values() for weight in part.parameters()]
        assert found.requires_grad, "gradients must reach the parts: leave `detach` and `no_grad` away"
        grads = torch.autograd.grad((found * away).sum(), weights, allow_unused=True)
        for name, one, right in zip(
            [name for name, part in made.items() for _ in part.parameters()],
            grads,
            torch.autograd.grad((expected * away).sum(), weights),
            strict=True,
        ):
            assert one is not None, f'no gradient reaches parts["{name}"]'
            assert_close(one, right, rtol=1e-4, atol=1e-5, message=f'the gradient of parts["{name}"]')


@albert_embed.hidden("never makes an array of V · H numbers", points=1)
def _(albert_embed, rng):
    sizes = {"word": (40000, 5), "position": (8, 5), "segment": (2, 5)}
    made = {name: drawn(partial(nn.Embedding, *size), rng) for name, size in sizes.items()}
    made |= {"norm": drawn(lambda: nn.LayerNorm(5), rng), "project": drawn(lambda: nn.Linear(5, 800), rng)}
    ids = torch.randint(40000, (2, 6), generator=rng)
    with at_most_mb(32, "V · H numbers are 122 MB: look rows up first, then project them"):
        found = albert_embed(ids, torch.zeros_like(ids), made)
    assert tuple(found.shape) == (2, 6, 800), f"expected shape (2, 6, 800), got {tuple(found.shape)}"


@albert_embed.misconception(
    "You projected first and normalised the result; normalise the sum at width E, and project last.",
    name="norm-after-projection",
)
def _(ids, segments, parts):
    places = torch.arange(ids.shape[1])
    x = parts["word"](ids) + parts["position"](places) + parts["segment"](segments)
    z = parts["project"](x)
    return F.layer_norm(z, z.shape[-1:])


@albert_embed.misconception(
    "You left out the LayerNorm; normalise the sum of the three rows before you project it.",
    name="no-norm",
)
def _(ids, segments, parts):
    places = torch.arange(ids.shape[1])
    return parts["project"](parts["word"](ids) + parts["position"](places) + parts["segment"](segments))


@albert_embed.misconception(
    "You projected only the word's row and left out position and segment; all three tables have width E, so project "
    "their sum.",
    name="words-alone",
)
def _(ids, segments, parts):
    return parts["project"](parts["norm"](parts["word"](ids)))


albert_embed.mistake(
    "no-bias",
    "You left out the bias of the projection; `project` is a Linear with a weight and a bias, so use both.",
    edits=[
        ("torch.arange(ids.shape[1], device=ids.device)", "torch.arange(ids.shape[1])"),
        ('parts["project"](parts["norm"](x))', 'parts["norm"](x) @ parts["project"].weight.T'),
    ],
)


@albert_embed.also_correct
def _(ids, segments, parts):
    x = F.embedding(ids, parts["word"].weight) + parts["position"].weight[: ids.size(1)]
    x = parts["norm"](x + parts["segment"].weight[segments])
    return torch.einsum("bte,he->bth", x, parts["project"].weight) + parts["project"].bias


@albert_embed.also_correct
def _(ids, segments, parts):
    places = torch.arange(ids.size(-1)).expand(ids.shape)
    rows = torch.stack([parts["word"](ids), parts["position"](places), parts["segment"](segments)]).sum(0)
    return parts["project"](parts["norm"](rows))
