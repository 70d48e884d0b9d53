import math

import torch
from studium import assert_close, exercise
from torch import nn


@exercise(
    points=3,
    minutes=10,
    importance=3,
    kind="derive",
    hints=(
        "The model must not change before the first step, and yet it must be able to learn. Which factor is zero?",
        "Each entry of A x is a sum of n_in products. What is the variance of a sum of independent terms?",
        "A has `rank` rows and `n_in` columns, B has `n_out` rows and `rank` columns.",
        "`torch.randn(rank, n_in, generator=generator)` has variance 1; multiply it by the standard deviation that "
        "you found.",
    ),
)
def init_lora(n_in, n_out, rank, generator):
    """Return the factors (A, B) that training starts from.

    A holds independent normal numbers with mean 0, drawn from `generator`. Choose their variance such that each entry
    of A x has variance 1 whenever the entries of x are independent, with mean 0 and variance 1. B is zero.

    * generator: a torch.Generator, the only source of random numbers
    * returns: A (rank, n_in) and B (n_out, rank), float32 tensors on the CPU

    A second call with the same generator gives a different A.
    """
    ### BEGIN SOLUTION
    a = torch.randn(rank, n_in, generator=generator) / math.sqrt(n_in)
    return a, torch.zeros(n_out, rank)
    ### END SOLUTION


@init_lora.test("gives A (rank, in) and B (out, rank), whose product is zero", points=1)
def _(init_lora, rng):
    a, b = init_lora(7, 5, 3, rng)
    assert tuple(a.shape) == (3, 7), f"A must be (rank, in) = (3, 7), got {tuple(a.shape)}"
    assert tuple(b.shape) == (5, 3), f"B must be (out, rank) = (5, 3), got {tuple(b.shape)}"
    assert not (b @ a).any(), "B A must be zero at the start, so that the model is the pretrained one"


@init_lora.hidden("draws A at the scale 1 / sqrt(in), and leaves B at zero", points=1)
def _(init_lora, rng):
    for n_in, n_out, rank in ((400, 30, 40), (50, 120, 200)):
        a, b = init_lora(n_in, n_out, rank, rng)
        assert tuple(a.shape) == (rank, n_in), f"A must be (rank, in) = ({rank}, {n_in}), got {tuple(a.shape)}"
        assert tuple(b.shape) == (n_out, rank), f"B must be (out, rank) = ({n_out}, {rank}), got {tuple(b.shape)}"
        assert not b.any(), "B must be zero"
        a = torch.as_tensor(a).double() * n_in**0.5
        assert abs(float(a.std()) - 1) < 0.06, (
            f"each entry of A x needs the variance 1 for {n_in} inputs of variance 1, got {float(a.var()):.4g}"
        )
        assert abs(float(a.mean())) < 0.06, f"the numbers of A need the mean 0, got {float(a.mean()) * n_in**-0.5:.4f}"
        below = float((a.abs() < 1).double().mean())
        assert abs(below - 0.683) < 0.03, (
            f"68 % of the numbers of a normal distribution are within one standard deviation, here {below:.0%} are"
        )
        rows = a @ a.T / n_in
        assert float((rows - rows.diag().diag()).abs().mean()) < 0.2, "the rows of A must be drawn independently"
        columns = a.T @ a / rank
        assert float((columns - columns.diag().diag()).abs().mean()) < 0.3, "the columns of A must be independent"


@init_lora.hidden("takes its random numbers from the generator, and from nowhere else", points=1)
def _(init_lora):
    generator = torch.Generator().manual_seed(5)
    first, b = init_lora(6, 4, 2, generator)
    second, _ = init_lora(6, 4, 2, generator)
    torch.randn(3)  # an answer that draws from torch's global generator now gives another A
    again, _ = init_lora(6, 4, 2, torch.Generator().manual_seed(5))
    other, _ = init_lora(6, 4, 2, torch.Generator().manual_seed(6))
    assert_close(again, first, message="the same seed must give the same A")
    assert not torch.equal(first, second), "a second call with the same generator must give another A"
    assert not torch.equal(first, other), "another seed must give another A"
    for name, factor in (("A", first), ("B", b)):
        assert factor.dtype == torch.float32, f"{name} must be a float32 tensor, got {factor.dtype}"


