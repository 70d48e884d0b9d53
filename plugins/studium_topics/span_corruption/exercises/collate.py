import torch
import torch.nn.functional as F
from studium import exercise

from studium_topics.span_corruption.exercises.corrupt import corrupt
from studium_topics.span_corruption.exercises.shift_right import shift_right
from studium_topics.span_corruption.exercises.span_mask import span_mask


@exercise(
    points=6,
    minutes=25,
    level="integrative",
    importance=3,
    kind="write",
    hints=(
        "Which of your functions makes a pair (inputs, targets) from one text, and why do the pairs differ in length?",
        "First make all the pairs. Then fill two rectangles: inputs with padding, labels with -100. The decoder's "
        "inputs follow from the labels.",
        "inputs are (B, S) and labels (B, T), where S and T are the lengths of the longest input and the longest "
        "target in this batch.",
        "`torch.full((len(pairs), longest), -100)` makes a rectangle, and `labels[row, : len(targets)] = targets` "
        "fills a row; then call `shift_right(labels, pad, pad)`.",
    ),
)
def collate(texts, density, mean, sentinels, eos, pad, generator):
    """Return (inputs, decoder_inputs, labels): one training batch of span corruption.

    Each text gets a fresh mask from `span_mask` and is corrupted; row i belongs to text i. Fill up inputs with `pad`
    and labels with -100. As in T5, the decoder starts with `pad`.

    - texts: a list of B tensors of long, each with at least 2 tokens; they stay as they are.
    - density, mean, generator: as in `span_mask`. sentinels, eos: as in `corrupt`.
    - Returns three tensors of long: (B, S), (B, T), (B, T), no longer than the longest row needs.
    """
    ### BEGIN SOLUTION
    pairs = []
    for ids in texts:
        mask = span_mask(len(ids), density, mean, generator)
        pairs.append(corrupt(ids, mask, sentinels, eos))
    longest_inputs = max(len(inputs) for inputs, _ in pairs)
    longest_targets = max(len(targets) for _, targets in pairs)
    batch = torch.full((len(pairs), longest_inputs), pad)
    labels = torch.full((len(pairs), longest_targets), -100)
    for row, (inputs, targets) in enumerate(pairs):
        batch[row, : len(inputs)] = inputs
        labels[row, : len(targets)] = targets
    decoder_inputs = shift_right(labels, pad, pad)
    return batch, decoder_inputs, labels
    ### END SOLUTION


@collate.test("makes three rectangles of two texts", points=1)
def _(collate):
    texts = [torch.arange(10, 30), torch.arange(30, 42)]
    batch = collate(texts, 0.15, 3, [99, 98, 97], 1, 0, torch.Generator().manual_seed(3))
    assert len(batch) == 3, f"three tensors are expected, got {len(batch)}"
    inputs, decoder_inputs, labels = (torch.as_tensor(part) for part in batch)
    # 3 of 20 tokens in 1 span; 2 of 12 tokens in 1 span
    shapes = tuple(inputs.shape), tuple(decoder_inputs.shape), tuple(labels.shape)
    assert shapes == ((2, 19), (2, 5), (2, 5)), f"the shapes should be (2, 19), (2, 5), (2, 5), got {shapes}"
    assert inputs[1].tolist()[-7:] == [0] * 7, (
        f"the second row of inputs ends with 7 times pad, got {inputs[1].tolist()}"
    )
    assert labels[1, -2:].tolist() == [1, -100], f"its labels end with eos and -100, got {labels[1].tolist()}"
    assert decoder_inputs[:, 0].tolist() == [0, 0], "the decoder starts with pad"


