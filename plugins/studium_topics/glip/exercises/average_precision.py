import torch
from studium import assert_close, exercise

from studium_topics.glip.exercises.box_iou import box_iou


@exercise(
    points=4,
    minutes=20,
    importance=2,
    kind="find the bug",
    shows="both-bugs",
    hints=(
        "What does the wrong code return for five boxes on one shape, when no box finds the three other shapes?",
        "Within an image, go from the highest score to the lowest, and remember which truths are taken. A truth that "
        "is never taken adds nothing, but it counts.",
        "overlaps (k, m) has a row for each box. In a row, choose only among the truths that are free; m may be 0.",
        "`overlaps[place].masked_fill(taken, -1.0)` rules out taken truths; `argmax` finds the best of the rest.",
    ),
    mutates_args=(),
)
def average_precision(found, truths, least=0.5):
    """Find the bugs: this function should return the average precision of the boxes found for one name.

    Go through the boxes in order of score. Compare a box with the truth of its image that it overlaps
    most, among those not yet taken. If that overlap is at least `least`, the box is right and takes the
    truth; otherwise it takes none. The result is a mean over all truths: for each, the precision down to
    the box that took it, or 0 if none did.

    * found: for each image boxes (k, 4) and scores (k,), in any order; no two scores are equal
    * truths: for each image boxes (m, 4); k and m may be 0, but some image has a truth
    * returns: a number from 0 to 1
    """
    ### BEGIN SOLUTION
    hits = []
    for (boxes, scores), truth in zip(found, truths, strict=True):
        overlaps, taken = box_iou(boxes, truth), torch.zeros(len(truth), dtype=torch.bool)
        for place in scores.argsort(descending=True).tolist():
            free = overlaps[place].masked_fill(taken, -1.0)
            hit = len(free) > 0 and free.max().item() >= least
            if hit:
                taken[free.argmax()] = True
            hits.append((scores[place].item(), hit))
    right, total = 0, 0.0
    for count, (_, hit) in enumerate(sorted(hits, reverse=True), 1):
        right += hit
        total += hit * right / count
    return total / sum(len(truth) for truth in truths)
    ### END SOLUTION


average_precision.equivalent(
    "for (boxes, scores), truth in zip(found, truths, strict=False):", "both have an entry for each image"
)


@average_precision.test("counts a truth once, and those that nobody found", points=1)
def _(average_precision):
    truth = torch.tensor([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0], [40.0, 0.0, 50.0, 10.0]])
    boxes = torch.tensor(
        [[21.0, 0.0, 31.0, 10.0], [0.0, 1.0, 10.0, 11.0], [0.0, 0.0, 10.0, 9.0], [60.0, 0.0, 70.0, 9.0]]
    )
    found = average_precision([(boxes, torch.tensor([0.5, 0.7, 0.9, 0.8]))], [truth])
    assert_close(float(found), (1 / 1 + 2 / 4) / 3, message="right, wrong, a second time the same, right; one missed")


@average_precision.hidden("ranks the boxes of all images together", points=1)
def _(average_precision, rng):
    for images, count, least in ((3, 5, 0.5), (4, 3, 0.5), (2, 6, 0.5)):
        scores = torch.randperm(images * count, generator=rng).double().view(images, count) / 100
        truths, found, listed = [], [], []
        for image in range(images):
            corners = torch.tensor([[20.0 * place, 50.0 * image] for place in range(count)]).double()
            truth = torch.cat([corners, corners + 10], 1)
            away = torch.rand(count, generator=rng) < 0.4
            boxes = truth + torch.tensor([1.0, 1.0, 1.0, 1.0]) + 300.0 * away[:, None]
            found.append((boxes, scores[image]))
            truths.append(truth[: count - image % 2])  # in every other image the last box is there for nothing
            listed += [
                (float(score), not gone and place < len(truths[-1]))
                for place, (score, gone) in enumerate(zip(scores[image], away.tolist(), strict=True))
            ]
        right, total = 0, 0.0
        for place, (_, hit) in enumerate(sorted(listed, reverse=True)):
            right += hit
            total += right / (place + 1) if hit else 0.0
        expected = total / sum(map(len, truths))
        what = f"for {images} images with {count} boxes each"
        kept, true = [(boxes.clone(), s.clone()) for boxes, s in found], [truth.clone() for truth in truths]
        assert_close(float(average_precision(found, truths, least)), expected, rtol=1e-6, atol=1e-6, message=what)
        for (boxes, s), (before, s_before) in zip(found, kept, strict=True):
            assert torch.equal(boxes, before), "the boxes must stay as they are"
            assert torch.equal(s, s_before), "the scores must stay as they are"
        for truth, before in zip(truths, true, strict=True):
            assert torch.equal(truth, before), "the truths must stay as they are"


