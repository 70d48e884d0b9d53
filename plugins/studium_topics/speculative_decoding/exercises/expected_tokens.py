from studium import assert_close, exercise

from studium_topics.speculative_decoding.chance import outcomes


@exercise(
    points=3,
    minutes=10,
    level="core",
    importance=3,
    kind="derive",
    hints=(
        "With what probability does a pass add at least 1 token, at least 2, at least k?",
        "The mean of a whole number N ≥ 1 is the sum over k of the probability that N is at least k.",
        "There are gamma + 1 terms. The first is 1, and each one after it is alpha times the one before. If alpha is "
        "1, all are equal.",
        "`(1 - alpha ** (gamma + 1)) / (1 - alpha)` is the sum, unless alpha is 1.",
    ),
)
def expected_tokens(alpha, gamma):
    """Return how many tokens a pass of the target adds on average.

    Each of gamma drafted tokens is kept with probability alpha, whatever happened before, up to the first rejection.
    Then the pass adds one more token, a replacement or a bonus.

    * alpha: a number from 0 to 1, both included.
    * gamma: a whole number, 0 or more.

    Return a number.
    """
    ### BEGIN SOLUTION
    if alpha == 1:
        return gamma + 1
    return (1 - alpha ** (gamma + 1)) / (1 - alpha)
    ### END SOLUTION


@expected_tokens.test("counts kept tokens and the one more", points=1)
def _(expected_tokens):
    assert_close(expected_tokens(0.6, 3), 2.176, message="for alpha = 0.6 and gamma = 3")


@expected_tokens.hidden("agrees with the mean over all outcomes", points=1)
def _(expected_tokens):
    for alpha, gamma in ((0.75, 2), (0.3, 5), (0.9, 4), (0.5, 1), (0.8, 0), (0.0, 3)):

        def added(chance, alpha=alpha, gamma=gamma):
            kept = 0
            while kept < gamma and chance.happens(alpha):
                kept += 1
            return kept + 1

        expected = sum(count * probability for count, probability in outcomes(added))
        assert_close(
            expected_tokens(alpha, gamma), expected, rtol=1e-6, message=f"for alpha = {alpha}, gamma = {gamma}"
        )


@expected_tokens.hidden("is gamma + 1 where nothing is ever rejected", points=1)
def _(expected_tokens):
    for gamma in (4, 1, 0, 7):
        assert_close(expected_tokens(1.0, gamma), float(gamma + 1), message=f"for alpha = 1 and gamma = {gamma}")


@expected_tokens.misconception(
    "You summed gamma terms. A pass adds one more token than it keeps, so there are gamma + 1.",
    name="one-term-short",
)
def _(alpha, gamma):
    return float(gamma) if alpha == 1 else (1 - alpha**gamma) / (1 - alpha)


@expected_tokens.misconception(
    "You counted only the kept tokens; each pass also adds a replacement or a bonus.",
    name="kept-alone",
)
def _(alpha, gamma):
    return sum(alpha**k for k in range(1, gamma + 1)) + 0.0


@expected_tokens.misconception(
    "You multiplied gamma by alpha, as if tokens after a rejected one could still be kept; the first rejection ends "
    "the pass.",
    name="rejections-do-not-end",
)
def _(alpha, gamma):
    return 1 + alpha * gamma


@expected_tokens.misconception(
    "You divided by zero at alpha = 1. There every drafted token is kept, and the sum has gamma + 1 terms of 1.",
    name="divided-by-zero",
)
def _(alpha, gamma):
    return (1 - alpha ** (gamma + 1)) / (1 - alpha)


@expected_tokens.misconception(
    "You let the draft go on forever: 1 / (1 - alpha) is the mean without a limit. A pass ends after gamma drafted "
    "tokens.",
    name="no-limit",
)
def _(alpha, gamma):
    return float(gamma + 1) if alpha == 1 else 1 / (1 - alpha)


@expected_tokens.also_correct
def _(alpha, gamma):
    return sum(alpha**k for k in range(gamma + 1))


@expected_tokens.also_correct
def _(alpha, gamma):
    mean = 1.0
    for _ in range(gamma):
        mean = 1 + alpha * mean
    return mean
