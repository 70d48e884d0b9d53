"""The exercises of classifier-free guidance: dropped labels, the combination, one doubled call, the samplers.

Conventions: t = 0..T-1, abar_t the share of signal, x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) eps. The scale s is
Imagen's and diffusers' (0 unconditional, 1 conditional); the paper's own w is s - 1 (Ho and Salimans 2022, arXiv
2207.12598, equation 6). eps_u is predicted without a label, eps_c with it.
"""

import itertools
import math
from collections.abc import Callable

import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=3,
    minutes=6,
    hints=(
        "How do you make an event happen with probability p, for each label independently of the others?",
        "A uniform random number from 0 to 1 lies below p with probability p. Labels whose number does are dropped.",
        "Random numbers, comparison and result have the shape (B,). Build a new tensor, because y is the data set's.",
        "`torch.rand(y.shape, generator=generator)`, and `torch.where(condition, null, y)`.",
    ),
    level="warm-up",
    importance=3,
)
def drop_labels(y: Tensor, p: float, null: int, generator: torch.Generator) -> Tensor:
    """Return the labels y, each replaced by the null label with probability p, independently of the others.

    * y: (B,) long, on the device of the generator
    * p: from 0 (drops none) to 1 (drops all)
    * null: the label that stands for "no label"
    * returns: a new tensor (B,) long

    All random numbers come from `generator`. y stays as it is.
    """
    ### BEGIN SOLUTION
    dropped = torch.rand(y.shape, generator=generator, device=y.device) < p
    return torch.where(dropped, null, y)
    ### END SOLUTION


@drop_labels.test("drops a share p of the labels, and keeps the others", points=1)
def _(drop_labels):
    y = torch.arange(2000) % 7
    got = drop_labels(y, 0.3, 10, torch.Generator().manual_seed(1))
    share = float((got == 10).double().mean())
    assert 0.25 < share < 0.35, f"a share of about 0.3 is expected to be dropped, got {share:.3f}"
    assert_close(got[got != 10], y[got != 10], message="the labels that were kept for p = 0.3")
    assert_close(drop_labels(y, 0.0, 10, torch.Generator().manual_seed(1)), y, message="p = 0")
    assert_close(drop_labels(y, 1.0, 10, torch.Generator().manual_seed(1)), torch.full((2000,), 10), message="p = 1")


@drop_labels.hidden("draws independently for each label", points=1)
def _(drop_labels, rng):
    for p, null in ((0.15, 4), (0.1, 10), (0.5, 10), (0.9, 23)):
        y = torch.randint(0, 4, (5000,), generator=rng)
        got = drop_labels(y, p, null, rng)
        assert tuple(got.shape) == (5000,), f"one label for each of y is expected, shape (5000,), got {got.shape}"
        assert got.dtype == y.dtype, f"labels are expected in the dtype of y, int64, got {got.dtype}"
        dropped = got == null
        assert_close(got[~dropped], y[~dropped], message=f"the labels that were kept for p = {p}")
        share, error = float(dropped.double().mean()), math.sqrt(p * (1 - p) / 5000)
        low, high = p - 5 * error, p + 5 * error
        assert low < share < high, f"a share of about {p} is expected to be dropped, got {share:.3f}"
    counts = [int((drop_labels(torch.arange(60), 0.5, 99, rng) == 99).sum()) for _ in range(12)]
    assert len(set(counts)) > 1, f"independent draws do not drop the same number each time, got {counts} of 60"


@drop_labels.hidden("draws from the generator alone, and leaves y as it is", points=1)
def _(drop_labels, rng):
    y = torch.randint(0, 10, (400,), generator=rng)
    kept, seed = y.clone(), int(torch.randint(0, 10**6, (), generator=rng))
    first, again, other = (drop_labels(y, 0.5, 10, torch.Generator().manual_seed(k)) for k in (seed, seed, seed + 1))
    assert_close(y, kept, message="y after the calls")
    assert_close(again, first, message="a second call with the same seed")
    assert not torch.equal(other, first), "another seed is expected to drop other labels; draw from the generator"


@drop_labels.misconception(
    "You kept labels with probability p; p is the probability of dropping one, so that most of the training would be "
    "unconditional: compare the other way round.",
    name="keeps-with-p",
)
def _(y, p, null, generator):
    return torch.where(torch.rand(y.shape, generator=generator) < p, y, null)


@drop_labels.misconception(
    "You drew one random number for the whole batch; draw one for each label, because otherwise a batch is all with "
    "labels or all without, and the steps jump between two tasks.",
    name="one-draw",
)
def _(y, p, null, generator):
    return torch.where(torch.rand((), generator=generator) < p, null, y)


@drop_labels.misconception(
    "You dropped a fixed number of labels; with independent draws that number varies. In a batch of one, p times 1 "
    "rounded down would never drop any.",
    name="fixed-number",
)
def _(y, p, null, generator):
    chosen = torch.randperm(len(y), generator=generator)[: int(p * len(y))]
    return y.index_fill(0, chosen, null)


@drop_labels.misconception(
    "You wrote into y; those are the labels of the data set, and a label that is dropped once would be gone for all "
    "epochs: return a new tensor.",
    name="writes-into-y",
)
def _(y, p, null, generator):
    y[torch.rand(y.shape, generator=generator) < p] = null
    return y


@drop_labels.misconception(
    "You replaced labels by 0; that is a class of its own, the zeros among the digits: use `null`, which no datum has.",
    name="drops-to-class-0",
)
def _(y, p, null, generator):
    return torch.where(torch.rand(y.shape, generator=generator) < p, 0, y)


