import torch
from studium import assert_close, exercise
from torch.utils.flop_counter import FlopCounterMode


@exercise(
    points=3,
    minutes=8,
    importance=2,
    kind="derive",
    hints=(
        "Which matrix products does full attention compute, and which does Linformer need before it can compute the "
        "same ones?",
        "Multiplying an a × b matrix by a b × c matrix takes a · b · c multiplications. Write down the shapes of all "
        "products in order.",
        "Full attention has two products. Linformer has four: two projections, the scores, and the weights times the "
        "values.",
        "Linformer's scores are (n × d) times (d × slots), made from keys that came from (slots × n) times (n × d).",
    ),
)
def multiplications(heads, length, width, slots):
    """Return how many multiplications attention takes for one text, in full and with projected keys and values.

    Count all matrix products from q, k and v to the result. Do not count the softmax, the scale, or the layers that
    make q, k and v.

    * heads, length, width: H heads, n tokens, and d numbers for each query
    * slots: how many rows the keys and values are projected to, by projections that all heads share
    * returns: two ints, (full, projected)
    """
    ### BEGIN SOLUTION
    return 2 * heads * length * length * width, 4 * heads * length * slots * width
    ### END SOLUTION


@multiplications.test("counts 72 against 48 for one head, six tokens of width 1, and two slots", points=1)
def _(multiplications):
    found = multiplications(1, 6, 1, 2)
    assert_close(found, (72, 48), message="2 · 6 · 6 · 1, and 4 · 6 · 2 · 1")
    assert not any(isinstance(number, float) for number in found), f"whole numbers are expected, got {found}"


@multiplications.hidden("agrees with PyTorch's own counter", points=2)
def _(multiplications, rng):
    for heads, length, width, slots in ((3, 7, 5, 2), (2, 9, 4, 6), (5, 16, 8, 16), (1, 12, 3, 1)):
        q, k, v = torch.randn(3, heads, length, width, generator=rng)
        e, f = torch.randn(2, heads, slots, length, generator=rng)
        with FlopCounterMode(display=False) as full:
            (q @ k.mT).softmax(-1) @ v
        with FlopCounterMode(display=False) as projected:
            (q @ (e @ k).mT).softmax(-1) @ (f @ v)
        expected = full.get_total_flops() // 2, projected.get_total_flops() // 2  # it counts additions as well
        found = tuple(multiplications(heads, length, width, slots))
        assert found == expected, (
            f"with heads={heads}, length={length}, width={width} and slots={slots}: expected {expected}, got {found}"
        )


multiplications.mistake(
    "forgot-the-projections",
    "You counted the attention over the slots but not the projections that make them, which cost as much.",
    replace="4",
    by="2",
)

multiplications.mistake(
    "forgot-the-values",
    "You counted the scores but not the product of the weights with the values; count both.",
    replace="2 * heads * length * length * width, 4 * heads * length * slots * width",
    by="heads * length * length * width, 2 * heads * length * slots * width",
)

multiplications.mistake(
    "one-projection",
    "You counted one projection. Keys and values are projected separately, so count two.",
    replace="4",
    by="3",
)

multiplications.mistake(
    "counted-additions",
    "You counted additions as well, as a counter of floating-point operations does; count only multiplications.",
    replace="2 * heads * length * length * width, 4 * heads * length * slots * width",
    by="4 * heads * length * length * width, 8 * heads * length * slots * width",
)

multiplications.mistake(
    "projected-once-for-all-heads",
    "You counted each projection once for all heads. The matrix E is shared, but each head has different keys to "
    "project.",
    replace="4 * heads",
    by="2 * (heads + 1)",
)

multiplications.mistake(
    "projected-the-queries",
    "You projected the queries too. Linformer keeps all n queries, so its scores are n × slots.",
    replace="return 2 * heads * length * length * width, 4 * heads * length * slots * width",
    by="""
        full = 2 * heads * length * length * width
        return full, 3 * heads * length * slots * width + 2 * heads * slots * slots * width
    """,
)


@multiplications.also_correct
def _(heads, length, width, slots):
    def product(rows, inner, columns):
        return rows * inner * columns

    full = product(length, width, length) + product(length, length, width)
    short = 2 * product(slots, length, width) + product(length, width, slots) + product(length, slots, width)
    return heads * full, heads * short


@multiplications.also_correct
def _(heads, length, width, slots):
    each = heads * width * length
    return [each * length * 2, each * slots * 4]