@init_lora.misconception(
    "You set both factors to zero, so nothing can ever be learned: the gradient of A is multiplied by B and that of B "
    "by A, and both stay zero. Draw A.",
    name="both-zero",
)
def _(n_in, n_out, rank, generator):
    return torch.zeros(rank, n_in), torch.zeros(n_out, rank)


@init_lora.misconception(
    "You drew both factors, so B A is noise that damages the model before its first step; set B to zero.",
    name="both-drawn",
)
def _(n_in, n_out, rank, generator):
    a = torch.randn(rank, n_in, generator=generator) / n_in**0.5
    return a, torch.randn(n_out, rank, generator=generator) / rank**0.5


@init_lora.misconception(
    "You drew B and set A to zero; that could learn as well, but the paper and the libraries draw A and set B to zero.",
    name="drew-b-instead-of-a",
)
def _(n_in, n_out, rank, generator):
    return torch.zeros(rank, n_in), torch.randn(n_out, rank, generator=generator) / n_in**0.5


@init_lora.misconception(
    "You returned A as (in, rank) and B as (rank, out); here A is (rank, in) and B is (out, rank).",
    name="transposed-factors",
)
def _(n_in, n_out, rank, generator):
    return torch.randn(n_in, rank, generator=generator) / n_in**0.5, torch.zeros(rank, n_out)


@init_lora.misconception(
    "You drew A with variance 1, so each entry of A x has variance n_in, which grows with the width of the layer.",
    name="unit-variance",
)
def _(n_in, n_out, rank, generator):
    return torch.randn(rank, n_in, generator=generator), torch.zeros(n_out, rank)


@init_lora.misconception(
    "You divided by `n_in`, so each number has variance 1 / n_in² and each entry of A x has variance 1 / n_in, not 1.",
    name="divided-by-the-width",
)
def _(n_in, n_out, rank, generator):
    return torch.randn(rank, n_in, generator=generator) / n_in, torch.zeros(n_out, rank)


@init_lora.misconception(
    "You scaled A by the rank; each entry of A x is a sum over the n_in inputs, and the rank is just the number of "
    "such sums.",
    name="scaled-by-the-rank",
)
def _(n_in, n_out, rank, generator):
    return torch.randn(rank, n_in, generator=generator) / rank**0.5, torch.zeros(n_out, rank)


init_lora.mistake(
    "uniform-as-nn-linear",
    "You drew A uniformly between -1/√in and 1/√in, as `nn.Linear` and peft do by default; draw normal numbers "
    "instead, because these have a variance of only 1 / (3 in).",
    replace="torch.randn(rank, n_in, generator=generator) / math.sqrt(n_in)",
    by="(2 * torch.rand(rank, n_in, generator=generator) - 1) / n_in**0.5",
)


@init_lora.misconception(
    "You did not pass `generator` on, so the random numbers come from torch's global generator and your run cannot be "
    "repeated. Write `torch.randn(..., generator=generator)`.",
    name="ignored-the-generator",
)
def _(n_in, n_out, rank, generator):
    return torch.randn(rank, n_in) / n_in**0.5, torch.zeros(n_out, rank)


@init_lora.also_correct
def _(n_in, n_out, rank, generator):
    return torch.empty(rank, n_in).normal_(0, n_in**-0.5, generator=generator), torch.zeros((n_out, rank))


@init_lora.also_correct
def _(n_in, n_out, rank, generator):
    a = nn.init.kaiming_normal_(torch.empty(rank, n_in), nonlinearity="linear", generator=generator)
    return [a, a.new_zeros(n_out, rank)]
