import torch
from studium import assert_close, exercise


@exercise(
    points=3,
    minutes=10,
    level="warm-up",
    importance=2,
    hints=(
        "Where does the overlap of two boxes begin, and where does it end? When do they not overlap?",
        "The overlap starts at the larger of the two lefts and ends at the smaller of the two rights, and likewise "
        "from top to bottom. The union is the sum of both areas minus the overlap, which that sum counts twice.",
        "(n, 1, 2) against (m, 2) gives all pairs (n, m, 2).",
        "`torch.maximum(boxes[:, None, :2], others[:, :2])` is where overlaps start; `clamp(min=0)` removes negative "
        "sides.",
    ),
    mutates_args=(),
)
def box_iou(boxes, others):
    """Return the intersection over union of each box with each of the others.

    It is the area that both boxes share, divided by the area that at least one of them covers. Boxes are
    left, top, right, bottom, with left < right and top < bottom.

    * boxes (n, 4), others (m, 4): n and m may be 0
    * returns: (n, m), from 0 to 1
    """
    ### BEGIN SOLUTION
    start = torch.maximum(boxes[:, None, :2], others[:, :2])
    end = torch.minimum(boxes[:, None, 2:], others[:, 2:])
    shared = (end - start).clamp(min=0).prod(-1)
    areas, other_areas = ((box[:, 2:] - box[:, :2]).prod(-1) for box in (boxes, others))
    return shared / (areas[:, None] + other_areas - shared)
    ### END SOLUTION


@box_iou.test("is the shared area over the covered area, and 0 for boxes apart", points=1)
def _(box_iou):
    boxes = torch.tensor([[0.0, 0.0, 4.0, 3.0], [7.0, 6.0, 9.0, 10.0]])
    others = torch.tensor([[1.0, 1.0, 5.0, 6.0], [0.0, 0.0, 4.0, 3.0], [20.0, 20.0, 21.0, 23.0]])
    expected = torch.tensor([[6 / 26, 1.0, 0.0], [0.0, 0.0, 0.0]])
    assert_close(box_iou(boxes, others), expected, rtol=1e-4, atol=1e-5)


@box_iou.hidden("counts the squares of a grid that two boxes share", points=1)
def _(box_iou, rng):
    for count, other_count in ((5, 7), (4, 3)):
        places = torch.randint(8, (count + other_count, 2), generator=rng)
        sides = torch.randint(1, 7, (count + other_count, 2), generator=rng)
        boxes = torch.cat([places, places + sides], 1)
        axis = torch.arange(15)
        across = (axis >= boxes[:, :1]) & (axis < boxes[:, 2:3])
        down = (axis >= boxes[:, 1:2]) & (axis < boxes[:, 3:])
        covered = across[:, None, :] & down[:, :, None]
        first, second = covered[:count, None], covered[None, count:]
        expected = (first & second).sum((2, 3)).double() / (first | second).sum((2, 3))
        found = box_iou(boxes[:count].double(), boxes[count:].double())
        assert_close(found, expected, rtol=1e-6, atol=1e-6, message=f"for {count} and {other_count} boxes on a grid")


@box_iou.hidden("does not depend on the unit or on where zero is, and takes no boxes as well", points=1)
def _(box_iou, rng):
    corners = torch.rand(9, 2, generator=rng, dtype=torch.float64)
    boxes = torch.cat([corners, corners + 0.2 + torch.rand(9, 2, generator=rng, dtype=torch.float64)], 1)
    kept, plain = boxes.clone(), box_iou(boxes[:3], boxes[3:])
    assert_close(box_iou(0.01 * boxes[:3] - 3, 0.01 * boxes[3:] - 3), plain, rtol=1e-5, atol=1e-6)
    assert torch.equal(boxes, kept), "the boxes must stay as they are"
    for count, other_count in ((0, 3), (2, 0)):
        found = box_iou(boxes[:count], boxes[:other_count])
        assert tuple(found.shape) == (count, other_count), (
            f"{count} and {other_count} boxes need shape {(count, other_count)}, got {tuple(found.shape)}"
        )


box_iou.mistake(
    "negative-sides",
    "You did not stop at 0; clamp the sides of the overlap, because boxes that are apart both ways have two negative "
    "sides, and their product is positive.",
    replace="(end - start).clamp(min=0).prod(-1)",
    by="(end - start).prod(-1)",
)

box_iou.mistake(
    "shared-part-twice",
    "You divided by the sum of both areas, which counts the shared part twice; subtract it once.",
    replace="areas[:, None] + other_areas - shared",
    by="areas[:, None] + other_areas",
)


@box_iou.misconception(
    "You added 1 to each side, as for boxes that include their right and bottom pixels. Leave it out: here a box ends "
    "at its right side, and with the 1 the result depends on the unit.",
    name="one-pixel-more",
)
def _(boxes, others):
    start = torch.maximum(boxes[:, None, :2], others[:, :2])
    end = torch.minimum(boxes[:, None, 2:], others[:, 2:])
    shared = (end - start + 1).clamp(min=0).prod(-1)
    areas, other_areas = ((box[:, 2:] - box[:, :2] + 1).prod(-1) for box in (boxes, others))
    return shared / (areas[:, None] + other_areas - shared)


@box_iou.misconception(
    "You used the last two numbers as width and height; they are the right and the bottom side.",
    name="width-and-height",
)
def _(boxes, others):
    start = torch.maximum(boxes[:, None, :2], others[:, :2])
    ends = [box[:, :2] + box[:, 2:] for box in (boxes, others)]
    shared = (torch.minimum(ends[0][:, None], ends[1]) - start).clamp(min=0).prod(-1)
    areas, other_areas = (box[:, 2:].prod(-1) for box in (boxes, others))
    return shared / (areas[:, None] + other_areas - shared)


box_iou.mistake(
    "over-the-smaller",
    "You divided by the smaller area, so a small box inside a large one counts as the same box; divide by the union.",
    replace="shared / (areas[:, None] + other_areas - shared)",
    by="shared / torch.minimum(areas[:, None], other_areas)",
)


@box_iou.also_correct
def _(boxes, others):
    found = boxes.new_zeros(len(boxes), len(others))
    for i, (a, b, c, d) in enumerate(boxes.tolist()):
        for j, (e, f, g, h) in enumerate(others.tolist()):
            shared = max(0.0, min(c, g) - max(a, e)) * max(0.0, min(d, h) - max(b, f))
            found[i, j] = shared / ((c - a) * (d - b) + (g - e) * (h - f) - shared)
    return found


@box_iou.also_correct
def _(boxes, others):
    left, top, right, bottom = (side[:, None] for side in boxes.unbind(1))
    left2, top2, right2, bottom2 = others.unbind(1)
    wide = torch.relu(torch.minimum(right, right2) - torch.maximum(left, left2))
    high = torch.relu(torch.minimum(bottom, bottom2) - torch.maximum(top, top2))
    total = (right - left) * (bottom - top) + (right2 - left2) * (bottom2 - top2)
    return wide * high / (total - wide * high)
