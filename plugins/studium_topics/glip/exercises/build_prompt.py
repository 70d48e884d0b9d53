import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=14,
    importance=2,
    hints=(
        "Where in the caption does the second name start, if you know the lengths of the first name and the separator?",
        "Note where each name starts and ends while you put them together. A token and a name share a character if "
        "each of the two starts before the other ends.",
        "c spans and M offsets give c × M answers. Searching for a name finds the wrong place if the name is part of "
        "another.",
        "`separator.join(names)` makes the caption; `torch.tensor([[start < e and s < end for s, e in tokens] for "
        "start, end in spans])` compares.",
    ),
    mutates_args=(),
)
def build_prompt(names, separator, offsets):
    """Return the caption that lists names, and which of its tokens belong to which name.

    The caption has the separator only between the names. A token belongs to a name if it contains
    at least one character of that name.

    * names: c strings, at least one; the same name may come twice
    * separator: a string
    * offsets: a function that takes a caption and returns the (start, end) of each of its M tokens, so
      a token is `caption[start:end]`; special tokens have (0, 0) and belong to no name
    * returns: the caption, and a bool tensor (c, M)
    """
    ### BEGIN SOLUTION
    spans, start = [], 0
    for name in names:
        spans.append((start, start + len(name)))
        start += len(name) + len(separator)
    caption = separator.join(names)
    tokens = offsets(caption)
    positive = [[start < e and s < end for s, e in tokens] for start, end in spans]
    return caption, torch.tensor(positive)
    ### END SOLUTION


@build_prompt.test("marks the words of two names, and no full stop", points=1)
def _(build_prompt):
    def words(caption):
        table = {"red ring. blue disc": [(0, 3), (4, 8), (8, 9), (10, 14), (15, 19)]}
        assert caption in table, f"the caption of these names must be 'red ring. blue disc', got {caption!r}"
        return table[caption]

    caption, positive = build_prompt(["red ring", "blue disc"], ". ", words)
    assert caption == "red ring. blue disc", f"the caption must be 'red ring. blue disc', got {caption!r}"
    expected = torch.tensor([[True, True, False, False, False], [False, False, False, True, True]])
    assert_close(positive, expected)
    assert positive.dtype == torch.bool, f"the map of tokens and names needs dtype torch.bool, got {positive.dtype}"


@build_prompt.hidden("finds a name inside another one, and the same name twice", points=2)
def _(build_prompt, rng):
    def letters(caption):
        return [(place, place + 1) for place in range(len(caption))]

    order = torch.randperm(3, generator=rng).tolist()
    cases = (
        (["string", "ring", "a ring of string"], ", "),
        (["ring", "disc", "ring"], ". "),
        ([["sun", "sunflower", "flower"][place] for place in order], " | "),
        (["cat"], ". "),
        (["sun", "a"], " and "),
    )
    for names, separator in cases:
        given = list(names)
        caption, positive = build_prompt(names, separator, letters)
        assert caption == separator.join(given), f"the caption of {given} with {separator!r} came out as {caption!r}"
        owners = []
        for place, name in enumerate(given):
            owners += ([None] * len(separator) if place else []) + [place] * len(name)
        expected = torch.tensor([[owner == place for owner in owners] for place in range(len(given))])
        assert_close(positive, expected, message=f"for letters as tokens, names {given} and separator {separator!r}")
        assert names == given, f"the names must stay as they are, and became {names}"


@build_prompt.hidden("gives a name all its pieces, and special tokens to no name", points=1)
def _(build_prompt, rng):
    def pieces(caption):
        found, start = [(0, 0)], 0
        for place, letter in enumerate(caption + " "):
            if not letter.isalpha() or place - start == 3:
                found += [(start, place)] if place > start else []
                found += [(place, place + 1)] if letter == "." else []
                start = place + (not letter.isalpha())
        return [*found, (0, 0)]

    crossing = (
        (["ups", "on"], "--", [(0, 0), (0, 1), (1, 2), (2, 4), (4, 6), (6, 7)], [[1, 2, 3], [4, 5]]),
        (["red ring", "blue disc"], ". ", [(0, 3), (3, 8), (8, 9), (9, 14), (14, 19)], [[0, 1], [3, 4]]),  # " blue"
        (["red", "disc"], ", ", [(0, 2), (2, 4), (4, 5), (5, 9)], [[0, 1], [3]]),  # "d,"
    )
    for names, separator, tokens, owned in crossing:
        caption, positive = build_prompt(list(names), separator, lambda caption, tokens=tokens: list(tokens))
        expected = torch.tensor([[token in row for token in range(len(tokens))] for row in owned])
        assert_close(positive, expected, message=f"{caption!r} in the tokens {tokens}")
    stock = ["purple triangle", "toaster", "sun", "old oak tree"]
    for count in (3, 2, 4):
        names = [stock[place] for place in torch.randperm(4, generator=rng)[:count].tolist()]
        caption, positive = build_prompt(names, ". ", pieces)
        assert caption == ". ".join(names), f"the caption of {names} with '. ' came out as {caption!r}"
        owners = [None]
        for place, name in enumerate(names):
            owners += [None] if place else []
            owners += [place for word in name.split() for _ in range(0, len(word), 3)]
        expected = torch.tensor([[owner == place for owner in [*owners, None]] for place in range(count)])
        assert_close(positive, expected, message=f"for pieces of up to three letters and names {names}")


