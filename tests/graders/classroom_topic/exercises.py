"""Two exercises whose tests warn, print numbers and have names that nbgrader could confuse."""

import math
import warnings

from studium import assert_close, exercise


@exercise(points=3, minutes=2, hints=("Start from zero and go on.",))
def total(values):
    """Give the sum of numbers."""
    ### BEGIN SOLUTION
    running_secret = 0.0
    for value in values:
        running_secret += value
    return running_secret
    ### END SOLUTION


@total.test("is zero for no values", points=1)
def _(total):
    assert_close(total([]), 0.0)


@total.hidden("counts negative values as negative", points=2)
def _(total):
    warnings.warn("a warning costs nobody a point", UserWarning, stacklevel=2)
    print(17)
    assert_close(total([1.0, -4.0]), -3.0, message="the hidden sum of 1 and -4")


@total.misconception("You added the sizes of the numbers, whatever their signs.", name="added-the-sizes")
def _(values):
    return math.fsum(abs(value) for value in values)


@total.also_correct
def _(values):
    return math.fsum(values)


@exercise(points=2, minutes=2)
def distance(a, b):
    """Give the distance of two points."""
    ### BEGIN SOLUTION
    return math.hypot(*(x - y for x, y in zip(a, b, strict=True)))
    ### END SOLUTION


@distance.hidden("is 5 for α", points=1)
def _(distance):
    assert_close(distance((0.0, 0.0), (3.0, 4.0)), 5.0)


@distance.hidden("is 5 for β", points=1)
def _(distance):
    assert_close(distance((0.0, 4.0), (3.0, 0.0)), 5.0)


@distance.misconception("You forgot the square root.")
def _(a, b):
    return sum((x - y) ** 2 for x, y in zip(a, b, strict=True))


@distance.misconception("You measured along the axes.")
def _(a, b):
    return sum(abs(x - y) for x, y in zip(a, b, strict=True))
