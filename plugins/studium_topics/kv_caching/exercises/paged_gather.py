import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=10,
    level="core",
    importance=1,
    hints=(
        "Which page and which slot hold token i of a text?",
        "Collect the pages of a text in the order of its table, join them, and cut off everything past its end.",
        "The pages of text b are (M, S, G, d); joined they are (M · S, G, d). Entries of -1 come after the end of the "
        "text.",
        "`pool[table[b]].flatten(0, 1)[:length]`.",
    ),
)
def paged_gather(pool, table, lengths):
    """Return the keys (or the values) of each text from a cache that is kept in pages.

    * pool (P, S, G, d): P pages of S slots; a slot holds one token.
    * table (B, M), long: table[b, m] is the page, anywhere in the pool, that holds tokens m · S to (m + 1) · S - 1 of
      text b, or -1 if there are none. Texts may share pages.
    * lengths (B,), long, 0 to M · S: the number of tokens in each text; the rest of its last page is leftovers.

    Return a list of B tensors (lengths[b], G, d).
    """
    ### BEGIN SOLUTION
    return [pool[pages].flatten(0, 1)[:length] for pages, length in zip(table, lengths.tolist(), strict=True)]
    ### END SOLUTION


paged_gather.equivalent(
    "return [pool[pages].flatten(0, 1)[:length] for pages, length in zip(table, lengths.tolist(), strict=False)]",
    "the table has a row for each length",
)

paged_gather.equivalent("slots, empty = pool.shape[1], pool[1, :0]", "an empty slice of any page is the same")


@paged_gather.test("follows the table from page to page", points=1)
def _(paged_gather):
    pool = torch.arange(8.0).view(4, 2, 1, 1)
    found = paged_gather(pool, torch.tensor([[2, 0], [1, -1]]), torch.tensor([3, 2]))
    expected = [torch.tensor([4.0, 5.0, 0.0]).view(3, 1, 1), torch.tensor([2.0, 3.0]).view(2, 1, 1)]
    assert_close(list(found), expected, message="3 tokens in pages 2 and 0, and 2 tokens in page 1")


@paged_gather.hidden("equals a cache without pages, with shared pages, gaps and empty texts", points=2)
def _(paged_gather, rng):
    for slots, lengths in ((4, (9, 4, 0, 11)), (3, (1, 7, 6)), (1, (5, 2)), (5, (13, 10))):
        shared = torch.randn(slots, 2, 3, generator=rng, dtype=torch.float64)
        texts = [torch.randn(n, 2, 3, generator=rng, dtype=torch.float64) for n in lengths]
        texts = [torch.cat([shared, text])[:n] if n > slots else text for n, text in zip(lengths, texts, strict=True)]
        most = max(-(-n // slots) for n in lengths)
        order = torch.randperm(2 + most * len(lengths), generator=rng).tolist()
        pool = torch.randn(len(order), slots, 2, 3, generator=rng, dtype=torch.float64)
        first, table = order.pop(), torch.full((len(lengths), most), -1)
        pool[first] = shared
        for b, text in enumerate(texts):
            for m in range(-(-len(text) // slots)):
                page = first if m == 0 and len(text) > slots else order.pop()
                part = text[m * slots : (m + 1) * slots]
                pool[page, : len(part)], table[b, m] = part, page
        found = list(paged_gather(pool, table, torch.tensor(lengths)))
        assert_close(found, texts, message=f"with pages of {slots} slots and texts of {lengths} tokens")


@paged_gather.misconception(
    "You returned whole pages; cut each text at lengths[b], because the slots after it hold leftovers of other texts.",
    name="whole-pages",
)
def _(pool, table, lengths):
    size = pool.shape[1]
    return [pool[row[: -(-n // size)]].flatten(0, 1) for row, n in zip(table, lengths.tolist(), strict=True)]


@paged_gather.misconception(
    "You went through the slots before the pages; token i is in slot i % S of page i // S, so the slot index must "
    "change fastest.",
    name="slots-before-pages",
)
def _(pool, table, lengths):
    return [pool[row].transpose(0, 1).flatten(0, 1)[:n] for row, n in zip(table, lengths.tolist(), strict=True)]


@paged_gather.misconception(
    "You read on from the first page as if the next pages followed it in the pool; look up each page in the table, "
    "because it can be anywhere.",
    name="read-on",
)
def _(pool, table, lengths):
    flat = pool.flatten(0, 1)
    starts = (table[:, 0] * pool.shape[1]).tolist()
    return [flat[start : start + n] for start, n in zip(starts, lengths.tolist(), strict=True)]


@paged_gather.misconception(
    "You left out the last page when it is not full; its first slots belong to the text.",
    name="no-last-page",
)
def _(pool, table, lengths):
    size = pool.shape[1]
    return [pool[row[: n // size]].flatten(0, 1) for row, n in zip(table, lengths.tolist(), strict=True)]


@paged_gather.misconception(
    "You sorted the pages by number; keep them in the order of the table.",
    name="pages-sorted",
)
def _(pool, table, lengths):
    size = pool.shape[1]
    return [
        pool[row[: -(-n // size)].sort().values].flatten(0, 1)[:n]
        for row, n in zip(table, lengths.tolist(), strict=True)
    ]


paged_gather.mistake(
    "own-table-ignored",
    "You read pages 0, 1, 2, … for every text; read the pages listed in table[b].",
    replace="[pool[pages].flatten(0, 1)[:length] for pages, length in zip(table, lengths.tolist(), strict=True)]",
    by="[pool.flatten(0, 1)[:n] for n in lengths.tolist()]",
)


@paged_gather.also_correct
def _(pool, table, lengths):
    found = []
    for b in range(len(table)):
        places = torch.arange(int(lengths[b]), device=pool.device)
        found.append(pool[table[b, places // pool.shape[1]], places % pool.shape[1]])
    return found


@paged_gather.also_correct
def _(pool, table, lengths):
    slots, empty = pool.shape[1], pool[0, :0]
    return [
        torch.cat([empty, *(pool[int(table[b, i // slots]), i % slots][None] for i in range(int(n)))])
        for b, n in enumerate(lengths)
    ]
