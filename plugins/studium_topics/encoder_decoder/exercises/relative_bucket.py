import math

import torch
from studium import assert_close, exercise


@exercise(
    points=4,
    minutes=18,
    level="core",
    importance=2,
    kind="derive",
    hints=(
        "How many buckets are there on one side, how many of them are for exact distances, and how many are left for "
        "the rest?",
        "On a logarithmic scale the far buckets all have the same width. Express ln(n) as a fraction of the way from "
        "the first far distance to `farthest`, then multiply by the number of far buckets and round down.",
        "Everything is elementwise, in the shape of distance; one `torch.where` combines the two cases.",
        "`near + (torch.log(n / near) / math.log(farthest / near) * far).long()` is the bucket of a far distance n, "
        "before you cap it at the last bucket; `n.clamp(min=1)` keeps the logarithm finite.",
    ),
    mutates_args=(),
)
def relative_bucket(distance, bidirectional, buckets=32, farthest=128):
    """Return the bucket (long) of each distance: key position minus query position.

    One side has K buckets. n is how far away the key is.

    - If bidirectional, K = buckets / 2; keys after the query (distance > 0) get their bucket plus K.
    - Otherwise K = buckets; keys after the query are never read, and count as n = 0.
    - n < K / 2: bucket n.
    - Other n: the remaining K / 2 buckets divide the range from K / 2 to farthest into steps that are equal on a
      logarithmic scale, rounding down.
    - n ≥ farthest: the last of the K buckets.

    distance: long, any shape; K is even; farthest > K / 2.
    """
    ### BEGIN SOLUTION
    side = buckets // 2 if bidirectional else buckets
    near = side // 2
    n = distance.abs() if bidirectional else (-distance).clamp(min=0)
    position = torch.log(n.clamp(min=1) / near) / math.log(farthest / near)  # 0 at near, 1 at farthest
    far = (near + (position * (side - near)).long()).clamp(max=side - 1)
    behind = side * (distance > 0) if bidirectional else 0
    return torch.where(n < near, n, far) + behind
    ### END SOLUTION


relative_bucket.equivalent(
    "position = torch.log(n.clamp(min=2) / near) / math.log(farthest / near)  # 0 at near, 1 at farthest",
    "n = 1 is near, or in the only far bucket",
)

relative_bucket.equivalent(
    "position = torch.log(n.clamp(min=0) / near) / math.log(farthest / near)  # 0 at near, 1 at farthest",
    "n = 0 is near, so its position is not used",
)

relative_bucket.equivalent("return torch.where(n <= near, n, far) + behind", "the bucket of n = near is near")


@relative_bucket.test("tells left from right, and near from far", points=1)
def _(relative_bucket):
    distance = torch.tensor([-1000, -130, -50, -3, 0, 1, 12, 129])
    found = relative_bucket(distance, True)
    assert_close(found, torch.tensor([15, 15, 13, 3, 0, 17, 25, 31]), message="both directions, 32 buckets")
    found = relative_bucket(distance, False)
    assert_close(found, torch.tensor([31, 31, 24, 3, 0, 0, 0, 0]), message="one direction, 32 buckets")


@relative_bucket.hidden("divides the far distances evenly on a logarithmic scale", points=2)
def _(relative_bucket):
    for bidirectional, buckets, farthest in ((True, 32, 128), (False, 32, 128), (True, 12, 50), (False, 20, 37)):
        side = buckets // 2 if bidirectional else buckets
        near = side // 2
        edges = [near * (farthest / near) ** (step / (side - near)) for step in range(side - near)]
        distances, expected = [], []
        for distance in range(-300, 301):
            n = abs(distance) if bidirectional else max(-distance, 0)
            bucket = n if n < near else near - 1 + sum(n >= edge for edge in edges)
            if n < near or min(abs(n / edge - 1) for edge in edges) > 1e-6 or n == near:
                distances.append(distance)
                expected.append(min(bucket, side - 1) + side * (bidirectional and distance > 0))
        found = relative_bucket(torch.tensor(distances), bidirectional, buckets, farthest)
        assert torch.as_tensor(found).dtype == torch.long, f"buckets must be long, got {found.dtype}"
        way = "both directions" if bidirectional else "one direction"
        message = f"{way}, {buckets} buckets, farthest {farthest}, distances -300 to 300"
        assert_close(found, torch.tensor(expected), message=message)


