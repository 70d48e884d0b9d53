"""The one exercise of the waves."""

from studium import assert_close, exercise


@exercise(points=2, minutes=4, hints=("A wave has a `height`.", "Remember $2\\pi$."), level="warm-up")
def height(crest: float, trough: float) -> float:
    """Return the height of a wave from crest to trough. How fast it runs, √(g · depth), does not matter."""
    ### BEGIN SOLUTION
    return abs(crest - trough) + 0.0 * crest
    ### END SOLUTION


@height.test("is the difference of `crest` and trough", points=1)
def _(height):
    assert_close(height(3.0, 1.0), 2.0)


@height.hidden("is never below zero", points=1)
def _(height):
    assert_close(height(-7.125, 0.25), 7.375)


@height.misconception("You forgot that the trough may be above the crest.")
def _(crest, trough):
    return crest - trough
