from itertools import groupby

import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=2,
    kind="write",
    hints=(
        "Which tokens in the targets belong to a sentinel, and where do they end?",
        "Collect one list of tokens for each sentinel in the targets; then go through the inputs and replace each "
        "sentinel with its list.",
        "A dict can map each sentinel to a list of ids. With complete targets, the result has as many tokens as the "
        "text had.",
        "`spans[token] = current = []` at a sentinel, `current.append(token)` otherwise; later `spans.get(token, [])`.",
    ),
)
def restore(inputs, targets, sentinels, eos):
    """Return the text that inputs and targets make together: the inverse of `corrupt`.

    targets may come from a decoder, so the spans may be in any order, a span may be empty, and spans may be missing;
    the gap of a missing span stays empty.

    - inputs (S,), targets (T,): long. Each ends with `eos`, which occurs nowhere else.
    - sentinels: a list of ids in the order of their use. No other token has one of these ids.
    - Returns a tensor of long, one-dimensional, without sentinels and `eos`. The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    spans, current = {}, []
    for token in targets.tolist():
        if token in sentinels:
            spans[token] = current = []
        elif token != eos:
            current.append(token)
    text = []
    for token in inputs.tolist():
        if token in sentinels:
            text += spans.get(token, [])
        elif token != eos:
            text.append(token)
    return torch.tensor(text, dtype=torch.long)
    ### END SOLUTION


@restore.test("puts two spans back into their gaps", points=1)
def _(restore):
    inputs = torch.tensor([11, 99, 14, 15, 16, 98, 18, 1])
    targets = torch.tensor([99, 12, 13, 98, 17, 1])
    found = torch.as_tensor(restore(inputs, targets, [99, 98, 97], 1))
    assert_close(found, torch.tensor([11, 12, 13, 14, 15, 16, 17, 18]))


@restore.hidden("inverts the corruption of random texts", points=1)
def _(restore, rng):
    for length, density in ((23, 0.4), (60, 0.15), (17, 0.7), (31, 0.9), (12, 0.3)):
        numbers = (5 + torch.randperm(95, generator=rng)).tolist()  # sentinels are neither the largest nor in a row
        sentinels, others = numbers[:35], torch.tensor(numbers[35:])
        ids = others[torch.randint(len(others), (length,), generator=rng)]
        mask = torch.rand(length, generator=rng) < density
        mask[1:4] = torch.tensor([True, True, False])
        inputs, targets, names = [], [], iter(sentinels)
        for hidden, run in groupby(range(length), key=mask.tolist().__getitem__):
            words = ids[list(run)].tolist()
            name = [next(names)] if hidden else []
            inputs += name or words
            targets += [*name, *words] if hidden else []
        given = torch.tensor([*inputs, 2]), torch.tensor([*targets, 2]), list(sentinels)
        found = restore(*given, 2)
        assert given[0].tolist() == [*inputs, 2], "inputs must stay as they are"
        assert given[1].tolist() == [*targets, 2], "targets must stay as they are"
        assert given[2] == sentinels, "sentinels must stay as they are"
        assert isinstance(found, torch.Tensor), f"a tensor is expected, got {type(found).__name__}"
        assert found.dtype == torch.long, f"the text must be long, got {found.dtype}"
        assert found.tolist() == ids.tolist(), f"the text was {ids.tolist()}, got {found.tolist()}"


@restore.hidden("goes by the names of the spans, whatever their order, and leaves a missing one empty", points=2)
def _(restore):
    inputs = torch.tensor([60, 11, 62, 12, 13, 61, 14, 3])
    cases = (
        ([61, 7, 8, 60, 5, 62, 6, 3], [5, 11, 6, 12, 13, 7, 8, 14]),  # in another order
        ([60, 5, 61, 7, 3], [5, 11, 12, 13, 7, 14]),  # one is missing
        ([60, 62, 6, 6, 61, 7, 3], [11, 6, 6, 12, 13, 7, 14]),  # one is empty
        ([63, 9, 62, 6, 3], [11, 6, 12, 13, 14]),  # one that the inputs do not ask for
        ([3], [11, 12, 13, 14]),
    )
    for targets, wanted in cases:
        found = restore(inputs, torch.tensor(targets), [60, 62, 61, 63], 3)
        assert found.tolist() == wanted, (
            f"inputs {inputs.tolist()} and targets {targets} make {wanted}, got {found.tolist()}"
        )
    nothing = restore(torch.tensor([9, 3]), torch.tensor([9, 4, 3]), [9], 3)
    assert nothing.tolist() == [4], f"a text that is one span, got {nothing.tolist()}"
    empty = restore(torch.tensor([9, 3]), torch.tensor([3]), [9], 3)
    assert empty.dtype == torch.long, f"an empty text is long, too, got {empty.dtype}"
    assert empty.tolist() == [], f"an empty text is expected, got {empty.tolist()}"


@restore.misconception(
    "You put the first span into the first gap, the second into the second, and so on; match spans by the sentinel "
    "before them, because a decoder may leave one out.",
    name="by-position",
)
def _(inputs, targets, sentinels, eos):
    spans = []
    for token in targets.tolist():
        if token in sentinels:
            spans.append([])
        elif token != eos and spans:
            spans[-1].append(token)
    text = []
    for token in inputs.tolist():
        if token in sentinels:
            text += spans.pop(0) if spans else []
        elif token != eos:
            text.append(token)
    return torch.tensor(text, dtype=torch.long)


@restore.misconception(
    "You left sentinels in the text; replace each one with its span, because it only marks a gap.",
    name="sentinels-left",
)
def _(inputs, targets, sentinels, eos):
    text = []
    for token in inputs.tolist():
        if token in sentinels:
            part = targets.tolist()[targets.tolist().index(token) :] if token in targets.tolist() else [token]
            stop = next((i for i, t in enumerate(part) if i and (t in sentinels or t == eos)), len(part))
            text += part[:stop]
        elif token != eos:
            text.append(token)
    return torch.tensor(text, dtype=torch.long)


@restore.misconception(
    "You left `eos` in the text; remove it, because it only marks the end of the inputs.",
    name="eos-left",
)
def _(inputs, targets, sentinels, eos):
    return torch.cat([restore(inputs, targets, sentinels, eos), torch.tensor([eos])])


@restore.misconception(
    "You lost the text after the last gap; keep going through the inputs after the last span.",
    name="end-lost",
)
def _(inputs, targets, sentinels, eos):
    tokens = inputs.tolist()
    last = max((at for at, token in enumerate(tokens) if token in sentinels), default=-1)
    return restore(torch.tensor([*tokens[: last + 1], eos]), targets, sentinels, eos)


@restore.misconception(
    "You put at most one token into each gap; put in the whole span, however long it is.",
    name="one-token-a-span",
)
def _(inputs, targets, sentinels, eos):
    kept, tokens = [], targets.tolist()
    for at, token in enumerate(tokens):
        if token in sentinels or token == eos or (at and tokens[at - 1] in sentinels):
            kept.append(token)
    return restore(inputs, torch.tensor(kept), sentinels, eos)


@restore.also_correct
def _(inputs, targets, sentinels, eos):
    def split(tokens):
        pieces, name = [(None, [])], None
        for token in tokens:
            if token in sentinels:
                name = token
                pieces.append((name, []))
            elif token != eos:
                pieces[-1][1].append(token)
        return pieces

    spans = dict(split(targets.tolist()))
    text = []
    for name, after in split(inputs.tolist()):
        text.extend(spans.get(name, []) if name is not None else [])
        text.extend(after)
    return torch.tensor(text).long()


@restore.also_correct
def _(inputs, targets, sentinels, eos):
    answer, text = targets.tolist(), []
    for token in inputs.tolist()[:-1]:
        if token not in sentinels:
            text.append(token)
        elif token in answer:
            at = answer.index(token) + 1
            while answer[at] not in sentinels and answer[at] != eos:
                text.append(answer[at])
                at += 1
    return torch.tensor(text, dtype=torch.int64)