@relative_bucket.hidden("keeps the shape of a table of distances", points=1)
def _(relative_bucket):
    distance = torch.arange(7)[None] - torch.arange(5)[:, None]
    kept = distance.clone()
    found = relative_bucket(distance, True, 8, 10)
    rows = [[0, 5, 6, 6, 6, 7, 7], [1, 0, 5, 6, 6, 6, 7], [2, 1, 0, 5, 6, 6, 6], [2, 2, 1, 0, 5, 6, 6]]
    assert_close(found[:4], torch.tensor(rows), message="4 rows of distances, 8 buckets, farthest 10")
    assert tuple(found.shape) == (5, 7), f"for distances (5, 7) the buckets must be (5, 7), got {tuple(found.shape)}"
    assert torch.equal(distance, kept), "the argument distance must stay as it is"


@relative_bucket.misconception(
    "You swapped the sides; the distance is key minus query, so positive distances are keys after the query, and "
    "those get the upper buckets.",
    name="sides-swapped",
)
def _(distance, bidirectional, buckets=32, farthest=128):
    return relative_bucket(-distance, bidirectional, buckets, farthest)


@relative_bucket.misconception(
    "You gave both directions the same buckets, so the model cannot tell the next word from the previous one; add K "
    "for keys after the query.",
    name="both-sides-alike",
)
def _(distance, bidirectional, buckets=32, farthest=128):
    if bidirectional:
        return relative_bucket(-distance.abs(), True, buckets, farthest)
    return relative_bucket(distance, False, buckets, farthest)


@relative_bucket.misconception(
    "You cut the distances off at K - 1, so all larger distances look the same; let the far buckets grow wider on a "
    "logarithmic scale, up to `farthest`.",
    name="clipped",
)
def _(distance, bidirectional, buckets=32, farthest=128):
    side = buckets // 2 if bidirectional else buckets
    n = distance.abs() if bidirectional else (-distance).clamp(min=0)
    return n.clamp(max=side - 1) + (side * (distance > 0) if bidirectional else 0)


@relative_bucket.misconception(
    "You made the far buckets equally wide in distance; make them equally wide in its logarithm, which tells nearby "
    "distances apart more finely.",
    name="linear-steps",
)
def _(distance, bidirectional, buckets=32, farthest=128):
    side = buckets // 2 if bidirectional else buckets
    near = side // 2
    n = distance.abs() if bidirectional else (-distance).clamp(min=0)
    far = near + ((n - near) / (farthest - near) * (side - near)).long()
    far = torch.where(n < near, n, far.clamp(max=side - 1))
    return far + (side * (distance > 0) if bidirectional else 0)


@relative_bucket.misconception(
    "You did not halve the number of buckets for two directions; halve it, or the second side gets bucket numbers for "
    "which the table has no rows.",
    name="not-halved",
)
def _(distance, bidirectional, buckets=32, farthest=128):
    return relative_bucket(distance, bidirectional, 2 * buckets if bidirectional else buckets, farthest)


@relative_bucket.misconception(
    "You rounded to the nearest bucket; round down, because a distance belongs to the step that contains it.",
    name="rounded-to-nearest",
)
def _(distance, bidirectional, buckets=32, farthest=128):
    side = buckets // 2 if bidirectional else buckets
    near = side // 2
    n = distance.abs() if bidirectional else (-distance).clamp(min=0)
    far = near + (torch.log(n.clamp(min=1) / near) / math.log(farthest / near) * (side - near)).round().long()
    far = torch.where(n < near, n, far.clamp(max=side - 1))
    return far + (side * (distance > 0) if bidirectional else 0)


@relative_bucket.also_correct
def _(distance, bidirectional, buckets=32, farthest=128):
    out = torch.zeros_like(distance)
    if bidirectional:
        buckets //= 2
        out = out + (distance > 0).long() * buckets
        n = distance.abs()
    else:
        n = torch.maximum(-distance, torch.zeros_like(distance))
    half = buckets // 2
    ratio = torch.log(n.double().clamp(min=half) / half) / math.log(farthest / half)
    far = torch.clamp(half + torch.floor(ratio * (buckets - half) + 1e-9).long(), max=buckets - 1)
    return out + torch.where(n < half, n, far)


@relative_bucket.also_correct
def _(distance, bidirectional, buckets=32, farthest=128):
    side = buckets // 2 if bidirectional else buckets
    half = side // 2
    found = []
    for d in distance.flatten().tolist():
        n = abs(d) if bidirectional else max(-d, 0)
        if n >= half:
            n = min(side - 1, half + int(math.log(n / half) / math.log(farthest / half) * (side - half) + 1e-9))
        found.append(n + side * (bidirectional and d > 0))
    return torch.tensor(found).reshape(distance.shape)
