"""The exercises of classifier-free guidance: dropped labels, the combination, one doubled call, and the sampler.

Conventions: t = 0..T-1, abar_t the share of signal, x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) eps. The scale s is
Imagen's and diffusers' (0 unconditional, 1 conditional); the paper's own w is s - 1 (Ho and Salimans 2022, arXiv
2207.12598, equation 6). eps_u is predicted without a label, eps_c with it.
"""

import math
from collections.abc import Callable

import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=3,
    minutes=8,
    hints=(
        "`torch.rand(y.shape, generator=generator)` gives a number from 0 to 1 for each label of its own.",
        "A number from 0 to 1 lies below p with probability p. Those labels are dropped, the others kept.",
        "`torch.where(dropped, null, y)` makes a new tensor; `y[dropped] = null` would change the data set.",
    ),
)
def drop_labels(y: Tensor, p: float, null: int, generator: torch.Generator) -> Tensor:
    """Replace each label by the null label with probability p, each independently of the others.

    y (B,) long; p from 0 to 1, where 0 drops none and 1 drops all; null: the label that stands for "no label". All
    random numbers come from `generator`, which is on the device of y. Returns new labels (B,); y stays as it is.
    """
    ### BEGIN SOLUTION
    dropped = torch.rand(y.shape, generator=generator, device=y.device) < p
    return torch.where(dropped, null, y)
    ### END SOLUTION


@drop_labels.test("keeps every label for p = 0 and drops every label for p = 1", points=1)
def _(drop_labels):
    y = torch.tensor([3, 0, 7, 7, 1])
    assert_close(drop_labels(y, 0.0, 10, torch.Generator().manual_seed(1)), y, message="p = 0")
    assert_close(drop_labels(y, 1.0, 10, torch.Generator().manual_seed(1)), torch.full((5,), 10), message="p = 1")


@drop_labels.hidden("throws a coin of its own for each label", points=1)
def _(drop_labels, rng):
    for p, null in ((0.1, 10), (0.15, 4), (0.5, 10), (0.9, 23)):
        y = torch.randint(0, 4, (5000,), generator=rng)
        got = drop_labels(y, p, null, rng)
        assert tuple(got.shape) == (5000,), f"one label for each of y is expected, shape (5000,), got {got.shape}"
        dropped = got == null
        assert_close(got[~dropped], y[~dropped], message=f"the labels that were kept for p = {p}")
        share, error = float(dropped.double().mean()), math.sqrt(p * (1 - p) / 5000)
        low, high = p - 5 * error, p + 5 * error
        assert low < share < high, f"a share of about {p} is expected to be dropped, got {share:.3f}"
    counts = [int((drop_labels(torch.arange(60), 0.5, 99, rng) == 99).sum()) for _ in range(8)]
    assert len(set(counts)) > 1, f"independent coins do not drop the same number each time, got {counts} of 60"


@drop_labels.hidden("draws from the generator alone, and leaves y as it is", points=1)
def _(drop_labels, rng):
    y = torch.randint(0, 10, (400,), generator=rng)
    kept, seed = y.clone(), int(torch.randint(0, 10**6, (), generator=rng))
    first, again, other = (drop_labels(y, 0.5, 10, torch.Generator().manual_seed(k)) for k in (seed, seed, seed + 1))
    assert_close(y, kept, message="y after the calls")
    assert_close(again, first, message="a second call with the same seed")
    assert not torch.equal(other, first), "another seed is expected to drop other labels; draw from the generator"


@drop_labels.misconception(
    "You keep labels with probability p; p is the probability of *dropping* one, so that nearly all of the training "
    "would be unconditional. Compare the other way round."
)
def _(y, p, null, generator):
    return torch.where(torch.rand(y.shape, generator=generator) < p, y, null)


@drop_labels.misconception(
    "You threw one coin for the whole batch; each label needs a coin of its own, or else a batch is all with labels or "
    "all without, and the steps jump between two tasks."
)
def _(y, p, null, generator):
    return torch.where(torch.rand((), generator=generator) < p, null, y)


@drop_labels.misconception(
    "You dropped a fixed number of labels; with independent coins that number varies. In a batch of one, p times 1 "
    "rounded down would never drop any."
)
def _(y, p, null, generator):
    chosen = torch.randperm(len(y), generator=generator)[: int(p * len(y))]
    return y.index_fill(0, chosen, null)


@drop_labels.misconception(
    "You wrote into y; those are the labels of your data set, and a label that is dropped once would be gone for all "
    "epochs. Give a new tensor."
)
def _(y, p, null, generator):
    y[torch.rand(y.shape, generator=generator) < p] = null
    return y


@drop_labels.misconception(
    "You dropped labels to 0; that is a class of its own (in digits, the zero). Use the null label, which no datum has."
)
def _(y, p, null, generator):
    return torch.where(torch.rand(y.shape, generator=generator) < p, 0, y)


@drop_labels.misconception(
    "You drew from torch's global random numbers; use `generator`, or the same seed does not give the same training."
)
def _(y, p, null, generator):
    return torch.where(torch.rand(y.shape) < p, null, y)


