import math

from studium import exercise


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=3,
    kind="derive",
    hints=(
        "Write down both parameter counts and set them equal. Which of the sizes cancels?",
        "The exact width is a fraction of `hidden`, and usually not a whole number. Round it to the next multiple, in "
        "the direction that the statement requires.",
        "Let m be the multiple and k whole: you look for the smallest k for which 3 D k m is at least 2 D F.",
        "`-(-a // b)` is a / b rounded up, in whole numbers.",
    ),
)
def matched_width(hidden, multiple_of=1):
    """Return the width F' at which a gated layer is as large as an ungated layer of hidden width F.

    F' is the smallest multiple of `multiple_of` for which the gated layer has at least as many
    parameters. Both layers have the same D and no biases.

    * hidden: F, a whole number, 1 or more
    * multiple_of: a whole number, 1 or more (fast kernels like multiples of 64 or 256)
    * returns: F', a whole number
    """
    ### BEGIN SOLUTION
    return -(-2 * hidden // (3 * multiple_of)) * multiple_of
    ### END SOLUTION


@matched_width.test("finds the width of a gated layer beside one of 3072", points=1)
def _(matched_width):
    found = matched_width(3072)
    assert isinstance(found, int), f"a width is a whole number, got {type(found).__name__}"
    assert found == 2048, f"3 · 2048 · D = 2 · 3072 · D parameters, got {found}"


@matched_width.hidden("rounds up to the multiple, and never below the parameters of the ungated layer", points=2)
def _(matched_width):
    even = matched_width(768, 64)
    assert even == 512, f"for hidden=768, multiple_of=64 the width is 512, got {even}"
    llama = matched_width(16384, 256)
    assert llama == 11008, f"Llama 7B has D = 4096, 4 D = 16384, multiples of 256 and a width of 11008, got {llama}"
    for hidden, multiple in ((1000, 7), (257, 64), (96, 32), (97, 32), (10, 1), (11, 1), (12, 5), (3, 2), (1, 1)):
        found = matched_width(hidden, multiple)
        expected = next(f for f in range(multiple, 4 * hidden + multiple, multiple) if 3 * f >= 2 * hidden)
        assert found == expected, f"for hidden={hidden}, multiple_of={multiple} the width is {expected}, got {found}"


matched_width.mistake(
    "eight-thirds-of-hidden",
    "You multiplied by 8/3, which is the factor for the model's width D. The argument is the ungated hidden width, "
    "which is usually 4 D already, so the factor is 2/3.",
    replace="-2",
    by="-8",
)

matched_width.mistake(
    "three-halves",
    "You made the layer wider; make it narrower, because at equal size three matrices instead of two leave room for "
    "fewer units.",
    replace="-2 * hidden // (3 * multiple_of)",
    by="-3 * hidden // (2 * multiple_of)",
)

matched_width.mistake(
    "halved",
    "You halved the width, which is too narrow. The gate only doubles the way in; the way out still has one matrix.",
    replace="-2 * hidden // (3 * multiple_of)",
    by="-hidden // (2 * multiple_of)",
)

matched_width.mistake(
    "rounded-down",
    "You rounded down; round up, because the gated layer must have at least as many parameters.",
    replace="-(-2 * hidden // (3 * multiple_of))",
    by="2 * hidden // (3 * multiple_of)",
)

matched_width.mistake(
    "rounded-to-nearest",
    "You rounded to the nearest multiple, which is sometimes below; round up, because the gated layer must have at "
    "least as many parameters.",
    replace="-(-2 * hidden // (3 * multiple_of))",
    by="round(2 * hidden / (3 * multiple_of))",
)

matched_width.mistake(
    "left-out-the-multiple",
    "You left out `multiple_of`; the width has to be a multiple of it.",
    replace="-(-2 * hidden // (3 * multiple_of)) * multiple_of",
    by="-(-2 * hidden // 3)",
)

matched_width.mistake(
    "one-multiple-too-far",
    "You went one multiple too far; where the exact width is already a multiple, use it as it is.",
    replace="-(-2 * hidden // (3 * multiple_of))",
    by="(2 * hidden // (3 * multiple_of) + 1)",
)


@matched_width.also_correct
def _(hidden, multiple_of=1):
    return multiple_of * math.ceil(2 * hidden / (3 * multiple_of))


@matched_width.also_correct
def _(hidden, multiple_of=1):
    found = multiple_of
    while 3 * found < 2 * hidden:
        found += multiple_of
    return found
