"""Modules of torch's that are imported when somebody needs them: a third of what importing torch takes.

The kernels of the device "meta", which tensors without data and compilers use, are written in Python, and torch imports
them at the end of its own import. Here that end comes with the first such tensor, or when anything of torch is imported
that has not been imported yet: torch's modules count on it. What else the kernels' modules do is known of some releases
of torch, and only those are treated so: read them before you add one.
"""

import importlib
import inspect
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

_KERNELS = "torch._meta_registrations"
_RELEASES = ("2.13.",)
_ASKING = ("torch.utils._debug_mode._mode", "torch._native.registry")
_NAMED = ("_decomp", "_prims", "_refs")  # torch's functions ask for them as its attributes, as broadcast_shapes does
_MAKING = (("empty", "memory_format"), ("empty_strided", "default"))  # the operators from which all tensors come


class Later(ModuleType):
    """Stands in for a module until it is asked for anything that a subclass does not give."""

    package = False

    def __init__(self, name: str) -> None:
        super().__init__(name, "Not imported yet.")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and not (self.package and name == "__path__"):  # asked of all modules, by inspect
            raise AttributeError(name)
        return getattr(self.load(), name)

    def load(self) -> ModuleType:
        """Return the real module, which takes the place of this one."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return importlib.import_module(self.__name__)


class _Kernels(Later):
    """The kernels of the device "meta"."""

    def __init__(self) -> None:
        super().__init__(_KERNELS)
        self._finder = _Completing(self)
        self._library: list[Any] = []

    def wait(self) -> None:
        """Load the kernels when they are needed, and do at once what else their modules do."""
        import torch
        from torch._opaque_base import OpaqueBaseMeta
        from torch.library import Library

        torch._C._set_generator_metaclass(OpaqueBaseMeta)  # there is no random generator without it

        library: Any = Library("aten", "IMPL")  # type: ignore[no-untyped-call]
        for name, overload in _MAKING:
            library.impl(f"{name}.{overload}".removesuffix(".default"), self._kernel(name, overload), "Meta")
        self._library.append(library)
        sys.meta_path.insert(0, self._finder)
        for name in _NAMED:
            setattr(torch, name, Later(f"torch.{name}"))

    def load(self) -> ModuleType:
        """Load the kernels, and wait for nothing any more."""
        self._library.clear()
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        return super().load()

    def _kernel(self, name: str, overload: str) -> Any:
        def make(*args: Any, **kwargs: Any) -> Any:
            import torch

            self.load()
            return getattr(getattr(torch.ops.aten, name), overload)(*args, **kwargs)

        return make


class _Completing(MetaPathFinder):
    """Finds nothing itself: it has the kernels loaded before anything else of torch's is."""

    def __init__(self, kernels: _Kernels) -> None:
        self._kernels = kernels

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith("torch."):
            return None
        self._kernels.load()
        module = sys.modules.get(name)  # the kernels may need it
        if module is None:
            return None
        module.__spec__ = ModuleSpec(name, _Found(module))  # Python asks a module that is there already
        return module.__spec__


class _Found(Loader):
    """Gives a module that has been imported while it was looked for."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec


def import_torch() -> None:
    """Import torch, where it has not been imported yet, but perhaps for the kernels: then ``complete_when_needed``."""
    if "torch" not in sys.modules:
        if version("torch").startswith(_RELEASES):
            sys.modules[_KERNELS] = _Kernels()
            _note_files()
        importlib.import_module("torch")


def _note_files() -> None:
    """Record for ``inspect`` of which modules some files are; torch asks, and a look at all modules takes 40 ms."""
    spec = find_spec("torch")
    for folder in (spec and spec.submodule_search_locations) or ():
        for name in _ASKING:
            file = Path(folder, *name.split(".")[1:]).with_suffix(".py")
            vars(inspect).get("modulesbyfile", {})[str(file)] = name


def complete_when_needed() -> None:
    """From now on, load what ``import_torch`` left out when anything needs it."""
    kernels = sys.modules[_KERNELS]
    if isinstance(kernels, _Kernels):
        kernels.wait()