@drop_labels.also_correct
def _(y, p, null, generator):
    dropped = torch.bernoulli(torch.full(y.shape, float(p)), generator=generator).bool()
    return y.masked_fill(dropped, null)


@drop_labels.also_correct
def _(y, p, null, generator):
    keep = torch.rand(len(y), generator=generator) >= p
    return y * keep + null * ~keep


drop_labels.equivalent(
    "dropped = torch.rand(y.shape, generator=generator, device=y.device) <= p",
    "it differs only where a random number is exactly p, once in 16 million",
)


@exercise(
    points=3,
    minutes=8,
    hints=(
        "Which multiple of the step from eps_u to eps_c do you take, starting at eps_u? At s = 1 you stand on eps_c.",
        'In convention "w" you start at eps_c and go on by w: (1 + w) eps_c - w eps_u. Which s is that?',
    ),
)
def cfg_combine(eps_u: Tensor, eps_c: Tensor, scale: float, convention: str) -> Tensor:
    """Combine the two predictions of the noise: classifier-free guidance.

    eps_u (B, *) without a label, eps_c (B, *) with it; all channels are treated alike. What scale means is said by the
    convention:

    "s" (Imagen, diffusers): 0 gives eps_u, 1 gives eps_c, and in general eps_u + s · (eps_c - eps_u).

    "w" (Ho and Salimans, equation 6): (1 + w) · eps_c - w · eps_u, so 0 gives eps_c.

    Returns the guided prediction (B, *). Leave the arguments as they are.
    """
    ### BEGIN SOLUTION
    s = scale if convention == "s" else scale + 1
    return eps_u + s * (eps_c - eps_u)
    ### END SOLUTION


@cfg_combine.test("stretches the difference by s, or by w + 1", points=1)
def _(cfg_combine):
    eps_u, eps_c = torch.tensor([[1.0, 5.0]]), torch.tensor([[3.0, 4.0]])
    assert_close(cfg_combine(eps_u, eps_c, 3.0, "s"), torch.tensor([[7.0, 2.0]]), message='scale 3, convention "s"')
    assert_close(cfg_combine(eps_u, eps_c, 3.0, "w"), torch.tensor([[9.0, 1.0]]), message='scale 3, convention "w"')


@cfg_combine.hidden("goes from unconditional over conditional to beyond, in all channels", points=1)
def _(cfg_combine, rng):
    for shape in ((3, 2), (2, 5, 3, 4)):
        eps_u, eps_c = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(2))
        kept = eps_u.clone(), eps_c.clone()
        for s in (0.0, 0.3, 1.0, 2.5, 7.5):
            expected = (1 - s) * kept[0] + s * kept[1]
            assert_close(cfg_combine(eps_u, eps_c, s, "s"), expected, message=f"s = {s}, shape {shape}")
        assert_close([eps_u, eps_c], list(kept), message="the arguments after the calls")


