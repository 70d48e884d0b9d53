"""The exercises: the template, the loss, packing and its mask, exact match, the fine-tuning loop, and retrieval."""

import math
from collections import Counter

import torch
import torch.nn.functional as F
from studium import assert_close, exercise

from studium_topics.kits.weights import drawn
from studium_topics.llm_tasks.model import TapeLM, adapt


@exercise(
    points=4,
    minutes=14,
    importance=3,
    hints=(
        "Which of these tokens will the finished assistant have to write by itself, and which ones does it find there?",
        "Go through the messages. Each adds a header, its words and an end; only an assistant's words and end are lit.",
        "A message of n words adds n + 2 tokens: a header that is never lit, and n + 1 tokens that share one bool.",
        '`f"[{message[\'role\'].upper()}]"` is the header, and `message["content"].split()` are the words.',
    ),
)
def render(messages, numbers):
    """Return a conversation as one line of tokens, and which of them the loss sees.

    A message becomes its header, `[SYSTEM]`, `[USER]` or `[ASSISTANT]`, its words, and
    `[END]`. Lit are the tokens that the assistant has to write: the words of its messages
    and the `[END]` after them. Its header is put there by the program.

    * messages: a list of dicts with "role" ("system", "user" or "assistant") and "content",
      words separated by spaces, possibly none
    * numbers: a dict from each word, header and `[END]` to its number
    * returns: two lists of one length, of ints and of bools
    """
    ### BEGIN SOLUTION
    ids, lit = [], []
    for message in messages:
        words = [f"[{message['role'].upper()}]", *message["content"].split(), "[END]"]
        ids += [numbers[word] for word in words]
        lit += [False] + [message["role"] == "assistant"] * (len(words) - 1)
    return ids, lit
    ### END SOLUTION


@render.test("lights an answer and its end, and nothing else", points=1)
def _(render):
    numbers = {"[SYSTEM]": 3, "[USER]": 7, "[ASSISTANT]": 5, "[END]": 2, "dogs": 11, "sleep": 13, "yes": 17}
    messages = [{"role": "user", "content": "dogs sleep"}, {"role": "assistant", "content": "yes"}]
    ids, lit = render(messages, numbers)
    assert_close(list(ids), [7, 11, 13, 2, 5, 17, 2], message="the tokens of “dogs sleep” and “yes”")
    assert_close(list(lit), [False] * 5 + [True] * 2, message="which tokens of “dogs sleep” and “yes” are lit")


@render.hidden("renders any number of turns, a system message, and empty ones", points=3)
def _(render, rng):
    vocabulary = ["[END]", "[ASSISTANT]", "[USER]", "[SYSTEM]", "a", "b", "c", "d", "e"]
    roles = (
        ("user", "assistant", "user", "assistant"),
        ("system", "user", "assistant"),
        ("assistant", "user", "user", "assistant", "assistant"),
        ("system", "user"),
        (),
    )
    for turns in roles:
        order = torch.randperm(40, generator=rng).tolist()
        numbers = dict(zip(vocabulary, order, strict=False))
        messages, ids, lit = [], [], []
        for turn, role in enumerate(turns):
            count = (3, 1, 0, 4, 2)[(turn + len(turns)) % 5]
            words = [vocabulary[4 + int(i)] for i in torch.randint(5, (count,), generator=rng)]
            messages.append({"role": role, "content": " ".join(words)})
            header = {"user": "[USER]", "assistant": "[ASSISTANT]", "system": "[SYSTEM]"}[role]
            ids += [numbers[word] for word in (header, *words, "[END]")]
            lit.append(False)
            lit.extend(role == "assistant" for _ in (*words, "[END]"))
        found, seen = render([dict(message) for message in messages], dict(numbers))
        assert_close([int(i) for i in found], ids, message=f"the tokens of the turns {turns}")
        assert_close([bool(i) for i in seen], lit, message=f"which tokens of the turns {turns} are lit")


@render.misconception(
    "You lit the prompt as well; the model then spends its training on writing questions, which users bring along.",
    name="lit-the-prompt",
)
def _(messages, numbers):
    ids, _ = render(messages, numbers)
    return ids, [True] * len(ids)


@render.misconception(
    "You left the `[END]` of an answer dark; the model then learns what to say and never when to stop.",
    name="end-not-lit",
)
def _(messages, numbers):
    ids, lit = [], []
    for message in messages:
        words = message["content"].split()
        ids += [numbers[word] for word in (f"[{message['role'].upper()}]", *words, "[END]")]
        lit += [False, *[message["role"] == "assistant"] * len(words), False]
    return ids, lit


@render.misconception(
    "You lit the header `[ASSISTANT]`; the program puts it there to ask for an answer, so the model never writes it.",
    name="lit-the-header",
)
def _(messages, numbers):
    ids, lit = [], []
    for message in messages:
        words = [f"[{message['role'].upper()}]", *message["content"].split(), "[END]"]
        ids += [numbers[word] for word in words]
        lit += [message["role"] == "assistant"] * len(words)
    return ids, lit


@render.misconception(
    "You lit every `[END]`; the one after a question is written by the program, only the assistant's own is learned.",
    name="lit-every-end",
)
def _(messages, numbers):
    ids, lit = render(messages, numbers)
    return ids, [seen or token == numbers["[END]"] for token, seen in zip(ids, lit, strict=True)]


@render.misconception(
    "You lit the last answer alone; in a conversation every turn of the assistant is something to learn.",
    name="last-answer-alone",
)
def _(messages, numbers):
    ids, lit = [], []
    for at, message in enumerate(messages):
        words = [f"[{message['role'].upper()}]", *message["content"].split(), "[END]"]
        ids += [numbers[word] for word in words]
        answer = message["role"] == "assistant" and at == len(messages) - 1
        lit += [False] + [answer] * (len(words) - 1)
    return ids, lit


@render.misconception(
    "You moved the lit tokens one place to the left; `lit` says which tokens are to be written, and the loss does the "
    "shift to the positions that predict them.",
    name="shifted-already",
)
def _(messages, numbers):
    ids, lit = render(messages, numbers)
    return ids, [*lit[1:], False] if lit else []


@render.misconception(
    "You put one `[END]` after the whole conversation; then nothing marks where a turn ends.", name="one-end-for-all"
)
def _(messages, numbers):
    ids, lit = [], []
    for message in messages:
        words = [f"[{message['role'].upper()}]", *message["content"].split()]
        ids += [numbers[word] for word in words]
        lit += [False] + [message["role"] == "assistant"] * (len(words) - 1)
    return [*ids, numbers["[END]"]], [*lit, True]