@drop_labels.misconception(
    "You drew from torch's global random numbers; draw from `generator`, because otherwise the same seed does not give "
    "the same training.",
    name="global-generator",
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
        "Which multiple of the difference eps_c - eps_u do you add to eps_u, if s = 1 has to give eps_c?",
        'Convention "w" starts at eps_c and adds w times the same difference. Which s gives the same result?',
        "Both predictions and the result have one shape; no axis plays a part of its own.",
        "`eps_u + s * (eps_c - eps_u)`, where s follows from the scale and the convention.",
    ),
    level="warm-up",
    importance=3,
)
def cfg_combine(eps_u: Tensor, eps_c: Tensor, scale: float, convention: str) -> Tensor:
    """Return the guided prediction of the noise.

    * eps_u, eps_c: (B, *), predicted without a label and with it
    * convention "s" (Imagen, diffusers): scale 0 gives eps_u, scale 1 gives eps_c
    * convention "w" (the paper's equation 6): scale 0 gives eps_c, scale -1 gives eps_u
    * both are linear in the scale
    * returns: (B, *), all channels treated alike

    The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    s = scale if convention == "s" else scale + 1
    return eps_u + s * (eps_c - eps_u)
    ### END SOLUTION


@cfg_combine.test("stretches the difference by what the scale means in either convention", points=1)
def _(cfg_combine):
    eps_u, eps_c = torch.tensor([[1.0, 5.0]]), torch.tensor([[3.0, 4.0]])
    assert_close(cfg_combine(eps_u, eps_c, 3.0, "s"), torch.tensor([[7.0, 2.0]]), message='scale 3, convention "s"')
    assert_close(cfg_combine(eps_u, eps_c, 3.0, "w"), torch.tensor([[9.0, 1.0]]), message='scale 3, convention "w"')


@cfg_combine.hidden("is unconditional at s = 0, conditional at s = 1, and goes beyond in all channels", points=1)
def _(cfg_combine, rng):
    for shape in ((3, 5), (2, 5, 3, 4)):
        eps_u, eps_c = (torch.randn(shape, generator=rng, dtype=torch.float64) for _ in range(2))
        kept = eps_u.clone(), eps_c.clone()
        for s in (2.5, 0.3, 7.5, 0.0, 1.0):
            got = cfg_combine(eps_u, eps_c, s, "s")
            assert_close([eps_u, eps_c], list(kept), message="the arguments after the call")
            expected = (1 - s) * kept[0] + s * kept[1]
            assert_close(got, expected, rtol=1e-5, atol=1e-6, message=f"s = {s}, shape {shape}")


@cfg_combine.hidden("knows the paper's w, too, from unconditional at -1 to strong at 4", points=1)
def _(cfg_combine, rng):
    eps_u, eps_c = (torch.randn(2, 4, 3, generator=rng, dtype=torch.float64) for _ in range(2))
    kept = eps_u.clone(), eps_c.clone()
    for w in (0.7, 4.0, 0.1, 0.0, -1.0):
        got = cfg_combine(eps_u, eps_c, w, "w")
        assert_close([eps_u, eps_c], list(kept), message="the arguments after the call")
        expected = (1 + w) * kept[1] - w * kept[0]
        assert_close(got, expected, rtol=1e-5, atol=1e-6, message=f"w = {w}")


@cfg_combine.misconception(
    'You started at eps_c in both conventions; that is right for "w" alone, because with "s" the scale 1 has to give '
    "eps_c itself.",
    name="starts-at-eps-c",
)
def _(eps_u, eps_c, scale, convention):
    return eps_c + scale * (eps_c - eps_u)


@cfg_combine.misconception(
    "You took w for s; the paper's w = 0 is the conditional model, and s = 0 the unconditional one, so s = w + 1.",
    name="w-for-s",
)
def _(eps_u, eps_c, scale, convention):
    return eps_u + scale * (eps_c - eps_u)


@cfg_combine.misconception(
    "You added the unconditional prediction; it is subtracted, with the weight s - 1, because the two weights must sum "
    "to 1: with a plus they sum to 2s - 1, and the result is too large for a noise that belongs to x.",
    name="adds-eps-u",
)
def _(eps_u, eps_c, scale, convention):
    s = scale if convention == "s" else scale + 1
    return s * eps_c + (s - 1) * eps_u


@cfg_combine.misconception(
    "You converted the wrong way; w = 0 means s = 1, so s is w + 1 and not w - 1.", name="w-minus-1"
)
def _(eps_u, eps_c, scale, convention):
    s = scale if convention == "s" else scale - 1
    return eps_u + s * (eps_c - eps_u)


@cfg_combine.misconception(
    "You exchanged the two predictions; guidance starts at eps_u and goes through eps_c and beyond, because it moves "
    "towards the label.",
    name="exchanged",
)
def _(eps_u, eps_c, scale, convention):
    s = scale if convention == "s" else scale + 1
    return eps_c + s * (eps_u - eps_c)


@cfg_combine.misconception(
    "You guided the first three channels alone; latents have four and more, and all of them hold noise.",
    name="three-channels",
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
    points=4,
    minutes=12,
    hints=(
        "A batch may hold a row twice. What has to be doubled together with x, and in what do the halves differ?",
        "Ask about 2 B rows, half of them with the null label. Cut the answer in two in the order of the question.",
        "x becomes (2 B, *), t and y become (2 B,); each half of the answer is (B, *). For s = 1 nothing is doubled.",
        "`torch.cat([x, x])`, `torch.full_like(y, null)`, and `.chunk(2)`.",
    ),
    level="core",
    importance=3,
)
def cfg_eps(
    model: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, t: Tensor, y: Tensor, null: int, s: float
) -> Tensor:
    """Return the guided prediction of the noise in x, by a single call of the model.

    * model(x, t, y): takes any number of rows, treats each by itself, and returns eps, shaped like its x
    * x: (B, *); t: (B,) long; y: (B,) long, the labels wanted
    * null: the label for "no label"; s: the scale, 1 is conditional
    * returns: (B, *)

    Call the model once, on 2 B rows; on B rows for s = 1, where no more are needed. The arguments stay as they are.
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
    "You exchanged the halves after the call; what you put in first comes out first. As it is, you guide away from the "
    "label.",
    name="halves-exchanged",
)
def _(model, x, t, y, null, s):
    if s == 1:
        return model(x, t, y)
    eps_u, eps_c = model(torch.cat([x, x]), torch.cat([t, t]), torch.cat([y, torch.full_like(y, null)])).chunk(2)
    return cfg_combine(eps_u, eps_c, s, "s")


@cfg_eps.misconception(
    "You doubled the times in another order than the rows; `repeat_interleave` gives t0, t0, t1, t1, and "
    "concatenation gives x0, x1, x0, x1: use the same order for x, t and y.",
    name="times-interleaved",
)
def _(model, x, t, y, null, s):
    if s == 1:
        return model(x, t, y)
    labels = torch.cat([y, torch.full_like(y, null)])
    eps_c, eps_u = model(torch.cat([x, x]), t.repeat_interleave(2), labels).chunk(2)
    return cfg_combine(eps_u, eps_c, s, "s")


