import torch
from studium import exercise
from torch.utils.flop_counter import FlopCounterMode


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=2,
    kind="derive",
    hints=(
        "How many tokens does pass n read, and how many keys does each of their queries look at?",
        "Split the work of a pass: matrices cost the same for every token that is read; attention costs the same for "
        "every pair of a query and a key.",
        "Each token costs 2W in the matrices; t queries and n keys cost 4 · t · n · D in the attention of one layer.",
        "`2 * read * weights + layers * 4 * read * n * width` is the cost of pass n.",
    ),
)
def decode_flops(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    """Return how many operations it takes to write a text in `tokens` passes, as an int or an equal float.

    Pass n = 1, …, tokens reads all n tokens of the text so far. If `cached`, it reads only the newest token, whose
    query looks at n keys.

    Matrices of each layer: q, o (D, D); k, v (kv_width, D); up (F, D); down (D, F), with width D and hidden F. After
    the layers: the head (V, D), applied to every token that is read.
    """
    ### BEGIN SOLUTION
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    total = 0
    for seen in range(1, tokens + 1):
        read = 1 if cached else seen
        total += 2 * read * weights + layers * 4 * read * seen * width
    return total
    ### END SOLUTION


decode_flops.equivalent("triangle = tokens * (tokens + 1) / 2", "a float of the same value")


@decode_flops.test("counts two tokens of a model that is small enough to count by hand", points=1)
def _(decode_flops):
    weights = 2 * 3 * 3 + 2 * 3 * 3 + 2 * 4 * 3 + 5 * 3
    for cached, expected in ((True, 2 * weights * 2 + 4 * 3 * (1 + 2)), (False, 2 * weights * 3 + 4 * 3 * (1 + 4))):
        found = decode_flops(1, 3, 3, 4, 5, 2, cached)
        assert found == expected, f"one layer of width 3, cached={cached}: {expected} was expected, got {found}"


@decode_flops.hidden("agrees with PyTorch's own counter to the last operation", points=2)
def _(decode_flops):
    for layers, width, kv_width, hidden, vocabulary, tokens in (
        (2, 8, 4, 20, 11, 5),
        (1, 6, 6, 7, 30, 3),
        (3, 4, 2, 9, 5, 1),
    ):
        for cached in (False, True):
            with FlopCounterMode(display=False) as counter:
                for seen in range(1, tokens + 1):
                    x = torch.empty(1 if cached else seen, width, device="meta")
                    for _ in range(layers):
                        for rows, columns in ((width, width),) * 2 + ((kv_width, width),) * 2:
                            x.new_empty(len(x), columns) @ x.new_empty(columns, rows)
                        x @ x.new_empty(width, hidden) @ x.new_empty(hidden, width)
                        x @ x.new_empty(width, seen) @ x.new_empty(seen, width)
                    x @ x.new_empty(width, vocabulary)
            sizes = (layers, width, kv_width, hidden, vocabulary, tokens, cached)
            found, expected = decode_flops(*sizes), counter.get_total_flops()
            assert found == expected, f"decode_flops{sizes} is {expected:,} by the counter, got {found:,}"


@decode_flops.hidden("has the exact ratio of work with and without a cache", points=1)
def _(decode_flops):
    for tokens in (8, 65, 1):
        with_head = [decode_flops(0, 7, 7, 9, 12, tokens, cached) for cached in (False, True)]
        assert 2 * with_head[0] == (tokens + 1) * with_head[1], (
            f"for {tokens} tokens the matrices cost ({tokens} + 1) / 2 times as much without a cache, got {with_head}"
        )


@decode_flops.misconception(
    "You counted one pass over all tokens; without a cache, every written token takes another pass, which reads the "
    "text from its beginning.",
    name="one-pass",
)
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    if not cached:
        return 2 * tokens * weights + layers * 4 * tokens * tokens * width
    return sum(2 * weights + layers * 4 * seen * width for seen in range(1, tokens + 1))


@decode_flops.misconception(
    "You left out attention; count the products of each query with each key, and of each weight with a value.",
    name="no-attention",
)
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    return 2 * weights * (tokens if cached else tokens * (tokens + 1) // 2)


@decode_flops.misconception(
    "You stopped one pass early; n runs from 1 up to and including `tokens`.",
    name="one-pass-short",
)
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    passes = ((1 if cached else seen, seen) for seen in range(1, tokens))
    return sum(2 * read * weights + layers * 4 * read * seen * width for read, seen in passes)


@decode_flops.misconception(
    "You counted a multiplication and its addition as one operation; count them as 2.",
    name="counted-once",
)
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    passes = ((1 if cached else seen, seen) for seen in range(1, tokens + 1))
    return sum(read * weights + layers * 2 * read * seen * width for read, seen in passes)


@decode_flops.misconception(
    "You let the cached query look at only one key; it looks at all n keys, because the cache saves their projections "
    "but not the attention to them.",
    name="one-key",
)
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    reads = (1 if cached else seen for seen in range(1, tokens + 1))
    return sum(2 * read * weights + layers * 4 * read * read * width for read in reads)


@decode_flops.misconception(
    "You applied the head only to the newest token; here it is applied to every token that is read.",
    name="head-on-newest",
)
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden)
    passes = ((1 if cached else seen, seen) for seen in range(1, tokens + 1))
    head = 2 * vocabulary * width
    return sum(2 * read * weights + head + layers * 4 * read * seen * width for read, seen in passes)


@decode_flops.misconception(
    "You counted the scores but not the weighted sums of the values; those take just as many products again.",
    name="no-values",
)
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * 2 * width * (width + kv_width + hidden) + vocabulary * width
    passes = ((1 if cached else seen, seen) for seen in range(1, tokens + 1))
    return sum(2 * read * weights + layers * 2 * read * seen * width for read, seen in passes)


@decode_flops.also_correct
def _(layers, width, kv_width, hidden, vocabulary, tokens, cached):
    weights = layers * (2 * width**2 + 2 * kv_width * width + 2 * hidden * width) + vocabulary * width
    triangle = tokens * (tokens + 1) // 2
    pyramid = tokens * (tokens + 1) * (2 * tokens + 1) // 6
    if cached:
        return 2 * weights * tokens + 4 * layers * width * triangle
    return 2 * weights * triangle + 4 * layers * width * pyramid