@cfg_combine.hidden("knows the paper's w too, from unconditional at -1 to strong at 4", points=1)
def _(cfg_combine, rng):
    eps_u, eps_c = (torch.randn(2, 4, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    for w in (-1.0, 0.0, 0.1, 1.0, 4.0):
        expected = (1 + w) * eps_c - w * eps_u
        assert_close(cfg_combine(eps_u, eps_c, w, "w"), expected, message=f"w = {w}")


@cfg_combine.misconception(
    'You started at eps_c in both conventions; that is right for "w" alone. With "s" you then guide one step too far: '
    "s = 1 has to give eps_c itself."
)
def _(eps_u, eps_c, scale, convention):
    return eps_c + scale * (eps_c - eps_u)


@cfg_combine.misconception(
    "You took w for s; the paper's w = 0 is the conditional model, s = 0 the unconditional one, so s = w + 1."
)
def _(eps_u, eps_c, scale, convention):
    return eps_u + scale * (eps_c - eps_u)


@cfg_combine.misconception(
    "You added the unconditional prediction; it is taken away, with the weight s - 1. With a plus the weights sum to "
    "2s - 1 in the place of 1, and the result is no longer a noise that belongs to x."
)
def _(eps_u, eps_c, scale, convention):
    s = scale if convention == "s" else scale + 1
    return s * eps_c + (s - 1) * eps_u


@cfg_combine.misconception("You converted the wrong way: w = 0 means s = 1, so s = w + 1 and not w - 1.")
def _(eps_u, eps_c, scale, convention):
    s = scale if convention == "s" else scale - 1
    return eps_u + s * (eps_c - eps_u)


@cfg_combine.misconception(
    "You exchanged the two predictions; guidance goes away from eps_u, through eps_c and beyond."
)
def _(eps_u, eps_c, scale, convention):
    s = scale if convention == "s" else scale + 1
    return eps_c + s * (eps_u - eps_c)


@cfg_combine.misconception(
    "You guided the first three channels alone; latents have four and more, and all of them hold noise. (This slip "
    "stood in a well-known codebase.)"
)
def _(eps_u, eps_c, scale, convention):
    s = scale if convention == "s" else scale + 1
    return torch.cat([(eps_u + s * (eps_c - eps_u))[:, :3], eps_c[:, 3:]], 1)


@cfg_combine.also_correct
def _(eps_u, eps_c, scale, convention):
    w = scale - (convention == "s")
    return (1 + w) * eps_c - w * eps_u


@cfg_combine.also_correct
def _(eps_u, eps_c, scale, convention):
    return torch.lerp(eps_u, eps_c, {"s": 0.0, "w": 1.0}[convention] + scale)


@exercise(
    points=3,
    minutes=8,
    hints=(
        "The score is -eps / sqrt(1 - abar_t). Bayes: log p(c | x) = log p(x | c) - log p(x) + a constant in x.",
        "`abar[t]` is (B,); give it the shape (B, 1, ...) and the dtype of eps_u before you divide.",
    ),
)
def implied_grad(eps_u: Tensor, eps_c: Tensor, t: Tensor, abar: Tensor) -> Tensor:
    """Give the gradient of log p(c | x_t) with respect to x_t that the two predictions imply.

    It is the difference of their scores, score(x_t | c) - score(x_t), where a score is -eps / sqrt(1 - abar_t).

    eps_u and eps_c (B, *), where * is any number of further axes; t (B,) long in 0..T-1, each row with its own level;
    abar (T,) float64, below 1. Returns (B, *) in the dtype of eps_u.
    """
    ### BEGIN SOLUTION
    level = abar[t].view(-1, *[1] * (eps_u.ndim - 1)).to(eps_u.dtype)  # (B, 1, ...)
    return (eps_u - eps_c) / (1 - level).sqrt()
    ### END SOLUTION


@implied_grad.test("divides the difference by the size of the noise in each row", points=1)
def _(implied_grad):
    abar = torch.tensor([0.64, 0.36], dtype=torch.float64)  # noise of size 0.6 and 0.8
    eps_u, eps_c = torch.tensor([[1.2, 1.0], [1.2, 1.0]]), torch.tensor([[0.0, 0.4], [0.0, 0.4]])
    got = implied_grad(eps_u, eps_c, torch.tensor([0, 1]), abar)
    assert_close(got, torch.tensor([[2.0, 1.0], [1.5, 0.75]]), rtol=1e-4, atol=1e-5, message="t = [0, 1]")
    assert got.dtype == eps_u.dtype, f"the dtype of eps_u, float32, is expected, got {got.dtype}"


@implied_grad.hidden("is the gradient of a perfect classifier where both predictions are perfect", points=1)
def _(implied_grad, rng):
    # Two classes N(±mu, v) of unequal weight in three dimensions: all densities at level t are known.
    abar = torch.tensor([0.95, 0.6, 0.3, 0.05], dtype=torch.float64)
    mu, v = torch.tensor([1.0, -0.5, 0.3], dtype=torch.float64), 0.4
    t = torch.tensor([0, 1, 2, 3, 2, 0, 1])
    x = torch.randn(7, 3, generator=rng, dtype=torch.float64)
    left = abar[t].unsqueeze(1)
    spread = left * v + 1 - left

    def log_shares(x):
        squares = [((x - sign * left.sqrt() * mu) ** 2).sum(1, keepdim=True) for sign in (1, -1)]
        logs = [math.log(p) - d / (2 * spread) for p, d in zip((0.3, 0.7), squares, strict=True)]
        return torch.cat(logs, 1).log_softmax(1)  # log p(class | x), (7, 2)

    moves = 1e-5 * torch.eye(3, dtype=torch.float64)
    slopes = [(log_shares(x + move) - log_shares(x - move))[:, 0] / 2e-5 for move in moves]
    noise = torch.stack([(1 - left).sqrt() * (x - sign * left.sqrt() * mu) / spread for sign in (1, -1)])
    eps_u = torch.einsum("bk,kbd->bd", log_shares(x).exp(), noise)
    got = implied_grad(eps_u, noise[0], t, abar)
    assert_close(got, torch.stack(slopes, 1), rtol=1e-5, atol=1e-6, message="two Gaussian classes")


@implied_grad.hidden("gives each row its own level, whatever the shape", points=1)
def _(implied_grad, rng):
    abar = torch.linspace(0.9, 0.1, 4, dtype=torch.float64)
    for shape in ((4, 4), (4, 2, 4), (3, 2, 4, 5)):
        eps_u, eps_c = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(2))
        t = torch.tensor([2, 0, 3, 1])[: shape[0]]
        scores = [
            torch.stack([-e / (1 - abar[k]) ** 0.5 for k, e in zip(t, eps, strict=True)]) for eps in (eps_c, eps_u)
        ]
        assert_close(implied_grad(eps_u, eps_c, t, abar), scores[0] - scores[1], message=f"shape {shape}")


@implied_grad.misconception(
    "You have the sign the wrong way round; a score is *minus* eps over the size of the noise, for noise points away "
    "from the data."
)
def _(eps_u, eps_c, t, abar):
    level = abar[t].view(-1, *[1] * (eps_u.ndim - 1)).to(eps_u.dtype)
    return (eps_c - eps_u) / (1 - level).sqrt()


@implied_grad.misconception(
    "You divided by 1 - abar_t; that is the variance of the noise. Its size is the square root."
)
def _(eps_u, eps_c, t, abar):
    level = abar[t].view(-1, *[1] * (eps_u.ndim - 1)).to(eps_u.dtype)
    return (eps_u - eps_c) / (1 - level)


@implied_grad.misconception(
    "You multiplied by sqrt(1 - abar_t); that is the way from a score to eps. Here you go back, so divide."
)
def _(eps_u, eps_c, t, abar):
    level = abar[t].view(-1, *[1] * (eps_u.ndim - 1)).to(eps_u.dtype)
    return (eps_u - eps_c) * (1 - level).sqrt()


@implied_grad.misconception("You divided by sqrt(abar_t), the size of the signal; noise has the size sqrt(1 - abar_t).")
def _(eps_u, eps_c, t, abar):
    level = abar[t].view(-1, *[1] * (eps_u.ndim - 1)).to(eps_u.dtype)
    return (eps_u - eps_c) / level.sqrt()


@implied_grad.misconception(
    "You let `abar[t]` broadcast along the last axis; its B numbers belong to the rows, so give it the shape "
    "(B, 1, ..., 1)."
)
def _(eps_u, eps_c, t, abar):
    return (eps_u - eps_c) / (1 - abar[t].to(eps_u.dtype)).sqrt()


@implied_grad.misconception("You took one noise level for the whole batch; t holds one for each row.")
def _(eps_u, eps_c, t, abar):
    return (eps_u - eps_c) / (1 - abar[t[0]]).sqrt().to(eps_u.dtype)


@implied_grad.also_correct
def _(eps_u, eps_c, t, abar):
    rows = [(a - b) / math.sqrt(1 - abar[k]) for a, b, k in zip(eps_u, eps_c, t, strict=True)]
    return torch.stack(rows)


@exercise(
    points=4,
    minutes=12,
    hints=(
        "`torch.cat([x, x])` holds every row twice. What has to be doubled with it, and what differs in the halves?",
        "`torch.full_like(y, null)` are the labels of the unconditional half; `.chunk(2)` cuts the answer in two.",
        "Keep the order of the halves: what you put in first comes out first. `torch.repeat_interleave` has another.",
    ),
)
def cfg_eps(
    model: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, t: Tensor, y: Tensor, null: int, s: float
) -> Tensor:
    """Give the guided prediction of the noise in x, with a single call of the model.

    model(x, t, y) takes any number of rows N, x (N, *), t (N,) and y (N,), and gives eps (N, *), each row by itself.
    x (B, *); t (B,) long; y (B,) long, the wanted labels; null: the label that stands for "no label"; s: the scale in
    the convention where 0 is unconditional and 1 conditional.

    Call the model once, on 2 B rows: every row with its label and with null. For s = 1 the half without labels would
    be thrown away, so there call it once on B rows. Returns (B, *). Leave the arguments as they are. You may call
    `cfg_combine`.
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
    x, t, y = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([5, 6]), torch.tensor([2, 4])

    def model(x, t, y):
        return x + y.view(-1, 1) / 2  # eps_u is x + 10, eps_c is x + 1 and x + 2

    got = cfg_eps(model, x, t, y, 20, 3.0)
    expected = torch.tensor([[1 + 10 - 3 * 9.0, 2 + 10 - 3 * 9.0], [3 + 10 - 3 * 8.0, 4 + 10 - 3 * 8.0]])
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
        assert_close(got, eps_u + 2.5 * (eps_c - eps_u), message=f"x of shape {shape}, s = 2.5")


@cfg_eps.hidden("asks about B rows alone where s is 1", points=1)
def _(cfg_eps, rng):
    x = torch.randn(4, 3, generator=rng, dtype=torch.float64)
    t, y, sizes = torch.tensor([0, 3, 1, 3]), torch.tensor([1, 0, 2, 2]), []

    def model(x, t, y):
        sizes.append(len(x))
        return (x * (1 + y.view(-1, 1)) + torch.sin(2.0 * t + 0.3 * y).view(-1, 1)) * 4 / len(x)

    got = cfg_eps(model, x, t, y, 7, 1.0)
    assert sizes == [4], f"one call with 4 rows is expected for s = 1, got calls with {sizes} rows"
    assert_close(got, model(x, t, y), message="s = 1")


@cfg_eps.hidden("is unconditional for s = 0, and leaves its arguments as they are", points=1)
def _(cfg_eps, rng):
    x = torch.randn(3, 2, 2, generator=rng, dtype=torch.float64)
    t, y = torch.tensor([4, 0, 2]), torch.tensor([1, 0, 2])
    kept = x.clone(), t.clone(), y.clone()

    def model(x, t, y):
        return x * (1 + y.view(-1, 1, 1)) + torch.sin(2.0 * t + 0.3 * y).view(-1, 1, 1)

    for s in (0.0, 0.5, -1.0):
        eps_c, eps_u = model(*kept), model(*kept[:2], torch.full_like(y, 5))
        assert_close(cfg_eps(model, x, t, y, 5, s), eps_u + s * (eps_c - eps_u), message=f"s = {s}")
    assert_close([x, t, y], list(kept), message="the arguments after the calls")


@cfg_eps.misconception(
    "You exchanged the halves after the call; what you put in first comes out first. As it is, you guide away from the "
    "label."
)
def _(model, x, t, y, null, s):
    if s == 1:
        return model(x, t, y)
    eps_u, eps_c = model(torch.cat([x, x]), torch.cat([t, t]), torch.cat([y, torch.full_like(y, null)])).chunk(2)
    return cfg_combine(eps_u, eps_c, s, "s")


@cfg_eps.misconception(
    "You doubled the times in another order than the rows: `repeat_interleave` gives t0, t0, t1, t1, and "
    "`torch.cat([x, x])` gives x0, x1, x0, x1. Use the same for all three."
)
def _(model, x, t, y, null, s):
    if s == 1:
        return model(x, t, y)
    labels = torch.cat([y, torch.full_like(y, null)])
    eps_c, eps_u = model(torch.cat([x, x]), t.repeat_interleave(2), labels).chunk(2)
    return cfg_combine(eps_u, eps_c, s, "s")


@cfg_eps.misconception(
    "You asked twice with the label; one half needs the null label, or else both answers are the same and no scale "
    "changes anything."
)
def _(model, x, t, y, null, s):
    if s == 1:
        return model(x, t, y)
    eps_c, eps_u = model(torch.cat([x, x]), torch.cat([t, t]), torch.cat([y, y])).chunk(2)
    return cfg_combine(eps_u, eps_c, s, "s")


@cfg_eps.misconception(
    "You called the model twice; put both questions into one batch. On a GPU two calls of B rows take longer than one "
    "of 2 B, as long as the batch does not fill it."
)
def _(model, x, t, y, null, s):
    if s == 1:
        return model(x, t, y)
    return cfg_combine(model(x, t, torch.full_like(y, null)), model(x, t, y), s, "s")


@cfg_eps.misconception(
    "You doubled the batch for s = 1 too; there the unconditional half has the weight 0, so half of the work is thrown "
    "away. Ask with the labels alone."
)
def _(model, x, t, y, null, s):
    labels = torch.cat([y, torch.full_like(y, null)])
    eps_c, eps_u = model(torch.cat([x, x]), torch.cat([t, t]), labels).chunk(2)
    return cfg_combine(eps_u, eps_c, s, "s")


@cfg_eps.misconception(
    "You asked for class 0 in the place of the null label; that guides away from zeros, not away from everything."
)
def _(model, x, t, y, null, s):
    if s == 1:
        return model(x, t, y)
    eps_c, eps_u = model(torch.cat([x, x]), torch.cat([t, t]), torch.cat([y, torch.zeros_like(y)])).chunk(2)
    return cfg_combine(eps_u, eps_c, s, "s")


@cfg_eps.misconception(
    "You started at eps_c, as with the paper's w; here s = 1 is conditional, so start at eps_u, or use w = s - 1."
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


@exercise(
    points=5,
    minutes=15,
    hints=(
        "The loop runs over `reversed(range(len(abar)))`; each row needs its t, `torch.full((len(x),), t)`.",
        "sigma_t = sqrt((1 - abar_t) / abar_t). Outside the interval use the scale 1, which is the conditional model.",
        "One line asks `cfg_eps(model, x, times, y, null, scale)`, the next one sets x to `step(eps, x, t)`.",
    ),
)
def cfg_sample(
    model: Callable[[Tensor, Tensor, Tensor], Tensor],
    step: Callable[[Tensor, Tensor, int], Tensor],
    x: Tensor,
    y: Tensor,
    null: int,
    s: float,
    abar: Tensor,
    interval: tuple[float, float],
) -> Tensor:
    """Sample with classifier-free guidance, along t = T-1, T-2, ..., 0.

    model(x, t, y) as for `cfg_eps`; step(eps, x, t), with an int t, takes x_t to x_{t-1} (DDPM or DDIM: it knows).
    x (B, *): the noise to start from; y (B,) long: the wanted labels; abar (T,) float64.

    interval (low, high): guide with the scale s only at those t whose noise level sigma_t = sqrt((1 - abar_t) / abar_t)
    has low < sigma_t <= high; at all other t use the conditional prediction, which is the scale 1 (Kynkäänniemi et al.
    2024). (0, inf) guides everywhere. Returns what the last step gives, (B, *), and leaves x as it is. You may call
    `cfg_eps`.
    """
    ### BEGIN SOLUTION
    for t in reversed(range(len(abar))):
        sigma = ((1 - abar[t]) / abar[t]).sqrt()
        scale = s if interval[0] < sigma <= interval[1] else 1
        times = torch.full((len(x),), t, device=x.device)
        x = step(cfg_eps(model, x, times, y, null, scale), x, t)
    return x
    ### END SOLUTION


@cfg_sample.test("guides all steps of a sampler that has three", points=1)
def _(cfg_sample):
    def model(x, t, y):
        return (t + 10 * y).view(-1, 1).to(x.dtype)  # null is 0: guidance stretches 10 y by s

    def step(eps, x, t):
        return 2 * x + eps

    x, y = torch.tensor([[1.0], [0.0]]), torch.tensor([1, 2])
    abar = torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64)
    got = cfg_sample(model, step, x, y, 0, 3.0, abar, (0.0, math.inf))
    expected = torch.tensor([[228.0], [430.0]])  # 1 → 34 → 99 → 228 and 0 → 62 → 185 → 430
    assert_close(got, expected, message="x becomes 2 x + eps, where eps is t + 30 in row 0 and t + 60 in row 1")


@cfg_sample.hidden("visits every t from T - 1 to 0 once, with the label and the x of each row", points=1)
def _(cfg_sample, rng):
    x, y = torch.randn(3, 2, generator=rng, dtype=torch.float64), torch.tensor([2, 0, 1])
    abar = torch.linspace(0.95, 0.05, 5, dtype=torch.float64)
    times, kept = [], x.clone()

    def model(x, t, y):
        return torch.sin(x) * (1 + y.view(-1, 1)) + t.view(-1, 1)

    def step(eps, x, t):
        times.append(int(t))
        return x + 0.1 * eps

    got = cfg_sample(model, step, x, y, 3, 2.0, abar, (0.0, math.inf))
    assert times == [4, 3, 2, 1, 0], f"steps at t = [4, 3, 2, 1, 0] are expected for T = 5, got {times}"
    expected = kept.clone()
    for t in (4, 3, 2, 1, 0):
        level = torch.full((3,), t)
        eps_c, eps_u = model(expected, level, y), model(expected, level, torch.full_like(y, 3))
        expected = expected + 0.1 * (2 * eps_c - eps_u)
    assert_close(got, expected, message="s = 2, five steps")
    assert_close(x, kept, message="the noise to start from, after the call")


@cfg_sample.hidden("guides at the noise levels of the interval alone, and is conditional elsewhere", points=2)
def _(cfg_sample):
    abar = torch.tensor([0.99, 0.8, 0.5, 0.3, 0.1, 0.02], dtype=torch.float64)  # sigma 0.10, 0.5, 1, 1.5, 3, 7
    cases = {
        (1.0, 4.0): [1, 4, 4, 1, 1, 1],  # sigma 1 itself is outside at the lower end
        (0.3, 1.0): [1, 1, 1, 4, 4, 1],  # and inside at the upper end
        (0.0, 0.3): [1, 1, 1, 1, 1, 4],
        (2.0, math.inf): [4, 4, 1, 1, 1, 1],
        (20.0, 30.0): [1, 1, 1, 1, 1, 1],
    }

    def model(x, t, y):
        return y.view(-1, 1).to(x.dtype)  # the guided eps is 1 times the scale: label 1, null 0

    found = {}
    for interval in cases:
        scales = found[interval] = []

        def step(eps, x, t, scales=scales):
            scales.append(round(float(eps[0, 0])))
            return 2 * x + eps

        x, y = torch.zeros(2, 1, dtype=torch.float64), torch.ones(2, dtype=torch.long)
        cfg_sample(model, step, x, y, 0, 4.0, abar, interval)
    for interval, expected in cases.items():
        got = found[interval]
        assert got == expected, f"for {interval} the scales {expected} are expected from t = 5 to 0, got {got}"


@cfg_sample.hidden("narrows Gaussian data by exactly the factor that theory gives", points=1)
def _(cfg_sample):
    # Data N(0, 2), given the label N(0, 1): each eps is a multiple of x, so DDIM multiplies x by a known number.
    T, s = 12, 3.0
    betas = torch.linspace(0.01, 0.9, T, dtype=torch.float64)
    abar = torch.cumprod(1 - betas, 0)
    earlier = abar / (1 - betas)

    def model(x, t, y):
        share = abar[t].view(-1, 1)
        return x * (1 - share) ** 0.5 / (1 + share * (y != 1).view(-1, 1))  # the variances are 1 and 1 + abar

    def step(eps, x, t):
        x0 = (x - (1 - abar[t]) ** 0.5 * eps) / abar[t] ** 0.5
        return earlier[t] ** 0.5 * x0 + (1 - earlier[t]).clamp(min=0) ** 0.5 * eps

    x, y = torch.tensor([[1.0, -2.0], [30.0, 0.5]], dtype=torch.float64), torch.tensor([1, 1])
    factor = 1.0
    for now, before in zip(abar.flip(0).tolist(), earlier.flip(0).tolist(), strict=True):
        slope = (1 - now) ** 0.5 * (s + (1 - s) / (1 + now))
        factor *= (before / now) ** 0.5 * (1 - (1 - now) ** 0.5 * slope) + max(0.0, 1 - before) ** 0.5 * slope
    got = cfg_sample(model, step, x, y, 0, s, abar, (0.0, math.inf))
    assert_close(got, factor * x, rtol=1e-6, atol=1e-8, message=f"every x is multiplied by {factor:.4f}")


@cfg_sample.misconception(
    "You compared t with the interval; its ends are noise levels sigma_t, so that it means the same for every number "
    "of steps and every schedule."
)
def _(model, step, x, y, null, s, abar, interval):
    for t in reversed(range(len(abar))):
        scale = s if interval[0] < t <= interval[1] else 1
        x = step(cfg_eps(model, x, torch.full((len(x),), t), y, null, scale), x, t)
    return x


@cfg_sample.misconception(
    "You compared sqrt(1 - abar_t) with the interval; that is the noise in x_t, whose signal has shrunk too. sigma_t "
    "is noise over signal, sqrt((1 - abar_t) / abar_t)."
)
def _(model, step, x, y, null, s, abar, interval):
    for t in reversed(range(len(abar))):
        scale = s if interval[0] < (1 - abar[t]).sqrt() <= interval[1] else 1
        x = step(cfg_eps(model, x, torch.full((len(x),), t), y, null, scale), x, t)
    return x


@cfg_sample.misconception(
    "Outside the interval you ignored the label; without guidance the model is conditional, which is the scale 1, and "
    "not 0."
)
def _(model, step, x, y, null, s, abar, interval):
    for t in reversed(range(len(abar))):
        sigma = ((1 - abar[t]) / abar[t]).sqrt()
        scale = s if interval[0] < sigma <= interval[1] else 0
        x = step(cfg_eps(model, x, torch.full((len(x),), t), y, null, scale), x, t)
    return x


@cfg_sample.misconception("You guided outside of the interval; inside it the scale is s, and everywhere else 1.")
def _(model, step, x, y, null, s, abar, interval):
    for t in reversed(range(len(abar))):
        sigma = ((1 - abar[t]) / abar[t]).sqrt()
        scale = 1 if interval[0] < sigma <= interval[1] else s
        x = step(cfg_eps(model, x, torch.full((len(x),), t), y, null, scale), x, t)
    return x


@cfg_sample.misconception(
    "You guided everywhere; `interval` says at which noise levels the scale is s, and at all others it is 1."
)
def _(model, step, x, y, null, s, abar, interval):
    for t in reversed(range(len(abar))):
        x = step(cfg_eps(model, x, torch.full((len(x),), t), y, null, s), x, t)
    return x


@cfg_sample.misconception(
    "You left out t = 0; it still holds the noise of one step, so `range(len(abar))` has to be walked down to 0."
)
def _(model, step, x, y, null, s, abar, interval):
    for t in reversed(range(1, len(abar))):
        sigma = ((1 - abar[t]) / abar[t]).sqrt()
        scale = s if interval[0] < sigma <= interval[1] else 1
        x = step(cfg_eps(model, x, torch.full((len(x),), t), y, null, scale), x, t)
    return x


@cfg_sample.misconception("You went upwards in t; a sampler starts at the noise, t = T - 1, and ends at t = 0.")
def _(model, step, x, y, null, s, abar, interval):
    for t in range(len(abar)):
        sigma = ((1 - abar[t]) / abar[t]).sqrt()
        scale = s if interval[0] < sigma <= interval[1] else 1
        x = step(cfg_eps(model, x, torch.full((len(x),), t), y, null, scale), x, t)
    return x


@cfg_sample.misconception(
    "You gave all rows the label of the first; y has one label for each row, and they may differ."
)
def _(model, step, x, y, null, s, abar, interval):
    for t in reversed(range(len(abar))):
        sigma = ((1 - abar[t]) / abar[t]).sqrt()
        scale = s if interval[0] < sigma <= interval[1] else 1
        x = step(cfg_eps(model, x, torch.full((len(x),), t), y[:1].expand(len(x)), null, scale), x, t)
    return x


@cfg_sample.misconception(
    "You clamped x_t; it is mostly noise and has to leave [-1, 1]. What may be clamped is the guess of x0, and that is "
    "the step's business."
)
def _(model, step, x, y, null, s, abar, interval):
    for t in reversed(range(len(abar))):
        sigma = ((1 - abar[t]) / abar[t]).sqrt()
        scale = s if interval[0] < sigma <= interval[1] else 1
        x = step(cfg_eps(model, x, torch.full((len(x),), t), y, null, scale), x, t).clamp(-1, 1)
    return x


@cfg_sample.also_correct
def _(model, step, x, y, null, s, abar, interval):
    low, high = interval
    levels = (1 / abar - 1).sqrt().tolist()
    for t in range(len(levels) - 1, -1, -1):
        times = torch.ones_like(y) * t
        eps = model(x, times, y)
        if low < levels[t] and not levels[t] > high:
            eps_u = model(x, times, torch.zeros_like(y) + null)
            eps = eps + (s - 1) * (eps - eps_u)
        x = step(eps, x, t)
    return x


@exercise(
    points=3,
    minutes=8,
    hints=(
        "A standard deviation for each example: over all axes but the first, with keepdim=True.",
        "The factor is large where the conditional prediction is larger: std(eps_c) / std(eps).",
    ),
)
def rescale(eps: Tensor, eps_c: Tensor, phi: float) -> Tensor:
    """Give a guided prediction back the size of the conditional one (Lin et al. 2023, equations 15 and 16).

    eps (B, *) guided, eps_c (B, *) conditional, with one further axis or more. For each example b by itself, let r_b be
    the standard deviation of all numbers of eps_c[b] over that of eps[b]. Returns phi · r_b · eps[b] + (1 - phi) ·
    eps[b], of shape (B, *): phi = 0 changes nothing, phi = 1 rescales fully. Leave the arguments as they are.
    """
    ### BEGIN SOLUTION
    axes = tuple(range(1, eps.ndim))
    ratio = eps_c.std(axes, keepdim=True) / eps.std(axes, keepdim=True)  # (B, 1, ...)
    return phi * ratio * eps + (1 - phi) * eps
    ### END SOLUTION


@rescale.test("changes nothing for phi = 0, and halves what is twice as wide for phi = 1", points=1)
def _(rescale):
    eps_c = torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]])
    eps = torch.tensor([[2.0, 4.0, 6.0], [3.0, 1.0, 11.0]])  # 2 eps_c and 2 eps_c + 3
    as_it_was, halved = eps.clone(), eps / 2
    assert_close(rescale(eps, eps_c, 0.0), as_it_was, message="phi = 0")
    assert_close(rescale(eps, eps_c, 1.0), halved, message="phi = 1")


@rescale.hidden("measures each example by itself, over all of its axes", points=1)
def _(rescale, rng):
    for shape in ((3, 5), (4, 2, 3), (2, 3, 4, 5)):
        size = torch.rand(shape[0], generator=rng, dtype=torch.float64) * 3 + 0.5
        eps_c = torch.randn(shape, generator=rng, dtype=torch.float64) + 1
        eps = torch.randn(shape, generator=rng, dtype=torch.float64) * size.view(-1, *[1] * (len(shape) - 1)) - 2
        kept = eps.clone()
        for phi in (1.0, 0.7, 0.25):
            factors = [float(c.flatten().std() / e.flatten().std()) for c, e in zip(eps_c, eps, strict=True)]
            expected = torch.stack([(phi * r + 1 - phi) * e for r, e in zip(factors, kept, strict=True)])
            assert_close(rescale(eps, eps_c, phi), expected, message=f"shape {shape}, phi = {phi}")
        assert_close(eps, kept, message="eps after the calls")


@rescale.hidden("leaves a prediction of the conditional one's size alone, whatever its mean", points=1)
def _(rescale, rng):
    eps_c = torch.randn(3, 4, 6, generator=rng, dtype=torch.float64)
    for eps in (eps_c + 5, -eps_c, eps_c.flip(-1)):
        for phi in (0.4, 1.0):
            assert_close(rescale(eps, eps_c, phi), eps, message=f"phi = {phi}, the same standard deviation")


@rescale.misconception(
    "You took one standard deviation over the whole batch; each example has its own, or a batch's other pictures "
    "change yours."
)
def _(eps, eps_c, phi):
    return phi * eps_c.std() / eps.std() * eps + (1 - phi) * eps


@rescale.misconception(
    "You turned the ratio round; a guided prediction that is too wide has to shrink, so its own standard deviation "
    "belongs below the line."
)
def _(eps, eps_c, phi):
    axes = tuple(range(1, eps.ndim))
    ratio = eps.std(axes, keepdim=True) / eps_c.std(axes, keepdim=True)
    return phi * ratio * eps + (1 - phi) * eps


@rescale.misconception("You gave phi to the wrong term; phi = 1 rescales fully and phi = 0 leaves eps as it is.")
def _(eps, eps_c, phi):
    axes = tuple(range(1, eps.ndim))
    ratio = eps_c.std(axes, keepdim=True) / eps.std(axes, keepdim=True)
    return (1 - phi) * ratio * eps + phi * eps


@rescale.misconception(
    "You mixed in the conditional prediction; the second term is the guided one as it was. With eps_c in its place, "
    "guidance is weakened too."
)
def _(eps, eps_c, phi):
    axes = tuple(range(1, eps.ndim))
    ratio = eps_c.std(axes, keepdim=True) / eps.std(axes, keepdim=True)
    return phi * ratio * eps + (1 - phi) * eps_c


@rescale.misconception(
    "You measured along the last axis alone; the standard deviation of an example is over all of its numbers, channels "
    "and rows too."
)
def _(eps, eps_c, phi):
    ratio = eps_c.std(-1, keepdim=True) / eps.std(-1, keepdim=True)
    return phi * ratio * eps + (1 - phi) * eps


@rescale.misconception(
    "You compared root mean squares; a standard deviation is measured from the mean of the example's own numbers."
)
def _(eps, eps_c, phi):
    wide, goal = (e.flatten(1).norm(dim=1).view(-1, *[1] * (e.ndim - 1)) for e in (eps, eps_c))
    return phi * goal / wide * eps + (1 - phi) * eps


@rescale.also_correct
def _(eps, eps_c, phi):
    wide, goal = (e.flatten(1).std(1, unbiased=False) for e in (eps, eps_c))
    factor = 1 + phi * (goal / wide - 1)
    return torch.einsum("b,b...->b...", factor, eps)
