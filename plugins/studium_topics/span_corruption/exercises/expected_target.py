from itertools import groupby, product

import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=2,
    kind="derive",
    hints=(
        "The targets consist of three kinds of tokens. Which are they, and which of them occur a random number of "
        "times?",
        "Expectations add up, whether or not things depend on each other: count the hidden tokens and the tokens at "
        "which a run begins.",
        "A run begins at the first token if that is hidden, and at any later token if it is hidden and the one before "
        "is not.",
        "With p for the density and n for the length: `n * p` hidden tokens; the first token begins a run with "
        "probability p, and each of the other n - 1 with probability `p * (1 - p)`; one `eos`.",
    ),
)
def expected_target(length, density):
    """Return the expected number of target tokens when each token is hidden independently of the others.

    This is not how `span_mask` hides tokens: here `corrupt` gets a mask in which every token is True with probability
    `density`. Count everything that `corrupt` puts into the targets.

    - length: whole number, 1 or more. density: between 0 and 1, both included.
    - Returns one float.
    """
    ### BEGIN SOLUTION
    hidden = length * density
    runs = density + (length - 1) * density * (1 - density)
    return hidden + runs + 1
    ### END SOLUTION


@expected_target.test("knows two tokens, each hidden one time in four", points=1)
def _(expected_target):
    # none hidden: 1 token; the first, or the second: 3 tokens; both: 4 tokens
    expected = (9 * 1 + 3 * 3 + 3 * 3 + 1 * 4) / 16
    assert_close(expected_target(2, 0.25), expected, rtol=1e-6, message="the mean over the four masks of two tokens")


@expected_target.hidden("is the mean over all masks, each with its probability", points=3)
def _(expected_target):
    for length, density in ((7, 0.15), (5, 0.4), (8, 0.73), (3, 0.9), (1, 0.3), (6, 0.5), (4, 0.0), (4, 1.0)):
        mean = 0.0
        for mask in product((False, True), repeat=length):
            probability = density ** sum(mask) * (1 - density) ** (length - sum(mask))
            runs = sum(key for key, _ in groupby(mask))
            mean += probability * (sum(mask) + runs + 1)
        found = float(expected_target(length, density))
        assert abs(found - mean) <= 1e-5 * mean, (
            f"{length} tokens, each hidden with probability {density}: the mean over all masks is {mean:.5f}, "
            f"got {found:.5f}"
        )


@expected_target.misconception(
    "You counted a sentinel for each hidden token; count one for each run, because hidden neighbours share it.",
    name="sentinel-for-each-token",
)
def _(length, density):
    return 2 * length * density + 1


@expected_target.misconception(
    "You did not count `eos`; add 1, because every target ends with it.",
    name="eos-not-counted",
)
def _(length, density):
    return length * density + density + (length - 1) * density * (1 - density)


@expected_target.misconception(
    "You required a kept token before each run; the first token has none before it, so it begins a run whenever it is "
    "hidden.",
    name="first-token-forgotten",
)
def _(length, density):
    return length * density + length * density * (1 - density) + 1


@expected_target.misconception(
    "You left out the run that begins with the first token; it begins one with probability `density`.",
    name="first-run-left-out",
)
def _(length, density):
    return length * density + (length - 1) * density * (1 - density) + 1


@expected_target.misconception(
    "You assumed spans of mean length 3; tokens hidden independently form runs whose length in the middle of a text "
    "is 1 / (1 - density) on average.",
    name="mean-length-three",
)
def _(length, density):
    return length * density * (1 + 1 / 3) + 1


@expected_target.also_correct
def _(length, density):
    neighbours = (length - 1) * density**2  # pairs that share a sentinel
    return 2 * length * density - neighbours + 1


@expected_target.also_correct
def _(length, density):
    total = torch.tensor(1.0, dtype=torch.float64)
    for place in range(length):
        total += density + density * (1.0 if place == 0 else 1 - density)
    return float(total)
