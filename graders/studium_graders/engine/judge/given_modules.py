"""Modules that an assignment hands out beside its notebooks, imported from the material and not from a disk."""

import sys
from collections.abc import Mapping, Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from studium_graders.engine.judge.compiling import METHOD, compile_module
from studium_graders.engine.judge.filling_in import method_of


class GivenModules(MetaPathFinder, InspectLoader):
    """Finds ``helper`` in the file ``helper.py``, after everything that is installed."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = {name: content for name, content in files.items() if name.endswith(".py")}

    def install(self) -> None:
        """Let import statements of this process find the modules."""
        known = any(isinstance(finder, GivenModules) and finder._files == self._files for finder in sys.meta_path)
        if self._files and not known:
            sys.meta_path.append(self)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module that was handed out, or None; its ``__file__`` is in the working folder."""
        file = self._file(fullname)
        spec = None if file is None else spec_from_loader(fullname, self, origin=str(Path(file).absolute()))
        if spec is not None:
            spec.has_location = True
        return spec

    def exec_module(self, module: ModuleType) -> None:
        """Run a module."""
        vars(module)[METHOD] = method_of
        super().exec_module(module)

    @staticmethod
    def source_to_code(data: Any, path: Any = "<string>") -> CodeType:
        """Compile a module so that a text which a test passes to it is looked at before it is filled in."""
        return compile_module(data, str(path))

    def is_package(self, fullname: str) -> bool:
        """Return whether a module is a folder."""
        return str(self._file(fullname)).endswith("/__init__.py")

    def get_source(self, fullname: str) -> str:
        """Return the text of a module."""
        return self._files[str(self._file(fullname))].decode("utf-8-sig")

    def _file(self, fullname: str) -> str | None:
        place = fullname.replace(".", "/")
        return next((name for name in (f"{place}.py", f"{place}/__init__.py") if name in self._files), None)
