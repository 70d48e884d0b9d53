import torch
from studium import assert_close, exercise


@exercise(
    points=2,
    minutes=6,
    level="warm-up",
    importance=2,
    kind="derive",
    hints=(
        "How many numbers do the two factors hold together, and for which E is that exactly V · H?",
        "Solve the inequality for E. Equality does not count, because it saves nothing.",
        "Both sides are whole numbers: less than V · H means at most V · H − 1.",
        "`n // d` is the largest whole number whose product with d is at most n, exactly, however large n is.",
    ),
)
def break_even(vocabulary, width):
    """Return the largest whole E at which factorising saves: (V, E) and (E, H) hold fewer numbers than one (V, H).

    - vocabulary: V, 1 or more, at most 10¹².
    - width: H, 1 or more, at most 10¹².
    - Returns a whole number, 0 if no E saves anything.
    """
    ### BEGIN SOLUTION
    return (vocabulary * width - 1) // (vocabulary + width)
    ### END SOLUTION


@break_even.test("finds where the factors become as large as the table", points=1)
def _(break_even):
    for vocabulary, width, expected in ((11, 7, 4), (30000, 768, 748), (50, 20, 14), (100, 1, 0)):
        assert_close(break_even(vocabulary, width), expected, message=f"V = {vocabulary}, H = {width}")


@break_even.hidden("counts equality as no saving, for small and for huge tables", points=1)
def _(break_even, rng):
    for _ in range(30):
        v, h = (int(n) for n in torch.randint(1, 60, (2,), generator=rng))
        expected = max(e for e in range(h + 1) if e == 0 or v * e + e * h < v * h)
        assert_close(break_even(v, h), expected, message=f"V = {v}, H = {h}")
    for v, h in ((4, 4), (6, 3), (12, 4), (20, 5), (1, 1), (2, 2)):  # V · H is a multiple of V + H, but for (1, 1)
        expected = max(e for e in range(h + 1) if e == 0 or v * e + e * h < v * h)
        assert_close(break_even(v, h), expected, message=f"V = {v}, H = {h}: with equality nothing is saved")
    for v, h in ((10**12, 10**12 - 1), (10**12 - 7, 10**12 - 3), (10**12, 10**12), (10**6, 10**12 - 10**6 + 1)):
        e = int(break_even(v, h))
        assert v * e + e * h < v * h, f"V = {v}, H = {h}: at E = {e} nothing is saved"
        assert v * (e + 1) + (e + 1) * h >= v * h, f"V = {v}, H = {h}: E = {e + 1} still saves"


break_even.mistake(
    "second-factor-free",
    "You compared only V · E with V · H; add E · H, because the factor (E, H) that brings the vectors to width H "
    "costs parameters too.",
    replace="(vocabulary * width - 1) // (vocabulary + width)",
    by="width - 1",
)

break_even.mistake(
    "half-the-width",
    "You took half of H, which is close only for a square table with V = H; the break-even point depends on both "
    "sizes.",
    replace="(vocabulary * width - 1) // (vocabulary + width)",
    by="width // 2",
)

break_even.mistake(
    "equality-saves",
    "You counted equality as a saving; if V · E + E · H = V · H, both ways hold the same number of parameters.",
    replace="(vocabulary * width - 1) // (vocabulary + width)",
    by="vocabulary * width // (vocabulary + width)",
)

break_even.mistake(
    "full-rank",
    "You took the smaller of V and H, the largest rank that the table can have; at this E the factors hold more "
    "numbers than the table, so solve V · E + E · H < V · H instead.",
    replace="(vocabulary * width - 1) // (vocabulary + width)",
    by="min(vocabulary, width)",
)


@break_even.also_correct
def _(vocabulary, width):
    e = vocabulary * width // (vocabulary + width)
    return e - 1 if e * (vocabulary + width) == vocabulary * width else e


@break_even.also_correct
def _(vocabulary, width):
    return -(-vocabulary * width // (vocabulary + width)) - 1
