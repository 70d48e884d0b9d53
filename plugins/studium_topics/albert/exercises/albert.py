from functools import partial

import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.albert.exercises.albert_embed import albert_embed
from studium_topics.albert.exercises.shared_stack import shared_stack
from studium_topics.albert.model import Sizes, parts
from studium_topics.kits.weights import drawn


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "Which of your earlier functions make the states, and what do they need besides `parts`?",
        "Embed, run the stack with the mask of real tokens, and take the last state. The pooler reads its first token.",
        "The mask is (B, T), the last state (B, T, H), and its first token (B, H); the output of the pooler is (B, H) "
        "too.",
        '`torch.tanh(parts["pooler"](first))`; the stack takes `parts["groups"]`.',
    ),
)
def albert(ids, segments, parts, layers, pad):
    """Return the two results of a whole ALBERT: the last state of every token, and the pooled sentence.

    - ids (B, T): token ids, with `pad` where a sentence is filled up; segments (B, T): 0 or 1.
    - parts: a mapping as for `albert_embed`, with "groups", the layers for `shared_stack`, and "pooler", a Linear.
    - layers: L, how many layers to compute.
    - pad: the id of padding, any whole number.
    - Returns (states (B, T, H), pooled (B, H)).

    No token may read padding. For the pooled sentence, apply the pooler and then tanh to the first token's last state.
    The lesson trains through both.
    """
    ### BEGIN SOLUTION
    x = albert_embed(ids, segments, parts)
    last = shared_stack(x, ids != pad, parts["groups"], layers)[-1]
    return last, torch.tanh(parts["pooler"](last[:, 0]))
    ### END SOLUTION


@albert.test("returns the last states and the pooled sentences", points=1)
def _(albert):
    made = parts(Sizes(vocabulary=13, embedding=4, width=8, hidden=12, heads=2, groups=2, length=9), seed=3)
    ids = torch.tensor([[1, 5, 6, 2, 7], [1, 8, 2, 0, 0]])
    segments = torch.tensor([[0, 0, 0, 0, 1], [0, 0, 0, 1, 1]])
    states, pooled = albert(ids, segments, made, 4, 0)
    assert tuple(states.shape) == (2, 5, 8), f"expected states (B, T, H) = (2, 5, 8), got {tuple(states.shape)}"
    z = made["word"].weight[ids] + made["position"].weight[:5] + made["segment"].weight[segments]
    z = made["project"](made["norm"](z))
    for number in (0, 0, 1, 1):
        z = made["groups"][number](z, ids != 0)
    assert_close(states[0], z[0], rtol=1e-4, atol=1e-5, message="the states of a sentence without padding")
    expected = torch.tanh(z[:, 0] @ made["pooler"].weight.T + made["pooler"].bias)
    assert_close(pooled, expected, rtol=1e-4, atol=1e-5, message="the pooled sentences")


