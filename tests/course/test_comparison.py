from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from studium import assert_close
from studium.exercises.comparison import difference

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(values)
def test_every_value_equals_itself(value):
    assert difference(value, value) == ""


@given(arrays(np.float64, (2, 3), elements=st.floats(-1e6, 1e6)), st.integers(0, 1), st.integers(0, 2))
def test_one_changed_number_is_found_at_its_index(array, row, column):
    other = array.copy()
    other[row, column] += 10 + abs(other[row, column])
    assert difference(other, array).startswith(f"at index [{row}, {column}] expected")


def test_values_of_other_kinds_that_mean_the_same_are_equal():
    for actual, expected in [
        (torch.ones(2), np.ones(2)),
        (torch.ones(2, dtype=torch.float64), torch.ones(2)),
        (torch.ones(2, dtype=torch.bfloat16), torch.ones(2)),
        (torch.tensor(3), 3),
        (2.0, 2),
        ([torch.ones(1), 2.0], (np.ones(1), 2)),
        ({"a": float("nan")}, {"a": float("nan")}),
        (torch.zeros(0, 3), torch.zeros(0, 3)),
        (torch.ones(2, requires_grad=True), torch.ones(2)),
        ({1, 2}, frozenset({2, 1})),
        (torch.tensor([1 + 2j]).conj(), torch.tensor([1 - 2j])),
    ]:
        assert difference(actual, expected) == ""


@dataclass
class Pair:
    one: object
    two: object


def test_a_difference_is_one_sentence():
    for actual, expected, sentence in [
        (torch.ones(2, 3), torch.ones(3, 2), "expected shape (3, 2), got (2, 3)"),
        (None, torch.ones(3), "expected a tensor of shape (3,), got None"),
        ("x", 3.0, "expected a number, got str"),
        (1.0, 2.0, "expected 2, got 1"),
        (True, False, "expected False, got True"),
        (torch.tensor([True]), torch.tensor([False]), "at index [0] expected False, got True (1 of 1 values differ)"),
        (np.array(["a"]), np.array(["b"]), "at index [0] expected 'b', got 'a' (1 of 1 values differ)"),
        (
            np.array([1.0, np.nan, -np.inf, np.nan]),
            np.array([1.0, 2.0, np.inf, 3.0]),
            "at index [1] expected 2, got nan (3 of 4 values differ, 2 are nan, 1 are infinite, 1 should be infinite)",
        ),
        (
            np.array([1.5, np.nan]),
            np.array([1.0, np.nan]),
            "at index [0] expected 1, got 1.5 (1 of 2 values differ, by up to 0.5)",
        ),
        ([1, 2], [1], "expected 1 items, got 2"),
        ({"a": 1}, {"b": 1}, "keys differ: missing 'b' and not expected 'a'"),
        ({"a": [1, 2]}, {"a": [1, 3]}, "at key 'a': at item 1: expected 3, got 2"),
        ({1}, {2}, "missing 2 and not expected 1"),
        (Pair(1, torch.ones(1)), Pair(1, torch.zeros(1)), "at key 'two': at index [0] expected 0, got 1"),
        (torch.tensor([float("nan")]), torch.tensor([1.0]), "at index [0] expected 1, got nan"),
        (float("inf"), 1.0, "expected 1, got inf"),
        (3628801, 3628800, "expected 3628800, got 3628801"),
        (1.0000123, 1.00001, "expected 1.00001, got 1.0000123"),
    ]:
        assert difference(actual, expected).startswith(sentence)


def test_tolerances_can_be_widened():
    assert difference(1.01, 1.0, rtol=0.1) == ""
    assert difference(1.01, 1.0) != ""


def test_modules_are_compared_by_structure_parameters_and_what_is_trainable():
    one, other = torch.nn.Linear(2, 3), torch.nn.Linear(2, 3)
    assert "in parameter weight" in difference(one, other)
    other.load_state_dict(one.state_dict())
    assert difference(one, other) == ""
    other.weight.requires_grad_(False)
    assert difference(other, one) == "parameter weight must be trainable, but is not"
    assert difference(torch.nn.ReLU(), one).startswith("expected the modules")


def test_an_object_whose_equality_fails_is_not_equal():
    class Hostile:
        def __eq__(self, other):
            raise RuntimeError

        __hash__ = None

    assert difference(Hostile(), object()).startswith("expected <object")


def test_of_unequal_texts_the_part_that_differs_is_shown():
    for actual, expected, sentence in [
        (" 3.00", "  3.00", "expected '  3.00', got ' 3.00'"),
        ("a" * 40 + "b c" + "d" * 40, "a" * 40 + "b  c" + "d" * 40, f"at letter 42: expected '{'a' * 8}b  c"),
        ("a" * 90, "a" * 91, "at letter 90: expected 'aaaaaaaaaaa', got 'aaaaaaaaaa'"),
        ("", "a", "expected 'a', got ''"),
    ]:
        assert difference(actual, expected).startswith(sentence)


class Plain:
    pass


class Odd:
    def __eq__(self, other):
        return False

    __hash__ = None

    def __repr__(self):
        return "odd"


def test_values_that_look_alike_are_not_shown_side_by_side():
    assert difference(Plain(), Plain()) == "Plain does not define ==, so no two of its objects are equal"
    assert difference(Odd(), Odd()) == "expected odd, got another that looks like it"
    assert difference(Plain(), Odd()).startswith("expected odd, got <")


def test_assert_close_puts_its_message_first():
    with pytest.raises(AssertionError, match="the mean: expected 2, got 1"):
        assert_close(1.0, 2.0, message="the mean")


def test_a_plugin_can_compare_a_type_of_its_own(site):
    text = """
        from studium import hookimpl

        class Angle:
            def __init__(self, degrees):
                self.degrees = degrees

        @hookimpl
        def studium_compare(actual, expected):
            if isinstance(expected, Angle):
                return "" if (actual.degrees - expected.degrees) % 360 == 0 else "another direction"
    """
    site.install("angles", {"angles": "angles"}, {"angles.py": text})
    import angles

    assert difference(angles.Angle(370), angles.Angle(10)) == ""
    assert difference(angles.Angle(20), angles.Angle(10)) == "another direction"