@cfg_eps.misconception(
    "You asked twice with the label; one half needs the null label, because otherwise both answers are the same and no "
    "scale changes anything.",
    name="both-with-label",
)
def _(model, x, t, y, null, s):
    if s == 1:
        return model(x, t, y)
    eps_c, eps_u = model(torch.cat([x, x]), torch.cat([t, t]), torch.cat([y, y])).chunk(2)
    return cfg_combine(eps_u, eps_c, s, "s")


@cfg_eps.misconception(
    "You called the model twice; put both questions into one batch, because two calls of B rows take longer on a GPU "
    "than one of 2 B, as long as the batch does not fill it.",
    name="two-calls",
)
def _(model, x, t, y, null, s):
    if s == 1:
        return model(x, t, y)
    return cfg_combine(model(x, t, torch.full_like(y, null)), model(x, t, y), s, "s")


@cfg_eps.misconception(
    "You doubled the batch for s = 1, too; there the unconditional half has the weight 0, so half of the work "
    "is wasted: ask with the labels alone.",
    name="doubled-for-1",
)
def _(model, x, t, y, null, s):
    labels = torch.cat([y, torch.full_like(y, null)])
    eps_c, eps_u = model(torch.cat([x, x]), torch.cat([t, t]), labels).chunk(2)
    return cfg_combine(eps_u, eps_c, s, "s")


