"""Making the classes that stand for those of the other side."""

from collections.abc import Iterator
from typing import Any

from torch import nn

from studium_graders.engine.remote import library
from studium_graders.engine.remote.decode import RefusedError
from studium_graders.engine.remote.modules import RemoteModule
from studium_graders.engine.remote.objects import Facts, InPlaceOfGiven, RemoteClass, RemoteObject, place
from studium_graders.engine.remote.operators import GUARDED


def register(made: type, base: list[Any]) -> None:
    """Let the class that stands for one which extends a dictionary be a mapping, and so on."""
    extended = library.TYPES.get(f"builtins.{base[1]}") if base[0] == "builtins" else None
    if extended in library.ABSTRACT:
        library.ABSTRACT[extended].register(made)


def inherited(parent: Any) -> Iterator[str]:
    """Name the guarded operators of a library's class: who extends it must not get by the policy with them."""
    if isinstance(parent, type) and not isinstance(parent, RemoteClass):
        for cls in parent.__mro__[:-1]:
            yield from (name for name in GUARDED & vars(cls).keys() if vars(cls)[name] is not None)


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
