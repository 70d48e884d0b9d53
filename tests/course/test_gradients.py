"""assert_gradients compares gradients by the names of the inputs."""

import re

import pytest
import torch
from studium import assert_gradients

A, B = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0])


def leaves():
    return {"a": A.clone().requires_grad_(), "b": B.clone().requires_grad_()}


def right(a, b):
    return (a * b).sum()


def fails(sentence, *args, **kwargs):
    with pytest.raises(AssertionError, match=f"^{re.escape(sentence)}$"):
        assert_gradients(*args, **kwargs)


def test_right_gradients_pass_as_values_and_as_a_function():
    given = leaves()
    loss = right(**given)
    assert_gradients(loss, given, {"a": B})
    assert_gradients(loss, given, right)
    assert_gradients(given["a"] * given["b"], given, {"b": 2 * A}, torch.tensor([2.0, 2.0]))
    assert_gradients(given["a"].square(), given, lambda a, b: a * a, torch.ones(2))
    with pytest.raises(AssertionError, match="the gradient of `b`: "):
        assert_gradients(loss, given, lambda a, b: (a * B).sum())


def test_the_first_input_whose_gradient_differs_is_named():
    given = leaves()
    loss = (given["a"] * given["b"] * 2).sum()
    with pytest.raises(AssertionError, match=r"^for two numbers: the gradient of `b`: .*expected 1.*got 2"):
        assert_gradients(loss, given, {"b": A}, message="for two numbers")
    assert_gradients(loss, given, {"b": A}, atol=5.0, rtol=0.0)


def test_an_input_that_no_gradient_reaches_is_named():
    given = leaves()
    fails("no gradient reaches `b`: it is detached", right(given["a"], given["b"].detach()), given, right)
    fails("no gradient reaches `a`: it is detached", right(A, B), given, {"a": B})


def test_a_result_without_a_gradient_to_compare_gets_a_sentence():
    for outputs, weights, sentence in [
        (11.0, None, "the loss: expected a tensor through which gradients flow, got float"),
        (A, None, "the loss: expected shape (), got (2,)"),
        (A, torch.ones(3), "the loss: expected shape (3,), got (2,)"),
    ]:
        fails(sentence, outputs, leaves(), right, weights, message="the loss")
