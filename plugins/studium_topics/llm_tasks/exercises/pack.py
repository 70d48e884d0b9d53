import torch
from studium import assert_close, exercise


@exercise(
    points=5,
    minutes=20,
    importance=3,
    hints=(
        "What do two examples in one row share, and what must be the same as if each had the row to itself?",
        "First decide which examples go into which row. Then fill four rectangles, one example at a time.",
        "An example of n tokens fills n columns: its ids, its lit, the positions 0 to n - 1, and its number, counted "
        "from 1.",
        "`torch.full((rows, length), pad)` makes a rectangle; `ids[row, at:end] = torch.tensor(tokens)` fills part of "
        "it.",
    ),
    mutates_args=(),
)
def pack(examples, length, pad):
    """Return examples packed into rows, as four tensors (R, length).

    In the given order, each example joins the last row if it fits there; otherwise it begins a
    new row. Treat each example as if it were alone: its positions begin at 0, and its first
    token, which nothing predicts, is dark.

    * examples: pairs (ids, lit), two lists of 1 to `length` entries; at least one example
    * pad: the number of `[PAD]`
    * returns: ids, long, filled up with pad; lit, bool; positions, long; segments, long: the
      example's number in its row, 1, 2, …, and 0 for padding, which is dark and has position 0
    """
    ### BEGIN SOLUTION
    rows, free = [], 0
    for example in examples:
        if len(example[0]) > free:
            rows.append([])
            free = length
        rows[-1].append(example)
        free -= len(example[0])
    ids = torch.full((len(rows), length), pad)
    lit = torch.zeros(len(rows), length, dtype=torch.bool)
    positions, segments = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, members in enumerate(rows):
        start = 0
        for number, (tokens, seen) in enumerate(members, 1):
            end = start + len(tokens)
            ids[row, start:end] = torch.tensor(tokens)
            lit[row, start:end] = torch.tensor([False, *seen[1:]])
            positions[row, start:end] = torch.arange(len(tokens))
            segments[row, start:end] = number
            start = end
    return ids, lit, positions, segments
    ### END SOLUTION


pack.equivalent("if len(example[1]) > free:", "a token has one light")


pack.equivalent("free -= len(example[1])", "a token has one light")


@pack.test("packs three examples into two rows", points=2)
def _(pack):
    examples = [
        ([5, 6, 7], [False, True, True]),
        ([8, 9], [True, True]),
        ([4, 3, 2, 1], [False, False, False, True]),
    ]
    ids, lit, positions, segments = pack(examples, 6, 9)
    assert_close(ids, torch.tensor([[5, 6, 7, 8, 9, 9], [4, 3, 2, 1, 9, 9]]), message="ids")
    dark = [[False, True, True, False, True, False], [False, False, False, True, False, False]]
    assert_close(lit, torch.tensor(dark), message="lit")
    assert_close(positions, torch.tensor([[0, 1, 2, 0, 1, 0], [0, 1, 2, 3, 0, 0]]), message="positions")
    assert_close(segments, torch.tensor([[1, 1, 1, 2, 2, 0], [1, 1, 1, 1, 0, 0]]), message="segments")


@pack.hidden("keeps every token in the order given, for any lengths, and leaves the examples as they are", points=3)
def _(pack, rng):
    for count, longest, length, pad in ((14, 4, 7, 33), (9, 5, 8, 0), (3, 6, 6, 1), (1, 3, 10, 2), (6, 1, 4, 5)):
        examples = []
        for at in range(count):
            size = longest if at % 4 == 0 else int(torch.randint(1, longest + 1, (1,), generator=rng))
            tokens = torch.randint(3, 30, (size,), generator=rng).tolist()
            examples.append((tokens, (torch.rand(size, generator=rng) < 0.7).tolist()))
        before = [(list(tokens), list(seen)) for tokens, seen in examples]
        found = pack(examples, length, pad)
        assert [(list(t), list(s)) for t, s in examples] == before, "the examples must stay as they are"
        table = [[]]
        for tokens, seen in before:
            if len(table[-1]) + len(tokens) > length:
                table.append([])
            number = 1 + max([cell[3] for cell in table[-1]], default=0)
            for at, (token, light) in enumerate(zip(tokens, seen, strict=True)):
                table[-1].append((token, light and at > 0, at, number))
        table = [row + [(pad, False, 0, 0)] * (length - len(row)) for row in table]
        what = f"of {count} examples of up to {longest} tokens in rows of {length}, pad = {pad}"
        kinds = (torch.long, torch.bool, torch.long, torch.long)
        names = ("ids", "lit", "positions", "segments")
        for column, (name, kind, tensor) in enumerate(zip(names, kinds, found, strict=True)):
            expected = torch.tensor([[cell[column] for cell in row] for row in table])
            assert isinstance(tensor, torch.Tensor), f"{name} must be a tensor, got {type(tensor).__name__}"
            assert tensor.dtype == kind, f"{name} must be {kind}, got {tensor.dtype}"
            assert_close(tensor, expected, message=f"{name} {what}")