@collate.hidden("keeps every text whole, hides as much as it should, and fills up what is left", points=3)
def _(collate, rng):
    for lengths, density, mean, pad, eos in (
        ((40, 25, 33), 0.3, 3, 4, 3),
        ((60, 60, 60, 60), 0.15, 3, 0, 1),
        ((9, 50, 2, 17), 0.4, 2, 2, 0),
        ((13,), 0.15, 1, 1, 2),
    ):
        texts = [torch.randint(10, 60, (length,), generator=rng) for length in lengths]
        copies = [ids.clone() for ids in texts]
        sentinels = (70 + torch.randperm(40, generator=rng)).tolist()
        listed = list(sentinels)
        made = tuple(collate(texts, density, mean, sentinels, eos, pad, rng))
        assert sentinels == listed, "sentinels must stay as they are"
        assert len(made) == 3, f"three tensors are expected, got {len(made)}"
        for what, part in zip(("inputs", "decoder_inputs", "labels"), made, strict=True):
            assert isinstance(part, torch.Tensor), f"{what}: a tensor is expected, got {type(part).__name__}"
            assert part.dtype == torch.long, f"{what} must be long, got {part.dtype}"
        inputs, decoder_inputs, labels = made
        assert all(torch.equal(a, b) for a, b in zip(texts, copies, strict=True)), "texts must stay as they are"
        widths = [0, 0]
        for row, ids in enumerate(copies):
            hidden = min(max(round(len(ids) * density), 1), len(ids) - 1)
            spans = min(max(round(hidden / mean), 1), len(ids) - hidden)
            sizes = len(ids) - hidden + spans + 1, hidden + spans + 1
            widths = [max(pair) for pair in zip(widths, sizes, strict=True)]
            ours, theirs = inputs[row].tolist(), labels[row].tolist()
            where = f"row {row}, a text of {len(ids)} tokens"
            assert set(ours[sizes[0] :]) <= {pad}, f"{where}: after {sizes[0]} inputs comes pad ({pad}), got {ours}"
            assert set(theirs[sizes[1] :]) <= {-100}, f"{where}: after {sizes[1]} labels comes -100, got {theirs}"
            ours, theirs = ours[: sizes[0]], theirs[: sizes[1]]
            assert ours[-1:] == [eos], f"{where}: the inputs end with eos ({eos})"
            assert theirs[-1:] == [eos], f"{where}: the labels end with eos ({eos})"
            found, left = [], theirs[:-1]
            for token in ours[:-1]:
                if token not in sentinels:
                    found.append(token)
                    continue
                assert left[:1] == [token], f"{where}: the labels should go on with sentinel {token}, got {left}"
                left = left[1:]
                while left and left[0] not in sentinels:
                    found.append(left.pop(0))
            assert found == ids.tolist(), f"{where}: inputs and labels together should make the text, got {found}"
            names = [token for token in ours if token in sentinels]
            assert names == sentinels[:spans], f"{where}: sentinels {sentinels[:spans]} are expected, got {names}"
            read = [pad, *(pad if label == -100 else label for label in labels[row, :-1].tolist())]
            assert decoder_inputs[row].tolist() == read, f"{where}: the decoder reads {read}"
        shapes = tuple(inputs.shape), tuple(labels.shape)
        wanted = (len(texts), widths[0]), (len(texts), widths[1])
        assert shapes == wanted, f"inputs and labels should have shapes {wanted}, got {shapes}"


@collate.hidden("draws a fresh mask for each text and each call, from the generator alone", points=2)
def _(collate, rng):
    ids = torch.randint(10, 60, (80,), generator=rng)
    sentinels = list(range(99, 70, -1))
    seed = int(torch.randint(1000, (), generator=rng))
    source = torch.Generator().manual_seed(seed)
    before = torch.get_rng_state()
    first = collate([ids, ids, ids], 0.3, 3, sentinels, 1, 0, source)
    second = collate([ids, ids, ids], 0.3, 3, sentinels, 1, 0, source)
    again = collate([ids, ids, ids], 0.3, 3, sentinels, 1, 0, torch.Generator().manual_seed(seed))
    assert not torch.equal(first[0][0], first[0][1]), "each text of a batch needs a mask of its own"
    assert not torch.equal(first[0], second[0]), "each call needs fresh masks"
    assert torch.equal(first[0], again[0]), "the same generator must give the same batch"
    assert torch.equal(before, torch.get_rng_state()), "draw from `generator`, not from torch's global one"


@collate.misconception(
    "You filled up the labels with `pad`; use -100, or the loss trains the decoder to write padding.",
    name="labels-filled-with-pad",
)
def _(texts, density, mean, sentinels, eos, pad, generator):
    inputs, decoder_inputs, labels = collate(texts, density, mean, sentinels, eos, pad, generator)
    return inputs, decoder_inputs, labels.masked_fill(labels == -100, pad)


