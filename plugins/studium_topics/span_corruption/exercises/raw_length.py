from studium import exercise


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=1,
    kind="write",
    hints=(
        "How long are inputs and targets for a text of 100 tokens?",
        "Write a small function for both lengths. Then lengthen the text until one more token would not fit.",
        "inputs consist of kept tokens, sentinels and `eos`; targets of hidden tokens, sentinels and `eos`. Both "
        "lengths are whole numbers.",
        "`while lengths(raw + 1)[0] <= inputs_length: raw += 1`, starting from `raw = 2`.",
    ),
)
def raw_length(inputs_length, density, mean):
    """Return (raw, targets): the length of the longest text that fits, and the length of its targets.

    A text fits if its inputs, made by `span_mask` and `corrupt`, have at most `inputs_length` tokens. The counts of
    `span_mask` do not depend on chance, so neither do these lengths. A longer text never has shorter inputs.

    - inputs_length: whole number, 3 or more. density: between 0 and 1, but less than 1. mean: 1 or more.
    - Returns two whole numbers.
    """

    ### BEGIN SOLUTION
    def lengths(raw):
        hidden = min(max(round(raw * density), 1), raw - 1)
        spans = min(max(round(hidden / mean), 1), raw - hidden)
        return raw - hidden + spans + 1, hidden + spans + 1

    raw = 2
    while lengths(raw + 1)[0] <= inputs_length:
        raw += 1
    return raw, lengths(raw)[1]
    ### END SOLUTION


raw_length.equivalent("raw = 1", "a text of two tokens always fits")


raw_length.equivalent(
    "hidden = min(max(round(raw * density), 1), raw + 1)", "where this bound matters, a longer text fits too"
)

raw_length.equivalent(
    "hidden = min(max(round(raw * density), 1), raw)", "where this bound matters, a longer text fits too"
)

raw_length.equivalent(
    "hidden = min(max(round(raw * density), 1), raw - 0)", "where this bound matters, a longer text fits too"
)


@raw_length.test("knows the numbers of T5", points=1)
def _(raw_length):
    raw, targets = raw_length(512, 0.15, 3)
    assert (int(raw), int(targets)) == (568, 114), (
        f"512 inputs hold a text of 568 tokens, with 114 targets, got {raw} and {targets}"
    )


@raw_length.hidden("finds the longest text, for other budgets, densities and means", points=3)
def _(raw_length):
    cases = (
        (128, 0.15, 3, 141, 29),
        (64, 0.15, 3, 70, 14),
        (200, 0.5, 3.4, 308, 200),
        (40, 0.5, 1.2, 43, 41),
        (90, 0.3, 1, 89, 55),
        (77, 0.4, 7, 115, 54),
        (40, 0.7, 1, 65, 66),
        (3, 0.9, 3, 15, 16),
        (3, 0.15, 3, 2, 3),
        (10, 0.04, 2, 9, 3),
        (1024, 0.15, 3, 1137, 229),
    )
    for budget, density, mean, raw, targets in cases:
        found = tuple(raw_length(budget, density, mean))
        assert all(float(value) == int(value) for value in found), f"two whole numbers are expected, got {found}"
        assert tuple(map(int, found)) == (raw, targets), (
            f"{budget} inputs at density {density} and mean length {mean}: a text of {raw} tokens, {targets} targets; "
            f"got {found}"
        )


@raw_length.misconception(
    "You did not count `eos`; it takes one token of the inputs and one of the targets.",
    name="eos-not-counted",
)
def _(inputs_length, density, mean):
    raw, targets = raw_length(inputs_length + 1, density, mean)
    return raw, targets - 1


@raw_length.misconception(
    "You did not count the sentinels; each span puts one into the inputs and one into the targets.",
    name="sentinels-not-counted",
)
def _(inputs_length, density, mean):
    raw = 2
    while raw + 1 - round((raw + 1) * density) + 1 <= inputs_length:
        raw += 1
    return raw, round(raw * density) + 1


@raw_length.misconception(
    "You went one token too far and returned the first text that does not fit; return the last one that does.",
    name="one-too-far",
)
def _(inputs_length, density, mean):
    raw = raw_length(inputs_length, density, mean)[0] + 1
    hidden = min(max(round(raw * density), 1), raw - 1)
    return raw, hidden + min(max(round(hidden / mean), 1), raw - hidden) + 1


@raw_length.misconception(
    "You took a text of `inputs_length` tokens; take a longer one, because corruption shortens it and part of the "
    "inputs would be padding.",
    name="raw-is-the-budget",
)
def _(inputs_length, density, mean):
    raw = inputs_length
    hidden = min(max(round(raw * density), 1), raw - 1)
    return raw, hidden + min(max(round(hidden / mean), 1), raw - hidden) + 1


@raw_length.also_correct
def _(inputs_length, density, mean):
    best = None
    for raw in range(2, 40 * inputs_length):
        hidden = max(1, min(raw - 1, round(raw * density)))
        spans = min(raw - hidden, max(1, round(hidden / mean)))
        if raw - hidden + spans + 1 > inputs_length:
            break
        best = raw, hidden + spans + 1
    return best


@raw_length.also_correct
def _(inputs_length, density, mean):
    def counts(raw):
        hidden = max(1, min(raw - 1, round(raw * density)))
        return hidden, min(raw - hidden, max(1, round(hidden / mean)))

    low, high = 2, 2
    while high - sum((1, -1)[i] * c for i, c in enumerate(counts(high))) + 1 <= inputs_length:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        hidden, spans = counts(middle)
        low, high = (middle, high) if middle - hidden + spans + 1 <= inputs_length else (low, middle)
    return [low, sum(counts(low)) + 1]


raw_length.equivalent(
    "while high - sum((1, -1)[i] * c for i, c in enumerate(counts(high))) + 0 <= inputs_length:",
    "the search only starts from a longer text",
)

raw_length.equivalent("continue", "no longer text fits either")
