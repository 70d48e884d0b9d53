"""A test's class that extends one of an answer's: it is made there, and its functions run in the test."""

import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import nn

from studium_graders.engine.remote.policy import step

if TYPE_CHECKING:
    from studium_graders.engine.remote.objects import Facts, RemoteClass

_KEPT = frozenset(
    {"__module__", "__doc__", "__classcell__", "__annotations__", "__firstlineno__", "__static_attributes__"}
)
_WRAPPING: dict[str, Any] = {"staticmethod": staticmethod, "classmethod": classmethod}

Row = tuple[str, str, Any]
"""Of what kind something in a class is, its name, and functions or a value."""


def facts_for(bases: tuple[Any, ...]) -> "Facts | None":
    """Give the facts of the class of an answer's that is extended; None where the class is made here."""
    own = [base for base in bases if "_facts" in vars(base) and not issubclass(base, nn.Module)]
    return vars(own[0])["_facts"] if own and len(own) == len(bases) else None


def extended(facts: "Facts", name: str, bases: tuple[Any, ...], body: dict[str, Any], options: dict[str, Any]) -> Any:
    """Have a class made on the other side and give what stands for it, also where its functions say ``super()``."""
    rows = [_row(key, value) for key, value in body.items() if key not in _KEPT]
    made = facts.peer.request("extend", name, bases, rows, options, path=name)
    if (cell := body.get("__classcell__")) is not None:
        cell.cell_contents = made
    for cls in {cls for base in bases for cls in base.__mro__ if "_facts" in vars(cls)}:
        _open_to_super(cls)
    return made


def _row(name: str, value: Any) -> Row:
    kind = type(value).__name__
    if kind in _WRAPPING:
        return kind, name, value.__func__
    if type(value) is property:
        return kind, name, [value.fget, value.fset, value.fdel]
    return ("function" if type(value) is types.FunctionType else "value"), name, value


def _open_to_super(cls: "RemoteClass") -> None:
    for name in {"__init__", *cls._facts.methods} - vars(cls).keys():
        type.__setattr__(cls, name, Inherited(cls, name))


class Inherited:
    """A function of a class of the other side, for ``super()`` and ``Base.method(self)`` of a class that extends it."""

    def __init__(self, cls: "RemoteClass", name: str) -> None:
        self._cls, self._name = cls, name

    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is None:
            facts = owner._facts
            return facts.peer.request("getattr", owner, self._name, path=step(facts.path, self._name))
        return lambda *args, **kwargs: self._call(instance, args, kwargs)

    def _call(self, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        facts = self._cls._facts
        path = f"{step(facts.path, self._name)}()"
        return facts.peer.request("method", self._cls, self._name, (instance, *args), kwargs, path=path)


def build(name: str, bases: tuple[type, ...], rows: list[Row], options: dict[str, Any]) -> type:
    """Make the class, where the bases are."""
    body = {key: _made(kind, key, value) for kind, key, value in rows}
    return types.new_class(name, bases, options, lambda space: space.update(body, __module__="__main__"))


def _made(kind: str, name: str, value: Any) -> Any:
    if kind == "property":
        return property(*value)
    if kind in _WRAPPING:
        return _WRAPPING[kind](_method(name, value))
    return _method(name, value) if kind == "function" else value


def _method(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def method(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    method.__name__ = method.__qualname__ = name
    method.__signature__ = getattr(function, "__signature__", None)  # type: ignore[attr-defined]
    return method
