"""Objects of installed libraries by name: a fixed few in both directions, all others from the judge to the student."""

import builtins
import importlib
import sys
import sysconfig
import types
from pathlib import Path
from typing import Any

import numpy as np

from studium_graders.engine.wire.channel import ProtocolError

_BUILTIN: tuple[type, ...] = (
    *(object, type(None), bool, int, float, complex, str, bytes, bytearray),
    *(list, tuple, dict, set, frozenset, range, slice),
    *(value for value in vars(builtins).values() if isinstance(value, type) and issubclass(value, BaseException)),
)

TYPES: dict[str, type] = {f"builtins.{cls.__name__}": cls for cls in _BUILTIN} | {
    f"numpy.{name}": value
    for name, value in vars(np).items()
    if isinstance(value, type) and issubclass(value, np.generic) and value is not np.object_
}
"""Classes that mean the same on both sides and can do no harm."""

NAMES = {cls: name for name, cls in reversed(TYPES.items())}

_MODULES = frozenset(
    {
        *("numpy", "torch", "scipy", "pandas", "matplotlib", "sklearn", "math", "cmath", "random", "itertools"),
        *("functools", "operator", "collections", "statistics", "string", "re", "time", "copy", "typing", "fractions"),
        *("decimal", "datetime", "json"),
    }
)
_NAMELESS = ("torch", "torch.nn.functional", "torch.linalg", "torch.special", "torch.fft", "numpy", "math", "operator")
_OWN = ("studium", "__main__", "tests", "conftest")
_INSTALLED = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}  # slow to ask for


def is_shared_module(value: types.ModuleType) -> bool:
    """Return whether a module may be meant by name in both directions."""
    name = value.__name__
    return type(name) is str and name.partition(".")[0] in _MODULES and sys.modules.get(name) is value


def shared_module(name: Any) -> types.ModuleType:
    """Return a library module that is loaded here already."""
    if type(name) is not str or name.partition(".")[0] not in _MODULES or name not in sys.modules:
        raise ProtocolError("no module")
    return sys.modules[name]


def name_of(value: Any) -> tuple[str, str] | None:
    """Return module and qualified name under which an installed library holds an object, or None."""
    if not isinstance(value, type | types.FunctionType | types.BuiltinFunctionType | np.ufunc):
        return None
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None) or value.__name__
    if type(module) is str and _lookup(module, name) is value:
        return (module, name) if is_library(module) else None
    short = name.rpartition(".")[2]
    return next(((place, short) for place in _NAMELESS if _lookup(place, short) is value), None)


def _lookup(module: str, name: str) -> Any:
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def is_library(module: str) -> bool:
    """Return whether a module belongs to Python or to what is installed, and not to a course."""
    top = module.partition(".")[0]
    if top.startswith(_OWN):
        return False
    if top in sys.stdlib_module_names:
        return True
    found = sys.modules.get(top)
    file = getattr(found, "__file__", None)
    places = [file] if file is not None else [*getattr(found, "__path__", ())]  # a package without a file of its own
    return any(Path(path).is_relative_to(place) for path in places for place in _INSTALLED)


def is_of_course(module: str) -> bool:
    """Return whether a module is a notebook, or was handed out beside it."""
    return module == "__main__" or not (is_library(module) or module.startswith(_OWN))


def named(module: str, name: str) -> Any:
    """Return the object that ``name_of`` named. For the student's side alone: it imports what is not there yet."""
    found = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found
