from numbers import Integral

import torch
from studium import assert_close, exercise
from torch import nn


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "Which matrices and which vectors does one layer own? Write them down with their shapes before you count.",
        "Each linear map from n to m has n · m weights and m biases, and each LayerNorm has two vectors.",
        "A layer has four maps H to H, one H to F, one F to H, and two LayerNorms of H. Let e be the width of the "
        "tables.",
        "Let a small function `linear(n, m)` return n · m + m, and add everything up. `e = width if embedding is None "
        "else embedding`.",
    ),
)
def parameter_bill(vocabulary, embedding, width, hidden, layers, positions, groups):
    """Return how many parameters an encoder has, part by part, as a dict of four whole numbers.

    | key | what it holds |
    |---|---|
    | "tables" | word (V), position and segment (2) tables of width E, and one LayerNorm of E |
    | "projection" | the Linear from E to H |
    | "layers" | for each group: query, key, value, output; up to F, down; two LayerNorms of H |
    | "pooler" | a Linear from H to H |

    Linears have biases; a LayerNorm has a scale and a shift.

    - vocabulary V, embedding E, width H, hidden F, layers L, positions, groups: whole numbers.
    - embedding None means BERT: the tables have width H, and there is no projection. Any number has one, H too.
    - groups: layers in a group share all their parameters.
    """

    ### BEGIN SOLUTION
    def linear(n, m):
        return n * m + m

    e = width if embedding is None else embedding
    layer = 4 * linear(width, width) + linear(width, hidden) + linear(hidden, width) + 2 * 2 * width
    return {
        "tables": (vocabulary + positions + 2) * e + 2 * e,
        "projection": 0 if embedding is None else linear(e, width),
        "layers": groups * layer,
        "pooler": linear(width, width),
    }
    ### END SOLUTION


@parameter_bill.test("counts BERT-base and ALBERT-base to the digit", points=1)
def _(parameter_bill):
    halfway = parameter_bill(30000, 128, 768, 3072, 12, 512, 4)
    expected = {"tables": 3906048, "projection": 99072, "layers": 28351488, "pooler": 590592}
    assert_close(dict(halfway), expected, message="ALBERT-base with four groups of three layers")
    albert = parameter_bill(30000, 128, 768, 3072, 12, 512, 1)
    expected = {"tables": 3906048, "projection": 99072, "layers": 7087872, "pooler": 590592}
    assert_close(dict(albert), expected, message="ALBERT-base, 11 683 584 in all")
    bert = parameter_bill(30522, None, 768, 3072, 12, 512, 12)
    expected = {"tables": 23837184, "projection": 0, "layers": 85054464, "pooler": 590592}
    assert_close(dict(bert), expected, message="BERT-base, 109 482 240 in all")


@parameter_bill.hidden("agrees with PyTorch's own layers, part by part", points=2)
def _(parameter_bill, rng):
    def numel(*modules):
        return sum(weight.numel() for module in modules for weight in module.parameters())

    for case in range(6):
        v, e, w, f, p, n, each = (int(k) for k in torch.randint(2, 9, (7,), generator=rng))
        v, e, w, f = 11 * v + case, 2 * e + 1, 4 * w, 5 * f
        layers = n * each
        with torch.device("meta"):
            for embedding in (e, None):
                e = embedding or w
                tables = numel(nn.Embedding(v, e), nn.Embedding(p, e), nn.Embedding(2, e), nn.LayerNorm(e))
                expected = {
                    "tables": tables,
                    "projection": numel(nn.Linear(e, w)) if embedding else 0,
                    "layers": n * numel(nn.TransformerEncoderLayer(w, 2, f)),
                    "pooler": numel(nn.Linear(w, w)),
                }
                found = parameter_bill(v, embedding, w, f, layers, p, n)
                what = f"V={v}, E={embedding}, H={w}, F={f}, L={layers}, positions={p}, groups={n}"
                assert_close(dict(found), expected, message=what)


