from studium import exercise


@exercise(
    points=3,
    minutes=8,
    importance=1,
    hints=(
        "How many bytes does one shared head cost, in all layers and for all texts?",
        "A head stores keys and values, in every layer, for every token of every text.",
        "The number of heads has to divide the number of query heads. Try its divisors from the largest down.",
        "`max(…, default=0)` is 0 where nothing fits.",
    ),
)
def groups_that_fit(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    """Return the largest number of key and value heads that a cache has room for.

    This is the largest divisor G of `heads` whose keys and values take at most `memory` bytes, or 0
    if no divisor fits.

    * heads: query heads
    * memory: bytes for the cache
    * layers, head_dim, number_bytes: of the model; every layer caches keys and values
    * tokens, batch: tokens of each text, and number of texts
    * returns: an int
    """
    ### BEGIN SOLUTION
    one = 2 * layers * head_dim * tokens * batch * number_bytes
    return max((groups for groups in range(1, heads + 1) if heads % groups == 0 and groups * one <= memory), default=0)
    ### END SOLUTION


groups_that_fit.equivalent(
    "return max((groups for groups in range(1, heads + 2) if heads % groups == 0 and groups * one <= memory), "
    "default=0)",
    "no number divides a smaller one",
)


@groups_that_fit.test("finds room for 2 of 6 heads", points=1)
def _(groups_that_fit):
    found = groups_that_fit(6, 1900, 1, 8, 10, 1, 4)
    assert found == 2, (
        f"a head takes 640 bytes, so that 3 would need 1920, and 2 fit into 1900: expected 2, got {found}"
    )


@groups_that_fit.hidden("gives the largest divisor whose keys and values fit", points=2)
def _(groups_that_fit):
    for heads, memory, layers, size, tokens, batch, each, expected in (
        (96, 9 * 3 * 128 * 100 * 5 * 2, 3, 128, 100, 5, 2, 4),
        (32, 40 * 10**9, 32, 128, 8192, 16, 2, 16),
        (64, 10**11, 80, 128, 8192, 32, 2, 8),
        (12, 2 * 5 * 3 * 4 * 7 * 2 * 2, 3, 4, 7, 2, 2, 4),
        (12, 2 * 6 * 3 * 4 * 7 * 2 * 2, 3, 4, 7, 2, 2, 6),
        (12, 2 * 6 * 3 * 4 * 7 * 2 * 2 - 1, 3, 4, 7, 2, 2, 4),
        (8, 10**12, 2, 4, 5, 3, 4, 8),
        (8, 100, 2, 4, 5, 3, 4, 0),
        (7, 2 * 6 * 2 * 4 * 5 * 3 * 1, 2, 4, 5, 3, 1, 1),
        (9, 2 * 3 * 5 * 6 * 2 * 7 * 8, 5, 6, 2, 7, 8, 3),
    ):
        found = groups_that_fit(heads, memory, layers, size, tokens, batch, each)
        assert found == expected, (
            f"with {heads} query heads, {memory} bytes, {layers} layers, head_dim={size}, {tokens} tokens, "
            f"batch={batch} and {each} bytes a number: expected {expected}, got {found!r}"
        )


@groups_that_fit.misconception(
    "You counted either keys or values; the cache holds both, so a head costs twice as much.", name="keys-or-values"
)
def _(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    one = layers * head_dim * tokens * batch * number_bytes
    return max((g for g in range(1, heads + 1) if heads % g == 0 and g * one <= memory), default=0)


@groups_that_fit.misconception(
    "You counted the cache of one layer; multiply by `layers`, because every layer caches its own keys and values.",
    name="one-layer",
)
def _(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    one = 2 * head_dim * tokens * batch * number_bytes
    return max((g for g in range(1, heads + 1) if heads % g == 0 and g * one <= memory), default=0)


@groups_that_fit.misconception(
    "You counted the cache of one text; multiply by `batch`, because every text has its own cache.", name="one-text"
)
def _(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    one = 2 * layers * head_dim * tokens * number_bytes
    return max((g for g in range(1, heads + 1) if heads % g == 0 and g * one <= memory), default=0)


@groups_that_fit.misconception(
    "You returned as many heads as fit, even if they do not divide the query heads; return a divisor, because "
    "otherwise the groups would have different sizes.",
    name="no-divisor",
)
def _(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    return min(heads, memory // (2 * layers * head_dim * tokens * batch * number_bytes))


groups_that_fit.mistake(
    "strictly-less",
    "You rejected a cache that takes exactly `memory` bytes; it fits.",
    replace="(groups for groups in range(1, heads + 1) if heads % groups == 0 and groups * one <= memory)",
    by="(g for g in range(1, heads + 1) if heads % g == 0 and g * one < memory)",
)


@groups_that_fit.misconception("You returned 1 where not even one head fits; return 0 there.", name="at-least-one")
def _(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    one = 2 * layers * head_dim * tokens * batch * number_bytes
    return max((g for g in range(1, heads + 1) if heads % g == 0 and g * one <= memory), default=1)


@groups_that_fit.also_correct
def _(heads, memory, layers, head_dim, tokens, batch, number_bytes):
    groups = min(heads, memory // (2 * layers * head_dim * tokens * batch * number_bytes))
    while groups and heads % groups:
        groups -= 1
    return groups
