import torch
from studium import assert_close, exercise

from studium_topics.speculative_decoding.chance import Dice, law
from studium_topics.speculative_decoding.readers import TableReader, random_rows


@exercise(
    points=4,
    minutes=12,
    level="core",
    importance=2,
    kind="find the bug",
    shows="both-bugs",
    hints=(
        "From which distribution does each token come, and which distribution does `q` give? And which tokens of "
        "`text` has the draft not read after a pass that kept everything?",
        "Draw a token from exactly the row that you return. In the first pass, read everything that the draft has not "
        "read, which may be more than the last token.",
        "`draft.read` returns (t, V), one row for each token that it reads; you need only its last row, (V,).",
        "`draft.read(text[draft.length :])` in the first pass, `chance.pick(row)` for each token.",
    ),
)
def propose(draft, text, gamma, chance):
    """Return gamma tokens that the draft proposes as the continuation of text, and their distributions.

    * draft: has read the first `draft.length` tokens of text, not all of them. `draft.read(tokens)` reads t more and
      returns (t, V): the distribution after each token.
    * text: a list of tokens; it stays as it is.

    Return a list of gamma >= 1 tokens, and q (gamma, V), where token i was drawn from row i. Read each token once, in
    gamma passes. The code below has two bugs: one changes the distribution of the text, the other costs acceptances.
    """
    ### BEGIN SOLUTION
    drafted, rows, unread = [], [], text[draft.length :]
    for _ in range(gamma):
        row = draft.read(unread)[-1]
        drafted.append(chance.pick(row))
        rows.append(row)
        unread = drafted[-1:]
    return drafted, torch.stack(rows)
    ### END SOLUTION


@propose.test("draws each token from the row that it returns", points=1)
def _(propose, rng):
    rows, text = random_rows(7, 3, rng), [2, 0, 1]
    draft = TableReader(rows, text[:2])
    drafted, q = propose(draft, text, 2, Dice(1))
    assert_close(q[0], draft.row(text), message="the first row of q: the draft's distribution after the text")
    assert_close(q[1], draft.row([*text, drafted[0]]), message="the second row of q, after the first drafted token")
    found = law(lambda chance: propose(TableReader(rows, text[:2]), [*text], 2, chance)[0])
    expected = draft.continuations(text, 2)
    assert_close(found, expected, rtol=1e-5, atol=1e-6, message="the probability of each pair of drafted tokens")


@propose.hidden("reads what it missed, and every token once", points=2)
def _(propose, rng):
    for size, text, known, gamma in ((4, [1, 3, 0, 2], 2, 3), (3, [2, 1], 0, 2), (5, [4, 0, 1], 2, 1)):
        draft = TableReader(random_rows(11, size, rng), text[:known])
        given = list(text)
        drafted, q = propose(draft, given, gamma, Dice(3))
        what = f"after {len(text)} tokens, of which the draft has read {known}, for gamma = {gamma}"
        assert given == text, "the argument text must stay as it is"
        assert len(drafted) == gamma, f"{gamma} tokens are needed {what}, got {len(drafted)}"
        assert_close(draft.held, [*text, *drafted[:-1]], message=f"the tokens that the draft has read {what}")
        expected_reads = [len(text) - known, *[1] * (gamma - 1)]
        assert_close(draft.reads, expected_reads, message=f"the number of tokens in each pass {what}")
        expected = torch.stack([draft.row([*text, *drafted[:i]]) for i in range(gamma)])
        assert_close(torch.as_tensor(q), expected, message=f"the rows of q {what}")


@propose.hidden("draws, and does not take the likeliest", points=1)
def _(propose, rng):
    rows, text = random_rows(7, 4, rng), [3, 1, 1, 0]
    found = law(lambda chance: propose(TableReader(rows, text[:1]), [*text], 3, chance)[0])
    expected = TableReader(rows).continuations(text, 3)
    assert_close(found, expected, rtol=1e-5, atol=1e-6, message="the probability of each three drafted tokens")


@propose.misconception(
    "You still read only the last token of the text. After a pass that kept everything, the draft has not read the "
    "last two; let it read both, or it continues after a gap.",
    name="last-token-alone",
)
def _(draft, text, gamma, chance):
    drafted, rows, last = [], [], text[-1]
    for _ in range(gamma):
        row = draft.read([last])[-1]
        last = chance.pick(row)
        drafted.append(last)
        rows.append(row)
    return drafted, torch.stack(rows)


propose.mistake(
    "likeliest-token",
    "You still take the likeliest token; draw it from q, or min(1, p / q) keeps the wrong share of it.",
    replace="chance.pick(row)",
    by="int(row.argmax())",
)


@propose.misconception(
    "Both bugs are still there: you take the likeliest tokens, and read only the last token of the text.",
    name="both-bugs",
)
def _(draft, text, gamma, chance):
    drafted, rows, last = [], [], text[-1]
    for _ in range(gamma):
        row = draft.read([last])[-1]
        last = int(row.argmax())
        drafted.append(last)
        rows.append(row)
    return drafted, torch.stack(rows)


propose.mistake(
    "whole-text-again",
    "You gave the draft the whole text, although its cache already holds the beginning; give it only the rest, or it "
    "reads those tokens twice.",
    replace="text[draft.length :]",
    by="text",
)


@propose.misconception(
    "You drew all tokens from the row after the text; let the draft read each drafted token before you draw the next "
    "one.",
    name="one-row-for-all",
)
def _(draft, text, gamma, chance):
    row = draft.read(text[draft.length :])[-1]
    return [chance.pick(row) for _ in range(gamma)], torch.stack([row] * gamma)


@propose.misconception(
    "You read the last proposed token too; leave that out, because nothing is drawn after it and the pass is wasted.",
    name="one-pass-too-many",
)
def _(draft, text, gamma, chance):
    drafted, rows, unread = [], [], text[draft.length :]
    for _ in range(gamma):
        row = draft.read(unread)[-1]
        drafted.append(chance.pick(row))
        rows.append(row)
        unread = drafted[-1:]
    draft.read(unread)
    return drafted, torch.stack(rows)


@propose.also_correct
def _(draft, text, gamma, chance):
    whole, rows = list(text), []
    while len(rows) < gamma:
        rows.append(draft.read(whole[draft.length :])[-1])
        whole.append(chance.pick(rows[-1].tolist()))
    return whole[len(text) :], torch.stack(rows)


@propose.also_correct
def _(draft, text, gamma, chance):
    q = draft.read(text[draft.length :])[-1:]
    drafted = [chance.pick(q[0])]
    for _ in range(gamma - 1):
        q = torch.cat([q, draft.read([drafted[-1]])])
        drafted.append(chance.pick(q[-1]))
    return drafted, q
