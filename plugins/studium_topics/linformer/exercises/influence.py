import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=12,
    importance=3,
    kind="measure",
    hints=(
        "How can you find out whether a function reads one of its inputs, if you may only call it?",
        "Change one token and leave all the others, call the function again, and see which rows of the result have "
        "moved.",
        "One call for each token j gives column j: the change (n, D'), reduced to (n,). Start from the original x "
        "each time.",
        "`moved = x.clone()`, `moved[j] += noise[j]`, then `(f(moved) - f(x)).abs().amax(-1)`.",
    ),
)
def influence(f, x, noise):
    """Return how far each row of f(x) moves when one token of x is changed.

    Entry (i, j) is the largest absolute change, over the numbers of row i of the result, when noise[j] is added to
    row j of x and to no other row.

    * f: takes (n, D) and returns (n, D'); you may only call it
    * x, noise (n, D): they stay as they are
    * returns: (n, n)
    """
    ### BEGIN SOLUTION
    before = f(x)
    columns = []
    for token in range(len(x)):
        moved = x.clone()
        moved[token] += noise[token]
        columns.append((f(moved) - before).abs().amax(-1))
    return torch.stack(columns, 1)
    ### END SOLUTION


@influence.test("finds that a running sum hears of every earlier token, and of itself", points=1)
def _(influence):
    x = torch.zeros(3, 2)
    noise = torch.tensor([[1.0, -2.0], [3.0, 0.5], [-5.0, 4.0]])
    expected = torch.tensor([[2.0, 0.0, 0.0], [2.0, 3.0, 0.0], [2.0, 3.0, 5.0]])
    assert_close(influence(lambda x: x.cumsum(0), x, noise), expected)


@influence.hidden("measures the largest change of each row, also where f is not linear or jumps", points=2)
def _(influence, rng):
    for tokens, width, out in ((5, 3, 4), (4, 6, 2), (6, 1, 3)):
        mixing = torch.randn(tokens, tokens, generator=rng, dtype=torch.float64)
        weight = torch.randn(width, out, generator=rng, dtype=torch.float64)
        x, noise = torch.randn(2, tokens, width, generator=rng, dtype=torch.float64)
        kept = x.clone(), noise.clone()
        functions = {
            "tanh(A x W)": lambda x, a=mixing, w=weight: torch.tanh(a @ x @ w),
            "round(2 A x)": lambda x, a=mixing: (2 * a @ x).round(),
            "x of the next token": lambda x: x.roll(-1, 0),
        }
        for name, f in functions.items():
            expected = torch.zeros(tokens, tokens, dtype=torch.float64)
            for j in range(tokens):
                changed = torch.stack([x[i] + noise[i] if i == j else x[i] for i in range(tokens)])
                expected[:, j] = (f(changed) - f(x)).abs().max(1).values
            what = f"for f(x) = {name} and x of shape {(tokens, width)}"
            assert_close(influence(f, x, noise), expected, rtol=1e-6, atol=1e-6, message=what)
        assert torch.equal(x, kept[0]), "x must stay as it is"
        assert torch.equal(noise, kept[1]), "noise must stay as it is"


@influence.hidden("finds a leak from the future that hides behind a causal mask", points=1)
def _(influence, rng):
    for tokens, slots in ((8, 4), (6, 3)):
        e = torch.rand(slots, tokens, generator=rng, dtype=torch.float64) + 0.1
        mask = torch.arange(slots) * tokens // slots <= torch.arange(tokens)[:, None]

        def f(x, e=e, mask=mask):
            slots = e @ x
            return F.scaled_dot_product_attention(x[None], slots[None], slots[None], attn_mask=mask)[0]

        x, noise = torch.randn(2, tokens, 4, generator=rng, dtype=torch.float64)
        found = influence(f, x, noise)
        assert tuple(found.shape) == (tokens, tokens), f"expected shape {(tokens, tokens)}, got {tuple(found.shape)}"
        leak = float(found.triu(1).max())
        assert leak > 1e-6, f"the masked function reads later tokens, but above the diagonal the largest is {leak}"


@influence.misconception(
    "You exchanged rows and columns: entry (i, j) is about row i of the result and token j of x. A leak from the "
    "future belongs above the diagonal; in your matrix it is below.",
    name="exchanged-rows-and-columns",
)
def _(f, x, noise):
    rows = [(f(x + noise * (torch.arange(len(x)) == j)[:, None]) - f(x)).abs().amax(-1) for j in range(len(x))]
    return torch.stack(rows, 0)


@influence.misconception(
    "You did not start again from x, so the changes add up: column j has the changes of all tokens up to j.",
    name="changes-add-up",
)
def _(f, x, noise):
    moved, columns = x.clone(), []
    for j in range(len(x)):
        moved[j] += noise[j]
        columns.append((f(moved.clone()) - f(x)).abs().amax(-1))
    return torch.stack(columns, 1)


@influence.misconception(
    "You took the largest signed change, so a row that only falls seems to move by a negative number. Take the "
    "absolute value first.",
    name="signed-change",
)
def _(f, x, noise):
    columns = [(f(x + noise * (torch.arange(len(x)) == j)[:, None]) - f(x)).amax(-1) for j in range(len(x))]
    return torch.stack(columns, 1)


@influence.misconception(
    "You averaged the change over the numbers of a row; take the largest instead.", name="mean-change"
)
def _(f, x, noise):
    columns = [(f(x + noise * (torch.arange(len(x)) == j)[:, None]) - f(x)).abs().mean(-1) for j in range(len(x))]
    return torch.stack(columns, 1)


@influence.misconception(
    "You took the length of the change; take its largest absolute number instead.", name="length-of-the-change"
)
def _(f, x, noise):
    columns = [(f(x + noise * (torch.arange(len(x)) == j)[:, None]) - f(x)).norm(dim=-1) for j in range(len(x))]
    return torch.stack(columns, 1)


@influence.misconception(
    "You replaced the token by the noise; add the noise to the token instead.", name="replaced-by-the-noise"
)
def _(f, x, noise):
    columns = []
    for j in range(len(x)):
        moved = x.clone()
        moved[j] = noise[j]
        columns.append((f(moved) - f(x)).abs().amax(-1))
    return torch.stack(columns, 1)


@influence.also_correct
def _(f, x, noise):
    n = x.shape[0]
    found = x.new_zeros(n, n)
    for j in range(n):
        moved = x + torch.where((torch.arange(n, device=x.device) == j)[:, None], noise, torch.zeros_like(noise))
        found[:, j] = (f(moved) - f(x)).abs().max(dim=-1).values
    return found


@influence.also_correct
def _(f, x, noise):
    before, after = f(x), [f(torch.cat([x[:j], x[j : j + 1] + noise[j], x[j + 1 :]])) for j in range(len(x))]
    return torch.stack([torch.maximum(y - before, before - y).max(-1)[0] for y in after], dim=-1)
