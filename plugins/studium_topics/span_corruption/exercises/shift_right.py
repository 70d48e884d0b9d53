import torch
import torch.nn.functional as F
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=5,
    level="warm-up",
    importance=2,
    kind="write",
    hints=(
        "What may the decoder have read when it predicts the first label? And the second?",
        "The decoder reads each label one place later, and something else comes first.",
        "The decoder never reads the last label, so the shape (B, T) stays the same.",
        "`labels.new_full(labels.shape, start)`, then `[:, 1:]` takes `labels[:, :-1]`; `masked_fill` replaces -100.",
    ),
)
def shift_right(labels, start, pad):
    """Return what the decoder reads while it learns to write `labels`: each row moved one place to the right.

    Every row begins with `start`, and -100, which marks labels that do not count, becomes `pad`. `labels` stays as it
    is.

    - labels (B, T): long. start, pad: ids.
    - Returns long (B, T).
    """
    ### BEGIN SOLUTION
    shifted = labels.new_full(labels.shape, start)
    shifted[:, 1:] = labels[:, :-1].masked_fill(labels[:, :-1] == -100, pad)
    return shifted
    ### END SOLUTION


@shift_right.test("moves two targets one place to the right", points=1)
def _(shift_right):
    labels = torch.tensor([[99, 12, 13, 1, -100, -100], [99, 17, 98, 5, 6, 1]])
    expected = torch.tensor([[7, 99, 12, 13, 1, 0], [7, 99, 17, 98, 5, 6]])
    assert_close(torch.as_tensor(shift_right(labels, 7, 0)), expected)


@shift_right.hidden("reads every label but the last, one step late, and no -100", points=2)
def _(shift_right, rng):
    for rows, length, start, pad in (
        (5, 4, 2, 9),
        (3, 7, 8, 0),
        (1, 9, 0, 3),
        (3, 8, 0, 0),
        (4, 4, 6, 5),
        (2, 1, 4, 7),
    ):
        labels = torch.randint(10, 40, (rows, length), generator=rng)
        labels[torch.rand(rows, length, generator=rng) < 0.3] = -100
        copy = labels.clone()
        found = shift_right(labels, start, pad)
        assert torch.equal(labels, copy), "labels must stay as they are"
        assert isinstance(found, torch.Tensor), f"a tensor is expected, got {type(found).__name__}"
        assert found.dtype == torch.long, f"decoder inputs must be long, got {found.dtype}"
        assert found.shape == (rows, length), f"the shape must stay {(rows, length)}, got {tuple(found.shape)}"
        for row in range(rows):
            wanted = [start, *(pad if label == -100 else label for label in copy[row, :-1].tolist())]
            assert found[row].tolist() == wanted, (
                f"labels {copy[row].tolist()}, start {start}, pad {pad}: should be {wanted}, got {found[row].tolist()}"
            )


@shift_right.misconception(
    "You rolled the labels around, which moves the last label to the first place, where the decoder reads it too "
    "early; put `start` there.",
    name="rolled-around",
)
def _(labels, start, pad):
    return labels.roll(1, 1).masked_fill(labels.roll(1, 1) == -100, pad)


@shift_right.misconception(
    "You left -100 in; replace it with `pad`, because -100 is a mark for the loss and has no row in the embedding.",
    name="left-minus-100",
)
def _(labels, start, pad):
    return torch.cat([torch.full_like(labels[:, :1], start), labels[:, :-1]], 1)


@shift_right.misconception(
    "You shifted to the left, so the decoder reads each word that it has to predict; shift to the right.",
    name="shifted-left",
)
def _(labels, start, pad):
    moved = torch.cat([labels[:, 1:], torch.full_like(labels[:, :1], start)], 1)
    return moved.masked_fill(moved == -100, pad)


@shift_right.misconception(
    "You put `start` in front and kept all labels, so there is one place too many; drop the last label, which the "
    "decoder never reads.",
    name="one-place-too-many",
)
def _(labels, start, pad):
    moved = torch.cat([torch.full_like(labels[:, :1], start), labels], 1)
    return moved.masked_fill(moved == -100, pad)


@shift_right.misconception(
    "You filled the places that do not count with `start`; fill them with `pad`.",
    name="start-for-pad",
)
def _(labels, start, pad):
    moved = torch.cat([torch.full_like(labels[:, :1], start), labels[:, :-1]], 1)
    return moved.masked_fill(moved == -100, start)


@shift_right.also_correct
def _(labels, start, pad):
    clean = torch.where(labels == -100, torch.full_like(labels, pad), labels)
    return F.pad(clean, (1, 0), value=start)[:, :-1]


@shift_right.also_correct
def _(labels, start, pad):
    rows = [[start, *(pad if label == -100 else label for label in row[:-1])] for row in labels.tolist()]
    return torch.tensor(rows)
