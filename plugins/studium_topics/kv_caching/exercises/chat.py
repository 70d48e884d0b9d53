import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=5,
    minutes=25,
    level="integrative",
    importance=3,
    hints=(
        "The user has edited the third token of a long conversation. Which keys and values are still valid, and which "
        "tokens do you have to feed?",
        "Count how many tokens the conversation and the memory share at the beginning. Feed the tokens after those, "
        "then decode until the stop token. Store the fed tokens together with the cache.",
        "If the memory holds the whole conversation, its logits are gone, so feed the last token again. ids are "
        "lists; the model takes (1, t) and returns (1, t, V).",
        "`step(torch.tensor([ids[at : at + chunk]]), at, cache)`, with at running from the shared length in steps of "
        "chunk.",
    ),
)
def chat(step, ids, memory, new, chunk, stop):
    """Return a greedy answer to a conversation, reading only tokens that the cache does not hold.

    * step: as in `generate`. A call with start before the end of the cache overwrites it from there on.
    * ids: the whole conversation, a list of ints; it stays as it is.
    * memory: None, or what the last call returned. The conversation may have been edited since, anywhere.

    Feed at most `chunk` tokens per call. Do not feed the last token of an answer. The answer, a list, has `new` >= 1
    tokens, or ends earlier with token `stop`. Return the answer and the memory for the next call.
    """
    ### BEGIN SOLUTION
    fed, cache = ([], None) if memory is None else memory
    shared = 0
    while shared < min(len(fed), len(ids) - 1) and fed[shared] == ids[shared]:
        shared += 1
    for at in range(shared, len(ids), chunk):
        part = torch.tensor([ids[at : at + chunk]])
        logits, cache = step(part, at, cache)
    answer = [int(logits[0, -1].argmax())]
    while answer[-1] != stop and len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    return answer, (ids + answer[:-1], cache)
    ### END SOLUTION


chat.equivalent("answer.append(int(logits[0, 0].argmax()))", "one token was fed, so its first position is its last")


@chat.test("reads a second question, and not the first one again", points=1)
def _(chat):
    calls = []

    def step(ids, start, cache):
        """Predict n + 1 after n, and note what was fed and from where."""
        calls.append((start, ids[0].tolist()))
        return F.one_hot((ids + 1) % 20, 20).float(), [*(cache or []), calls[-1]]

    answer, memory = chat(step, [3, 9, 4], None, 3, 8, 0)
    assert_close(answer, [5, 6, 7], message="a model that predicts n + 1 after n, asked for 3 tokens after 3, 9, 4")
    calls.clear()
    answer, _ = chat(step, [3, 9, 4, 5, 6, 7, 15, 17], memory, 4, 8, 0)
    assert_close(answer, [18, 19, 0], message="the answer to 15, 17, which ends with the stop token 0")
    what = "the calls of step, as (start, ids), with 3, 9, 4, 5, 6 in the cache"
    assert_close(calls, [(5, [7, 15, 17]), (8, [18]), (9, [19])], message=what)


@chat.hidden("answers as a model without a memory does, also after edits", points=2)
def _(chat, rng):
    for chunk, new in ((3, 5), (2, 4), (6, 1)):
        table = torch.randn(89, 12, generator=rng)

        def step(ids, start, cache, table=table):
            held, log = cache or ([], [])
            held = [*held[:start], *ids[0].tolist()]
            held = [0] * (start + ids.shape[1] - len(held)) + held
            codes = torch.tensor([(token + 2) * (place + 3) ** 2 for place, token in enumerate(held)]).cumsum(0)
            return table[codes[start:] % 89][None], (held, [*log, (start, ids.shape[1])])

        def plain(ids, new=new, step=step):
            text = list(ids)
            while len(text) < len(ids) + new and (len(text) == len(ids) or text[-1] != 0):
                text.append(int(step(torch.tensor([text]), 0, None)[0][0, -1].argmax()))
            return text[len(ids) :]

        def drawn(count):
            return torch.randint(12, (count,), generator=rng).tolist()

        ids, memory = drawn(7), None
        for turn in ("first", "second", "third", "edited", "shortened", "repeated", "other"):
            if turn == "edited":
                ids = [*ids[:4], (ids[4] + 1) % 12, *ids[5:]]
            elif turn == "shortened":
                ids = ids[:6]
            elif turn == "other":
                ids = [(ids[0] + 1) % 12, *ids[1:], 3, 3, 3]
            kept = list(ids)
            answer, memory = chat(step, ids, memory, new, chunk, 0)
            assert ids == kept, f"the argument ids must stay as it is: {kept} became {ids}"
            what = f"the answer to the {turn} conversation, {ids}, with at most {new} tokens in chunks of {chunk}"
            assert_close(answer, plain(ids), message=what)
            if turn in ("first", "second"):
                ids = [*ids, *answer, *drawn(4)]


