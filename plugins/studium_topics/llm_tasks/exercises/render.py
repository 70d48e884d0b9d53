import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=14,
    importance=3,
    hints=(
        "Which of these tokens will the finished assistant have to write itself, and which will it find already there?",
        "Go through the messages. Each one adds a header, its words and an end; only an assistant's words and end are "
        "lit.",
        "A message of n words adds n + 2 tokens: a header that is never lit, then n + 1 tokens that share one bool.",
        '`f"[{message[\'role\'].upper()}]"` is the header, and `message["content"].split()` gives the words.',
    ),
)
def render(messages, numbers):
    """Return a conversation as one line of tokens, and which of them the loss sees.

    A message becomes its header (`[SYSTEM]`, `[USER]` or `[ASSISTANT]`), its words, and
    `[END]`. The lit tokens are those that the assistant has to write: the words of its messages
    and the `[END]` after them. The program writes the header.

    * messages: a list of dicts with "role" ("system", "user" or "assistant") and "content",
      zero or more words separated by spaces
    * numbers: a dict from each word, header and `[END]` to its number
    * returns: two lists of the same length, of ints and of bools
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
    "You lit the prompt as well. The model then spends its training on writing questions, which users bring along; "
    "light only what the assistant writes.",
    name="lit-the-prompt",
)
def _(messages, numbers):
    ids, _ = render(messages, numbers)
    return ids, [True] * len(ids)


@render.misconception(
    "You left the `[END]` of an answer dark, so the model learns what to say but never when to stop; light it too.",
    name="end-not-lit",
)
def _(messages, numbers):
    ids, lit = [], []
    for message in messages:
        words = message["content"].split()
        ids += [numbers[word] for word in (f"[{message['role'].upper()}]", *words, "[END]")]
        lit += [False, *[message["role"] == "assistant"] * len(words), False]
    return ids, lit


render.mistake(
    "lit-the-header",
    "You lit the header `[ASSISTANT]`. The program puts it there to request an answer, so the model never writes it; "
    "leave it dark.",
    replace='[False] + [message["role"] == "assistant"] * (len(words) - 1)',
    by='[message["role"] == "assistant"] * len(words)',
)


@render.misconception(
    "You lit every `[END]`. The program writes the one after a question, so light only the one after an answer.",
    name="lit-every-end",
)
def _(messages, numbers):
    ids, lit = render(messages, numbers)
    return ids, [seen or token == numbers["[END]"] for token, seen in zip(ids, lit, strict=True)]


@render.misconception(
    "You lit only the last answer; the model should learn from every turn of the assistant, so light them all.",
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
    "You moved the lit tokens one place to the left. `lit` marks the tokens that have to be written; the loss does "
    "the shift to the positions that predict them.",
    name="shifted-already",
)
def _(messages, numbers):
    ids, lit = render(messages, numbers)
    return ids, [*lit[1:], False] if lit else []


render.mistake(
    "one-end-for-all",
    "You put a single `[END]` after the whole conversation, so nothing marks where a turn ends; put one after each "
    "message.",
    edits=[
        (
            '[f"[{message[\'role\'].upper()}]", *message["content"].split(), "[END]"]',
            '[f"[{message[\'role\'].upper()}]", *message["content"].split()]',
        ),
        ("return ids, lit", 'return [*ids, numbers["[END]"]], [*lit, True]'),
    ],
)


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
