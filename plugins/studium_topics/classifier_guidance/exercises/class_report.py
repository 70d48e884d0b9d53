from collections.abc import Callable

import torch
from studium import assert_close, exercise
from torch import Tensor


@exercise(
    points=4,
    minutes=12,
    hints=(
        "Which pairs of samples say something about the variety within a class, and which of all B times B pairs do "
        "not?",
        "All distances at once make a table (B, B); a mask of the same shape selects those that count.",
        "A pair counts if both samples have the same y. No sample forms a pair with itself, so the diagonal does not "
        "count.",
        "`torch.cdist(x.flatten(1), x.flatten(1))`, and `y.unsqueeze(0) == y.unsqueeze(1)` for pairs of the same "
        "class.",
    ),
    level="core",
    importance=2,
)
def class_report(
    x: Tensor, y: Tensor, judge: Callable[[Tensor], Tensor], guide: Callable[..., Tensor]
) -> tuple[float, float]:
    """Return two floats: the share of samples that the judge puts into their class y, and the diversity within classes.

    * x: (B, *); y: (B,) long, the requested classes, at least one of which occurs twice
    * judge(x): scores (B, C); the largest wins
    * diversity: the mean Euclidean distance over all pairs of two samples with the same y

    Raises ValueError if judge is guide, the model that guided the samples.
    """
    ### BEGIN SOLUTION
    if judge is guide:
        raise ValueError("the judge needs to be another model than the guide")
    accuracy = (judge(x).argmax(-1) == y).double().mean()
    apart = torch.cdist(x.flatten(1), x.flatten(1))
    same = (y.unsqueeze(0) == y.unsqueeze(1)) & ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    return float(accuracy), float(apart[same].mean())
    ### END SOLUTION


class_report.equivalent(
    "return (accuracy), float(apart[same].mean())", "a tensor with one number is as good as a float"
)

class_report.equivalent(
    "return float(accuracy), (apart[same].mean())", "a tensor with one number is as good as a float"
)


@class_report.test("counts hits, and measures within a class", points=1)
def _(class_report):
    x, y = torch.tensor([[0.0, 0.0], [3.0, 4.0], [100.0, 0.0], [100.0, 7.0]]), torch.tensor([0, 0, 1, 1])

    def judge(x):
        return x.new_tensor([[2.0, 1.0], [0.0, 1.0], [0.0, 3.0], [0.0, 1.0]])

    found = class_report(x, y, judge, None)
    assert_close(
        [float(part) for part in found], [0.75, 6.0], rtol=1e-4, atol=1e-5, message="3 of 4 hits; 5 and 7 apart"
    )


@class_report.hidden("asks each row for its best class, in any order of the rows", points=1)
def _(class_report, rng):
    y = torch.tensor([0, 1, 2, 2, 0])
    x = torch.randn(5, 3, generator=rng, dtype=torch.float64)
    weight = torch.randn(3, 5, generator=rng, dtype=torch.float64)
    hits = [int((row @ weight).tolist().index(max((row @ weight).tolist())) == k) for row, k in zip(x, y, strict=True)]
    gaps = [float((x[i] - x[j]).norm()) for i, j in ((0, 4), (2, 3))]
    expected = [sum(hits) / 5, sum(gaps) / 2]
    for order in ([0, 1, 2, 3, 4], [3, 0, 4, 1, 2]):
        found = class_report(x[order], y[order], lambda x: x @ weight.to(x), lambda x: x @ weight.to(x))
        assert_close([float(part) for part in found], expected, rtol=1e-5, atol=1e-6, message=f"rows {order}")


@class_report.hidden("counts every pair of a class once, images too, however large its class is", points=1)
def _(class_report, rng):
    for shape in ((9, 2), (7, 1, 2, 3), (40, 3)):
        x = 5 + torch.randn(shape, generator=rng, dtype=torch.float64)
        y = torch.randint(0, 3, shape[:1], generator=rng)
        y[:4] = torch.tensor([2, 2, 2, 0])
        x[y == 2] = x[y == 2] + 20
        rows = range(len(y))
        gaps = [float((x[i] - x[j]).square().sum()) ** 0.5 for i in rows for j in rows if i < j and y[i] == y[j]]
        right = torch.eye(3, dtype=torch.float64)[y.roll(1)]
        found = class_report(x, y, lambda x, right=right: right.to(x), None)
        expected = [float(sum(int(a == b) for a, b in zip(y, y.roll(1), strict=True))) / len(y), sum(gaps) / len(gaps)]
        assert_close([float(part) for part in found], expected, rtol=1e-5, atol=1e-6, message=f"samples {shape}")


