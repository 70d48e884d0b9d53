"""Edits of the solution: one change that nobody registered, and two registered mistakes at once."""

from __future__ import annotations

import torch
from studium import assert_close, exercise
from studium.exercises.explaining.edits import told as words_of


@exercise(points=2, minutes=1)
def standardised(x, eps):
    """Return x with mean 0 and variance 1."""
    ### BEGIN SOLUTION
    centred = x - x.mean(-1, keepdim=True)
    variance = (centred**2).mean(-1, keepdim=True)
    return centred / (variance + eps).sqrt()
    ### END SOLUTION


X = torch.tensor([[1.0, 2.0, 4.0], [8.0, 16.0, 33.0]])


@standardised.test("has mean 0 and variance 1", points=2)
def _(standardised):
    for eps in (0.5, 0.25):
        centred = X - X.mean(-1, keepdim=True)
        assert_close(standardised(X, eps), centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt())


standardised.mistake("sum", "You summed the squares.", replace="(centred**2).mean", by="(centred**2).sum")
standardised.mistake("no-root", "You left out the root.", replace="(variance + eps).sqrt()", by="(variance + eps)")


def centred(x):
    return x - x.mean(-1, keepdim=True)


def test_the_operation_is_told_and_the_solution_is_not_shown(told):
    def answer(x, eps):
        return centred(x) / (centred(x).square().mean(-1, keepdim=True) - eps).sqrt()

    assert told(standardised, answer).mistake == "Your function does what a right one does with `-` in place of `+`."


def test_two_registered_mistakes_at_once_are_told_together(told):
    def answer(x, eps):
        return centred(x) / (centred(x).square().sum(-1, keepdim=True) + eps)

    assert told(standardised, answer).mistake == (
        "Two mistakes at once. You summed the squares. You left out the root."
    )


def test_a_change_is_told_by_its_operation_or_not_at_all():
    for old, new, words in [
        ("<", "<=", "with `<=` in place of `<`"),
        ("a / b", "a", "with one division left out"),
        ("a + b", "b", "with one term left out"),
        ("x.sqrt()", "x", "without `.sqrt()`"),
        ("torch.exp(x)", "(x)", "without `torch.exp`"),
        (", dim=-1", "", "without `dim=…`"),
        ("-x", "x", "without the minus sign"),
        ("a > 0", "not (a > 0)", "with one condition reversed"),
        ("f(a, b)", "f(b, a)", "with two arguments exchanged"),
        ("secret(a)", "another(b, c)", ""),
    ]:
        assert words_of(old, new) == words