@render.also_correct
def _(messages, numbers):
    tokens = []
    for message in messages:
        role, words = message["role"], message["content"].split()
        tokens.append((numbers["[" + role.upper() + "]"], False))
        tokens.extend((numbers[word], role == "assistant") for word in words)
        tokens.append((numbers["[END]"], role == "assistant"))
    return [number for number, _ in tokens], [seen for _, seen in tokens]


@render.also_correct
def _(messages, numbers):
    headers = {"system": "[SYSTEM]", "user": "[USER]", "assistant": "[ASSISTANT]"}
    ids, lit = [], []
    for message in messages:
        ids.append(numbers[headers[message["role"]]])
        lit.append(False)
        for word in [*message["content"].split(), "[END]"]:
            ids.append(numbers[word])
            lit.append(message["role"] == "assistant")
    return tuple(ids), tuple(lit)


@exercise(
    points=4,
    minutes=12,
    importance=3,
    kind="find the bug",
    hints=(
        "Take “no [END] [ASSISTANT] yes [END] [USER]”. Which two losses does this code keep, and which should it keep?",
        "The loss at position t is about token t + 1, so `lit` must be read at the token, not at the position before.",
        "logits[:, :-1], ids[:, 1:] and lit[:, 1:] all have T - 1 columns. What does the mean divide by?",
        "`losses[keep]` picks the losses where the bool tensor `keep` is true; `.mean()` then divides by their number.",
    ),
)
def answer_loss(logits, ids, lit):
    """Find the bugs: this loss trains on the prompt, and it shrinks when prompts get longer.

    ```python
    def answer_loss(logits, ids, lit):
        predicted, following = logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()
        losses = F.cross_entropy(predicted, following, reduction="none")
        return (losses * lit[:, :-1].flatten()).mean()
    ```

    Return the mean, over all lit tokens of the batch, of -log p(token | the tokens before it).
    A lit token in the first column has none before it and does not count.

    * logits: (B, T, V); row t predicts token t + 1
    * ids: (B, T) long
    * lit: (B, T), true or false, at least one true after the first column
    * returns: a tensor (), through which gradients reach the logits
    """
    ### BEGIN SOLUTION
    losses = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    return losses[lit[:, 1:].flatten()].mean()
    ### END SOLUTION


@answer_loss.test("is the mean over the lit tokens, each predicted by the position before it", points=1)
def _(answer_loss, rng):
    logits = torch.randn(1, 6, 5, generator=rng, dtype=torch.float64)
    ids = torch.randint(5, (1, 6), generator=rng)
    lit = torch.tensor([[False, False, False, True, True, False]])
    p = logits.exp() / logits.exp().sum(-1, keepdim=True)
    expected = -(p[0, 2, ids[0, 3]].log() + p[0, 3, ids[0, 4]].log()) / 2
    assert_close(answer_loss(logits, ids, lit), expected, rtol=1e-5, atol=1e-5, message="the loss of two lit tokens")


@answer_loss.hidden("weighs all lit tokens of a batch alike, wherever they are", points=2)
def _(answer_loss, rng):
    for rows, length, size, share in ((3, 7, 11, 0.3), (4, 5, 3, 0.6), (2, 9, 6, 0.15), (5, 4, 8, 1.0)):
        logits = torch.randn(rows, length, size, generator=rng, dtype=torch.float64)
        ids = torch.randint(size, (rows, length), generator=rng)
        lit = torch.rand(rows, length, generator=rng) < share
        lit[0, 1:] = True
        lit[1, 2:] = False
        before = [tensor.clone() for tensor in (logits, ids, lit)]
        found = answer_loss(logits, ids, lit)
        for name, tensor, kept in zip(("logits", "ids", "lit"), (logits, ids, lit), before, strict=True):
            assert torch.equal(tensor, kept), f"the arguments must stay as they are, and {name} was changed"
        terms = []
        for row in range(rows):
            for at in range(1, length):
                if lit[row, at]:
                    scores = logits[row, at - 1]
                    terms.append(float(torch.logsumexp(scores, 0) - scores[ids[row, at]]))
        what = f"for {rows} rows of {length} tokens, {len(terms)} of them lit"
        assert_close(found, sum(terms) / len(terms), rtol=1e-4, atol=1e-5, message=f"the loss {what}")


@answer_loss.hidden("pulls at the logits before lit tokens alone", points=1)
def _(answer_loss, rng):
    logits = torch.randn(2, 5, 4, generator=rng, dtype=torch.float64).requires_grad_()
    ids = torch.randint(4, (2, 5), generator=rng)
    lit = torch.tensor([[True, False, True, False, False], [False, False, False, False, True]])
    loss = answer_loss(logits, ids, lit)
    assert isinstance(loss, torch.Tensor), f"a tensor is expected, got {type(loss).__name__}"
    assert loss.requires_grad, "gradients must reach the logits, and none can"
    (found,) = torch.autograd.grad(loss, logits)
    expected = torch.zeros_like(found)
    for row, at in ((0, 1), (1, 3)):
        expected[row, at] = logits.detach()[row, at].softmax(-1) / 2
        expected[row, at, ids[row, at + 1]] -= 0.5
    assert_close(found, expected, rtol=1e-4, atol=1e-6, message="the gradient at the logits")


@answer_loss.misconception(
    "You read `lit` at the position that predicts, not at the token that is predicted: that drops the first token of "
    "an answer and trains on the token after it, the next user's header.",
    name="mask-of-the-token-before",
)
def _(logits, ids, lit):
    losses = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    keep = lit[:, :-1].flatten()
    return (losses * keep).sum() / keep.sum()


@answer_loss.misconception(
    "You divided by the number of all tokens; the loss then depends on how long the prompts are, and so does its "
    "gradient.",
    name="divided-by-all-tokens",
)
def _(logits, ids, lit):
    losses = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    return (losses * lit[:, 1:].flatten()).mean()


@answer_loss.misconception(
    "You left both mistakes in: `lit` is read one place too early, and the mean divides by all tokens.",
    name="both-bugs-left-in",
)
def _(logits, ids, lit):
    losses = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    return (losses * lit[:, :-1].flatten()).mean()


@answer_loss.misconception(
    "You took the loss of every token; the prompt is then most of what the model is trained to write.",
    name="trained-on-the-prompt",
)
def _(logits, ids, lit):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())


@answer_loss.misconception(
    "You compared each row of logits with its own token; row t has read token t and predicts token t + 1.",
    name="no-shift",
)
def _(logits, ids, lit):
    losses = F.cross_entropy(logits.flatten(0, 1), ids.flatten(), reduction="none")
    return losses[lit.flatten()].mean()


@answer_loss.misconception(
    "You averaged within each row first; a token of a short answer then counts more than one of a long answer.",
    name="mean-of-row-means",
)
def _(logits, ids, lit):
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    keep = lit[:, 1:]
    rows = keep.any(1)
    return ((losses * keep).sum(1)[rows] / keep.sum(1)[rows]).mean()


