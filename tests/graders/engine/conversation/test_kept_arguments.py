"""A test that looks at the arguments does so through the wire too."""

from studium.checking import check
from studium.exercises import exercise

CHANGES = "def total(x, out=None):\n    x[0] = 0\n    return 3"


@exercise(points=1, minutes=1)
def total(x, out=None):
    ### BEGIN SOLUTION
    return sum(x)
    ### END SOLUTION


@total.test("adds", points=1, mutates_args=("out",))
def _(total):
    assert total([1, 2]) == 3


def test_an_argument_that_a_student_changes_fails_the_test(make_student):
    right = make_student("def total(x, out=None):\n    return x[0] + x[1]").get("total")
    assert check("t", total, right).outcome == "right"
    (test,) = check("t", total, make_student(CHANGES).get("total")).tests
    assert not test.passed
    assert "changed its argument `x`, which must stay as it is" in test.message
