from itertools import groupby

import torch
from studium import assert_close, exercise


@exercise(
    points=5,
    minutes=15,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "At a hidden token, how can you tell that a new span begins?",
        "Go through the text once. At the first token of a span, both sides get the next sentinel; otherwise each "
        "token goes to one side only.",
        "Both results are one-dimensional. With h hidden tokens in k spans, inputs have n - h + k + 1 tokens and "
        "targets have h + k + 1.",
        "`for token, hidden in zip(ids.tolist(), mask.tolist()):` with a counter of spans and the previous flag; at "
        "the end `torch.tensor([*inputs, eos])`.",
    ),
)
def corrupt(ids, mask, sentinels, eos):
    """Return (inputs, targets) of span corruption.

    inputs are the text with each run of hidden tokens replaced by one sentinel. targets are, for each run, its sentinel
    followed by its tokens. Both end with `eos`. In both, the first run has the first sentinel, the second run the
    second, …

    - ids (n,): long. mask (n,): bool, True where a token is hidden; any pattern, including at both ends.
    - sentinels: a list of ids in the order of their use, at least as many as there are runs.
    - Returns two tensors of long, one-dimensional. The arguments stay as they are.
    """
    ### BEGIN SOLUTION
    inputs, targets, span, before = [], [], 0, False
    for token, hidden in zip(ids.tolist(), mask.tolist(), strict=True):
        if hidden and not before:
            inputs.append(sentinels[span])
            targets.append(sentinels[span])
            span += 1
        (targets if hidden else inputs).append(token)
        before = hidden
    return torch.tensor([*inputs, eos]), torch.tensor([*targets, eos])
    ### END SOLUTION


corrupt.equivalent(
    "for token, hidden in zip(ids.tolist(), mask.tolist(), strict=False):", "ids and mask have the same length"
)


@corrupt.test("hides two spans of a sentence", points=1)
def _(corrupt):
    ids = torch.tensor([11, 12, 13, 14, 15, 16, 17, 18])
    mask = torch.tensor([False, True, True, False, False, False, True, False])
    inputs, targets = corrupt(ids, mask, [99, 98, 97], 1)
    assert_close(torch.as_tensor(inputs), torch.tensor([11, 99, 14, 15, 16, 98, 18, 1]), message="the inputs")
    assert_close(torch.as_tensor(targets), torch.tensor([99, 12, 13, 98, 17, 1]), message="the targets")


@corrupt.hidden("gives each run one sentinel on both sides, in the order of the list", points=2)
def _(corrupt, rng):
    for length, density in ((23, 0.4), (60, 0.15), (17, 0.7), (31, 0.5), (9, 0.3)):
        ids = torch.randint(5, 30, (length,), generator=rng)
        mask = torch.rand(length, generator=rng) < density
        mask[1:4] = torch.tensor([True, True, False])
        sentinels = (40 + torch.randperm(35, generator=rng)).tolist()
        wanted_inputs, wanted_targets, names = [], [], iter(sentinels)
        for hidden, run in groupby(range(length), key=mask.tolist().__getitem__):
            words = ids[list(run)].tolist()
            if hidden:
                name = next(names)
                wanted_inputs += [name]
                wanted_targets += [name, *words]
            else:
                wanted_inputs += words
        inputs, targets = corrupt(ids, mask, sentinels, 2)
        for what, found, wanted in (("inputs", inputs, wanted_inputs), ("targets", targets, wanted_targets)):
            assert isinstance(found, torch.Tensor), f"{what}: a tensor is expected, got {type(found).__name__}"
            assert found.dtype == torch.long, f"{what} must be long, got {found.dtype}"
            assert found.tolist() == [*wanted, 2], (
                f"{what} of {ids.tolist()} with {''.join('x' if m else '.' for m in mask.tolist())} hidden and "
                f"sentinels {sentinels[:3]}… should be {[*wanted, 2]}, got {found.tolist()}"
            )


@corrupt.hidden("copes with spans at both ends, with nothing hidden and with all hidden", points=1)
def _(corrupt):
    ids = torch.tensor([7, 8, 9, 6, 5])
    cases = (
        ([1, 1, 0, 0, 1], [50, 9, 6, 51, 3], [50, 7, 8, 51, 5, 3]),
        ([1, 0, 1, 0, 1], [50, 8, 51, 6, 52, 3], [50, 7, 51, 9, 52, 5, 3]),
        ([0, 0, 0, 0, 0], [7, 8, 9, 6, 5, 3], [3]),
        ([1, 1, 1, 1, 1], [50, 3], [50, 7, 8, 9, 6, 5, 3]),
    )
    for flags, wanted_inputs, wanted_targets in cases:
        inputs, targets = corrupt(ids, torch.tensor(flags).bool(), [50, 51, 52], 3)
        for what, found in (("inputs", inputs), ("targets", targets)):
            assert found.dtype == torch.long, f"mask {flags}: {what} must be long, got {found.dtype}"
        assert inputs.tolist() == wanted_inputs, f"mask {flags}: inputs {wanted_inputs}, got {inputs.tolist()}"
        assert targets.tolist() == wanted_targets, f"mask {flags}: targets {wanted_targets}, got {targets.tolist()}"