@chat.hidden("feeds each token once, and what an edit leaves valid never again", points=2)
def _(chat, rng):
    fed = []

    def step(ids, start, cache):
        fed.append((start, ids.shape[1]))
        return F.one_hot((ids * 5 + 3) % 11, 11).float(), [*(cache or []), fed[-1]]

    first = torch.randint(11, (9,), generator=rng).tolist()
    for chunk, new in ((4, 3), (2, 2)):
        fed.clear()
        answer, memory = chat(step, first, None, new, chunk, 99)
        read = [len(first) + new - 1]
        longer = [*first, *answer, 1, 2, 3, 4, 5]
        edited = [*longer[:6], (longer[6] + 1) % 11, *longer[7:]]
        for ids, shared in ((longer, read[0]), (edited, 6), (edited, len(edited) - 1), (first[:3], 2)):
            before = sum(count for _, count in fed)
            _, memory = chat(step, list(ids), memory, new, chunk, 99)
            found, expected = sum(count for _, count in fed) - before, len(ids) - shared + new - 1
            what = f"{len(ids)} tokens of which the cache holds the first {shared}, and {new} new ones"
            assert found == expected, f"for a conversation of {what}, {expected} tokens need to be fed, got {found}"
        longest = max(count for _, count in fed)
        assert longest <= chunk, f"a call feeds at most {chunk} tokens, got {longest}"


@chat.misconception(
    "You read the whole conversation in each call; the answers are right, but you repeat the work of all earlier "
    "turns. Feed only what the cache does not hold.",
    name="no-memory",
)
def _(step, ids, memory, new, chunk, stop):
    cache = None
    shared = 0
    for at in range(shared, len(ids), chunk):
        part = torch.tensor([ids[at : at + chunk]])
        logits, cache = step(part, at, cache)
    answer = [int(logits[0, -1].argmax())]
    while answer[-1] != stop and len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    return answer, (ids + answer[:-1], cache)


@chat.misconception(
    "You skipped as many tokens as the memory holds without comparing them; compare them, because after an edit the "
    "cache holds keys of a text that is gone.",
    name="ignored-edits",
)
def _(step, ids, memory, new, chunk, stop):
    fed, cache = ([], None) if memory is None else memory
    shared = 0
    shared = min(len(fed), len(ids) - 1)
    for at in range(shared, len(ids), chunk):
        part = torch.tensor([ids[at : at + chunk]])
        logits, cache = step(part, at, cache)
    answer = [int(logits[0, -1].argmax())]
    while answer[-1] != stop and len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    return answer, (ids + answer[:-1], cache)


@chat.misconception(
    "You read everything again after an edit; keep the keys and values of the tokens before the first difference, "
    "which are still valid.",
    name="all-or-nothing",
)
def _(step, ids, memory, new, chunk, stop):
    fed, cache = ([], None) if memory is None else memory
    shared = 0
    if fed == ids[: len(fed)]:
        shared = min(len(fed), len(ids) - 1)
    for at in range(shared, len(ids), chunk):
        part = torch.tensor([ids[at : at + chunk]])
        logits, cache = step(part, at, cache)
    answer = [int(logits[0, -1].argmax())]
    while answer[-1] != stop and len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    return answer, (ids + answer[:-1], cache)


@chat.misconception(
    "You counted equal tokens anywhere in the text; count only the common beginning, because every token after the "
    "first difference has read that difference.",
    name="counted-matches",
)
def _(step, ids, memory, new, chunk, stop):
    fed, cache = ([], None) if memory is None else memory
    shared = 0
    shared = sum(a == b for a, b in zip(fed, ids[:-1], strict=False))
    for at in range(shared, len(ids), chunk):
        part = torch.tensor([ids[at : at + chunk]])
        logits, cache = step(part, at, cache)
    answer = [int(logits[0, -1].argmax())]
    while answer[-1] != stop and len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    return answer, (ids + answer[:-1], cache)


