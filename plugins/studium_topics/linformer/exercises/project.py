import math

import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=10,
    importance=3,
    hints=(
        "A padded token is multiplied by a column of e. What must the token be if no slot is to notice it?",
        "Remove the padded tokens before they are mixed. Afterwards every slot is a mixture, and no slot belongs to a "
        "single token.",
        "pad is (B, n) and x is (B, H, n, d), so pad needs an axis for the heads and one for the numbers of a token.",
        "`x.masked_fill(pad[:, None, :, None], 0.0)`, then `e @ x`.",
    ),
)
def project(x, e, pad):
    """Return the slots that a projection makes from keys or values.

    Slot s is the sum of e[s, j] · x[j] over the tokens j that are not padding. Use the weights as
    they are, however many tokens that leaves. The lesson trains e, and the layers below x.

    * x (B, H, n, d): keys or values of B texts and H heads; they stay as they are
    * e (slots, n): the projection
    * pad (B, n), bool: true where a text has padding; or None if there is none
    * returns: (B, H, slots, d)
    """
    ### BEGIN SOLUTION
    if pad is not None:
        x = x.masked_fill(pad[:, None, :, None], 0.0)
    return e @ x
    ### END SOLUTION


@project.test("adds up the tokens of a slot, without the padding", points=1)
def _(project):
    x = torch.tensor([[100.0, 200.0], [1.0, 2.0], [3.0, 5.0]]).view(1, 1, 3, 2)
    e = torch.tensor([[1.0, 1.0, 2.0], [3.0, 0.5, -1.0]])
    pad = torch.tensor([[True, False, False]])
    assert_close(project(x, e, pad)[0, 0], torch.tensor([[7.0, 12.0], [-2.5, -4.0]]))


@project.hidden("mixes the tokens of each head of each text, with and without padding", points=2)
def _(project, rng):
    for batch, heads, tokens, size, slots in ((3, 2, 7, 5, 4), (2, 3, 6, 4, 2), (1, 4, 5, 3, 5), (2, 1, 4, 6, 1)):
        x = torch.randn(batch, heads, tokens, size, generator=rng, dtype=torch.float64)
        e = torch.randn(slots, tokens, generator=rng, dtype=torch.float64)
        real = torch.randint(1, tokens, (batch, 1), generator=rng)
        kept = x.clone()
        for pad in (torch.arange(tokens) < tokens - real, torch.arange(tokens) >= real, None):
            expected = torch.zeros(batch, heads, slots, size, dtype=torch.float64)
            for text in range(batch):
                for token in range(tokens):
                    if pad is None or not pad[text, token]:
                        expected[text] += e[:, token, None] * x[text, :, token, None]
            which = "no padding" if pad is None else f"pad {pad.int().tolist()}"
            what = f"for x of shape {tuple(x.shape)}, {slots} slots and {which}"
            assert_close(project(x, e, pad), expected, rtol=1e-6, atol=1e-6, message=what)
        assert torch.equal(x, kept), "x must stay as it is"


@project.hidden("lets gradients reach the projection and the real tokens", points=1)
def _(project, rng):
    x = torch.randn(2, 3, 5, 4, generator=rng, dtype=torch.float64, requires_grad=True)
    e = torch.randn(3, 5, generator=rng, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 3, 3, 4, generator=rng, dtype=torch.float64)
    pad = torch.tensor([[False, False, False, True, True], [False, False, False, False, True]])
    slots = project(x, e, pad)
    assert slots.requires_grad, "gradients must reach x and e: the lesson trains both"
    of_x, of_e = torch.autograd.grad(slots, (x, e), weight)
    real = (~pad).double()
    expected = torch.einsum("sj,bhsd,bj->bhjd", e, weight, real)
    assert_close(of_x, expected, rtol=1e-6, atol=1e-6, message="the gradient of x")
    expected = torch.einsum("bhsd,bhjd,bj->sj", weight, x, real)
    assert_close(of_e, expected, rtol=1e-6, atol=1e-6, message="the gradient of e")


@project.misconception(
    "You mixed the padding into the slots, so a text's result changes with whatever numbers fill it up.",
    name="mixed-the-padding-in",
)
def _(x, e, pad):
    return e @ x


@project.misconception(
    "You masked slots instead of tokens. After the projection a slot is a mixture of all tokens, and slot s has "
    "nothing to do with token s.",
    name="masked-slots",
)
def _(x, e, pad):
    slots = e @ x
    if pad is not None:
        slots = slots.masked_fill(pad[:, None, : e.shape[0], None], 0.0)
    return slots


@project.misconception(
    "You scaled the slots up by n over the number of real tokens; use the weights as they are.",
    name="scaled-by-the-length",
)
def _(x, e, pad):
    if pad is None:
        return e @ x
    real = (~pad).to(x.dtype)
    return e @ (x * real[:, None, :, None]) * (x.shape[2] / real.sum(1))[:, None, None, None]


@project.misconception(
    "Your mask is upside down: pad is true where there is padding, and you kept exactly those tokens.",
    name="mask-upside-down",
)
def _(x, e, pad):
    return e @ x if pad is None else e @ x.masked_fill(~pad[:, None, :, None], 0.0)


@project.misconception(
    "You used the padding of the first text for all texts; each row of pad belongs to one text.",
    name="padding-of-the-first-text",
)
def _(x, e, pad):
    return e @ x if pad is None else e @ x.masked_fill(pad[0][None, None, :, None], 0.0)


@project.misconception(
    "You made each slot a weighted mean with a softmax over the tokens; a slot is a plain sum, and its weights may be "
    "negative.",
    name="softmax-of-the-weights",
)
def _(x, e, pad):
    if pad is None:
        return e.softmax(-1) @ x
    return (e.masked_fill(pad[:, None, None, :], -math.inf)).softmax(-1) @ x


@project.also_correct
def _(x, e, pad):
    real = torch.ones(x.shape[0], x.shape[2], dtype=x.dtype, device=x.device) if pad is None else (~pad).to(x.dtype)
    return torch.einsum("sj,bj,bhjd->bhsd", e, real, x)


@project.also_correct
def _(x, e, pad):
    weights = e.expand(x.shape[0], 1, *e.shape)  # (B, 1, slots, n)
    if pad is not None:
        weights = torch.where(pad[:, None, None, :], torch.zeros_like(weights), weights)
    return torch.matmul(weights, x)