@cfg_eps.misconception(
    "You asked for class 0 instead of the null label; that guides away from class 0 and not away from everything.",
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


@exercise(
    points=4,
    minutes=10,
    hints=(
        "In which order does a sampler visit the noise levels, and what does it need at each of them?",
        "Each pass asks for the guided noise of the present batch and lets `step` replace the batch.",
        "The model wants t as a tensor (B,), `step` wants it as an int; `scales` has one number for each t.",
        "`torch.full_like(y, t)`, `cfg_eps(model, x, times, y, null, scales[t])` and `step(eps, x, t)`.",
    ),
    level="core",
    importance=3,
)
def cfg_sample(
    model: Callable[[Tensor, Tensor, Tensor], Tensor],
    step: Callable[[Tensor, Tensor, int], Tensor],
    x: Tensor,
    y: Tensor,
    null: int,
    scales: list[float],
) -> Tensor:
    """Return the samples that guidance makes of the noise x, in steps t = T-1, T-2, ..., 0.

    * model(x, t, y), y, null: as in `cfg_eps`
    * step(eps, x, t): takes the batch from x_t to x_{t-1}; t is an int
    * x: (B, *), the noise at t = T-1
    * scales: T numbers; `scales[t]` is the scale s at t
    * returns: (B, *), what the last step gives

    x stays as it is. You may call `cfg_eps`.
    """
    ### BEGIN SOLUTION
    for t in reversed(range(len(scales))):
        times = torch.full_like(y, t)
        eps = cfg_eps(model, x, times, y, null, scales[t])
        x = step(eps, x, t)
    return x
    ### END SOLUTION


@cfg_sample.test("guides all steps of a sampler that has three", points=1)
def _(cfg_sample):
    def model(x, t, y):
        return (t + 10 * y).view(-1, 1).to(x.dtype)  # null is 0: guidance stretches 10 y by s

    def step(eps, x, t):
        return 2 * x + eps

    x, y = torch.tensor([[1.0], [0.0]]), torch.tensor([1, 2])
    got = cfg_sample(model, step, x, y, 0, [3.0, 3.0, 3.0])
    expected = torch.tensor([[228.0], [430.0]])  # 1 → 34 → 99 → 228 and 0 → 62 → 185 → 430
    assert_close(got, expected, message="x becomes 2 x + eps, where eps is t + 30 in row 0 and t + 60 in row 1")


@cfg_sample.hidden("visits every t from T - 1 to 0 once, with the label and the x of each row", points=1)
def _(cfg_sample, rng):
    x, y = torch.randn(3, 2, generator=rng, dtype=torch.float64), torch.tensor([2, 0, 1])
    times, kept = [], x.clone()

    def model(x, t, y):
        return torch.sin(x) * (1 + y.view(-1, 1)) + t.view(-1, 1)

    def step(eps, x, t):
        times.append(t)
        return x + 0.1 * eps

    got = cfg_sample(model, step, x, y, 3, [2.0] * 5)
    assert_close(x, kept, message="the noise to start from, after the call")
    assert times == [4, 3, 2, 1, 0], f"steps at t = [4, 3, 2, 1, 0] are expected for T = 5, got {times}"
    assert all(type(t) is int for t in times), f"step wants t as an int, got {type(times[0]).__name__}"
    expected = kept.clone()
    for t in (4, 3, 2, 1, 0):
        level = torch.full((3,), t)
        eps_c, eps_u = model(expected, level, y), model(expected, level, torch.full_like(y, 3))
        expected = expected + 0.1 * (2 * eps_c - eps_u)
    assert_close(got, expected, rtol=1e-5, atol=1e-5, message="s = 2, five steps")


@cfg_sample.hidden("takes the scale of each t", points=1)
def _(cfg_sample, rng):
    scales = [2.0, 0.5, 1.0, 4.0, 1.0, -1.0]

    def model(x, t, y):
        return x * (2 + y.view(-1, 1)) + 0.1 * t.view(-1, 1)  # labels 1 and 3, null 0

    def step(eps, x, t):
        return 0.3 * x + 0.2 * eps

    x, y = torch.randn(2, 3, generator=rng, dtype=torch.float64), torch.tensor([1, 3])
    expected = x.clone()
    for t in (5, 4, 3, 2, 1, 0):
        expected = 0.3 * expected + 0.2 * (expected * (2 + scales[t] * y.view(-1, 1)) + 0.1 * t)
    got = cfg_sample(model, step, x, y, 0, scales)
    assert_close(got, expected, rtol=1e-5, atol=1e-6, message=f"scales {scales}")


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
    got = cfg_sample(model, step, x, y, 0, [s] * T)
    assert_close(got, factor * x, rtol=1e-4, atol=1e-5, message=f"every x is multiplied by {factor:.4f}")


@cfg_sample.misconception(
    "You left out t = 0; the batch that arrives there still holds the noise of one step, so the loop has to reach 0.",
    name="leaves-out-0",
)
def _(model, step, x, y, null, scales):
    for t in reversed(range(1, len(scales))):
        x = step(cfg_eps(model, x, torch.full_like(y, t), y, null, scales[t]), x, t)
    return x


@cfg_sample.misconception(
    "You went upwards in t; a sampler starts at the noise, t = T - 1, and ends at t = 0.", name="upwards"
)
def _(model, step, x, y, null, scales):
    for t in range(len(scales)):
        x = step(cfg_eps(model, x, torch.full_like(y, t), y, null, scales[t]), x, t)
    return x


@cfg_sample.misconception(
    "You read `scales` from its front while t fell from T - 1; the scale at t is `scales[t]`, so the first step uses "
    "the last entry.",
    name="scales-reversed",
)
def _(model, step, x, y, null, scales):
    for t, scale in zip(reversed(range(len(scales))), scales, strict=True):
        x = step(cfg_eps(model, x, torch.full_like(y, t), y, null, scale), x, t)
    return x


@cfg_sample.misconception(
    "You used one scale for all steps; `scales` has one for each t, because guidance may be strong at some "
    "noise levels and absent at others.",
    name="one-scale",
)
def _(model, step, x, y, null, scales):
    for t in reversed(range(len(scales))):
        x = step(cfg_eps(model, x, torch.full_like(y, t), y, null, scales[0]), x, t)
    return x


@cfg_sample.misconception(
    "You gave all rows the label of the first; y has one label for each row, and they may differ.", name="one-label"
)
def _(model, step, x, y, null, scales):
    for t in reversed(range(len(scales))):
        x = step(cfg_eps(model, x, torch.full_like(y, t), y[:1].expand(len(x)), null, scales[t]), x, t)
    return x


@cfg_sample.misconception(
    "You clamped x_t; most of it is noise and is supposed to leave [-1, 1]. What may be clamped is the guess of "
    "the clean batch, and that is done inside `step`.",
    name="clamps-xt",
)
def _(model, step, x, y, null, scales):
    for t in reversed(range(len(scales))):
        x = step(cfg_eps(model, x, torch.full_like(y, t), y, null, scales[t]), x, t).clamp(-1, 1)
    return x


@cfg_sample.misconception(
    "You asked the model about the noise of the start in every step; ask it about the batch as it is now, because each "
    "step has removed some of that noise.",
    name="asks-about-the-start",
)
def _(model, step, x, y, null, scales):
    start = x
    for t in reversed(range(len(scales))):
        x = step(cfg_eps(model, start, torch.full_like(y, t), y, null, scales[t]), x, t)
    return x


@cfg_sample.also_correct
def _(model, step, x, y, null, scales):
    for t in range(len(scales) - 1, -1, -1):
        times = torch.ones_like(y) * t
        eps = model(x, times, y)
        if scales[t] != 1:
            eps_u = model(x, times, torch.zeros_like(y) + null)
            eps = eps + (scales[t] - 1) * (eps - eps_u)
        x = step(eps, x, t)
    return x


@exercise(
    points=6,
    minutes=20,
    hints=(
        "`cfg_sample` does the guided loop already. What is left for the function `step` that you hand to it?",
        "The step guesses x_0 from eps and x_t, clamps the guess, and draws from the posterior. It can also note each "
        "batch in a list, which is the film.",
        "One step needs abar at t and at t - 1 (1 before t = 0); their quotient is alpha_t = 1 - beta_t. The mean is "
        "a weighted sum of guess and x_t, as in the lesson on DDPM.",
        "`film.append(...)` inside `step`, then `cfg_sample(model, step, film[0], y, null, scales)` under "
        "`torch.no_grad()`, then `torch.stack(film)`.",
    ),
    level="integrative",
    importance=3,
)
def sample_digits(
    model: Callable[[Tensor, Tensor, Tensor], Tensor],
    y: Tensor,
    null: int,
    scales: list[float],
    abar: Tensor,
    generator: torch.Generator,
) -> Tensor:
    """Return the film of guided DDPM that draws digits with the labels y, without gradients.

    * model(x, t, y): as in `cfg_eps`, for x (N, 1, 8, 8); y: (B,) long
    * null, scales: as in `cfg_sample`; abar: (T,) float64
    * returns: (T + 1, B, 1, 8, 8), the start and the batch after each step

    Each step guesses x_0, clamps the guess to [-1, 1] and draws from DDPM's posterior of x_{t-1}, given x_t and the
    guess. The generator draws the start, then z in every step (`torch.randn`).
    """
    ### BEGIN SOLUTION
    film = [torch.randn(len(y), 1, 8, 8, generator=generator)]

    def step(eps: Tensor, x: Tensor, t: int) -> Tensor:
        level, earlier = abar[t], abar[t - 1] if t else torch.ones_like(abar[t])
        alpha = level / earlier
        guess = ((x - (1 - level).sqrt() * eps) / level.sqrt()).clamp(-1, 1)
        mean = (earlier.sqrt() * (1 - alpha) * guess + alpha.sqrt() * (1 - earlier) * x) / (1 - level)
        variance = (1 - alpha) * (1 - earlier) / (1 - level)
        film.append(mean + variance.sqrt() * torch.randn(x.shape, generator=generator))
        return film[-1]

    with torch.no_grad():
        cfg_sample(model, step, film[0], y, null, scales)
    return torch.stack(film)
    ### END SOLUTION


@sample_digits.test("starts with noise, and asks about every t with labels and without", points=1)
def _(sample_digits):
    abar, asked = torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64), []

    def model(x, t, y):
        asked.append((sorted(set(t.tolist())), sorted(y.tolist())))
        return 0.5 * x

    film = sample_digits(model, torch.tensor([3, 5]), 10, [2.0] * 3, abar, torch.Generator().manual_seed(1))
    shape = tuple(film.shape)
    assert shape == (4, 2, 1, 8, 8), f"T + 1 = 4 frames are expected, (4, 2, 1, 8, 8), got {shape}"
    start = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    assert_close(film[0], start, message="the first frame")
    expected = [([t], [3, 5, 10, 10]) for t in (2, 1, 0)]
    assert asked == expected, f"calls with (t, labels) {expected} are expected, got {asked}"


