"""torch's compiler, imported only where code compiles: every optimiser asks for it, and it takes as long as torch.

An optimiser asks ``torch._dynamo`` for two things that have no effect unless something is compiled, and ``backward``
asks a part of the compiler whether two shapes are equal. Stand-in modules answer, and are the real modules as soon as
anything else is asked of them.

``torch.testing.assert_close`` likewise asks for the class of distributed tensors, with which half a second of imports
comes: sympy for one. Where nobody has imported that class, nothing is an instance of it.
"""

import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from studium_graders.engine.processes.late_imports import Later

_DISTRIBUTED = "torch.distributed.tensor"


class _Part(Later):
    """Stands in for a part of the compiler."""

    name: str

    def __init__(self) -> None:
        super().__init__(self.name)
        spec = find_spec(self.name)
        self.__spec__, self.__file__ = spec, spec.origin if spec else None


class _Compiler(_Part):
    name = "torch._dynamo"
    package = True

    def __init__(self) -> None:
        super().__init__()
        self._eager: list[Any] = []

    def graph_break(self, *_: Any, **__: Any) -> None:
        """Do nothing, as the real one where nothing is compiled."""

    def disable(self, fn: Any = None, *given: Any, wrapping: bool = True, **more: Any) -> Any:
        """Return a function of torch's own as it is, which keeps it until ``load`` makes it forget."""
        if wrapping or fn is None:  # somebody else's
            return self.load().disable(fn, *given, wrapping=wrapping, **more)
        self._eager.append(fn)
        return fn

    def load(self) -> ModuleType:
        """Return the real compiler, which torch's functions ask from the next call on."""
        module = super().load()
        for fn in self._eager:
            vars(fn).pop("__dynamo_disable", None)
        self._eager.clear()
        return module


class _Shapes(_Part):
    name = "torch.fx.experimental.symbolic_shapes"

    def sym_eq(self, one: Any, other: Any) -> Any:
        """Compare sizes; the real module is for those that a compiler knows as formulas."""
        if all(type(size) is int for sizes in (one, other) if isinstance(sizes, tuple) for size in sizes):
            return one == other
        return self.load().sym_eq(one, other)

    def expect_true(self, value: Any, skip: int = 0) -> bool:
        """Return a plain truth as it is."""
        return value if isinstance(value, bool) else self.load().expect_true(value, skip + 1)


def import_compiler_late() -> None:
    """Put off the import of torch's compiler, where it has not been imported."""
    for part in (_Compiler, _Shapes):
        if part.name not in sys.modules:
            sys.modules[part.name] = module = part()
            package, _, name = part.name.rpartition(".")
            setattr(sys.modules[package], name, module)


def compare_without_distributed_tensors() -> None:
    """Let ``torch.testing`` look for distributed tensors only where their module has been imported."""
    from torch.testing import _comparison

    unwrap = vars(_comparison).get("_unwrap_dtensor_for_comparison")  # not in every PyTorch

    def unwrap_what_there_is(actual: Any, expected: Any) -> Any:
        return unwrap(actual, expected) if unwrap and _DISTRIBUTED in sys.modules else (actual, expected)

    vars(_comparison)["_unwrap_dtensor_for_comparison"] = unwrap_what_there_is
