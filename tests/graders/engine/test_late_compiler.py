"""torch's compiler is imported by what compiles, and not by an optimiser; its distributed tensors by who uses them."""

from collections.abc import Callable

import pytest

BEGIN = """
import sys
import torch
from studium_graders.engine.processes.late_compiler import import_compiler_late
import_compiler_late()
model = torch.nn.Linear(2, 2)
def loaded():
    return "torch._dynamo.eval_frame" in sys.modules
def step():
    optimizer = torch.optim.Adam(model.parameters())
    optimizer.zero_grad()
    model(torch.ones(1, 2)).sum().backward()
    before = model.weight.clone()
    optimizer.step()
    assert not torch.equal(before, model.weight)
step()
torch.manual_seed(0)
assert not loaded()
"""

pytestmark = pytest.mark.xdist_group("late compiler")


def test_compiling_imports_the_compiler_and_optimisers_go_on(in_a_fork: Callable[[str], None]) -> None:
    in_a_fork("""
assert torch.compile(lambda x: x + 1, backend="eager")(torch.ones(1)).item() == 2
assert loaded() and torch._dynamo is sys.modules["torch._dynamo"]
step()
assert torch._dynamo.eval_frame.innermost_fn(torch.optim.Optimizer.zero_grad.__wrapped__.__dynamo_disable) is not None
""")


def test_a_given_gradient_asks_for_no_formulas_of_shapes(in_a_fork: Callable[[str], None]) -> None:
    in_a_fork("""
torch.ones(2, requires_grad=True).mul(2).backward(torch.ones(2))
assert "sympy" not in sys.modules
try:
    torch.ones(2, requires_grad=True).mul(2).backward(torch.ones(3))
except RuntimeError as error:
    assert "Mismatch in shape" in str(error)
else:
    raise AssertionError
import torch.fx.experimental.symbolic_shapes
assert torch.fx.experimental.symbolic_shapes.sym_eq((1, 2), (1, 2)) and "sympy" not in sys.modules
from torch.fx.experimental.symbolic_shapes import guard_or_false, sym_eq
assert "sympy" in sys.modules and guard_or_false(True) and sym_eq((1, (2, 3)), (1, (2, 3)))
torch.ones(2, requires_grad=True).mul(2).backward(torch.ones(2))
""")


def test_a_part_of_the_compiler_can_be_imported_by_name(in_a_fork: Callable[[str], None]) -> None:
    in_a_fork("import torch._dynamo.config as config\nassert loaded() and torch._dynamo.config is config\n")


def test_whoever_looks_at_all_modules_does_not_import_it(in_a_fork: Callable[[str], None]) -> None:
    in_a_fork("""
import inspect
inspect.getmodule(step)
assert not any(getattr(module, "__warningregistry__", None) is sys for module in list(sys.modules.values()))
assert not loaded()
""")


def test_comparing_imports_no_distributed_tensors_and_knows_those_that_there_are(
    in_a_fork: Callable[[str], None],
) -> None:
    in_a_fork("""
from studium_graders.engine.processes.late_compiler import compare_without_distributed_tensors
compare_without_distributed_tensors()
torch.testing.assert_close(torch.ones(2), torch.ones(2))
assert "torch.distributed.tensor" not in sys.modules
from torch.distributed.tensor import DTensor
one = torch.ones(2).as_subclass(DTensor)
try:
    torch.testing.assert_close(one, torch.ones(2))
except TypeError as error:
    assert "DTensor" in str(error)
else:
    raise AssertionError
""")
