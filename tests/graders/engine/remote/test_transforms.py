"""torch.func of a test over a function of the student's: each sample and each derivative is asked for."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="module")
def cube(make_module_student):
    return make_module_student("def cube(x):\n    return (x ** 3).sum(-1)").get("cube")


X = torch.tensor([[1.0, 2.0], [3.0, 4.0]])


def test_a_batch_is_asked_for_sample_by_sample(cube):
    assert torch.vmap(cube)(X).tolist() == [9, 91]


def test_a_gradient_is_that_of_the_students_function(cube):
    assert torch.equal(torch.func.grad(cube)(X[0]), 3 * X[0] ** 2)


def test_so_is_one_for_each_sample_of_a_batch(cube):
    assert torch.equal(torch.vmap(torch.func.grad(cube))(X), 3 * X**2)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_so_are_directional_and_second_derivatives(cube):
    value, change = torch.func.jvp(cube, (X[0],), (torch.ones(2),))
    assert (value, change) == (9, 15)
    assert torch.equal(torch.func.jacrev(cube)(X[0]), 3 * X[0] ** 2)
    assert torch.equal(torch.func.hessian(cube)(X[0]), torch.diag(6 * X[0]))