@average_precision.hidden("lets a box take the best truth that is free, at any least overlap", points=1)
def _(average_precision):
    truth = torch.tensor([[0.0, 0.0, 10.0, 10.0], [3.0, 0.0, 13.0, 10.0]])
    boxes = torch.tensor([[2.5, 0.0, 12.5, 10.0], [2.0, 0.0, 12.0, 10.0], [30.0, 0.0, 40.0, 10.0]])
    scores = torch.tensor([0.6, 0.9, 0.8])  # overlaps: 0.6, 0.9; 0.67, 0.82
    half = [(torch.tensor([[0.0, 0.0, 1.0, 2.0]]), torch.tensor([0.4]))]
    found = average_precision(half, [torch.tensor([[0.0, 0.0, 1.0, 1.0]])], 0.5)
    assert_close(float(found), 1.0, message="a box whose overlap is exactly least=0.5")
    for least, expected in (
        (0.5, (1 + 2 / 3) / 2),
        (0.85, (1 / 3) / 2),
        (0.7, 1 / 2),
        (0.65, 1 / 2),
        (0.95, 0.0),
        (0.3, (1 + 2 / 3) / 2),
    ):
        found = average_precision([(boxes, scores)], [truth], least)
        assert_close(float(found), expected, rtol=1e-6, atol=1e-6, message=f"with least={least}")


@average_precision.hidden("takes images without boxes and without truths", points=1)
def _(average_precision):
    none, box = torch.zeros(0, 4), torch.tensor([[0.0, 0.0, 4.0, 6.0]])
    found = [(box, torch.tensor([0.9])), (none, torch.zeros(0)), (box, torch.tensor([0.4])), (none, torch.zeros(0))]
    result = average_precision(found, [none, box, box, none])
    assert_close(float(result), (1 / 2) / 2, message="one wrong, one right, one missed")
    assert_close(float(average_precision([(none, torch.zeros(0))], [box])), 0.0, message="nothing found")


@average_precision.misconception(
    "You let several boxes count as right for one truth. Five boxes on one shape are one right box and four mistakes.",
    name="one-truth-many-times",
)
def _(found, truths, least=0.5):
    hits = []
    for (boxes, scores), truth in zip(found, truths, strict=True):
        for row, score in zip(box_iou(boxes, truth).tolist(), scores.tolist(), strict=True):
            hits.append((score, any(overlap >= least for overlap in row)))
    right, total = 0, 0.0
    for count, (_, hit) in enumerate(sorted(hits, reverse=True), 1):
        right += hit
        total += hit * right / count
    return total / sum(len(truth) for truth in truths)


average_precision.mistake(
    "missed-truths-left-out",
    "You divided by the number of truths that were found; divide by the number of all truths, or a detector that "
    "finds one shape in a hundred could score 1.",
    replace="sum(len(truth) for truth in truths)",
    by="max(1, right)",
)