@answer_loss.misconception(
    "You added the losses up; the size of a step then depends on how many tokens of the batch are lit.",
    name="sum-instead-of-mean",
)
def _(logits, ids, lit):
    losses = F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    return losses[lit[:, 1:].flatten()].sum()


@answer_loss.also_correct
def _(logits, ids, lit):
    labels = ids.masked_fill(~lit, -100)
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), labels[:, 1:], ignore_index=-100)


@answer_loss.also_correct
def _(logits, ids, lit):
    logp = logits.log_softmax(-1)[:, :-1].gather(-1, ids[:, 1:, None]).squeeze(-1)
    keep = lit[:, 1:].to(logp.dtype)
    return -(logp * keep).sum() / keep.sum()


@exercise(
    points=3,
    minutes=12,
    importance=3,
    kind="derive",
    hints=(
        "Decoding writes the first lit token. If it is the right one, what does the model read next?",
        "Until the first mistake the model reads the right text; after a mistake the answer is wrong whatever follows.",
        "The best token of row t, of shape (B, T - 1), has to equal ids[:, 1:], wherever lit[:, 1:] is true.",
        "`logits.argmax(-1)` is the best token of each row, `~lit` negates a bool tensor, and `x.all(1)` asks a row.",
    ),
)
def greedy_matches(logits, ids, lit):
    """Return for each conversation whether greedy decoding would write all its answers exactly.

    Greedy decoding reads the dark tokens as they are and replaces the lit ones, from left to
    right, by the token of the largest logit, given all tokens so far. You get the logits of
    *one* pass over the right text, and they are enough. Why?

    * logits: (B, T, V); row t predicts token t + 1; no two largest ones are equal
    * ids: (B, T) long, the right text
    * lit: (B, T) bool, false in the first column
    * returns: a bool tensor (B,), true for a row in which nothing is lit
    """
    ### BEGIN SOLUTION
    right = logits[:, :-1].argmax(-1) == ids[:, 1:]
    return (right | ~lit[:, 1:]).all(1)
    ### END SOLUTION


@greedy_matches.test("is false as soon as one lit token is not the likeliest", points=1)
def _(greedy_matches):
    ids = torch.tensor([[2, 0, 1, 3, 0]] * 5)
    lit = torch.tensor([[False, False, True, True, True]] * 5)
    best = [[1, 1, 3, 0, 2], [0, 1, 0, 1, 3], [0, 1, 3, 2, 0], [1, 0, 3, 0, 1], [0, 1, 3, 0, 2]]
    logits = F.one_hot(torch.tensor(best), 4).double()  # the likeliest token after each position
    found = torch.as_tensor(greedy_matches(logits, ids, lit))
    assert_close(found, torch.tensor([True, False, False, False, True]), message="five answers of three tokens")


@greedy_matches.hidden("says what decoding token by token says", points=2)
def _(greedy_matches, rng):
    for rows, length, size in ((9, 8, 5), (12, 6, 3), (7, 11, 4)):
        weight = torch.randn(size, size, size, generator=rng, dtype=torch.float64)

        def following(tokens, weight=weight):  # a model that looks at the first token and at the last
            return weight[tokens[0], tokens[-1]]

        ids = torch.randint(size, (rows, length), generator=rng)
        lit = torch.rand(rows, length, generator=rng) < 0.5
        lit[:, 0] = False
        lit[1], lit[2, -1] = False, True
        expected = []
        for row in range(rows):
            text = ids[row].tolist()
            for at in range(1, length):  # most rows become what decoding writes, and some of those get one wrong token
                if lit[row, at] and row % 4:
                    text[at] = int(following(text[:at]).argmax())
            if row % 4 == 2:
                text[-1] = (text[-1] + 1) % size
            ids[row] = torch.tensor(text)
            written = list(text)
            for at in range(1, length):
                if lit[row, at]:
                    written[at] = int(following(written[:at]).argmax())
            expected.append(written == text)
        logits = torch.stack([torch.stack([following(row[: at + 1]) for at in range(length)]) for row in ids])
        before = [tensor.clone() for tensor in (logits, ids, lit)]
        found = greedy_matches(logits, ids, lit)
        for name, tensor, kept in zip(("logits", "ids", "lit"), (logits, ids, lit), before, strict=True):
            assert torch.equal(tensor, kept), f"the arguments must stay as they are, and {name} was changed"
        assert isinstance(found, torch.Tensor), f"a bool tensor is expected, got {type(found).__name__}"
        assert found.dtype == torch.bool, f"a bool tensor is expected, got {found.dtype}"
        assert_close(found, torch.tensor(expected), message=f"{rows} conversations of {length} tokens")


@greedy_matches.misconception(
    "You counted a row as right when any lit token is right; an exact match needs all of them.", name="any-token"
)
def _(logits, ids, lit):
    right = logits[:, :-1].argmax(-1) == ids[:, 1:]
    return (right & lit[:, 1:]).any(1)


@greedy_matches.misconception(
    "You asked the prompt for a match too; greedy decoding reads the dark tokens and does not have to guess them.",
    name="asked-the-prompt",
)
def _(logits, ids, lit):
    return (logits[:, :-1].argmax(-1) == ids[:, 1:]).all(1)


@greedy_matches.misconception(
    "You compared row t with token t; its logits are a prediction of token t + 1.", name="no-shift"
)
def _(logits, ids, lit):
    return ((logits.argmax(-1) == ids) | ~lit).all(1)


@greedy_matches.misconception(
    "You read `lit` at the position that predicts; it belongs to the token that is predicted, one place further on.",
    name="mask-of-the-token-before",
)
def _(logits, ids, lit):
    return ((logits[:, :-1].argmax(-1) == ids[:, 1:]) | ~lit[:, :-1]).all(1)


@greedy_matches.misconception(
    "You returned the share of right tokens; four right tokens out of five are a wrong answer.", name="token-accuracy"
)
def _(logits, ids, lit):
    right = (logits[:, :-1].argmax(-1) == ids[:, 1:]) & lit[:, 1:]
    return right.sum(1) / lit[:, 1:].sum(1).clamp(min=1)


@greedy_matches.misconception(
    "You called a row right when at least half of its lit tokens are; an exact match needs all of them.",
    name="most-tokens",
)
def _(logits, ids, lit):
    right = (logits[:, :-1].argmax(-1) == ids[:, 1:]) & lit[:, 1:]
    return 2 * right.sum(1) >= lit[:, 1:].sum(1)


