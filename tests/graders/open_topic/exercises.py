"""One open exercise: a goal that tests measure, and a report that a person reads."""

from studium import exercise


@exercise(points=2, report=3, minutes=5, kind="open", hints=("Which lengths does a mark at 1 give?",))
def marks(length):
    """Return the places of at most 6 marks on a ruler, so that every length from 1 to `length` lies between two marks.

    length is at most 8.
    """
    ### BEGIN SOLUTION
    return [0, 1, 2, 5, 8]
    ### END SOLUTION


@marks.test("measures every length from 1 to 8", points=1)
def _(marks):
    found = list(marks(8))
    assert {abs(a - b) for a in found for b in found} >= set(range(1, 9)), "a length is missing"


@marks.hidden("needs at most 6 marks", points=1)
def _(marks):
    assert len(list(marks(8))) <= 6, f"{len(list(marks(8)))} marks are too many"


@marks.misconception("You put a mark at every length; differences give most lengths.", name="all-marks")
def _(length):
    return list(range(length + 1))
