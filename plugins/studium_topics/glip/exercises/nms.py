import torch
from studium import exercise

from studium_topics.glip.exercises.box_iou import box_iou


@exercise(
    points=3,
    minutes=12,
    importance=2,
    hints=(
        "Three boxes in a row, A over B over C: B overlaps both, A and C do not overlap. B is not the best. Which "
        "stay?",
        "Go through the boxes from the highest score to the lowest, and keep a box if it does not overlap too much "
        "with any box that you have kept.",
        "All overlaps form one (n, n) matrix. The boxes you keep are a growing list of places in `boxes`.",
        "`scores.argsort(descending=True).tolist()` is the order; "
        "`torch.tensor(kept, dtype=torch.long)` works for an empty list as well.",
    ),
    mutates_args=(),
)
def nms(boxes, scores, overlap):
    """Return which boxes remain after non-maximum suppression, from the highest score to the lowest.

    A box is removed if its intersection over union with a box that remains and has a higher score is
    more than `overlap`. A box that was removed does not remove others.

    * boxes (n, 4): left, top, right, bottom; n may be 0
    * scores (n,): no two are equal
    * overlap: from 0 to 1
    * returns: a long tensor of places in `boxes`
    """
    ### BEGIN SOLUTION
    table = box_iou(boxes, boxes)
    kept = []
    for place in scores.argsort(descending=True).tolist():
        if all(table[place, other] <= overlap for other in kept):
            kept.append(place)
    return torch.tensor(kept, dtype=torch.long)
    ### END SOLUTION


@nms.test("keeps what only a removed box overlaps", points=1)
def _(nms):
    row = [[8.0, 0.0, 18.0, 6.0], [4.0, 0.0, 14.0, 6.0], [0.0, 0.0, 10.0, 6.0], [30.0, 0.0, 34.0, 9.0]]
    found = nms(torch.tensor(row), torch.tensor([0.5, 0.7, 0.9, 0.8]), 0.3)
    assert isinstance(found, torch.Tensor), f"the places must be a tensor, got a {type(found).__name__}"
    assert [int(place) for place in found] == [2, 3, 0], (
        f"of the boxes 2 (score 0.9), 3 (0.8), 1 (0.7), 0 (0.5) only 1 overlaps a better one that remains, so [2, 3, "
        f"0] remain, got {[int(place) for place in found]}"
    )


@nms.hidden("keeps the boxes that remain, by score, for any overlap", points=1)
def _(nms, rng):
    for count, overlap in ((12, 0.4), (15, 0.2), (9, 0.7), (14, 0.05)):
        corners = 10 * torch.rand(count, 2, generator=rng, dtype=torch.float64)
        sides = 3 + 7 * torch.rand(count, 2, generator=rng, dtype=torch.float64)
        boxes, scores = torch.cat([corners, corners + sides], 1), torch.randperm(count, generator=rng).double()
        kept_boxes, kept_scores = boxes.clone(), scores.clone()
        left = sorted(range(count), key=lambda place: -scores[place])
        expected = []
        while left:
            best, *left = left
            expected.append(best)
            a, b, c, d = boxes[best].tolist()
            rest = []
            for place in left:
                e, f, g, h = boxes[place].tolist()
                shared = max(0.0, min(c, g) - max(a, e)) * max(0.0, min(d, h) - max(b, f))
                if shared / ((c - a) * (d - b) + (g - e) * (h - f) - shared) <= overlap:
                    rest.append(place)
            left = rest
        found = [int(place) for place in nms(boxes, scores, overlap)]
        assert found == expected, f"for {count} boxes and overlap {overlap}: expected {expected}, got {found}"
        assert torch.equal(boxes, kept_boxes), "the boxes must stay as they are"
        assert torch.equal(scores, kept_scores), "the scores must stay as they are"


@nms.hidden("removes nothing at exactly the overlap, and takes no boxes as well", points=1)
def _(nms):
    boxes = torch.tensor([[0.0, 0.0, 4.0, 2.5], [0.0, 0.0, 4.0, 2.0], [2.0, 0.0, 4.0, 2.0]])
    found = nms(boxes, torch.tensor([0.6, 0.3, 0.9]), 0.5)
    assert [int(place) for place in found] == [2, 0], (
        f"box 0 overlaps box 2 by 0.4, box 1 overlaps box 0 by 0.8, so [2, 0] remain at 0.5, got {found.tolist()}"
    )
    found = nms(boxes[1:], torch.tensor([0.3, 0.9]), 0.5)
    assert [int(place) for place in found] == [1, 0], f"an overlap of 0.5 is not more than 0.5, got {found.tolist()}"
    found = nms(boxes[:0], torch.zeros(0), 0.5)
    assert found.dtype == torch.long, f"places need dtype torch.long, got {found.dtype}"
    assert tuple(found.shape) == (0,), f"no boxes leave no places, shape (0,), got {tuple(found.shape)}"


nms.mistake(
    "not-sorted",
    "You took the boxes in the order in which they came, so an early box removes better ones; begin with the highest "
    "score.",
    replace="scores.argsort(descending=True).tolist()",
    by="range(len(boxes))",
)

nms.mistake(
    "lowest-first",
    "You began with the lowest score; begin with the highest, because the box that remains of a group should be its "
    "best.",
    replace="scores.argsort(descending=True)",
    by="scores.argsort()",
)


@nms.misconception(
    "You let removed boxes remove others; compare only with boxes that remain, because a box that overlaps only a "
    "removed box may show something else.",
    name="removed-boxes-remove",
)
def _(boxes, scores, overlap):
    order = scores.argsort(descending=True)
    table = box_iou(boxes[order], boxes[order])
    return order[(table.tril(-1) <= overlap).all(1)]


@nms.misconception(
    "You compared only with the best box; compare with every box that remains, because each of them removes what "
    "overlaps it.",
    name="best-box-alone",
)
def _(boxes, scores, overlap):
    order = scores.argsort(descending=True)
    alone = box_iou(boxes[order], boxes[order[:1]])[:, 0] <= overlap if len(order) else order.bool()
    alone[:1] = True
    return order[alone]


nms.mistake(
    "order-of-the-boxes",
    "You returned the places in the order of `boxes`; return them from the highest score to the lowest.",
    replace="torch.tensor(kept, dtype=torch.long)",
    by="torch.tensor(sorted(kept), dtype=torch.long)",
)


@nms.also_correct
def _(boxes, scores, overlap):
    kept, left = [], scores.argsort(descending=True)
    while len(left):
        kept.append(left[0])
        left = left[1:][box_iou(boxes[left[:1]], boxes[left[1:]])[0] <= overlap]
    return torch.stack(kept) if kept else torch.zeros(0, dtype=torch.long)


@nms.also_correct
def _(boxes, scores, overlap):
    order = torch.argsort(-scores)
    table = box_iou(boxes, boxes)[order][:, order] > overlap
    alive = [True] * len(order)
    for i in range(len(order)):
        for j in range(i):
            if alive[j] and table[i, j]:
                alive[i] = False
    return order[torch.tensor(alive, dtype=torch.bool)]
