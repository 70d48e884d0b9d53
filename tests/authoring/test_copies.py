"""Functions are the same code, whatever their variables are called."""

from __future__ import annotations

from studium.authoring.same_code import body, form


def scaled(x, factor):
    """Scale."""
    total: float = 0.0  # so far
    for item in x:
        total += factor * item
    return total


def renamed(values, by: float):
    s = 0.0
    for v in values:
        s += by * v
    return s


def exchanged(x, factor):
    total = 0.0
    for item in x:
        total += item * factor
    return total


def by_a_builtin(x, factor):
    return sum(factor * item for item in x)


def by_another_builtin(x, factor):
    return max(factor * item for item in x)


def test_names_docstrings_and_comments_make_no_other_code_and_order_and_functions_do():
    assert form(scaled) == form(renamed)
    assert form(scaled) != form(exchanged)
    assert form(by_a_builtin) != form(by_another_builtin)


def by_hand(scaled):
    expected = 6
    assert scaled([1, 2], 2) == expected


def by_hand_with_unused_data(scaled, rng):
    wanted = 6
    assert scaled([1, 2], 2) == wanted


def test_a_test_that_does_not_use_its_random_data_is_the_same_test():
    assert body(by_hand) == body(by_hand_with_unused_data)
    assert form(by_hand) != form(by_hand_with_unused_data)
