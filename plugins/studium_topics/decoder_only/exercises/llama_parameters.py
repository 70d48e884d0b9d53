import math

from studium import exercise


@exercise(
    points=3,
    minutes=10,
    level="core",
    importance=2,
    kind="derive",
    hints=(
        "Which tensors does `llama` read from a checkpoint, and what is the shape of each?",
        "Count one layer first: four attention matrices, three matrices in the feed-forward network, two gains. Then "
        "count what is outside the layers.",
        "With shared keys and values, k and v are (kv_width, D), whereas q and o stay (D, D).",
        "`2 * width * width + 2 * width * kv_width` counts the attention of one layer.",
    ),
)
def llama_parameters(vocabulary, width, layers, hidden, kv_width, tied):
    """Return the exact number of parameters of a Llama, without building it.

    * vocabulary, width, layers, hidden: V, D, L and F.
    * kv_width: the width of the keys, and also of the values. Here it is D; in Llama 3, where several heads share keys
      and values, it is less.
    * tied: whether the embedding also serves as the head.

    Return an int. "Llama 3 8B" has 8,030,261,248: V = 128256, D = 4096, L = 32, F = 14336, kv_width 1024, not tied.
    """
    ### BEGIN SOLUTION
    attention = 2 * width * width + 2 * width * kv_width
    layer = attention + 3 * width * hidden + 2 * width
    tables = 1 if tied else 2
    return tables * vocabulary * width + layers * layer + width
    ### END SOLUTION


@llama_parameters.test("counts a model that is small enough to count by hand", points=1)
def _(llama_parameters):
    found = llama_parameters(5, 2, 1, 3, 2, True)
    assert found == 10 + (4 * 4 + 3 * 6 + 2 * 2) + 2, f"10 + (16 + 18 + 4) + 2 = 50 was expected, got {found}"


@llama_parameters.hidden("is the size of each published Llama to the last parameter", points=2)
def _(llama_parameters):
    known = [
        ("Llama 2 7B", (32000, 4096, 32, 11008, 4096, False), 6_738_415_616),
        ("Llama 2 13B", (32000, 5120, 40, 13824, 5120, False), 13_015_864_320),
        ("Llama 3 8B", (128256, 4096, 32, 14336, 1024, False), 8_030_261_248),
        ("Llama 3.2 1B, whose head is the embedding", (128256, 2048, 16, 8192, 512, True), 1_235_814_400),
        ("a toy", (32, 64, 2, 172, 32, True), 92_992),
    ]
    for name, sizes, expected in known:
        found = llama_parameters(*sizes)
        assert found == expected, f"{name} has {expected:,} parameters, got {found:,}"


@llama_parameters.misconception(
    "You counted four square attention matrices; k and v are (kv_width, width), which is smaller where heads share "
    "keys and values.",
    name="square-keys",
)
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 4 * width * width + 3 * width * hidden + 2 * width
    return (1 if tied else 2) * vocabulary * width + layers * layer + width


@llama_parameters.misconception(
    "You counted two matrices in the feed-forward network; a gated one has three: gate, up and down.",
    name="two-feed-forward-matrices",
)
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 2 * width * width + 2 * width * kv_width + 2 * width * hidden + 2 * width
    return (1 if tied else 2) * vocabulary * width + layers * layer + width


@llama_parameters.misconception(
    "You left out the last norm; add one more gain after the layers.",
    name="no-last-norm",
)
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 2 * width * width + 2 * width * kv_width + 3 * width * hidden + 2 * width
    return (1 if tied else 2) * vocabulary * width + layers * layer


@llama_parameters.misconception(
    "You counted the head even when it is tied; a tied model uses one table both as embedding and as head.",
    name="counted-tied-head",
)
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 2 * width * width + 2 * width * kv_width + 3 * width * hidden + 2 * width
    return 2 * vocabulary * width + layers * layer + width


@llama_parameters.misconception(
    "You counted one table even when the head is not tied; an untied head has its own parameters.",
    name="one-table",
)
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 2 * width * width + 2 * width * kv_width + 3 * width * hidden + 2 * width
    return vocabulary * width + layers * layer + width


@llama_parameters.misconception(
    "You left out the two gains of each layer; they are few parameters, but they count.",
    name="no-layer-gains",
)
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 2 * width * width + 2 * width * kv_width + 3 * width * hidden
    return (1 if tied else 2) * vocabulary * width + layers * layer + width


@llama_parameters.misconception("You counted a bias for each norm; RMSNorm has only a gain.", name="norm-biases")
def _(vocabulary, width, layers, hidden, kv_width, tied):
    layer = 2 * width * width + 2 * width * kv_width + 3 * width * hidden + 4 * width
    return (1 if tied else 2) * vocabulary * width + layers * layer + 2 * width


@llama_parameters.also_correct
def _(vocabulary, width, layers, hidden, kv_width, tied):
    shapes = [(vocabulary, width)] * (2 - tied) + [(width,)]
    for _ in range(layers):
        shapes += [(width, width), (kv_width, width), (kv_width, width), (width, width)]
        shapes += [(hidden, width), (hidden, width), (width, hidden), (width,), (width,)]
    return sum(math.prod(shape) for shape in shapes)
