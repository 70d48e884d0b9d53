"""torch's kernels for tensors without data are imported when somebody needs them, and then everything is as usual."""

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version

import pytest

BEGIN = """
import sys
import warnings
from studium_graders.engine.processes.late_imports import import_torch
warnings.simplefilter("error")
warnings.filterwarnings("ignore", message=".torch.jit")
import_torch()
from studium_graders.engine.student_side.warm_up import warm_up
warm_up()
import torch
def loaded():
    return "torch._prims" in sys.modules
assert not loaded()
"""
NEEDS = {
    "shapes that are broadcast": "assert torch.broadcast_shapes((2, 1), (3,)) == (2, 3)",
    "a distribution": "torch.distributions.MultivariateNormal(torch.zeros(1), torch.eye(1))",
    "an attribute of torch's": "assert torch._prims.add and torch._decomp.decomposition_table",
    "a tensor without data": "assert torch.empty(3, 4, device='meta').shape == (3, 4)",
    "a tensor that gives up its data": "assert torch.ones(3, 4).t().to('meta').stride() == (1, 4)",
    "a layer without data": """
with torch.device("meta"):
    layer = torch.nn.MultiheadAttention(8, 2)
x = torch.empty(2, 3, 8, device="meta")
assert layer(x, x, x)[0].shape == (2, 3, 8)
""",
    "an operator whose kernel is written in Python": """
assert torch.linalg.qr(torch.empty(4, 3, device="meta"))[0].shape == (4, 3)
""",
    "a skipped initialisation": "assert torch.nn.utils.skip_init(torch.nn.Linear, 2, 3).weight.shape == (3, 2)",
    "a fake tensor": """
from torch._subclasses.fake_tensor import FakeTensorMode
with FakeTensorMode():
    assert (torch.randn(3, 4) @ torch.randn(4, 2)).shape == (3, 2)
""",
    "compiling": "assert torch.compile(lambda x: x * 2, backend='eager')(torch.ones(1)).item() == 2",
    "exporting": "torch.export.export(torch.nn.Linear(4, 3), (torch.ones(2, 4),))",
    "counting operations": """
from torch.utils.flop_counter import FlopCounterMode
with FlopCounterMode(display=False) as counter:
    torch.ones(2, 3) @ torch.ones(3, 5)
assert counter.get_total_flops() == 2 * 2 * 3 * 5
""",
    "differentiating forward": """
torch.func.jvp(lambda x: torch.nn.functional.softmax(x, 0), (torch.ones(3),), (torch.ones(3),))
import torch._decomp
""",
    "a checkpoint": """
from torch.utils.checkpoint import checkpoint
x = torch.ones(2, requires_grad=True)
checkpoint(torch.sin, x, use_reentrant=False).sum().backward()
""",
    "a part that the kernels need themselves": """
import torch._prims
import torch.utils._content_store
assert torch._prims is sys.modules["torch._prims"] and torch._prims.__spec__.origin.endswith("__init__.py")
""",
    "random numbers of a philox": """
import torch._prims.rng_prims
torch.randn(2, generator=torch.Generator().manual_seed(0))
""",
    "the module by its name": "import torch._meta_registrations as m; m.meta_index_Tensor",
}

pytestmark = [
    pytest.mark.xdist_group("late imports"),
    pytest.mark.skipif(not version("torch").startswith("2.13."), reason="what this torch does is not known"),
]


@pytest.mark.parametrize("code", NEEDS.values(), ids=NEEDS)
def test_what_needs_the_kernels_has_them(in_a_fork: Callable[[str], None], code: str) -> None:
    in_a_fork(f"{code}\nassert loaded()\nimport torch._refs\n")


def test_a_failure_is_seen(in_a_fork: Callable[[str], None]) -> None:
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        in_a_fork("1 / 0")


def test_layers_losses_optimisers_and_random_numbers_do_not_need_them(in_a_fork: Callable[[str], None]) -> None:
    in_a_fork("""
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.LayerNorm(8), torch.nn.Linear(8, 2))
optimizer = torch.optim.AdamW(model.parameters())
loss = torch.nn.functional.cross_entropy(model(torch.randn(4, 1, 4, 4)), torch.tensor([0, 1, 0, 1]))
loss.backward()
torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
torch.nn.functional.scaled_dot_product_attention(*torch.rand(3, 1, 2, 4, 8))
torch.fft.fft(torch.ones(4)), torch.linalg.qr(torch.ones(3, 2)), torch.einsum("ij,ij->i", *torch.ones(2, 2, 2))
torch.testing.assert_close(torch.ones(2), torch.ones(2))
torch.autograd.gradcheck(torch.sin, torch.ones(2, dtype=torch.float64, requires_grad=True))
import copy, io
copy.deepcopy(model).load_state_dict(model.state_dict())
file = io.BytesIO()
torch.save(model.state_dict(), file)
file.seek(0)
model.load_state_dict(torch.load(file))
repr(model), repr(loss)
torch.randn(2, generator=torch.Generator().manual_seed(0))
torch.utils.data.random_split(range(4), [2, 2], generator=torch.Generator())
assert not loaded()
""")


def test_whoever_looks_at_all_modules_does_not_import_them(in_a_fork: Callable[[str], None]) -> None:
    in_a_fork("""
import inspect
inspect.getmodule(loaded)
assert not any(getattr(module, "__warningregistry__", None) is sys for module in list(sys.modules.values()))
assert not loaded()
""")


def test_the_files_of_all_modules_are_not_looked_at(in_a_fork: Callable[[str], None]) -> None:
    in_a_fork("""
import inspect
assert 0 < len(inspect.modulesbyfile) < 10, len(inspect.modulesbyfile)
for file, name in inspect.modulesbyfile.items():
    assert sys.modules[name].__file__ == file
    assert inspect.getmodule(None, file) is sys.modules[name]
""")


def test_a_torch_that_was_imported_before_stays_as_it_is() -> None:
    code = """
import sys, torch
from studium_graders.engine.processes.late_imports import complete_when_needed, import_torch
before = list(sys.meta_path)
import_torch()
complete_when_needed()
assert sys.meta_path == before and "torch._prims" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