@sample_digits.hidden("takes every step that theory asks for, guided, with fresh noise in each", points=2)
def _(sample_digits, rng):
    for T, labels, scales in ((5, [1, 4, 2], [2.5] * 5), (4, [3, 0], [3.0, 1.0, 2.0, 1.5])):
        seed = int(torch.randint(1000, (1,), generator=rng))
        betas = 0.05 + 0.4 * torch.rand(T, generator=rng, dtype=torch.float64)
        abar, y = torch.cumprod(1 - betas, 0), torch.tensor(labels)

        def model(x, t, y):
            return 0.6 * x + (0.02 * y + 0.05 * t).view(-1, 1, 1, 1)

        film = sample_digits(model, y, 7, scales, abar, torch.Generator().manual_seed(seed))
        generator, level = torch.Generator().manual_seed(seed), [1.0, *abar.tolist()]
        x = torch.randn(len(y), 1, 8, 8, generator=generator)
        for frame, t in enumerate(reversed(range(T)), 1):
            eps = 0.6 * x + 0.05 * t + 0.02 * (7 + scales[t] * (y - 7)).view(-1, 1, 1, 1)
            guess = ((x - (1 - level[t + 1]) ** 0.5 * eps) / level[t + 1] ** 0.5).clamp(-1, 1)
            if t:  # precisions of two opinions about x_{t-1} add up
                ahead, back = 1 / (1 - level[t]), (1 - float(betas[t])) / float(betas[t])
                mean = (ahead * level[t] ** 0.5 * guess + back * x / (1 - float(betas[t])) ** 0.5) / (ahead + back)
                x = mean + (ahead + back) ** -0.5 * torch.randn(x.shape, generator=generator)
            else:
                x = guess
            assert_close(film[frame], x, rtol=1e-3, atol=1e-4, message=f"frame {frame} of T = {T}, after t = {t}")


@sample_digits.hidden("clamps the guess alone, so that noisy frames leave [-1, 1] and the last does not", points=2)
def _(sample_digits, rng):
    betas = torch.tensor([0.1, 0.2, 0.4, 0.9], dtype=torch.float64)
    abar, weight = torch.cumprod(1 - betas, 0), torch.tensor(3.0, requires_grad=True)
    y = torch.randint(0, 10, (40,), generator=rng)

    def model(x, t, y):
        return weight * x - y.view(-1, 1, 1, 1)

    film = sample_digits(model, y, 10, [2.0] * 4, abar, rng)
    assert not film.requires_grad, "the film is expected without gradients, but it has requires_grad=True"
    reach = [float(frame.abs().max()) for frame in film]
    assert min(reach[:3]) > 1.5, f"noisy frames are expected to leave [-1, 1], got largest values {reach}"
    assert reach[-1] < 1.0001, f"the last frame is expected in [-1, 1], got {reach[-1]:.3f} as its largest value"
    moved = [float((after - before).abs().mean()) for before, after in itertools.pairwise(film)]
    assert min(moved) > 1e-3, f"each frame is expected to differ from the one before, got mean changes {moved}"


@sample_digits.hidden("is conditional where the scale is 1, in half as many rows", points=1)
def _(sample_digits, rng):
    abar, rows = torch.tensor([0.95, 0.7, 0.4, 0.1], dtype=torch.float64), []

    def model(x, t, y):
        rows.append(len(x))
        return 0.5 * x + 0.01 * y.view(-1, 1, 1, 1)

    seed, y = int(torch.randint(1000, (1,), generator=rng)), torch.tensor([2, 9, 4])
    first = sample_digits(model, y, 10, [2.0, 1.0, 1.0, 3.0], abar, torch.Generator().manual_seed(seed))
    assert rows == [6, 3, 3, 6], f"calls with [6, 3, 3, 6] rows are expected for scales 2, 1, 1, 3, got {rows}"
    again = sample_digits(model, y, 10, [2.0, 1.0, 1.0, 3.0], abar, torch.Generator().manual_seed(seed))
    assert_close(again, first, message="a second call with the same seed")


@sample_digits.misconception(
    "You clamped x_t as well; most of it is noise and is supposed to leave [-1, 1], because only the guess of "
    "the clean digit has to be a possible image.",
    name="clamps-xt",
)
@torch.no_grad()
def _(model, y, null, scales, abar, generator):
    film = [torch.randn(len(y), 1, 8, 8, generator=generator)]
    for t in reversed(range(len(abar))):
        now, before, x = abar[t], abar[t - 1] if t else abar.new_ones(()), film[-1]
        eps = cfg_eps(model, x, torch.full_like(y, t), y, null, scales[t])
        guess = ((x - (1 - now).sqrt() * eps) / now.sqrt()).clamp(-1, 1)
        mean = (before.sqrt() * (1 - now / before) * guess + (now / before).sqrt() * (1 - before) * x) / (1 - now)
        variance = (1 - now / before) * (1 - before) / (1 - now)
        film.append((mean + variance.sqrt() * torch.randn(x.shape, generator=generator)).clamp(-1, 1))
    return torch.stack(film)


@sample_digits.misconception(
    "You did not clamp the guess of x_0; guided guesses leave [-1, 1] far, because at the noisiest levels they are "
    "divided by a signal of nearly 0.",
    name="not-clamped",
)
@torch.no_grad()
def _(model, y, null, scales, abar, generator):
    film = [torch.randn(len(y), 1, 8, 8, generator=generator)]
    for t in reversed(range(len(abar))):
        now, before, x = abar[t], abar[t - 1] if t else abar.new_ones(()), film[-1]
        eps = cfg_eps(model, x, torch.full_like(y, t), y, null, scales[t])
        guess = (x - (1 - now).sqrt() * eps) / now.sqrt()
        mean = (before.sqrt() * (1 - now / before) * guess + (now / before).sqrt() * (1 - before) * x) / (1 - now)
        variance = (1 - now / before) * (1 - before) / (1 - now)
        film.append(mean + variance.sqrt() * torch.randn(x.shape, generator=generator))
    return torch.stack(film)


@sample_digits.misconception(
    "You left the noise out of the steps; DDPM draws from the posterior, and its mean alone makes samples too much "
    "alike.",
    name="mean-alone",
)
@torch.no_grad()
def _(model, y, null, scales, abar, generator):
    film = [torch.randn(len(y), 1, 8, 8, generator=generator)]
    for t in reversed(range(len(abar))):
        now, before, x = abar[t], abar[t - 1] if t else abar.new_ones(()), film[-1]
        eps = cfg_eps(model, x, torch.full_like(y, t), y, null, scales[t])
        guess = ((x - (1 - now).sqrt() * eps) / now.sqrt()).clamp(-1, 1)
        mean = (before.sqrt() * (1 - now / before) * guess + (now / before).sqrt() * (1 - before) * x) / (1 - now)
        film.append(mean)
    return torch.stack(film)