@class_report.hidden("refuses to let the guide judge", points=1)
def _(class_report):
    x, y = torch.tensor([[0.0, 1.0], [2.0, 1.0], [0.5, 0.0]]), torch.tensor([0, 0, 1])

    def guide(x, t=None):
        return x

    try:
        class_report(x, y, guide, guide)
    except ValueError:
        pass
    else:
        raise AssertionError("a ValueError is expected where judge is guide, got a result")
    found = class_report(x, y, lambda x: x, guide)
    assert_close([float(part) for part in found], [1 / 3, 2.0], rtol=1e-4, atol=1e-5, message="another judge")


@class_report.misconception(
    "You averaged over all pairs. Two samples of different classes are far apart anyway, so their distance says "
    "nothing about the diversity within a class; use only pairs with the same y.",
    name="all-pairs",
)
def _(x, y, judge, guide):
    if judge is guide:
        raise ValueError("the judge needs to be another model than the guide")
    apart = torch.cdist(x.flatten(1), x.flatten(1))
    other = ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    return float((judge(x).argmax(-1) == y).double().mean()), float(apart[other].mean())


@class_report.misconception(
    "You counted each sample's distance to itself. These zeros make small classes look less diverse than large ones, "
    "so leave out the diagonal.",
    name="diagonal",
)
def _(x, y, judge, guide):
    if judge is guide:
        raise ValueError("the judge needs to be another model than the guide")
    apart = torch.cdist(x.flatten(1), x.flatten(1))
    return float((judge(x).argmax(-1) == y).double().mean()), float(apart[y.unsqueeze(0) == y.unsqueeze(1)].mean())


class_report.mistake(
    "argmax-over-samples",
    "You took the argmax over the samples. Each row of the scores belongs to one sample, so take it along the last "
    "axis, the classes.",
    edits=[
        ("accuracy = (judge(x).argmax(-1) == y).double().mean()", ""),
        ("float(accuracy)", "float((judge(x).argmax(0) == y).double().mean())"),
    ],
)


@class_report.misconception(
    "You grouped the samples by the class that the judge chose. We want to know how much the samples that should "
    "share a class differ, so group them by y.",
    name="judged-classes",
)
def _(x, y, judge, guide):
    if judge is guide:
        raise ValueError("the judge needs to be another model than the guide")
    given = judge(x).argmax(-1)
    apart = torch.cdist(x.flatten(1), x.flatten(1))
    same = (given.unsqueeze(0) == given.unsqueeze(1)) & ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    return float((given == y).double().mean()), float(apart[same].mean())


@class_report.misconception(
    "You averaged squared distances; average the distances themselves, in the units of x.",
    name="squared",
)
def _(x, y, judge, guide):
    if judge is guide:
        raise ValueError("the judge needs to be another model than the guide")
    apart = torch.cdist(x.flatten(1), x.flatten(1)).square()
    same = (y.unsqueeze(0) == y.unsqueeze(1)) & ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    return float((judge(x).argmax(-1) == y).double().mean()), float(apart[same].mean())


@class_report.misconception(
    "You averaged class by class first, so a pair in a small class counts for more than a pair in a large one. Take "
    "one mean over all pairs.",
    name="mean-of-classes",
)
def _(x, y, judge, guide):
    if judge is guide:
        raise ValueError("the judge needs to be another model than the guide")
    means = [torch.pdist(x[y == k].flatten(1)).mean() for k in y.unique() if int((y == k).sum()) > 1]
    return float((judge(x).argmax(-1) == y).double().mean()), float(torch.stack(means).mean())


@class_report.misconception(
    "You let the guide judge its own work. The samples were optimised until the guide agreed, so its approval says "
    "little; raise ValueError if judge is guide.",
    name="guide-judges",
)
def _(x, y, judge, guide):
    apart = torch.cdist(x.flatten(1), x.flatten(1))
    same = (y.unsqueeze(0) == y.unsqueeze(1)) & ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    return float((judge(x).argmax(-1) == y).double().mean()), float(apart[same].mean())


@class_report.misconception(
    "You averaged class by class, and a class with a single sample has no pairs: the mean of nothing is nan. Take one "
    "mean over all pairs of all classes.",
    name="nan-of-a-single",
)
def _(x, y, judge, guide):
    if judge is guide:
        raise ValueError("the judge needs to be another model than the guide")
    means = [torch.pdist(x[y == k].flatten(1)).mean() for k in y.unique()]
    return float((judge(x).argmax(-1) == y).double().mean()), float(torch.stack(means).mean())


@class_report.also_correct
def _(x, y, judge, guide):
    if judge is guide:
        raise ValueError("choose another judge")
    hits = [int(row.argmax()) == int(k) for row, k in zip(judge(x), y, strict=True)]
    gaps = torch.cat([torch.pdist(x[y == k].flatten(1)) for k in y.unique()])
    return sum(hits) / len(hits), gaps.mean().item()