@build_prompt.misconception(
    'You searched for each name in the caption. "ring" is found inside "string", and a name that comes twice is found '
    "at its first place both times: note the places while you put the caption together.",
    name="searched-for-the-name",
)
def _(names, separator, offsets):
    caption = separator.join(names)
    starts = [caption.find(name) for name in names]
    tokens = offsets(caption)
    return caption, torch.tensor(
        [[a < e and s < a + len(name) for s, e in tokens] for a, name in zip(starts, names, strict=True)]
    )


@build_prompt.misconception(
    "You let a name extend to where the next one starts, so the separator belongs to it; end the name at its own last "
    "character, because a separator names nothing.",
    name="separator-inside",
)
def _(names, separator, offsets):
    caption, spans = "", []
    for name in names:
        spans.append((len(caption), len(caption) + len(name) + len(separator)))
        caption += name + separator
    caption = caption[: len(caption) - len(separator)]
    tokens = offsets(caption)
    return caption, torch.tensor([[a < e and s < b for s, e in tokens] for a, b in spans])


@build_prompt.misconception(
    "You counted tokens that only touch a name. An end is the place after the last character, so a token that ends "
    "where the name starts contains none of its characters.",
    name="touching-counts",
)
def _(names, separator, offsets):
    spans, start = [], 0
    for name in names:
        spans.append((start, start + len(name)))
        start += len(name) + len(separator)
    caption = separator.join(names)
    tokens = offsets(caption)
    return caption, torch.tensor([[a <= e and s <= b for s, e in tokens] for a, b in spans])


build_prompt.mistake(
    "wholly-inside",
    "You counted only tokens that lie wholly within a name; one character of it is enough, as in a token that begins "
    "with the space before the name.",
    replace="start < e and s < end",
    by="start <= s < e <= end",
)


@build_prompt.misconception(
    "You marked only the first token of each name; mark all of them, because a name may have several words or pieces "
    "and the loss needs every one.",
    name="first-token-alone",
)
def _(names, separator, offsets):
    spans, start = [], 0
    for name in names:
        spans.append((start, start + len(name)))
        start += len(name) + len(separator)
    caption = separator.join(names)
    tokens = offsets(caption)
    return caption, torch.tensor([[s == a and e > s for s, e in tokens] for a, b in spans])


@build_prompt.misconception(
    "You tested whether a token lies within the name, but (0, 0) lies within the name that starts at 0. A special "
    "token has no characters, so it belongs to no name.",
    name="special-tokens-inside",
)
def _(names, separator, offsets):
    spans, start = [], 0
    for name in names:
        spans.append((start, start + len(name)))
        start += len(name) + len(separator)
    caption = separator.join(names)
    tokens = offsets(caption)
    return caption, torch.tensor([[a <= s and e <= b for s, e in tokens] for a, b in spans])


@build_prompt.also_correct
def _(names, separator, offsets):
    caption, owner = "", []
    for number, name in enumerate(names):
        if number:
            caption, owner = caption + separator, owner + [-1] * len(separator)
        caption, owner = caption + name, owner + [number] * len(name)
    tokens = offsets(caption)
    positive = torch.zeros(len(names), len(tokens), dtype=torch.bool)
    for token, (start, end) in enumerate(tokens):
        for place in owner[start:end]:
            if place >= 0:
                positive[place, token] = True
    return caption, positive


@build_prompt.also_correct
def _(names, separator, offsets):
    lengths = torch.tensor([len(name) for name in names])
    ends = (lengths + len(separator)).cumsum(0) - len(separator)
    caption = separator.join(names)
    start, end = torch.tensor(offsets(caption)).unbind(1)
    return caption, torch.minimum(end, ends[:, None]) > torch.maximum(start, (ends - lengths)[:, None])
