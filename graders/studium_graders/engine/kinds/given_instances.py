"""Instances of given classes that are no dataclasses, and still what they hold: what is in ``__dict__`` crosses."""

from typing import Any

from studium_graders.engine.wire.channel import ProtocolError
from studium_graders.engine.wire.codec import Decoder, Encoder

KIND = "instance of a given class"
MACHINERY = frozenset(
    f"__{name}__" for name in ["new", "del", "getattr", "getattribute", "setattr", "delattr", "init_subclass", "slots"]
)


def is_plain(cls: type) -> bool:
    """Return whether instances of a class hold what they are in ``__dict__``, and nothing comes between."""
    simple = type(cls) is type and cls.__mro__[1:] == (object,) and cls.__module__ == "__main__"
    return simple and "__dict__" in vars(cls) and not MACHINERY & vars(cls).keys()


def may_hold(cls: type, name: Any) -> bool:
    """Return whether a name is one for data: nothing that is held may stand before a method of the class."""
    if type(name) is not str or not name.isidentifier() or name.startswith("__"):
        return False
    own = next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)
    return not hasattr(type(own), "__get__")


def write(encoder: Encoder, value: Any) -> list[Any]:
    """Return the names and values that an instance holds."""
    held = object.__getattribute__(value, "__dict__")
    names = [name for name in held if may_hold(type(value), name)]
    return [[encoder.text(name) for name in names], *[encoder.encode(held[name]) for name in names]]


def read(decoder: Decoder, node: list[Any], cls: type) -> Any:
    """Make an instance that holds what a node says."""
    value = decoder.put(object.__new__(cls))
    names = [decoder.decode(name) for name in node[0]]
    if not all(may_hold(cls, name) for name in names):
        raise ProtocolError("no name")
    held = dict(zip(names, decoder.items(node[1:]), strict=True))
    admits = decoder.context.side.admits_attribute
    kept = {name: part for name, part in held.items() if not hasattr(cls, name) or admits(cls, name)}
    object.__getattribute__(value, "__dict__").update(kept)
    return value


def parts_of(value: Any) -> list[Any]:
    """Return what an instance holds, to be compared later."""
    return [part for item in value.__dict__.items() for part in item]


def overwrite(value: Any, content: Any) -> None:
    """Let an instance hold what another one holds."""
    value.__dict__.clear()
    value.__dict__.update(content.__dict__)
