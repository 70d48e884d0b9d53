import torch
from studium import assert_close, exercise


@exercise(
    points=2,
    minutes=6,
    level="warm-up",
    importance=2,
    kind="derive",
    hints=(
        "For one token, what is the probability that one mask does not choose it? And that none of three masks "
        "chooses it?",
        "Compute the share that is never chosen, and count how many different masks there are: an old mask chooses "
        "the same tokens again.",
        "All three arguments are numbers, and so is the result, which lies between 0 and 1.",
        "With `masks` different masks, `(1 - rate) ** masks` of the tokens are never chosen.",
    ),
)
def coverage(rate, epochs, copies):
    """Return the expected share of a text's tokens that the loss uses at least once in training.

    - rate: the probability that a mask chooses a token, the same for each token, independently.
    - epochs: how many times training reads the text, 1 or more.
    - copies: how many masks were drawn beforehand; the epochs take them in turn, again and again. With None, each epoch
      draws a new mask.
    """
    ### BEGIN SOLUTION
    masks = epochs if copies is None else min(epochs, copies)
    return 1 - (1 - rate) ** masks
    ### END SOLUTION


@coverage.test("knows two masks of one half", points=1)
def _(coverage):
    assert_close(float(coverage(0.5, 4, 2)), 0.75, message="two masks, each of which chooses half of the tokens")
    assert_close(float(coverage(0.5, 3, None)), 0.875, message="three epochs, each with a mask of its own")


@coverage.hidden("agrees with masks that are drawn and counted", points=1)
def _(coverage, rng):
    for rate, epochs, copies in ((0.15, 7, 3), (0.3, 2, 5), (0.2, 6, None), (0.07, 9, 1), (0.15, 40, 10)):
        distinct = [epoch if copies is None else epoch % copies for epoch in range(epochs)]
        masks = torch.rand(max(distinct) + 1, 200_000, generator=rng) < rate
        counted = masks[distinct].any(0).double().mean()
        found = float(coverage(rate, epochs, copies))
        assert abs(found - float(counted)) < 0.008, (
            f"rate {rate}, {epochs} epochs, copies {copies}: drawn masks cover {counted:.3f}, got {found:.3f}"
        )


@coverage.misconception(
    "You added the probabilities of the masks; multiply the probabilities of not being chosen, because several masks "
    "can choose the same token, which counts only once.",
    name="added-probabilities",
)
def _(rate, epochs, copies):
    return min(1.0, rate * (epochs if copies is None else min(epochs, copies)))


@coverage.misconception(
    "You counted every epoch as a new mask; with masks drawn beforehand, the epochs after the last copy repeat old "
    "ones.",
    name="every-epoch-is-new",
)
def _(rate, epochs, copies):
    return 1 - (1 - rate) ** epochs


@coverage.misconception(
    "You counted all copies even if training ends before it has used them; it cannot use more masks than there are "
    "epochs.",
    name="unused-copies",
)
def _(rate, epochs, copies):
    return 1 - (1 - rate) ** (epochs if copies is None else copies)


@coverage.misconception(
    "You returned the share of tokens that the loss never uses; return 1 minus that share.",
    name="never-asked",
)
def _(rate, epochs, copies):
    return (1 - rate) ** (epochs if copies is None else min(epochs, copies))


@coverage.also_correct
def _(rate, epochs, copies):
    covered = 0.0
    for epoch in range(epochs):
        if copies is None or epoch < copies:
            covered += rate * (1 - covered)
    return covered


@coverage.also_correct
def _(rate, epochs, copies):
    used = torch.tensor([epochs, epochs if copies is None else copies]).min()
    return -torch.expm1(used * torch.log1p(torch.tensor(-rate, dtype=torch.float64)))