@sample_digits.misconception(
    "You multiplied z by the variance of the posterior; its standard deviation, the square root, is the size of the "
    "noise.",
    name="variance-for-deviation",
)
@torch.no_grad()
def _(model, y, null, scales, abar, generator):
    film = [torch.randn(len(y), 1, 8, 8, generator=generator)]
    for t in reversed(range(len(abar))):
        now, before, x = abar[t], abar[t - 1] if t else abar.new_ones(()), film[-1]
        eps = cfg_eps(model, x, torch.full_like(y, t), y, null, scales[t])
        guess = ((x - (1 - now).sqrt() * eps) / now.sqrt()).clamp(-1, 1)
        mean = (before.sqrt() * (1 - now / before) * guess + (now / before).sqrt() * (1 - before) * x) / (1 - now)
        variance = (1 - now / before) * (1 - before) / (1 - now)
        film.append(mean + variance * torch.randn(x.shape, generator=generator))
    return torch.stack(film)


@sample_digits.misconception(
    "You used one scale for all steps; `scales` has one for each t.",
    name="one-scale",
)
@torch.no_grad()
def _(model, y, null, scales, abar, generator):
    film = [torch.randn(len(y), 1, 8, 8, generator=generator)]
    for t in reversed(range(len(abar))):
        now, before, x = abar[t], abar[t - 1] if t else abar.new_ones(()), film[-1]
        eps = cfg_eps(model, x, torch.full_like(y, t), y, null, scales[0])
        guess = ((x - (1 - now).sqrt() * eps) / now.sqrt()).clamp(-1, 1)
        mean = (before.sqrt() * (1 - now / before) * guess + (now / before).sqrt() * (1 - before) * x) / (1 - now)
        variance = (1 - now / before) * (1 - before) / (1 - now)
        film.append(mean + variance.sqrt() * torch.randn(x.shape, generator=generator))
    return torch.stack(film)


@sample_digits.also_correct
def _(model, y, null, scales, abar, generator):
    levels = [1.0, *abar.tolist()]
    film = torch.empty(len(levels), len(y), 1, 8, 8)
    film[0] = torch.randn(len(y), 1, 8, 8, generator=generator)
    for frame in range(1, len(levels)):
        t = len(levels) - 1 - frame
        x, now, before = film[frame - 1].clone(), levels[t + 1], levels[t]
        eps = cfg_eps(model, x, torch.tensor([t] * len(y)), y, null, scales[t]).detach()
        guess = torch.clip((x - math.sqrt(1 - now) * eps) / math.sqrt(now), -1, 1)
        beta = 1 - now / before
        mean = (math.sqrt(before) * beta * guess + math.sqrt(1 - beta) * (1 - before) * x) / (1 - now)
        z = torch.randn(len(y), 1, 8, 8, generator=generator)
        film[frame] = mean + math.sqrt(beta * (1 - before) / (1 - now)) * z
    return film


@exercise(
    points=5,
    minutes=25,
    hints=(
        "Where does each equation begin? At very large τ nearly everything is noise: what is V there?",
        "DDIM: divide by V, so that the left side is the derivative of log V, and both terms of g can be integrated.",
        "DDPM: write V as C(τ) times the square of DDIM's solution, and find what C must be. The substitution "
        "r = (narrow + τ) / (wide + τ) makes its integral a power of r, from narrow / wide to 1.",
        "At s = 3 with variances 2 and 1 the pair is (0.3875, 0.25). Numbers will do: `torch.logspace(4, -5, 40_001)` "
        "are values of τ to step along, with V = τ at the first.",
    ),
    level="core",
    importance=3,
    kind="derive",
)
def final_variances(s: float, wide: float, narrow: float) -> tuple[float, float]:
    """Return the variances with which guided DDPM and guided DDIM end, for exact predictions and infinitely many steps.

    * all data: N(0, wide); data with the label: N(0, narrow); wide > narrow > 0
    * s >= 1: the scale of guidance, the same at all levels
    * returns: a pair of numbers, DDPM's variance first; 0.5 % of error are allowed

    Solve the two equations for V above, on paper or in small steps.
    """
    ### BEGIN SOLUTION
    flow = narrow**s * wide ** (1 - s)
    ratio, power = narrow / wide, 2 * s - 1
    integral = (ratio**-power - 1) / power / (wide - narrow)
    return flow**2 * integral, flow
    ### END SOLUTION


@final_variances.test("knows where DDIM ends at s = 2 and s = 4, for the variances 2 and 1", points=1)
def _(final_variances):
    for s, expected in ((2.0, 0.5), (4.0, 0.125)):
        found = final_variances(s, 2.0, 1.0)
        assert len(found) == 2, f"a pair of numbers is expected, got {len(found)}"
        assert_close(float(found[1]), expected, rtol=5e-3, atol=0, message=f"DDIM, s = {s}")


@final_variances.hidden("knows where DDIM ends, for other scales and other Gaussians", points=2)
def _(final_variances):
    for s, wide, narrow in ((3.0, 3.0, 0.5), (2.5, 1.2, 0.4), (5.0, 2.0, 1.0), (1.5, 4.0, 0.25), (1.0, 2.0, 0.7)):
        expected = math.exp(s * math.log(narrow) - (s - 1) * math.log(wide))
        found = float(final_variances(s, wide, narrow)[1])
        assert_close(found, expected, rtol=5e-3, atol=0, message=f"DDIM, s = {s}, variances {wide} and {narrow}")


@final_variances.hidden("knows where DDPM ends", points=2)
def _(final_variances):
    for s, wide, narrow in ((3.0, 2.0, 1.0), (2.5, 1.2, 0.4), (1.5, 4.0, 0.25), (5.0, 3.0, 2.0), (1.0, 2.0, 0.7)):
        # Over a step of tau in which g hardly changes: V shrinks towards 1 / (2 g).
        variance, taus = 1e5, torch.logspace(5, -5, 6001, dtype=torch.float64).tolist()
        for above, below in itertools.pairwise([*taus, 0.0]):
            middle = (above * below) ** 0.5
            pull = s / (narrow + middle) + (1 - s) / (wide + middle)
            decay = math.exp(-2 * pull * (above - below))
            variance = decay * variance + (1 - decay) / (2 * pull)
        found = float(final_variances(s, wide, narrow)[0])
        assert_close(found, variance, rtol=6e-3, atol=0, message=f"DDPM, s = {s}, variances {wide} and {narrow}")


