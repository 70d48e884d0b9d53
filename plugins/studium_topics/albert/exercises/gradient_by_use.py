import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=2,
    kind="measure",
    hints=(
        "Autograd adds up the gradients of all uses of one tensor. What if each use had its own tensor?",
        "Give every use its own copy of the weight, run the stack with the copies, and compute the gradient of each "
        "copy.",
        "There are L copies, each a leaf of the graph with the shape of the weight; their L gradients make (L, "
        "*shape).",
        "`weight.detach().clone().requires_grad_()` is such a copy; `torch.autograd.grad(value, copies)` gives one "
        "gradient per copy and leaves every `.grad` unchanged.",
    ),
)
def gradient_by_use(layer, x, weight, uses, loss):
    """Return what each use of a shared weight contributes to its gradient.

    A stack applies `layer(x, weight)` to x `uses` times, each time with the same weight, and `loss` takes the result.
    Row i of the answer is the gradient of the loss if you vary the weight only in use i (0 is the first use) and hold
    it fixed in all other uses.

    - layer(x, weight): returns a tensor like x.
    - x: a tensor; weight: a tensor, which may or may not require a gradient.
    - uses: L, 1 or more.
    - loss(x): returns one number, a tensor.
    - Returns (L, *weight.shape). x, weight and their `.grad` stay as they are.
    """
    ### BEGIN SOLUTION
    copies = [weight.detach().clone().requires_grad_() for _ in range(uses)]
    for each in copies:
        x = layer(x, each)
    return torch.stack(torch.autograd.grad(loss(x), copies))
    ### END SOLUTION


gradient_by_use.equivalent(
    "copies = [weight.detach().requires_grad_() for _ in range(uses)]",
    "each detach makes a new tensor, and nothing writes to the numbers that they share",
)

gradient_by_use.equivalent(
    "copies = [weight.clone().requires_grad_() for _ in range(uses)]",
    "autograd.grad takes the gradient at a copy inside a graph just as well",
)


@gradient_by_use.test("splits the gradient of w x + w, applied three times, into its uses", points=1)
def _(gradient_by_use):
    weight, x = torch.tensor(3.0), torch.tensor(2.0)
    found = gradient_by_use(lambda x, w: w * x + w, x, weight, 3, lambda x: x)
    # 3 · 2 + 3 = 9, 3 · 9 + 3 = 30, 3 · 30 + 3 = 93: use i gives 3^(2 - i) · (x_i + 1)
    assert_close(found, torch.tensor([27.0, 30.0, 31.0]), message="w x + w three times, from x = 2 with w = 3")


@gradient_by_use.hidden("agrees with moving the weight in one use alone", points=2)
def _(gradient_by_use, rng):
    for uses, width in ((4, 3), (2, 5), (1, 4)):
        weight = torch.randn(width, width, generator=rng, dtype=torch.float64)
        x = torch.randn(6, width, generator=rng, dtype=torch.float64)
        aim = torch.randn(6, width, generator=rng, dtype=torch.float64)

        def layer(x, w):
            return torch.tanh(x @ w) + 0.5 * x * w[0]

        def loss(x, aim=aim):
            return (x - aim).square().sum()

        found = torch.as_tensor(gradient_by_use(layer, x, weight, uses, loss))
        shape = (uses, width, width)
        assert tuple(found.shape) == shape, f"expected shape (L, *weight.shape) = {shape}, got {tuple(found.shape)}"
        way = torch.randn(width, width, generator=rng, dtype=torch.float64)
        for use in range(uses):
            values = []
            for step in (1e-5, -1e-5):
                state = x
                for number in range(uses):
                    state = layer(state, weight + step * way if number == use else weight)
                values.append(float(loss(state)))
            slope = (values[0] - values[1]) / 2e-5
            assert_close(
                float((found[use] * way).sum()),
                slope,
                rtol=1e-4,
                atol=1e-4,
                message=f"use {use} of {uses}, one direction",
            )
        tied, state = weight.detach().clone().requires_grad_(), x
        for _ in range(uses):
            state = layer(state, tied)
        loss(state).backward()
        assert_close(found.sum(0), tied.grad, rtol=1e-5, atol=1e-6, message="the rows must sum to the tied gradient")