chat.mistake(
    "nothing-to-feed",
    "You fed no token when the memory holds the whole conversation, so there are no logits to answer from; feed its "
    "last token again.",
    replace="len(ids) - 1",
    by="len(ids)",
)

chat.mistake(
    "remembered-unfed-token",
    "You recorded the last token of the answer as being in the cache; it was chosen but never fed, so leave it out of "
    "the memory.",
    replace="answer[:-1]",
    by="answer",
)

chat.mistake(
    "forgot-own-answer",
    "You left the answer out of the memory, so the next call reads the model's own words again.",
    replace="ids + answer[:-1]",
    by="ids",
)

chat.mistake(
    "ignored-stop",
    "You did not end the answer at the stop token.",
    replace="answer[-1] != stop and len(answer) < new",
    by="len(answer) < new",
)


@chat.misconception(
    "You left the stop token out of the answer; include it as the last token.",
    name="answer-without-stop",
)
def _(step, ids, memory, new, chunk, stop):
    fed, cache = ([], None) if memory is None else memory
    shared = 0
    while shared < min(len(fed), len(ids) - 1) and fed[shared] == ids[shared]:
        shared += 1
    for at in range(shared, len(ids), chunk):
        part = torch.tensor([ids[at : at + chunk]])
        logits, cache = step(part, at, cache)
    answer = [int(logits[0, -1].argmax())]
    while answer[-1] != stop and len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    answer = answer[:-1] if answer[-1] == stop else answer
    return answer, (ids + answer[:-1], cache)


chat.mistake(
    "positions-restart",
    "You started the new part of the conversation at position 0; it comes after the shared tokens.",
    replace="step(part, at, cache)",
    by="step(part, at - shared, cache)",
)


@chat.misconception(
    "You fed the new part all at once; feed at most `chunk` tokens per call.",
    name="in-one-piece",
)
def _(step, ids, memory, new, chunk, stop):
    fed, cache = ([], None) if memory is None else memory
    shared = 0
    while shared < min(len(fed), len(ids) - 1) and fed[shared] == ids[shared]:
        shared += 1
    for at in range(shared, len(ids), len(ids)):
        logits, cache = step(torch.tensor([ids[at:]]), at, cache)
    answer = [int(logits[0, -1].argmax())]
    while answer[-1] != stop and len(answer) < new:
        start = len(ids) + len(answer) - 1
        logits, cache = step(torch.tensor([answer[-1:]]), start, cache)
        answer.append(int(logits[0, -1].argmax()))
    return answer, (ids + answer[:-1], cache)


@chat.also_correct
def _(step, ids, memory, new, chunk, stop):
    old, cache = memory or ([], None)
    start = next((i for i, (a, b) in enumerate(zip(old, ids, strict=False)) if a != b), min(len(old), len(ids)))
    start = min(start, len(ids) - 1)
    text, answer = list(ids), []
    while len(answer) < new:
        part = text[start : start + chunk]
        logits, cache = step(torch.tensor(part)[None], start, cache)
        start += len(part)
        if start == len(text):
            answer.append(logits[0, -1].argmax().item())
            if answer[-1] == stop:
                break
            text.append(answer[-1])
    return answer, (text[:start], cache)


@chat.also_correct
def _(step, ids, memory, new, chunk, stop):
    fed, cache = memory or ((), None)
    shared = 0
    for known, token in zip(fed, ids[:-1], strict=False):
        if known != token:
            break
        shared += 1
    for part in torch.tensor(ids[shared:])[None].split(chunk, 1):
        logits, cache = step(part, shared, cache)
        shared += part.shape[1]
    answer = []
    for i in range(new):
        answer.append(logits[0, -1].max(-1).indices.item())
        if answer[-1] == stop or i == new - 1:
            break
        logits, cache = step(torch.tensor([[answer[-1]]]), shared + i, cache)
    return answer, ((*ids, *answer[:-1]), cache)
