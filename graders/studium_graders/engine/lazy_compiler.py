"""torch's compiler, imported only where code compiles: every optimiser asks for it, and it takes as long as torch.

An optimiser asks ``torch._dynamo`` for two things that have no effect unless something is compiled. A stand-in module
gives them, and is the real module as soon as anything else is asked of it.

``torch.testing.assert_close`` likewise asks for the class of distributed tensors, with which half a second of imports
comes: sympy for one. Where nobody has imported that class, nothing is an instance of it.
"""

import importlib
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_NAME = "torch._dynamo"
_DISTRIBUTED = "torch.distributed.tensor"


class _Compiler(ModuleType):
    """Stands in for ``torch._dynamo`` until that is needed."""

    def __init__(self) -> None:
        super().__init__(_NAME, "torch's compiler, not imported yet.")
        spec = find_spec(_NAME)
        self.__spec__, self.__file__ = spec, spec.origin if spec else None
        self._eager: list[Any] = []

    def graph_break(self, *_: Any, **__: Any) -> None:
        """Do nothing, as the real one where nothing is compiled."""

    def disable(self, fn: Any = None, *given: Any, wrapping: bool = True, **more: Any) -> Any:
        """Give a function of torch's own as it is, which keeps it until ``_load`` makes it forget."""
        if wrapping or fn is None:  # somebody else's
            return self._load().disable(fn, *given, wrapping=wrapping, **more)
        self._eager.append(fn)
        return fn

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # asked of all modules, by inspect for one
            raise AttributeError(name)
        return getattr(self._load(), name)

    def _load(self) -> Any:
        if sys.modules.get(_NAME) is self:
            del sys.modules[_NAME]
        module = importlib.import_module(_NAME)
        for fn in self._eager:
            vars(fn).pop("__dynamo_disable", None)  # torch asks the real compiler at the next call
        self._eager.clear()
        return module


def import_compiler_late() -> None:
    """Put off the import of torch's compiler, where it has not been imported."""
    sys.modules.setdefault(_NAME, _Compiler())


def compare_without_distributed_tensors() -> None:
    """Let ``torch.testing`` look for distributed tensors only where their module has been imported."""
    from torch.testing import _comparison

    unwrap = vars(_comparison).get("_unwrap_dtensor_for_comparison")  # not in every PyTorch

    def unwrap_what_there_is(actual: Any, expected: Any) -> Any:
        return unwrap(actual, expected) if unwrap and _DISTRIBUTED in sys.modules else (actual, expected)

    vars(_comparison)["_unwrap_dtensor_for_comparison"] = unwrap_what_there_is