@greedy_matches.misconception(
    "You returned one answer for the whole batch; each row is a conversation with a match of its own.",
    name="one-for-the-batch",
)
def _(logits, ids, lit):
    return ((logits[:, :-1].argmax(-1) == ids[:, 1:]) | ~lit[:, 1:]).all()


@greedy_matches.also_correct
def _(logits, ids, lit):
    best = logits.max(-1).indices
    wrong = (best[:, :-1] != ids[:, 1:]) & lit[:, 1:]
    return wrong.sum(1) == 0


@greedy_matches.also_correct
def _(logits, ids, lit):
    rows = [
        all(not lit[b, t] or int(logits[b, t - 1].argmax()) == int(ids[b, t]) for t in range(1, ids.shape[1]))
        for b in range(len(ids))
    ]
    return torch.tensor(rows)


@exercise(
    points=5,
    minutes=20,
    importance=3,
    hints=(
        "What do two examples in one row share, and what must not differ from when each of them is alone?",
        "First decide which examples go into which row. Then fill four rectangles, one example after the other.",
        "An example of n tokens fills n columns: ids, lit, the positions 0 to n - 1, and its number, from 1 on.",
        "`torch.full((rows, length), pad)` makes a rectangle; `ids[row, at:end] = torch.tensor(tokens)` fills a part.",
    ),
)
def pack(examples, length, pad):
    """Return examples packed into rows, as four tensors (R, length).

    In the order given, an example joins the last row if it fits there, and begins a new row
    if not. Each example is treated as if it were alone: its positions begin at 0, and its
    first token, which nothing predicts, is dark.

    * examples: pairs (ids, lit), two lists of 1 to `length` entries; one example at least
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
    "You let the positions run on through the row; the second example then starts somewhere in the middle, where "
    "alone it starts at 0.",
    name="positions-run-on",
)
def _(examples, length, pad):
    ids, lit, _, segments = pack(examples, length, pad)
    return ids, lit, torch.arange(length) * (segments > 0), segments


@pack.misconception(
    "You kept the first token of an example lit; in a packed row the last token of the example before would have to "
    "predict it.",
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
    "You gave every example a row of its own; that is padding, and most of the rectangle is then wasted.",
    name="one-row-each",
)
def _(examples, length, pad):
    rows = [pack([example], length, pad) for example in examples]
    return tuple(torch.cat(parts) for parts in zip(*rows, strict=True))


@pack.misconception(
    "You numbered the examples from 0; padding has the number 0 too, and would then be part of the first example.",
    name="numbered-from-zero",
)
def _(examples, length, pad):
    ids, lit, positions, segments = pack(examples, length, pad)
    return ids, lit, positions, (segments - 1).clamp(min=0)


@pack.misconception(
    "You went on with the numbers from row to row; an example's number starts again at 1 in each row.",
    name="numbered-across-rows",
)
def _(examples, length, pad):
    ids, lit, positions, segments = pack(examples, length, pad)
    before = torch.cat([torch.zeros(1, dtype=torch.long), segments.amax(1).cumsum(0)[:-1]])
    return ids, lit, positions, (segments + before[:, None]) * (segments > 0)


@pack.misconception(
    "You cut the joined examples every `length` tokens, as in pretraining; an answer may then be in another row than "
    "its question.",
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
    "You filled gaps in earlier rows; that saves a few tokens, but it changes the order, and the statement keeps it.",
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


@exercise(
    points=3,
    minutes=6,
    level="warm-up",
    importance=3,
    hints=(
        "Two conditions decide whether one token may look at another. Which of them has nothing to do with packing?",
        "Compare the numbers of all pairs of tokens, and keep the pairs in which the second is not later.",
        "segments[:, :, None] is (B, T, 1) and segments[:, None, :] is (B, 1, T).",
        "`x.tril()` keeps the lower triangle of the last two axes, and sets the rest to zero, or false.",
    ),
)
def block_mask(segments):
    """Return which tokens of packed rows may look at which.

    A token may look at itself and at the tokens before it that have its number. So do the
    tokens of the padding among themselves, so that every token may look at one at least.

    * segments: (B, T) long, as `pack` returns them
    * returns: a bool tensor (B, T, T); the row is the token that looks
    """
    ### BEGIN SOLUTION
    return (segments[:, :, None] == segments[:, None, :]).tril()
    ### END SOLUTION


@block_mask.test("separates two examples and looks back only", points=1)
def _(block_mask):
    expected = torch.tensor([[[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 0, 1]]])
    assert_close(block_mask(torch.tensor([[1, 1, 2, 2, 0]])), expected.bool(), message="segments 1 1 2 2 0")


@block_mask.hidden("is the mask of each row, padding included", points=2)
def _(block_mask, rng):
    for rows, length in ((3, 7), (5, 4), (1, 9), (2, 1)):
        segments = torch.randint(0, 2, (rows, length), generator=rng).cumsum(1)
        segments[-1, length // 2 + 1 :] = 0
        before = segments.clone()
        found = block_mask(segments)
        assert torch.equal(segments, before), "segments must stay as they are"
        assert isinstance(found, torch.Tensor), f"a bool tensor is expected, got {type(found).__name__}"
        assert found.dtype == torch.bool, f"a bool tensor is expected, got {found.dtype}"
        expected = torch.zeros(rows, length, length, dtype=torch.bool)
        for row in range(rows):
            for looks in range(length):
                for seen in range(looks + 1):
                    expected[row, looks, seen] = bool(segments[row, looks] == segments[row, seen])
        assert_close(found, expected, message=f"the mask of segments {segments.tolist()}")


@block_mask.misconception(
    "You left out the causal triangle; a token would see those that come after it, its own label among them.",
    name="no-triangle",
)
def _(segments):
    return segments[:, :, None] == segments[:, None, :]


@block_mask.misconception(
    "You took the causal triangle alone; the second example then reads the first one.", name="triangle-alone"
)
def _(segments):
    rows, length = segments.shape
    return torch.ones(rows, length, length, dtype=torch.bool).tril()


@block_mask.misconception(
    "You forbade the padding to look at anything; the softmax of a row without any key is 0/0, which is nan.",
    name="padding-sees-nothing",
)
def _(segments):
    return (segments[:, :, None] == segments[:, None, :]).tril() & (segments > 0)[:, :, None]


@block_mask.misconception(
    "You took the upper triangle; the row is the token that looks, and it looks to the left.", name="upper-triangle"
)
def _(segments):
    return (segments[:, :, None] == segments[:, None, :]).triu()


@block_mask.misconception(
    "You let each token look at the examples before its own as well; with `>=` the numbers order the examples but do "
    "not separate them.",
    name="greater-or-equal",
)
def _(segments):
    return (segments[:, :, None] >= segments[:, None, :]).tril()


@block_mask.misconception(
    "You left the diagonal out; a token reads itself too, and the first token of an example has nothing else.",
    name="without-the-diagonal",
)
def _(segments):
    return (segments[:, :, None] == segments[:, None, :]).tril(-1)


@block_mask.also_correct
def _(segments):
    at = torch.arange(segments.shape[1], device=segments.device)
    return (segments.unsqueeze(2) == segments.unsqueeze(1)) & (at[:, None] >= at)


@block_mask.also_correct
def _(segments):
    same = (segments[:, :, None] - segments[:, None, :]).abs() < 0.5
    return torch.tril(same.long()).bool()


@exercise(
    points=7,
    minutes=35,
    level="integrative",
    importance=3,
    hints=(
        "You have every part. Which of them are needed before training, which in each step, and which after it?",
        "Adapt, render, pack; then a step for each batch of rows, at a rate that falls; then count exact matches.",
        "pack gives four tensors with R rows, which are cut into batches together; a held-out conversation is one row.",
        '`zip(*(part.split(batch) for part in packed))` are the batches, `optimizer.param_groups[0]["lr"] = rate` '
        "sets the rate, and `model(ids, positions, block_mask(segments))` are the logits.",
    ),
)
def finetune(base, conversations, held_out, numbers, rank, length, batch, lr, generator):
    """Fine-tune a language model on conversations; return it, the losses, and the exact match.

    Train what `adapt(base, rank, generator)` returns: its LoRA factors ask for a gradient, and
    nothing else. Pack the conversations in the order given. Take one step of `torch.optim.Adam`
    on each `batch` rows, in order; the last step may get fewer. Step i of n, from i = 0, has the
    rate lr · (1 - i / n).

    * base: a TapeLM on the CPU; it stays as it is
    * conversations, held_out: lists of messages, as for `render`
    * numbers: has `[PAD]` too
    * length: columns of a row
    * returns: the model; the loss before each step; the share of held_out that greedy decoding
      would write exactly
    """
    ### BEGIN SOLUTION
    model = adapt(base, rank, generator)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    packed = pack([render(messages, numbers) for messages in conversations], length, numbers["[PAD]"])
    batches = list(zip(*(part.split(batch) for part in packed), strict=True))
    losses = []
    for step, (ids, lit, positions, segments) in enumerate(batches):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / len(batches))
        optimizer.zero_grad()
        loss = answer_loss(model(ids, positions, block_mask(segments)), ids, lit)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    matches = 0
    with torch.no_grad():
        for messages in held_out:
            ids, lit = (torch.tensor([part]) for part in render(messages, numbers))
            matches += greedy_matches(model(ids), ids, lit).item()
    return model, losses, matches / len(held_out)
    ### END SOLUTION


finetune.equivalent(
    "optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad])", "each step sets the rate"
)
finetune.equivalent(
    "optimizer = torch.optim.Adam([p for p in model.parameters() if True], lr=lr)",
    "the optimizer leaves alone what has no gradient",
)
finetune.equivalent(
    "batches = list(zip(*(part.split(batch) for part in packed), strict=False))", "the four parts have the same rows"
)
finetune.equivalent('with __import__("contextlib").nullcontext():', "nothing is differentiated there")


@finetune.test("learns to say which of two words came, and leaves the base as it was", points=2)
def _(finetune, rng):
    words = ("[PAD]", "[USER]", "[ASSISTANT]", "[END]", "dogs", "dog", "plural", "singular")
    numbers = {word: number for number, word in enumerate(words)}
    base = drawn(lambda: TapeLM(8, length=12, width=16, layers=1, heads=2), rng, 0.3)
    before = {name: parameter.detach().clone() for name, parameter in base.named_parameters()}
    pairs = (("dogs", "plural"), ("dog", "singular"))
    asked = [[{"role": "user", "content": a}, {"role": "assistant", "content": b}] for a, b in pairs]
    model, losses, match = finetune(base, asked * 60, asked, numbers, 4, 12, 2, 0.05, rng)
    for name, parameter in base.named_parameters():
        assert torch.equal(parameter, before[name]), f"base must stay as it is, and {name} was changed"
    assert len(losses) == 30, (
        f"120 conversations fill 60 rows, 30 batches of two, and you returned {len(losses)} losses"
    )
    went = f"it went from {losses[0]:.3f} to {losses[-1]:.3f}"
    assert losses[-1] < losses[0] / 2, f"the loss must fall to less than half, and {went}"
    right = 0
    for question, answer in pairs:
        text = [numbers[word] for word in ("[USER]", question, "[END]", "[ASSISTANT]")]
        for _ in range(2):
            text.append(int(model(torch.tensor([text]))[0, -1].argmax()))
        right += text[4:] == [numbers[answer], numbers["[END]"]]
    assert_close(float(match), right / 2, message="the exact match, which decoding token by token gives as well")


@finetune.hidden("trains on packed rows as on each conversation alone, and counts exact matches", points=5)
def _(finetune, rng):
    words = ("[END]", "a", "b", "[SYSTEM]", "c", "[PAD]", "[USER]", "d", "[ASSISTANT]", "e")
    numbers = {word: number for number, word in enumerate(words)}
    headers = {role: numbers[f"[{role.upper()}]"] for role in ("system", "user", "assistant")}

    def conversation(turns, most):
        made = []
        for turn in range(turns):
            count = int(torch.randint(1, most + 1, (1,), generator=rng))
            drawn_words = ["abcde"[int(i)] for i in torch.randint(5, (count,), generator=rng)]
            made.append({"role": ("user", "assistant")[turn % 2], "content": " ".join(drawn_words)})
        return made

    def tokens(messages):
        ids, lit = [], []
        for message in messages:
            ids += [headers[message["role"]], *(numbers[word] for word in message["content"].split()), numbers["[END]"]]
            lit += [False] + [message["role"] == "assistant"] * (len(ids) - len(lit) - 1)
        return ids, lit

    cases = ((9, 2, 3, 24, 2, 2, 0.05, ""), (7, 4, 2, 20, 1, 3, 0.02, ""), (90, 2, 1, 24, 1, 3, 0.1, "c"))
    for count, turns, most, length, batch, rank, lr, always in cases:
        base = drawn(lambda: TapeLM(10, length=24, width=8, layers=2, heads=2), rng).double()
        conversations = [conversation(turns, most) for _ in range(count)]
        held_out = [conversation(2, 1) for _ in range(12)]
        for messages in (*conversations, *held_out[:5]) if always else ():
            messages[1]["content"] = always
        model = adapt(base, rank, torch.Generator().manual_seed(count))
        rows = [[]]
        for ids, lit in map(tokens, conversations):
            if sum(len(one) for one, _ in rows[-1]) + len(ids) > length:
                rows.append([])
            rows[-1].append((ids, lit))
        steps = [[one for row in rows[at : at + batch] for one in row] for at in range(0, len(rows), batch)]
        optimizer, losses = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr), []
        for step, examples in enumerate(steps):
            terms = []
            for ids, lit in examples:
                logp = model(torch.tensor([ids]))[0].log_softmax(-1)
                terms += [-logp[at - 1, ids[at]] for at in range(1, len(ids)) if lit[at]]
            for group in optimizer.param_groups:
                group["lr"] = lr - lr * step / len(steps)
            optimizer.zero_grad()
            torch.stack(terms).mean().backward()
            optimizer.step()
            losses.append(float(torch.stack(terms).mean().detach()))
        written = 0
        for ids, lit in map(tokens, held_out):
            text = list(ids)
            for at in range(1, len(text)):
                if lit[at]:
                    text[at] = int(model(torch.tensor([text[:at]]))[0, -1].argmax())
            written += text == ids
        before = {name: parameter.detach().clone() for name, parameter in base.named_parameters()}
        talks = [[dict(message) for message in messages] for messages in (*conversations, *held_out)]
        mine, found, match = finetune(
            base, conversations, held_out, numbers, rank, length, batch, lr, torch.Generator().manual_seed(count)
        )
        what = f"with {count} conversations of {turns} messages in {len(rows)} rows, batches of {batch} and lr={lr}"
        for name, parameter in base.named_parameters():
            assert torch.equal(parameter, before[name]), f"base must stay as it is, and {name} was changed"
            assert parameter.requires_grad, f"base must stay as it is, and {name} was frozen"
        assert [*conversations, *held_out] == talks, f"the conversations must stay as they are {what}"
        assert len(found) == len(steps), f"{len(steps)} steps have as many losses, you returned {len(found)}: {what}"
        assert_close([float(loss) for loss in found], losses, rtol=1e-3, atol=1e-4, message=f"the losses {what}")
        probe = torch.randint(10, (3, 9), generator=rng)
        with torch.no_grad():
            assert_close(mine(probe), model(probe), rtol=1e-2, atol=1e-3, message=f"logits of the model {what}")
        assert_close(float(match), written / 12, rtol=1e-6, message=f"the exact match {what}")


@finetune.misconception(
    "You left the mask out; the second example of a row then reads the first one, which it will not have later.",
    name="mask-left-out",
)
def _(base, conversations, held_out, numbers, rank, length, batch, lr, generator):
    model = adapt(base, rank, generator)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    packed = pack([render(messages, numbers) for messages in conversations], length, numbers["[PAD]"])
    batches = list(zip(*(part.split(batch) for part in packed), strict=True))
    losses = []
    for step, (ids, lit, positions, _) in enumerate(batches):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / len(batches))
        optimizer.zero_grad()
        loss = answer_loss(model(ids, positions), ids, lit)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    matches = 0
    with torch.no_grad():
        for messages in held_out:
            ids, lit = (torch.tensor([part]) for part in render(messages, numbers))
            matches += greedy_matches(model(ids), ids, lit).item()
    return model, losses, matches / len(held_out)


@finetune.misconception(
    "You left the positions out; inside a row they then run on, so that the model is trained on positions at which no "
    "conversation begins.",
    name="positions-left-out",
)
def _(base, conversations, held_out, numbers, rank, length, batch, lr, generator):
    model = adapt(base, rank, generator)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    packed = pack([render(messages, numbers) for messages in conversations], length, numbers["[PAD]"])
    batches = list(zip(*(part.split(batch) for part in packed), strict=True))
    losses = []
    for step, (ids, lit, _, segments) in enumerate(batches):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / len(batches))
        optimizer.zero_grad()
        loss = answer_loss(model(ids, None, block_mask(segments)), ids, lit)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    matches = 0
    with torch.no_grad():
        for messages in held_out:
            ids, lit = (torch.tensor([part]) for part in render(messages, numbers))
            matches += greedy_matches(model(ids), ids, lit).item()
    return model, losses, matches / len(held_out)


@finetune.misconception(
    "You trained on all tokens; most of each step then goes into predicting what users write.",
    name="trained-on-the-prompt",
)
def _(base, conversations, held_out, numbers, rank, length, batch, lr, generator):
    model = adapt(base, rank, generator)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    packed = pack([render(messages, numbers) for messages in conversations], length, numbers["[PAD]"])
    batches = list(zip(*(part.split(batch) for part in packed), strict=True))
    losses = []
    for step, (ids, _, positions, segments) in enumerate(batches):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / len(batches))
        optimizer.zero_grad()
        loss = answer_loss(model(ids, positions, block_mask(segments)), ids, segments > 0)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    matches = 0
    with torch.no_grad():
        for messages in held_out:
            ids, lit = (torch.tensor([part]) for part in render(messages, numbers))
            matches += greedy_matches(model(ids), ids, lit).item()
    return model, losses, matches / len(held_out)


@finetune.misconception(
    "You kept the rate at lr; it falls in a straight line, so that the noise of the last batches moves the model less.",
    name="rate-not-lowered",
)
def _(base, conversations, held_out, numbers, rank, length, batch, lr, generator):
    model = adapt(base, rank, generator)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    packed = pack([render(messages, numbers) for messages in conversations], length, numbers["[PAD]"])
    batches = list(zip(*(part.split(batch) for part in packed), strict=True))
    losses = []
    for ids, lit, positions, segments in batches:
        optimizer.zero_grad()
        loss = answer_loss(model(ids, positions, block_mask(segments)), ids, lit)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    matches = 0
    with torch.no_grad():
        for messages in held_out:
            ids, lit = (torch.tensor([part]) for part in render(messages, numbers))
            matches += greedy_matches(model(ids), ids, lit).item()
    return model, losses, matches / len(held_out)


@finetune.misconception(
    "You never set the gradients back to zero, so each step follows the sum of all gradients so far.",
    name="gradients-pile-up",
)
def _(base, conversations, held_out, numbers, rank, length, batch, lr, generator):
    model = adapt(base, rank, generator)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    packed = pack([render(messages, numbers) for messages in conversations], length, numbers["[PAD]"])
    batches = list(zip(*(part.split(batch) for part in packed), strict=True))
    losses = []
    for step, (ids, lit, positions, segments) in enumerate(batches):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / len(batches))
        loss = answer_loss(model(ids, positions, block_mask(segments)), ids, lit)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    matches = 0
    with torch.no_grad():
        for messages in held_out:
            ids, lit = (torch.tensor([part]) for part in render(messages, numbers))
            matches += greedy_matches(model(ids), ids, lit).item()
    return model, losses, matches / len(held_out)


@finetune.misconception(
    "You tested the base; what you want to know is what the fine-tuned model writes.",
    name="tested-the-base",
)
def _(base, conversations, held_out, numbers, rank, length, batch, lr, generator):
    model = adapt(base, rank, generator)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    packed = pack([render(messages, numbers) for messages in conversations], length, numbers["[PAD]"])
    batches = list(zip(*(part.split(batch) for part in packed), strict=True))
    losses = []
    for step, (ids, lit, positions, segments) in enumerate(batches):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / len(batches))
        optimizer.zero_grad()
        loss = answer_loss(model(ids, positions, block_mask(segments)), ids, lit)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    matches = 0
    with torch.no_grad():
        for messages in held_out:
            ids, lit = (torch.tensor([part]) for part in render(messages, numbers))
            matches += greedy_matches(base(ids), ids, lit).item()
    return model, losses, matches / len(held_out)


@finetune.misconception(
    "You tested on the conversations that were trained; the model may know those by heart.",
    name="tested-on-the-training-data",
)
def _(base, conversations, held_out, numbers, rank, length, batch, lr, generator):
    model = adapt(base, rank, generator)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    packed = pack([render(messages, numbers) for messages in conversations], length, numbers["[PAD]"])
    batches = list(zip(*(part.split(batch) for part in packed), strict=True))
    losses = []
    for step, (ids, lit, positions, segments) in enumerate(batches):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / len(batches))
        optimizer.zero_grad()
        loss = answer_loss(model(ids, positions, block_mask(segments)), ids, lit)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    matches = 0
    with torch.no_grad():
        for messages in conversations:
            ids, lit = (torch.tensor([part]) for part in render(messages, numbers))
            matches += greedy_matches(model(ids), ids, lit).item()
    return model, losses, matches / len(conversations)


@finetune.misconception(
    "You trained every parameter of the copy; LoRA freezes the base and trains the factors alone.",
    name="trained-everything",
)
def _(base, conversations, held_out, numbers, rank, length, batch, lr, generator):
    model = adapt(base, rank, generator)
    model.requires_grad_(True)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    packed = pack([render(messages, numbers) for messages in conversations], length, numbers["[PAD]"])
    batches = list(zip(*(part.split(batch) for part in packed), strict=True))
    losses = []
    for step, (ids, lit, positions, segments) in enumerate(batches):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / len(batches))
        optimizer.zero_grad()
        loss = answer_loss(model(ids, positions, block_mask(segments)), ids, lit)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    matches = 0
    with torch.no_grad():
        for messages in held_out:
            ids, lit = (torch.tensor([part]) for part in render(messages, numbers))
            matches += greedy_matches(model(ids), ids, lit).item()
    return model, losses, matches / len(held_out)


@finetune.misconception(
    "You returned the number of matches; the exact match is their share of the held-out conversations.",
    name="counted-without-dividing",
)
def _(base, conversations, held_out, numbers, rank, length, batch, lr, generator):
    model = adapt(base, rank, generator)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    packed = pack([render(messages, numbers) for messages in conversations], length, numbers["[PAD]"])
    batches = list(zip(*(part.split(batch) for part in packed), strict=True))
    losses = []
    for step, (ids, lit, positions, segments) in enumerate(batches):
        optimizer.param_groups[0]["lr"] = lr * (1 - step / len(batches))
        optimizer.zero_grad()
        loss = answer_loss(model(ids, positions, block_mask(segments)), ids, lit)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    matches = 0
    with torch.no_grad():
        for messages in held_out:
            ids, lit = (torch.tensor([part]) for part in render(messages, numbers))
            matches += greedy_matches(model(ids), ids, lit).item()
    return model, losses, matches


@finetune.also_correct
def _(base, conversations, held_out, numbers, rank, length, batch, lr, generator):
    model = adapt(base, rank, generator)
    ids, lit, positions, segments = pack([render(one, numbers) for one in conversations], length, numbers["[PAD]"])
    steps = math.ceil(len(ids) / batch)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    losses = []
    for start in range(0, len(ids), batch):
        rows = slice(start, start + batch)
        mask = (segments[rows, :, None] == segments[rows, None, :]).tril()
        labels = ids[rows].masked_fill(~lit[rows], -100)
        logits = model(ids[rows], positions=positions[rows], mask=mask)
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    examples = [render(one, numbers) for one in held_out]
    longest = max(len(tokens) for tokens, _ in examples)
    rows = [pack([example], longest, numbers["[PAD]"])[:2] for example in examples]
    with torch.no_grad():
        ids, lit = (torch.cat(parts) for parts in zip(*rows, strict=True))
        right = (model(ids)[:, :-1].argmax(-1) == ids[:, 1:]) | ~lit[:, 1:]
    return [model, losses, float(right.all(1).double().mean())]


@exercise(
    points=4,
    minutes=18,
    importance=2,
    hints=(
        "Which words of a question tell documents apart, and which are in all of them?",
        "Make a dict from words to numbers for the question and for each document, and compare by the angle.",
        "A dict has one entry for each different word: how often it occurs, times its ln(N / n).",
        "`Counter(words)` counts, `math.sqrt(sum(x * x for x in weights.values()))` is a length, and "
        "`sorted(range(n), key=...)` keeps the order of equal ones.",
    ),
)
def retrieve(query, documents, k):
    """Return which k documents are nearest to a question.

    A text becomes a vector with one entry for each different word: the number of times it
    occurs, times ln(N / n), where n of the N documents have that word. Nearness is the cosine
    of two vectors, and 0 where one of them is zero. Words that no document has are ignored.

    * query: a list of words
    * documents: a list of lists of words, none of them empty
    * k: from 1 to N
    * returns: a list of k indices, the nearest first, the smaller index first where two are
      equally near
    """
    ### BEGIN SOLUTION
    found_in = Counter(word for document in documents for word in set(document))

    def vector(words):
        counts = Counter(word for word in words if word in found_in)
        return {word: count * math.log(len(documents) / found_in[word]) for word, count in counts.items()}

    def cosine(u, v):
        lengths = math.hypot(*u.values()) * math.hypot(*v.values())
        return sum(u[word] * v.get(word, 0.0) for word in u) / lengths if lengths else 0.0

    asked = vector(query)
    nearness = [cosine(asked, vector(document)) for document in documents]
    return sorted(range(len(documents)), key=lambda index: -nearness[index])[:k]
    ### END SOLUTION


retrieve.equivalent(
    "return {word: count * math.log2(len(documents) / found_in[word]) for word, count in counts.items()}",
    "a cosine is the same for logarithms of any base",
)
retrieve.equivalent("lengths = math.hypot(*v.values())", "the length of the question orders no documents")
retrieve.equivalent(
    "nearness = [cosine(vector(document), asked) for document in documents]", "a cosine is the same both ways"
)
retrieve.equivalent("words = ({word for document in documents for word in document})", "any order of words will do")


@retrieve.test("finds the document with the rare word, not the one with the common words", points=1)
def _(retrieve):
    documents = [
        ["the", "the", "dogs", "sleep", "the"],
        ["the", "old", "bears", "wait"],
        ["the", "dogs", "wait", "and", "the", "dogs", "sleep"],
        ["the", "young", "foxes", "hide"],
    ]
    found = [int(index) for index in retrieve(["what", "do", "the", "old", "dogs", "do"], documents, 2)]
    assert_close(found, [1, 0], message="the two documents nearest to “what do the old dogs do”")


@retrieve.hidden("orders documents by their cosine", points=3)
def _(retrieve, rng):
    for count, size, most in ((6, 9, 5), (11, 7, 8), (4, 20, 6), (9, 5, 3)):
        vocabulary = [f"w{number}" for number in range(size)]
        chances = torch.arange(1.0, size + 1).pow(-1)

        def text(words, vocabulary=vocabulary, chances=chances):
            return [vocabulary[int(i)] for i in torch.multinomial(chances, words, replacement=True, generator=rng)]

        documents = [text(1 + (3 * at + most) % most) for at in range(count)]
        documents[-1] = [vocabulary[-1], "the"]
        documents[0] = []
        documents = [[*document, "the"] for document in documents]
        for asked in (text(4), [*text(2), "new", "the"], ["new"], [*documents[1], "the", "the"], [vocabulary[-1]]):
            present = sorted({word for document in documents for word in document})
            rows = torch.tensor([[float(document.count(word)) for word in present] for document in documents])
            rows, query = rows.double(), torch.tensor([float(asked.count(word)) for word in present]).double()
            weight = (len(documents) / (rows > 0).sum(0).double()).log()
            lengths = (rows * weight).norm(dim=1) * (query * weight).norm()
            near = torch.where(lengths > 0, (rows * weight) @ (query * weight) / lengths.clamp(min=1e-30), 0.0)
            before = [list(document) for document in documents]
            for k in (count // 2, 1, count):
                found = [int(index) for index in retrieve(list(asked), documents, k)]
                assert documents == before, "the documents must stay as they are"
                what = f"for {asked} in {documents} with k = {k}"
                fits = len(set(found)) == len(found) == k and set(found) <= set(range(count))
                assert fits, f"{k} different indices from 0 to {count - 1} are needed, got {found} {what}"
                nearest = near.sort(descending=True).values[:k]
                told = f"the cosines of the documents {found}, nearest first, {what}"
                assert_close(near[found], nearest, rtol=0, atol=1e-6, message=told)
                zero = [at for at in range(count) if near[at] == 0]
                last = [at for at in found if near[at] == 0]
                assert_close(last, zero[: len(last)], message=f"the order of documents whose cosine is 0 {what}")


@retrieve.misconception(
    "You counted shared words; then words that are in every document decide, and long documents win.",
    name="counted-shared-words",
)
def _(query, documents, k):
    shared = [sum((Counter(query) & Counter(document)).values()) for document in documents]
    return sorted(range(len(documents)), key=lambda index: -shared[index])[:k]


@retrieve.misconception(
    "You left out ln(N / n); then “the” counts as much as the one word that tells the documents apart.",
    name="without-the-rarity",
)
def _(query, documents, k):
    known = {word for document in documents for word in document}

    def cosine(words):
        u, v = Counter(word for word in query if word in known), Counter(words)
        lengths = math.hypot(*u.values()) * math.hypot(*v.values())
        return sum(u[word] * v[word] for word in u) / lengths if lengths else 0.0

    return sorted(range(len(documents)), key=lambda index: -cosine(documents[index]))[:k]


@retrieve.misconception(
    "You took the dot product without dividing by the lengths; a document then wins by being long.",
    name="dot-product",
)
def _(query, documents, k):
    found_in = Counter(word for document in documents for word in set(document))

    def weight(word):
        return math.log(len(documents) / found_in[word]) if word in found_in else 0.0

    def product(document):
        return sum(query.count(word) * document.count(word) * weight(word) ** 2 for word in sorted(set(query)))

    near = [product(document) for document in documents]
    return sorted(range(len(documents)), key=lambda index: -near[index])[:k]


@retrieve.misconception("You returned the farthest documents; `sorted` puts the smallest first.", name="farthest-first")
def _(query, documents, k):
    order = retrieve(query, documents, len(documents))
    return order[::-1][:k]


@retrieve.misconception(
    "You counted occurrences for n; a document that has a word three times is still one document.",
    name="occurrences-for-documents",
)
def _(query, documents, k):
    found_in = Counter(word for document in documents for word in document)

    def vector(words):
        counts = Counter(word for word in words if word in found_in)
        return {word: count * math.log(len(documents) / found_in[word]) for word, count in counts.items()}

    def cosine(u, v):
        lengths = math.hypot(*u.values()) * math.hypot(*v.values())
        return sum(u[word] * v.get(word, 0.0) for word in u) / lengths if lengths else 0.0

    near = [cosine(vector(query), vector(document)) for document in documents]
    return sorted(range(len(documents)), key=lambda index: -near[index])[:k]


@retrieve.misconception(
    "You asked only whether a word occurs; a word that a document has twice counts twice.", name="presence-not-counts"
)
def _(query, documents, k):
    return retrieve(sorted(set(query)), [sorted(set(document)) for document in documents], k)


@retrieve.also_correct
def _(query, documents, k):
    words = sorted({word for document in documents for word in document})
    counts = torch.tensor([[document.count(word) for word in words] for document in documents], dtype=torch.float64)
    weights = torch.log(len(documents) / (counts > 0).sum(0))
    asked = torch.tensor([query.count(word) for word in words], dtype=torch.float64) * weights
    near = F.cosine_similarity(counts * weights, asked[None], eps=1e-12).nan_to_num()
    return torch.sort(near.mul(1e9).round(), descending=True, stable=True).indices[:k].tolist()


@retrieve.also_correct
def _(query, documents, k):
    def idf(word):
        return math.log(len(documents) / sum(word in document for document in documents))

    def scaled(words):
        weights = {word: words.count(word) * idf(word) for word in words if any(word in one for one in documents)}
        length = math.sqrt(sum(weight * weight for weight in weights.values()))
        return {word: weight / length for word, weight in weights.items()} if length > 0 else {}

    asked, scores = scaled(query), []
    for index, document in enumerate(documents):
        weights = scaled(document)
        scores.append((-round(sum(asked[word] * weights.get(word, 0.0) for word in asked), 9), index))
    return [index for _, index in sorted(scores)[:k]]
