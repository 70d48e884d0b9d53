import torch
from studium import assert_close, exercise

from studium_topics.speculative_decoding.chance import Dice, distance, law
from studium_topics.speculative_decoding.exercises.propose import propose
from studium_topics.speculative_decoding.exercises.verify import verify
from studium_topics.speculative_decoding.readers import TableReader, random_rows


@exercise(
    points=7,
    minutes=25,
    level="integrative",
    importance=3,
    hints=(
        "After a pass, which tokens in the target's cache belong to the text, and which token of the text is in "
        "neither cache?",
        "In each turn: propose, run one pass of the target over what it has not read yet and the drafted tokens, "
        "verify, append up to `stop` and up to `new`, and roll both caches back.",
        "While the target reads the prompt, its pass returns more than gamma + 1 rows; verify needs the last gamma + "
        "1. You can always crop: it never lengthens a cache.",
        "`target.read((text + drafted)[target.length :])[-gamma - 1 :]`, then `crop(len(text) - 1)` for both.",
    ),
)
def speculate(target, draft, prompt, new, gamma, stop, chance):
    """Return a continuation of prompt, and how many drafted tokens each pass of the target kept.

    * target, draft: models with empty caches; `read` and `length` as in `propose`, and `crop(n)` forgets all but the
      first n tokens.
    * prompt: a list of tokens; it stays as it is.

    Draft gamma tokens in every turn. Return `new` tokens, or fewer if one is `stop`, which then comes last; and for
    each pass, how many of the drafted tokens verify kept, used or not. The target reads each token of the text once, in
    one pass per turn. After a turn, each cache holds exactly the tokens of the text that its model has read, except the
    text's last token.
    """
    ### BEGIN SOLUTION
    text, kept, end = list(prompt), [], len(prompt) + new
    while len(text) < end:
        drafted, q = propose(draft, text, gamma, chance)
        p = target.read((text + drafted)[target.length :])[-gamma - 1 :]
        tokens = verify(p, q, drafted, chance)
        kept.append(len(tokens) - 1)
        for token in tokens[: end - len(text)]:
            text.append(token)
            if token == stop:
                end = len(text)
                break
        target.crop(len(text) - 1)
        draft.crop(len(text) - 1)
    return text[len(prompt) :], kept
    ### END SOLUTION


@speculate.test("writes what the target would, in fewer passes", points=2)
def _(speculate):
    cycle = torch.eye(4, dtype=torch.float64)[[1, 2, 3, 0, 2, 1, 3]]  # a target that is certain
    target, draft = TableReader(cycle), TableReader(cycle)
    found, kept = speculate(target, draft, [0, 2], 8, 3, -1, Dice(0))
    text = [0, 2]
    for _ in range(8):
        text.append(int(target.row(text).argmax()))
    assert_close(found, text[2:], message="8 tokens, with a draft that is certain of the same tokens")
    assert_close(kept, [3, 3], message="two passes, in which all three drafted tokens are kept")
    assert_close(target.reads, [5, 4], message="what the target reads: the prompt and 3 tokens, then the bonus and 3")
    assert_close(
        draft.reads, [2, 1, 1, 2, 1, 1], message="what the draft reads: the prompt first, and later what it missed"
    )


@speculate.hidden("leaves the distribution of the whole text exactly the target's", points=2)
def _(speculate, rng):
    for size, prompt, new, gamma, stop in ((2, [1, 0], 2, 2, -1), (2, [0], 3, 2, 1), (3, [2, 0], 2, 1, 2)):
        theirs, ours = random_rows(7, size, rng), random_rows(7, size, rng)

        def write(chance, theirs=theirs, ours=ours, prompt=prompt, new=new, gamma=gamma, stop=stop):
            return speculate(TableReader(theirs), TableReader(ours), [*prompt], new, gamma, stop, chance)[0]

        off = distance(law(write), TableReader(theirs).continuations(prompt, new, stop))
        assert off < 1e-6, (
            f"{new} new tokens after {prompt}, {gamma} drafted in each pass, must be distributed as the target's: the "
            f"total variation distance must be 0, got {off:.4f}"
        )


@speculate.hidden("rolls both caches back, and reads nothing twice", points=2)
def _(speculate, rng):
    for size, prompt, new, gamma, seed in ((3, [1, 2, 0], 12, 3, 5), (4, [3], 9, 2, 8), (2, [0, 1], 15, 4, 2)):
        target = TableReader(random_rows(11, size, rng))
        draft = TableReader(0.5 * target.rows + 0.5 * random_rows(11, size, rng))
        given = list(prompt)
        found, kept = speculate(target, draft, given, new, gamma, -1, Dice(seed))
        what = f"{new} tokens after {len(prompt)}, gamma = {gamma}"
        text = [*prompt, *found]
        assert given == prompt, "the argument prompt must stay as it is"
        assert len(found) == new, f"{new} new tokens are needed, got {len(found)}"
        assert_close(
            target.reads, [len(prompt) + gamma, *[1 + gamma] * (len(kept) - 1)], message=f"target reads, {what}"
        )
        missed = [len(prompt), *(2 if count == gamma else 1 for count in kept[:-1])]
        expected = [count for first in missed for count in (first, *[1] * (gamma - 1))]
        assert_close(draft.reads, expected, message=f"what the draft reads, {what}")
        assert_close(target.held, text[:-1], message=f"the target's cache at the end, {what}")
        assert_close(draft.held, text[: len(draft.held)], message=f"the draft's cache at the end, {what}")
        assert len(draft.held) < len(text), "the last token of the text must not be in the draft's cache"
        added = [count + 1 for count in kept]
        assert sum(added[:-1]) < new <= sum(added), f"the passes added {added}, which does not make {what}"


