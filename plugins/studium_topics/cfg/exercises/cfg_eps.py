from collections.abc import Callable

import torch
from studium import assert_close, exercise
from torch import Tensor

from studium_topics.cfg.exercises.cfg_combine import cfg_combine


@exercise(
    points=4,
    minutes=12,
    hints=(
        "A batch may contain the same row twice. What do you have to double together with x, and how do the two halves "
        "differ?",
        "Call the model on 2 B rows, half of them with the null label. Split the answer in two, in the same order.",
        "x becomes (2 B, *), t and y become (2 B,); each half of the answer is (B, *). For s = 1 nothing is doubled.",
        "`torch.cat([x, x])`, `torch.full_like(y, null)`, and `.chunk(2)`.",
    ),
    level="core",
    importance=3,
)
def cfg_eps(
    model: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, t: Tensor, y: Tensor, null: int, s: float
) -> Tensor:
    """Return the guided prediction of the noise in x, with a single call of the model.

    * model(x, t, y): takes any number of rows, treats each row by itself, and returns eps, shaped like its x
    * x: (B, *); t: (B,) long; y: (B,) long, the labels wanted
    * null: the label for "no label"; s: the scale, 1 is conditional
    * returns: (B, *)

    Call the model once, on 2 B rows; for s = 1, B rows are enough, so call it on those. The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    if s == 1:
        return model(x, t, y)
    labels = torch.cat([y, torch.full_like(y, null)])
    eps_c, eps_u = model(torch.cat([x, x]), torch.cat([t, t]), labels).chunk(2)
    return cfg_combine(eps_u, eps_c, s, "s")
    ### END SOLUTION


@cfg_eps.test("goes from the answer without a label through the one with it", points=1)
def _(cfg_eps):
    x, t, y = torch.tensor([[1.0, 2.0, 0.0], [3.0, 4.0, 5.0]]), torch.tensor([5, 6]), torch.tensor([2, 4])

    def model(x, t, y):
        return x + y.view(-1, 1) / 2  # eps_u is x + 10, eps_c is x + 1 and x + 2

    got = cfg_eps(model, x, t, y, 20, 3.0)
    expected = torch.tensor([[-16.0, -15.0, -17.0], [-11.0, -10.0, -9.0]])  # x + 10 - 3 · 9, x + 10 - 3 · 8
    assert_close(got, expected, message="labels 2 and 4, null 20, s = 3")


@cfg_eps.hidden("asks the model once about 2 B rows, each with its own time and label", points=1)
def _(cfg_eps, rng):
    for shape in ((3, 4), (5, 2, 3)):
        x = torch.randn(shape, generator=rng, dtype=torch.float64)
        t, y = torch.randperm(shape[0], generator=rng), torch.randint(0, 6, shape[:1], generator=rng)
        sizes, rows = [], 2 * shape[0]

        def model(x, t, y, sizes=sizes, rows=rows):
            sizes.append((len(x), len(t), len(y)))
            view = (-1, *[1] * (x.ndim - 1))
            eps = x * (1 + y.view(view)) + torch.sin(2.0 * t + 0.3 * y).view(view)
            return eps * rows / len(x)  # so that another number of rows is known by what comes out

        got = cfg_eps(model, x, t, y, 7, 2.5)
        assert sizes == [(rows,) * 3], f"one call with {rows} rows of x, t and y is expected, got calls with {sizes}"
        eps_c, eps_u = model(x, t, y) / 2, model(x, t, torch.full_like(y, 7)) / 2
        expected = eps_u + 2.5 * (eps_c - eps_u)
        assert_close(got, expected, rtol=1e-5, atol=1e-6, message=f"x of shape {shape}, s = 2.5")


@cfg_eps.hidden("asks about B rows alone where s is 1", points=1)
def _(cfg_eps, rng):
    x = torch.randn(4, 3, generator=rng, dtype=torch.float64)
    t, y, sizes = torch.tensor([2, 3, 1, 3]), torch.tensor([1, 0, 2, 2]), []

    def model(x, t, y):
        sizes.append(len(x))
        return (x * (1 + y.view(-1, 1)) + torch.sin(2.0 * t + 0.3 * y).view(-1, 1)) * 4 / len(x)

    got = cfg_eps(model, x, t, y, 7, 1.0)
    assert sizes == [4], f"one call with 4 rows is expected for s = 1, got calls with {sizes} rows"
    assert_close(got, model(x, t, y), rtol=1e-5, atol=1e-6, message="s = 1")


@cfg_eps.hidden("goes the other way for small scales, and leaves its arguments as they are", points=1)
def _(cfg_eps, rng):
    x = torch.randn(3, 2, 5, generator=rng, dtype=torch.float64)
    t, y = torch.tensor([4, 0, 2]), torch.tensor([1, 0, 2])
    kept = x.clone(), t.clone(), y.clone()

    def model(x, t, y):
        return x * (1 + y.view(-1, 1, 1)) + torch.sin(2.0 * t + 0.3 * y).view(-1, 1, 1)

    for s in (0.4, -1.5, 0.0):
        got = cfg_eps(model, x, t, y, 5, s)
        assert_close([x, t, y], list(kept), message="the arguments after the call")
        eps_c, eps_u = model(*kept), model(*kept[:2], torch.full_like(y, 5))
        assert_close(got, eps_u + s * (eps_c - eps_u), rtol=1e-5, atol=1e-6, message=f"s = {s}")


@cfg_eps.misconception(
    "You swapped the halves after the call; what you put in first comes out first. At the moment you guide away from "
    "the label.",
    name="halves-exchanged",
)
def _(model, x, t, y, null, s):
    if s == 1:
        return model(x, t, y)
    eps_u, eps_c = model(torch.cat([x, x]), torch.cat([t, t]), torch.cat([y, torch.full_like(y, null)])).chunk(2)
    return cfg_combine(eps_u, eps_c, s, "s")


cfg_eps.mistake(
    "times-interleaved",
    "You doubled the times in a different order from the rows: `repeat_interleave` gives t0, t0, t1, t1, and "
    "concatenation gives x0, x1, x0, x1. Use the same order for x, t and y.",
    replace="torch.cat([t, t])",
    by="t.repeat_interleave(2)",
)


@cfg_eps.misconception(
    "You used the label in both halves; one half needs the null label, because otherwise both answers are the same and "
    "the scale changes nothing.",
    name="both-with-label",
)
def _(model, x, t, y, null, s):
    if s == 1:
        return model(x, t, y)
    eps_c, eps_u = model(torch.cat([x, x]), torch.cat([t, t]), torch.cat([y, y])).chunk(2)
    return cfg_combine(eps_u, eps_c, s, "s")


@cfg_eps.misconception(
    "You called the model twice; put both halves in one batch, because on a GPU two calls of B rows take longer than "
    "one of 2 B, as long as the batch does not fill it.",
    name="two-calls",
)
def _(model, x, t, y, null, s):
    if s == 1:
        return model(x, t, y)
    return cfg_combine(model(x, t, torch.full_like(y, null)), model(x, t, y), s, "s")


@cfg_eps.misconception(
    "You doubled the batch for s = 1 too; there the unconditional half has the weight 0, so half of the work is "
    "wasted. Call the model with the labels only.",
    name="doubled-for-1",
)
def _(model, x, t, y, null, s):
    labels = torch.cat([y, torch.full_like(y, null)])
    eps_c, eps_u = model(torch.cat([x, x]), torch.cat([t, t]), labels).chunk(2)
    return cfg_combine(eps_u, eps_c, s, "s")


@cfg_eps.misconception(
    "You used class 0 instead of the null label; that guides away from class 0 only, not away from the prediction "
    "without a label.",
    name="class-0-for-null",
)
def _(model, x, t, y, null, s):
    if s == 1:
        return model(x, t, y)
    eps_c, eps_u = model(torch.cat([x, x]), torch.cat([t, t]), torch.cat([y, torch.zeros_like(y)])).chunk(2)
    return cfg_combine(eps_u, eps_c, s, "s")


@cfg_eps.misconception(
    "You started at eps_c, as with the paper's w; here s = 1 is conditional, so start at eps_u, or use w = s - 1.",
    name="scale-as-w",
)
def _(model, x, t, y, null, s):
    if s == 1:
        return model(x, t, y)
    eps_c, eps_u = model(torch.cat([x, x]), torch.cat([t, t]), torch.cat([y, torch.full_like(y, null)])).chunk(2)
    return cfg_combine(eps_u, eps_c, s, "w")


@cfg_eps.also_correct
def _(model, x, t, y, null, s):
    if s == 1:
        return model(x, t, y)
    both = torch.stack([torch.full_like(y, null), y], 1).flatten()  # null, y0, null, y1, ...
    eps = model(x.repeat_interleave(2, 0), t.repeat_interleave(2), both)
    return eps[0::2] + s * (eps[1::2] - eps[0::2])


@cfg_eps.also_correct
def _(model, x, t, y, null, s):
    copies = 1 if s == 1 else 2
    labels = torch.cat([y, y.new_full((len(y),), null)])[: copies * len(y)]
    eps = model(x.repeat(copies, *[1] * (x.ndim - 1)), t.repeat(copies), labels)
    return eps if copies == 1 else s * eps[: len(x)] + (1 - s) * eps[len(x) :]
