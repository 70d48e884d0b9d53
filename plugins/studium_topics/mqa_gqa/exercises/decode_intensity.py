from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=8,
    importance=3,
    kind="derive",
    hints=(
        "What do you read once for a whole group, and what do you compute once for every query head?",
        "Each query head multiplies its query with T keys of d numbers, and its T weights with T values of d numbers. "
        "The keys and values of each shared head are read once.",
        "There is a query and a result of d numbers for each query head, read or written once. Which of batch and "
        "head_dim cancel?",
        "Without the queries and results you would get `2 * heads / (number_bytes * groups)`.",
    ),
)
def decode_intensity(batch, tokens, heads, groups, head_dim, number_bytes):
    """Return the arithmetic intensity of attention when one token is decoded: operations per byte moved.

    Count 2 operations for each multiplication with its addition in the two products (query with keys,
    weights with values), and none for the softmax. Count each key and value as moved once, and also each
    query and each result.

    * batch, tokens: number of texts, and number of keys in each, including the newest
    * heads, groups: query heads, and heads of keys and values
    * head_dim, number_bytes: numbers in a head, and bytes of a number (2 in bfloat16)
    * returns: a float
    """
    ### BEGIN SOLUTION
    return 2 * heads * tokens / (number_bytes * (groups * tokens + heads))
    ### END SOLUTION


@decode_intensity.test("is half an operation a byte for one key of two bytes", points=1)
def _(decode_intensity):
    assert_close(decode_intensity(1, 1, 1, 1, 1, 2), 0.5, message="4 operations; query, key, value and result are read")


@decode_intensity.hidden("counts operations for every query head, and bytes for every shared head", points=2)
def _(decode_intensity):
    for batch, tokens, heads, groups, size, each in (
        (3, 7, 6, 2, 5, 4),
        (1, 100, 8, 8, 16, 2),
        (4, 100, 8, 2, 16, 2),
        (3, 7, 6, 1, 5, 4),
        (2, 50, 32, 8, 128, 1),
        (16, 8192, 64, 8, 128, 2),
    ):
        operations = 2 * (batch * heads * tokens * size) + 2 * (batch * heads * tokens * size)
        moved = each * (2 * batch * groups * tokens * size + 2 * batch * heads * size)
        what = f"with batch={batch}, tokens={tokens}, heads={heads}, groups={groups}, head_dim={size}, {each} bytes"
        assert_close(
            decode_intensity(batch, tokens, heads, groups, size, each), operations / moved, rtol=1e-9, message=what
        )


decode_intensity.mistake(
    "read-for-every-query-head",
    "You counted the keys and values again for every query head; count them once for each group, because sharing that "
    "one reading is the whole point.",
    replace="groups * tokens",
    by="heads * tokens",
)

decode_intensity.mistake(
    "keys-alone",
    "You counted only the bytes of the keys; the values are read too.",
    replace="2 * heads * tokens / (number_bytes * (groups * tokens + heads))",
    by="4 * heads * tokens / (number_bytes * (groups * tokens + 2 * heads))",
)

decode_intensity.mistake(
    "batch-shares-the-cache",
    "You let the whole batch share keys and values, as it shares the weights of a layer; count them for every text, "
    "because each text has its own cache. The batch then cancels.",
    replace="2 * heads * tokens / (number_bytes * (groups * tokens + heads))",
    by="2 * batch * heads * tokens / (number_bytes * (groups * tokens + batch * heads))",
)

decode_intensity.mistake(
    "one-operation",
    "You counted a multiplication with its addition as one operation; count two, as the peak figures of accelerators "
    "do.",
    replace="2 * heads",
    by="heads",
)

decode_intensity.mistake(
    "left-out-queries-and-results",
    "You left out the queries that are read and the results that are written: add 2 · H · d numbers.",
    replace="2 * heads * tokens / (number_bytes * (groups * tokens + heads))",
    by="2 * heads / (number_bytes * groups)",
)

decode_intensity.mistake(
    "operations-of-shared-heads",
    "You counted operations only for the shared heads; count them for every query head, because each one multiplies "
    "with all keys and values.",
    replace="2 * heads",
    by="2 * groups",
)


@decode_intensity.also_correct
def _(batch, tokens, heads, groups, head_dim, number_bytes):
    operations = sum(2 * tokens * head_dim * 2 for _ in range(batch * heads))
    numbers = 2 * batch * head_dim * (groups * tokens + heads)
    return operations / (numbers * number_bytes)
