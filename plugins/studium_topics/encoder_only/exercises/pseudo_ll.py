import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=12,
    level="core",
    importance=1,
    kind="write",
    hints=(
        "What does the model read when it scores the third word, and what does it read when it scores the fourth?",
        "Hide one word, run the model, take the true word's log-probability at that place, and then put the word back.",
        "The model takes a batch: a sentence (T,) becomes (1, T), and its logits are (1, T, V).",
        "`masked = ids.clone()`, `masked[place] = mask_id`, then `logits_fn(masked[None])[0, place].log_softmax(-1)`.",
    ),
)
def pseudo_ll(logits_fn, ids, mask_id, special):
    """Return the pseudo-log-likelihood of a sentence: the sum of log p(word | all other words), in nats.

    - logits_fn(ids): takes ids (B, T) for any B >= 1 and returns logits (B, T, V); rows do not affect one another.
    - ids (T,): one sentence; it stays as it is.
    - mask_id: the id of [MASK]. special: a set of ids that are not words, such as {cls, sep}.

    The words are the positions whose id is not in special; hide them one at a time. Returns one number.
    """
    ### BEGIN SOLUTION
    total = 0.0
    for place, word in enumerate(ids.tolist()):
        if word in special:
            continue
        masked = ids.clone()
        masked[place] = mask_id
        total += F.log_softmax(logits_fn(masked[None])[0, place], -1)[word]
    return total
    ### END SOLUTION


pseudo_ll.equivalent(
    "total += F.log_softmax(logits_fn(masked[None])[0, place], 0)[word]", "at one position the logits have one axis"
)


@pseudo_ll.test("counts each word once if the model knows nothing", points=1)
def _(pseudo_ll):
    found = pseudo_ll(lambda ids: torch.zeros(*ids.shape, 9), torch.tensor([1, 5, 6, 5, 2]), 3, {1, 2})
    expected = -3 * float(torch.log(torch.tensor(9.0)))
    assert_close(float(found), expected, rtol=1e-4, message="3 words, each with probability 1/9")


@pseudo_ll.hidden("hides one word at a time and leaves special tokens out", points=2)
def _(pseudo_ll, rng):
    for length, words, special, mask_id in ((5, 8, {4}, 3), (7, 9, {1, 2}, 0), (6, 7, set(), 6)):
        table = torch.randn(words, 6, generator=rng, dtype=torch.float64)
        place = torch.randn(length, 6, generator=rng, dtype=torch.float64)
        out = 2 * torch.randn(6, words, generator=rng, dtype=torch.float64)

        def model(ids, table=table, place=place, out=out):
            context = table[ids] * (1 + place)
            return torch.tanh(context + 2 * context.mean(1, keepdim=True)) @ out

        ids = torch.randint(words, (length,), generator=rng)
        ids[0], ids[-1], ids[1], ids[3] = (*sorted(special), 1, 2)[0], (*sorted(special), 1, 2)[-1], 5, 5
        ids[2] = mask_id  # a word like any other, as it is not special
        before = ids.clone()
        positions = [t for t in range(length) if int(ids[t]) not in special]
        rows = ids.repeat(length, 1)
        rows[range(length), range(length)] = mask_id
        logits = model(rows)
        expected = sum(float(logits[t, t, ids[t]] - logits[t, t].logsumexp(0)) for t in positions)
        found = pseudo_ll(model, ids, mask_id, special)
        assert_close(float(found), expected, rtol=1e-5, message=f"{len(positions)} of {length} positions count")
        assert torch.equal(ids, before), "ids must stay as they were: work on a copy"


@pseudo_ll.misconception(
    "You hid all the words at once; hide one at a time, because the model must see all the other words when it scores "
    "one.",
    name="all-hidden-at-once",
)
def _(logits_fn, ids, mask_id, special):
    places = [t for t, word in enumerate(ids.tolist()) if word not in special]
    masked = ids.clone()
    masked[places] = mask_id
    return logits_fn(masked[None])[0].log_softmax(-1)[places, ids[places]].sum()


@pseudo_ll.misconception(
    "You also scored the special tokens; leave out [CLS] and [SEP], which are not words.",
    name="special-scored",
)
def _(logits_fn, ids, mask_id, special):
    return pseudo_ll(logits_fn, ids, mask_id, set())


@pseudo_ll.misconception(
    "You did not hide the word that you scored, so the model can read the answer from its input; replace it with "
    "`mask_id` first.",
    name="not-hidden",
)
def _(logits_fn, ids, mask_id, special):
    places = [t for t, word in enumerate(ids.tolist()) if word not in special]
    return logits_fn(ids[None])[0].log_softmax(-1)[places, ids[places]].sum()


@pseudo_ll.misconception(
    "You returned the mean over the words; the pseudo-log-likelihood is their sum.",
    name="mean-for-sum",
)
def _(logits_fn, ids, mask_id, special):
    return pseudo_ll(logits_fn, ids, mask_id, special) / sum(word not in special for word in ids.tolist())


@pseudo_ll.misconception(
    "You left earlier words hidden; put each word back before you hide the next one.",
    name="stays-hidden",
)
def _(logits_fn, ids, mask_id, special):
    total, masked = 0.0, ids.clone()
    for place, word in enumerate(ids.tolist()):
        if word not in special:
            masked[place] = mask_id
            total += logits_fn(masked[None])[0, place].log_softmax(-1)[word]
    return total


@pseudo_ll.also_correct
def _(logits_fn, ids, mask_id, special):
    places = torch.tensor([t for t, word in enumerate(ids.tolist()) if word not in special])
    rows = ids.repeat(len(places), 1)
    index = torch.arange(len(places))
    rows[index, places] = mask_id
    return logits_fn(rows)[index, places].log_softmax(-1)[index, ids[places]].sum()
