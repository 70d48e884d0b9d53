"""How the elements of a tensor or an array lie in memory: what can be viewed on one side can be on the other."""

import numpy as np
import pytest
import torch
from studium_graders.engine.remote.arrays import tensor_of
from studium_graders.engine.remote.wire import ProtocolError

X = torch.arange(24.0).reshape(2, 3, 4)
VIEWS = {
    "transposed": X.transpose(1, 2),
    "without a column": X[:, :, 1:],
    "of every other row": X[:, ::2],
    "a column": X[..., 1],
    "expanded": X[:, :1].expand(2, 5, 4),
    "a scalar expanded": torch.tensor(2.0).expand(3, 2),
    "channels last": torch.ones(2, 2, 3, 4).to(memory_format=torch.channels_last),
    "chunked": torch.arange(48.0).reshape(4, 12).chunk(4, -1)[2],
    "of half precision": X.bfloat16().mT,
}
CODE = """
import numpy as np, torch
def again(x): return x.view_as(x)
def strides(x): return x.stride()
def rows(x): return x.view(x.shape[0], -1)
def transposed(x): return x.T
def doubled(x): return (2 * x).mT
def order(x): return x.flags.f_contiguous, x.flags.c_contiguous
def give(shape): return np.zeros(shape, order="F")
"""


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_a_view_has_its_strides_on_both_sides(make_student, view):
    student = make_student(CODE)
    assert student.get("strides")(view) == view.stride()
    for x in (view, view.clone(memory_format=torch.preserve_format).requires_grad_()):
        back = student.get("again")(x)
        assert torch.equal(back, x)
        assert back.stride() == x.stride()


def test_what_cannot_be_viewed_raises_the_same_on_both_sides(make_student):
    student = make_student(CODE)
    assert student.get("rows")(X).shape == (2, 12)
    for view in (X.transpose(1, 2), X[:, :, 1:]):
        with pytest.raises(RuntimeError, match="view size is not compatible"):
            student.get("rows")(view)
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        student.get("transposed")(X[0]).view(-1)


def test_a_result_with_a_history_has_its_strides(make_student):
    x = X[0].clone().requires_grad_()
    made = make_student(CODE).get("doubled")(x)
    assert made.stride() == (1, 4)
    (made * X[0].T).sum().backward()
    assert torch.equal(x.grad, 2 * X[0])


def test_an_array_is_in_the_order_in_which_it_was(make_student):
    student = make_student(CODE)
    assert student.get("order")(np.zeros((2, 3)).T) == (True, False)
    assert student.get("order")(np.zeros((2, 3))) == (False, True)
    assert student.get("give")((2, 3)).flags.fnc


def test_what_is_spread_too_far_comes_contiguous(make_student):
    wide = torch.zeros(2, 1 << 20)[:, 0]
    assert make_student(CODE).get("strides")(wide) == (1,)


WRONG = {
    "no numbers": [[2], ["a"]],
    "below zero": [[2], [-1]],
    "huge": [[2], [1 << 40]],
    "too few": [[2, 1, 1], [1, 1]],
    "in which rows overlap": [[2, 2], [1, 1]],
}


@pytest.mark.parametrize("shape", WRONG.values(), ids=WRONG)
def test_strides_that_no_tensor_has_are_refused(shape):
    size = 16 if len(shape[0]) == 2 else 8
    with pytest.raises((ProtocolError, TypeError)):
        tensor_of("float32", shape, bytes(size))