@albert.hidden("equals the same sentence without padding, whatever the id of padding", points=2)
def _(albert, rng):
    for pad, groups, layers in ((4, 2, 4), (0, 1, 3), (12, 3, 3)):
        sizes = Sizes(vocabulary=13, embedding=6, width=8, hidden=10, heads=2, groups=groups, length=9)
        made = drawn(partial(parts, sizes), rng, scale=0.4).double()
        lengths, words = (7, 4, 5), [n for n in range(13) if n != pad]
        ids = torch.full((3, 7), pad)
        segments = torch.randint(2, (3, 7), generator=rng)
        for row, length in enumerate(lengths):
            chosen = torch.randint(len(words), (length,), generator=rng)
            ids[row, :length] = torch.tensor(words)[chosen]
        states, pooled = albert(ids, segments, made, layers, pad)
        assert tuple(pooled.shape) == (3, 8), f"expected pooled (B, H) = (3, 8), got {tuple(pooled.shape)}"
        for row, length in enumerate(lengths):
            one, kinds = ids[row, :length], segments[row, :length]
            z = made["word"].weight[one] + made["position"].weight[:length] + made["segment"].weight[kinds]
            z = made["project"](made["norm"](z))[None]
            for number in range(layers):
                z = made["groups"][number * groups // layers](z, torch.ones(1, length, dtype=torch.bool))
            what = f"a sentence of {length} tokens beside one of 7, with pad = {pad}"
            assert_close(states[row, :length], z[0], rtol=1e-4, atol=1e-5, message=f"the states of {what}")
            right = torch.tanh(made["pooler"].weight @ z[0, 0] + made["pooler"].bias)
            assert_close(pooled[row], right, rtol=1e-4, atol=1e-5, message=f"the pooled vector of {what}")


@albert.hidden("lets gradients reach every part through both results", points=1)
def _(albert, rng):
    sizes = Sizes(vocabulary=13, embedding=6, width=8, hidden=10, heads=2, groups=2, length=9)
    made = drawn(partial(parts, sizes), rng, scale=0.4).double()
    ids, segments = torch.randint(1, 13, (3, 6), generator=rng), torch.randint(2, (3, 6), generator=rng)
    away, along = torch.randn(3, 6, 8, generator=rng).double(), torch.randn(3, 8, generator=rng).double()
    z = made["word"].weight[ids] + made["position"].weight[:6] + made["segment"].weight[segments]
    z = made["project"](made["norm"](z))
    for number in (0, 0, 1, 1):
        z = made["groups"][number](z, ids > 0)
    names = [(name, weight) for name, weight in made.named_parameters() if not name.startswith("order")]
    right = ((z * away).sum(), (torch.tanh(made["pooler"](z[:, 0])) * along).sum())
    states, pooled = albert(ids, segments, made, 4, 0)
    for what, found, expected in (
        ("states", (states * away).sum(), right[0]),
        ("pooled", (pooled * along).sum(), right[1]),
    ):
        assert found.requires_grad, f"gradients must flow through `{what}`: leave `detach` and `no_grad` away"
        weights = [weight for _, weight in names]
        grads = (
            torch.autograd.grad(value, weights, retain_graph=True, allow_unused=True) for value in (found, expected)
        )
        for (name, _), one, wanted in zip(names, *grads, strict=True):
            if wanted is None:
                continue
            assert one is not None, f"no gradient of `{what}` reaches {name}"
            assert_close(one, wanted, rtol=1e-4, atol=1e-6, message=f"the gradient of {name} through `{what}`")


albert.mistake(
    "groups-instead-of-layers",
    "You ran every group only once; compute all L layers, because ALBERT stores fewer layers but runs them all.",
    replace='shared_stack(x, ids != pad, parts["groups"], layers)',
    by='shared_stack(x, ids != pad, parts["groups"], len(parts["groups"]))',
)

albert.mistake(
    "no-mask",
    "You let all tokens read the padding, so the result for a sentence changes with the length of the others in the "
    "batch; pass a mask of the real tokens.",
    replace="ids != pad",
    by="torch.ones_like(ids, dtype=torch.bool)",
)

albert.mistake(
    "pad-is-zero",
    "You assumed that padding has the id 0; compare with the argument `pad` instead.",
    replace="ids != pad",
    by="ids != 0",
)

albert.mistake(
    "no-tanh",
    "You left out tanh; apply it after the pooler's Linear.",
    replace='torch.tanh(parts["pooler"](last[:, 0]))',
    by='parts["pooler"](last[:, 0])',
)

albert.mistake(
    "pooled-the-mean",
    "You pooled the mean of all tokens; use only the first token, [CLS], as BERT does.",
    replace="last[:, 0]",
    by="last.mean(1)",
)


@albert.also_correct
def _(ids, segments, parts, layers, pad):
    real = ids.ne(pad)
    *_, last = shared_stack(albert_embed(ids, segments, parts), real, parts["groups"], layers)
    pooler = parts["pooler"]
    return last, F.linear(last.select(1, 0), pooler.weight, pooler.bias).tanh()


@albert.also_correct
def _(ids, segments, parts, layers, pad):
    x = parts["word"](ids) + parts["segment"](segments) + parts["position"].weight[: ids.shape[1]]
    x = parts["project"](parts["norm"](x))
    for group in parts["groups"]:
        for _ in range(layers // len(parts["groups"])):
            x = group(x, ids != pad)
    return [x, parts["pooler"](x[:, 0]).tanh()]
