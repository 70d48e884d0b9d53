"""Exercises: an ALBERT's parameter bill, factorised table, shared stack, pairs of sentences and training loop."""

import copy
from functools import partial
from itertools import pairwise
from numbers import Integral

import torch
import torch.nn.functional as F
from studium import assert_close, at_most_mb, exercise
from torch import nn

from studium_topics.albert.model import Layer, Sizes, parts
from studium_topics.kits.weights import drawn

# -------------------------------------------------------------------------------------------------- break_even


@exercise(
    points=2,
    minutes=6,
    level="warm-up",
    importance=2,
    kind="derive",
    hints=(
        "How many numbers do the two factors hold together, and for which E is that exactly V · H?",
        "Solve the inequality for E. At equality nothing is saved, so equality does not count.",
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


@break_even.misconception(
    "You compared V · E with V · H alone; the factor (E, H) that brings the vectors to width H costs parameters, too.",
    name="second-factor-free",
)
def _(vocabulary, width):
    return width - 1


@break_even.misconception(
    "You took half of H, which is the answer only for a square table with V = H. The break-even depends on both sizes.",
    name="half-the-width",
)
def _(vocabulary, width):
    return width // 2


@break_even.misconception(
    "You counted equality as a saving; at V · E + E · H = V · H both ways hold the same number of parameters.",
    name="equality-saves",
)
def _(vocabulary, width):
    return vocabulary * width // (vocabulary + width)


@break_even.misconception(
    "You took the smaller of V and H. That is the largest rank the table can have, and at this E the factors hold more "
    "numbers than the table.",
    name="full-rank",
)
def _(vocabulary, width):
    return min(vocabulary, width)


@break_even.also_correct
def _(vocabulary, width):
    e = vocabulary * width // (vocabulary + width)
    return e - 1 if e * (vocabulary + width) == vocabulary * width else e


@break_even.also_correct
def _(vocabulary, width):
    return -(-vocabulary * width // (vocabulary + width)) - 1


# ------------------------------------------------------------------------------------------------ albert_embed


@exercise(
    points=3,
    minutes=8,
    level="warm-up",
    importance=3,
    kind="write",
    hints=(
        "Which of the five parts work on vectors of width E, and which one leads to width H?",
        "Add three rows of width E, normalise the sum, and only then go to width H.",
        "word and segment rows are (B, T, E), position rows (T, E); `project` makes (B, T, H) of (B, T, E).",
        'An `nn.Embedding` is called with ids: `parts["position"](torch.arange(ids.shape[1]))`; a LayerNorm and a '
        "Linear are called with vectors.",
    ),
)
def albert_embed(ids, segments, parts):
    """Return what enters ALBERT's first layer: word + position + segment at width E, normalised, then at width H.

    | part | what it is |
    |---|---|
    | word, position, segment | `nn.Embedding`, rows of width E |
    | norm | `nn.LayerNorm` of E |
    | project | `nn.Linear` from E to H |

    - ids (B, T): token ids; segments (B, T): 0 or 1.
    - parts: a mapping with these names.
    - Returns (B, T, H). The lesson trains through it.

    No array of V · H numbers is ever made.
    """
    ### BEGIN SOLUTION
    places = torch.arange(ids.shape[1], device=ids.device)
    x = parts["word"](ids) + parts["position"](places) + parts["segment"](segments)  # (B, T, E)
    return parts["project"](parts["norm"](x))
    ### END SOLUTION


@albert_embed.test("adds, normalises and projects, in this order", points=1)
def _(albert_embed):
    generator = torch.Generator().manual_seed(2)
    sizes = {"word": (9, 4), "position": (6, 4), "segment": (2, 4)}
    made = {name: drawn(partial(nn.Embedding, *size), generator) for name, size in sizes.items()}
    made |= {"norm": drawn(lambda: nn.LayerNorm(4), generator), "project": drawn(lambda: nn.Linear(4, 7), generator)}
    ids, segments = torch.tensor([[3, 8, 1], [5, 5, 0]]), torch.tensor([[0, 0, 1], [0, 1, 1]])
    found = albert_embed(ids, segments, made)
    assert tuple(found.shape) == (2, 3, 7), f"expected shape (B, T, H) = (2, 3, 7), got {tuple(found.shape)}"
    z = made["word"].weight[5] + made["position"].weight[1] + made["segment"].weight[1]  # second sentence, token 1
    z = (z - z.mean()) / (z.var(unbiased=False) + made["norm"].eps).sqrt()
    z = z * made["norm"].weight + made["norm"].bias
    expected = made["project"].weight @ z + made["project"].bias
    assert_close(found[1, 1], expected, rtol=1e-4, atol=1e-5, message="sentence 1, token 1")


@albert_embed.hidden("is right for every token, and gradients reach every part", points=1)
def _(albert_embed, rng):
    for batch, length, embedding, width in ((3, 5, 4, 9), (2, 7, 6, 3), (4, 4, 5, 5)):
        sizes = {"word": (11, embedding), "position": (8, embedding), "segment": (2, embedding)}
        made = {name: drawn(partial(nn.Embedding, *size), rng).double() for name, size in sizes.items()}
        made["norm"] = drawn(partial(nn.LayerNorm, embedding), rng).double()
        made["project"] = drawn(partial(nn.Linear, embedding, width), rng).double()
        ids = torch.randint(11, (batch, length), generator=rng)
        segments = torch.randint(2, (batch, length), generator=rng)
        found = albert_embed(ids, segments, made)
        rows = []
        for sentence, kinds in zip(ids.tolist(), segments.tolist(), strict=True):
            for place, (word, kind) in enumerate(zip(sentence, kinds, strict=True)):
                z = made["word"].weight[word] + made["position"].weight[place] + made["segment"].weight[kind]
                z = F.layer_norm(z, (embedding,), made["norm"].weight, made["norm"].bias, made["norm"].eps)
                rows.append(made["project"].weight @ z + made["project"].bias)
        expected = torch.stack(rows).reshape(batch, length, width)
        assert_close(found, expected, rtol=1e-4, atol=1e-5)
        away = torch.randn(expected.shape, generator=rng, dtype=torch.float64)
        weights = [weight for part in made.values() for weight in part.parameters()]
        assert found.requires_grad, "gradients must reach the parts: leave `detach` and `no_grad` away"
        grads = torch.autograd.grad((found * away).sum(), weights, allow_unused=True)
        for name, one, right in zip(
            [name for name, part in made.items() for _ in part.parameters()],
            grads,
            torch.autograd.grad((expected * away).sum(), weights),
            strict=True,
        ):
            assert one is not None, f'no gradient reaches parts["{name}"]'
            assert_close(one, right, rtol=1e-4, atol=1e-5, message=f'the gradient of parts["{name}"]')


@albert_embed.hidden("never makes an array of V · H numbers", points=1)
def _(albert_embed, rng):
    sizes = {"word": (40000, 5), "position": (8, 5), "segment": (2, 5)}
    made = {name: drawn(partial(nn.Embedding, *size), rng) for name, size in sizes.items()}
    made |= {"norm": drawn(lambda: nn.LayerNorm(5), rng), "project": drawn(lambda: nn.Linear(5, 800), rng)}
    ids = torch.randint(40000, (2, 6), generator=rng)
    with at_most_mb(32, "V · H numbers are 122 MB: look rows up first, then project them"):
        found = albert_embed(ids, torch.zeros_like(ids), made)
    assert tuple(found.shape) == (2, 6, 800), f"expected shape (2, 6, 800), got {tuple(found.shape)}"


@albert_embed.misconception(
    "You projected first and normalised the result; ALBERT normalises the sum at width E, and the projection is the "
    "last step.",
    name="norm-after-projection",
)
def _(ids, segments, parts):
    places = torch.arange(ids.shape[1])
    x = parts["word"](ids) + parts["position"](places) + parts["segment"](segments)
    z = parts["project"](x)
    return F.layer_norm(z, z.shape[-1:])


@albert_embed.misconception(
    "You left the LayerNorm out; ALBERT normalises the sum of the three rows before it projects it.",
    name="no-norm",
)
def _(ids, segments, parts):
    places = torch.arange(ids.shape[1])
    return parts["project"](parts["word"](ids) + parts["position"](places) + parts["segment"](segments))


@albert_embed.misconception(
    "You projected the word's row alone and left position and segment out; in ALBERT all three tables have width E, "
    "and their sum is projected.",
    name="words-alone",
)
def _(ids, segments, parts):
    return parts["project"](parts["norm"](parts["word"](ids)))


@albert_embed.misconception(
    "You left out the bias of the projection; `project` is a Linear with a weight and a bias, and both are trained.",
    name="no-bias",
)
def _(ids, segments, parts):
    places = torch.arange(ids.shape[1])
    x = parts["word"](ids) + parts["position"](places) + parts["segment"](segments)
    return parts["norm"](x) @ parts["project"].weight.T


@albert_embed.also_correct
def _(ids, segments, parts):
    x = F.embedding(ids, parts["word"].weight) + parts["position"].weight[: ids.size(1)]
    x = parts["norm"](x + parts["segment"].weight[segments])
    return torch.einsum("bte,he->bth", x, parts["project"].weight) + parts["project"].bias


@albert_embed.also_correct
def _(ids, segments, parts):
    places = torch.arange(ids.size(-1)).expand(ids.shape)
    rows = torch.stack([parts["word"](ids), parts["position"](places), parts["segment"](segments)]).sum(0)
    return parts["project"](parts["norm"](rows))


# ---------------------------------------------------------------------------------------------- parameter_bill


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "Which matrices and which vectors does one layer own? Write them down with their shapes before you count.",
        "Each linear map from n to m has n · m weights and m biases, and each LayerNorm has two vectors.",
        "A layer has four maps H to H, one H to F, one F to H, and two LayerNorms of H. Let e be the tables' width.",
        "Let a small function `linear(n, m)` return n · m + m, and add up. `e = width if embedding is None else "
        "embedding`.",
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
    - embedding None means BERT: the tables have width H, and there is no projection.
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
        v, e, w, f = 11 * v + case, 3 * e, 4 * w, 5 * f
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
    ):
        bill = parameter_bill(*sizes)
        assert_close(sum(bill.values()), expected, message=f"the total of {sizes}")
        wrong = {key: type(count).__name__ for key, count in bill.items() if not isinstance(count, Integral)}
        assert not wrong, f"counts are whole numbers (int), got {wrong}"


@parameter_bill.misconception(
    "You multiplied by the number of layers; layers of one group are the same parameters, so they are counted once a "
    "group.",
    name="times-layers",
)
def _(vocabulary, embedding, width, hidden, layers, positions, groups):
    return parameter_bill(vocabulary, embedding, width, hidden, layers, positions, layers)


@parameter_bill.misconception(
    "You forgot the projection from E to H; without it, vectors of width E do not fit into layers of width H.",
    name="no-projection",
)
def _(vocabulary, embedding, width, hidden, layers, positions, groups):
    return parameter_bill(vocabulary, embedding, width, hidden, layers, positions, groups) | {"projection": 0}


@parameter_bill.misconception(
    "You counted the weights of the layers without their biases; a Linear from n to m also has m biases.",
    name="no-biases",
)
def _(vocabulary, embedding, width, hidden, layers, positions, groups):
    bill = parameter_bill(vocabulary, embedding, width, hidden, layers, positions, groups)
    return bill | {"layers": groups * (4 * width * width + 2 * width * hidden + 4 * width)}


@parameter_bill.misconception(
    "You left the LayerNorms out; each has a scale and a shift, one in the tables and two in every layer.",
    name="no-layernorms",
)
def _(vocabulary, embedding, width, hidden, layers, positions, groups):
    bill = parameter_bill(vocabulary, embedding, width, hidden, layers, positions, groups)
    e = embedding or width
    return bill | {"tables": bill["tables"] - 2 * e, "layers": bill["layers"] - 4 * width * groups}


@parameter_bill.misconception(
    "You factorised the word table alone; in ALBERT the position and segment tables and their norm have width E, too.",
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


# ------------------------------------------------------------------------------------------------ shared_stack


@exercise(
    points=4,
    minutes=10,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "With 6 layers and 2 groups, which group does each of the six layers use?",
        "Walk through the layers in order. Each group serves for one block of layers that follow each other.",
        "There are L states after the first one. A group is used L / N times, and each result enters the next layer.",
        "`groups[k](x, real)` runs one layer; `layer // (layers // len(groups))` is a whole number.",
    ),
)
def shared_stack(x, real, groups, layers):
    """Return all states of a stack in which layers share parameters: x, and what leaves each of the L layers.

    - x (B, T, H): what enters the first layer.
    - real (B, T), bool: passed on to each layer as it is.
    - groups: N layers; `groups[k](x, real)` returns (B, T, H).
    - layers: L, a multiple of N. The first L / N layers use the first group, the next L / N the second, and so on.

    Returns a list of L + 1 tensors. The groups are used as they are, so that gradients reach them; the lesson trains
    through it.
    """
    ### BEGIN SOLUTION
    states = [x]
    for layer in range(layers):
        group = groups[layer // (layers // len(groups))]
        states.append(group(states[-1], real))
    return states
    ### END SOLUTION


@shared_stack.test("uses each group for consecutive layers", points=1)
def _(shared_stack):
    generator = torch.Generator().manual_seed(4)
    groups = [drawn(lambda: Layer(4, 2, 6), generator) for _ in range(3)]
    x = torch.randn(2, 3, 4, generator=generator)
    real = torch.tensor([[True, True, True], [True, True, False]])
    found = list(shared_stack(x, real, groups, 6))
    assert len(found) == 7, f"x and what leaves each of 6 layers are 7 states, got {len(found)}"
    assert_close(found[0], x, message="the first state is x")
    for number, group in enumerate((0, 0, 1, 1, 2, 2)):
        expected = groups[group](found[number], real)
        what = f"6 layers of 3 groups: state {number + 1} is what group {group} makes of state {number}"
        assert_close(found[number + 1], expected, rtol=1e-4, atol=1e-5, message=what)


@shared_stack.hidden("runs the right group on the last state with the mask, for many sizes", points=1)
def _(shared_stack, rng):
    for count, layers in ((2, 6), (1, 5), (4, 4), (3, 12), (2, 2)):
        groups = [drawn(lambda: Layer(6, 2, 5), rng, scale=0.4).double() for _ in range(count)]
        state = torch.randn(3, 4, 6, generator=rng, dtype=torch.float64)
        real = torch.rand(3, 4, generator=rng) < 0.6
        real[:, 0], real[0, 1] = True, False
        found = list(shared_stack(state, real, groups, layers))
        assert len(found) == layers + 1, f"expected {layers + 1} states, got {len(found)}"
        order = [group for group in range(count) for _ in range(layers // count)]
        for number, one in enumerate(found):
            what = f"state {number} of {layers} layers in {count} groups, which are used as {order}"
            assert_close(one, state, rtol=1e-4, atol=1e-5, message=what)
            if number < layers:
                state = groups[order[number]](state, real)


@shared_stack.hidden("lets the gradient of a shared layer be the sum over its uses", points=2)
def _(shared_stack, rng):
    for count, layers in ((1, 4), (2, 6)):
        groups = [drawn(lambda: Layer(8, 2, 12), rng, scale=0.4).double() for _ in range(count)]
        x = torch.randn(2, 5, 8, generator=rng, dtype=torch.float64).requires_grad_()
        real = torch.tensor([[True] * 5, [True, True, True, False, False]])
        away = torch.randn(2, 5, 8, generator=rng, dtype=torch.float64)
        states = shared_stack(x, real, groups, layers)
        assert states[-1].requires_grad, "gradients must reach the groups: leave `detach` and `no_grad` away"
        (states[-1] * away).sum().backward()
        copies = [copy.deepcopy(groups[number // (layers // count)]) for number in range(layers)]
        state = again = x.detach().clone().requires_grad_()
        for one in copies:
            one.zero_grad()
            state = one(state, real)
        (state * away).sum().backward()
        assert x.grad is not None, "no gradient reaches x: every layer takes the state before it as it is"
        assert_close(x.grad, again.grad, rtol=1e-4, atol=1e-6, message="the gradient of x")
        for number, group in enumerate(groups):
            mine = copies[number * (layers // count) : (number + 1) * (layers // count)]
            for (name, weight), *uses in zip(
                group.named_parameters(), *(one.parameters() for one in mine), strict=True
            ):
                assert weight.grad is not None, (
                    f"no gradient reaches {name} of group {number}: use the groups themselves, not copies of them"
                )
                expected = sum(use.grad for use in uses)
                assert_close(weight.grad, expected, rtol=1e-4, atol=1e-6, message=f"the gradient of {name}")


@shared_stack.misconception(
    "You went round the groups, 0 1 2 0 1 2; the layers that share are neighbours here: 0 0 1 1 2 2.",
    name="round-robin",
)
def _(x, real, groups, layers):
    states = [x]
    for layer in range(layers):
        states.append(groups[layer % len(groups)](states[-1], real))
    return states


@shared_stack.misconception(
    "You ran each group once, which makes a stack of N layers. Sharing saves parameters; L layers are still computed.",
    name="each-group-once",
)
def _(x, real, groups, layers):
    states = [x]
    for group in groups:
        states.append(group(states[-1], real))
    return states


@shared_stack.misconception(
    "You gave x to every layer; each layer takes what left the layer before it.",
    name="always-from-x",
)
def _(x, real, groups, layers):
    return [x, *(groups[layer // (layers // len(groups))](x, real) for layer in range(layers))]


@shared_stack.also_correct
def _(x, real, groups, layers):
    states = [x]
    for group in groups:
        for _ in range(layers // len(groups)):
            states.append(group(states[-1], real))
    return states


@shared_stack.also_correct
def _(x, real, groups, layers):
    found = (x,)
    for layer in range(layers):
        found += (groups[layer * len(groups) // layers](found[layer], real),)
    return found


# --------------------------------------------------------------------------------------------- gradient_by_use


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=2,
    kind="measure",
    hints=(
        "Autograd adds up the gradients of all uses of one tensor. What if each use had a tensor of its own?",
        "Give every use its own copy of the weight, run the stack with the copies, and ask for the gradient of each.",
        "There are L copies, each a leaf of the graph with the shape of the weight; L gradients make (L, *shape).",
        "`weight.detach().clone().requires_grad_()` is such a copy; `torch.autograd.grad(value, copies)` gives one "
        "gradient a copy and leaves every `.grad` alone.",
    ),
)
def gradient_by_use(layer, x, weight, uses, loss):
    """Return what each use of a shared weight contributes to its gradient.

    A stack applies `layer(x, weight)` to x `uses` times, each time with the same weight, and `loss` takes the result.
    Row i of the answer is the gradient of the loss if the weight is varied in use i alone (0 is the first use) and
    held fixed in all others.

    - layer(x, weight): returns a tensor like x.
    - x: a tensor; weight: a tensor, which may require a gradient or not.
    - uses: L, 1 or more.
    - loss(x): returns one number, a tensor.
    - Returns (L, *weight.shape). x, weight and their `.grad` stay as they are.
    """
    ### BEGIN SOLUTION
    copies = [weight.detach().clone().requires_grad_() for _ in range(uses)]
    for each in copies:
        x = layer(x, each)
    return torch.stack(torch.autograd.grad(loss(x), copies))
    ### END SOLUTION


gradient_by_use.equivalent(
    "copies = [weight.detach().requires_grad_() for _ in range(uses)]",
    "each detach makes a tensor of its own, and nothing writes to the numbers that they share",
)
gradient_by_use.equivalent(
    "copies = [weight.clone().requires_grad_() for _ in range(uses)]",
    "autograd.grad takes the gradient at a copy inside a graph just as well",
)


@gradient_by_use.test("splits the gradient of w x + w, applied three times, into its uses", points=1)
def _(gradient_by_use):
    weight, x = torch.tensor(3.0), torch.tensor(2.0)
    found = gradient_by_use(lambda x, w: w * x + w, x, weight, 3, lambda x: x)
    # 3 · 2 + 3 = 9, 3 · 9 + 3 = 30, 3 · 30 + 3 = 93: use i gives 3^(2 - i) · (x_i + 1)
    assert_close(found, torch.tensor([27.0, 30.0, 31.0]), message="w x + w three times, from x = 2 with w = 3")


@gradient_by_use.hidden("agrees with moving the weight in one use alone", points=2)
def _(gradient_by_use, rng):
    for uses, width in ((4, 3), (2, 5), (1, 4)):
        weight = torch.randn(width, width, generator=rng, dtype=torch.float64)
        x = torch.randn(6, width, generator=rng, dtype=torch.float64)
        aim = torch.randn(6, width, generator=rng, dtype=torch.float64)

        def layer(x, w):
            return torch.tanh(x @ w) + 0.5 * x * w[0]

        def loss(x, aim=aim):
            return (x - aim).square().sum()

        found = torch.as_tensor(gradient_by_use(layer, x, weight, uses, loss))
        shape = (uses, width, width)
        assert tuple(found.shape) == shape, f"expected shape (L, *weight.shape) = {shape}, got {tuple(found.shape)}"
        way = torch.randn(width, width, generator=rng, dtype=torch.float64)
        for use in range(uses):
            values = []
            for step in (1e-5, -1e-5):
                state = x
                for number in range(uses):
                    state = layer(state, weight + step * way if number == use else weight)
                values.append(float(loss(state)))
            slope = (values[0] - values[1]) / 2e-5
            assert_close(
                float((found[use] * way).sum()),
                slope,
                rtol=1e-4,
                atol=1e-4,
                message=f"use {use} of {uses}, one direction",
            )
        tied, state = weight.clone().requires_grad_(), x
        for _ in range(uses):
            state = layer(state, tied)
        loss(state).backward()
        assert_close(found.sum(0), tied.grad, rtol=1e-5, atol=1e-6, message="the rows must sum to the tied gradient")


@gradient_by_use.hidden("leaves its arguments alone", points=1)
def _(gradient_by_use, rng):
    for needed in (True, False):
        weight = torch.randn(3, 4, 4, generator=rng)[1].requires_grad_(needed)
        x = torch.randn(2, 4, generator=rng).requires_grad_(needed)
        before = weight.detach().clone(), x.detach().clone()
        found = gradient_by_use(lambda x, w: torch.sin(x @ w), x, weight, 3, lambda x: x.square().mean())
        assert isinstance(found, torch.Tensor), f"a tensor is expected, got {type(found).__name__}"
        assert weight.grad is None, "the `.grad` of the weight must stay as it is"
        assert x.grad is None, "the `.grad` of x must stay as it is"
        assert weight.requires_grad is needed, "whether the weight requires a gradient must stay as it is"
        assert x.requires_grad is needed, "whether x requires a gradient must stay as it is"
        assert_close(weight.detach(), before[0], message="the weight")
        assert_close(x.detach(), before[1], message="x")
        copies = [before[0].clone().requires_grad_() for _ in range(3)]
        state = before[1]
        for each in copies:
            state = torch.sin(state @ each)
        state.square().mean().backward()
        assert_close(found, torch.stack([each.grad for each in copies]), rtol=1e-4, atol=1e-6)


@gradient_by_use.misconception(
    "You used one tensor for all uses, so that every row is the whole gradient. Give each use a tensor of its own.",
    name="one-tensor",
)
def _(layer, x, weight, uses, loss):
    tied = weight.detach().clone().requires_grad_()
    for _ in range(uses):
        x = layer(x, tied)
    (grad,) = torch.autograd.grad(loss(x), [tied])
    return torch.stack([grad] * uses)


@gradient_by_use.misconception(
    "You divided the whole gradient by the number of uses. The uses contribute differently: each sees another state.",
    name="equal-shares",
)
def _(layer, x, weight, uses, loss):
    tied = weight.detach().clone().requires_grad_()
    for _ in range(uses):
        x = layer(x, tied)
    (grad,) = torch.autograd.grad(loss(x), [tied])
    return torch.stack([grad / uses] * uses)


@gradient_by_use.misconception(
    "You took the loss right after each use. What use i changes also travels through all later uses before it reaches "
    "the loss.",
    name="loss-after-each-use",
)
def _(layer, x, weight, uses, loss):
    rows = []
    for _ in range(uses):
        each = weight.detach().clone().requires_grad_()
        x = layer(x, each)
        rows.append(torch.autograd.grad(loss(x), [each])[0])
        x = x.detach()
    return torch.stack(rows)


@gradient_by_use.misconception(
    "Your rows are in reverse order; row 0 belongs to the first use, the one that is farthest from the loss.",
    name="last-use-first",
)
def _(layer, x, weight, uses, loss):
    copies = [weight.detach().clone().requires_grad_() for _ in range(uses)]
    for each in copies:
        x = layer(x, each)
    return torch.stack(torch.autograd.grad(loss(x), copies[::-1]))


@gradient_by_use.also_correct
def _(layer, x, weight, uses, loss):
    unrolled = torch.stack([weight.detach()] * uses).requires_grad_()
    for use in range(uses):
        x = layer(x, unrolled[use])
    return torch.autograd.grad(loss(x), unrolled)[0]


@gradient_by_use.also_correct
def _(layer, x, weight, uses, loss):
    def unrolled(weights):
        state = x.detach()
        for each in weights:
            state = layer(state, each)
        return loss(state)

    rows = []
    for use in range(uses):
        each = weight.detach().clone().requires_grad_()
        others = [weight.detach()] * uses
        unrolled([*others[:use], each, *others[use + 1 :]]).backward()
        rows.append(each.grad)
    return torch.stack(rows)


# ------------------------------------------------------------------------------------------------------ albert


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "Which of your earlier functions make the states, and what do they need besides `parts`?",
        "Embed, run the stack with the mask of real tokens, take the last state. The pooler reads its first token.",
        "The mask is (B, T); the last state (B, T, H); its first token (B, H), and so is what leaves the pooler.",
        '`torch.tanh(parts["pooler"](first))`; the stack takes `parts["groups"]`.',
    ),
)
def albert(ids, segments, parts, layers, pad):
    """Return the two results of a whole ALBERT: the last state of every token, and the pooled sentence.

    - ids (B, T): token ids, `pad` where a sentence is filled up; segments (B, T): 0 or 1.
    - parts: a mapping as for `albert_embed`, with "groups", the layers for `shared_stack`, and "pooler", a Linear.
    - layers: L, how many layers are computed.
    - pad: the id of padding, any whole number.
    - Returns (states (B, T, H), pooled (B, H)).

    No token reads a padded one. The pooled sentence is the pooler's answer to the first token, through tanh.
    The lesson trains through both.
    """
    ### BEGIN SOLUTION
    x = albert_embed(ids, segments, parts)
    last = shared_stack(x, ids != pad, parts["groups"], layers)[-1]
    return last, torch.tanh(parts["pooler"](last[:, 0]))
    ### END SOLUTION


@albert.test("returns the last states and the pooled sentences", points=1)
def _(albert):
    made = parts(Sizes(vocabulary=13, embedding=4, width=8, hidden=12, heads=2, groups=2, length=9), seed=3)
    ids = torch.tensor([[1, 5, 6, 2, 7], [1, 8, 2, 0, 0]])
    segments = torch.tensor([[0, 0, 0, 0, 1], [0, 0, 0, 1, 1]])
    states, pooled = albert(ids, segments, made, 4, 0)
    assert tuple(states.shape) == (2, 5, 8), f"expected states (B, T, H) = (2, 5, 8), got {tuple(states.shape)}"
    z = made["word"].weight[ids] + made["position"].weight[:5] + made["segment"].weight[segments]
    z = made["project"](made["norm"](z))
    for number in (0, 0, 1, 1):
        z = made["groups"][number](z, ids != 0)
    assert_close(states[0], z[0], rtol=1e-4, atol=1e-5, message="the states of a sentence without padding")
    expected = torch.tanh(z[:, 0] @ made["pooler"].weight.T + made["pooler"].bias)
    assert_close(pooled, expected, rtol=1e-4, atol=1e-5, message="the pooled sentences")


@albert.hidden("equals the same sentence without padding, whatever the id of padding", points=2)
def _(albert, rng):
    for pad, groups, layers in ((4, 2, 4), (0, 1, 3), (12, 3, 3)):
        sizes = Sizes(vocabulary=13, embedding=6, width=8, hidden=10, heads=2, groups=groups, length=9)
        made = drawn(partial(parts, sizes), rng, scale=0.4).double()
        lengths, words = (7, 4, 5), [n for n in range(13) if n != pad]
        ids = torch.full((3, 7), pad)
        segments = torch.randint(2, (3, 7), generator=rng)
        for row, length in enumerate(lengths):
            chosen = torch.randint(len(words), (length,), generator=rng)
            ids[row, :length] = torch.tensor(words)[chosen]
        states, pooled = albert(ids, segments, made, layers, pad)
        assert tuple(pooled.shape) == (3, 8), f"expected pooled (B, H) = (3, 8), got {tuple(pooled.shape)}"
        for row, length in enumerate(lengths):
            one, kinds = ids[row, :length], segments[row, :length]
            z = made["word"].weight[one] + made["position"].weight[:length] + made["segment"].weight[kinds]
            z = made["project"](made["norm"](z))[None]
            for number in range(layers):
                z = made["groups"][number * groups // layers](z, torch.ones(1, length, dtype=torch.bool))
            what = f"a sentence of {length} tokens beside one of 7, with pad = {pad}"
            assert_close(states[row, :length], z[0], rtol=1e-4, atol=1e-5, message=f"the states of {what}")
            right = torch.tanh(made["pooler"].weight @ z[0, 0] + made["pooler"].bias)
            assert_close(pooled[row], right, rtol=1e-4, atol=1e-5, message=f"the pooled vector of {what}")


@albert.hidden("lets gradients reach every part through both results", points=1)
def _(albert, rng):
    sizes = Sizes(vocabulary=13, embedding=6, width=8, hidden=10, heads=2, groups=2, length=9)
    made = drawn(partial(parts, sizes), rng, scale=0.4).double()
    ids, segments = torch.randint(1, 13, (3, 6), generator=rng), torch.randint(2, (3, 6), generator=rng)
    away, along = torch.randn(3, 6, 8, generator=rng).double(), torch.randn(3, 8, generator=rng).double()
    z = made["word"].weight[ids] + made["position"].weight[:6] + made["segment"].weight[segments]
    z = made["project"](made["norm"](z))
    for number in (0, 0, 1, 1):
        z = made["groups"][number](z, ids > 0)
    names = [(name, weight) for name, weight in made.named_parameters() if not name.startswith("order")]
    right = ((z * away).sum(), (torch.tanh(made["pooler"](z[:, 0])) * along).sum())
    states, pooled = albert(ids, segments, made, 4, 0)
    for what, found, expected in (
        ("states", (states * away).sum(), right[0]),
        ("pooled", (pooled * along).sum(), right[1]),
    ):
        assert found.requires_grad, f"gradients must flow through `{what}`: leave `detach` and `no_grad` away"
        weights = [weight for _, weight in names]
        grads = (
            torch.autograd.grad(value, weights, retain_graph=True, allow_unused=True) for value in (found, expected)
        )
        for (name, _), one, wanted in zip(names, *grads, strict=True):
            if wanted is None:
                continue
            assert one is not None, f"no gradient of `{what}` reaches {name}"
            assert_close(one, wanted, rtol=1e-4, atol=1e-6, message=f"the gradient of {name} through `{what}`")


@albert.misconception(
    "You ran every group once; ALBERT computes all L layers, it only stores fewer of them.",
    name="groups-instead-of-layers",
)
def _(ids, segments, parts, layers, pad):
    x = albert_embed(ids, segments, parts)
    last = shared_stack(x, ids != pad, parts["groups"], len(parts["groups"]))[-1]
    return last, torch.tanh(parts["pooler"](last[:, 0]))


@albert.misconception(
    "You let all tokens read the padding; a sentence then changes with the length of its neighbours in the batch.",
    name="no-mask",
)
def _(ids, segments, parts, layers, pad):
    x = albert_embed(ids, segments, parts)
    last = shared_stack(x, torch.ones_like(ids, dtype=torch.bool), parts["groups"], layers)[-1]
    return last, torch.tanh(parts["pooler"](last[:, 0]))


@albert.misconception(
    "You took 0 for padding; the id of padding is the argument `pad`.",
    name="pad-is-zero",
)
def _(ids, segments, parts, layers, pad):
    x = albert_embed(ids, segments, parts)
    last = shared_stack(x, ids != 0, parts["groups"], layers)[-1]
    return last, torch.tanh(parts["pooler"](last[:, 0]))


@albert.misconception(
    "You left tanh out; the pooler is a Linear followed by tanh.",
    name="no-tanh",
)
def _(ids, segments, parts, layers, pad):
    x = albert_embed(ids, segments, parts)
    last = shared_stack(x, ids != pad, parts["groups"], layers)[-1]
    return last, parts["pooler"](last[:, 0])


@albert.misconception(
    "You pooled the mean of all tokens; ALBERT's pooler, like BERT's, reads the first token, [CLS].",
    name="pooled-the-mean",
)
def _(ids, segments, parts, layers, pad):
    x = albert_embed(ids, segments, parts)
    last = shared_stack(x, ids != pad, parts["groups"], layers)[-1]
    return last, torch.tanh(parts["pooler"](last.mean(1)))


@albert.also_correct
def _(ids, segments, parts, layers, pad):
    real = ids.ne(pad)
    *_, last = shared_stack(albert_embed(ids, segments, parts), real, parts["groups"], layers)
    pooler = parts["pooler"]
    return last, F.linear(last.select(1, 0), pooler.weight, pooler.bias).tanh()


@albert.also_correct
def _(ids, segments, parts, layers, pad):
    x = parts["word"](ids) + parts["segment"](segments) + parts["position"].weight[: ids.shape[1]]
    x = parts["project"](parts["norm"](x))
    for group in parts["groups"]:
        for _ in range(layers // len(parts["groups"])):
            x = group(x, ids != pad)
    return [x, parts["pooler"](x[:, 0]).tanh()]


# --------------------------------------------------------------------------------------------------- sop_pairs


@exercise(
    points=4,
    minutes=10,
    level="core",
    importance=3,
    kind="find the bug",
    hints=(
        "Print the pairs of one document. From which column can you tell the label without reading the words?",
        "A segment says which of the two places a token is in: the first or the second.",
        "Segments are 0 for [CLS], the first sentence and its [SEP], and 1 for the rest, whatever the label.",
        "Decide the order first, and number the places afterwards: `for segment, sentence in enumerate(...)`.",
    ),
)
def sop_pairs(docs, generator, cls, sep):
    """Return the pairs of sentence-order prediction, a list of (ids, segments, label).

    A model trained on the pairs of this code is always right after a few steps, and knows nothing about order:

    ```python
    pairs = []
    for document in docs:
        for first, second in pairwise(document):
            places = [(first, 0), (second, 1)]
            label = int(torch.randint(2, (), generator=generator))
            if label:
                places.reverse()
            ids, segments = [cls], [places[0][1]]
            for sentence, segment in places:
                ids += [*sentence, sep]
                segments += [segment] * (len(sentence) + 1)
            pairs.append((ids, segments, label))
    return pairs
    ```

    - docs: lists of sentences; a sentence is a list of ids.
    - Label 0: in order. 1: swapped. Each has probability 1/2, drawn anew for each pair from `generator`.
    """
    ### BEGIN SOLUTION
    pairs = []
    for document in docs:
        for first, second in pairwise(document):
            places = [first, second]
            label = int(torch.randint(2, (), generator=generator))
            if label:
                places.reverse()
            ids, segments = [cls], [0]
            for segment, sentence in enumerate(places):
                ids += [*sentence, sep]
                segments += [segment] * (len(sentence) + 1)
            pairs.append((ids, segments, label))
    return pairs
    ### END SOLUTION


@sop_pairs.test("numbers the places and not the sentences", points=1)
def _(sop_pairs):
    generator = torch.Generator().manual_seed(0)
    for _ in range(12):
        pairs = list(sop_pairs([[[11, 12], [13, 14, 15, 16]]], generator, 1, 2))
        assert len(pairs) == 1, f"two sentences make one pair, got {len(pairs)}"
        ids, segments, label = pairs[0]
        ids, segments, label = [int(i) for i in ids], [int(s) for s in segments], int(label)
        expected = [1, 13, 14, 15, 16, 2, 11, 12, 2] if label else [1, 11, 12, 2, 13, 14, 15, 16, 2]
        assert ids == expected, f"label {label} (1 means swapped) goes with the ids {expected}, got {ids}"
        head = 6 if label else 4
        wanted = [0] * head + [1] * (9 - head)
        assert segments == wanted, f"for the ids {ids} the segments are {wanted}, got {segments}"


@sop_pairs.hidden("pairs all neighbours of a document in order, and no others", points=2)
def _(sop_pairs, rng):
    for sizes in ((4, 1, 5, 2), (2, 3), (1, 6, 1)):
        docs = [
            [[1000 + 100 * d + 10 * s + w for w in range(1 + (2 * d + s) % 4)] for s in range(size)]
            for d, size in enumerate(sizes)
        ]
        keep = copy.deepcopy(docs)
        neighbours = [(document[s], document[s + 1]) for document in docs for s in range(len(document) - 1)]
        for _ in range(6):
            pairs = list(sop_pairs(docs, rng, 7, 8))
            assert docs == keep, "`docs` must stay as it is"
            assert len(pairs) == len(neighbours), f"expected {len(neighbours)} pairs, got {len(pairs)}"
            for (first, second), (ids, segments, label) in zip(neighbours, pairs, strict=True):
                ids, segments, label = [int(i) for i in ids], [int(s) for s in segments], int(label)
                assert label in (0, 1), f"a label is 0 or 1, got {label}"
                a, b = (second, first) if label else (first, second)
                expected = [7, *a, 8, *b, 8]
                assert ids == expected, f"label {label} of the neighbours {first}, {second}: {expected}, got {ids}"
                wanted = [0] * (len(a) + 2) + [1] * (len(b) + 1)
                assert segments == wanted, f"for the ids {ids} the segments are {wanted}, got {segments}"


@sop_pairs.hidden("tosses a fair coin for each pair, with the generator that it is given", points=1)
def _(sop_pairs, rng):
    docs = [[[100 * d + s] for s in range(21)] for d in range(1, 61)]
    seed = int(torch.randint(10**6, (), generator=rng))
    one, two, three = (
        [int(pair[2]) for pair in sop_pairs(docs, torch.Generator().manual_seed(s), 0, 1)]
        for s in (seed, seed, seed + 1)
    )
    assert one == two, "the same seed must give the same labels: take all randomness from the generator"
    assert one != three, "another seed must give other labels: take the randomness from the generator"
    assert abs(sum(one) - 600) <= 87, f"about 600 of 1200 pairs should be swapped (label 1), got {sum(one)}"  # 5 sigma
    alike = sum(len(set(one[i : i + 20])) == 1 for i in range(0, 1200, 20))
    assert alike <= 3, f"toss the coin anew for each pair: in {alike} of 60 documents all 20 labels are the same"
    follow = sum(a != b for a, b in pairwise(one))
    assert abs(follow - 600) <= 87, f"about 600 of 1199 labels should differ from the one before, {follow} do"
    again = torch.Generator().manual_seed(seed)
    twos = [[int(pair[2]) for pair in sop_pairs([[[7], [8], [9]]], again, 0, 1)] for _ in range(60)]
    alike = sum(first == second for first, second in twos)
    assert 10 < alike < 50, f"two labels of one document should be the same in about 30 of 60 calls, {alike} are"


@sop_pairs.misconception(
    "The bug is still there: each sentence keeps its own segment when the two change places, so that the segment of "
    "[CLS] is the label.",
    name="segments-travel",
)
def _(docs, generator, cls, sep):
    pairs = []
    for ids, segments, label in sop_pairs(docs, generator, cls, sep):
        pairs.append((ids, [1 - segment for segment in segments] if label else segments, label))
    return pairs


@sop_pairs.misconception(
    "You took the second sentence of a swapped pair from another document. That is BERT's next sentence prediction, "
    "which the topic gives away; here a negative holds the same two sentences.",
    name="next-sentence-prediction",
)
def _(docs, generator, cls, sep):
    pairs = []
    for number, document in enumerate(docs):
        for first, second in pairwise(document):
            label = int(torch.randint(2, (), generator=generator))
            if label:
                second = docs[(number + 1) % len(docs)][0]
            pairs.append(([cls, *first, sep, *second, sep], [0] * (len(first) + 2) + [1] * (len(second) + 1), label))
    return pairs


@sop_pairs.misconception(
    "You swapped the labels; as in the library, 0 is in order and 1 is swapped.",
    name="labels-swapped",
)
def _(docs, generator, cls, sep):
    return [(ids, segments, 1 - label) for ids, segments, label in sop_pairs(docs, generator, cls, sep)]


@sop_pairs.misconception(
    "You gave every token segment 0. The label no longer leaks, but the model cannot tell the two sentences apart.",
    name="no-segments",
)
def _(docs, generator, cls, sep):
    return [(ids, [0] * len(ids), label) for ids, _, label in sop_pairs(docs, generator, cls, sep)]


@sop_pairs.misconception(
    "You split the document into pairs, 1 and 2, 3 and 4; each sentence with a next one makes a pair, so that most "
    "sentences are in two.",
    name="pairs-do-not-overlap",
)
def _(docs, generator, cls, sep):
    return sop_pairs([d[i : i + 2] for d in docs for i in range(0, len(d) - 1, 2)], generator, cls, sep)


@sop_pairs.also_correct
def _(docs, generator, cls, sep):
    pairs = []
    for document in docs:
        for place in range(len(document) - 1):
            a, b = document[place], document[place + 1]
            swapped = torch.rand((), generator=generator).item() < 0.5
            if swapped:
                a, b = b, a
            head = [cls, *a, sep]
            pairs.append(([*head, *b, sep], [0] * len(head) + [1] * (len(b) + 1), int(swapped)))
    return pairs


@sop_pairs.also_correct
def _(docs, generator, cls, sep):
    neighbours = [both for document in docs for both in pairwise(document)]
    labels = torch.randint(2, (len(neighbours),), generator=generator)
    pairs = []
    for both, label in zip(neighbours, labels, strict=True):
        a, b = both[::-1] if label else both
        ids = torch.tensor([cls, *a, sep, *b, sep])
        pairs.append((ids, (torch.arange(len(ids)) >= len(a) + 2).long(), label))
    return pairs


# ------------------------------------------------------------------------------------------------- train_order


@exercise(
    points=6,
    minutes=25,
    level="integrative",
    importance=3,
    kind="write",
    hints=(
        "What has to happen once before the loop, and which seven things in every step?",
        "In a step: make a rectangle of the pairs, run the encoder and the order head, find the loss, clear the "
        "gradients, go backward, clip, step.",
        "A batch of B pairs becomes ids and segments (B, T), T for the longest, and labels (B,); logits are (B, 2).",
        '`torch.optim.Adam(parts.parameters(), lr=lr)`; `F.cross_entropy(parts["order"](pooled), labels)`; '
        "`nn.utils.clip_grad_norm_(parts.parameters(), 1.0)`.",
    ),
)
def train_order(parts, layers, batches, lr, pad):
    """Train an ALBERT on pairs of sentences in place, one step for each batch, and return the losses.

    | setting | value |
    |---|---|
    | logits | the Linear "order" on the pooled sentence |
    | loss | the mean cross-entropy with the labels |
    | optimiser | Adam over all of `parts`, constant learning rate |
    | gradients | the norm of all together is clipped at 1 |

    - parts: an `nn.ModuleDict` with what `albert` takes, and "order".
    - layers: L, as for `albert`.
    - batches: a list; each batch is a list of (ids, segments, label) of different lengths, as from `sop_pairs`.
    - pad: the id that fills up a batch.
    - Returns a list of floats: the loss of each batch before its step.
    """
    ### BEGIN SOLUTION
    optimizer = torch.optim.Adam(parts.parameters(), lr=lr)
    losses = []
    for pairs in batches:
        longest = max(len(ids) for ids, _, _ in pairs)
        ids = torch.tensor([[*ids, *[pad] * (longest - len(ids))] for ids, _, _ in pairs])
        segments = torch.tensor([[*kinds, *[0] * (longest - len(kinds))] for _, kinds, _ in pairs])
        labels = torch.tensor([label for _, _, label in pairs])
        device = parts["order"].weight.device
        _, pooled = albert(ids.to(device), segments.to(device), parts, layers, pad)
        loss = F.cross_entropy(parts["order"](pooled), labels.to(device))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses
    ### END SOLUTION


train_order.equivalent(
    "segments = torch.tensor([[*kinds, *[1] * (longest - len(kinds))] for _, kinds, _ in pairs])",
    "the segment of padding is never read",
)
train_order.equivalent(
    "_, pooled = albert(ids, segments.to(device), parts, layers, pad)", "the parts are on the CPU in the tests"
)
train_order.equivalent(
    "_, pooled = albert(ids.to(device), segments, parts, layers, pad)", "the parts are on the CPU in the tests"
)
train_order.equivalent(
    'loss = F.cross_entropy(parts["order"](pooled), labels)', "the parts are on the CPU in the tests"
)


@train_order.test("learns pairs whose order is plain, and returns a loss for each batch", points=1)
def _(train_order):
    made = parts(Sizes(vocabulary=8, embedding=6, width=8, hidden=12, heads=2, length=9), seed=1)
    pairs = [([1, 3, 4, 2, 5, 2], [0, 0, 0, 0, 1, 1], 0), ([1, 5, 2, 3, 4, 2], [0, 0, 0, 1, 1, 1], 1)]
    pairs += [([1, 6, 2, 7, 4, 4, 2], [0, 0, 0, 1, 1, 1, 1], 0)]
    start = copy.deepcopy(made)
    losses = list(train_order(made, 2, [pairs] * 22, 0.03, 0))
    assert len(losses) == 22, f"22 batches give 22 losses, got {len(losses)}"
    z = 0.0
    for ids, segments, label in pairs:
        x = start["word"].weight[ids] + start["position"].weight[: len(ids)] + start["segment"].weight[segments]
        x = start["project"](start["norm"](x))[None]
        for _ in range(2):
            x = start["groups"][0](x, torch.ones(1, len(ids), dtype=torch.bool))
        logits = start["order"](torch.tanh(start["pooler"](x[:, 0])))
        z += float(F.cross_entropy(logits, torch.tensor([label])).detach()) / len(pairs)
    assert_close(losses[0], z, rtol=1e-3, atol=1e-4, message="the first loss, before the first step")
    assert losses[-1] < 0.3, f"after 22 steps the loss of these three pairs should be below 0.3, got {losses[-1]:.2f}"


@train_order.hidden("follows Adam with clipping step by step, each pair as if it were alone", points=4)
def _(train_order, rng):
    for steps, lr, pad, groups, layers, size in ((3, 0.01, 12, 2, 4, 0.7), (4, 0.02, 0, 1, 3, 0.3)):
        sizes = Sizes(vocabulary=13, embedding=6, width=8, hidden=10, heads=2, groups=groups, length=9)
        made = drawn(partial(parts, sizes), rng, scale=size).double()
        twin = copy.deepcopy(made)
        batches = []
        for count in [3, 4, 2, 3][:steps]:
            pairs = []
            for _ in range(count):
                cut, length = (int(n) for n in torch.randint(2, 5, (2,), generator=rng))
                ids = torch.randint(1, 12, (cut + length,), generator=rng).tolist()
                label = int(torch.randint(2, (), generator=rng))
                pairs.append((ids, [0] * cut + [1] * length, label))
            batches.append(pairs)
        keep = copy.deepcopy(batches)
        losses = list(train_order(made, layers, batches, lr, pad))
        assert batches == keep, "`batches` must stay as they are"
        assert len(losses) == steps, f"{steps} batches give {steps} losses, got {len(losses)}"
        weights = list(twin.parameters())
        means, squares = ([torch.zeros_like(weight) for weight in weights] for _ in range(2))
        for step, pairs in enumerate(batches, 1):
            loss = 0.0
            for ids, segments, label in pairs:
                x = twin["word"].weight[ids] + twin["position"].weight[: len(ids)] + twin["segment"].weight[segments]
                x = twin["project"](twin["norm"](x))[None]
                for number in range(layers):
                    x = twin["groups"][number * groups // layers](x, torch.ones(1, len(ids), dtype=torch.bool))
                logits = twin["order"](torch.tanh(twin["pooler"](x[0, 0])))
                loss = loss - logits.log_softmax(-1)[label] / len(pairs)
            what = f"the loss of step {step}, with pad = {pad}, {groups} groups and {layers} layers"
            assert_close(losses[step - 1], float(loss.detach()), rtol=1e-3, atol=1e-5, message=what)
            grads = torch.autograd.grad(loss, weights)
            norm = sum(grad.square().sum() for grad in grads).sqrt()
            with torch.no_grad():
                for weight, grad, mean, square in zip(weights, grads, means, squares, strict=True):
                    grad = grad * min(1.0, 1 / float(norm))
                    mean.lerp_(grad, 0.1)
                    square.lerp_(grad.square(), 0.001)
                    step_size = lr * (mean / (1 - 0.9**step)) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
                    weight -= step_size
        for (name, one), right in zip(made.named_parameters(), weights, strict=True):
            assert_close(one, right, rtol=1e-3, atol=2e-4, message=f"{name} after {steps} steps")


@train_order.hidden("returns plain floats and trains from no pair that is not in its batch", points=1)
def _(train_order, rng):
    sizes = Sizes(vocabulary=9, embedding=4, width=8, hidden=8, heads=2, length=9)
    made = drawn(partial(parts, sizes), rng, scale=0.3)
    before = {name: weight.detach().clone() for name, weight in made.named_parameters()}
    losses = train_order(made, 2, [[([1, 3, 2, 4, 2], [0, 0, 0, 1, 1], 1), ([1, 5, 2], [0, 0, 1], 0)]], 0.01, 0)
    wrong = [type(loss).__name__ for loss in losses if not isinstance(loss, float)]
    assert not wrong, f"losses are plain floats, got {wrong}: a loss tensor keeps its whole graph in memory"
    for name, weight in made.named_parameters():
        moved = float((weight.detach() - before[name]).abs().max())
        assert 0 < moved < 0.011, f"one step of Adam with lr 0.01 moves {name} by at most 0.01, it moved by {moved:.4f}"
    unused = made["word"].weight[[6, 7, 8]].detach()
    assert_close(unused, before["word.weight"][[6, 7, 8]], message="the rows of words that were not in the batch")


def _rectangle(pairs, pad):
    longest = max(len(ids) for ids, _, _ in pairs)
    ids = torch.tensor([[*ids, *[pad] * (longest - len(ids))] for ids, _, _ in pairs])
    segments = torch.tensor([[*kinds, *[0] * (longest - len(kinds))] for _, kinds, _ in pairs])
    return ids, segments, torch.tensor([label for _, _, label in pairs])


@train_order.misconception(
    "You gave the optimiser the order head alone; the encoder has to learn, too, so Adam needs all of `parts`.",
    name="head-alone",
)
def _(parts, layers, batches, lr, pad):
    optimizer, losses = torch.optim.Adam(parts["order"].parameters(), lr=lr), []
    for pairs in batches:
        ids, segments, labels = _rectangle(pairs, pad)
        loss = F.cross_entropy(parts["order"](albert(ids, segments, parts, layers, pad)[1]), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_order.misconception(
    "You did not clear the gradients, so that each step also follows those of all batches before it.",
    name="gradients-pile-up",
)
def _(parts, layers, batches, lr, pad):
    optimizer, losses = torch.optim.Adam(parts.parameters(), lr=lr), []
    for pairs in batches:
        ids, segments, labels = _rectangle(pairs, pad)
        loss = F.cross_entropy(parts["order"](albert(ids, segments, parts, layers, pad)[1]), labels)
        loss.backward()
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_order.misconception(
    "You filled the pairs up with 0 while the encoder masks `pad`; the filler then counts as a word.",
    name="filled-with-zero",
)
def _(parts, layers, batches, lr, pad):
    optimizer, losses = torch.optim.Adam(parts.parameters(), lr=lr), []
    for pairs in batches:
        ids, segments, labels = _rectangle(pairs, 0)
        loss = F.cross_entropy(parts["order"](albert(ids, segments, parts, layers, pad)[1]), labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_order.misconception(
    "The norm of all gradients together was not clipped at 1. Clip it after `backward`, when the gradients are there, "
    "and before the step.",
    name="no-clipping",
)
def _(parts, layers, batches, lr, pad):
    optimizer, losses = torch.optim.Adam(parts.parameters(), lr=lr), []
    for pairs in batches:
        ids, segments, labels = _rectangle(pairs, pad)
        loss = F.cross_entropy(parts["order"](albert(ids, segments, parts, layers, pad)[1]), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@train_order.also_correct
def _(parts, layers, batches, lr, pad):
    weights, losses = list(parts.parameters()), []
    optimizer = torch.optim.AdamW(weights, lr=lr, weight_decay=0.0)
    for pairs in batches:
        ids = nn.utils.rnn.pad_sequence([torch.tensor(one) for one, _, _ in pairs], True, pad)
        segments = nn.utils.rnn.pad_sequence([torch.tensor(one) for _, one, _ in pairs], True, 1)
        logits = parts["order"](albert(ids, segments, parts, layers, pad)[1])
        loss = -logits.log_softmax(-1)[range(len(pairs)), [label for _, _, label in pairs]].mean()
        grads = torch.autograd.grad(loss, weights)
        norm = torch.stack([grad.norm() for grad in grads]).norm()
        for weight, grad in zip(weights, grads, strict=True):
            weight.grad = grad * min(1.0, 1.0 / (float(norm) + 1e-6))
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


@train_order.also_correct
def _(parts, layers, batches, lr, pad):
    optimizer = torch.optim.Adam(list(parts.parameters()), lr)
    losses = []
    for pairs in batches:
        optimizer.zero_grad()
        loss = 0.0
        for ids, segments, label in pairs:
            _, pooled = albert(torch.tensor([ids]), torch.tensor([segments]), parts, layers, pad)
            loss = loss + F.cross_entropy(parts["order"](pooled), torch.tensor([label]))
        loss = loss / len(pairs)
        loss.backward()
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss))
    return losses
