import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=2,
    kind="write",
    hints=(
        "Which row of each table belongs to the third token of a sentence?",
        "Add up one row from each table, and normalise the sum once.",
        "The looked-up words are (B, T, D), the first T positions are (T, D), and the segments are (B, T, D).",
        'Indexing a table with ids looks up their rows: `tables["word"][ids]`. `F.layer_norm(x, x.shape[-1:], gamma, '
        "beta, eps)` normalises.",
    ),
)
def bert_embed(ids, segments, tables, gamma, beta, eps=1e-12):
    """Return LayerNorm(word + position + segment) for every token.

    - ids (B, T): token ids. segments (B, T): 0 for the first sentence, 1 for the second.
    - tables: a mapping with "word" (V, D), "position" (at least T rows, D) and "segment" (2, D). Positions count from
      0.
    - gamma, beta (D,): scale and shift of the LayerNorm over the last axis; eps is added to its variance.

    Returns (B, T, D). The lesson trains through it: gradients reach the tables, gamma and beta.
    """
    ### BEGIN SOLUTION
    _, length = ids.shape
    x = tables["word"][ids] + tables["position"][:length] + tables["segment"][segments]  # (B, T, D)
    return F.layer_norm(x, x.shape[-1:], gamma, beta, eps)
    ### END SOLUTION


@bert_embed.test("normalises each token's vector", points=1)
def _(bert_embed):
    tables = {"word": torch.eye(5, 4), "position": torch.eye(4), "segment": torch.zeros(2, 4)}
    found = bert_embed(
        torch.tensor([[3, 0, 2]]), torch.zeros(1, 3, dtype=torch.long), tables, torch.ones(4), torch.zeros(4)
    )
    first = torch.tensor([1.0, -1.0, -1.0, 1.0])  # one-hot 3 plus one-hot 0 is (1, 0, 0, 1): mean 1/2, deviation 1/2
    assert tuple(found.shape) == (1, 3, 4), f"expected shape (B, T, D) = (1, 3, 4), got {tuple(found.shape)}"
    assert_close(found[0, 0], first, message="word 3 at position 0")


@bert_embed.hidden("adds three tables and normalises with gamma, beta and eps", points=1)
def _(bert_embed, rng):
    for batch, length, width, eps in ((2, 5, 6, 0.3), (3, 4, 7, 1e-12)):
        tables = {
            name: torch.randn(rows, width, generator=rng, dtype=torch.float64)
            for name, rows in (("word", 11), ("position", 9), ("segment", 2))
        }
        gamma, beta = torch.randn(2, width, generator=rng, dtype=torch.float64)
        ids = torch.randint(11, (batch, length), generator=rng)
        segments = torch.randint(2, (batch, length), generator=rng)
        segments[0, 0], segments[0, 1] = 0, 1
        found = bert_embed(ids, segments, tables, gamma, beta, eps)
        for b in range(batch):
            for t in range(length):
                x = tables["word"][ids[b, t]] + tables["position"][t] + tables["segment"][segments[b, t]]
                centred = x - x.sum() / width
                expected = centred / ((centred**2).sum() / width + eps) ** 0.5 * gamma + beta
                assert_close(found[b][t], expected, rtol=1e-5, atol=1e-5, message=f"sentence {b}, position {t}")


@bert_embed.hidden("lets gradients reach every table, gamma and beta", points=1)
def _(bert_embed, rng):
    names = ("word", "position", "segment", "gamma", "beta")
    shapes = ((7, 6), (5, 6), (2, 6), (6,), (6,))
    parts = [torch.randn(shape, generator=rng, dtype=torch.float64).requires_grad_() for shape in shapes]
    ids = torch.randint(7, (3, 4), generator=rng)
    segments = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 1]])
    away = torch.randn(3, 4, 6, generator=rng, dtype=torch.float64)
    out = bert_embed(ids, segments, dict(zip(names[:3], parts[:3], strict=True)), *parts[3:])
    assert isinstance(out, torch.Tensor), f"a tensor is expected, got {type(out).__name__}"
    assert out.requires_grad, "gradients must reach the tables: leave `detach` and `no_grad` away"
    found = torch.autograd.grad((out * away).sum(), parts, allow_unused=True)
    x = F.embedding(ids, parts[0]) + parts[1][torch.arange(4)] + F.embedding(segments, parts[2])
    wanted = torch.autograd.grad((F.layer_norm(x, (6,), parts[3], parts[4], 1e-12) * away).sum(), parts)
    for name, one, right in zip(names, found, wanted, strict=True):
        assert one is not None, f"no gradient reaches {name}"
        assert_close(one, right, rtol=1e-4, atol=1e-5, message=f"the gradient of {name}")


@bert_embed.misconception(
    "You left out the LayerNorm; BERT normalises the sum before passing it to the first layer.",
    name="no-norm",
)
def _(ids, segments, tables, gamma, beta, eps=1e-12):
    return tables["word"][ids] + tables["position"][: ids.shape[1]] + tables["segment"][segments]


@bert_embed.misconception(
    "You started the positions at 1; the first token uses row 0 of the position table. (RoBERTa starts later.)",
    name="positions-from-one",
)
def _(ids, segments, tables, gamma, beta, eps=1e-12):
    x = tables["word"][ids] + tables["position"][1 : ids.shape[1] + 1] + tables["segment"][segments]
    return F.layer_norm(x, x.shape[-1:], gamma, beta, eps)


@bert_embed.misconception(
    "You used the token's id to look up its position; use its place in the sentence instead, whichever word is there.",
    name="position-by-word",
)
def _(ids, segments, tables, gamma, beta, eps=1e-12):
    rows = ids.clamp(max=len(tables["position"]) - 1)
    x = tables["word"][ids] + tables["position"][rows] + tables["segment"][segments]
    return F.layer_norm(x, x.shape[-1:], gamma, beta, eps)


@bert_embed.misconception(
    "You left out the segment table; add it, or only [SEP] tells BERT where the second sentence begins.",
    name="no-segment",
)
def _(ids, segments, tables, gamma, beta, eps=1e-12):
    x = tables["word"][ids] + tables["position"][: ids.shape[1]]
    return F.layer_norm(x, x.shape[-1:], gamma, beta, eps)


@bert_embed.misconception(
    "You used the unbiased variance, which divides by D - 1, as `x.std()` does; LayerNorm divides by D.",
    name="unbiased-variance",
)
def _(ids, segments, tables, gamma, beta, eps=1e-12):
    x = tables["word"][ids] + tables["position"][: ids.shape[1]] + tables["segment"][segments]
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + eps).sqrt() * gamma + beta


@bert_embed.also_correct
def _(ids, segments, tables, gamma, beta, eps=1e-12):
    places = torch.arange(ids.size(1)).expand(ids.shape)
    x = F.embedding(ids, tables["word"])
    x = x + F.embedding(places, tables["position"]) + F.embedding(segments, tables["segment"])
    spread = x.var(-1, keepdim=True, unbiased=False)
    return (x - x.mean(-1, keepdim=True)) * torch.rsqrt(spread + eps) * gamma + beta
