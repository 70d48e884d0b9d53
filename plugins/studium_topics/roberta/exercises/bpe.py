import re
from itertools import pairwise

import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=15,
    level="core",
    importance=2,
    kind="write",
    hints=(
        "What are the first ids, before any merge, and how many different ones can there be?",
        "Find the neighbouring pair whose merge has the lowest number, replace it with its new id wherever the pair "
        "occurs, and look again.",
        "The ids are a list that gets shorter; merges is a list of pairs, numbered by their place in the list.",
        '`list(text.encode("utf-8"))` gives the bytes; `{pair: number for number, pair in enumerate(merges)}` '
        "finds the number of a pair.",
    ),
    mutates_args=(),
)
def bpe(text, merges):
    """Return the ids of a text in byte-level byte-pair encoding.

    Begin with the bytes of the text in UTF-8, ids 0 to 255. Of all pairs of neighbours, take the one whose merge has
    the lowest number k, and replace it with the id 256 + k wherever it occurs, from left to right. Repeat until no
    merge applies.

    - text: any string, including the empty one.
    - merges: a list of pairs of ids. Merge number k uses ids below 256 + k.
    - Returns a list of integers.
    """
    ### BEGIN SOLUTION
    number = {tuple(pair): k for k, pair in enumerate(merges)}
    ids = list(text.encode("utf-8"))
    while True:
        known = [number[pair] for pair in pairwise(ids) if pair in number]
        if not known:
            return ids
        best, merged, at = min(known), [], 0
        while at < len(ids):
            found = tuple(ids[at : at + 2]) == tuple(merges[best])
            merged.append(256 + best if found else ids[at])
            at += 2 if found else 1
        ids = merged
    ### END SOLUTION


bpe.equivalent('ids = (text.encode("utf-8"))', "bytes can be read like a list of numbers")


bpe.equivalent("ids = (text.encode())", "bytes can be read like a list of numbers")


@bpe.test("merges in the order of the numbers, and knows every character", points=1)
def _(bpe):
    # 256 = "bc", 257 = "ab", 258 = "abc", 259 = "yz", 260 = "xy" and 261 = "zq"
    merges = [(98, 99), (97, 98), (97, 256), (121, 122), (120, 121), (122, 113)]
    assert_close(list(bpe("yzqzq", merges)), [259, 113, 261], message='"yzqzq" is "yz", "q" and "zq"')
    assert_close(list(bpe("abcxyz", merges)), [258, 120, 259], message='"abcxyz" is "abc", "x" and "yz"')
    assert_close(list(bpe("xy", merges)), [260], message='"xy" is one token')
    assert_close(list(bpe("é", merges)), [195, 169], message="the two bytes of é, which no merge joins")


@bpe.hidden("agrees with the merges applied one after the other, and loses nothing", points=2)
def _(bpe, rng):
    letters = "abcab é€🙂"
    merges = [(98, 99), (97, 98), (97, 256), (121, 122), (120, 121)]
    found = [int(i) for i in bpe("xyzabc🙂", merges)]
    assert found == [120, 259, 258, 240, 159, 153, 130], f'"xyzabc🙂" is "x", "yz", "abc" and four bytes, got {found}'
    for count, size in ((14, 30), (40, 60), (3, 12)):
        merges, symbols = [], sorted(set("".join(letters).encode()))
        spelled = {i: bytes([i]) for i in range(256)}
        while len(merges) < count:
            pair = tuple(symbols[int(torch.randint(len(symbols), (), generator=rng))] for _ in range(2))
            if pair not in merges:
                spelled[256 + len(merges)] = spelled[pair[0]] + spelled[pair[1]]
                symbols.append(256 + len(merges))
                merges.append(pair)
        for _ in range(5):
            text = "".join(letters[i] for i in torch.randint(len(letters), (size,), generator=rng).tolist())
            expected = list(text.encode())
            for k, (left, right) in enumerate(merges):
                at = 0
                while at < len(expected) - 1:
                    if expected[at] == left and expected[at + 1] == right:
                        expected[at : at + 2] = [256 + k]
                    at += 1
            found = [int(i) for i in bpe(text, merges)]
            assert b"".join(spelled.get(i, b"?") for i in found).decode(errors="replace") == text, (
                "the ids must spell the text again, byte by byte"
            )
            assert found == expected, f"{text!r} with {count} merges should be {expected}, got {found}"


