from studium import exercise


@exercise(
    points=2,
    minutes=6,
    level="warm-up",
    importance=2,
    kind="derive",
    hints=(
        "What does the cache keep for one token in one layer?",
        "Start with a key and a value for each of the `kv_heads` heads; then count everything that is repeated.",
        "For one token in one layer, the keys take kv_heads · (width / heads) numbers, and the values take as many.",
        "`2 * kv_heads * (width // heads)` is how many numbers one token takes in one layer.",
    ),
)
def kv_bytes(layers, width, heads, kv_heads, tokens, batch, bytes_each):
    """Return how many bytes the cache of a decoder takes.

    * layers, width, heads: L, D and H; a query head has D / H numbers.
    * kv_heads: G, how many heads of keys and values each layer has, of the same size. G = H, or less where query heads
      share them.
    * tokens: T, for each of the `batch` texts.
    * bytes_each: the bytes of one number, 2 in half precision, 0.5 in int4.
    """
    ### BEGIN SOLUTION
    return 2 * layers * kv_heads * (width // heads) * tokens * batch * bytes_each
    ### END SOLUTION


kv_bytes.equivalent(
    "return 2 * layers * kv_heads * (width / heads) * tokens * batch * bytes_each", "heads divide the width"
)


@kv_bytes.test("counts a cache that is small enough to count by hand", points=1)
def _(kv_bytes):
    found = kv_bytes(3, 8, 4, 4, 5, 1, 2)
    assert found == 480, f"3 layers, 5 tokens, a key and a value of 8 numbers, 2 bytes: 480, got {found}"


@kv_bytes.hidden("is the size of the caches of published models", points=1)
def _(kv_bytes):
    gib = 2**30
    known = [
        ("GPT-3 175B, 2048 tokens of 16 texts in half precision", (96, 12288, 96, 96, 2048, 16, 2), 144 * gib),
        ("Llama 2 7B, 4096 tokens in half precision", (32, 4096, 32, 32, 4096, 1, 2), 2 * gib),
        ("Llama 3 8B, 8192 tokens in half precision", (32, 4096, 32, 8, 8192, 1, 2), gib),
        ("Llama 3 70B, 8192 tokens in half precision", (80, 8192, 64, 8, 8192, 1, 2), 2.5 * gib),
        ("Llama 3 8B, 1000 tokens of 3 texts in int4", (32, 4096, 32, 8, 1000, 3, 0.5), 98_304_000),
    ]
    for name, sizes, expected in known:
        found = kv_bytes(*sizes)
        assert found == expected, f"{name}: {expected:,} bytes, got {found:,}"


kv_bytes.mistake(
    "keys-alone",
    "You counted only the keys or only the values; the cache holds both, so it is twice as large.",
    replace="2 * layers",
    by="layers",
)

kv_bytes.mistake(
    "all-query-heads",
    "You counted as many heads as there are query heads; where these share keys and values, the cache stores only "
    "kv_heads of them.",
    replace="2 * layers * kv_heads * (width // heads)",
    by="2 * layers * width",
)

kv_bytes.mistake(
    "one-layer",
    "You counted only one layer; multiply by `layers`, because each layer has its own keys and values.",
    replace="2 * layers * kv_heads",
    by="2 * kv_heads",
)

kv_bytes.mistake(
    "one-text",
    "You counted only one text; multiply by `batch`, because each text has its own cache.",
    replace="2 * layers * kv_heads * (width // heads) * tokens * batch * bytes_each",
    by="2 * layers * kv_heads * (width // heads) * tokens * bytes_each",
)

kv_bytes.mistake(
    "queries-too",
    "You counted the queries too; leave them out, because a query is used once and never needed again.",
    replace="2 * layers * kv_heads",
    by="(2 * kv_heads + heads) * layers",
)

kv_bytes.mistake(
    "in-gib",
    "You returned GiB; return bytes.",
    replace="bytes_each",
    by="bytes_each / 2**30",
)

kv_bytes.mistake(
    "whole-width-per-head",
    "You gave each key head the whole width; a head has width / heads numbers.",
    replace="2 * layers * kv_heads * (width // heads)",
    by="2 * layers * kv_heads * width",
)


@kv_bytes.also_correct
def _(layers, width, heads, kv_heads, tokens, batch, bytes_each):
    a_token = layers * (kv_heads * width / heads) * bytes_each * 2
    return a_token * tokens * batch
