import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=2,
    hints=(
        "Some answers are complete before others. What do those rows write meanwhile, and when does the loop end?",
        "Keep track of which rows are still writing. After each step, their newest token is the most likely one, and "
        "all other rows get pad.",
        "newest and the flags are (B,); the answers, stacked along a second axis, are (B, t).",
        "`torch.where(writing, logits.argmax(-1), pad)` is the newest token; `writing & (newest != eos)` marks the "
        "rows that go on.",
    ),
)
def greedy(step, start, eos, pad, longest):
    """Return the most likely token at each step, for a batch of answers that end at different times.

    - step(newest (B,), kept) → (logits (B, V), kept): feeds each row its newest token. kept is None at first, then what
      the last call returned.
    - start (B,): the first tokens to feed; it stays as it is.
    - eos ends a row; after it, the row gets pad, a different token.
    - Stop as soon as all rows have ended, or after `longest` tokens.

    Returns (B, t), long: the answers without the start tokens, with eos.
    """
    ### BEGIN SOLUTION
    newest, kept, found = start, None, []
    writing = torch.ones_like(start, dtype=torch.bool)
    while writing.any() and len(found) < longest:
        logits, kept = step(newest, kept)
        newest = torch.where(writing, logits.argmax(-1), pad)
        writing = writing & (newest != eos)
        found.append(newest)
    return torch.stack(found, 1)
    ### END SOLUTION


@greedy.test("lets each row end by itself", points=1)
def _(greedy):
    fed = []

    def step(newest, kept):
        """Count down to 1, which is eos."""
        fed.append(newest.tolist())
        return F.one_hot((newest - 1).clamp(min=1), 9).float(), len(fed)

    found = greedy(step, torch.tensor([4, 6, 3]), 1, 0, 10)
    expected = torch.tensor([[3, 2, 1, 0, 0], [5, 4, 3, 2, 1], [2, 1, 0, 0, 0]])
    assert_close(found, expected, message="three rows that count down from 4, 6 and 3; eos is 1, pad is 0")
    assert len(fed) == 5, f"after 5 steps all rows have ended, got {len(fed)} calls of step"


@greedy.hidden("passes newest tokens and kept states on, row by row", points=2)
def _(greedy, rng):
    for batch, vocabulary, eos, pad, longest in ((3, 6, 2, 5, 9), (2, 4, 0, 3, 6), (5, 7, 6, 0, 12), (2, 9, 8, 1, 1)):
        table = torch.randn(53, vocabulary, generator=rng)

        def step(newest, kept, table=table):
            seen = newest + 1 if kept is None else kept * 3 + newest + 1
            return table.to(newest.device)[seen % 53], seen

        starts = torch.randint(vocabulary, (batch,), generator=rng)
        before, rows, calls = starts.clone(), [], 0
        for token in starts.tolist():
            row, seen = [], 0
            while len(row) < longest and (not row or row[-1] != eos):
                seen = seen * 3 + token + 1
                token = int(table[seen % 53].argmax())
                row.append(token)
            rows.append(row)
            calls = max(calls, len(row))
        found = greedy(step, starts, eos, pad, longest)
        expected = torch.tensor([row + [pad] * (calls - len(row)) for row in rows])
        what = f"{batch} rows, {vocabulary} tokens, eos {eos}, pad {pad}, {longest} at most"
        assert torch.as_tensor(found).dtype == torch.long, f"the answers must be long, got {found.dtype}"
        assert_close(found, expected, message=what)
        assert torch.equal(starts, before), "the argument start must stay as it is"


@greedy.hidden("calls step no more often than answers need", points=1)
def _(greedy):
    for starts, longest, expected in (([3, 2], 8, 3), ([7, 9], 4, 4), ([1, 1, 1], 5, 1)):
        calls = []

        def step(newest, kept, calls=calls):
            calls.append(len(newest))
            return F.one_hot((newest - 1).clamp(min=0), 12).double(), kept

        greedy(step, torch.tensor(starts), 0, 11, longest)
        message = f"rows that need {starts} tokens, {longest} at most: calls of step, as sizes of newest"
        assert_close(calls, [len(starts)] * expected, message=message)


@greedy.misconception(
    "You stopped when the first row ended; stop when all rows have ended, because the others are not complete yet.",
    name="stops-with-the-first",
)
def _(step, start, eos, pad, longest):
    newest, kept, found = start, None, []
    while len(found) < longest:
        logits, kept = step(newest, kept)
        newest = logits.argmax(-1)
        found.append(newest)
        if (newest == eos).any():
            break
    return torch.stack(found, 1)


@greedy.misconception(
    "You let finished rows go on writing; give them pad, because tokens after eos are not part of the answer.",
    name="writes-after-eos",
)
def _(step, start, eos, pad, longest):
    newest, kept, found, ended = start, None, [], torch.zeros_like(start, dtype=torch.bool)
    while not ended.all() and len(found) < longest:
        logits, kept = step(newest, kept)
        newest = logits.argmax(-1)
        ended = ended | (newest == eos)
        found.append(newest)
    return torch.stack(found, 1)


@greedy.misconception(
    "You always took `longest` steps; stop once all rows have ended, because every further step only writes padding.",
    name="always-longest",
)
def _(step, start, eos, pad, longest):
    newest, kept, found, writing = start, None, [], torch.ones_like(start, dtype=torch.bool)
    for _ in range(longest):
        logits, kept = step(newest, kept)
        newest = torch.where(writing, logits.argmax(-1), pad)
        writing = writing & (newest != eos)
        found.append(newest)
    return torch.stack(found, 1)


@greedy.misconception(
    "You replaced eos itself with pad; keep eos as part of the answer, and start pad after it.",
    name="eos-overwritten",
)
def _(step, start, eos, pad, longest):
    found = greedy(step, start, eos, pad, longest)
    return found.masked_fill(found == eos, pad)


@greedy.misconception(
    "You fed the start tokens at every step; feed the token that was written last.",
    name="feeds-start-again",
)
def _(step, start, eos, pad, longest):
    kept, found, writing = None, [], torch.ones_like(start, dtype=torch.bool)
    while writing.any() and len(found) < longest:
        logits, kept = step(start, kept)
        newest = torch.where(writing, logits.argmax(-1), pad)
        writing = writing & (newest != eos)
        found.append(newest)
    return torch.stack(found, 1)


@greedy.also_correct
def _(step, start, eos, pad, longest):
    answers = torch.full((len(start), longest), pad, dtype=torch.long, device=start.device)
    ended, newest, kept = [False] * len(start), start, None
    for t in range(longest):
        logits, kept = step(newest, kept)
        newest = logits.topk(1).indices[:, 0].clone()
        for row in range(len(start)):
            if ended[row]:
                newest[row] = pad
            ended[row] = ended[row] or int(newest[row]) == eos
        answers[:, t] = newest
        if all(ended):
            return answers[:, : t + 1]
    return answers


@greedy.also_correct
def _(step, start, eos, pad, longest):
    done = start != start
    logits, kept = step(start, None)
    answers = logits.max(-1).indices.unsqueeze(1)
    done = done | (answers[:, -1] == eos)
    while answers.shape[1] < longest and not bool(done.all()):
        logits, kept = step(answers[:, -1], kept)
        chosen = logits.max(-1).indices.masked_fill(done, pad)
        done |= chosen == eos
        answers = torch.cat([answers, chosen.unsqueeze(1)], 1)
    return answers