@speculate.hidden("ends with the stop token, also inside a pass", points=1)
def _(speculate):
    cycle = torch.eye(5, dtype=torch.float64)[[1, 2, 3, 0, 2, 1, 4]]
    plain, text = TableReader(cycle), [3, 0]
    for _ in range(12):
        text.append(int(plain.row(text).argmax()))
    for stop in sorted(set(text[2:]), reverse=True):
        expected = text[2 : text.index(stop, 2) + 1]
        target, draft = TableReader(cycle), TableReader(cycle)
        found, kept = speculate(target, draft, [3, 0], 12, 3, stop, Dice(1))
        assert_close(found, expected, message=f"the text of the target is {text[2:]}, and {stop} ends it")
        passes = -(-len(expected) // 4)
        assert len(kept) == passes, f"no pass is needed after the stop token, got {len(kept)} passes"
        assert_close(kept, [3] * passes, message=f"what verify kept in each pass, also after the stop token {stop}")
        assert_close(target.held, [3, 0, *expected[:-1]], message=f"the target's cache when {stop} ended the text")


speculate.mistake(
    "target-not-cropped",
    "You did not roll the target's cache back. Rejected tokens stay in it, so all later tokens are judged after a "
    "text that was never written.",
    replace="target.crop(len(text) - 1)",
    by="",
)

speculate.mistake(
    "one-place-too-many",
    "You cropped the target's cache to the length of the text. Its last place still holds the rejected token, so the "
    "target never reads the replacement; crop to one token less.",
    replace="target.crop(len(text) - 1)",
    by="target.crop(len(text))",
)

speculate.mistake(
    "draft-not-cropped",
    "You rolled back the target's cache but not the draft's. The text stays right, but the draft continues from "
    "tokens that were rejected.",
    replace="draft.crop(len(text) - 1)",
    by="",
)


@speculate.misconception(
    "You emptied the caches after each pass, so both models read the whole text again and again. Forget only what is "
    "not in the text.",
    name="emptied-the-caches",
)
def _(target, draft, prompt, new, gamma, stop, chance):
    text, kept, end = list(prompt), [], len(prompt) + new
    while len(text) < end:
        drafted, q = propose(draft, text, gamma, chance)
        p = target.read((text + drafted)[target.length :])[-gamma - 1 :]
        tokens = verify(p, q, drafted, chance)
        kept.append(len(tokens) - 1)
        for token in tokens[: end - len(text)]:
            text.append(token)
            if token == stop:
                end = len(text)
                break
        target.crop(0)
        draft.crop(0)
    return text[len(prompt) :], kept


speculate.mistake(
    "overshot",
    "You appended all tokens of the last pass, so the text may have up to gamma more tokens than `new`; stop at `new`.",
    replace="tokens[: end - len(text)]",
    by="tokens",
)


@speculate.misconception(
    "You looked for the stop token only at the end of a pass. It can be among the kept tokens too, and what follows "
    "it does not belong in the text.",
    name="stop-inside-missed",
)
def _(target, draft, prompt, new, gamma, stop, chance):
    text, kept, end = list(prompt), [], len(prompt) + new
    while len(text) < end:
        drafted, q = propose(draft, text, gamma, chance)
        p = target.read((text + drafted)[target.length :])[-gamma - 1 :]
        tokens = verify(p, q, drafted, chance)
        kept.append(len(tokens) - 1)
        text += tokens[: end - len(text)]
        target.crop(len(text) - 1)
        draft.crop(len(text) - 1)
        if text[-1] == stop:
            break
    return text[len(prompt) :], kept


speculate.mistake(
    "first-rows",
    "You gave verify the first gamma + 1 rows of the target's pass. While it reads the prompt, these belong to the "
    "prompt; the drafted tokens are at the end.",
    replace="target.read((text + drafted)[target.length :])[-gamma - 1 :]",
    by="target.read((text + drafted)[target.length :])[: gamma + 1]",
)

speculate.mistake(
    "changed-the-prompt",
    "You appended to the prompt that you were given; append to a copy.",
    edits=[
        (
            "text, kept, end = list(prompt), [], len(prompt) + new",
            "text, kept, start, end = prompt, [], len(prompt), len(prompt) + new",
        ),
        ("text[len(prompt) :]", "text[start:]"),
    ],
)


@speculate.also_correct
def _(target, draft, prompt, new, gamma, stop, chance):
    found, kept = [], []
    while len(found) < new and stop not in found:
        drafted, q = propose(draft, prompt + found, gamma, chance)
        unread = (prompt + found)[target.length :]
        p = target.read(unread + drafted)[len(unread) - 1 :]
        tokens = verify(p, q, drafted, chance)
        kept.append(len(tokens) - 1)
        if stop in tokens:
            tokens = tokens[: tokens.index(stop) + 1]
        found = (found + tokens)[:new]
        for model in (target, draft):
            model.crop(len(prompt) + len(found) - 1)
    return found, kept


@speculate.also_correct
def _(target, draft, prompt, new, gamma, stop, chance):
    text, kept = [*prompt], []
    done = False
    while not done:
        drafted, q = propose(draft, text, gamma, chance)
        rows = target.read(text[target.length :] + drafted)
        tokens = verify(rows[rows.shape[0] - gamma - 1 :], q, drafted, chance)
        kept.append(len(tokens) - 1)
        while tokens and not done:
            text.append(tokens.pop(0))
            done = text[-1] == stop or len(text) == len(prompt) + new
        if target.length >= len(text):
            target.crop(len(text) - 1)
        if draft.length >= len(text):
            draft.crop(len(text) - 1)
    return text[len(prompt) :], kept