@gradient_by_use.hidden("leaves its arguments alone", points=1)
def _(gradient_by_use, rng):
    for needed in (True, False):
        weight = torch.randn(3, 4, 4, generator=rng)[1].requires_grad_(needed)
        x = torch.randn(2, 4, generator=rng).requires_grad_(needed)
        before = weight.detach().clone(), x.detach().clone()
        found = gradient_by_use(lambda x, w: torch.sin(x @ w), x, weight, 3, lambda x: x.square().mean())
        assert isinstance(found, torch.Tensor), f"a tensor is expected, got {type(found).__name__}"
        assert weight.grad is None, "the `.grad` of the weight must stay as it is"
        assert x.grad is None, "the `.grad` of x must stay as it is"
        assert weight.requires_grad is needed, "whether the weight requires a gradient must stay as it is"
        assert x.requires_grad is needed, "whether x requires a gradient must stay as it is"
        assert_close(weight.detach(), before[0], message="the weight")
        assert_close(x.detach(), before[1], message="x")
        copies = [before[0].clone().requires_grad_() for _ in range(3)]
        state = before[1]
        for each in copies:
            state = torch.sin(state @ each)
        state.square().mean().backward()
        assert_close(found, torch.stack([each.grad for each in copies]), rtol=1e-4, atol=1e-6)


@gradient_by_use.misconception(
    "You used one tensor for all uses, so every row is the whole gradient; give each use its own tensor.",
    name="one-tensor",
)
def _(layer, x, weight, uses, loss):
    tied = weight.detach().clone().requires_grad_()
    for _ in range(uses):
        x = layer(x, tied)
    (grad,) = torch.autograd.grad(loss(x), [tied])
    return torch.stack([grad] * uses)


@gradient_by_use.misconception(
    "You divided the whole gradient by the number of uses; compute each contribution, because each use gets a "
    "different state and contributes differently.",
    name="equal-shares",
)
def _(layer, x, weight, uses, loss):
    tied = weight.detach().clone().requires_grad_()
    for _ in range(uses):
        x = layer(x, tied)
    (grad,) = torch.autograd.grad(loss(x), [tied])
    return torch.stack([grad / uses] * uses)


@gradient_by_use.misconception(
    "You took the loss right after each use; take it at the end of the stack, because a change in use i also passes "
    "through all later uses before it reaches the loss.",
    name="loss-after-each-use",
)
def _(layer, x, weight, uses, loss):
    rows = []
    for _ in range(uses):
        each = weight.detach().clone().requires_grad_()
        x = layer(x, each)
        rows.append(torch.autograd.grad(loss(x), [each])[0])
        x = x.detach()
    return torch.stack(rows)


gradient_by_use.mistake(
    "last-use-first",
    "Your rows are in reverse order; row 0 belongs to the first use, the one farthest from the loss.",
    replace="torch.autograd.grad(loss(x), copies)",
    by="torch.autograd.grad(loss(x), copies[::-1])",
)


@gradient_by_use.also_correct
def _(layer, x, weight, uses, loss):
    unrolled = torch.stack([weight.detach()] * uses).requires_grad_()
    for use in range(uses):
        x = layer(x, unrolled[use])
    return torch.autograd.grad(loss(x), unrolled)[0]


@gradient_by_use.also_correct
def _(layer, x, weight, uses, loss):
    def unrolled(weights):
        state = x.detach()
        for each in weights:
            state = layer(state, each)
        return loss(state)

    rows = []
    for use in range(uses):
        each = weight.detach().clone().requires_grad_()
        others = [weight.detach()] * uses
        unrolled([*others[:use], each, *others[use + 1 :]]).backward()
        rows.append(each.grad)
    return torch.stack(rows)
