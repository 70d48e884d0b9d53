import math

import torch
from studium import assert_close, exercise


@exercise(
    points=2,
    minutes=6,
    level="warm-up",
    importance=1,
    kind="derive",
    hints=(
        "If every entry of E has the variance s², what is the expected value of an entry of EᵀE on the diagonal?",
        "Entry (i, j) of EᵀE is a sum over the slots. Off the diagonal its expected value is zero; on the diagonal "
        "each slot adds the same amount.",
        "E is (slots, length), so EᵀE is (length, length), and each of its entries is a sum with one term for each "
        "slot.",
        "`torch.randn(slots, length, generator=generator)` has variance 1; choose the factor that makes the sum 1.",
    ),
)
def random_projection(slots, length, generator):
    """Return a random projection E for which P Eᵀ E V is, on average over the draws, P V.

    The entries are independent and normal, with mean 0 and all with the same variance. Draw them with the single call
    `torch.randn(slots, length, generator=generator)`, and scale that.

    * slots, length: the shape of E
    * generator: a torch.Generator
    * returns: (slots, length), float32
    """
    ### BEGIN SOLUTION
    return torch.randn(slots, length, generator=generator) / math.sqrt(slots)
    ### END SOLUTION


@random_projection.test("has entries of variance 1/4 for four slots", points=1)
def _(random_projection, rng):
    e = random_projection(4, 3000, rng)
    assert e.shape == (4, 3000), f"4 slots of 3000 tokens: expected shape (4, 3000), got {tuple(e.shape)}"
    assert_close(float(e.square().mean()), 0.25, rtol=0.1, message="the mean square of the entries")


@random_projection.hidden("is the identity on average: E[EᵀE] = I, drawn in one call", points=1)
def _(random_projection, rng):
    for slots, length in ((5, 3), (3, 8), (16, 7), (2, 30)):
        seed = int(torch.randint(10**6, (1,), generator=rng))
        e = random_projection(slots, length, torch.Generator().manual_seed(seed))
        expected = torch.randn(slots, length, generator=torch.Generator().manual_seed(seed)) / slots**0.5
        assert_close(e.abs(), expected.abs(), rtol=1e-4, atol=1e-5, message=f"with {slots} slots and {length} tokens")
    total = torch.zeros(7, 7)
    for _ in range(400):
        e = random_projection(16, 7, rng)
        total += e.T @ e
    assert_close(total / 400, torch.eye(7), rtol=0, atol=0.12, message="the mean of EᵀE over 400 draws")


random_projection.mistake(
    "variance-one",
    "Your entries have variance 1, so EᵀE is on average the identity times the number of slots; scale the entries "
    "down.",
    replace="torch.randn(slots, length, generator=generator) / math.sqrt(slots)",
    by="torch.randn(slots, length, generator=generator)",
)

random_projection.mistake(
    "scaled-by-the-length",
    "You scaled by the number of tokens. An entry of EᵀE is a sum over the slots, so scale by their number.",
    replace="math.sqrt(slots)",
    by="length**0.5",
)

random_projection.mistake(
    "divided-without-the-root",
    "You divided by the number of slots, which makes the variance 1 over its square; divide by the square root.",
    replace="math.sqrt(slots)",
    by="slots",
)

random_projection.mistake(
    "uniform-as-a-linear-layer",
    "You drew uniformly between ±1/√slots, as a linear layer does at the start. Such entries have variance 1/(3 · "
    "slots), and EᵀE is on average a third of the identity; draw normal entries.",
    replace="torch.randn(slots, length, generator=generator) / math.sqrt(slots)",
    by="(2 * torch.rand(slots, length, generator=generator) - 1) / slots**0.5",
)

random_projection.mistake(
    "ignored-the-generator",
    "You did not use the generator that you were given, so the caller cannot choose the draw; pass it to "
    "`torch.randn`.",
    replace="torch.randn(slots, length, generator=generator) / math.sqrt(slots)",
    by="torch.randn(slots, length, generator=torch.Generator().manual_seed(8)) / slots**0.5",
)


@random_projection.also_correct
def _(slots, length, generator):
    return slots**-0.5 * torch.randn((slots, length), generator=generator)


@random_projection.also_correct
def _(slots, length, generator):
    return -torch.sqrt(torch.tensor(1 / slots)) * torch.randn(slots, length, generator=generator)
