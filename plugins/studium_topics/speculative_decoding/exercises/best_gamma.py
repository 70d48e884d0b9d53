import torch
from studium import assert_close, exercise

from studium_topics.speculative_decoding.exercises.expected_tokens import expected_tokens


@exercise(
    points=3,
    minutes=10,
    level="core",
    importance=2,
    kind="derive",
    hints=(
        "How long does one turn take, measured in passes of the target, and how long would its tokens take without a "
        "draft?",
        "Without a draft, each token takes one pass of the target. A turn takes gamma passes of the draft and one of "
        "the target. Compare every gamma.",
        "There are longest + 1 numbers to compare; if several are equal, take the first.",
        "`expected_tokens(alpha, gamma) / (gamma * cost + 1)` is the speed-up; `max` returns the first of equal "
        "values.",
    ),
)
def best_gamma(alpha, cost, longest):
    """Return the number of drafted tokens that pays off most, and the speed-up there.

    * alpha: the probability that a drafted token is kept.
    * cost: the time of one pass of the draft, in passes of the target, 0 or more. The target's pass takes as long for
      gamma + 1 tokens as for one.
    * longest: gamma is 0, 1, …, longest; 0 means plain decoding.

    The speed-up is the time that plain decoding takes for some number of tokens, divided by the time that speculative
    decoding takes for them. If several speed-ups are equal, take the smallest gamma. Return (gamma, speed-up).
    """
    ### BEGIN SOLUTION
    speedups = [expected_tokens(alpha, gamma) / (gamma * cost + 1) for gamma in range(longest + 1)]
    best = max(range(len(speedups)), key=speedups.__getitem__)
    return best, speedups[best]
    ### END SOLUTION


@best_gamma.test("weighs what a draft yields against what it costs", points=1)
def _(best_gamma):
    gamma, speedup = best_gamma(0.6, 0.3, 10)
    assert gamma == 1, f"for alpha = 0.6 and cost = 0.3, one drafted token pays most, got {gamma}"
    assert_close(speedup, 1.6 / 1.3, rtol=1e-5, message="its speed-up: 1.6 tokens in the time of 1.3 passes")


@best_gamma.hidden("finds the best of all lengths, plain decoding included", points=2)
def _(best_gamma):
    cases = (
        (0.8, 0.05, 20),
        (0.3, 0.5, 8),
        (0.9, 0.02, 6),
        (0.75, 0.1, 12),
        (0.5, 0.25, 5),
        (1.0, 0.2, 4),
        (0.0, 0.0, 5),
    )
    for alpha, cost, longest in cases:
        tokens, best = 1.0, (0, 1.0)
        for gamma in range(1, longest + 1):
            tokens += alpha**gamma
            if tokens / (1 + gamma * cost) > best[1] + 1e-12:
                best = gamma, tokens / (1 + gamma * cost)
        found = best_gamma(alpha, cost, longest)
        what = f"(gamma, speed-up) for alpha = {alpha}, cost = {cost}, gamma up to {longest}"
        assert_close(tuple(found), best, rtol=1e-5, message=what)


@best_gamma.misconception(
    "You chose the gamma with the most tokens per pass, which favours the longest draft; divide by the time of the "
    "turn first.",
    name="most-tokens",
)
def _(alpha, cost, longest):
    values = [expected_tokens(alpha, gamma) for gamma in range(longest + 1)]
    best = max(range(longest + 1), key=values.__getitem__)
    return best, values[best] / (best * cost + 1)


@best_gamma.misconception(
    "You counted one pass of the draft per turn; it takes gamma passes, one after another.",
    name="one-draft-pass",
)
def _(alpha, cost, longest):
    values = [expected_tokens(alpha, gamma) / (cost + 1 if gamma else 1) for gamma in range(longest + 1)]
    best = max(range(longest + 1), key=values.__getitem__)
    return best, values[best]


@best_gamma.misconception(
    "You left out the pass of the target; every turn needs one.",
    name="no-target-pass",
)
def _(alpha, cost, longest):
    values = [expected_tokens(alpha, gamma) / (gamma * cost or 1) for gamma in range(longest + 1)]
    best = max(range(longest + 1), key=values.__getitem__)
    return best, values[best]


@best_gamma.misconception(
    "You began with gamma = 1. A poor or expensive draft makes decoding slower, and then gamma = 0 is best.",
    name="never-plain",
)
def _(alpha, cost, longest):
    values = {g: expected_tokens(alpha, g) / (g * cost + 1) for g in range(1, longest + 1)}
    best = max(values, key=values.__getitem__)
    return best, values[best]


@best_gamma.misconception(
    "You stopped one short: gamma may also be `longest` itself.",
    name="longest-left-out",
)
def _(alpha, cost, longest):
    values = [expected_tokens(alpha, gamma) / (gamma * cost + 1) for gamma in range(longest)]
    best = max(range(longest), key=values.__getitem__)
    return best, values[best]


@best_gamma.also_correct
def _(alpha, cost, longest):
    best, tokens, power = (0, 1.0), 1.0, 1.0
    for gamma in range(1, longest + 1):
        power *= alpha
        tokens += power
        if tokens / (1 + gamma * cost) > best[1]:
            best = gamma, tokens / (1 + gamma * cost)
    return best


@best_gamma.also_correct
def _(alpha, cost, longest):
    lengths = torch.arange(longest + 1, dtype=torch.float64)
    tokens = (alpha**lengths).cumsum(0)
    speedups = tokens / (1 + cost * lengths)
    best = int(speedups.argmax())
    return best, float(speedups[best])