@final_variances.misconception(
    "You gave the variance of the tilted density, 1 / (s / narrow + (1 - s) / wide), for both; it tilts the "
    "clean data, while the samplers follow the tilt of noisy data at every level.",
    name="tilted-for-both",
)
def _(s, wide, narrow):
    return (1 / (s / narrow + (1 - s) / wide),) * 2


@final_variances.misconception(
    "You returned DDIM's variance first; the pair begins with DDPM's, which is the larger one because fresh noise "
    "widens it.",
    name="pair-exchanged",
)
def _(s, wide, narrow):
    flow = narrow**s * wide ** (1 - s)
    return flow, flow**2 * ((narrow / wide) ** (1 - 2 * s) - 1) / (2 * s - 1) / (wide - narrow)


@final_variances.misconception(
    "You solved for the variances 2 and 1 alone; `wide` and `narrow` are to be used, because the solution depends on "
    "both of them.",
    name="only-2-and-1",
)
def _(s, wide, narrow):
    return (2 - 2 ** (2 - 2 * s)) / (2 * s - 1), 2 ** (1 - s)


@final_variances.misconception(
    "You left out the upper end of DDPM's integral; at τ = ∞ the quotient r is 1 and not 0, so that a 1 has to be "
    "subtracted.",
    name="upper-end-left-out",
)
def _(s, wide, narrow):
    flow = narrow**s * wide ** (1 - s)
    return flow**2 * (narrow / wide) ** (1 - 2 * s) / (2 * s - 1) / (wide - narrow), flow


@final_variances.misconception(
    "You gave DDIM's variance for both; the equation of DDPM has 2 g and the term -1, because its score is twice as "
    "strong and fresh noise is added.",
    name="ddim-for-both",
)
def _(s, wide, narrow):
    return (narrow**s * wide ** (1 - s),) * 2


@final_variances.also_correct
def _(s, wide, narrow):
    ddpm = ddim = 1e5
    taus = torch.logspace(5, -5, 4001, dtype=torch.float64).tolist()
    for above, below in zip(taus, [*taus[1:], 0.0], strict=True):
        middle, drop = math.sqrt(above * below), above - below
        pull = s / (narrow + middle) + (1 - s) / (wide + middle)
        decay = math.exp(-2 * pull * drop)
        ddpm = decay * ddpm + (1 - decay) / (2 * pull)
        ddim = math.exp(-pull * drop) * ddim
    return ddpm, ddim


@exercise(
    points=3,
    minutes=8,
    hints=(
        "The interval is one of noise levels. How large is the noise in x_t, compared with the signal?",
        "Outside the interval the model is conditional. Which scale is that?",
        "One comparison with each end gives (T,) truth values; the lower end is outside, the upper end inside.",
        "`torch.where((low < sigma) & (sigma <= high), s, 1.0).tolist()`.",
    ),
    level="core",
    importance=1,
)
def interval_scales(s: float, abar: Tensor, low: float, high: float) -> list[float]:
    """Return the scales of a sampler that guides only at noise levels σ with low < σ <= high.

    * abar: (T,) float64; σ is the size of the noise over that of the signal
    * returns: a list of T numbers for t = 0..T-1, s inside the interval; elsewhere the model is simply conditional
    """
    ### BEGIN SOLUTION
    sigma = ((1 - abar) / abar).sqrt()  # (T,)
    inside = (low < sigma) & (sigma <= high)
    return torch.where(inside, s, 1.0).tolist()
    ### END SOLUTION


@interval_scales.test("guides in the middle of six levels", points=1)
def _(interval_scales):
    abar = torch.tensor([0.99, 0.8, 0.5, 0.3, 0.1, 0.02], dtype=torch.float64)  # σ 0.10, 0.5, 1, 1.5, 3, 7
    got = interval_scales(4.0, abar, 0.7, 2.0)
    assert_close(got, [1.0, 1.0, 4.0, 4.0, 1.0, 1.0], message="noise levels 0.1, 0.5, 1, 1.5, 3, 7; low 0.7, high 2")


@interval_scales.hidden("takes the ends as the statement says, and guides everywhere from 0 to inf", points=2)
def _(interval_scales):
    abar = torch.tensor([0.99, 0.8, 0.5, 0.3, 0.1, 0.02], dtype=torch.float64)
    cases = {
        (1.0, 4.0): [1.0, 1.0, 1.0, 2.5, 2.5, 1.0],  # σ = 1 itself is outside at the lower end
        (0.3, 1.0): [1.0, 2.5, 2.5, 1.0, 1.0, 1.0],  # and inside at the upper end
        (0.0, 0.3): [2.5, 1.0, 1.0, 1.0, 1.0, 1.0],
        (2.0, math.inf): [1.0, 1.0, 1.0, 1.0, 2.5, 2.5],
        (0.0, math.inf): [2.5] * 6,
        (20.0, 30.0): [1.0] * 6,
    }
    for (low, high), expected in cases.items():
        got = interval_scales(2.5, abar, low, high)
        assert isinstance(got, list), f"a list is expected, got {type(got).__name__}"
        assert_close(got, expected, message=f"low {low}, high {high}, s = 2.5")


@interval_scales.misconception(
    "You compared t with the interval; its ends are noise levels, so that it means the same for every schedule and "
    "every number of steps.",
    name="compares-t",
)
def _(s, abar, low, high):
    return [s if low < t <= high else 1.0 for t in range(len(abar))]


@interval_scales.misconception(
    "You compared sqrt(1 - abar); that is the size of the noise in x_t, whose signal has shrunk, too: divide by "
    "the size of the signal, sqrt(abar).",
    name="signal-not-divided",
)
def _(s, abar, low, high):
    return [s if low < sigma <= high else 1.0 for sigma in (1 - abar).sqrt().tolist()]


@interval_scales.misconception(
    "You compared variances, (1 - abar) / abar; the noise level is a quotient of sizes, so take the square root.",
    name="no-root",
)
def _(s, abar, low, high):
    return [s if low < sigma <= high else 1.0 for sigma in ((1 - abar) / abar).tolist()]


@interval_scales.misconception(
    "You gave the scale 0 outside the interval; that ignores the label, while a conditional model has the scale 1.",
    name="unconditional-outside",
)
def _(s, abar, low, high):
    return [s if low < sigma <= high else 0.0 for sigma in ((1 - abar) / abar).sqrt().tolist()]


@interval_scales.misconception(
    "You guided outside the interval; the scale is s inside it and 1 elsewhere.", name="guides-outside"
)
def _(s, abar, low, high):
    return [1.0 if low < sigma <= high else s for sigma in ((1 - abar) / abar).sqrt().tolist()]