@pack.misconception(
    "You let the positions run on through the row, so the second example starts somewhere in the middle; begin again "
    "at 0 for each example.",
    name="positions-run-on",
)
def _(examples, length, pad):
    ids, lit, _, segments = pack(examples, length, pad)
    return ids, lit, torch.arange(length) * (segments > 0), segments


@pack.misconception(
    "You kept the first token of an example lit. In a packed row the last token of the previous example would have to "
    "predict it; make it dark.",
    name="first-token-lit",
)
def _(examples, length, pad):
    ids, lit, positions, segments = pack(examples, length, pad)
    row, start = 0, 0
    for tokens, seen in examples:
        if start + len(tokens) > length:
            row, start = row + 1, 0
        lit[row, start] = seen[0]
        start += len(tokens)
    return ids, lit, positions, segments


@pack.misconception(
    "You gave every example its own row. That is padding, and it wastes most of the rectangle; add an example to the "
    "last row if it fits.",
    name="one-row-each",
)
def _(examples, length, pad):
    rows = [pack([example], length, pad) for example in examples]
    return tuple(torch.cat(parts) for parts in zip(*rows, strict=True))


@pack.misconception(
    "You numbered the examples from 0. Padding has the number 0 too, and would then be part of the first example; "
    "start at 1.",
    name="numbered-from-zero",
)
def _(examples, length, pad):
    ids, lit, positions, segments = pack(examples, length, pad)
    return ids, lit, positions, (segments - 1).clamp(min=0)


@pack.misconception(
    "You kept counting from one row to the next; an example's number starts again at 1 in each row.",
    name="numbered-across-rows",
)
def _(examples, length, pad):
    ids, lit, positions, segments = pack(examples, length, pad)
    before = torch.cat([torch.zeros(1, dtype=torch.long), segments.amax(1).cumsum(0)[:-1]])
    return ids, lit, positions, (segments + before[:, None]) * (segments > 0)


@pack.misconception(
    "You joined the examples and cut them every `length` tokens, as in pretraining. An answer may then land in a "
    "different row from its question; begin a new row for an example that does not fit.",
    name="cut-examples-in-two",
)
def _(examples, length, pad):
    table = []
    for number, (tokens, seen) in enumerate(examples, 1):
        for at, (token, light) in enumerate(zip(tokens, seen, strict=True)):
            table.append((token, light and at > 0, at, number))
    table += [(pad, False, 0, 0)] * (-len(table) % length)
    return tuple(torch.tensor([cell[i] for cell in table]).view(-1, length) for i in range(4))


@pack.misconception(
    "You filled gaps in earlier rows. That saves a few tokens but changes the order; an example may join only the "
    "last row.",
    name="first-fit",
)
def _(examples, length, pad):
    rows = []
    for example in examples:
        fits = [row for row in rows if sum(len(tokens) for tokens, _ in row) + len(example[0]) <= length]
        if not fits:
            rows.append([])
        (fits or rows[-1:])[0].append(example)
    packed = [pack(row, length, pad) for row in rows]
    return tuple(torch.cat(parts) for parts in zip(*packed, strict=True))


@pack.also_correct
def _(examples, length, pad):
    table = [[]]
    for tokens, seen in examples:
        if len(table[-1]) + len(tokens) > length:
            table.append([])
        number = table[-1][-1][3] + 1 if table[-1] else 1
        table[-1] += [(token, seen[at] and at > 0, at, number) for at, token in enumerate(tokens)]
    for row in table:
        row += [(pad, False, 0, 0)] * (length - len(row))
    return tuple(torch.tensor([[cell[part] for cell in row] for row in table]) for part in range(4))


@pack.also_correct
def _(examples, length, pad):
    places, row, start, number = [], 0, 0, 0
    for tokens, _ in examples:
        if start + len(tokens) > length:
            row, start, number = row + 1, 0, 0
        number += 1
        places.append((row, start, number))
        start += len(tokens)
    ids = torch.full((row + 1, length), pad)
    lit, positions, segments = ids.new_zeros(ids.shape).bool(), ids.new_zeros(ids.shape), ids.new_zeros(ids.shape)
    for (tokens, seen), (at, begin, which) in zip(examples, places, strict=True):
        for offset, token in enumerate(tokens):
            ids[at, begin + offset] = token
            lit[at, begin + offset] = bool(seen[offset]) and offset > 0
            positions[at, begin + offset] = offset
            segments[at, begin + offset] = which
    return [ids, lit, positions, segments]