average_precision.mistake(
    "not-sorted-within-an-image",
    "You took the boxes of an image in the order given, so a poor box may take the truth before the best one does. "
    "Sort them by score first.",
    replace="scores.argsort(descending=True).tolist()",
    by="range(len(boxes))",
)


@average_precision.misconception(
    "You computed the precision image by image; rank the boxes of all images together, so a confident mistake in one "
    "image costs the others.",
    name="image-by-image",
)
def _(found, truths, least=0.5):
    total = 0.0
    for (boxes, scores), truth in zip(found, truths, strict=True):
        overlaps, taken = box_iou(boxes, truth), torch.zeros(len(truth), dtype=torch.bool)
        right = 0
        for count, place in enumerate(scores.argsort(descending=True).tolist(), 1):
            free = overlaps[place].masked_fill(taken, -1.0)
            hit = len(free) > 0 and free.max().item() >= least
            if hit:
                taken[free.argmax()] = True
            right += hit
            total += hit * right / count
    return total / sum(len(truth) for truth in truths)


@average_precision.misconception(
    "You compared a box only with the truth that it overlaps most, taken or not; if that truth is taken, the box may "
    "still overlap a free one enough.",
    name="best-truth-even-if-taken",
)
def _(found, truths, least=0.5):
    hits = []
    for (boxes, scores), truth in zip(found, truths, strict=True):
        overlaps, taken = box_iou(boxes, truth), set()
        for place in scores.argsort(descending=True).tolist():
            best = int(overlaps[place].argmax()) if len(truth) else -1
            hit = best >= 0 and best not in taken and overlaps[place, best].item() >= least
            if hit:
                taken.add(best)
            hits.append((scores[place].item(), hit))
    right, total = 0, 0.0
    for count, (_, hit) in enumerate(sorted(hits, reverse=True), 1):
        right += hit
        total += hit * right / count
    return total / sum(len(truth) for truth in truths)


@average_precision.misconception(
    "Both bugs are still there: several boxes count as right for one truth, and the mean leaves out the missed truths.",
    name="both-bugs",
)
def _(found, truths, least=0.5):
    hits = []
    for (boxes, scores), truth in zip(found, truths, strict=True):
        for row, score in zip(box_iou(boxes, truth).tolist(), scores.tolist(), strict=True):
            hits.append((score, any(overlap >= least for overlap in row)))
    hits = [hit for _, hit in sorted(hits, reverse=True)]
    precisions = [sum(hits[: n + 1]) / (n + 1) for n, hit in enumerate(hits) if hit]
    return sum(precisions) / len(precisions)


@average_precision.also_correct
def _(found, truths, least=0.5):
    ranked = [(s, image, place) for image, (_, scores) in enumerate(found) for place, s in enumerate(scores.tolist())]
    free = [list(range(len(truth))) for truth in truths]
    precisions, right = [], 0
    for count, (_, image, place) in enumerate(sorted(ranked, reverse=True)):
        row = box_iou(found[image][0][place : place + 1], truths[image])[0].tolist()
        best = max(free[image], key=lambda truth: row[truth], default=None)
        if best is not None and row[best] >= least:
            free[image].remove(best)
            right += 1
            precisions.append(right / (count + 1))
    return sum(precisions) / sum(map(len, truths))


@average_precision.also_correct
def _(found, truths, least=0.5):
    scores, hits = [torch.zeros(0)], [torch.zeros(0)]
    for (boxes, given), truth in zip(found, truths, strict=True):
        table = box_iou(boxes, truth).clone()
        right = torch.zeros(len(boxes))
        for place in given.sort(descending=True).indices:
            if table.numel() and table[place].max() >= least:
                right[place] = 1.0
                table[:, table[place].argmax()] = -1.0
        scores, hits = [*scores, given], [*hits, right]
    right = torch.cat(hits)[torch.cat(scores).argsort(descending=True)].double()
    precision = right.cumsum(0) / torch.arange(1, len(right) + 1)
    return float((precision * right).sum() / sum(len(truth) for truth in truths))
