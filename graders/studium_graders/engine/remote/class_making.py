"""Making the classes that stand for those of the other side, and what is told of a class for that."""

import types
from collections.abc import Iterator
from typing import Any

from torch import nn

from studium_graders.engine.remote import library
from studium_graders.engine.remote.decode import RefusedError
from studium_graders.engine.remote.modules import RemoteModule
from studium_graders.engine.remote.objects import Facts, InPlaceOfGiven, RemoteClass, RemoteObject, place
from studium_graders.engine.remote.operators import GUARDED, SPECIAL

_METHODS = (types.FunctionType, types.MethodDescriptorType)
_MOST_NAMES = 2000


def register(made: type, base: list[Any]) -> None:
    """Let the class that stands for one which extends a dictionary be a mapping, and so on."""
    extended = library.TYPES.get(f"builtins.{base[1]}") if base[0] == "builtins" else None
    if extended in library.ABSTRACT:
        library.ABSTRACT[extended].register(made)


def inherited(parent: Any) -> Iterator[str]:
    """Name the methods with two underscores of a library's class: who extends it must not get by the policy with them.

    None of them runs here; a module's own do, but for the guarded ones.
    """
    if isinstance(parent, type) and not isinstance(parent, RemoteClass):
        names = GUARDED if issubclass(parent, nn.Module) else SPECIAL
        for cls in parent.__mro__[:-1]:
            yield from (name for name in names & vars(cls).keys() if vars(cls)[name] is not None)


def make_class(name: str, parents: tuple[Any, ...], namespace: dict[str, Any], facts: Facts) -> type:
    """Make the class that stands for one of the other side, with those bases that allow it.

    What a base makes of the classes that extend it concerns this one alone: its facts come last.
    """
    own = [parent for parent in parents if isinstance(parent, RemoteClass)]
    others = [parent for parent in parents if parent is not None and parent not in own]
    root = RemoteModule if any(issubclass(parent, nn.Module) for parent in others) else RemoteObject
    for bases in ((*own, *([] if own else [root]), *others), (*own,) or (root,)):
        meta = _metaclass(bases, InPlaceOfGiven if facts.given else RemoteClass)
        try:
            made: type = type.__new__(meta, name, bases, dict(namespace))
            type.__init__(made, name, bases, {})
            type.__setattr__(made, "_facts", facts)
            if root is RemoteObject:
                place(made, facts)
            return made
        except Exception:  # noqa: S112  a base that cannot be extended is left out
            continue
    raise RefusedError(f"a class {name} that cannot be shown to a test")


def _metaclass(bases: tuple[type, ...], least: type[RemoteClass]) -> type:
    metas = list(dict.fromkeys(type(base) for base in bases))
    extra = [meta for meta in metas if not issubclass(least, meta) and not issubclass(meta, least)]
    if not extra:
        return next((meta for meta in metas if meta is not least and issubclass(meta, least)), least)
    return type(RemoteClass.__name__, (least, *extra), {})


def is_always_true(cls: type) -> bool:
    """Tell whether each instance of a class is true, whatever is in it."""
    return not any(name in vars(base) for base in cls.__mro__ for name in ("__bool__", "__len__"))


def methods_of(lineage: list[type]) -> list[str]:
    """Name the methods of these classes that can be asked for by name."""
    found = {name: value for cls in reversed(lineage) for name, value in vars(cls).items()}
    names = (name for name, value in found.items() if isinstance(value, _METHODS) and type(name) is str)
    return sorted(name for name in names if name.isascii() and not name.startswith("__"))[:_MOST_NAMES]


def is_method_name(name: Any) -> bool:
    """Tell whether what has arrived can be the name of such a method."""
    return type(name) is str and name.isidentifier() and not name.startswith("__")