@collate.misconception(
    "You gave the decoder the labels themselves to read; shift them to the right, or it copies each label instead of "
    "predicting it.",
    name="decoder-not-shifted",
)
def _(texts, density, mean, sentinels, eos, pad, generator):
    inputs, _, labels = collate(texts, density, mean, sentinels, eos, pad, generator)
    return inputs, labels.masked_fill(labels == -100, pad), labels


@collate.misconception(
    "You drew one mask for the whole batch, so all texts lose the same places; draw a fresh mask for each text.",
    name="one-mask-for-all",
)
def _(texts, density, mean, sentinels, eos, pad, generator):
    seed = int(torch.randint(2**31, (), generator=generator))
    rows = [collate([ids], density, mean, sentinels, eos, pad, torch.Generator().manual_seed(seed)) for ids in texts]
    return tuple(
        torch.cat([F.pad(row[i], (0, max(r[i].shape[1] for r in rows) - row[i].shape[1]), value=fill) for row in rows])
        for i, fill in enumerate((pad, pad, -100))
    )


@collate.misconception(
    "You filled up the inputs with -100; use `pad`, because -100 is a mark for the loss that the encoder cannot look "
    "up.",
    name="inputs-filled-with-minus-100",
)
def _(texts, density, mean, sentinels, eos, pad, generator):
    inputs, decoder_inputs, labels = collate(texts, density, mean, sentinels, eos, -100, generator)
    return inputs, decoder_inputs.masked_fill(decoder_inputs == -100, pad), labels


@collate.misconception(
    "You cut all rows to the shortest one, which loses the end of the longer texts and their `eos`; fill the shorter "
    "rows up instead.",
    name="cut-to-the-shortest",
)
def _(texts, density, mean, sentinels, eos, pad, generator):
    inputs, decoder_inputs, labels = collate(texts, density, mean, sentinels, eos, pad, generator)
    sizes = []
    for ids in texts:
        hidden = min(max(round(len(ids) * density), 1), len(ids) - 1)
        spans = min(max(round(hidden / mean), 1), len(ids) - hidden)
        sizes.append((len(ids) - hidden + spans + 1, hidden + spans + 1))
    short, few = (min(size) for size in zip(*sizes, strict=True))
    return inputs[:, :short], decoder_inputs[:, :few], labels[:, :few]


@collate.misconception(
    "You let the decoder start with `eos`; T5 has no start token, so start with `pad`.",
    name="starts-with-eos",
)
def _(texts, density, mean, sentinels, eos, pad, generator):
    inputs, decoder_inputs, labels = collate(texts, density, mean, sentinels, eos, pad, generator)
    return inputs, torch.cat([torch.full_like(labels[:, :1], eos), decoder_inputs[:, 1:]], 1), labels


@collate.also_correct
def _(texts, density, mean, sentinels, eos, pad, generator):
    pairs = [corrupt(ids, span_mask(len(ids), density, mean, generator), sentinels, eos) for ids in texts]
    inputs, targets = zip(*pairs, strict=True)
    pack = torch.nn.utils.rnn.pad_sequence
    labels = pack(list(targets), batch_first=True, padding_value=-100)
    return pack(list(inputs), batch_first=True, padding_value=pad), shift_right(labels, pad, pad), labels


@collate.also_correct
def _(texts, density, mean, sentinels, eos, pad, generator):
    inputs, labels = [], []
    for ids in texts:
        ours, theirs = corrupt(ids, span_mask(len(ids), density, mean, generator), sentinels, eos)
        inputs.append(ours.tolist())
        labels.append(theirs.tolist())
    longest = max(map(len, inputs)), max(map(len, labels))
    for ours, theirs in zip(inputs, labels, strict=True):
        ours.extend([pad] * (longest[0] - len(ours)))
        theirs.extend([-100] * (longest[1] - len(theirs)))
    read = [[pad, *(pad if label == -100 else label for label in row[:-1])] for row in labels]
    return [torch.tensor(inputs), torch.tensor(read), torch.tensor(labels)]
