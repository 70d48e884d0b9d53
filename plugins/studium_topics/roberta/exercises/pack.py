import torch
from studium import assert_close, exercise


@exercise(
    points=5,
    minutes=18,
    level="core",
    importance=3,
    kind="write",
    hints=(
        "When you add a sentence to a row, what has to fit: only the sentence?",
        "Keep one row open. For each sentence, either it fits with its separators, or you close the row and begin a "
        "new one. Remember the row that is still open at the end.",
        "An open row has cls and sentences; closing it adds another sep, and then pad up to length; all rows together "
        "are (N, length).",
        "`row + [pad] * (length - len(row))` fills up a row; `torch.tensor(rows)` makes the result.",
    ),
    mutates_args=(),
)
def pack(documents, length, cls, sep, pad):
    """Return the inputs of FULL-SENTENCES: sentences in order, each row filled with as many as fit.

    A row is cls, whole sentences, sep, and pad up to length. Where a document ends inside a row, another sep comes
    between its last sentence and the first sentence of the next document. If a sentence does not fit, together with the
    separators it needs, it begins the next row.

    - documents: one or more lists of one or more sentences; a sentence is a list of 1 to length − 2 ids.
    - Returns long (N, length).
    """
    ### BEGIN SOLUTION
    rows, row = [], [cls]
    for document in documents:
        for number, sentence in enumerate(document):
            border = [sep] if number == 0 and len(row) > 1 else []
            if len(row + border) + len(sentence) + 1 > length:
                rows.append([*row, sep])
                row, border = [cls], []
            row = row + border + list(sentence)
    rows.append([*row, sep])
    return torch.tensor([row + [pad] * (length - len(row)) for row in rows])
    ### END SOLUTION


pack.equivalent("row = row + border + (sentence)", "a sentence is a list, as the statement says")


@pack.test("fills a row across a border of documents", points=1)
def _(pack):
    documents = [[[11, 12], [13, 14, 15]], [[21, 22], [23]], [[31, 32, 33, 34, 35, 36]]]
    expected = [[1, 11, 12, 13, 14, 15, 2, 21, 22, 23, 2], [1, 31, 32, 33, 34, 35, 36, 2, 0, 0, 0]]
    assert_close(pack(documents, 11, 1, 2, 0), torch.tensor(expected))
    expected = [
        [1, 11, 12, 13, 14, 15, 2, 0, 0],
        [1, 21, 22, 23, 2, 0, 0, 0, 0],
        [1, 31, 32, 33, 34, 35, 36, 2, 0],
    ]
    assert_close(pack(documents, 9, 1, 2, 0), torch.tensor(expected))
    expected = [[1, 11, 12, 13, 14, 15, 2, 21, 22, 2], [1, 23, 2, 31, 32, 33, 34, 35, 36, 2]]
    assert_close(pack(documents, 10, 1, 2, 0), torch.tensor(expected))


@pack.hidden("packs every sentence once, whole, in order, and as tightly as it can", points=3)
def _(pack, rng):
    for length, longest, cls, sep, pad in ((8, 6, 9, 8, 7), (9, 7, 5, 0, 3), (12, 6, 1, 2, 0), (17, 5, 0, 7, 1)):
        documents, word = [], 100
        for _ in range(9):
            document = []
            for size in torch.randint(1, longest + 1, (int(torch.randint(1, 7, (), generator=rng)),), generator=rng):
                document.append(list(range(word, word + int(size))))
                word += int(size)
            documents.append(document)
        flat = [(d, sentence) for d, document in enumerate(documents) for sentence in document]
        rows, first = [], 0
        while first < len(flat):
            last, best = first, []
            while last < len(flat):  # the longest run of sentences that still fits, tried from scratch each time
                run = [cls]
                for i in range(first, last + 1):
                    run += [sep] if i > first and flat[i][0] != flat[i - 1][0] else []
                    run += flat[i][1]
                if len(run) + 1 > length:
                    break
                best, last = [*run, sep], last + 1
            rows.append(best + [pad] * (length - len(best)))
            first = last
        found = pack([[list(s) for s in document] for document in documents], length, cls, sep, pad)
        assert isinstance(found, torch.Tensor), f"a tensor is expected, got {type(found).__name__}"
        assert found.dtype == torch.long, f"the rows must be long, got {found.dtype}"
        assert_close(found, torch.tensor(rows), message=f"length {length}, cls {cls}, sep {sep}, pad {pad}")