@corrupt.hidden("leaves its arguments as they are, and has the lengths that the counts give", points=1)
def _(corrupt, rng):
    for length, runs, hidden in ((40, 3, 6), (25, 5, 10)):
        ids = torch.randint(9, (length,), generator=rng)
        mask = torch.zeros(length, dtype=torch.bool)
        for run in range(runs):
            start = 1 + run * (length // runs)
            mask[start : start + hidden // runs] = True
        copies = ids.clone(), mask.clone()
        sentinels = list(range(80, 60, -1))
        inputs, targets = corrupt(ids, mask, sentinels, 50)
        assert sentinels == list(range(80, 60, -1)), f"sentinels must stay as they are, {len(sentinels)} are left"
        assert torch.equal(ids, copies[0]), "ids must stay as they are"
        assert torch.equal(mask, copies[1]), "mask must stay as it is"
        assert len(inputs) == length - hidden + runs + 1, f"inputs: got {len(inputs)} tokens"
        assert len(targets) == hidden + runs + 1, f"targets: got {len(targets)} tokens"


@corrupt.misconception(
    "You gave every hidden token a separate sentinel; use one sentinel for a whole run of hidden tokens.",
    name="sentinel-for-each-token",
)
def _(ids, mask, sentinels, eos):
    inputs, targets, span = [], [], 0
    for token, hidden in zip(ids.tolist(), mask.tolist(), strict=True):
        if hidden:
            inputs.append(sentinels[span])
            targets += [sentinels[span], token]
            span += 1
        else:
            inputs.append(token)
    return torch.tensor([*inputs, eos]), torch.tensor([*targets, eos])


@corrupt.misconception(
    "You used the same sentinel for every run, as if it were `[MASK]`; use a different one for each run, so the "
    "decoder can say which gap its words belong to.",
    name="one-sentinel-for-all",
)
def _(ids, mask, sentinels, eos):
    return corrupt(ids, mask, [sentinels[0]] * len(ids), eos)


@corrupt.misconception(
    "You left the sentinels out of the targets; put one before each span to show where it begins and which gap it "
    "fills.",
    name="targets-without-sentinels",
)
def _(ids, mask, sentinels, eos):
    inputs, _ = corrupt(ids, mask, sentinels, eos)
    return inputs, torch.cat([ids[mask], torch.tensor([eos])])


@corrupt.misconception(
    "Your inputs do not end with `eos`; add it, because both sides need it and T5 counts it in both lengths.",
    name="inputs-without-eos",
)
def _(ids, mask, sentinels, eos):
    inputs, targets = corrupt(ids, mask, sentinels, eos)
    return inputs[:-1], targets


@corrupt.misconception(
    "Your targets do not end with `eos`; add it, or the decoder never learns to stop.",
    name="targets-without-eos",
)
def _(ids, mask, sentinels, eos):
    inputs, targets = corrupt(ids, mask, sentinels, eos)
    return inputs, targets[:-1]


@corrupt.misconception(
    "You numbered the sentinels upwards from the first one; take them from the list in its order, because T5's ids "
    "count down.",
    name="sentinels-count-up",
)
def _(ids, mask, sentinels, eos):
    return corrupt(ids, mask, [sentinels[0] + i for i in range(len(ids))], eos)


@corrupt.misconception(
    "You added another sentinel at the end of the targets, as figure 2 of the paper does; here the targets end with "
    "the last span and `eos`.",
    name="final-sentinel",
)
def _(ids, mask, sentinels, eos):
    inputs, targets = corrupt(ids, mask, sentinels, eos)
    runs = sum(key for key, _ in groupby(mask.tolist()))
    last = [sentinels[runs]] if runs < len(sentinels) else []
    return inputs, torch.tensor([*targets[:-1].tolist(), *last, eos])


@corrupt.misconception(
    "You swapped the sides; hidden tokens belong in the targets, and the others in the inputs.",
    name="sides-swapped",
)
def _(ids, mask, sentinels, eos):
    return corrupt(ids, ~mask, sentinels, eos)


@corrupt.also_correct
def _(ids, mask, sentinels, eos):
    before = torch.cat([torch.tensor([False]), mask[:-1]])
    starts = mask & ~before
    names = torch.tensor([*sentinels, 0])[(starts.long().cumsum(0) - 1).clamp(min=0, max=len(sentinels))]
    inputs = torch.where(starts, names, ids)[~mask | starts]
    both = torch.stack([names, ids], 1)  # (T, 2): a sentinel and the token after it
    targets = both[torch.stack([starts, mask], 1)]
    end = torch.tensor([eos])
    return torch.cat([inputs, end]), torch.cat([targets, end])


@corrupt.also_correct
def _(ids, mask, sentinels, eos):
    inputs, targets, at = [], [], 0
    names = iter(sentinels)
    for hidden, run in groupby(mask.tolist()):
        size = len(list(run))
        words = ids[at : at + size].tolist()
        at += size
        if hidden:
            name = next(names)
            inputs.append(name)
            targets.extend([name, *words])
        else:
            inputs.extend(words)
    inputs.append(eos)
    targets.append(eos)
    return torch.tensor(inputs), torch.tensor(targets)