@bpe.hidden("copes with repeats, with nothing to merge, and with an empty text", points=1)
def _(bpe):
    merges = [(97, 97), (256, 256), (98, 256), (98, 99), (97, 98), (97, 259), (121, 122), (120, 121), (122, 113)]
    merges += [(100, 32), (32, 101)]  # a merge may join a letter with the space before or after it
    before = list(merges)
    for text, expected in (
        ("yzqzq", [262, 113, 264]),
        ("abcxyzé", [261, 120, 262, 195, 169]),
        ("aaaaa", [257, 97]),
        ("baab", [258, 98]),
        ("baaaa", [98, 257]),
        ("PqR", [80, 113, 82]),
        ("d d", [265, 100]),
        ("e e", [101, 266]),
        ("e\u0301", [101, 204, 129]),
        ("", []),
    ):
        found = [int(i) for i in bpe(text, merges)]
        assert found == expected, f"{text!r} should be {expected}, got {found}"
    assert [int(i) for i in bpe("né", [])] == [110, 195, 169], "without merges the ids are the bytes"
    assert merges == before, "merges must stay as it is"


@bpe.misconception(
    "You began with the code points of the characters, and there are more than a million of those; begin with the "
    "bytes of UTF-8, of which there are only 256.",
    name="code-points",
)
def _(text, merges):
    ids = [ord(character) for character in text]
    for k, (left, right) in enumerate(merges):
        at = 0
        while at < len(ids) - 1:
            if (ids[at], ids[at + 1]) == (left, right):
                ids[at : at + 2] = [256 + k]
            at += 1
    return ids


@bpe.misconception(
    "You merged the leftmost pair that has a merge; of all pairs in the text, apply the merge with the lowest number "
    "first.",
    name="leftmost-pair-first",
)
def _(text, merges):
    number, ids = {tuple(pair): k for k, pair in enumerate(merges)}, list(text.encode())
    at = 0
    while at < len(ids) - 1:
        pair = (ids[at], ids[at + 1])
        if pair in number:
            ids[at : at + 2] = [256 + number[pair]]
            at = 0
        else:
            at += 1
    return ids


@bpe.misconception(
    "You kept taking the longest token that the text begins with, as WordPiece does; replay the merges in their order "
    "instead.",
    name="longest-token-first",
)
def _(text, merges):
    spelled = {bytes([i]): i for i in range(256)}
    names = {i: bytes([i]) for i in range(256)}
    for k, (left, right) in enumerate(merges):
        names[256 + k] = names[left] + names[right]
        spelled.setdefault(names[256 + k], 256 + k)
    rest, ids = text.encode(), []
    while rest:
        piece = next(rest[:size] for size in range(len(rest), 0, -1) if rest[:size] in spelled)
        ids.append(spelled[piece])
        rest = rest[len(piece) :]
    return ids


@bpe.misconception(
    "You stopped before all merges had been applied; go on until no merge applies, because a new token can be merged "
    "again.",
    name="one-round",
)
def _(text, merges):
    return bpe(text, merges[:1])


@bpe.misconception(
    "You replaced characters outside ASCII with a question mark; encode them as bytes, where no character is unknown.",
    name="unknown-character",
)
def _(text, merges):
    return bpe(text.encode("ascii", "replace").decode(), merges)


@bpe.misconception(
    "You cut the text at spaces before you merged, as GPT-2 does; here a pair may cross the border of a word, so merge "
    "the bytes of the whole text.",
    name="cut-at-spaces",
)
def _(text, merges):
    ids = []
    for part in re.findall(" ?[^ ]+| +", text):
        ids += bpe(part, merges)
    return ids


@bpe.also_correct
def _(text, merges):
    ids = list(text.encode())
    for k, pair in enumerate(merges):
        out = []
        while ids:
            if tuple(ids[:2]) == tuple(pair):
                out.append(256 + k)
                ids = ids[2:]
            else:
                out.append(ids[0])
                ids = ids[1:]
        ids = out
    return ids


@bpe.also_correct
def _(text, merges):
    def merged(ids):
        options = [merges.index(pair) for pair in pairwise(ids) if pair in merges]
        if not options:
            return ids
        left, right = merges[min(options)]
        out = []
        for one in ids:
            if out and out[-1] == left and one == right:
                out[-1] = 256 + min(options)
            else:
                out.append(one)
        return merged(tuple(out))

    return list(merged(tuple(text.encode())))
