import math

import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=10,
    importance=2,
    hints=(
        "Given a worker's lse, which share of the whole row's sum of exponentials did that worker sum?",
        "The whole row's lse is the logsumexp of the workers' lse. A worker's share is the exponential of a difference "
        "of two lse, so subtract before you take the exponential.",
        "The shares are (W, R) and o is (W, R, dv): give the shares a third axis, and sum over the workers.",
        "Where all parts of a row are empty, the total is -inf: watch out for `-inf - -inf`, as in `online_update`.",
    ),
)
def merge_partials(o, lse):
    """Return the attention over all keys from the results of W workers, each of which saw some of the keys.

    While a model writes, there is one query and a long text, so the keys are split among workers
    (flash-decoding). Each worker returns what `flash_forward` returns for its own keys.

    * o (W, R, dv), lse (W, R): the workers' results; lse may be ±10000
    * returns: o (R, dv) and lse (R,) over all keys

    A worker that saw no key of a row has o = 0 and lse = -inf there. If no worker saw any, the
    result is o = 0 and lse = -inf.
    """
    ### BEGIN SOLUTION
    total = lse.logsumexp(0)
    share = torch.exp(lse - total.masked_fill(total == -math.inf, 0.0))  # (W, R)
    return (share[..., None] * o).sum(0), total
    ### END SOLUTION


merge_partials.equivalent(
    "share = torch.exp(lse - total.masked_fill(total == -math.inf, 1.0))  # (W, R)",
    "exp(-inf) is 0, whatever finite number is subtracted",
)


@merge_partials.test("weighs two parts by what they stand for", points=1)
def _(merge_partials):
    o = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]], dtype=torch.float64)
    lse = torch.tensor([[math.log(6.0)], [math.log(2.0)]], dtype=torch.float64)
    found, total = merge_partials(o, lse)
    assert_close(found, torch.tensor([[0.75, 0.25]], dtype=torch.float64), rtol=1e-9, atol=1e-9, message="o")
    assert_close(total, torch.tensor([math.log(8.0)], dtype=torch.float64), rtol=1e-9, atol=1e-9, message="lse")


@merge_partials.hidden("gives attention over all keys, however they were split", points=2)
def _(merge_partials, rng):
    for rows, keys, width, size, cuts in (
        (3, 8, 4, 1.0, (3,)),
        (2, 9, 3, 3000.0, (1, 4, 4)),
        (5, 6, 2, 5.0, (2, 3, 4, 5)),
    ):
        scores = size * torch.randn(rows, keys, generator=rng, dtype=torch.float64)
        scores[0, : cuts[0]] = -math.inf
        scores[-1] = -math.inf
        v = torch.randn(keys, width, generator=rng, dtype=torch.float64)
        parts = list(zip(scores.tensor_split(cuts, 1), v.tensor_split(cuts), strict=True))
        o = torch.stack([piece.softmax(1).nan_to_num(0.0) @ value for piece, value in parts])
        lse = torch.stack([piece.logsumexp(1) for piece, _ in parts])
        found, total = merge_partials(o, lse)
        what = f"{keys} keys in {len(parts)} parts, scores near {size:g}: "
        assert_close(found, scores.softmax(1).nan_to_num(0.0) @ v, rtol=1e-9, atol=1e-9, message=what + "o")
        assert_close(total, scores.logsumexp(1), rtol=1e-9, atol=1e-9, message=what + "lse")


@merge_partials.misconception(
    "You took the plain mean; weight each part by its exp(lse), because a part with larger scores counts for more.",
    name="plain-mean",
)
def _(o, lse):
    return o.mean(0), lse.logsumexp(0)


@merge_partials.misconception(
    "You did not normalise the weights: divide exp(lse - maximum) by their sum, or subtract the logsumexp instead of "
    "the maximum.",
    name="not-normalised",
)
def _(o, lse):
    top = lse.amax(0)
    share = torch.exp(lse - top.masked_fill(top == -math.inf, 0.0))
    return (share[..., None] * o).sum(0), lse.logsumexp(0)


@merge_partials.misconception(
    "Your exp(lse) overflowed: exp(3000) is infinite. Subtract the total (or the maximum) before the exponential.",
    name="exponential-overflowed",
)
def _(o, lse):
    weight = torch.exp(lse)
    total = weight.sum(0)
    return (weight[..., None] * o).sum(0) / total.masked_fill(total == 0, 1.0)[:, None], total.log()


@merge_partials.misconception(
    "You weighted the parts by lse itself; use exp(lse), because lse is a logarithm.", name="weighted-by-lse"
)
def _(o, lse):
    return (lse[..., None] * o).sum(0) / lse.sum(0)[:, None], lse.logsumexp(0)


merge_partials.mistake(
    "added-lse",
    "You added the parts' lse; use logsumexp, because the sums add up and not their logarithms.",
    replace="(share[..., None] * o).sum(0), total",
    by="(share[..., None] * o).sum(0), lse.sum(0)",
)

merge_partials.mistake(
    "maximum-lse",
    "Your lse is the largest lse of the parts; use their logsumexp, because the sum of all exponentials is larger than "
    "any of them.",
    replace="(share[..., None] * o).sum(0), total",
    by="(share[..., None] * o).sum(0), lse.amax(0)",
)


@merge_partials.misconception(
    "A row in which no part saw a key became nan: its total is -inf, and -inf - -inf is nan. Subtract 0 there.",
    name="inf-minus-inf",
)
def _(o, lse):
    return (lse.softmax(0)[..., None] * o).sum(0), lse.logsumexp(0)


@merge_partials.also_correct
def _(o, lse):
    found, total = o[0], lse[0]
    for part, more in zip(o[1:], lse[1:], strict=True):
        both = torch.logaddexp(total, more)
        safe = both.clamp(min=-1e30)
        found = found * torch.exp(total - safe)[:, None] + part * torch.exp(more - safe)[:, None]
        total = both
    return found, total


@merge_partials.also_correct
def _(o, lse):
    share = torch.nan_to_num(torch.softmax(lse.double(), 0))
    return torch.einsum("sr,srd->rd", share, o.double()).to(o.dtype), torch.logsumexp(lse, dim=0)
