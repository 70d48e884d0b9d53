"""The array trait: what it takes, what it sends, and what it says when it cannot take a value."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from studium_widgets import Array
from studium_widgets.arrays import from_wire, to_wire
from traitlets import HasTraits, TraitError


class Holder(HasTraits):
    grid = Array("float32", ("heads", "tokens", "tokens"))
    pair = Array("float32", (2,))
    pixels = Array("uint8", ("rows", "columns"))
    scores = Array("float32", ("scores",), optional=True, finite=False)


def test_numbers_of_any_kind_become_a_float32_array():
    for given in [
        np.eye(3)[None],
        np.eye(3)[None].tolist(),
        torch.eye(3)[None],
        torch.eye(3, dtype=torch.bfloat16)[None],
    ]:
        grid = Holder(grid=given).grid
        assert grid.dtype == np.float32
        assert np.array_equal(grid, np.eye(3)[None])


def test_a_tensor_that_needs_a_gradient_is_taken():
    assert Holder(pair=torch.ones(2, requires_grad=True)).pair.tolist() == [1, 1]


def test_the_array_is_a_read_only_copy():
    source = np.zeros(2, np.float32)
    holder = Holder(pair=source)
    source[0] = 5
    assert holder.pair[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        holder.pair[0] = 1


def test_a_wrong_value_is_answered_with_the_expected_and_the_given():
    for name, given, sentence in [
        ("grid", np.zeros((3, 3)), r"grid needs shape \(heads, tokens, tokens\), got \(3, 3\): add 1 axis"),
        ("grid", np.zeros((1, 1, 3, 3)), r"got \(1, 1, 3, 3\): remove 1 axis"),
        ("grid", np.zeros((1, 3, 4)), r"got \(1, 3, 4\): axis 2 must be 3 long"),
        ("pair", [1.0, 2.0, 3.0], r"pair needs shape \(2,\), got \(3,\): axis 0 must be 2 long"),
        ("pair", ["a", "b"], "pair needs float32 numbers, got a list that is not a regular grid of numbers"),
        ("pair", [[1.0], [2.0, 3.0]], "pair needs float32 numbers, got a list that is not a regular grid"),
        ("pair", "words", "pair needs float32 numbers, got str 'words'"),
        ("pair", None, "pair"),
        ("pair", [1.0, float("nan")], r"pair needs finite numbers, got nan at index \(1,\)"),
        ("pair", [1.0, float("-inf")], r"pair needs finite numbers, got -inf at index \(1,\)"),
        ("scores", [float("nan")], r"scores needs finite numbers or -inf, got nan at index \(0,\)"),
        ("scores", [float("inf")], r"scores needs finite numbers or -inf, got inf at index \(0,\)"),
        ("pixels", [[0, 256]], "pixels needs whole numbers from 0 to 255, got 0 to 256: rescale them"),
        ("pixels", [[-1, 3]], "got -1 to 3"),
        ("pixels", [[0.25, 0.5]], "pixels needs whole numbers from 0 to 255, got fractions"),
    ]:
        with pytest.raises(TraitError, match=sentence):
            Holder(**{name: given})


def test_minus_infinity_and_none_pass_where_allowed():
    assert Holder(scores=[float("-inf"), 0.0]).scores[0] == -np.inf
    assert Holder(scores=None).scores is None


def test_an_unknown_wire_type_is_refused():
    with pytest.raises(ValueError, match="needs a dtype of float32, float64, uint8, got 'int8'"):
        Array("int8")


def test_the_wire_form_is_bytes_and_comes_back_equal():
    for value in [np.float32([[1.5, -2]]), np.uint8([[0, 255]]), np.zeros((0, 3), np.float32)]:
        wire = to_wire(value)
        assert (wire["dtype"], wire["shape"], len(wire["data"])) == (value.dtype.name, list(value.shape), value.nbytes)
        back = from_wire(wire)
        assert back.dtype == value.dtype
        assert np.array_equal(back, value)
