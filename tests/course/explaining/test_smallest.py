"""The smallest call that goes wrong: from visible tests, and only while all right answers agree."""

from __future__ import annotations

import torch
from studium import exercise


def mean_of_rows(x, rows):
    return x[:rows].sum(0) / rows


def without_the_last(x, rows):
    return x[: rows - 1].sum(0) / rows


def test_it_is_cut_down_and_says_what_the_answer_gives_and_should_give(made, told):
    own = made(mean_of_rows, (torch.arange(12.0).view(4, 3) + 1, 4))
    found = told(own, without_the_last).smallest
    assert found == "Smallest call that goes wrong: `mean_of_rows(x=[[1.]], rows=1)` gives [0.] and should give [1.]."


def test_it_stays_where_another_right_answer_disagrees(made, told):
    def at_least_two(x, rows):
        return mean_of_rows(x, rows) if rows > 1 else x[0] * 0

    own = made(mean_of_rows, (torch.arange(12.0).view(4, 3) + 1, 4), also=[at_least_two])
    assert "rows=2" in told(own, without_the_last).smallest


def test_numbers_come_from_visible_tests_alone(made, told):
    def last(x):
        return x[-1]

    own = made(last, (torch.tensor([7.0]),), hidden=[(torch.tensor([3.0, 5.0]),)])
    found = told(own, lambda x: x[0])
    assert "3." not in found.smallest + found.mistake
    assert "5." not in found.smallest + found.mistake


def test_an_answer_that_fails_hidden_tests_alone_is_shown_a_call_near_a_visible_one(made, told):
    def count(x, both):
        return len(x) * 2 if both else len(x)

    own = made(count, ([1, 2], False), hidden=[([8, 9, 10], True)])
    found = told(own, lambda x, both: len(x)).smallest
    assert found == "Smallest call that goes wrong: `count(x=[1], both=True)` gives 1 and should give 2."


def test_an_argument_with_many_numbers_is_told_by_its_shape(made, told):
    def size(x):
        if len(x) < 40:
            raise ValueError("too short")
        return len(x)

    own = made(size, (torch.zeros(40),))
    assert told(own, lambda x: 39).smallest == (
        "Smallest call that goes wrong: `size(x=<shape (40,)>)` gives 39 and should give 40."
    )


def test_it_stands_under_a_name_too(made, told):
    own = made(mean_of_rows, (torch.arange(12.0).view(4, 3) + 1, 4))
    own.misconception("You forgot the last row.", name="forgot")(without_the_last)
    found = told(own, without_the_last)
    assert found.mistake == "You forgot the last row."
    assert "rows=1" in found.smallest


def test_an_argument_whose_rows_belong_to_those_of_another_is_not_cut_alone(made, told):
    def spread_out(x, y):
        if len(x) < 2:  # so that both are not cut to one
            raise ValueError("two rows are needed")
        return (x - y).square().sum()

    calls = [(torch.arange(2.0 * n).view(n, 2), torch.ones(n, 2)) for n in (3, 4)]
    found = told(made(spread_out, *calls), lambda x, y: (x - y).sum()).smallest
    assert "x=[[0., 1.], [2., 3.]], y=[[1., 1.], [1., 1.]]" in found


def test_probabilities_add_up_to_1_in_a_smaller_call_too(made, told):
    def entropy(p):
        return -(p * p.log()).sum(-1)

    p = torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]])
    found = told(made(entropy, (p,)), lambda p: -(p * p.log2()).sum(-1)).smallest
    assert "`entropy(p=[[0.5, 0.25, 0.25]])`" in found


def test_a_size_that_never_changes_while_others_do_is_not_cut(made, told):
    def areas(boxes):
        return (boxes[:, -2:] - boxes[:, :2]).prod(1)

    calls = [(torch.arange(4.0 * n).view(n, 4),) for n in (2, 3, 5)]
    found = told(made(areas, *calls), lambda boxes: areas(boxes) + 1).smallest
    assert "`areas(boxes=[[0., 1., 2., 3.]])`" in found


def test_an_answer_that_changes_nothing_is_not_told_that_it_does(made, told):
    def fill(x):
        x.zero_()
        return x * 0

    own = exercise(points=1, minutes=1)(fill)

    @own.test("fills x itself", points=1)
    def _(fill):
        x = torch.ones(2)
        fill(x)
        assert not x.any()

    found = told(own, lambda x: x * 0).smallest
    assert found == "Smallest call that goes wrong: `fill(x=[1.])` should change an argument and does not."