@interval_scales.also_correct
def _(s, abar, low, high):
    scales = []
    for share in abar.tolist():
        sigma = math.sqrt((1 - share) / share)
        scales.append(s if low < sigma and not sigma > high else 1)
    return scales


@exercise(
    points=3,
    minutes=8,
    hints=(
        "Over which axes is a standard deviation one number for each example?",
        "The factor r is below 1 where the guided prediction is wider than the conditional one.",
        "Both standard deviations have the shape (B, 1, …, 1), so that they multiply eps (B, *) row by row.",
        "`eps.std(tuple(range(1, eps.ndim)), keepdim=True)`.",
    ),
    level="core",
    importance=1,
)
def rescale(eps: Tensor, eps_c: Tensor, phi: float) -> Tensor:
    """Return a guided prediction that is brought back to the width of the conditional one.

    * eps, eps_c: (B, *), guided and conditional, with one further axis or more
    * phi = 1: each example of eps is multiplied by the number r that gives it the standard deviation of its eps_c
    * phi = 0: eps as it was; in between, the two are mixed linearly
    * returns: (B, *)

    The arguments stay as they are (Lin et al. 2023, equations 15 and 16).
    """
    ### BEGIN SOLUTION
    axes = tuple(range(1, eps.ndim))
    ratio = eps_c.std(axes, keepdim=True) / eps.std(axes, keepdim=True)  # (B, 1, ...)
    return phi * ratio * eps + (1 - phi) * eps
    ### END SOLUTION


@rescale.test("halves what is twice as wide for phi = 1, and changes nothing for phi = 0", points=1)
def _(rescale):
    eps_c = torch.tensor([[1.0, 2.0, 3.0], [0.0, -1.0, 4.0]])
    eps = torch.tensor([[2.0, 4.0, 6.0], [3.0, 1.0, 11.0]])  # 2 eps_c and 2 eps_c + 3
    as_it_was, halved = eps.clone(), eps / 2
    assert_close(rescale(eps, eps_c, 1.0), halved, message="phi = 1")
    assert_close(rescale(eps, eps_c, 0.0), as_it_was, message="phi = 0")


@rescale.hidden("measures each example by itself, over all of its axes", points=1)
def _(rescale, rng):
    for shape in ((3, 5), (4, 2, 3), (2, 3, 4, 5)):
        size = torch.rand(shape[0], generator=rng, dtype=torch.float64) * 3 + 0.5
        eps_c = torch.randn(shape, generator=rng, dtype=torch.float64) + 1
        eps = torch.randn(shape, generator=rng, dtype=torch.float64) * size.view(-1, *[1] * (len(shape) - 1)) - 2
        kept = eps.clone(), eps_c.clone()
        for phi in (0.7, 1.0, 0.25):
            got = rescale(eps, eps_c, phi)
            assert_close([eps, eps_c], list(kept), message="the arguments after the call")
            factors = [float(c.flatten().std() / e.flatten().std()) for e, c in zip(*kept, strict=True)]
            expected = torch.stack([(phi * r + 1 - phi) * e for r, e in zip(factors, kept[0], strict=True)])
            assert_close(got, expected, rtol=1e-5, atol=1e-5, message=f"shape {shape}, phi = {phi}")


@rescale.hidden("leaves a prediction of the conditional one's width alone, whatever its mean", points=1)
def _(rescale, rng):
    eps_c = torch.randn(3, 4, 6, generator=rng, dtype=torch.float64)
    for eps in (eps_c + 5, -eps_c, eps_c.flip(-1)):
        for phi in (0.4, 1.0):
            got = rescale(eps, eps_c, phi)
            assert_close(got, eps, rtol=1e-5, atol=1e-5, message=f"phi = {phi}, the same standard deviation")


@rescale.misconception(
    "You took one standard deviation over the whole batch; each example has its own, because otherwise the "
    "other images of a batch change yours.",
    name="over-the-batch",
)
def _(eps, eps_c, phi):
    return phi * eps_c.std() / eps.std() * eps + (1 - phi) * eps


@rescale.misconception(
    "You inverted the ratio; a guided prediction that is too wide has to shrink, so divide by its own standard "
    "deviation.",
    name="ratio-inverted",
)
def _(eps, eps_c, phi):
    axes = tuple(range(1, eps.ndim))
    ratio = eps.std(axes, keepdim=True) / eps_c.std(axes, keepdim=True)
    return phi * ratio * eps + (1 - phi) * eps


@rescale.misconception(
    "You gave phi to the wrong term; phi = 1 rescales fully, and phi = 0 leaves eps as it is.", name="phi-exchanged"
)
def _(eps, eps_c, phi):
    axes = tuple(range(1, eps.ndim))
    ratio = eps_c.std(axes, keepdim=True) / eps.std(axes, keepdim=True)
    return (1 - phi) * ratio * eps + phi * eps


@rescale.misconception(
    "You mixed in the conditional prediction; the second term is the guided one as it was, because with eps_c in its "
    "place guidance itself is weakened.",
    name="mixes-in-eps-c",
)
def _(eps, eps_c, phi):
    axes = tuple(range(1, eps.ndim))
    ratio = eps_c.std(axes, keepdim=True) / eps.std(axes, keepdim=True)
    return phi * ratio * eps + (1 - phi) * eps_c


@rescale.misconception(
    "You measured along the last axis alone; the standard deviation of an example is over all of its numbers, channels "
    "and rows, too.",
    name="last-axis",
)
def _(eps, eps_c, phi):
    ratio = eps_c.std(-1, keepdim=True) / eps.std(-1, keepdim=True)
    return phi * ratio * eps + (1 - phi) * eps


@rescale.misconception(
    "You compared root mean squares; a standard deviation is measured from the mean of the example's own numbers.",
    name="root-mean-square",
)
def _(eps, eps_c, phi):
    wide, goal = (e.flatten(1).norm(dim=1).view(-1, *[1] * (e.ndim - 1)) for e in (eps, eps_c))
    return phi * goal / wide * eps + (1 - phi) * eps


@rescale.also_correct
def _(eps, eps_c, phi):
    wide, goal = (e.flatten(1).std(1, unbiased=False) for e in (eps, eps_c))
    factor = 1 + phi * (goal / wide - 1)
    return torch.einsum("b,b...->b...", factor, eps)
