import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=2,
    minutes=6,
    level="warm-up",
    importance=2,
    hints=(
        "Keys and values are computed from the same vectors. What else do they need, apart from the two matrices?",
        "Project twice, split the width into heads, and move the axis of heads in front of the axis of positions.",
        "A projection is (B, S, D); split into heads it is (B, S, H, d), and finally (B, H, S, d).",
        "`F.linear(states, wk).unflatten(-1, (heads, -1)).transpose(1, 2)`, and the same with wv.",
    ),
)
def remember(states, wk, wv, heads):
    """Return the keys and the values that attention reads from states.

    - states (B, S, D): one vector for each position.
    - wk, wv (D, D): matrices as in nn.Linear, no biases.
    - heads: H, a divisor of D; head h owns the h-th block of d = D / H numbers of each projected vector.

    Returns a pair, keys (B, H, S, d) and values (B, H, S, d). The lesson trains through it.
    """
    ### BEGIN SOLUTION
    keys, values = (F.linear(states, weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wk, wv))
    return keys, values
    ### END SOLUTION


@remember.test("cuts two states into two heads", points=1)
def _(remember):
    states = torch.tensor([[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0], [0.0, 1.0, 0.0, 2.0]]])
    swap = torch.tensor([[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 2.0], [0.0, 0.0, 3.0, 0.0]])
    keys, values = remember(states, torch.eye(4), swap, 2)
    heads = torch.tensor([[[[1.0, 2.0], [5.0, 6.0], [0.0, 1.0]], [[3.0, 4.0], [7.0, 8.0], [0.0, 2.0]]]])
    assert_close(keys, heads, message="the keys, with wk the identity")
    expected = torch.tensor([[[[2.0, 1.0], [6.0, 5.0], [1.0, 0.0]], [[8.0, 9.0], [16.0, 21.0], [4.0, 0.0]]]])
    assert_close(values, expected, message="the values, with a wv that swaps and scales")


@remember.hidden("projects every position as nn.Linear does, and lets gradients through", points=1)
def _(remember, rng):
    for batch, length, heads, size in ((2, 5, 3, 4), (3, 2, 1, 6), (1, 7, 4, 2)):
        width = heads * size
        inputs = [torch.randn(batch, length, width, generator=rng, dtype=torch.float64).requires_grad_()]
        inputs += [torch.randn(width, width, generator=rng, dtype=torch.float64).requires_grad_() for _ in range(2)]
        found = remember(*inputs, heads)
        assert len(found) == 2, f"a pair (keys, values) is expected, got {len(found)} things"
        for name, one, weight in zip(("keys", "values"), found, inputs[1:], strict=True):
            expected = torch.einsum("bsi,hdi->bhsd", inputs[0], weight.view(heads, size, width))
            assert_close(one, expected, rtol=1e-5, atol=1e-5, message=f"the {name}, {heads} heads of {size} numbers")
            assert one.dtype == expected.dtype, f"the {name} must be in {expected.dtype} as states are, got {one.dtype}"
            assert one.requires_grad, f"gradients must reach the arguments through the {name}"
            away = torch.randn(batch, heads, length, size, generator=rng, dtype=torch.float64)
            pair = torch.autograd.grad((one * away).sum(), (inputs[0], weight), retain_graph=True, allow_unused=True)
            wanted = torch.autograd.grad((expected * away).sum(), (inputs[0], weight))
            for gradient, right in zip(pair, wanted, strict=True):
                assert gradient is not None, f"gradients must reach states and weight through the {name}"
                assert_close(gradient, right, rtol=1e-5, atol=1e-5, message=f"a gradient through the {name}")


@remember.misconception(
    "You multiplied by the matrix itself; multiply by its transpose, as `F.linear(states, wk)` does, because "
    "nn.Linear stores its outputs in rows.",
    name="not-transposed",
)
def _(states, wk, wv, heads):
    return tuple((states @ weight).unflatten(-1, (heads, -1)).transpose(1, 2) for weight in (wk, wv))


@remember.misconception(
    "You reshaped to (B, H, S, d) directly, so each head gets numbers from several positions; split the last axis "
    "first, then swap the two axes.",
    name="reshaped-over-positions",
)
def _(states, wk, wv, heads):
    batch, length, width = states.shape
    return tuple(F.linear(states, weight).reshape(batch, heads, length, width // heads) for weight in (wk, wv))


@remember.misconception(
    "You gave head h every H-th number, starting with the h-th; give it one block of neighbouring numbers, as in "
    "published weights.",
    name="interleaved-heads",
)
def _(states, wk, wv, heads):
    return tuple(F.linear(states, weight).unflatten(-1, (-1, heads)).permute(0, 3, 1, 2) for weight in (wk, wv))


@remember.also_correct
def _(states, wk, wv, heads):
    batch, length, width = states.shape
    keys = (states @ wk.T).view(batch, length, heads, width // heads).permute(0, 2, 1, 3)
    values = (states @ wv.T).view(batch, length, heads, width // heads).permute(0, 2, 1, 3)
    return keys, values


@remember.also_correct
def _(states, wk, wv, heads):
    keys = [torch.einsum("bsi,di->bsd", states, part) for part in wk.chunk(heads)]
    values = [torch.einsum("bsi,di->bsd", states, part) for part in wv.chunk(heads)]
    return torch.stack(keys, 1), torch.stack(values, 1)