@pack.hidden("counts separators when a sentence just fits, and leaves the documents as they are", points=1)
def _(pack):
    for spare in (3, 2, 1, 0):
        documents = [[[11, 12, 13], [14, 15]], [[21, 22]]]
        length = 1 + 5 + 1 + spare + 1
        found = pack(documents, length, 1, 2, 0)
        if spare < 2:
            expected = [[1, 11, 12, 13, 14, 15, 2] + [0] * (spare + 1), [1, 21, 22, 2] + [0] * (length - 4)]
        else:
            expected = [[1, 11, 12, 13, 14, 15, 2, 21, 22, 2] + [0] * (length - 10)]
        assert_close(found, torch.tensor(expected), message=f"two documents of 5 and 2 ids in rows of {length}")
        assert documents == [[[11, 12, 13], [14, 15]], [[21, 22]]], "the documents must stay as they are"
    assert_close(pack([[[5, 6]]], 4, 1, 2, 0), torch.tensor([[1, 5, 6, 2]]), message="one sentence that just fits")
    twins = pack([[[5]], [[5]]], 5, 1, 2, 0)
    assert_close(twins, torch.tensor([[1, 5, 2, 5, 2]]), message="two documents with the same text")


@pack.misconception(
    "You began a new row for each document, as in the paper's DOC-SENTENCES, whose rows are shorter; here, let a row "
    "continue into the next document.",
    name="row-for-each-document",
)
def _(documents, length, cls, sep, pad):
    return torch.cat([pack([document], length, cls, sep, pad) for document in documents])


@pack.misconception(
    "You joined documents without a separator; add another sep between them, which tells the model that a new text "
    "begins.",
    name="no-border",
)
def _(documents, length, cls, sep, pad):
    return pack([[sentence for document in documents for sentence in document]], length, cls, sep, pad)


@pack.misconception(
    "You put a separator after each sentence; add one only where a document ends inside a row, and at the end of the "
    "row.",
    name="separator-after-each-sentence",
)
def _(documents, length, cls, sep, pad):
    return pack([[sentence] for document in documents for sentence in document], length, cls, sep, pad)


@pack.misconception(
    "You cut the text wherever a row was full; keep sentences whole, and move a sentence that does not fit to the "
    "next row.",
    name="cut-sentences",
)
def _(documents, length, cls, sep, pad):
    flat = []
    for number, document in enumerate(documents):
        flat += ([sep] if number else []) + [token for sentence in document for token in sentence]
    pieces = [flat[at : at + length - 2] for at in range(0, len(flat), length - 2)]
    return torch.tensor([[cls, *piece, sep] + [pad] * (length - 2 - len(piece)) for piece in pieces])


@pack.misconception(
    "You left out the last row, which is still open when the documents end; close it and keep it.",
    name="last-row-lost",
)
def _(documents, length, cls, sep, pad):
    return pack(documents, length, cls, sep, pad)[:-1]


@pack.misconception(
    "You made a row for each sentence, so most of a row can be padding; add sentences to a row as long as the next "
    "one fits.",
    name="row-for-each-sentence",
)
def _(documents, length, cls, sep, pad):
    return torch.cat([pack([[sentence]], length, cls, sep, pad) for document in documents for sentence in document])


@pack.also_correct
def _(documents, length, cls, sep, pad):
    pieces = [(number == 0, sentence) for document in documents for number, sentence in enumerate(document)]
    groups, room = [], 0
    for begins, sentence in pieces:
        cost = len(sentence) + (1 if begins and groups else 0)
        if groups and cost <= room:
            groups[-1].append((begins, sentence))
            room -= cost
        else:
            groups.append([(False, sentence)])
            room = length - 2 - len(sentence)
    out = torch.full((len(groups), length), pad)
    for number, group in enumerate(groups):
        tokens = [cls]
        for begins, sentence in group:
            tokens.extend([sep] * begins)
            tokens.extend(sentence)
        tokens.append(sep)
        out[number, : len(tokens)] = torch.tensor(tokens)
    return out


@pack.also_correct
def _(documents, length, cls, sep, pad):
    def close(row):
        row = [*row, sep]
        while len(row) < length:
            row.append(pad)
        return row

    def follow(row, rest):
        while rest:
            (begins, sentence), rest = rest[0], rest[1:]
            longer = row + [sep] * (begins and len(row) > 1) + list(sentence)
            if len(longer) < length:
                row = longer
            else:
                return [close(row), *follow([cls, *sentence], rest)]
        return [close(row)]

    pieces = [(number == 0, sentence) for document in documents for number, sentence in enumerate(document)]
    return torch.LongTensor(follow([cls], pieces))