@parameter_bill.hidden("gives the totals of the published models, as whole numbers", points=1)
def _(parameter_bill):
    for sizes, expected in (
        ((30000, 128, 1024, 4096, 24, 512, 3), 42876416),
        ((30000, 128, 1024, 4096, 24, 512, 1), 17683968),
        ((30000, 128, 2048, 8192, 24, 512, 1), 58724864),
        ((30000, 128, 4096, 16384, 12, 512, 1), 222595584),
        ((30522, None, 1024, 4096, 24, 512, 24), 335141888),
        ((1000, 64, 64, 256, 2, 32, 1), 124608),
    ):
        bill = parameter_bill(*sizes)
        assert_close(sum(bill.values()), expected, message=f"the total of {sizes}")
        wrong = {key: type(count).__name__ for key, count in bill.items() if not isinstance(count, Integral)}
        assert not wrong, f"counts are whole numbers (int), got {wrong}"


@parameter_bill.misconception(
    "You multiplied by the number of layers; multiply by the number of groups, because all layers of a group share "
    "the same parameters.",
    name="times-layers",
)
def _(vocabulary, embedding, width, hidden, layers, positions, groups):
    return parameter_bill(vocabulary, embedding, width, hidden, layers, positions, layers)


@parameter_bill.misconception(
    "You left out the projection from E to H; count it, because vectors of width E do not fit into layers of width H.",
    name="no-projection",
)
def _(vocabulary, embedding, width, hidden, layers, positions, groups):
    return parameter_bill(vocabulary, embedding, width, hidden, layers, positions, groups) | {"projection": 0}


parameter_bill.mistake(
    "no-projection-if-equal",
    "You left out the projection where E equals H; count it, because the model has one unless `embedding` is None.",
    replace="0 if embedding is None else",
    by="0 if e == width else",
)


@parameter_bill.misconception(
    "You counted only the weights of the layers; a Linear from n to m also has m biases.",
    name="no-biases",
)
def _(vocabulary, embedding, width, hidden, layers, positions, groups):
    bill = parameter_bill(vocabulary, embedding, width, hidden, layers, positions, groups)
    return bill | {"layers": groups * (4 * width * width + 2 * width * hidden + 4 * width)}


@parameter_bill.misconception(
    "You left out the LayerNorms; count a scale and a shift for each, one LayerNorm in the tables and two in every "
    "layer.",
    name="no-layernorms",
)
def _(vocabulary, embedding, width, hidden, layers, positions, groups):
    bill = parameter_bill(vocabulary, embedding, width, hidden, layers, positions, groups)
    e = embedding or width
    return bill | {"tables": bill["tables"] - 2 * e, "layers": bill["layers"] - 4 * width * groups}


@parameter_bill.misconception(
    "You factorised only the word table; in ALBERT the position and segment tables and their norm have width E too.",
    name="positions-at-full-width",
)
def _(vocabulary, embedding, width, hidden, layers, positions, groups):
    bill = parameter_bill(vocabulary, embedding, width, hidden, layers, positions, groups)
    return bill | {"tables": vocabulary * (embedding or width) + (positions + 4) * width}


@parameter_bill.also_correct
def _(vocabulary, embedding, width, hidden, layers, positions, groups):
    e = embedding or width
    attention = 4 * (width**2 + width)
    perceptron = 2 * width * hidden + hidden + width
    bill = {"tables": (vocabulary + positions + 4) * e, "layers": (attention + perceptron + 4 * width) * groups}
    bill["projection"] = e * width + width if embedding else 0
    bill["pooler"] = width * (width + 1)
    return bill


@parameter_bill.also_correct
def _(vocabulary, embedding, width, hidden, layers, positions, groups):
    def count(*shapes):
        return sum(rows * columns for rows, columns in shapes)

    e = width if embedding is None else embedding
    square, down = (width, width + 1), (width, hidden + 1)
    return {
        "tables": count((vocabulary, e), (positions, e), (2, e), (2, e)),
        "projection": count(*([] if embedding is None else [(width, e + 1)])),
        "layers": groups * count(square, square, square, square, (hidden, width + 1), down, (4, width)),
        "pooler": count(square),
    }
